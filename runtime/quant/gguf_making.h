/* runtime/quant/gguf_making.h
 * Private to runtime/quant: a GGUF file while it is made (gguf_file.h). */
#ifndef RUNTIME_QUANT_GGUF_MAKING_H
#define RUNTIME_QUANT_GGUF_MAKING_H

#include "runtime/quant/gguf_file.h"
#include "runtime/quant/gguf_source.h"

/* Squares of a matrix, or what its inputs make of them. */
struct quant_gguf_squares {
    double error, rtn, all;
};

/* A matrix of the layer under way. */
struct quant_gguf_outcome {
    struct quant_gguf_squares squares;
    double made; /* enum quant_gguf_made */
};
enum quant_gguf_made {
    QUANT_GGUF_LEFT,    /* kept, or floats: made with the rest */
    QUANT_GGUF_ROUNDED, /* by GPTQ */
    QUANT_GGUF_SEARCHED /* the moment says nothing: codes of the search */
};

struct quant_gguf_making {
    struct rt_ctx *ctx;
    const struct quant_gguf_options *options;
    const struct quant_importance *importance; /* NULL: none */
    struct quant_source source;
    struct fmt_gguf_out out;
    struct quant_gguf_report *report;
    bool *made;           /* [tensors] whose data is in the file; owned */
    uint64_t done, total; /* elements */
    float *values,
        *read;      /* [CHUNK_FLOATS or a row]: as they are, as they are read back */
    uint8_t *bytes; /* of both chunks of blocks */
    /* with calibration */
    char state[4200];  /* folder of what is known of finished layers, gguf_state.c */
    bool is_ours;      /* nobody else works there */
    uint32_t layers;   /* finished, and known here */
    uint32_t outcomes; /* of the layer under way */
    struct quant_gguf_outcome outcome[QUANT_GROUP_MATRICES * MODEL_GROUP_COUNT];
};

/* Rows of values as blocks. */
RT_CHECKED rt_status quant_gguf_to_blocks(const struct quant_gguf_making *m,
                                          const struct quant_gguf_row *row, uint64_t rows,
                                          const float *values, const float *importance,
                                          bool plain, uint8_t *out);
/* Counts a finished matrix, and tells the caller of the file. */
RT_CHECKED rt_status quant_gguf_tell(struct quant_gguf_making *m,
                                     const struct quant_gguf_row *row, bool is_weighted,
                                     bool is_rounded,
                                     const struct quant_gguf_squares *squares);
/* All matrices of layers that get codes, by GPTQ, while the model passes over the text of
 * options->calibration. */
RT_CHECKED rt_status quant_gguf_rounded(struct quant_gguf_making *m);

/* ---- finished layers, gguf_state.c ---- */

/* Opens `to` for this work: layers that it has from an earlier start are taken over and
 * told, else it begins. RT_ERR_USAGE: another process works there. */
RT_CHECKED rt_status quant_gguf_state_open(struct quant_gguf_making *m, const char *to);
/* One more layer is finished; hidden NULL: the last one. */
RT_CHECKED rt_status quant_gguf_state_layer(struct quant_gguf_making *m,
                                            const float *hidden, uint64_t floats);
/* Of a file without calibration: what an earlier work on `to` left. RT_ERR_USAGE as above. */
RT_CHECKED rt_status quant_gguf_state_drop(struct quant_gguf_making *m, const char *to);

#endif

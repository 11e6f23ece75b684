/* runtime/quant/gguf_source.h
 * Private to runtime/quant: the tensors of a model as a GGUF file has them (names, order of
 * rows), out of a GGUF file or a Hugging Face folder, a few rows at a time. */
#ifndef RUNTIME_QUANT_GGUF_SOURCE_H
#define RUNTIME_QUANT_GGUF_SOURCE_H

#include "runtime/format/checkpoint.h"
#include "runtime/format/gguf_model.h"
#include "runtime/format/gguf_write.h"
#include "runtime/quant/gguf_plan.h"

struct quant_source {
    struct rt_ctx *ctx; /* borrowed */
    const char *path;   /* borrowed */
    const struct fmt_gguf_arch *arch;
    struct quant_gguf_row *rows; /* owned */
    uint32_t count;
    struct quant_gguf_sizes sizes;
    bool is_packed; /* matrices are codes already */
    /* a GGUF file */
    bool is_gguf;
    struct fmt_gguf gguf;
    const struct fmt_gguf_tensor **tensors; /* of each row; owned, the entries borrowed */
    /* a folder */
    struct fmt_model *model;
    /* Of the tensor under way, of which row (UINT32_MAX: none): its place in the files, or
     * all its values if they are codes (owned). */
    uint32_t under_way;
    struct fmt_tensor plain; /* data null: codes */
    float *whole;
};

/* RT_ERR_INPUT: not a model of an architecture that GGUF files of ours have. Close in any
 * case. */
RT_CHECKED rt_status quant_source_open(struct rt_ctx *ctx, const char *path,
                                       struct quant_source *out);
void quant_source_close(struct quant_source *source);
/* All keys but those of the types (general.file_type, quantization_version). */
RT_CHECKED rt_status quant_source_keys(struct quant_source *source,
                                       struct fmt_gguf_out *out);
/* The tensor of a name; the count: there is none. */
uint32_t quant_source_find(const struct quant_source *source, const char *name);
/* Rows [first, first + n) of tensor `row`. RT_ERR_INPUT: a value is not finite. */
RT_CHECKED rt_status quant_source_floats(struct quant_source *source, uint32_t row,
                                         uint64_t first, uint64_t n, float *out);
/* Whether the tensor is stored as this type already. */
bool quant_source_is(const struct quant_source *source, uint32_t row,
                     const struct fmt_block_type *type);
/* The bytes of a tensor that is kept, null: it is F32 and quant_source_floats has it. */
const uint8_t *quant_source_bytes(const struct quant_source *source, uint32_t row);

#endif

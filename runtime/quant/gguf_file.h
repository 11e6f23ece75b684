/* runtime/quant/gguf_file.h
 * A whole model as a quantized GGUF file: from a Hugging Face folder or another GGUF file,
 * tensor by tensor. Vectors, and tensors that no mix quantizes, are kept. */
#ifndef RUNTIME_QUANT_GGUF_FILE_H
#define RUNTIME_QUANT_GGUF_FILE_H

#include "runtime/quant/gguf_plan.h"
#include "runtime/quant/importance.h"

enum { QUANT_GGUF_NEEDS = OBSERVE_MOMENTS | OBSERVE_SQUARES /* of calibration */ };

/* How a quantized matrix fared: sum over elements of w (x - y)^2 over the sum of w x^2, w
 * the importance of the column (1 without), for it and for every group rounded to nearest
 * from its own extremes. Rounded by GPTQ: the mean over tokens of |(W - Q(W)) x|^2 over that
 * of |W x|^2. */
struct quant_gguf_fared {
    const struct quant_gguf_row *row; /* valid until the callback returns */
    double error, rtn;
    double outputs;    /* rounded by GPTQ: the mean over tokens of |W x|^2 */
    bool is_weighted;  /* there was importance */
    bool is_rounded;   /* by GPTQ */
    bool is_no_better; /* than rounded to nearest, and that is not exact */
};

/* Text by which the matrices of layers are rounded (blocks_gptq.h), one layer after the
 * other. The model is the source, its layers may be streamed. */
struct quant_gguf_calibration {
    struct rt_model *model;
    const struct train_sequence *sequences;
    uint32_t count;
    struct quant_seen *shared; /* as quant_calibration.shared */
    bool natural_order;        /* quant_options */
    double damping;
    struct quant_importance *seen; /* gets the importance of all matrices of layers */
    /* May be NULL, user as below. As observe_task's. */
    rt_status (*pass)(void *user, uint64_t done, uint64_t total);
    /* May be NULL. `seen` is whole; the file is not yet. */
    rt_status (*done)(void *user);
};

struct quant_gguf_options {
    const struct quant_gguf_mix *mix;
    const char *plan;                          /* file, NULL: none */
    const struct quant_importance *importance; /* NULL: none */
    /* NULL: matrices are rounded one weight at a time; else there is no `importance`. */
    const struct quant_gguf_calibration *calibration;
    const char
        *importance_from; /* what it was seen on, for the file's keys; may be NULL */
    bool plain;           /* no search */
    bool force;           /* replace a file that is there */
    /* May be NULL. After each matrix; a status that is not RT_OK ends the work. */
    rt_status (*matrix)(void *user, const struct quant_gguf_fared *fared);
    /* May be NULL. Of all elements. */
    rt_status (*progress)(void *user, const char *name, uint64_t done, uint64_t total);
    void *user;
};

struct quant_gguf_report {
    uint64_t bytes;         /* of the file */
    uint64_t weights;       /* elements quantized */
    double bits_per_weight; /* of these */
    uint32_t matrices;
    uint32_t fallbacks;  /* matrices of another type than wanted */
    uint32_t unweighted; /* matrices without importance where others have it */
    uint32_t not_better; /* than rounded to nearest */
};

/* Writes `to`, which appears whole or not at all. RT_ERR_INPUT names a tensor with values
 * that are not finite or too large for its type. */
RT_CHECKED rt_status quant_gguf_file(struct rt_ctx *ctx, const char *from, const char *to,
                                     const struct quant_gguf_options *options,
                                     struct quant_gguf_report *report);
/* Fails as that does, or as the plan alone, but for values and importance: before long work
 * that gives the importance. */
RT_CHECKED rt_status quant_gguf_check(struct rt_ctx *ctx, const char *from,
                                      const char *to,
                                      const struct quant_gguf_options *options);
/* What that will take and give, from the headers of the files. */
struct quant_gguf_cost {
    uint64_t bytes;   /* of the file */
    uint64_t weights; /* elements quantized */
    double bits,
        bits_all;        /* per weight quantized; per weight of the file, keys included */
    uint64_t host_bytes; /* peak beside the mapped files, an estimate */
    double seconds;      /* by rows of each type that were timed, an estimate */
    double flops;        /* of GPTQ and of errors of outputs, beside that */
};
/* Importance and calibration are those of the options; what they hold does not count. */
RT_CHECKED rt_status quant_gguf_cost_of(struct rt_ctx *ctx, const char *from,
                                        const struct quant_gguf_options *options,
                                        struct quant_gguf_cost *out);
/* The plan alone, as a file to edit. */
RT_CHECKED rt_status quant_gguf_plan_file(struct rt_ctx *ctx, const char *from,
                                          const char *to,
                                          const struct quant_gguf_options *options);

#endif

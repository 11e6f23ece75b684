/* runtime/quant/folder_impl.h
 * Private to runtime/quant: a folder while it is made, tensor by tensor. */
#ifndef RUNTIME_QUANT_FOLDER_IMPL_H
#define RUNTIME_QUANT_FOLDER_IMPL_H

#include "runtime/format/checkpoint.h"
#include "runtime/format/safetensors.h"
#include "runtime/quant/folder.h"

/* One output tensor and the memory it owns, if any. */
struct quant_output {
    struct fmt_tensor_out tensor; /* its name is set when the folder is written */
    char *name;
    void *owned;
};

/* A kept tensor that is divided element by element: a norm, or a bias. */
struct quant_divided {
    char name[160];
    float *divisors; /* owned */
    uint32_t count;
};

struct quant_writer {
    struct quant_divided *divided;
    uint32_t divided_count; /* at most one per group of a layer */
    struct rt_ctx *ctx;
    const char *from;                            /* what is read */
    const struct quant_options *asked;           /* of the whole model */
    const struct quant_options *options;         /* of the matrix under way */
    struct quant_options own;                    /* these, if a plan gives it its width */
    const struct quant_calibration *calibration; /* NULL: none */
    struct fmt_model *model;                     /* the same, open */
    struct quant_output *outputs;
    uint32_t count, capacity;
    struct quant_report *report;
    bool tied;   /* the head is the embedding, and not written */
    bool warned; /* that a matrix has a group that is not full */
};

rt_status quant_no_memory(struct quant_writer *w);
/* Takes `owned`, also on failure. cols 0: one dimension. */
RT_CHECKED rt_status quant_add_output(struct quant_writer *w, const char *name,
                                      const char *suffix, enum fmt_dtype dtype,
                                      uint64_t rows, uint64_t cols, void *owned);
/* A matrix that is not finite, or whose range is not, has no scale. `values` are those
 * from `first` on of a tensor. */
RT_CHECKED rt_status quant_check_finite(struct quant_writer *w, const char *name,
                                        size_t first, const float *values, size_t count);
/* What is not quantized. */
RT_CHECKED rt_status quant_keep_tensor(struct quant_writer *w,
                                       const struct fmt_tensor_info *tensor);
/* Makes the options those of a projection. */
void quant_use_module(struct quant_writer *w, const char *name);
/* One projection, without calibration. */
RT_CHECKED rt_status quant_module(struct quant_writer *w, const char *name, uint32_t out,
                                  uint32_t in);
/* What a kept tensor is divided by, NULL: nothing. */
const struct quant_divided *quant_divided_find(const struct quant_writer *w,
                                               const char *name);
/* All projections, each by its inputs on the calibration text. */
RT_CHECKED rt_status quant_modules_calibrated(struct quant_writer *w);

#endif

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

/* Which of embedding and head a folder has as codes and scales. */
struct quant_tables {
    bool is_packed[2]; /* the embedding, the head */
    uint64_t count;    /* elements of each */
};

struct quant_writer {
    struct quant_divided divided[MODEL_GROUP_COUNT]; /* of the layer under way */
    uint32_t divided_count;
    struct rt_ctx *ctx;
    const char *from;                    /* what is read */
    const struct quant_options *asked;   /* of the whole model; NULL: floats (merged.h) */
    const struct quant_options *options; /* of the matrix under way */
    struct quant_options own;            /* these, if a plan gives it its width */
    const struct quant_calibration *calibration; /* NULL: none */
    struct fmt_model *model;                     /* the same, open */
    struct quant_output *outputs;
    uint32_t count, capacity;
    struct quant_report *report;
    enum fmt_dtype floats; /* of projections that are not quantized */
    struct quant_tables tables;
    bool tied;                     /* the head is the embedding, and not written */
    bool warned;                   /* that a matrix has a group that is not full */
    char part[4200];               /* folder of finished layers */
    struct fmt_safetensors *files; /* [layers] the finished ones, open */
    uint32_t file_count, file_capacity;
    uint32_t flushed;        /* outputs before this one are in files */
    struct fmt_model *trial; /* a layer to run, NULL: none */
};

rt_status quant_no_memory(struct quant_writer *w);
enum { QUANT_TARGET = 4001 }; /* bytes of a folder's name */
/* Checks the names, opens w->from and sees whether its head is its embedding; `to` gets the
 * target without slashes at its end. RT_ERR_USAGE: it is there and not to be replaced, or is
 * what is read. */
RT_CHECKED rt_status quant_folder_begin(struct quant_writer *w, const char *target,
                                        bool force, char to[QUANT_TARGET]);
/* config.json, tokenizer and README of what the outputs are so far. */
RT_CHECKED rt_status quant_write_files(struct quant_writer *w, const char *to, bool tied);
/* Writes all outputs as a folder within the part, then puts it in place of `to`. */
RT_CHECKED rt_status quant_folder_finish(struct quant_writer *w, const char *to);
/* Takes `owned`, also on failure. cols 0: one dimension. */
RT_CHECKED rt_status quant_add_output(struct quant_writer *w, const char *name,
                                      const char *suffix, enum fmt_dtype dtype,
                                      uint64_t rows, uint64_t cols, void *owned);
/* A matrix that is not finite, or whose range is not, has no scale. `values` are those
 * from `first` on of a tensor. */
RT_CHECKED rt_status quant_check_finite(struct quant_writer *w, const char *name,
                                        size_t first, const float *values, size_t count);
/* A quantized model may be all there is, so its values are taken, and that is said. */
RT_CHECKED rt_status quant_check_source(struct rt_ctx *ctx, const char *from,
                                        struct fmt_model *model);
/* Which projection a tensor is, or is a part of (codes, scales, zero points); false: of none.
 * A bias is no part. */
bool quant_find_module(const char *tensor, uint32_t *layer, enum fmt_module *module);
/* Whether a tensor is kept: it has a name, and is no part of a projection or of a packed
 * table. `tied`: nor is it the head. */
bool quant_is_kept(const struct quant_tables *tables, bool tied, const char *name);
RT_CHECKED rt_status quant_tables_find(struct fmt_model *model, struct quant_tables *out);
/* The packed tables as F16, with keep_f32 as F32. */
RT_CHECKED rt_status quant_keep_tables(struct quant_writer *w);
/* What is not quantized. */
RT_CHECKED rt_status quant_keep_tensor(struct quant_writer *w,
                                       const struct fmt_tensor_info *tensor);
/* Makes the options those of a projection. */
void quant_use_module(struct quant_writer *w, const char *name);
/* Makes the options those of matrices whose inputs stay floats. */
void quant_use_float_inputs(struct quant_writer *w);
/* One projection, without calibration. */
RT_CHECKED rt_status quant_module(struct quant_writer *w, const char *name, uint32_t out,
                                  uint32_t in);
/* What a kept tensor is divided by, NULL: nothing. */
const struct quant_divided *quant_divided_find(const struct quant_writer *w,
                                               const char *name);
/* All projections of layers from `first` on, each by its inputs on the calibration text. */
RT_CHECKED rt_status quant_modules_calibrated(struct quant_writer *w, uint32_t first);
/* Adds a matrix to the sizes of the report; how it fared to the rest, and tells the caller. */
void quant_count_matrix(struct quant_writer *w, uint32_t out, uint32_t in);
RT_CHECKED rt_status quant_tell_fared(struct quant_writer *w,
                                      const struct quant_fared *fared);
/* Makes what the matrices of the layer under way divide of kept tensors. */
RT_CHECKED rt_status quant_finish_layer(struct quant_writer *w);

/* ---- finished layers, folder_part.c ---- */

/* Opens TARGET.part for this work; layers of another, or of floats, are removed.
 * RT_ERR_USAGE: another process has it. */
RT_CHECKED rt_status quant_part_open(struct quant_writer *w, const char *to);
/* Takes the finished layers over: how many. */
RT_CHECKED rt_status quant_part_resume(struct quant_writer *w, uint32_t *layers);
/* Writes a layer, all outputs since the last one; they are read from there from now on. */
RT_CHECKED rt_status quant_part_layer(struct quant_writer *w, uint32_t layer);
/* The same for what else was made, so that it need not stay in memory. */
RT_CHECKED rt_status quant_part_kept(struct quant_writer *w);
/* The outputs since the last layer as a model that has no others, in TARGET.part/trial;
 * open until the next call. */
RT_CHECKED rt_status quant_part_trial(struct quant_writer *w, struct fmt_model **out);
void quant_part_remove(struct quant_writer *w); /* the folder */
void quant_part_close(struct quant_writer *w);  /* outputs and open files */

#endif

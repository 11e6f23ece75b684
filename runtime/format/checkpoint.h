/* runtime/format/checkpoint.h
 * A model folder or GGUF file as the model loader needs it: sizes, float tensors, and
 * linear weights in the device layout (runtime/op/weight.h), whatever they are stored as.
 * Packed matrices of every method of quant_config.h (layouts in packed.h) and every block
 * type of GGUF (gguf_types.h) are converted exactly. Names are those of Hugging Face. */
#ifndef RUNTIME_FORMAT_CHECKPOINT_H
#define RUNTIME_FORMAT_CHECKPOINT_H

#include "runtime/format/model_config.h"
#include "runtime/format/safetensors.h"
#include "runtime/op/weight.h"

enum { FMT_TENSOR_NAME_MAX = 512 };

struct fmt_model;

/* Opens config and tensors of a folder or a GGUF file (the first of its parts); nothing
 * is read into memory yet. */
RT_CHECKED rt_status fmt_model_open(struct rt_ctx *ctx, const char *path,
                                    struct fmt_model **out);
/* The same without the sizes of a config.json, which need only say how matrices are
 * packed: enough to look at tensors, for checks by others. Tensors of a GGUF file go by
 * its own names too then, and have their rows as the file has them. */
RT_CHECKED rt_status fmt_model_open_tensors(struct rt_ctx *ctx, const char *path,
                                            struct fmt_model **out);
void fmt_model_close(struct fmt_model **model);
/* Its files are mapped: what was read of them leaves the process's memory. For who reads a
 * part after the other, so that the peak is not the size of the files. */
void fmt_model_forget(const struct fmt_model *model);
/* Whether packed weights of GGUF types take the forms with float scales (RT_FORM_ZERO and
 * OFFSET) and codes of 4 or 8 bits, which some devices read faster, not the file's:
 * the same values in up to 6.9 times the bytes (docs/formats.md). Off after opening. */
void fmt_model_widen(struct fmt_model *model, bool wide);
const struct fmt_config *fmt_model_config(const struct fmt_model *model);

/* Whether inputs of matrices stay floats whatever the files say. Off after opening. */
void fmt_model_float_inputs(struct fmt_model *model, bool floats);

bool fmt_tensor_exists(const struct fmt_model *model, const char *name);
/* All `count` elements of a float tensor, or of any tensor of a GGUF file. RT_ERR_INPUT:
 * not there, another size, another type, or not finite. */
RT_CHECKED rt_status fmt_tensor_f32(struct fmt_model *model, const char *name,
                                    uint64_t count, float *out);

/* Whether the head is a separate weight "lm_head", not the embedding. */
bool fmt_has_head(const struct fmt_model *model);
/* Bytes of all tensors in the files. */
uint64_t fmt_model_bytes(const struct fmt_model *model);
/* Elements of a tensor that fmt_tensor_f32 reads; 0: not there or no such. */
uint64_t fmt_tensor_count(const struct fmt_model *model, const char *name);

/* A tensor of the files, as a Hugging Face folder would have it. */
struct fmt_tensor_info {
    char name[FMT_TENSOR_NAME_MAX];
    enum fmt_dtype dtype; /* of blocks F32, which holds their values */
    const char
        *blocks; /* type of blocks of a GGUF file ("Q5_0"); null: dtype's elements */
    uint32_t dims;
    uint64_t shape[FMT_DIMS_MAX]; /* rows first */
    const void *data; /* borrowed, NULL if the files hold another form: fmt_tensor_f32 */
    const void *stored; /* borrowed: the bytes of the file, whatever they mean */
    uint64_t stored_size;
};
/* Tensor i, in no order that matters; false beyond the last. A tensor that such a folder
 * does not have (rope_freqs.weight of a GGUF file, which its config tells) has no name. */
bool fmt_tensor_at(const struct fmt_model *model, uint32_t i,
                   struct fmt_tensor_info *info);

/* Size of the weight `name` (without ".weight") as the file has it. RT_ERR_INPUT: not
 * there, or no matrix. */
RT_CHECKED rt_status fmt_weight_size(struct fmt_model *model, const char *name,
                                     uint32_t *out, uint32_t *in);
/* How it is stored, for an [out][in] matrix: fills bits, group, form, out, in, in_pad;
 * out_pad is out rounded up to 64. */
RT_CHECKED rt_status fmt_weight_shape(struct fmt_model *model, const char *name,
                                      uint32_t out, uint32_t in,
                                      struct rt_weight_shape *shape);
/* How the inputs of a weight are rounded before they are multiplied: as the file says,
 * where matmul_w8a8 (shaders/push.h) can do it. *scale: FMT_INPUTS_GIVEN only. RT_ERR_INPUT:
 * the scale is not there, or no number that can divide. */
RT_CHECKED rt_status fmt_weight_inputs(struct fmt_model *model, const char *name,
                                       enum fmt_inputs *inputs, float *scale);
/* What the file says of a weight, for people. */
struct fmt_stored {
    char text[64]; /* "Q4_K", "awq 4 bit, groups of 128", "16-bit floats" */
    double bits;   /* of the whole matrix, scales included */
    bool packed;   /* codes and scales, not floats */
};
RT_CHECKED rt_status fmt_weight_stored(struct fmt_model *model, const char *name,
                                       struct fmt_stored *out);
/* How the projections of all layers are stored, the most usual first: "rtn 4 bit
 * grouped", "Q5_0, Q6_K, Q4_K"; empty where all are floats. */
RT_CHECKED rt_status fmt_model_stored(struct fmt_model *model, char *text, size_t size);
/* What lies beside the scales of a packed weight. */
enum fmt_zeros {
    FMT_ZEROS_FIXED,  /* nothing that could be replaced */
    FMT_ZEROS_MINIMA, /* a minimum per scale, of the same type */
    FMT_ZEROS_SCALED, /* a scale of minima per scale, of the same type */
    FMT_ZEROS_WHOLE   /* a whole zero point per scale */
};
/* The scales of a packed weight of whole codes: of a tensor of their own, or of the blocks
 * of a GGUF tensor. */
struct fmt_scales {
    char name
        [FMT_TENSOR_NAME_MAX]; /* as fmt_tensor_at has it; empty: the weight is floats */
    enum fmt_dtype dtype;      /* F32, F16 or BF16 */
    uint32_t groups;           /* scales of a row */
    bool across;               /* they lie [groups][out], else [out][groups] */
    bool blocks;               /* of a GGUF file: halves in blocks */
    uint32_t block;            /* codes of a block of them; 0: `blocks` is false */
    enum fmt_zeros zeros;
    /* FMT_ZEROS_WHOLE: their tensor; the least and the greatest that may be written */
    char zeros_name[FMT_TENSOR_NAME_MAX];
    uint32_t zeros_low, zeros_high;
};
/* RT_ERR_INPUT: its scales are not of these kinds (codes that stand for floats, scales of 8
 * bits, one scale for a whole matrix). */
RT_CHECKED rt_status fmt_weight_scales(struct fmt_model *model, const char *name,
                                       struct fmt_scales *out);
/* Whole zero points of such a weight, [out][groups]; and puts others into `data`, a copy of
 * what their tensor has. RT_ERR_INTERNAL: one is none that may be written, and is not the
 * one that is there. */
RT_CHECKED rt_status fmt_weight_zeros(struct fmt_model *model, const char *name,
                                      float *zeros);
RT_CHECKED rt_status fmt_weight_put_zeros(struct fmt_model *model, const char *name,
                                          const float *zeros, uint8_t *data);
/* Of such a weight of a GGUF file: what the groups of row `row` have, [in / group] with
 * rt_weight_form_group of its type. */
RT_CHECKED rt_status fmt_weight_groups(struct fmt_model *model, const char *name,
                                       uint32_t row, struct rt_weight_scale *groups);
/* Where the file has such a row: bytes of it from the start of the file on (which must be
 * one file), and within each block the scale and the scale of minima (0: none). */
struct fmt_block_row {
    uint64_t at;
    uint32_t blocks, bytes; /* of the row; of each block */
    uint32_t scale, minima;
};
RT_CHECKED rt_status fmt_weight_block_row(struct fmt_model *model, const char *name,
                                          uint32_t row, struct fmt_block_row *out);
/* Which column of the matrix lies in each column of the device layout, order[in]; *moved
 * is false, and the order 0, 1, 2 ..., but for packed weights in activation order, whose
 * groups are brought together. */
RT_CHECKED rt_status fmt_weight_order(struct fmt_model *model, const char *name,
                                      uint32_t in, uint32_t *order, bool *moved);
/* Puts `rows` rows of it, from `first` (a multiple of 8) on, at row0 of a zeroed weight of
 * shape `dest` (same bits, group, form, in), columns in that order. `codes` has
 * rt_weight_code_bytes, `scales` rt_weight_scale_bytes: floats, halves or bytes, as the
 * form says. */
RT_CHECKED rt_status fmt_weight_load(struct fmt_model *model, const char *name,
                                     const struct rt_weight_shape *dest, uint32_t row0,
                                     uint32_t first, uint32_t rows, uint32_t *codes,
                                     void *scales);
/* The same weight as plain floats [out][in], decoded, columns as the model has them. */
RT_CHECKED rt_status fmt_weight_floats(struct fmt_model *model, const char *name,
                                       uint32_t out, uint32_t in, float *values);

/* SHA-256, hexadecimal: over config.json and all tensors in name order, or of a GGUF
 * file's bytes (of all parts in order). */
RT_CHECKED rt_status fmt_model_hash(struct fmt_model *model, char hex[65]);

#endif

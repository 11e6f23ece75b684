/* runtime/format/checkpoint_impl.h
 * Private to checkpoint*.c: where the tensors of a model come from, as a row of
 * functions. Their contracts are those of checkpoint.h; names are Hugging Face's. */
#ifndef RUNTIME_FORMAT_CHECKPOINT_IMPL_H
#define RUNTIME_FORMAT_CHECKPOINT_IMPL_H

#include "runtime/format/checkpoint.h"
#include "runtime/format/gguf_model.h"
#include "runtime/format/packed.h"
#include "runtime/format/quant_rules.h"
#include "runtime/base/hash_cache.h"

struct fmt_source;

struct fmt_model {
    const struct fmt_source *source;
    struct rt_ctx *ctx; /* borrowed */
    char *path;
    bool wide;                /* fmt_model_widen */
    bool float_inputs;        /* fmt_model_float_inputs */
    struct fmt_config config; /* tensors only: nothing but its quantization */
    /* a folder */
    struct fmt_safetensors file;
    struct fmt_quant_rules rules; /* beside config.quantization */
    bool warned;                  /* that the zero points are labelled wrongly */
    /* a GGUF file */
    struct fmt_gguf gguf;
    const struct fmt_gguf_arch *arch; /* null: none that is supported, tensors only */
    bool own_names;                   /* tensors go by the file's own names too */
};

struct fmt_source {
    rt_status (*open)(struct fmt_model *m, bool whole); /* whole: the config too */
    void (*close)(struct fmt_model *m);
    bool (*exists)(const struct fmt_model *m, const char *name);
    uint64_t (*count)(const struct fmt_model *m, const char *name);
    rt_status (*floats)(struct fmt_model *m, const char *name, uint64_t count,
                        float *out);
    bool (*at)(const struct fmt_model *m, uint32_t i, struct fmt_tensor_info *info);
    bool (*has_head)(const struct fmt_model *m); /* asked where it is not tied */
    uint64_t (*bytes)(const struct fmt_model *m);
    rt_status (*size)(struct fmt_model *m, const char *name, uint32_t *out, uint32_t *in);
    /* Of a matrix whose size was checked: bits, group and form only. */
    rt_status (*form)(struct fmt_model *m, const char *name,
                      struct rt_weight_shape *shape);
    rt_status (*stored)(struct fmt_model *m, const char *name, struct fmt_stored *out);
    rt_status (*order)(struct fmt_model *m, const char *name, uint32_t in,
                       uint32_t *order, bool *moved);
    rt_status (*load)(struct fmt_model *m, const char *name,
                      const struct rt_weight_shape *dest, uint32_t row0, uint32_t first,
                      uint32_t rows, uint32_t *codes, void *scales);
    rt_status (*matrix)(struct fmt_model *m, const char *name, uint32_t out, uint32_t in,
                        float *values);
    rt_status (*hash)(struct fmt_model *m, struct sha256 *hash);
    /* Adds the state of every file that the hash covers. */
    rt_status (*stamp)(struct fmt_model *m, struct fmt_hash_key *key);
    rt_status (*scales)(struct fmt_model *m, const char *name, struct fmt_scales *out);
    /* NULL: floats. */
    rt_status (*inputs)(struct fmt_model *m, const char *name, enum fmt_inputs *inputs,
                        float *scale);
};

extern const struct fmt_source fmt_source_folder, fmt_source_gguf;

/* Whether a module of a folder is packed; its settings are not checked. */
bool fmt_folder_is_packed(const struct fmt_model *m, const char *name);
/* Opens such a module; fmt_source.scales of folders. */
RT_CHECKED rt_status fmt_folder_open_packed(struct fmt_model *m, const char *name,
                                            struct fmt_packed *p);
RT_CHECKED rt_status fmt_folder_scales(struct fmt_model *m, const char *name,
                                       struct fmt_scales *out);
/* Gives the tensors of a folder the names of its config's model and settles whether the
 * head is the embedding, also in the config. RT_ERR_INPUT: something that the index
 * promises and the model needs is missing. */
RT_CHECKED rt_status fmt_names_settle(struct fmt_model *m);
/* RT_ERR_INPUT: a value is not finite. */
RT_CHECKED rt_status fmt_check_finite(struct fmt_model *m, const char *name,
                                      const float *values, uint64_t count);
/* Row `row` of 16- or 32-bit values [dest->in] into the device layout. `halves` are the
 * bits of the former. */
void fmt_put_float_row(const struct rt_weight_shape *dest, uint32_t *codes, uint32_t row,
                       const float *values, const uint8_t *halves);

/* Loads and decodes packed matrices whose codes stand for floats (fmt_packed.levels), as
 * `load` and `matrix` do. RT_ERR_INPUT: a value is not finite. */
RT_CHECKED rt_status fmt_levels_load(struct fmt_model *m, const struct fmt_packed *p,
                                     const struct rt_weight_shape *dest, uint32_t row0,
                                     uint32_t first, uint32_t rows, uint32_t *codes,
                                     void *scales);
RT_CHECKED rt_status fmt_levels_floats(struct fmt_model *m, const struct fmt_packed *p,
                                       float *values);

#endif

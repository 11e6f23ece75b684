/* pipeline/run/model_info.h
 * What a model folder or file holds, and what of it fits on which device, from its headers
 * alone. */
#ifndef PIPELINE_RUN_MODEL_INFO_H
#define PIPELINE_RUN_MODEL_INFO_H

#include "runtime/device/device.h"

enum {
    PIPE_MODEL_KINDS = 9, /* of matrices: those of a layer, the embedding, the head */
    PIPE_MODEL_FORMS_MAX = 4,
    PIPE_MODEL_EOS_MAX = 8, /* as the config has */
    PIPE_MODEL_CONTEXTS_MAX = 4,
    PIPE_MODEL_SLOTS_MAX = 64, /* requests at once that are counted at most */
};

/* One way in which matrices of a kind are stored. */
struct pipe_model_form {
    char text[64];
    uint32_t count;      /* matrices */
    double file, packed; /* bytes in files; on devices that keep that form */
};

/* The matrices of one kind over all layers; more forms than fit are counted in the last.
 * No form: a head that is the embedding. */
struct pipe_model_kind {
    const char *name;
    struct pipe_model_form forms[PIPE_MODEL_FORMS_MAX];
    uint32_t form_count;
    uint64_t weights;
};

/* Bytes of a model on a device. */
struct pipe_model_bytes {
    uint64_t projections, tables, rest, all;
};

struct pipe_model_sizes; /* private */

struct pipe_model_info {
    const char *family; /* as its config names it */
    uint32_t layers, hidden, ffn, heads, kv_heads, head_dim, vocab, max_positions;
    const char *rope;
    double rope_theta;
    uint32_t eos[PIPE_MODEL_EOS_MAX], eos_count;
    char licence[64]; /* empty: the model does not say */
    struct pipe_model_kind kinds[PIPE_MODEL_KINDS];
    uint64_t file_bytes;
    /* Packed weights as they are; widened, as CPUs read them faster. */
    struct pipe_model_bytes packed, wide;
    struct pipe_model_sizes *sizes; /* owned, for pipe_model_fits */
};
/* RT_ERR_INPUT: it cannot be read. Free with pipe_model_info_deinit in any case. */
RT_CHECKED rt_status pipe_model_info_read(struct rt_ctx *ctx, const char *path,
                                          struct pipe_model_info *out);
void pipe_model_info_deinit(struct pipe_model_info *info);

/* How many tokens of prompt and answer each request may have; at most four choices, within
 * the model's positions. Returns how many there are. */
uint32_t pipe_model_contexts(const struct pipe_model_info *info,
                             uint32_t contexts[PIPE_MODEL_CONTEXTS_MAX]);

/* The largest engine for requests of this context beside the model whose cache holds all of
 * them in full. */
struct pipe_model_fit {
    uint32_t context;
    uint32_t requests; /* 0: not even one */
    uint32_t pages;    /* of the cache */
};

struct pipe_model_on_device {
    char name[64];
    const char *kv;   /* what its cache holds */
    bool serves_head; /* false: it has no kernels for the model's heads, nothing fits */
    uint64_t memory_bytes, weight_bytes;
    struct pipe_model_fit fits[PIPE_MODEL_CONTEXTS_MAX];
    uint32_t fit_count;
};

struct pipe_model_fits_options {
    struct rt_plan_options plan;
    const char *device;       /* part of a name; NULL: every usable device */
    const uint32_t *contexts; /* count of them, at most PIPE_MODEL_CONTEXTS_MAX */
    uint32_t context_count;
};
/* What fits on each device, in fresh memory (rt_free). RT_ERR_NO_DEVICE: no usable device
 * has that name. */
RT_CHECKED rt_status pipe_model_fits(struct rt_ctx *ctx,
                                     const struct pipe_model_info *info,
                                     const struct pipe_model_fits_options *options,
                                     struct pipe_model_on_device **out, uint32_t *count);

#endif

/* runtime/model/model_layout.h
 * Where the parts of a model lie on a device and what they take there, known from
 * config.json and the headers of its files alone: nothing is allocated on a device. */
#ifndef RUNTIME_MODEL_MODEL_LAYOUT_H
#define RUNTIME_MODEL_MODEL_LAYOUT_H

#include "runtime/model/model.h"

/* One matrix of a group, as its file has it. */
struct model_part {
    char name[128]; /* "model.layers.3.self_attn.q_proj" */
    struct rt_weight_shape shape;
    uint32_t *order; /* [in], memory of the caller */
    bool moved;      /* the order is not 0, 1, 2 ... */
};

/* Shapes of the four groups, the same for every layer. */
void model_group_shapes(const struct fmt_config *config,
                        struct model_group_shape shape[MODEL_GROUP_COUNT]);
/* Words that the orders of the parts of a group need: MODEL_PARTS_MAX rows of the
 * widest input. */
uint32_t model_order_stride(const struct model_group_shape shape[MODEL_GROUP_COUNT]);
/* Parts of a group of a layer, and the runs they make: sizes only, no buffers. `order`
 * is [MODEL_PARTS_MAX][stride]. */
RT_CHECKED rt_status model_plan_group(struct fmt_model *file,
                                      const struct model_group_shape *shape,
                                      uint32_t layer, uint32_t *order, uint32_t stride,
                                      struct model_part parts[MODEL_PARTS_MAX],
                                      struct model_runs *runs);
/* Whether config.json gives the projections of a group biases. */
bool model_has_bias(const struct fmt_config *config, enum model_group g);

/* Bytes on a device. */
struct model_size {
    struct fmt_config config;
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    uint64_t projections; /* of all layers */
    uint64_t tables;      /* embedding, and head if it is separate */
    uint64_t rest;        /* norms, biases, column orders */
    uint64_t file;        /* of the tensors in the files */
    uint64_t decoded;     /* the largest packed weight in 32 bits: scratch of a pass */
    uint32_t ld_columns;  /* as in struct rt_model */
};

RT_CHECKED rt_status rt_model_size(struct rt_ctx *ctx, struct fmt_model *file,
                                   struct model_size *out);
/* All of it for contexts of `positions` tokens. */
uint64_t model_size_bytes(const struct model_size *size, uint32_t positions);
/* Of the buffer that holds one decoded weight at a time, sized for the largest packed one:
 * as model_size.decoded. Passes of plans that decode have it (rt_plan.decode_rows). */
uint64_t model_decoded_bytes(const struct rt_model *model);
/* Of the activations of one pass of `rows` rows without adapter (model_pass_init), without
 * the buffer of a decoded weight. */
uint64_t model_pass_bytes(const struct fmt_config *config,
                          const struct model_group_shape shape[MODEL_GROUP_COUNT],
                          uint32_t ld_columns, uint32_t rows);

#endif

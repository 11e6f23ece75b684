/* runtime/model/model_layout.h
 * Where the parts of a model lie on a device and what they take there, known from
 * config.json and the headers of its files alone: nothing is allocated on a device. */
#ifndef RUNTIME_MODEL_MODEL_LAYOUT_H
#define RUNTIME_MODEL_MODEL_LAYOUT_H

#include "runtime/model/model.h"
#include "runtime/op/weight.h"

/* Shapes of the four groups, the same for every layer. */
void model_group_shapes(const struct fmt_config *config,
                        struct model_group_shape shape[MODEL_GROUP_COUNT]);

/* Bytes on a device. */
struct model_size {
    struct fmt_config config;
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    uint64_t projections; /* of all layers */
    uint64_t tables;      /* embedding, and head if it is separate */
    uint64_t rest;        /* norms, biases, column orders */
    uint64_t file;        /* of the tensors in the files */
    uint64_t decoded;     /* the largest packed weight in 32 bits: scratch of a pass */
    double linear_weights, stored_bits; /* of the projections; what they take in files */
    uint32_t ld_columns;         /* of inputs in a stored order; 0: no weight has one */
    uint32_t ld_int8;            /* of inputs in 8 bits, words; 0: all stay floats */
    struct rt_weight_shape head; /* of the head, or of the embedding if they are one */
    /* Stored inputs of the first weight of each group, of all layers together. */
    uint64_t in_pads[MODEL_GROUP_COUNT];
};

/* Opens a folder or GGUF file, with its weights in the forms that the device's plan reads. */
RT_CHECKED rt_status rt_model_file_open(struct rt_device *dev, const char *path,
                                        struct fmt_model **out);
/* The group that a matrix is in, and its place there. */
enum model_group model_group_of(const struct model_group_shape shape[MODEL_GROUP_COUNT],
                                enum fmt_module module, uint32_t *part);
RT_CHECKED rt_status rt_model_size(struct rt_ctx *ctx, struct fmt_model *file,
                                   struct model_size *out);
/* Rows of a table that a device binds at once, in 32 bits too; a multiple of 64. */
uint32_t model_table_rows(const struct rt_plan *plan,
                          const struct rt_weight_shape *table);
/* All of it for contexts of `positions` tokens. */
uint64_t model_size_bytes(const struct model_size *size, uint32_t positions);
/* Of a streamed model, a layer and a decoded weight of it included, for contexts of
 * RT_POSITIONS_DEFAULT tokens. */
uint64_t model_size_streamed(const struct model_size *size);
/* Of the activations of one pass of `rows` rows without adapter (model_pass_init), without
 * the buffer of a decoded weight. ld_columns: of inputs in a stored order and in 8 bits. */
uint64_t model_pass_bytes(const struct fmt_config *config,
                          const struct model_group_shape shape[MODEL_GROUP_COUNT],
                          uint32_t ld_columns, uint32_t rows);

#endif

/* runtime/model/model.h
 * A Llama-style decoder on a device, and LoRA adapters for it: loading them, and what
 * they tell about themselves. What they are made of, and the forward pass, are in
 * model_impl.h, for the folders of runtime that record passes.
 *
 * The linear projections of a layer are four groups; the matrices of a group read
 * the same input, and their outputs lie side by side, each part padded to 64 rows:
 *   QKV [q | k | v], O [o], GATE_UP [gate | up], DOWN [down]. */
#ifndef RUNTIME_MODEL_MODEL_H
#define RUNTIME_MODEL_MODEL_H

#include "runtime/device/device.h"
#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"

struct rt_model;
struct rt_adapter;

enum model_group { MODEL_QKV, MODEL_O, MODEL_GATE_UP, MODEL_DOWN, MODEL_GROUP_COUNT };

enum { MODEL_PARTS_MAX = 3 };

/* Where the matrices of a group lie in its weight; the same for every layer. */
struct model_group_shape {
    uint32_t parts;
    enum fmt_module module[MODEL_PARTS_MAX];
    uint32_t out[MODEL_PARTS_MAX];  /* real rows of each part */
    uint32_t row0[MODEL_PARTS_MAX]; /* first row of each part, a multiple of 64 */
    uint32_t in;                    /* real columns */
    uint32_t out_pad;               /* rows of the whole, a multiple of 64 */
    uint32_t ld_in, ld_out;         /* strides of the row buffers it reads and writes */
};

enum { RT_POSITIONS_DEFAULT = 4096 };
/* Loads a folder or GGUF file (fmt_model_open) onto a device. `positions` is the longest context
 * that will be used; 0: the model's own maximum, at most RT_POSITIONS_DEFAULT. */
RT_CHECKED rt_status rt_model_load(struct rt_device *dev, const char *folder,
                                   uint32_t positions, struct rt_model **out);
void rt_model_destroy(struct rt_model **model);
/* The same without layers, embedding and head on the device: for work that takes one layer
 * after the other (runtime/observe/moments.h). */
RT_CHECKED rt_status rt_model_load_streamed(struct rt_device *dev, const char *folder,
                                            uint32_t positions, struct rt_model **out);
bool rt_model_is_streamed(const struct rt_model *model);
/* Puts a layer of a streamed model on the device, which holds none of that number, and
 * takes it from there. `from`: another model of the same sizes that has the tensors; those
 * that it lacks, and all if it is NULL, are the model's own. */
RT_CHECKED rt_status rt_model_layer_load(struct rt_model *model, uint32_t layer,
                                         struct fmt_model *from);
void rt_model_layer_drop(struct rt_model *model, uint32_t layer);

/* Puts the embedding of a streamed model on the device, if it is not there, and takes it
 * from there. Other models have theirs, and keep it. */
RT_CHECKED rt_status rt_model_embedding_load(struct rt_model *model);
void rt_model_embedding_drop(struct rt_model *model);

struct rt_device *rt_model_device(const struct rt_model *model); /* the one it is on */
const struct fmt_config *rt_model_config(const struct rt_model *model);
const char *rt_model_hash(const struct rt_model *model); /* fmt_model_hash, hexadecimal */
/* How it is quantized (fmt_model_stored); empty: floats. */
const char *rt_model_stored(const struct rt_model *model);
/* The longest context it serves, tokens. */
uint32_t rt_model_positions(const struct rt_model *model);
/* Device bytes of all weights. */
uint64_t rt_model_weight_bytes(const struct rt_model *model);
/* Elements of the projections of all layers, and what one takes: codes, scales, zeros. */
double rt_model_linear_weights(const struct rt_model *model);
double rt_model_bits_per_weight(const struct rt_model *model);

/* ---- models made of two ---- */

/* A model with the weights of `base`, which it borrows. Then it takes the weights of single
 * groups from others of the same sizes on the same device; biases and norms stay. Both must
 * outlive it. It is never given to rt_model_destroy. */
RT_CHECKED rt_status rt_model_hybrid_create(struct rt_model *base, struct rt_model **out);
void rt_model_hybrid_take(struct rt_model *hybrid, const struct rt_model *from,
                          uint32_t layer, enum model_group group);
/* Loads the matrices of one group anew, part p from file[p], so that parts of two files stand
 * beside each other. The hybrid owns them; once per hybrid. The files are of its sizes. */
RT_CHECKED rt_status rt_model_hybrid_load(struct rt_model *hybrid, uint32_t layer,
                                          enum model_group group,
                                          struct fmt_model *const file[MODEL_PARTS_MAX]);
void rt_model_hybrid_destroy(struct rt_model **hybrid);

/* ---- adapters ---- */

/* Puts an adapter (read from PEFT or made by us) on the model's device. Takes
 * ownership of `source`, also on failure. trainable adds what backward needs. */
RT_CHECKED rt_status rt_adapter_create(struct rt_model *model, struct fmt_adapter *source,
                                       bool trainable, struct rt_adapter **out);
/* A PEFT folder (fmt_adapter_read) on the model's device, for inference. RT_ERR_INPUT too
 * where it says that it was trained on other weights than the model's. */
RT_CHECKED rt_status rt_adapter_load(struct rt_model *model, const char *folder,
                                     struct rt_adapter **out);
void rt_adapter_destroy(struct rt_adapter **adapter);
/* Copies the device's parameters back into `source` (after training), for
 * fmt_adapter_write. */
RT_CHECKED rt_status rt_adapter_download(struct rt_adapter *adapter);
/* The other way: `source` into the device's parameters and the packed copies; waits. */
RT_CHECKED rt_status rt_adapter_upload(struct rt_adapter *adapter);
/* Ranks, scales and values as read or made; the adapter owns it. */
const struct fmt_adapter *rt_adapter_source(const struct rt_adapter *adapter);
/* Floats of the parameters on the device, with padding. */
uint64_t rt_adapter_param_floats(const struct rt_adapter *adapter);

#endif

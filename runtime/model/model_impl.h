/* runtime/model/model_impl.h
 * Private to runtime: what a model and an adapter are made of, and the forward pass as a
 * list of ops. The families differ by data (struct fmt_config and its family row), never
 * by branches here.
 *
 * Parts of a group (model.h) that are stored alike are one weight (a run), multiplied at
 * once: all of a group in most models, fewer where a file mixes widths or, with GPTQ's
 * activation order, sorts the columns of each matrix in its own way. */
#ifndef RUNTIME_MODEL_MODEL_IMPL_H
#define RUNTIME_MODEL_MODEL_IMPL_H

#include "runtime/model/model.h"
#include "runtime/model/model_layout.h"
#include "runtime/op/weight.h"

/* A weight on the device. */
struct model_weight {
    struct rt_weight_shape shape;
    struct rt_buffer *codes;
    struct rt_buffer *scales; /* null for float rows */
    /* Where columns are stored in another order than they are multiplied in (act-order):
     * uint [ld_in], the input column of each stored one, and the way back; columns that
     * are padding have 0xffffffff. Null: as they are. */
    struct rt_buffer *order, *inverse;
    /* Inputs are rounded to 8 bits and multiplied as whole numbers (matmul_w8a8), by a scale
     * per row, or by the float of `given`. */
    bool int8;
    struct rt_buffer *given; /* null: a scale per row */
};

enum { MODEL_TABLE_PARTS_MAX = 32 };

/* A [vocab][hidden] matrix: the embedding or the head. In parts of whole rows, so that no
 * part, nor its copy in floats, exceeds what the device binds at once. */
struct model_table {
    struct rt_weight_shape shape; /* of the whole */
    uint32_t part_rows;           /* of every part but the last; a multiple of 64 */
    uint32_t count;
    struct model_weight part[MODEL_TABLE_PARTS_MAX];
};

/* Rows of a group in one weight: from row0 of the group on, weight.shape.out_pad of them.
 * part0 is the first part that has rows in it, `parts` how many have: whole parts that are
 * stored alike, or, of a weight that exceeds what the device binds, what fits. */
struct model_run {
    uint32_t part0, parts;
    uint32_t row0; /* a multiple of RT_WEIGHT_OUT_PAD */
    struct model_weight weight;
};

enum { MODEL_RUNS_MAX = 16 };

struct model_runs {
    uint32_t count;
    struct model_run run[MODEL_RUNS_MAX];
};

struct model_layer {
    struct model_runs group[MODEL_GROUP_COUNT];
    struct rt_buffer *bias[MODEL_GROUP_COUNT];   /* float [out_pad], null: none */
    struct rt_buffer *norm_attention, *norm_ffn; /* float [hidden] */
    struct rt_buffer *norm_q, *norm_k;           /* float [head_dim], null: none */
};

struct rt_model {
    struct rt_device *dev; /* borrowed */
    struct fmt_config config;
    char hash[65];    /* content hash (fmt_model_hash), hexadecimal */
    char stored[128]; /* how it is quantized (fmt_model_stored); empty: floats */
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    struct model_layer *layers; /* config.layers of them */
    struct model_table embed;
    struct model_table head; /* borrows embed's buffers where tied */
    struct rt_buffer *norm_final;
    struct rt_buffer *rope_table; /* float [positions][head_dim/2][2]: gain cos, sin */
    uint32_t positions;           /* longest context the table serves */
    struct rt_buffer *none;       /* small: stands for bindings that are switched off */
    uint32_t ld_hidden, ld_vocab; /* row strides, floats */
    uint32_t ld_int8;       /* of inputs as rows of 8 bits, words; 0: all stay floats */
    uint32_t ld_columns;    /* of inputs in a stored order; 0: no weight has one */
    uint64_t weight_bytes;  /* device bytes of all weights */
    double linear_weights;  /* elements of the projections of all layers */
    double bits_per_weight; /* of the projections: codes, scales, zeros */
    /* The files, open, of a model whose layers come and go (rt_model_load_streamed); NULL:
     * all layers are loaded. */
    struct fmt_model *stream;
    struct model_runs *loaded; /* of a hybrid: a group that it owns; NULL: none */
    uint64_t stream_decoded; /* bytes, as model_decoded_bytes of all layers, any format */
};

/* ---- where its weights lie ---- */

/* One matrix of a group, as its file has it. */
struct model_part {
    char name[128]; /* "model.layers.3.self_attn.q_proj" */
    struct rt_weight_shape shape;
    uint32_t *order; /* [in], memory of the caller */
    bool moved;      /* the order is not 0, 1, 2 ... */
    enum fmt_inputs inputs;
    float input_scale; /* FMT_INPUTS_GIVEN */
};

/* Words that the orders of the parts of a group need: MODEL_PARTS_MAX rows of the
 * widest input. */
uint32_t model_order_stride(const struct model_group_shape shape[MODEL_GROUP_COUNT]);
/* Parts of a group of a layer, and the runs they make: sizes only, no buffers. `order`
 * is [MODEL_PARTS_MAX][stride]. dev: whose bindings the runs fit; NULL: they may have
 * any size. */
RT_CHECKED rt_status model_plan_group(struct fmt_model *file, struct rt_device *dev,
                                      const struct model_group_shape *shape,
                                      uint32_t layer, uint32_t *order, uint32_t stride,
                                      struct model_part parts[MODEL_PARTS_MAX],
                                      struct model_runs *runs);
/* Adds runs of parts [part0, part1), which are stored alike. dev: as above. */
RT_CHECKED rt_status model_add_runs(struct rt_device *dev,
                                    const struct model_group_shape *shape,
                                    const struct model_part *parts, uint32_t part0,
                                    uint32_t part1, struct model_runs *runs);
/* The rows of a part that lie in a run: the first of the part's own, and the first in the
 * run; returns how many. */
uint32_t model_rows_in_run(const struct model_group_shape *shape,
                           const struct model_run *run, uint32_t part, uint32_t *of_part,
                           uint32_t *of_run);
/* Words of a row of inputs in 8 bits of a weight: codes and the texel of the scale. */
uint32_t model_int8_words(const struct rt_weight_shape *shape);
/* Passes that are made from now on have room for such rows of any layer: one that is loaded
 * later may need them. */
void model_expect_int8(struct rt_model *model);
/* Whether config.json gives the projections of a group biases. */
bool model_has_bias(const struct fmt_config *config, enum model_group g);
/* From now on weights of a file have the forms that the device's plan reads. */
void model_file_forms(struct fmt_model *file, struct rt_device *dev);
/* Logs how the inputs of a folder that was made for 8 bits are taken. */
void model_tell_inputs(const struct rt_model *m, const char *folder);
/* Frees the weights of a group. */
void model_runs_destroy(struct model_runs *runs);
/* The table of angles for the positions that a model serves. */
RT_CHECKED rt_status model_make_rope(struct rt_model *model);
/* Device bytes of the buffer that holds one decoded weight at a time, sized for the largest packed one:
 * as model_size.decoded. Passes of plans that decode have it (rt_plan.decode_rows). */
uint64_t model_decoded_bytes(const struct rt_model *model);

/* ---- adapters ---- */

/* One fused LoRA pair of a layer's group:  y += (x A'^T) B^T per part, A' = scale A.
 * Ranks of a group are padded to its largest, then to a multiple of 8, with zeros. */
struct model_lora {
    uint32_t rank;                /* 0: the group has no adapter */
    uint32_t ld_u;                /* row stride of x A'^T, floats */
    float scale[MODEL_PARTS_MAX]; /* alpha / r or alpha / sqrt(r) of each part */
    /* Offsets into the parameter buffer, floats: per part a [rank][in] and bt
     * [rank][out], the transpose of B, so that both gradients are the same op. The
     * a of all parts follow each other without a gap: one [parts*rank][in]. */
    uint64_t a, bt[MODEL_PARTS_MAX];
    /* Packed copies the kernels read, made from params by the pack list. */
    struct rt_buffer *a_k4; /* 32-bit weight [parts*rank][in] */
    struct rt_buffer *b_k4; /* 32-bit weight [out_pad][rank] */
    struct rt_buffer
        *bt_k4[MODEL_PARTS_MAX]; /* 32-bit weight [rank][out]; trainable only */
    struct rt_weight_shape a_shape, b_shape, bt_shape[MODEL_PARTS_MAX];
};

struct rt_adapter {
    struct rt_model *model;     /* borrowed; whose shapes it fits */
    struct model_lora *lora;    /* [layers][MODEL_GROUP_COUNT] */
    struct rt_buffer *params;   /* float, all A and Bt, flat; every matrix 64-aligned */
    uint64_t param_floats;      /* stored, with padding */
    struct fmt_adapter *source; /* owned: ranks, scales, values as read or made */
    bool trainable;
    struct rt_list *pack; /* refreshes the packed copies from params */
};

/* Copies a buffer laid out as params (a gradient) into an adapter of the same shapes. */
RT_CHECKED rt_status model_adapter_read(const struct rt_adapter *adapter,
                                        struct rt_buffer *from, struct fmt_adapter *out);
/* Records the refresh of the packed copies from params. */
void model_record_pack(const struct rt_adapter *adapter, struct rt_list *list);
const struct model_lora *model_lora_of(const struct rt_adapter *adapter, uint32_t l,
                                       enum model_group g); /* null where none */

/* ---- the forward pass ---- */

/* Sees the input of every group while its layer is recorded. x holds `rows` rows of ldx
 * floats between the ops recorded before the call and those recorded after it; later ops
 * may reuse the buffer. What `input` records runs in that place. */
struct model_tap {
    void (*input)(void *user, struct rt_list *list, enum model_group group, uint32_t rows,
                  struct rt_slice x, uint32_t ldx); /* null: nobody looks */
    void *user;                                     /* borrowed, handed to input */
};

/* Activations of one pass of at most `rows` rows, allocated once. */
struct model_pass {
    struct rt_model *model;     /* borrowed */
    struct rt_adapter *adapter; /* borrowed, null: none */
    uint32_t rows;              /* capacity, a multiple of 64 */
    bool keep;                  /* backward follows: norm2 and each u keep their values */
    /* The role of the rows that are recorded from now on allows rounded products; false
     * after model_pass_init. */
    bool may_round;
    struct rt_buffer *ids;          /* UPLOAD uint [rows] */
    struct rt_buffer *rope_meta;    /* UPLOAD uint [rows][4], see shaders/push.h */
    struct rt_buffer *att_meta;     /* UPLOAD uint [rows][4] */
    struct rt_buffer *mid;          /* residual after attention [rows][ld_hidden] */
    struct rt_buffer *norm, *norm2; /* inputs of QKV and of GATE_UP */
    struct rt_buffer *qkv, *att, *gate_up, *act; /* outputs of each stage */
    struct rt_buffer *raw; /* keep, with q/k norms: qkv before them; else null */
    uint32_t ld_att;       /* keep: twice as wide, the gradient beside the value */
    struct rt_buffer *u[MODEL_GROUP_COUNT]; /* LoRA x A'^T */
    struct rt_buffer *lse;                  /* float [rows][heads] */
    struct rt_buffer *columns; /* input in a stored order [rows][ld_columns], or null */
    struct rt_buffer *int8;    /* input in 8 bits [rows][ld_int8], null: none is */
    struct rt_buffer *decoded; /* one weight in 32 bits, NULL: products decode */
    struct model_tap tap;      /* none after model_pass_init */
};

RT_CHECKED rt_status model_pass_init(struct model_pass *pass, struct rt_model *model,
                                     struct rt_adapter *adapter, uint32_t rows,
                                     bool keep);
void model_pass_deinit(struct model_pass *pass);

/* Keys and values of a layer: the pass's own qkv rows (kv null), or a paged cache. */
struct model_cache {
    struct rt_buffer *kv;    /* [pages * page][ld]: K then V of a token */
    struct rt_buffer *table; /* UPLOAD uint, page table */
    uint32_t page, ld;
    bool halves; /* else floats */
};

/* Records x = embedding of the pass's ids. */
void model_record_embed(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                        struct rt_buffer *x);
/* Records layer `l` from `in` to `out` ([rows][ld_hidden], may be the same buffer). */
void model_record_layer(struct model_pass *pass, struct rt_list *list, uint32_t l,
                        uint32_t rows, const struct model_cache *cache,
                        struct rt_buffer *in, struct rt_buffer *out);
/* Records y = x W^T of one group of layer `l`, with what belongs to it: adapter, bias,
 * residual (null: none). */
void model_record_group(struct model_pass *pass, struct rt_list *list, uint32_t l,
                        enum model_group g, uint32_t rows, struct rt_slice x,
                        uint32_t ldx, struct rt_buffer *residual, struct rt_buffer *y);
/* Records y = rmsnorm(x) with the final norm; logits = y head^T. */
void model_record_final_norm(const struct rt_model *model, struct rt_list *list,
                             uint32_t rows, struct rt_slice x, struct rt_slice y);
void model_record_head(const struct rt_model *model, struct rt_list *list, uint32_t rows,
                       struct rt_slice y, struct rt_slice logits);
/* Records y = x[index], rows of ld_hidden floats; index 0xffffffff gives zeros. */
void model_record_gather(const struct rt_model *model, struct rt_list *list,
                         uint32_t rows, struct rt_slice index, struct rt_slice x,
                         struct rt_slice y);

struct rt_slice model_slice(struct rt_buffer *buffer);
struct rt_slice model_slice_at(struct rt_buffer *buffer, uint64_t offset_bytes);
/* Creates a named buffer on the model's device. */
RT_CHECKED rt_status model_buffer(struct rt_device *dev, const char *name, uint64_t bytes,
                                  enum rt_memory memory, struct rt_buffer **out);

/* True if a group is one weight with its columns in order: its adapter is part of the
 * same product in the backward pass. */
bool model_group_is_plain(const struct model_runs *group);
/* Records what decodes a packed weight to 32 bits into `decoded`. */
void model_record_decode(const struct rt_model *model, struct rt_list *list,
                         const struct model_weight *weight, struct rt_buffer *decoded);
/* Records y (+)= x with its columns taken in the order of `index`, `cols` of them. */
void model_record_columns(struct rt_list *list, uint32_t rows, uint32_t cols,
                          struct rt_buffer *index, struct rt_slice x, uint32_t ldx,
                          struct rt_slice y, uint32_t ldy, uint32_t offy,
                          bool accumulate);

/* Records the rotation of q and k by their positions, in place in `qkv` (rows of the group
 * MODEL_QKV); inverse: back, for gradients. With pages in `cache` (null: no cache) keys
 * and values are stored there. */
void model_record_rope(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                       struct rt_buffer *qkv, const struct model_cache *cache,
                       bool inverse);

/* The norm of the heads of q, or of k: which columns of a QKV row it takes. */
struct model_head_norm {
    uint32_t heads, ld, offset; /* floats per row; first column */
    struct rt_slice weight;     /* float [head_dim] */
};

/* q's and k's norms of a layer. Returns how many: 2, or 0 if the family has none. */
uint32_t model_head_norms(const struct rt_model *model, const struct model_layer *layer,
                          struct model_head_norm out[2]);

/* FLOPs of a forward pass over `tokens` tokens at a mean context of `keys` keys, with
 * `head_rows` rows of logits, adapter (null: none) included. */
double model_forward_flops(const struct rt_model *model, const struct rt_adapter *adapter,
                           double tokens, double keys, double head_rows);

#endif

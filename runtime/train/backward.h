/* runtime/train/backward.h
 * Private to runtime/train: the buffers of a backward pass and its recording. */
#ifndef RUNTIME_TRAIN_BACKWARD_H
#define RUNTIME_TRAIN_BACKWARD_H

#include "runtime/train/scales_impl.h"

/* Everything a backward pass needs beside a keeping model_pass; allocated once. */
struct backward {
    struct model_pass *pass; /* borrowed, keep is set, has the adapter if there is one */
    const struct rt_scales *scales; /* borrowed, NULL: they are not trained */
    struct rt_buffer **x;    /* [layers + 1] inputs of each layer and the last output */
    struct rt_buffer *g;     /* gradient of the residual stream [rows][ld_hidden] */
    struct rt_buffer *dnorm; /* gradient of a norm's output */
    struct rt_buffer *dqkv, *dgate_up, *dact;
    struct rt_buffer *delta;       /* float [rows][heads] */
    struct rt_buffer *du;          /* gradient of x A'^T, the widest group */
    struct rt_buffer *grads;       /* like the adapter's params; NULL: there is none */
    struct rt_buffer *scale_grads; /* like the params of scales; NULL: as scales */
    struct rt_buffer *segments;    /* of the weight whose scales are at work */
};

/* scales: NULL, or those of the pass' model. */
RT_CHECKED rt_status backward_init(struct backward *b, struct model_pass *pass,
                                   const struct rt_scales *scales);
void backward_deinit(struct backward *b);
/* Records layers 0 .. layers-1 forward into b->x. */
void backward_record_forward(struct backward *b, struct rt_list *list, uint32_t rows);
/* Records layers-1 .. 0: recompute of each layer, then gradients. On entry b->g holds
 * the gradient of b->x[layers]; adds to b->grads, writes b->scale_grads. */
void backward_record(struct backward *b, struct rt_list *list, uint32_t rows);
/* Where dX (+)= dY W reads and writes; accumulate: dX is added to. */
struct backward_product {
    struct rt_slice dy, dx;
    uint32_t lddy, offdy, lddx, offdx;
    bool accumulate;
};

/* dX = dY W of a frozen weight: in place for few rows and on GPUs (rt_plan_decodes_back),
 * else through `scratch`, a decoded copy, which software devices are faster with from about
 * 32 rows on. lora: its a on top, from du; null: none. Columns come in the order in which
 * the weight stores them. */
void backward_record_weight(const struct rt_model *m, struct rt_list *list, uint32_t rows,
                            const struct model_weight *w, struct rt_buffer *scratch,
                            const struct model_lora *lora, struct rt_buffer *du,
                            const struct backward_product *product);

#endif

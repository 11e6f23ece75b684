#include "runtime/op/op.h"

#include "runtime/weight.h"

#include <string.h>

const struct rt_op_info rt_op_table[RT_OP_COUNT] = {
#define OP(name, bindings) \
    { #name, bindings, sizeof(bindings) - 1, sizeof(struct name##_push) },
#include "shaders/ops.def"
#undef OP
};

/* Bytes of codes and scales of a weight. */
static double weight_bytes(uint32_t out, uint32_t in, uint32_t bits, uint32_t group,
                           uint32_t form)
{
    const struct rt_weight_shape s = {
        .out_pad = out, .in_pad = in, .bits = bits, .group = group, .form = form
    };
    return (double)rt_weight_bytes(&s);
}

static struct rt_op_cost matmul_cost(const struct matmul_push *p)
{
    const double rows = p->rows, out = p->out_pad, in = p->in_pad;
    const double lora = p->flags & MATMUL_LORA ? p->rank : 0;
    return (struct rt_op_cost){
        .flops = 2 * rows * out * (in + lora),
        .bytes = weight_bytes(p->out_pad, p->in_pad, p->bits, p->group, p->form) +
                 4 * rows * (in + out) + 4 * lora * (rows + out),
    };
}

static struct rt_op_cost matmul_back_cost(const struct matmul_back_push *p)
{
    const double rows = p->rows, out = p->out_pad, in = p->in_pad;
    return (struct rt_op_cost){
        .flops = 2 * rows * in * (out + p->rank),
        .bytes = weight_bytes(p->out_pad, p->in_pad, p->bits, p->group, p->form) +
                 4 * rows * (in + out) + 4.0 * p->rank * (rows + in),
    };
}

static struct rt_op_cost elementwise(double count, double flops, double words)
{
    return (struct rt_op_cost){ .flops = count * flops, .bytes = count * words * 4 };
}

/* Attention of rows x heads over `keys` keys, whose elements take `key_bytes`: `products`
 * head-size products a key. */
static struct rt_op_cost attention_cost(double rows, double heads, double hd, double keys,
                                        double key_bytes, double products)
{
    const double elements = rows * heads * hd;
    return (struct rt_op_cost){ .flops = 2 * products * elements * keys,
                                .bytes = elements * (4 * 2 + key_bytes * 2 * keys) };
}

struct rt_op_cost rt_op_cost_of(enum rt_op op, const void *push, double context)
{
    switch (op) {
    case RT_OP_matmul:
        return matmul_cost(push);
    case RT_OP_matmul_back:
        return matmul_back_cost(push);
    case RT_OP_unpack: {
        const struct unpack_push *p = push;
        struct rt_op_cost c = elementwise((double)p->out_pad * p->in_pad, 2, 1);
        c.bytes += weight_bytes(p->out_pad, p->in_pad, p->bits, p->group, p->form);
        return c;
    }
    case RT_OP_outer: {
        const struct outer_push *p = push;
        const double rows = p->rows, na = p->na, nb = p->nb;
        return (struct rt_op_cost){ 2 * rows * na * nb,
                                    4 * (rows * (na + nb) + na * nb) };
    }
    case RT_OP_attention: {
        const struct attention_push *p = push;
        return attention_cost(p->rows, p->heads, p->hd, context, p->halves ? 2 : 4, 2);
    }
    case RT_OP_attention_back_q: {
        const struct attention_back_q_push *p = push;
        return attention_cost(p->rows, p->heads, p->hd, context, 4, 3);
    }
    case RT_OP_attention_back_kv: {
        const struct attention_back_kv_push *p = push;
        return attention_cost(p->rows, p->heads, p->hd, context, 4, 4);
    }
    case RT_OP_embed: {
        const struct embed_push *p = push;
        return elementwise((double)p->rows * p->cols, 1, 2);
    }
    case RT_OP_rmsnorm: {
        const struct rmsnorm_push *p = push;
        return elementwise((double)p->rows * p->cols * p->heads, 4, 3);
    }
    case RT_OP_rmsnorm_back: {
        const struct rmsnorm_back_push *p = push;
        return elementwise((double)p->rows * p->cols * p->heads, 10, 5);
    }
    case RT_OP_rope: {
        const struct rope_push *p = push;
        return elementwise((double)p->rows * (p->heads_q + p->heads_k) * p->hd, 3, 3);
    }
    case RT_OP_swiglu: {
        const struct swiglu_push *p = push;
        return elementwise((double)p->rows * p->cols, 8, 3);
    }
    case RT_OP_swiglu_back: {
        const struct swiglu_back_push *p = push;
        return elementwise((double)p->rows * p->cols, 15, 5);
    }
    case RT_OP_add:
        return elementwise(((const struct add_push *)push)->count, 2, 3);
    case RT_OP_gather: {
        const struct gather_push *p = push;
        return elementwise((double)p->rows * p->cols, 0, 2);
    }
    case RT_OP_columns: {
        const struct columns_push *p = push;
        return elementwise((double)p->rows * p->cols, 0, p->accumulate ? 4 : 3);
    }
    case RT_OP_pack: {
        const struct pack_push *p = push;
        return elementwise((double)p->n_out * p->n_in, 1, 2);
    }
    case RT_OP_logits_stat: {
        const struct logits_stat_push *p = push;
        return elementwise((double)p->rows * p->vocab, 4, 1);
    }
    case RT_OP_ce_back: {
        const struct ce_back_push *p = push;
        return elementwise((double)p->rows * p->vocab, 4, 2);
    }
    case RT_OP_kl: {
        const struct kl_push *p = push;
        return elementwise((double)p->rows * p->vocab, 10, p->want_grad ? 5 : 4);
    }
    case RT_OP_sample: {
        const struct sample_push *p = push;
        return elementwise((double)p->rows * p->vocab, 40, 20);
    }
    case RT_OP_sumsq:
        return elementwise(((const struct sumsq_push *)push)->count, 2, 1);
    case RT_OP_adamw:
        return elementwise(((const struct adamw_push *)push)->count, 14, 7);
    case RT_OP_peak_fma: {
        const struct peak_fma_push *p = push;
        return elementwise(p->count, 2.0 * p->steps, 2);
    }
    case RT_OP_peak_copy:
        return elementwise(((const struct peak_copy_push *)push)->count, 0, 2);
    case RT_OP_peak_read: {
        const struct peak_read_push *p = push;
        const double columns = (double)p->blocks * PEAK_COLUMNS;
        return (struct rt_op_cost){ columns * p->rows, 4 * columns * (p->rows + 1.0) };
    }
    case RT_OP_dpo:
    case RT_OP_clip:
    case RT_OP_COUNT:
        break;
    }
    return (struct rt_op_cost){ 1, 4 };
}

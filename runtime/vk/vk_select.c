/* runtime/vk/vk_select.c
 * Which kernel runs an op, with which constants and grid. Pure but for the tune. */
#include "runtime/vk/vk.h"

#include "runtime/weight.h"

#include <string.h>

/* Kernels of rounded products are for plans that have them. */
static bool serves_products(const struct rt_plan *plan, const struct vk_kernel_info *k)
{
    return k->products == RT_PRODUCTS_F32 || k->products == plan->products;
}

bool vk_kernel_in_plan(const struct rt_plan *plan, uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (plan->path == RT_PATH_STORAGE && strspn(k->paths, "s") != strlen(k->paths))
        return false;
    if (k->broadcast && k->width != plan->broadcast)
        return false;
    if (!serves_products(plan, k))
        return false;
    return k->family == RT_FAMILY_AUTO || k->family == plan->family;
}

/* Bit per binding that holds halves where an op says so: keys and values. */
static uint32_t halves_of(enum rt_op op, const void *push)
{
    const struct attention_push *p = push;
    return op == RT_OP_attention && p->halves ? 1u << 1 | 1u << 2 : 0;
}

bool vk_kernel_admitted(const struct vk_device *dev, uint32_t kernel, const void *push,
                        const struct rt_slice *slices)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const struct rt_plan *plan = &dev->base.plan;
    const uint32_t halves = halves_of(k->op, push);
    if (!serves_products(plan, k) || k->width > dev->base.info.facts.lanes_max)
        return false;
    for (uint32_t i = 0; i < rt_op_table[k->op].binding_count; i++) {
        /* Texels of halves are half as large: a view reaches half as far. */
        const uint64_t most = plan->texel_bytes_max >> (halves >> i & 1u);
        const uint64_t bytes = rt_slice_bytes(slices[i]);
        if (k->paths[i] != 's' &&
            (plan->path == RT_PATH_STORAGE || bytes > most || bytes < 16))
            return false;
    }
    return true;
}

/* Head size of ops whose kernels are specialized for one; 0: of other ops. */
static uint32_t head_size(enum rt_op op, const void *push)
{
    switch (op) {
    case RT_OP_attention:
        return ((const struct attention_push *)push)->hd;
    case RT_OP_attention_back_q:
        return ((const struct attention_back_q_push *)push)->hd;
    case RT_OP_attention_back_kv:
        return ((const struct attention_back_kv_push *)push)->hd;
    default:
        return 0;
    }
}

/* Invocations of ops that have one per item. */
static uint64_t item_count(enum rt_op op, const void *push)
{
    switch (op) {
    case RT_OP_embed: {
        const struct embed_push *p = push;
        return (uint64_t)p->rows * ((p->cols + 3) / 4);
    }
    case RT_OP_unpack: {
        const struct unpack_push *p = push;
        return (uint64_t)p->out_pad * (p->in_pad / 32); /* 32 codes of a row */
    }
    case RT_OP_pack: {
        const struct pack_push *p = push;
        return (uint64_t)p->n_out * p->n_in;
    }
    case RT_OP_rmsnorm: {
        const struct rmsnorm_push *p = push;
        return (uint64_t)p->rows * p->heads;
    }
    case RT_OP_rmsnorm_back: {
        const struct rmsnorm_back_push *p = push;
        return (uint64_t)p->rows * p->heads;
    }
    case RT_OP_rope: {
        const struct rope_push *p = push;
        return (uint64_t)p->rows * (p->heads_q + p->heads_k);
    }
    case RT_OP_attention: {
        const struct attention_push *p = push;
        return (uint64_t)p->rows * p->heads;
    }
    case RT_OP_attention_back_q: {
        const struct attention_back_q_push *p = push;
        return (uint64_t)p->rows * p->heads;
    }
    case RT_OP_attention_back_kv: {
        const struct attention_back_kv_push *p = push;
        return (uint64_t)p->rows * p->heads_k;
    }
    case RT_OP_swiglu: {
        const struct swiglu_push *p = push;
        return (uint64_t)p->rows * (p->cols / 4);
    }
    case RT_OP_swiglu_back: {
        const struct swiglu_back_push *p = push;
        return (uint64_t)p->rows * (p->cols / 4);
    }
    case RT_OP_gather: {
        const struct gather_push *p = push;
        return (uint64_t)p->rows * (p->cols / 4);
    }
    case RT_OP_columns: {
        const struct columns_push *p = push;
        return (uint64_t)p->rows * (p->cols / 4);
    }
    case RT_OP_ce_back: {
        const struct ce_back_push *p = push;
        return (uint64_t)p->rows * (p->ldl / 4);
    }
    case RT_OP_logits_stat:
        return ((const struct logits_stat_push *)push)->rows;
    case RT_OP_kl:
        return ((const struct kl_push *)push)->rows;
    case RT_OP_sample:
        return ((const struct sample_push *)push)->rows;
    case RT_OP_dpo:
        return ((const struct dpo_push *)push)->pairs;
    case RT_OP_add:
        return ((const struct add_push *)push)->count / 4;
    case RT_OP_adamw:
        return ((const struct adamw_push *)push)->count / 4;
    case RT_OP_sumsq:
        return (((const struct sumsq_push *)push)->count + 1023) / 1024;
    case RT_OP_clip:
        return 1;
    case RT_OP_peak_fma:
        return ((const struct peak_fma_push *)push)->count / 4;
    case RT_OP_peak_copy:
        return ((const struct peak_copy_push *)push)->count / 4;
    case RT_OP_peak_read:
        return (uint64_t)((const struct peak_read_push *)push)->blocks *
               (PEAK_COLUMNS / 4);
    case RT_OP_matmul:
    case RT_OP_matmul_back:
    case RT_OP_outer:
    case RT_OP_COUNT:
        break;
    }
    return 0;
}

/* Whether a weight is of those that `unpack` has a kernel of its own for. */
static bool is_own(const struct unpack_push *p)
{
    return p->bits >= 16 || (p->form <= RT_FORM_OFFSET && p->bits != 5 && p->bits != 6);
}

/* Longest row of logits that one invocation may walk: llvmpipe ends every loop of an
 * invocation after 65,535 rounds together, without a word, and `sample` needs 7.5 a column
 * where its loops of 4 are unrolled, as Mesa does. */
enum { ROW_MAX = 8192 };

bool vk_row_is_long(enum rt_op op, const void *push)
{
    switch (op) {
    case RT_OP_logits_stat:
        return ((const struct logits_stat_push *)push)->vocab > ROW_MAX;
    case RT_OP_kl:
        return ((const struct kl_push *)push)->vocab > ROW_MAX;
    case RT_OP_sample:
        return ((const struct sample_push *)push)->vocab > ROW_MAX;
    default:
        return false;
    }
}

bool vk_item_fits(enum rt_op op, const void *push, uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const uint32_t hd = head_size(op, push);
    if (op == RT_OP_unpack)
        return k->own == is_own(push);
    if (op == RT_OP_peak_fma)
        return k->chains == ((const struct peak_fma_push *)push)->chains;
    if (op == RT_OP_peak_copy)
        return k->texel <= ((const struct peak_copy_push *)push)->texel;
    if (op == RT_OP_peak_read)
        return k->texel <= ((const struct peak_read_push *)push)->texel;
    if (vk_row_is_long(op, push) && !k->row_group)
        return false;
    if (op == RT_OP_attention && k->paths[1] == 's' &&
        k->halves != (halves_of(op, push) != 0))
        return false; /* shaders/lib/keys.glsl */
    return hd == 0 || vk_serves_head(hd);
}

bool vk_serves_head(uint32_t head_dim)
{
    return head_dim > 0 && head_dim % 4 == 0 && head_dim <= HEAD_MAX;
}

/* Higher is better; 0: cannot run this. */
static int rank_of(const struct vk_device *dev, enum rt_op op, const void *push,
                   uint32_t kernel, const struct rt_slice *slices)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (!vk_item_fits(op, push, kernel) ||
        !vk_kernel_admitted(dev, kernel, push, slices) ||
        !vk_kernel_in_plan(&dev->base.plan, kernel))
        return 0;
    int rank = 1;
    const bool tiled = dev->base.plan.family == RT_FAMILY_TILED;
    if (k->family == dev->base.plan.family || (tiled && k->row_group))
        rank += 4;
    if (strchr(k->paths, 't') || strchr(k->paths, 'u'))
        rank += 2;
    return rank;
}

static rt_status no_kernel(struct vk_device *dev, enum rt_op op, uint32_t hd)
{
    if (hd)
        return rt_fail(
            dev->base.ctx, RT_ERR_INPUT,
            "op %s: no kernel for a head size of %u; this model cannot run on '%s', "
            "try --device ref",
            rt_op_table[op].name, hd, dev->base.info.name);
    return rt_fail(dev->base.ctx, RT_ERR_INTERNAL,
                   "op %s: no kernel for these parameters", rt_op_table[op].name);
}

/* The static choice among the kernels of an op. */
static rt_status best_kernel(struct vk_device *dev, enum rt_op op, const void *push,
                             const struct rt_slice *slices, uint32_t *out)
{
    int best = 0;
    for (uint32_t i = 0; i < vk_kernel_count; i++) {
        if (vk_kernel_table[i].op != op)
            continue;
        int rank;
        if (vk_is_matmul(op))
            rank = vk_kernel_admitted(dev, i, push, slices)
                       ? vk_matmul_rank(dev, op, push, i)
                       : 0;
        else
            rank = rank_of(dev, op, push, i, slices);
        if (rank > best) {
            best = rank;
            *out = i;
        }
    }
    return best ? RT_OK : no_kernel(dev, op, head_size(op, push));
}

/* Items that a workgroup serves. */
static uint32_t items_of_group(uint32_t kernel, uint32_t hd)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (k->row_group)
        return 1;
    if (k->head_group)
        return k->width / (hd / 4); /* shaders/lib/attention_back.glsl */
    return k->items ? k->items : k->width;
}

rt_status vk_item_fill(struct vk_device *dev, enum rt_op op, const void *push,
                       struct vk_choice *choice)
{
    const uint64_t items = item_count(op, push);
    const uint64_t each = items_of_group(choice->kernel, head_size(op, push));
    const uint64_t groups = (items + each - 1) / each;
    choice->halves = halves_of(op, push);
    choice->spec[0] = head_size(op, push); /* shaders/lib/head.glsl */
    /* 65,535 groups a dimension is all that every device grants. */
    choice->grid[0] = (uint32_t)groups;
    choice->grid[1] = choice->grid[2] = 1;
    if (groups > 65535)
        return rt_fail(dev->base.ctx, RT_ERR_USAGE,
                       "op %s: %llu workgroups are more than a device grants; use a "
                       "smaller batch",
                       rt_op_table[op].name, (unsigned long long)groups);
    return RT_OK;
}

/* Refuses what a device would cut short without a word. */
static rt_status check_rounds(struct vk_device *dev, enum rt_op op, const void *push,
                              const struct rt_slice *slices, uint32_t kernel)
{
    const uint32_t most = dev->base.plan.loop_rounds_max;
    const uint64_t rounds = most ? vk_rounds(kernel, push, slices) : 0;
    if (rounds <= most)
        return RT_OK;
    return rt_fail(
        dev->base.ctx, RT_ERR_NO_DEVICE,
        "op %s: up to %llu rounds of a loop, '%s' ends loops after %u; use "
        "%sanother device (--device ref is slow)",
        rt_op_table[op].name, (unsigned long long)rounds, dev->base.info.name, most,
        vk_is_matmul(op) ? "" : "fewer tokens at once or a smaller adapter, or ");
}

rt_status vk_select(struct vk_device *dev, enum rt_op op, const void *push,
                    const struct rt_slice *slices, struct vk_choice *out)
{
    rt_status st;
    *out = (struct vk_choice){ 0 };
    TRY(best_kernel(dev, op, push, slices, &out->kernel));
    if (vk_is_matmul(op)) {
        if (dev->tune)
            TRY(vk_tune_pick(dev, op, push, slices, &out->kernel));
        vk_matmul_fill(dev, op, push, out);
    } else {
        TRY(vk_item_fill(dev, op, push, out));
    }
    TRY(check_rounds(dev, op, push, slices, out->kernel));
    return RT_OK;

fail:
    return st;
}

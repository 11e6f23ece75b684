/* runtime/vk/vk_select.c
 * Which kernel runs an op, with which constants and grid. Pure but for the tune. */
#include "runtime/op/op_row.h"
#include "runtime/vk/vk.h"

#include <string.h>

/* Kernels of rounded products are for plans that have them. */
static bool serves_products(const struct rt_plan *plan, const struct vk_kernel_info *k)
{
    return k->products == RT_PRODUCTS_F32 || rt_plan_uses(plan, k->products);
}

bool vk_goes_round_in_one_row(uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    return k->broadcast && k->bits != 0 && k->tile_u == 1;
}

bool vk_kernel_in_plan(const struct rt_plan *plan, uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (plan->path == RT_PATH_STORAGE && strspn(k->paths, "s") != strlen(k->paths))
        return false;
    if (k->broadcast && k->width != plan->broadcast)
        return false;
    /* Slower there than the one that reads a row by texels, and slow to compile. */
    if (vk_goes_round_in_one_row(kernel) &&
        rt_plan_has_quirk(plan, RT_QUIRK_slow_broadcast))
        return false;
    if (!serves_products(plan, k) || (k->dots && !plan->dots))
        return false;
    return k->family == RT_FAMILY_AUTO || k->family == plan->family;
}

bool vk_kernel_admitted(const struct vk_device *dev, uint32_t kernel, const void *push,
                        const struct rt_slice *slices)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const struct rt_plan *plan = &dev->base.plan;
    const uint32_t halves = rt_op_needs_of(k->op, push).halves;
    if (!vk_matmul_serves_role(plan, kernel, push) || k->width > plan->lanes_max ||
        (k->dots && !plan->dots))
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

bool vk_row_is_long(const struct rt_plan *plan, enum rt_op op, const void *push)
{
    return rt_op_needs_of(op, push).columns > plan->row_columns_max;
}

/* Bit per binding that the kernel reads by storage. */
static uint32_t storage_of(const struct vk_kernel_info *k)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < rt_op_table[k->op].binding_count; i++)
        bits |= (uint32_t)(k->paths[i] == 's') << i;
    return bits;
}

/* A texel view gives halves as floats; by storage a kernel must be compiled for them, and
 * then reads nothing else (shaders/lib/keys.glsl). */
static bool reads_halves(const struct vk_kernel_info *k, uint32_t halves)
{
    return k->halves ? halves != 0 : (halves & storage_of(k)) == 0;
}

bool vk_item_fits(const struct rt_plan *plan, enum rt_op op, const void *push,
                  uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const struct rt_op_needs needs = rt_op_needs_of(op, push);
    if (k->own != needs.own || k->chains != needs.chains)
        return false;
    if (needs.storage_only && k->texel)
        return false;
    if (needs.columns > plan->row_columns_max && !k->row_group)
        return false;
    /* LLVM 15 takes minutes to compile them for long heads, and gives heads of 8 other last
     * bits. Where they are not chosen, 16 and 32 are there for tests. */
    if (k->broadcast && plan->path != RT_PATH_TEXEL_BROADCAST &&
        (needs.head % 16 != 0 || needs.head > 32))
        return false;
    return reads_halves(k, needs.halves) &&
           (needs.head == 0 || vk_serves_head(needs.head));
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
    if (!vk_item_fits(&dev->base.plan, op, push, kernel) ||
        !vk_kernel_admitted(dev, kernel, push, slices) ||
        !vk_kernel_in_plan(&dev->base.plan, kernel))
        return 0;
    int rank = 1;
    const bool tiled = dev->base.plan.family == RT_FAMILY_TILED;
    if (k->family == dev->base.plan.family || (tiled && k->row_group))
        rank += 4;
    if (strchr(k->paths, 't') || strchr(k->paths, 'u'))
        rank += 2;
    if (k->broadcast)
        rank += dev->base.plan.path == RT_PATH_TEXEL_BROADCAST ? 1 : -1;
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
    return best ? RT_OK : no_kernel(dev, op, rt_op_needs_of(op, push).head);
}

/* Items that a workgroup serves. */
static uint32_t items_of_group(uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (k->items)
        return k->items;
    return k->row_group ? 1 : k->width;
}

/* Heads of a workgroup that serves heads which share one of keys: as few workgroups as
 * their shared memory allows, alike. shaders/attention/attention_tiled.comp */
static uint32_t heads_of_group(const struct rt_op_needs *needs)
{
    enum { HEADS_MAX = 8, COLUMNS_MAX = 1024 };
    const uint32_t fit = COLUMNS_MAX / needs->head;
    const uint32_t most = fit < HEADS_MAX ? fit : HEADS_MAX;
    const uint32_t groups = (needs->sharing + most - 1) / most;
    return (needs->sharing + groups - 1) / groups;
}

/* Workgroups that serve all items; constants that depend on how. */
static uint64_t fill_groups(const struct rt_plan *plan, const struct rt_op_needs *needs,
                            uint64_t items, struct vk_choice *choice)
{
    const uint64_t each = items_of_group(choice->kernel);
    if (!vk_kernel_table[choice->kernel].kv_group)
        return (items + each - 1) / each;
    choice->spec[1] = heads_of_group(needs);
    choice->spec[2] = needs->page;
    choice->spec[3] = plan->loads_most;
    return items / needs->sharing *
           ((needs->sharing + choice->spec[1] - 1) / choice->spec[1]);
}

rt_status vk_item_fill(struct vk_device *dev, enum rt_op op, const void *push,
                       struct vk_choice *choice)
{
    const struct rt_op_needs needs = rt_op_needs_of(op, push);
    const uint64_t groups =
        fill_groups(&dev->base.plan, &needs, rt_op_rows[op]->items(push), choice);
    choice->halves = needs.halves;
    choice->spec[0] = needs.head; /* shaders/lib/head.glsl */
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

uint64_t vk_rounds(uint32_t kernel, const void *push, const struct rt_slice *slices)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    struct rt_op_walk walk = {
        .lanes = k->family == RT_FAMILY_LANES,
        .rounded = k->products != RT_PRODUCTS_F32,
        .storage = storage_of(k),
    };
    for (uint32_t i = 0; slices && i < rt_op_table[k->op].binding_count; i++)
        walk.bytes[i] = rt_slice_bytes(slices[i]);
    return rt_op_rounds_of(k->op, push, &walk);
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

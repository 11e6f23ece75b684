/* runtime/vk/vk_rounds.c
 * Rounds of the loops of one invocation, for devices that end loops (rt_plan). The loops of
 * all kernels, and what bounds them, are listed in docs/numerics.md. */
#include "runtime/vk/vk.h"

/* Of 32 inputs of a product: codes of 16 bits, texel by texel, no loop unrolled, and a block
 * of the sum (shaders/lib/sum.glsl) that ends. Others have fewer, but kernels of rounded
 * products: they stage tiles in loops, and which of those are unrolled is the driver's. Of
 * int8 on llvmpipe 21 to 23 were measured; 64 refuses no model that is known. */
enum { ROUNDS_OF_32 = 19, ROUNDED_OF_32 = 64 };

static uint64_t product_rounds(uint32_t kernel, uint32_t summed, uint32_t rank)
{
    const bool exact = vk_kernel_table[kernel].products == RT_PRODUCTS_F32;
    const uint32_t each = exact ? ROUNDS_OF_32 : ROUNDED_OF_32;
    return (uint64_t)each * ((summed + 31) / 32 + (rank + 31) / 32 + 1);
}

/* By storage the eight keys of a block are a loop, twice. Which of the rows are a sequence's
 * is not known here: all of them are counted. By texels and by workgroups the caller asks
 * rt_plan_keys_max. */
static uint64_t attention_rounds(const struct attention_push *p, uint32_t kernel,
                                 const struct rt_slice *slices)
{
    if (vk_kernel_table[kernel].family != RT_FAMILY_LANES ||
        vk_kernel_table[kernel].paths[1] != 's')
        return 0;
    const uint64_t row = (uint64_t)p->ldk * (p->halves ? 2 : 4);
    return (2 * (8 + 1) + 1) * (rt_slice_bytes(slices[1]) / row / 8 + 2);
}

uint64_t vk_rounds(uint32_t kernel, const void *push, const struct rt_slice *slices)
{
    switch (vk_kernel_table[kernel].op) {
    case RT_OP_matmul: {
        const struct matmul_push *p = push;
        return product_rounds(kernel, p->in_pad, p->rank);
    }
    case RT_OP_matmul_back: {
        const struct matmul_back_push *p = push;
        if (vk_kernel_table[kernel].family == RT_FAMILY_LANES) /* four rows at once */
            return (uint64_t)p->out_pad / 4 + p->out_pad / PRODUCT_BLOCK + p->rank / 4 +
                   3;
        return product_rounds(kernel, p->out_pad, p->rank);
    }
    case RT_OP_outer:
        return (uint64_t)((const struct outer_push *)push)->rows + 1;
    case RT_OP_clip:
        return (uint64_t)((const struct clip_push *)push)->count + 1;
    case RT_OP_attention:
        return attention_rounds(push, kernel, slices);
    default:
        return 0;
    }
}

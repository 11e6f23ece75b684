/* runtime/format/packed_layout.c
 * Packed matrices in the device layout: which form holds one exactly, and its rows. */
#include "runtime/format/packed_impl.h"

#include <assert.h>

/* Of float scales, the smallest form that holds them and zero points exactly. */
static uint32_t form_of(const struct fmt_packed *p)
{
    if (p->method == FMT_NVFP4)
        return RT_FORM_E4M3 | p->levels;
    if (p->method == FMT_MXFP4)
        return RT_FORM_E8M0 | p->levels;
    if (p->scale_dtype == FMT_F16)
        return p->zeros ? RT_FORM_HALF_ZERO : RT_FORM_HALF;
    if (p->scale_dtype == FMT_BF16)
        return p->zeros ? RT_FORM_BFLOAT_ZERO : RT_FORM_BFLOAT | p->levels;
    return p->zeros ? RT_FORM_FLOAT_ZERO : RT_FORM_FLOAT | p->levels;
}

void fmt_packed_shape(const struct fmt_packed *p, bool wide,
                      struct rt_weight_shape *shape)
{
    const uint32_t form = form_of(p);
    const bool is_whole = rt_weight_form_is_whole(form);
    if (p->split || (wide && !is_whole)) { /* no codes that a float scale multiplies */
        shape->bits = 32;
        shape->group = shape->form = 0;
        return;
    }
    shape->group = p->groups == 1 && !rt_weight_form_group(form) ? 0 : p->group;
    /* Kernels of CPUs: of groups of 16 only with codes of 8 bits. */
    const bool has_kernels =
        !p->levels && p->bits != 5 && p->bits != 6 && shape->group != 16;
    shape->bits = wide && !has_kernels ? 8 : p->bits;
    shape->form = wide ? RT_FORM_ZERO : form;
}

uint8_t fmt_packed_level_zero(const struct fmt_packed *p)
{
    return p->levels == RT_LEVELS_NF4 ? 7 : 0;
}

void fmt_packed_put_scale(const struct fmt_packed *p, const struct rt_weight_shape *dest,
                          void *scales, uint32_t to, uint32_t row, uint32_t g)
{
    const struct fmt_tensor *t = p->scales;
    const uint64_t at = (uint64_t)row * p->groups + g;
    assert(p->levels);
    if (dest->form == RT_FORM_ZERO) {
        rt_weight_put_scale(dest, scales, to, g, fmt_levels_scale(p, row, g), 128);
    } else if (p->method == FMT_NVFP4 || p->method == FMT_MXFP4) {
        struct rt_weight_scale packed = { .s = t->data[t->count == 1 ? 0 : at] };
        if (p->method == FMT_NVFP4)
            packed.row = rt_weight_divisor(p->factor);
        rt_weight_put_packed(dest, scales, to, g, &packed);
    } else {
        rt_weight_put_scale(dest, scales, to, g, fmt_levels_scale(p, row, g), 0);
    }
}

/* runtime/format/checkpoint_scales.c
 * Scales and zero points of packed matrices of a folder, which others may replace. */
#include "runtime/format/checkpoint_impl.h"

#include <assert.h>
#include <stdio.h>

rt_status fmt_folder_scales(struct fmt_model *m, const char *name, struct fmt_scales *out)
{
    rt_status st;
    struct fmt_packed p;
    if (!fmt_folder_is_packed(m, name))
        return RT_OK;
    TRY(fmt_folder_open_packed(m, name, &p));
    if (p.levels || !p.scales || p.scales->count != (uint64_t)p.out * p.groups)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': '%s' is stored as %s, whose scales cannot be replaced; "
                       "compressed-tensors of whole numbers, AWQ and GPTQ with a scale "
                       "per row or group can be",
                       m->path, name, fmt_method_name(p.method));
    snprintf(out->name, sizeof out->name, "%s", p.scales->name);
    out->dtype = p.scales->dtype;
    out->groups = p.groups;
    out->across = fmt_packed_scales_across(&p);
    if (fmt_packed_has_zeros(&p, &out->zeros_low, &out->zeros_high)) {
        out->zeros = FMT_ZEROS_WHOLE;
        snprintf(out->zeros_name, sizeof out->zeros_name, "%s", p.zeros->name);
    }
    return RT_OK;

fail:
    return st;
}

rt_status fmt_weight_zeros(struct fmt_model *m, const char *name, float *zeros)
{
    rt_status st;
    struct fmt_packed p;
    TRY(fmt_folder_open_packed(m, name, &p));
    for (uint32_t r = 0; r < p.out; r++)
        for (uint32_t g = 0; g < p.groups; g++)
            zeros[(size_t)r * p.groups + g] = (float)fmt_packed_zero(&p, r, g);

fail:
    return st;
}

rt_status fmt_weight_put_zeros(struct fmt_model *m, const char *name, const float *zeros,
                               uint8_t *data)
{
    rt_status st;
    struct fmt_packed p;
    uint32_t low, high;
    TRY(fmt_folder_open_packed(m, name, &p));
    if (!fmt_packed_has_zeros(&p, &low, &high))
        return rt_fail(m->ctx, RT_ERR_INTERNAL, "'%s': '%s' has no zero points", m->path,
                       name);
    for (uint32_t r = 0; r < p.out; r++)
        for (uint32_t g = 0; g < p.groups; g++) {
            const float zero = zeros[(size_t)r * p.groups + g];
            if (zero == (float)fmt_packed_zero(&p, r, g))
                continue;
            if (!(zero >= (float)low && zero <= (float)high) ||
                zero != (float)(uint32_t)zero)
                return rt_fail(m->ctx, RT_ERR_INTERNAL,
                               "'%s': a zero point of %.9g cannot be stored", name,
                               (double)zero);
            fmt_packed_put_zero(&p, data, r, g, (uint32_t)zero);
        }

fail:
    return st;
}

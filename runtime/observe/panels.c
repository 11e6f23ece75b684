/* runtime/observe/panels.c
 * Second moments as panels: sizes, and what a caller reads of them. */
#include "runtime/observe/panels.h"

#include "runtime/model/model_impl.h"

#include <assert.h>

enum { PANELS_WANTED = 8, COLUMN_ALIGN = 4 /* of the op `outer` */ };

uint32_t observe_padded(uint32_t in)
{
    return rt_round_up32(in, COLUMN_ALIGN);
}

uint32_t observe_panel_height(uint32_t in, uint64_t binding)
{
    const uint64_t fit = binding / 4 / observe_padded(in) / RT_COL_PAD * RT_COL_PAD;
    const uint32_t wanted =
        rt_round_up32((in + PANELS_WANTED - 1) / PANELS_WANTED, RT_COL_PAD);
    return wanted <= fit ? wanted : (uint32_t)fit;
}

uint32_t observe_panel_rows(uint32_t in, uint32_t height, uint32_t p)
{
    const uint32_t left = observe_padded(in) - p * height;
    return left < height ? left : height;
}

uint64_t observe_panel_floats(uint32_t in, uint32_t height, uint32_t p)
{
    return (uint64_t)observe_panel_rows(in, height, p) *
           (observe_padded(in) - p * height);
}

uint64_t observe_moment_floats(uint32_t in, uint32_t height)
{
    uint64_t floats = 0;
    for (uint32_t p = 0; p * height < in; p++)
        floats += observe_panel_floats(in, height, p);
    return floats;
}

/* Rows [first, first + count) of one panel. What lies left of it are columns of earlier
 * panels: read along their rows, so that neither side jumps through memory. */
static void panel_moment_rows(const struct observe_moment *m, uint32_t first,
                              uint32_t count, double *out)
{
    const uint32_t own = first / m->height;
    for (uint32_t p = 0; p < own; p++) {
        const uint32_t at = p * m->height, ld = observe_padded(m->in) - at;
        const float *from = m->panel[p] + (first - at);
        for (uint32_t k = 0; k < m->height; k++, from += ld)
            for (uint32_t r = 0; r < count; r++)
                out[(size_t)r * m->in + at + k] = from[r];
    }
    const uint32_t at = own * m->height, ld = observe_padded(m->in) - at;
    const float *row = m->panel[own] + (size_t)(first - at) * ld;
    for (uint32_t r = 0; r < count; r++, row += ld)
        for (uint32_t j = at; j < m->in; j++)
            out[(size_t)r * m->in + j] = row[j - at];
}

void observe_moment_rows(const struct observe_moment *m, uint32_t first, uint32_t count,
                         double *out)
{
    const uint32_t end = first + count;
    assert(end <= m->in);
    for (uint32_t r = first; r < end;) {
        const uint32_t panel_end = (r / m->height + 1) * m->height;
        const uint32_t n = (panel_end < end ? panel_end : end) - r;
        panel_moment_rows(m, r, n, out + (size_t)(r - first) * m->in);
        r += n;
    }
}

const float *observe_moment_right(const struct observe_moment *m, uint32_t i)
{
    assert(i < m->in);
    const uint32_t p = i / m->height, k = i - p * m->height;
    return m->panel[p] + (size_t)k * (observe_padded(m->in) - p * m->height) + k;
}

uint32_t observe_moment_stride(const struct observe_moment *m, uint32_t i)
{
    return observe_padded(m->in) - i / m->height * m->height;
}

double observe_moment_diagonal(const struct observe_moment *m)
{
    double sum = 0;
    for (uint32_t i = 0; i < m->in; i++)
        sum += *observe_moment_right(m, i);
    return sum / m->in;
}

void observe_cost_of(const struct fmt_config *config, uint64_t rows, uint32_t pass_rows,
                     uint32_t what, bool software, struct observe_cost *out)
{
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    const uint64_t hidden = rt_round_up(config->hidden, RT_COL_PAD);
    const uint64_t pass = rt_round_up(pass_rows, RT_ROW_PAD);
    uint64_t host = 0;
    model_group_shapes(config, shape);
    *out = (struct observe_cost){ .host_bytes = 4 * rows * hidden };
    out->device_bytes = model_pass_bytes(config, shape, 0, pass_rows) +
                        pass * (4 * hidden + 12 /* struct batch */);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const uint32_t in = shape[g].in;
        const uint64_t floats =
            observe_moment_floats(in, observe_panel_height(in, UINT64_MAX));
        if (what & OBSERVE_MOMENTS) {
            host = software ? host + floats : floats > host ? floats : host;
            out->device_bytes += software ? 0 : 4 * floats;
            out->flops += 2.0 * (double)rows * (double)floats * config->layers;
        }
        if (what & ~(uint32_t)OBSERVE_MOMENTS || software)
            out->device_bytes += 4 * pass * shape[g].ld_in;
    }
    out->host_bytes += 4 * host;
}

/* runtime/quant/rtn.c
 * Rounds each group of a matrix to the nearest codes. */
#include "runtime/quant/rtn.h"

#include "runtime/quant/grid.h"

rt_status quant_rtn(struct rt_ctx *ctx, const struct quant_options *o,
                    const struct quant_matrix *m, struct quant_codes *out)
{
    const uint32_t groups = quant_groups(o, m->in), group = o->group ? o->group : m->in;
    const rt_status st = quant_grid_matrix(ctx, o, m, out);
    for (uint32_t r = 0; st == RT_OK && r < m->out; r++)
        for (uint32_t k = 0; k < m->in; k++) {
            const size_t at = (size_t)r * m->in + k, g = (size_t)r * groups + k / group;
            out->codes[at] = quant_grid_code(o, m->w[at], out->scales[g], out->zeros[g]);
        }
    return st;
}

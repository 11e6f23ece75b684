/* runtime/quant/rtn.c
 * Rounds each group of a matrix to the nearest codes. */
#include "runtime/quant/rtn.h"

#include "runtime/quant/grid.h"

rt_status quant_rtn(struct rt_ctx *ctx, const struct quant_options *o,
                    const struct quant_matrix *m, struct quant_codes *out)
{
    const rt_status st = quant_grid_matrix(ctx, o, m, out);
    if (st == RT_OK)
        quant_grid_codes(o, m, out);
    return st;
}

/* runtime/quant/rtn.h
 * Round-to-nearest quantization of a matrix. */
#ifndef RUNTIME_QUANT_RTN_H
#define RUNTIME_QUANT_RTN_H

#include "runtime/quant/method.h"

/* Every value to the nearest of its group's grid (grid.h), all in float. With a search the
 * ranges are those that lose least, by the moments where there are some. */
RT_CHECKED rt_status quant_rtn(struct rt_ctx *ctx, const struct quant_options *options,
                               const struct quant_matrix *matrix,
                               struct quant_codes *out);

#endif

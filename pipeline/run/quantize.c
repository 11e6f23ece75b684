/* pipeline/run/quantize.c
 * Round to nearest, the one method there is. */
#include "pipeline/run/quantize.h"

#include "runtime/quant/folder.h"

#include <stdio.h>

rt_status pipe_quantize(struct rt_ctx *ctx, const char *model, const char *out,
                        const struct pipe_quantize_options *o,
                        struct pipe_quantized *result)
{
    struct quant_report report = { 0 };
    const struct quant_options q = { .bits = o->bits,
                                     .group = o->group,
                                     .asymmetric = o->asymmetric,
                                     .keep_f32 = o->keep_f32 };
    const rt_status st = quant_folder(ctx, model, out, &q, o->force, &report);
    *result = (struct pipe_quantized){ .matrices = report.matrices,
                                       .weights = report.weights,
                                       .bits_per_weight = report.bits_per_weight,
                                       .halved = report.halved,
                                       .change = report.change,
                                       .changed_value = report.changed_value };
    snprintf(result->changed, sizeof result->changed, "%s", report.changed);
    return st;
}

/* pipeline/run/merge_lora.c
 * Names of types, and the merge. */
#include "pipeline/run/merge_lora.h"

#include "runtime/quant/merged.h"

#include <string.h>

rt_status pipe_merge_lora(struct rt_ctx *ctx, const char *model, const char *adapter,
                          const char *out, const char *type, bool force,
                          struct pipe_merged *made)
{
    static const struct {
        const char *name;
        enum fmt_dtype type;
    } types[] = { { "f16", FMT_F16 }, { "bf16", FMT_BF16 }, { "f32", FMT_F32 } };
    for (size_t i = 0; i < RT_COUNT(types); i++) {
        struct quant_merged merged;
        if (strcmp(types[i].name, type) != 0)
            continue;
        const rt_status st =
            quant_merge(ctx, model, adapter, out, types[i].type, force, &merged);
        *made = (struct pipe_merged){ merged.matrices, merged.adapted, merged.bytes,
                                      merged.rounding };
        return st;
    }
    return rt_fail(ctx, RT_ERR_USAGE, "--type %.30s: f16, bf16 or f32 is possible", type);
}

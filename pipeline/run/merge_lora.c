/* pipeline/run/merge_lora.c
 * Names of types, and the merge. */
#include "pipeline/run/merge_lora.h"

#include <string.h>

rt_status pipe_merge_lora(struct rt_ctx *ctx, const char *model, const char *adapter,
                          const char *out, const char *type, bool force,
                          struct quant_merged *made)
{
    static const struct {
        const char *name;
        enum fmt_dtype type;
    } types[] = { { "f16", FMT_F16 }, { "bf16", FMT_BF16 }, { "f32", FMT_F32 } };
    for (size_t i = 0; i < RT_COUNT(types); i++)
        if (strcmp(types[i].name, type) == 0)
            return quant_merge(ctx, model, adapter, out, types[i].type, force, made);
    return rt_fail(ctx, RT_ERR_USAGE, "--type %.30s: f16, bf16 or f32 is possible", type);
}

/* pipeline/run/export_lora.c
 * Reads an adapter beside its model's sizes and writes it anew. */
#include "pipeline/run/export_lora.h"

#include "runtime/base/file.h"
#include "runtime/format/checkpoint.h"

rt_status pipe_export_lora(struct rt_ctx *ctx, const char *model, const char *adapter,
                           const char *out, bool force, struct fmt_adapter_gguf *made)
{
    rt_status st;
    struct fmt_model *file = NULL;
    struct fmt_adapter *read = NULL;
    if (fmt_exists(out) && !force)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' exists already; use --force or another name", out);
    TRY(fmt_model_open(ctx, model, &file));
    const struct fmt_config *config = fmt_model_config(file);
    const struct fmt_gguf_arch *arch = fmt_gguf_arch_of(config->family->model_type);
    if (!arch) {
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s': an adapter for llama.cpp of a model of type '%s' is not "
                     "supported",
                     model, config->family->model_type);
        goto fail;
    }
    TRY(fmt_adapter_read(ctx, adapter, config, &read));
    TRY(fmt_adapter_write_gguf(ctx, out, read, config, arch, made));

fail:
    fmt_adapter_destroy(&read);
    fmt_model_close(&file);
    return st;
}

/* runtime/format/peft_gguf.c
 * Writes a LoRA adapter as a GGUF file. */
#include "runtime/format/peft_gguf.h"

#include "runtime/format/gguf_pack.h"
#include "runtime/format/gguf_write.h"

#include <stdio.h>
#include <string.h>

struct writing {
    struct rt_ctx *ctx;
    const struct fmt_adapter *adapter;
    const struct fmt_config *config;
    const struct fmt_gguf_arch *arch;
    struct fmt_gguf_out out;
    struct fmt_adapter_gguf *made;
};

/* The names of a matrix: in a Hugging Face folder, in a GGUF file. */
static void names_of(uint32_t i, char hf[FMT_GGUF_NAME_MAX], char own[FMT_GGUF_NAME_MAX])
{
    snprintf(hf, FMT_GGUF_NAME_MAX, "model.layers.%u.%s.weight", i / FMT_MODULE_COUNT,
             fmt_module_path[i % FMT_MODULE_COUNT]);
    if (!fmt_gguf_name(hf, own)) /* every module has one */
        own[0] = '\0';
}

static rt_status describe(struct writing *w)
{
    rt_status st = RT_OK;
    const struct fmt_block_type *f32 = fmt_block_type_find(FMT_BLOCK_ID_F32);
    fmt_gguf_put_text(&w->out, "general.architecture", w->arch->name);
    fmt_gguf_put_text(&w->out, "general.type", "adapter");
    fmt_gguf_put_text(&w->out, "adapter.type", "lora");
    fmt_gguf_put_f32(&w->out, "adapter.lora.alpha", w->made->alpha);
    fmt_gguf_put_u32(&w->out, "general.file_type", 0);
    for (uint32_t i = 0; i < w->adapter->layers * FMT_MODULE_COUNT; i++) {
        const struct fmt_lora *l = &w->adapter->lora[i];
        char hf[FMT_GGUF_NAME_MAX], own[FMT_GGUF_NAME_MAX], name[FMT_GGUF_NAME_MAX + 8];
        uint32_t out, in;
        if (l->rank == 0)
            continue;
        names_of(i, hf, own);
        fmt_module_size(w->config, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        const uint64_t a[2] = { in, l->rank }, b[2] = { l->rank, out };
        snprintf(name, sizeof name, "%s.lora_a", own);
        TRY(fmt_gguf_out_add(&w->out, name, f32, 2, a));
        snprintf(name, sizeof name, "%s.lora_b", own);
        TRY(fmt_gguf_out_add(&w->out, name, f32, 2, b));
    }

fail:
    return st;
}

/* b with its rows in the file's order, times what its own alpha is of the file's. */
static rt_status write_b(struct writing *w, uint32_t i, uint32_t out, const char *hf)
{
    rt_status st = RT_OK;
    const struct fmt_lora *l = &w->adapter->lora[i];
    const float alpha = l->scale * (float)l->rank, factor = alpha / w->made->alpha;
    float *row = rt_alloc(w->ctx, l->rank, sizeof *row);
    if (!row)
        return rt_fail(w->ctx, RT_ERR_HOST_MEMORY, "adapter: no host memory");
    for (uint32_t r = 0; r < out && st == RT_OK; r++) {
        const uint32_t from = fmt_gguf_hf_row(w->arch, hf, w->config->head_dim, r);
        for (uint32_t k = 0; k < l->rank; k++)
            row[k] = l->b[(size_t)from * l->rank + k] * factor;
        st = fmt_gguf_out_data(&w->out, row, l->rank * sizeof *row);
    }
    w->made->adjusted += factor != 1;
    rt_free(row);
    return st;
}

static rt_status write_data(struct writing *w)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < w->adapter->layers * FMT_MODULE_COUNT; i++) {
        const struct fmt_lora *l = &w->adapter->lora[i];
        char hf[FMT_GGUF_NAME_MAX], own[FMT_GGUF_NAME_MAX];
        uint32_t out, in;
        if (l->rank == 0)
            continue;
        names_of(i, hf, own);
        fmt_module_size(w->config, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        TRY(fmt_gguf_out_data(&w->out, l->a, (size_t)l->rank * in * sizeof *l->a));
        TRY(write_b(w, i, out, hf));
        w->made->matrices++;
    }

fail:
    return st;
}

rt_status fmt_adapter_write_gguf(struct rt_ctx *ctx, const char *path,
                                 const struct fmt_adapter *adapter,
                                 const struct fmt_config *config,
                                 const struct fmt_gguf_arch *arch,
                                 struct fmt_adapter_gguf *made)
{
    rt_status st;
    struct writing w = { ctx, adapter, config, arch, { .ctx = ctx }, made };
    *made = (struct fmt_adapter_gguf){ 0 };
    for (uint32_t i = 0; i < adapter->layers * FMT_MODULE_COUNT && made->alpha == 0; i++)
        made->alpha = adapter->lora[i].scale * (float)adapter->lora[i].rank;
    if (made->alpha == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "'%s': the adapter adapts no module", path);
    TRY(describe(&w));
    TRY(fmt_gguf_out_begin(&w.out, path));
    TRY(write_data(&w));
    TRY(fmt_gguf_out_end(&w.out));

fail:
    fmt_gguf_out_deinit(&w.out);
    return st;
}

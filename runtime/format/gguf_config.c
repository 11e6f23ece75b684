/* runtime/format/gguf_config.c
 * Keys of a GGUF file from a config.json. */
#include "runtime/format/gguf_config.h"

#include <stdio.h>
#include <string.h>

struct putting {
    struct fmt_gguf_out *out;
    const char *arch;
};

/* ARCH.KEY */
static const char *name_of(const struct putting *p, const char *key, char name[96])
{
    snprintf(name, 96, "%s.%s", p->arch, key);
    return name;
}

static void put_whole(const struct putting *p, const char *key, uint32_t value)
{
    char name[96];
    fmt_gguf_put_u32(p->out, name_of(p, key, name), value);
}

static void put_real(const struct putting *p, const char *key, double value)
{
    char name[96];
    fmt_gguf_put_f32(p->out, name_of(p, key, name), (float)value);
}

/* llama3's scaling is a tensor. */
static void put_rope(const struct putting *p, const struct fmt_config *c)
{
    char name[96];
    put_whole(p, "rope.dimension_count", c->head_dim);
    put_real(p, "rope.freq_base", c->rope.theta);
    if (c->rope.kind != FMT_ROPE_LINEAR && c->rope.kind != FMT_ROPE_YARN)
        return;
    fmt_gguf_put_text(p->out, name_of(p, "rope.scaling.type", name),
                      fmt_rope_name(c->rope.kind));
    put_real(p, "rope.scaling.factor", c->rope.factor);
    if (c->rope.kind == FMT_ROPE_YARN)
        put_whole(p, "rope.scaling.original_context_length", (uint32_t)c->rope.original);
}

/* The last name of a path, of which slashes at the end are no part. */
static void put_name(struct fmt_gguf_out *out, const char *path)
{
    char name[256];
    size_t end = strlen(path), start;
    while (end > 0 && path[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path[start - 1] != '/'; start--)
        ;
    snprintf(name, sizeof name, "%.*s", (int)(end - start), path + start);
    if (name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        fmt_gguf_put_text(out, "general.name", name);
}

void fmt_gguf_put_config(struct fmt_gguf_out *out, const struct fmt_gguf_arch *arch,
                         const struct fmt_config *c, const char *path)
{
    const struct putting p = { out, arch->name };
    fmt_gguf_put_text(out, "general.architecture", arch->name);
    fmt_gguf_put_text(out, "general.type", "model");
    put_name(out, path);
    put_whole(&p, "block_count", c->layers);
    put_whole(&p, "context_length", c->max_positions);
    put_whole(&p, "embedding_length", c->hidden);
    put_whole(&p, "feed_forward_length", c->ffn);
    put_whole(&p, "attention.head_count", c->heads);
    put_whole(&p, "attention.head_count_kv", c->kv_heads);
    put_whole(&p, "attention.key_length", c->head_dim);
    put_whole(&p, "attention.value_length", c->head_dim);
    put_real(&p, "attention.layer_norm_rms_epsilon", (double)c->rms_eps);
    put_whole(&p, "vocab_size", c->vocab);
    put_rope(&p, c);
}

rt_status fmt_gguf_rope_divisors(struct rt_ctx *ctx, const struct fmt_config *config,
                                 float *out)
{
    const uint32_t n = config->head_dim / 2;
    struct fmt_rope plain = config->rope;
    double *frequency = rt_alloc(ctx, 2ull * n, sizeof *frequency);
    if (!frequency)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "rotary embedding: no memory");
    plain.kind = FMT_ROPE_DEFAULT;
    plain.factor = 1;
    fmt_rope_frequencies(&plain, config->head_dim, frequency);
    fmt_rope_frequencies(&config->rope, config->head_dim, frequency + n);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (float)(frequency[i] / frequency[n + i]);
    rt_free(frequency);
    return RT_OK;
}

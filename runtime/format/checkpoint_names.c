/* runtime/format/checkpoint_names.c
 * Which tensors of a folder are the model's: names without "model.", heads that are stored
 * though they are tied, and tensors that the index promises and no shard has. */
#include "runtime/format/checkpoint_impl.h"

#include "runtime/format/peft.h"

#include <stdio.h>
#include <string.h>

#define EMBEDDING "model.embed_tokens.weight"
#define HEAD "lm_head.weight"

/* The name with "model." in front where a bare transformer has none. */
static void full_name(const char *name, char buffer[FMT_TENSOR_NAME_MAX])
{
    static const char *const bare[] = { "layers.", "embed_tokens.", "norm." };
    bool is_bare = false;
    for (size_t i = 0; i < RT_COUNT(bare); i++)
        is_bare = is_bare || strncmp(name, bare[i], strlen(bare[i])) == 0;
    snprintf(buffer, FMT_TENSOR_NAME_MAX, "%s%s", is_bare ? "model." : "", name);
}

/* As transformers does, name by name; a name that is there already stays. All are looked
 * up before the first is changed, because looking up needs them in order. */
static rt_status add_prefix(struct fmt_model *m)
{
    rt_status st = RT_OK;
    uint32_t changed = 0;
    uint32_t *bare = rt_alloc(m->ctx, m->file.count, sizeof *bare);
    char name[FMT_TENSOR_NAME_MAX];
    if (!bare)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->path);
    for (uint32_t i = 0; i < m->file.count; i++) {
        const char *own = m->file.tensors[i].name;
        full_name(own, name);
        if (strlen(own) + sizeof "model." <= sizeof name &&
            !fmt_safetensors_find(&m->file, name))
            bare[changed++] = i;
    }
    for (uint32_t i = 0; i < changed; i++) {
        full_name(m->file.tensors[bare[i]].name, name);
        TRY(fmt_safetensors_rename(m->ctx, &m->file, bare[i], name));
    }
    if (changed)
        TRY(fmt_safetensors_sort(m->ctx, m->path, &m->file));

fail:
    rt_free(bare);
    return st;
}

/* ---- tied heads ---- */

static bool same_shape(const struct fmt_tensor *a, const struct fmt_tensor *b)
{
    return a->dims == b->dims &&
           memcmp(a->shape, b->shape, a->dims * sizeof a->shape[0]) == 0;
}

static bool same_values(const struct fmt_tensor *a, const struct fmt_tensor *b)
{
    enum { AT_ONCE = 1024 };
    float x[AT_ONCE], y[AT_ONCE];
    if (!same_shape(a, b))
        return false;
    if (a->dtype == b->dtype)
        return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
    if (!fmt_dtype_is_float(a->dtype) || !fmt_dtype_is_float(b->dtype))
        return false;
    for (uint64_t i = 0; i < a->count; i += AT_ONCE) {
        const uint64_t n = a->count - i < AT_ONCE ? a->count - i : AT_ONCE;
        fmt_tensor_floats(a, i, n, x);
        fmt_tensor_floats(b, i, n, y);
        if (memcmp(x, y, n * sizeof *x) != 0)
            return false;
    }
    return true;
}

/* The config ties embedding and head. A head that is stored alone is both; one that is
 * stored with other values is kept, as in transformers 5 (a merged adapter moved it). */
static rt_status settle_head(struct fmt_model *m)
{
    rt_status st = RT_OK;
    const struct fmt_tensor *head = fmt_safetensors_find(&m->file, HEAD);
    const struct fmt_tensor *embedding = fmt_safetensors_find(&m->file, EMBEDDING);
    const bool packed_head = fmt_folder_is_packed(m, "lm_head");
    const bool packed_embedding = fmt_folder_is_packed(m, "model.embed_tokens");
    if (head && !embedding && !packed_embedding) {
        TRY(fmt_safetensors_rename(m->ctx, &m->file, (uint32_t)(head - m->file.tensors),
                                   EMBEDDING));
        TRY(fmt_safetensors_sort(m->ctx, m->path, &m->file));
    } else if (packed_head ||
               (head && (packed_embedding || !same_values(head, embedding)))) {
        m->config.tied = false;
        rt_log(
            m->ctx, RT_LOG_WARNING,
            "'%s' says that its head is its embedding (tie_word_embeddings) and stores "
            "a head with other values; the stored head is used",
            m->path);
    }

fail:
    return st;
}

/* ---- what is missing ---- */

/* Whether the model has a tensor of this name. */
static bool is_needed(const struct fmt_config *c, const char *name)
{
    static const char *const roots[] = { "model.embed_tokens.", "model.norm.",
                                         "lm_head." };
    static const char *const norms[] = { "input_layernorm", "post_attention_layernorm",
                                         "self_attn.q_norm", "self_attn.k_norm" };
    unsigned layer;
    int end = 0;
    for (size_t i = 0; i < RT_COUNT(roots); i++)
        if (strncmp(name, roots[i], strlen(roots[i])) == 0)
            return true;
    if (sscanf(name, "model.layers.%9u.%n", &layer, &end) != 1 || end == 0 ||
        layer >= c->layers)
        return false;
    const char *rest = name + end;
    for (size_t i = 0; i < RT_COUNT(norms) + FMT_MODULE_COUNT; i++) {
        const char *part =
            i < RT_COUNT(norms) ? norms[i] : fmt_module_path[i - RT_COUNT(norms)];
        const size_t n = strlen(part);
        if (strncmp(rest, part, n) == 0 && rest[n] == '.')
            return true;
    }
    return false;
}

/* The folder lacks something that its index promises and the model needs. */
static rt_status check_absent(struct fmt_model *m)
{
    const char *name;
    json_t *shard;
    json_object_foreach(m->file.absent, name, shard)
    {
        char full[FMT_TENSOR_NAME_MAX];
        full_name(name, full);
        if (is_needed(&m->config, full))
            return fmt_safetensors_needs(m->ctx, m->path, &m->file, name);
    }
    return RT_OK;
}

/* What a name without its usual beginning says about the folder, and what to do. */
static const char *place_of(const char *name)
{
    static const char *const starts[][2] = {
        { "base_model.model.", "this is the prefix of an adapter's wrapper (PEFT): merge "
                               "the adapter and save the model without it" },
        { "module.", "this is the prefix of a training wrapper (DataParallel): save the "
                     "model that it holds" },
        { "_orig_mod.",
          "this is the prefix of a compiled model (torch.compile): save the "
          "model that it holds" },
    };
    for (size_t i = 0; i < RT_COUNT(starts); i++)
        if (strncmp(name, starts[i][0], strlen(starts[i][0])) == 0)
            return starts[i][1];
    return "a language model inside a larger one is not supported, save it alone";
}

/* A language model inside a larger one or in a wrapper has other names; which of them
 * would count differs by architecture. */
static rt_status check_embedding(struct fmt_model *m)
{
    static const char end[] = "embed_tokens.weight";
    if (fmt_safetensors_find(&m->file, EMBEDDING) ||
        fmt_folder_is_packed(m, "model.embed_tokens"))
        return RT_OK;
    for (uint32_t i = 0; i < m->file.count; i++) {
        const char *name = m->file.tensors[i].name, *at = strstr(name, end);
        if (at && strcmp(at, end) == 0)
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "'%s': tensor '" EMBEDDING "' is missing, there is '%s'; %s",
                           m->path, name, place_of(name));
    }
    return RT_OK;
}

rt_status fmt_names_settle(struct fmt_model *m)
{
    rt_status st;
    TRY(add_prefix(m));
    TRY(check_absent(m));
    if (m->config.tied)
        TRY(settle_head(m));
    else if (!fmt_safetensors_find(&m->file, HEAD) && !fmt_folder_is_packed(m, "lm_head"))
        rt_log(m->ctx, RT_LOG_WARNING,
               "'%s' has no head ('" HEAD "') and does not say that it is tied; the "
               "embedding is used",
               m->path);
    TRY(check_embedding(m));

fail:
    return st;
}

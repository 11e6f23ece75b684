/* runtime/text/chat_source.c
 * Reads chat template and special tokens of a model. What transformers 5 does with the
 * files of a folder was tried with files of every kind; `docs/chat.md` tells it. */
#include "runtime/text/chat_source.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "runtime/format/gguf_model.h"

#include <string.h>

struct reader {
    struct rt_ctx *ctx;
    const char *folder;
    struct chat_source *out;
};

static rt_status no_memory(const struct reader *r)
{
    return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", r->folder);
}

/* folder/name as an object, null where there is no such file. */
static rt_status read_json(const struct reader *r, const char *name, json_t **out)
{
    *out = NULL;
    char *path = fmt_path(r->ctx, r->folder, name);
    if (!path)
        return no_memory(r);
    const rt_status st =
        fmt_exists(path) ? fmt_json_read(r->ctx, path, out) : (rt_status)RT_OK;
    rt_free(path);
    return st;
}

/* ---- the template ---- */

static rt_status take(const struct reader *r, const char *name, const void *text,
                      size_t size)
{
    struct chat_source *s = r->out;
    s->path = fmt_path(r->ctx, r->folder, name);
    s->text = rt_alloc(r->ctx, size + 1, 1);
    if (!s->path || !s->text)
        return no_memory(r);
    if (size)
        memcpy(s->text, text, size);
    s->size = size;
    return RT_OK;
}

/* A template that is a file of its own; nothing where there is none. */
static rt_status take_file(const struct reader *r, const char *name)
{
    rt_status st = RT_OK;
    struct fmt_map map = { 0 };
    char *path = fmt_path(r->ctx, r->folder, name);
    if (!path)
        return no_memory(r);
    if (fmt_exists(path)) {
        TRY(fmt_map_open(r->ctx, path, &map));
        st = take(r, name, map.data, map.size);
    }

fail:
    fmt_map_close(&map);
    rt_free(path);
    return st;
}

static rt_status no_default(const struct reader *r, const char *where)
{
    return rt_fail(r->ctx, RT_ERR_INPUT,
                   "'%s/%s' has several chat templates and none of the name 'default'; "
                   "give the right one this name, or choose a chat format by name "
                   "(--chat-format NAME)",
                   r->folder, where);
}

/* chat_template of tokenizer_config.json: a text, a list of named ones, or an object. */
static rt_status take_key(const struct reader *r, const json_t *config)
{
    static const char file[] = "tokenizer_config.json";
    const json_t *value = json_object_get(config, "chat_template");
    const json_t *text = value;
    if (!value || json_is_null(value))
        return RT_OK;
    if (json_is_object(value))
        text = json_object_get(value, "default");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0)
            text = json_object_get(entry, "template");
    }
    if (text == value ? json_is_array(value) : !text)
        return no_default(r, file);
    if (!json_is_string(text))
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s/%s': 'chat_template' must be a text or a list of named ones; "
                       "choose a chat format by name (--chat-format NAME)",
                       r->folder, file);
    return take(r, file, json_string_value(text), json_string_length(text));
}

/* Whether the folder of named templates holds one. */
static rt_status has_named(const struct reader *r, bool *out)
{
    static const char end[] = ".jinja";
    char *path = fmt_path(r->ctx, r->folder, "additional_chat_templates");
    *out = false;
    if (!path)
        return no_memory(r);
    struct os_folder *folder = os_folder_open(path);
    for (const char *name; folder && !*out && (name = os_folder_next(folder));) {
        const size_t size = strlen(name);
        *out = size >= sizeof end && strcmp(name + size - sizeof end + 1, end) == 0;
    }
    if (folder)
        os_folder_close(folder);
    rt_free(path);
    return RT_OK;
}

static rt_status take_template(const struct reader *r, const json_t *config)
{
    rt_status st;
    bool named;
    TRY(take_file(r, "additional_chat_templates/default.jinja"));
    if (!r->out->text)
        TRY(take_file(r, "chat_template.jinja"));
    if (r->out->text)
        return RT_OK;
    TRY(has_named(r, &named));
    st = named ? no_default(r, "additional_chat_templates") : take_key(r, config);

fail:
    return st;
}

/* ---- special tokens ---- */

static bool ends_in_token(const char *key)
{
    static const char end[] = "_token";
    const size_t size = strlen(key);
    return size >= sizeof end && strcmp(key + size - sizeof end + 1, end) == 0;
}

/* A text, or an object with it (AddedToken); null takes it away. Switches such as
 * add_bos_token end in the same word and are passed over. */
static bool put_token(json_t *tokens, const char *key, const json_t *value)
{
    if (json_is_object(value))
        value = json_object_get(value, "content");
    if (json_is_null(value))
        json_object_del(tokens, key);
    return !json_is_string(value) ||
           json_object_set_new(tokens, key, json_copy((json_t *)(uintptr_t)value)) == 0;
}

static rt_status put_tokens(const struct reader *r, const json_t *from)
{
    const char *key;
    json_t *value;
    json_object_foreach(
        (json_t *)(uintptr_t)from, key,
        value) if (ends_in_token(key) &&
                   !put_token(r->out->tokens, key, value)) return no_memory(r);
    json_t *extra = json_object_get(from, "extra_special_tokens");
    json_object_foreach(extra, key, value) if (!put_token(r->out->tokens, key,
                                                          value)) return no_memory(r);
    return RT_OK;
}

/* The name without "Fast". */
static bool is_class(const json_t *config, const char *name)
{
    const char *text = json_string_value(json_object_get(config, "tokenizer_class"));
    const size_t size = strlen(name);
    return text && strncmp(text, name, size) == 0 &&
           (!text[size] || strcmp(text + size, "Fast") == 0);
}

/* What a class of tokenizer has where the files name nothing: pairs of key and token.
 * `pieces`: the folder has a tokenizer.model alone. */
static const char *const *usual_tokens(const json_t *config, const json_t *model,
                                       bool pieces)
{
    static const char *const qwen2[] = { "eos_token", "<|endoftext|>",
                                         "unk_token", "<|endoftext|>",
                                         "pad_token", "<|endoftext|>",
                                         NULL };
    static const char *const gpt2[] = { "bos_token", "<|endoftext|>",
                                        "eos_token", "<|endoftext|>",
                                        "unk_token", "<|endoftext|>",
                                        NULL };
    static const char *const llama[] = { "bos_token", "<s>",   "eos_token", "</s>",
                                         "unk_token", "<unk>", NULL };
    static const char *const none[] = { NULL };
    const char *type = json_string_value(json_object_get(model, "model_type"));
    const bool named = json_object_get(config, "tokenizer_class") != NULL;
    type = type ? type : "";
    if (strcmp(type, "qwen2") == 0 || (strcmp(type, "qwen3") == 0 && !named) ||
        (strcmp(type, "mistral") != 0 && is_class(config, "Qwen2Tokenizer")))
        return qwen2;
    if (strcmp(type, "mistral") != 0 && is_class(config, "GPT2Tokenizer"))
        return gpt2;
    return pieces ? llama : none;
}

static rt_status take_tokens(const struct reader *r, const json_t *config)
{
    rt_status st;
    json_t *model = NULL, *older = NULL;
    char *path = fmt_path(r->ctx, r->folder, "tokenizer.json");
    if (!path)
        return no_memory(r);
    const bool pieces = !fmt_exists(path);
    rt_free(path);
    TRY(read_json(r, "config.json", &model));
    for (const char *const *p = usual_tokens(config, model, pieces); *p; p += 2)
        if (json_object_set_new(r->out->tokens, p[0], json_string(p[1])) != 0) {
            st = no_memory(r);
            goto fail;
        }
    TRY(put_tokens(r, config));
    if (!json_object_get(config, "added_tokens_decoder")) {
        TRY(read_json(r, "special_tokens_map.json", &older));
        TRY(put_tokens(r, older));
    }

fail:
    json_decref(model);
    json_decref(older);
    return st;
}

static rt_status read_folder(const struct reader *r)
{
    json_t *config = NULL;
    rt_status st = read_json(r, "tokenizer_config.json", &config);
    if (st == RT_OK)
        st = take_template(r, config);
    if (st == RT_OK && r->out->text)
        st = take_tokens(r, config);
    json_decref(config);
    return st;
}

/* ---- a GGUF file ---- */

/* The token of an id; false: no memory. An id that the list lacks, or a text that is not
 * UTF-8, is no token. */
static bool put_id(const struct reader *r, const char *key, int64_t id,
                   const struct fmt_gguf_key *list)
{
    const char *text = NULL;
    uint64_t at = 0;
    size_t size = 0;
    if ((uint64_t)id >= list->count)
        return true;
    for (int64_t i = 0; i <= id; i++)
        text = fmt_gguf_string_next(list, &at, &size);
    json_t *value = json_stringn(text, size);
    return !value || json_object_set_new(r->out->tokens, key, value) == 0;
}

static rt_status take_ids(const struct reader *r, const struct fmt_gguf *file)
{
    static const char *const keys[][2] = {
        { "bos_token", "tokenizer.ggml.bos_token_id" },
        { "eos_token", "tokenizer.ggml.eos_token_id" },
        { "unk_token", "tokenizer.ggml.unknown_token_id" },
        { "sep_token", "tokenizer.ggml.seperator_token_id" }, /* the format's spelling */
        { "pad_token", "tokenizer.ggml.padding_token_id" },
        { "cls_token", "tokenizer.ggml.cls_token_id" },
        { "mask_token", "tokenizer.ggml.mask_token_id" },
    };
    rt_status st;
    const struct fmt_gguf_key *list = NULL;
    TRY(fmt_gguf_array(file, "tokenizer.ggml.tokens", FMT_GGUF_STRING, &list));
    for (size_t i = 0; list && i < RT_COUNT(keys); i++) {
        int64_t id;
        if (!fmt_gguf_key_find(file, keys[i][1]))
            continue;
        TRY(fmt_gguf_whole(file, keys[i][1], 0, 0, UINT32_MAX, &id));
        if (!put_id(r, keys[i][0], id, list))
            return no_memory(r);
    }

fail:
    return st;
}

static rt_status read_gguf(const struct reader *r)
{
    rt_status st;
    struct fmt_gguf file;
    struct chat_source *s = r->out;
    st = fmt_gguf_open(r->ctx, r->folder, &file);
    if (st != RT_OK)
        return st;
    TRY(fmt_gguf_chat_template(&file, &s->text));
    if (s->text) {
        s->size = strlen(s->text);
        s->path = rt_strdup(r->ctx, r->folder);
        st = s->path ? take_ids(r, &file) : no_memory(r);
    }

fail:
    fmt_gguf_close(&file);
    return st;
}

rt_status text_chat_source_read(struct rt_ctx *ctx, const char *model,
                                struct chat_source *out)
{
    const struct reader r = { ctx, model, out };
    *out = (struct chat_source){ .tokens = json_object() };
    rt_status st = !out->tokens         ? no_memory(&r)
                   : fmt_gguf_is(model) ? read_gguf(&r)
                                        : read_folder(&r);
    if (st != RT_OK)
        text_chat_source_deinit(out);
    return st;
}

void text_chat_source_deinit(struct chat_source *source)
{
    rt_free(source->path);
    rt_free(source->text);
    json_decref(source->tokens);
    *source = (struct chat_source){ 0 };
}

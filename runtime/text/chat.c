/* runtime/text/chat.c
 * The choice of a chat format by a model's template. */
#include "runtime/text/chat.h"

#include "runtime/base/file.h"
#include "runtime/format/gguf_model.h"
#include "runtime/text/chat_rows.h"

#include <string.h>

static bool fits(const struct chat_format *f, const char *text)
{
    bool good = f->has[0] != NULL;
    for (int i = 0; i < CHAT_MARKS_MAX; i++) {
        good &= !f->has[i] || strstr(text, f->has[i]);
        good &= !f->lacks[i] || !strstr(text, f->lacks[i]);
    }
    return good;
}

rt_status text_chat_detect(struct rt_ctx *ctx, const char *path, const char *text,
                           const struct chat_format **out)
{
    char names[CHAT_CHOICES_MAX];
    uint32_t count = 0;
    *out = NULL;
    const struct chat_format *f;
    for (uint32_t i = 0; (f = text_chat_at(i)); i++)
        if (fits(f, text)) {
            *out = f;
            count++;
        }
    if (count == 1)
        return RT_OK;
    *out = NULL;
    return rt_fail(ctx, RT_ERR_INPUT,
                   "'%s': its chat template fits %s known format; choose one by name "
                   "(--chat-format NAME): %s",
                   path, count ? "more than one" : "no", text_chat_choices(names));
}

/* chat_template of tokenizer_config.json: a text, or a list of which "default" counts. */
static const char *template_of(const json_t *config)
{
    const json_t *value = json_object_get(config, "chat_template");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0)
            return json_string_value(json_object_get(entry, "template"));
    }
    return json_string_value(value);
}

static rt_status copy_text(struct rt_ctx *ctx, const char *path, const void *text,
                           size_t size, char **out)
{
    *out = rt_alloc(ctx, size + 1, 1);
    if (!*out)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    if (size)
        memcpy(*out, text, size);
    return RT_OK;
}

static rt_status read_folder(struct rt_ctx *ctx, const char *folder, char **out)
{
    rt_status st = RT_OK;
    struct fmt_map map = { 0 };
    json_t *config = NULL;
    char *own = fmt_path(ctx, folder, "chat_template.jinja");
    char *path = fmt_path(ctx, folder, "tokenizer_config.json");
    if (!own || !path) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
        goto fail;
    }
    if (fmt_exists(own)) {
        TRY(fmt_map_open(ctx, own, &map));
        TRY(copy_text(ctx, own, map.data, map.size, out));
    } else if (fmt_exists(path)) {
        TRY(fmt_json_read(ctx, path, &config));
        const char *text = template_of(config);
        if (text)
            TRY(copy_text(ctx, path, text, strlen(text), out));
    }

fail:
    fmt_map_close(&map);
    json_decref(config);
    rt_free(own);
    rt_free(path);
    return st;
}

static rt_status read_gguf(struct rt_ctx *ctx, const char *path, char **out)
{
    struct fmt_gguf file;
    rt_status st = fmt_gguf_open(ctx, path, &file);
    if (st != RT_OK)
        return st;
    st = fmt_gguf_chat_template(&file, out);
    fmt_gguf_close(&file);
    return st;
}

rt_status text_chat_pick(struct rt_ctx *ctx, const char *model, const char *name,
                         const struct chat_format **out)
{
    char names[CHAT_CHOICES_MAX], *text = NULL;
    *out = name ? text_chat_find(name) : NULL;
    if (name)
        return *out ? RT_OK
                    : rt_fail(ctx, RT_ERR_USAGE,
                              "chat format '%.40s' is not known; there are %s", name,
                              text_chat_choices(names));
    rt_status st = fmt_gguf_is(model) ? read_gguf(ctx, model, &text)
                                      : read_folder(ctx, model, &text);
    if (st == RT_OK && !text)
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' has no chat template; choose a format by name "
                     "(--chat-format NAME): %s",
                     model, text_chat_choices(names));
    if (st == RT_OK)
        st = text_chat_detect(ctx, model, text, out);
    rt_free(text);
    return st;
}

/* Sets *whole to false if the mark is more than one token. */
static rt_status check_mark(struct text_tokenizer *tok, const char *mark, size_t size,
                            bool *whole)
{
    uint32_t *ids = NULL, count = 0;
    const rt_status st = text_encode(tok, mark, size, true, &ids, &count);
    rt_free(ids);
    *whole = count == 1;
    return st;
}

rt_status text_chat_check(struct rt_ctx *ctx, const char *model,
                          const struct chat_format *format, struct text_tokenizer *tok)
{
    const char *const parts[] = { format->start, format->user_before, format->user_after,
                                  format->answer_start };
    for (size_t i = 0; i < RT_COUNT(parts); i++)
        for (const char *at = parts[i] ? parts[i] : ""; (at = strstr(at, "<|"));) {
            const char *end = strstr(at, "|>");
            const size_t size = end ? (size_t)(end - at) + 2 : 2;
            bool whole = false;
            const rt_status st = check_mark(tok, at, size, &whole);
            if (st != RT_OK)
                return st;
            if (!whole) {
                rt_log(ctx, RT_LOG_WARNING,
                       "'%s': '%.*s' of chat format '%s' is no special token of the "
                       "tokenizer: the model reads letters where it may expect a mark; "
                       "choose another format or a file made by a newer converter",
                       model, (int)size, at, format->name);
                return RT_OK;
            }
            at += size;
        }
    return RT_OK;
}

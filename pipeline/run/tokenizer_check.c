/* pipeline/run/tokenizer_check.c
 * Compares the tokenizer of a model with the session's. Files that are equal byte for byte,
 * as those of a model that was made here, are not read. */
#include "pipeline/run/tokenizer_check.h"

#include "runtime/base/file.h"
#include "runtime/format/gguf.h"

#include <string.h>

static rt_status has_file(struct rt_ctx *ctx, const char *folder, const char *name,
                          bool *out)
{
    char *path = fmt_path(ctx, folder, name);
    *out = false;
    if (!path)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory");
    *out = fmt_exists(path);
    rt_free(path);
    return RT_OK;
}

/* Whether both folders have the file with the same bytes, or neither has it. */
static rt_status same_file(struct rt_ctx *ctx, const char *a, const char *b,
                           const char *name, bool *same)
{
    rt_status st;
    bool in_a = false, in_b = false;
    struct fmt_map of_a = { 0 }, of_b = { 0 };
    char *path_a = fmt_path(ctx, a, name), *path_b = fmt_path(ctx, b, name);
    TRY(has_file(ctx, a, name, &in_a));
    TRY(has_file(ctx, b, name, &in_b));
    *same = in_a == in_b;
    if (!in_a || !in_b)
        goto fail;
    if (!path_a || !path_b) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory");
        goto fail;
    }
    TRY(fmt_map_open(ctx, path_a, &of_a));
    TRY(fmt_map_open(ctx, path_b, &of_b));
    *same = of_a.size == of_b.size &&
            (of_a.size == 0 || memcmp(of_a.data, of_b.data, of_a.size) == 0);

fail:
    fmt_map_close(&of_a);
    fmt_map_close(&of_b);
    rt_free(path_a);
    rt_free(path_b);
    return st;
}

/* Whether nothing need be read: no tokenizer, or the session's own files. */
static rt_status is_settled(struct pipe_session *session, const char *folder, bool *out)
{
    static const char *const names[] = { "tokenizer.json", "tokenizer.model",
                                         "tokenizer_config.json" };
    rt_status st = RT_OK;
    struct rt_ctx *ctx = session->ctx;
    bool json = false, model = false, same = !fmt_gguf_is(session->model);
    *out = strcmp(folder, session->model) == 0;
    if (*out || fmt_gguf_is(folder))
        return RT_OK;
    TRY(has_file(ctx, folder, "tokenizer.json", &json));
    TRY(has_file(ctx, folder, "tokenizer.model", &model));
    for (size_t i = 0; (json || model) && same && i < RT_COUNT(names); i++)
        TRY(same_file(ctx, folder, session->model, names[i], &same));
    *out = (!json && !model) || same;

fail:
    return st;
}

rt_status pipe_tokenizer_check(struct pipe_session *session, const char *folder)
{
    rt_status st;
    bool settled;
    struct text_tokenizer *other = NULL;
    struct text_difference d = { .what = NULL };
    struct rt_ctx *ctx = session->ctx;
    TRY(is_settled(session, folder, &settled));
    if (settled)
        return RT_OK;
    st = text_tokenizer_load(ctx, folder, &other);
    if (st == RT_ERR_INPUT) {
        rt_log(ctx, RT_LOG_WARNING,
               "the tokenizer of '%s' is not compared with that of '%s', which is used: "
               "%s",
               folder, session->model, ctx->message);
        return RT_OK;
    }
    TRY(st);
    TRY(text_tokenizer_compare(session->tok, other, &d));
    if (d.what)
        st =
            rt_fail(ctx, RT_ERR_INPUT,
                    "'%s' has another tokenizer than '%s': %s %u is '%s' here and '%s' "
                    "there; both models must read the same ids, so give a model that "
                    "was made from the other, or put the right tokenizer into its folder",
                    folder, session->model, d.what, d.at, d.of_b, d.of_a);

fail:
    text_tokenizer_destroy(&other);
    return st;
}

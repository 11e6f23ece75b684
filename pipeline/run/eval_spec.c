/* pipeline/run/eval_spec.c
 * Variants, shards, times and formats as text. */
#include "pipeline/run/eval_spec.h"

#include "runtime/base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const roles[] = { "full", "quant", "restored", "control" };
enum { FIRST_ADAPTED = 2, SHARDS_MAX = 100000 };

rt_status pipe_role_check(struct rt_ctx *ctx, const char *role, bool adapted)
{
    for (size_t i = adapted ? FIRST_ADAPTED : 0; i < RT_COUNT(roles); i++)
        if (strcmp(role, roles[i]) == 0)
            return RT_OK;
    return rt_fail(ctx, RT_ERR_USAGE, "--role %.40s: %srestored or control is needed%s",
                   role, adapted ? "" : "full, quant, ",
                   adapted ? " with --adapter" : "");
}

/* The first `length` bytes of `folder`. */
static rt_status make(struct rt_ctx *ctx, const char *role, const char *folder,
                      size_t length, const char *adapter, struct pipe_variant_spec *out)
{
    const char *usual = adapter ? "restored" : "full";
    if (length >= sizeof out->folder ||
        (adapter && strlen(adapter) >= sizeof out->adapter))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "the path of a model or adapter has more than %zu bytes: %.60s...",
                       sizeof out->folder - 1,
                       length >= sizeof out->folder ? folder : adapter);
    snprintf(out->role, sizeof out->role, "%s", role[0] ? role : usual);
    snprintf(out->label, sizeof out->label, "%s", out->role);
    snprintf(out->folder, sizeof out->folder, "%.*s", (int)length, folder);
    snprintf(out->adapter, sizeof out->adapter, "%s", adapter ? adapter : "");
    return pipe_role_check(ctx, out->role, out->adapter[0] != '\0');
}

rt_status pipe_variant_spec_make(struct rt_ctx *ctx, const char *role, const char *folder,
                                 const char *adapter, struct pipe_variant_spec *out)
{
    return make(ctx, role, folder, strlen(folder), adapter, out);
}

/* The label of a variant whose first `length` bytes are "ROLE:LABEL". */
static rt_status take_label(struct rt_ctx *ctx, const char *text, size_t length,
                            struct pipe_variant_spec *out)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    if (length == 0 || length >= sizeof out->label || strspn(text, allowed) < length)
        return rt_fail(
            ctx, RT_ERR_USAGE,
            "--variant ROLE:%.*s=...: a label has 1 to %zu letters, digits and "
            ". _ -",
            (int)(length < 60 ? length : 60), text, sizeof out->label - 1);
    memcpy(out->label, text, length);
    out->label[length] = '\0';
    return RT_OK;
}

rt_status pipe_variant_spec_parse(struct rt_ctx *ctx, const char *text,
                                  struct pipe_variant_spec *out)
{
    char role[sizeof out->role] = "";
    const char *equals = strchr(text, '='), *label = NULL;
    const size_t before = equals ? (size_t)(equals - text) : 0;
    const char *colon = equals ? memchr(text, ':', before) : NULL;
    const size_t length = colon ? (size_t)(colon - text) : before;
    /* A folder may have '=' or '+' in its name: then it is there. */
    if (equals && length < sizeof role && !fmt_exists(text)) {
        memcpy(role, text, length);
        role[length] = '\0';
        label = colon ? colon + 1 : NULL;
        text = equals + 1;
    }
    const char *plus = fmt_exists(text) ? NULL : strrchr(text, '+');
    const rt_status st =
        make(ctx, role, text, plus ? (size_t)(plus - text) : strlen(text),
             plus ? plus + 1 : NULL, out);
    return st == RT_OK && label ? take_label(ctx, label, (size_t)(equals - label), out)
                                : st;
}

rt_status pipe_shard_parse(struct rt_ctx *ctx, const char *text, struct pipe_wanted *out)
{
    char *slash = NULL, *end = NULL;
    const long m = strtol(text, &slash, 10);
    const long n = *slash == '/' ? strtol(slash + 1, &end, 10) : 0;
    if (n < 1 || n > SHARDS_MAX || m < 1 || m > n || *end)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "--shard %.20s: m/n is needed, as in 2/4 for the second quarter",
                       text);
    out->shard = (uint32_t)m;
    out->shards = (uint32_t)n;
    return RT_OK;
}

bool pipe_seconds_parse(const char *text, double *out)
{
    *out = 0;
    for (bool first = true; *text || first; first = false) {
        char *end;
        const double value = strtod(text, &end);
        if (end == text || !(value >= 0) || !isfinite(value))
            return false;
        const double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;
        if (*end && !strchr("hms", *end))
            return false;
        *out += value * unit;
        text = end + (*end != '\0');
    }
    return true;
}

const struct pipe_prompt_format *pipe_format_usual(const char *bench)
{
    const struct pipe_prompt_format *usual =
        fmt_exists(bench) ? NULL : pipe_prompt_format_for(bench, strcspn(bench, ":[@"));
    return usual ? usual : pipe_prompt_format_find("demo");
}

rt_status pipe_format_named(struct rt_ctx *ctx, const char *name,
                            const struct pipe_prompt_format **out)
{
    char names[160] = "";
    *out = pipe_prompt_format_find(name);
    if (!name || *out)
        return RT_OK;
    for (uint32_t i = 0; pipe_prompt_format_at(i); i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                 i ? ", " : "", pipe_prompt_format_at(i)->name);
    return rt_fail(ctx, RT_ERR_USAGE, "there is no format '%.40s'; there are %s", name,
                   names);
}

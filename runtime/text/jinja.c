/* runtime/text/jinja.c
 * The two entries of the evaluator of chat templates: compile, render. */
#include "runtime/text/jinja.h"

const struct text_jinja_limits text_jinja_limits_default = {
    .steps = 20000000,
    .value_bytes = 64u << 20,
    .output_bytes = 16u << 20,
    .depth = 600,
};

rt_status text_jinja_compile(struct rt_ctx *ctx, const char *path, const char *text,
                             size_t size, struct text_jinja **out)
{
    *out = NULL;
    (void)text;
    return rt_fail(ctx, RT_ERR_INPUT, "%s: a template of %zu bytes is not supported yet",
                   path, size);
}

rt_status text_jinja_render(struct rt_ctx *ctx, const struct text_jinja *t,
                            const json_t *variables, int64_t date,
                            const struct text_jinja_limits *limits,
                            enum text_jinja_outcome *outcome, char **out, size_t *size)
{
    (void)t;
    (void)variables;
    (void)date;
    (void)limits;
    *outcome = TEXT_JINJA_UNSUPPORTED;
    *out = NULL;
    *size = 0;
    return rt_fail(ctx, RT_ERR_INPUT, "templates are not supported yet");
}

bool text_jinja_reads(const struct text_jinja *t, const char *name)
{
    return t && name[0] != 0 && false;
}

void text_jinja_free(struct text_jinja *t)
{
    rt_free(t);
}

/* bench/jinja_render.c
 * Renders chat templates for bench/templates.py and bench/jinja_fuzz.py: one JSON object per
 * line of standard input, {"template": TEXT, "variables": {...}, "date": DAYS}, one per line of
 * standard output, {"outcome": WORD, "text": TEXT, "message": TEXT, "us": MICROSECONDS}. */
#include "runtime/text/jinja.h"

#include <stdio.h>
#include <string.h>

static const char *const outcomes[] = {
    [TEXT_JINJA_RENDERED] = "rendered", [TEXT_JINJA_RAISED] = "raised",
    [TEXT_JINJA_FAILED] = "failed",     [TEXT_JINJA_UNSUPPORTED] = "unsupported",
    [TEXT_JINJA_LIMIT] = "limit",
};

static json_t *render(struct rt_ctx *ctx, const json_t *request)
{
    const char *template_text = json_string_value(json_object_get(request, "template"));
    const size_t template_size = json_string_length(json_object_get(request, "template"));
    const json_t *variables = json_object_get(request, "variables");
    const int64_t date = json_integer_value(json_object_get(request, "date"));
    struct text_jinja *t = NULL;
    enum text_jinja_outcome outcome = TEXT_JINJA_UNSUPPORTED;
    char *text = NULL;
    size_t size = 0;
    const char *word = "refused";
    uint64_t ns = 0;
    ctx->message[0] = 0;
    if (template_text &&
        text_jinja_compile(ctx, "template", template_text, template_size, &t) == RT_OK) {
        const uint64_t start = rt_time_ns();
        const rt_status st =
            text_jinja_render(ctx, t, variables, date, NULL, &outcome, &text, &size);
        ns = rt_time_ns() - start;
        word = (st == RT_OK) == (outcome == TEXT_JINJA_RENDERED) ? outcomes[outcome]
                                                                 : "inconsistent";
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "outcome", json_string(word));
    json_object_set_new(answer, "text", text ? json_stringn(text, size) : json_null());
    json_object_set_new(answer, "message", json_string(ctx->message));
    json_object_set_new(answer, "us", json_real((double)ns / 1000));
    rt_free(text);
    text_jinja_free(t);
    return answer;
}

int main(void)
{
    struct rt_ctx ctx = { 0 };
    json_t *request;
    while ((request = json_loadf(stdin, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL)) !=
           NULL) {
        json_t *answer = render(&ctx, request);
        json_dumpf(answer, stdout, JSON_COMPACT);
        fputc('\n', stdout);
        json_decref(answer);
        json_decref(request);
    }
    return 0;
}

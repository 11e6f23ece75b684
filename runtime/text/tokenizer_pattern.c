/* runtime/text/tokenizer_pattern.c
 * Regular expressions: compiled by PCRE2, searched as the onig crate does. */
#include "runtime/text/tokenizer_pattern.h"

#include "runtime/text/tokenizer_unicode.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Bytes for backtracking within one search, and how many steps one may take. */
enum { STACK_FIRST = 32 * 1024, STACK_MAX = 256 * 1024 * 1024, STEPS_MAX = 100000000 };

static rt_status no_memory(struct rt_ctx *ctx, const char *path)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
}

static rt_status compile(struct text_pattern *p, struct rt_ctx *ctx, const char *path,
                         const char *given, const char *pattern, size_t size,
                         uint32_t options)
{
    int error;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160] = "";
    pcre2_compile_context *rules = pcre2_compile_context_create(NULL);
    if (!rules)
        return no_memory(ctx, path);
    pcre2_set_newline(rules, PCRE2_NEWLINE_LF);
    p->code = pcre2_compile((PCRE2_SPTR)pattern, size, options, &error, &at, rules);
    pcre2_compile_context_free(rules);
    if (!p->code) {
        pcre2_get_error_message(error, why, sizeof why);
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': the splitting pattern '%.200s' does not compile: %s", path,
                       given, (const char *)why);
    }
    p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (!p->match || !p->limits)
        return no_memory(ctx, path);
    pcre2_set_match_limit(p->limits, STEPS_MAX);
    pcre2_set_heap_limit(p->limits, STACK_MAX / 1024);
    if (pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0) { /* slower without */
        p->stack = pcre2_jit_stack_create(STACK_FIRST, STACK_MAX, NULL);
        if (!p->stack)
            return no_memory(ctx, path);
        pcre2_jit_stack_assign(p->limits, NULL, p->stack);
    }
    return RT_OK;
}

rt_status text_pattern_init(struct text_pattern *p, struct rt_ctx *ctx, const char *path,
                            const char *pattern, size_t size, enum text_dialect dialect)
{
    char *own = NULL;
    *p = (struct text_pattern){ .dialect = dialect };
    rt_status st = RT_OK;
    if (dialect == TEXT_ONIGURUMA || dialect == TEXT_LLAMA_CPP)
        st = text_onig_translate(ctx, path, pattern, size, &own);
    if (st == RT_OK)
        st = compile(p, ctx, path, pattern, own ? own : pattern, own ? strlen(own) : size,
                     PCRE2_UTF | (dialect == TEXT_LITERAL ? PCRE2_LITERAL : PCRE2_UCP));
    rt_free(own);
    if (st != RT_OK)
        text_pattern_deinit(p);
    return st;
}

void text_pattern_deinit(struct text_pattern *p)
{
    pcre2_jit_stack_free(p->stack);
    pcre2_match_context_free(p->limits);
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->code);
    *p = (struct text_pattern){ 0 };
}

/* ---- searching ---- */

/* Bytes of the character at this place; the text is UTF-8. */
static size_t character_at(const struct text_search *s, size_t at)
{
    size_t n = 1;
    while (at + n < s->size && ((uint8_t)s->text[at + n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* An empty match right behind the last match does not count: the search goes on one
 * character later. */
rt_status text_search_next(struct text_search *s, struct rt_ctx *ctx, size_t *first,
                           size_t *last, bool *found)
{
    *found = false;
    while (s->at <= s->size) {
        const struct text_pattern *p = s->pattern;
        const int n = pcre2_match(p->code, (PCRE2_SPTR)s->text, s->size, s->at,
                                  PCRE2_NO_UTF_CHECK, p->match, p->limits);
        if (n == PCRE2_ERROR_NOMATCH)
            break;
        if (n < 0)
            return rt_fail(ctx, RT_ERR_INPUT,
                           "encoding: a splitting pattern of the tokenizer fails on a "
                           "text of %zu bytes (PCRE2 error %d)",
                           s->size, n);
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(p->match);
        assert(range[0] <= range[1] && range[1] <= s->size);
        if (range[0] == range[1] && s->matched && s->last_end == range[1]) {
            s->at += character_at(s, s->at);
            continue;
        }
        *first = range[0];
        *last = s->at = s->last_end = range[1];
        *found = s->matched = true;
        break;
    }
    return RT_OK;
}

bool text_pattern_is(struct text_pattern *p, const char *text, size_t size)
{
    uint32_t c;
    char seen[4];
    text_character(text, size, &c);
    size = text_put_character(text_stand_in(c), seen);
    return pcre2_match(p->code, (PCRE2_SPTR)seen, size, 0,
                       PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED, p->match, p->limits) > 0;
}

rt_status text_pattern_seen(const struct text_pattern *p, struct rt_ctx *ctx,
                            const char *text, size_t size, char **out)
{
    *out = NULL;
    if (p->dialect != TEXT_ONIGURUMA && p->dialect != TEXT_LLAMA_CPP)
        return RT_OK;
    for (size_t i = 0; i < size;) {
        uint32_t c, old;
        const size_t n = text_character(text + i, size - i, &c);
        old = n < 3                          ? c
              : p->dialect == TEXT_LLAMA_CPP ? text_stand_in_of_15(c)
                                             : text_stand_in(c);
        if (old != c) {
            if (!*out) {
                *out = rt_alloc(ctx, size, 1);
                if (!*out)
                    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
                memcpy(*out, text, size);
            }
            text_put_character(old, *out + i);
        }
        i += n;
    }
    return RT_OK;
}

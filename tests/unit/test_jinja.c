/* Chat templates: the texts that jinja2 makes of them as transformers sets it up, refusals by
 * construct and line, limits, memory that runs out. The texts are in tests/golden/jinja. */
#include "runtime/text/jinja.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAP_DAY_2024 = 19782 };

struct result {
    rt_status status;
    bool compiled;
    enum text_jinja_outcome outcome;
    char *text;
    size_t size;
};

static struct result render(struct rt_ctx *ctx, const char *template_text, size_t size,
                            const json_t *variables,
                            const struct text_jinja_limits *limits)
{
    struct result r = { .compiled = false };
    struct text_jinja *t = NULL;
    r.status = text_jinja_compile(ctx, "some.jinja", template_text, size, &t);
    r.compiled = r.status == RT_OK;
    if (r.compiled)
        r.status = text_jinja_render(ctx, t, variables, LEAP_DAY_2024, limits, &r.outcome,
                                     &r.text, &r.size);
    else
        assert_null(t);
    text_jinja_free(t);
    return r;
}

/* One line of the cases: 1 if it is as jinja2 has it. */
static int check_case(const json_t *line, const json_t *variables)
{
    struct rt_ctx ctx = { 0 };
    const json_t *template_text = json_object_get(line, "template"),
                 *text = json_object_get(line, "text");
    const struct result r = render(&ctx, json_string_value(template_text),
                                   json_string_length(template_text), variables, NULL);
    bool good;
    if (json_is_null(text))
        good = r.status == RT_ERR_INPUT && !r.text && ctx.message[0] &&
               (!r.compiled || r.outcome == TEXT_JINJA_FAILED ||
                r.outcome == TEXT_JINJA_RAISED);
    else
        good = r.status == RT_OK && r.outcome == TEXT_JINJA_RENDERED &&
               r.size == json_string_length(text) &&
               memcmp(r.text, json_string_value(text), r.size + 1) == 0;
    if (!good)
        print_error("template %s\n  expected %s\n  got      %s (%s)\n",
                    json_string_value(template_text),
                    json_is_null(text) ? "an error" : json_string_value(text),
                    r.text ? r.text : "an error", ctx.message);
    rt_free(r.text);
    return good;
}

static void golden_cases(void **state)
{
    (void)state;
    FILE *file = fopen(TEST_SOURCE_DIR "/tests/golden/jinja/cases.jsonl", "rb");
    assert_non_null(file);
    json_t *line, *variables = NULL;
    int count = 0, good = 0;
    while ((line = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL))) {
        if (json_object_get(line, "variables")) {
            json_decref(variables);
            variables = json_incref(json_object_get(line, "variables"));
        } else {
            count++;
            good += check_case(line, variables);
        }
        json_decref(line);
    }
    json_decref(variables);
    fclose(file);
    assert_true(count > 400);
    assert_int_equal(good, count);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "a\n{% include 'x' %}", "': the chat template cannot be used, line 2: the tag "
                                  "`include` is not supported" },
        { "{% import 'x' as y %}", "line 1: the tag `import` is not supported" },
        { "{% from 'x' import y %}", "the tag `from` is not supported" },
        { "{% extends 'x' %}", "the tag `extends` is not supported" },
        { "{% block b %}{% endblock %}", "the tag `block` is not supported" },
        { "{% autoescape true %}{% endautoescape %}", "`autoescape` is not supported" },
        { "\n\n{{ x|urlize }}", "line 3: the filter `urlize` is not supported" },
        { "{{ x|striptags }}", "the filter `striptags` is not supported" },
        { "{{ x|random }}", "the filter `random` is not supported" },
        { "{{ x|nope }}", "there is no filter `nope`" },
        { "{{ x is nope }}", "there is no test `nope`" },
        { "{% do x %}", "the tag `do` is not known" },
        { "{{ self.x() }}", "the variable `self` is not supported" },
        { "{% if x %}", "`elif` is missing at the end" },
        { "{{ (x }}", "a } without its other half" },
        { "{{ 'x }}", "a string has no end '" },
        { "{# x", "a comment has no end" },
        { "{% raw %}x", "a raw block has no end" },
        { "{{ 99999999999999999999 }}", "more than 64 bits" },
        { "{{ '\\N{DASH}' }}", "are not supported" },
        { "{% continue %}", "`continue` outside of a loop" },
        { "{% for i in x %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
          "`break` outside of a loop" },
        { "\xff", "byte 0 is not UTF-8" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        const struct result r =
            render(&ctx, cases[i].text, strlen(cases[i].text), NULL, NULL);
        if (r.compiled || r.status != RT_ERR_INPUT ||
            !strstr(ctx.message, cases[i].words) || !strstr(ctx.message, "some.jinja': "))
            fail_msg("%s: %s", cases[i].text, ctx.message);
        assert_int_equal(rt_exit_code(r.status), 4);
    }
}

/* What can be told only while it runs. */
static void outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
        enum text_jinja_outcome outcome;
    } cases[] = {
        { "\n{{ raise_exception('No system role, please.') }}",
          "some.jinja': the chat template refuses this conversation, line 2: No system "
          "role, please.",
          TEXT_JINJA_RAISED },
        { "{{ x.y }}", "x is undefined", TEXT_JINJA_FAILED },
        { "{% set d = {} %}{{ d.a.b }}",
          "': the chat template fails, line 1: a dict has no element a",
          TEXT_JINJA_FAILED },
        { "{{ [1].append(2) }}", "cannot be changed by a chat template",
          TEXT_JINJA_FAILED },
        { "{{ 'a' + 1 }}", "`+` of a string and a whole number", TEXT_JINJA_FAILED },
        { "{{ lipsum() }}", "the function lipsum", TEXT_JINJA_UNSUPPORTED },
        { "{{ [1]|map('string') }}", "the text of a generator", TEXT_JINJA_UNSUPPORTED },
        { "{{ 9223372036854775807 + 1 }}", "more than 64 bits", TEXT_JINJA_UNSUPPORTED },
        { "{{ 'a'.encode() }}", "the attribute encode of a string",
          TEXT_JINJA_UNSUPPORTED },
        { "{{ ''.__class__ }}", "the attribute __class__", TEXT_JINJA_UNSUPPORTED },
        { "{{ strftime_now('%U') }}", "strftime_now with %U", TEXT_JINJA_UNSUPPORTED },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        const struct result r =
            render(&ctx, cases[i].text, strlen(cases[i].text), NULL, NULL);
        if (!r.compiled || r.status != RT_ERR_INPUT || r.outcome != cases[i].outcome ||
            r.text || !strstr(ctx.message, cases[i].words))
            fail_msg("%s: outcome %d, %s", cases[i].text, r.outcome, ctx.message);
    }
}

/* Templates that never end or take too much, with the limits that everybody has. */
static void limits(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor "
          "%}",
          "more than 20000000 steps" },
        { "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(99) %}"
          "{% set ns.x = ns.x + ns.x %}{% endfor %}",
          "more than 16777216 bytes of text" },
        { "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}"
          "{% set ns.x = ns.x + ns.x %}{% endfor %}",
          "more than 67108864 bytes of values" },
        { "{{ 'x' * 1000000000 }}", "bytes of text" },
        { "{{ [0] * 1000000000 }}", "bytes of values" },
        { "{{ '%999999999d' % 1 }}", "a width of this size" },
        { "{{ 'x'.center(1000000000) }}", "more than 16777216 bytes" },
        { "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
          "more than 16777216 bytes of text" },
        { "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
          "more than 600 levels inside each other" },
        { "{% set x = 'é' * 3000000 %}{% for i in range(99999) %}{% set y = x[2000000] %}"
          "{% endfor %}",
          "more than 20000000 steps" },
        { "{% set x = 'a' * 4000000 %}{% set y = 'a' * 400000 ~ 'b' %}"
          "{% for i in range(99999) %}{% set z = x.rfind(y) %}{% endfor %}",
          "more than 20000000 steps" },
        { "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
          "more than 600 levels inside each other" },
        { "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
          "more than 600 levels inside each other" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        const struct result r =
            render(&ctx, cases[i].text, strlen(cases[i].text), NULL, NULL);
        if (!r.compiled || r.status != RT_ERR_INPUT || r.text ||
            !strstr(ctx.message, cases[i].words))
            fail_msg("%s: outcome %d, %s", cases[i].text, r.outcome, ctx.message);
    }
}

/* `count` times `part`, with `before` and `after` around. */
static char *repeated(const char *before, const char *part, size_t count,
                      const char *after)
{
    const size_t n = strlen(part);
    char *text = malloc(strlen(before) + n * count + strlen(after) + 1), *at = text;
    assert_non_null(text);
    memcpy(at, before, strlen(before));
    at += strlen(before);
    for (size_t i = 0; i < count; i++, at += n)
        memcpy(at, part, n + 1);
    memcpy(at, after, strlen(after) + 1);
    return text;
}

static void deep_nests(void **state)
{
    (void)state;
    static const struct {
        const char *before, *part, *after;
    } cases[] = {
        { "{{ ", "(", " }}" },          { "{{ ", "[", " }}" },
        { "{{ ", "{1:", " }}" },        { "{{ ", "-", "1 }}" },
        { "{{ ", "not ", "1 }}" },      { "", "{% if 1 %}", "" },
        { "", "{% for i in x %}", "" }, { "{{ 1", "+1", " }}" },
        { "{{ x", ".x", " }}" },        { "{{ x", "|string", " }}" },
        { "{{ x", "[x", " }}" },        { "{{ 1 ", "if 1 else 1 ", " }}" },
        { "{{ 1 ", "and 1 ", " }}" },   { "{{ x", "(x", " }}" },
        { "{{ x", " is in x", " }}" },  { "", "{% filter upper %}", "" },
        { "", "{% macro f() %}", "" },  { "{{ 1", "**1", " }}" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        char *text = repeated(cases[i].before, cases[i].part, 10000, cases[i].after);
        const struct result r = render(&ctx, text, strlen(text), NULL, NULL);
        if (r.status != RT_ERR_INPUT || r.text || !ctx.message[0])
            fail_msg("10,000 x %s: %d %s", cases[i].part, r.status, ctx.message);
        if (i < 2)
            assert_non_null(
                strstr(ctx.message, "more than 150 brackets")); /* templates.md */
        free(text);
    }
}

static void deep_variables(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    json_t *value = json_array();
    for (int i = 0; i < 1000; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, value);
        value = outer;
    }
    json_t *variables = json_pack("{s:o}", "x", value);
    const struct result r = render(&ctx, "{{ x }}", 7, variables, NULL);
    assert_int_equal(r.status, RT_ERR_INPUT);
    assert_int_equal(r.outcome, TEXT_JINJA_LIMIT);
    assert_null(r.text);
    json_decref(variables);
}

static void own_limits(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const struct text_jinja_limits few = {
        .steps = 1000, .value_bytes = 100000, .output_bytes = 4, .depth = 20
    };
    struct result r = render(&ctx, "abcd", 4, NULL, &few);
    assert_int_equal(r.status, RT_OK);
    assert_string_equal(r.text, "abcd");
    rt_free(r.text);
    r = render(&ctx, "abcde", 5, NULL, &few);
    assert_int_equal(r.outcome, TEXT_JINJA_LIMIT);
    assert_non_null(strstr(ctx.message, "more than 4 bytes of text"));
}

static const char chat[] =
    "{% macro turn(m) %}{% for part in m.content.split(' ') %}{{ part|upper }} {% endfor "
    "%}"
    "{% endmacro %}{% set ns = namespace(n=0) %}{% for m in messages if m.content %}"
    "{% set ns.n = ns.n + 1 %}{% set text %}[{{ m.role }}]{{ turn(m)|trim }}{% endset %}"
    "{{ text ~ ns.n ~ (m|tojson) ~ '%s'|format(loop.last) }}{% endfor %}"
    "{% for k, v in messages[0]|dictsort %}{{ k }}{% endfor %}{{ "
    "messages|map('length')|list }}";

static json_t *chat_variables(void)
{
    return json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "messages", "role", "user", "content",
                     "one two", "role", "assistant", "content", "three");
}

/* Every allocation fails once: a status and a message, nothing lost (under sanitizers). */
static void memory_runs_out(void **state)
{
    (void)state;
    json_t *variables = chat_variables();
    bool finished = false;
    for (uint64_t n = 1; !finished; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        const struct result r = render(&ctx, chat, sizeof chat - 1, variables, NULL);
        finished = r.status == RT_OK;
        if (!finished) {
            assert_int_equal(r.status, RT_ERR_HOST_MEMORY);
            assert_non_null(strstr(ctx.message, "some.jinja': not enough memory"));
            assert_null(r.text);
        }
        rt_free(r.text);
        assert_true(n < 1000);
    }
    json_decref(variables);
}

static void names_read(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct text_jinja *t = NULL;
    static const char text[] =
        "{% set y = x %}{{ y }}{% if enable_thinking is defined %}{% "
        "endif %}{% for z in messages %}{{ z }}{% endfor %}";
    assert_int_equal(text_jinja_compile(&ctx, "a", text, sizeof text - 1, &t), RT_OK);
    assert_true(text_jinja_reads(t, "x"));
    assert_true(text_jinja_reads(t, "enable_thinking"));
    assert_true(text_jinja_reads(t, "messages"));
    assert_false(text_jinja_reads(t, "y"));
    assert_false(text_jinja_reads(t, "z"));
    assert_false(text_jinja_reads(t, "strftime_now"));
    text_jinja_free(t);
    text_jinja_free(NULL);
}

/* One compiled template gives the same text every time. */
static void renders_again(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct text_jinja *t = NULL;
    json_t *variables = chat_variables();
    char *first = NULL;
    assert_int_equal(text_jinja_compile(&ctx, "a", chat, sizeof chat - 1, &t), RT_OK);
    for (int i = 0; i < 3; i++) {
        enum text_jinja_outcome outcome;
        char *text;
        size_t size;
        assert_int_equal(
            text_jinja_render(&ctx, t, variables, 0, NULL, &outcome, &text, &size),
            RT_OK);
        assert_int_equal(strlen(text), size);
        if (first)
            assert_string_equal(first, text);
        else
            first = text;
        if (first != text)
            rt_free(text);
    }
    rt_free(first);
    text_jinja_free(t);
    json_decref(variables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cases), cmocka_unit_test(refusals),
        cmocka_unit_test(outcomes),     cmocka_unit_test(limits),
        cmocka_unit_test(deep_nests),   cmocka_unit_test(deep_variables),
        cmocka_unit_test(own_limits),   cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(names_read),   cmocka_unit_test(renders_again),
    };
    return cmocka_run_group_tests_name("jinja", tests, NULL, NULL);
}

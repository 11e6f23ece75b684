/* Texts as JSON Lines, and weights of texts and solutions: what is read, and what is refused
 * with file, line and reason. */
#include "pipeline/data/problems.h"
#include "pipeline/data/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static rt_status parse(struct rt_ctx *ctx, const char *text, struct pipe_texts *out)
{
    return pipe_texts_parse(ctx, "t.jsonl", text, strlen(text), 0, UINT32_MAX, out);
}

static void texts_and_weights_are_read(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_texts t;
    assert_int_equal(parse(&ctx,
                           "{\"text\":\"plain\"}\n\n"
                           "{\"text\":\"z\xC3\xA4hlt 2\",\"weight\":2,\"note\":3,"
                           "\"spans\":[[0,2,0],[2,7,4.5]]}\r\n",
                           &t),
                     RT_OK);
    assert_int_equal(t.count, 2);
    assert_string_equal(t.items[0].text, "plain");
    assert_null(t.items[0].weights);
    const struct pipe_text_weights *w = t.items[1].weights;
    assert_null(w->refused);
    assert_string_equal(w->where, "'t.jsonl' line 3");
    assert_true(w->weight == 2 && w->count == 2);
    /* characters become bytes: the second one has two */
    assert_int_equal(w->spans[0].begin, 0);
    assert_int_equal(w->spans[0].end, 3);
    assert_int_equal(w->spans[1].begin, 3);
    assert_int_equal(w->spans[1].end, 8);
    assert_true(w->spans[0].weight == 0 && w->spans[1].weight == 4.5);
    pipe_texts_deinit(&t);
    assert_int_equal(
        pipe_texts_parse(&ctx, "t", "[{\"text\":\"a\"},{\"text\":\"b\"}]", 27, 1, 2, &t),
        RT_OK);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.items[0].text, "b");
    pipe_texts_deinit(&t);
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file, *message;
    } cases[] = {
        { "", "holds no text" },
        { "\n\n", "holds no text" },
        { "{\"text\":\"a\"", "line 1, column" },
        { "{\"text\":\"a\"}\n{\"words\":\"b\"}", "line 2: field 'text' is missing" },
        { "{\"text\":\"\"}", "line 1: field 'text' is empty" },
        { "{\"text\":7}", "line 1: field 'text' must be text" },
        { "[1]", "item 1: not a JSON object" },
        { "\xff", "UTF-8" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_texts t;
        assert_int_equal(parse(&ctx, cases[i].file, &t), RT_ERR_INPUT);
        assert_int_equal(t.count, 0);
        if (!strstr(ctx.message, cases[i].message))
            fail_msg("'%s' is not in '%s'", cases[i].message, ctx.message);
    }
    struct rt_ctx ctx = { 0 };
    struct pipe_texts t;
    assert_int_equal(pipe_texts_parse(&ctx, "t", "{\"text\":\"a\"}", 12, 1, 2, &t),
                     RT_ERR_USAGE);
}

/* Reading them does not fail: a problem file may have fields of these names. */
static void bad_weights_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *message;
    } cases[] = {
        { "\"weight\":-1",
          "'t.jsonl' line 1: 'weight' must be a number from 0 to 1e+06" },
        { "\"weight\":NaN", "'weight' must be a number" },
        { "\"weight\":Infinity", "'weight' must be a number" },
        { "\"weight\":\"2\"", "'weight' must be a number" },
        { "\"weight\":null", "'weight' must be a number" },
        { "\"weight\":1000001", "'weight' must be a number" },
        { "\"spans\":5", "'spans' must be a list of [begin, end, weight]" },
        { "\"spans\":[3]", "span 1 must be [begin, end, weight]" },
        { "\"spans\":[[0,1]]", "span 1 must be [begin, end, weight]" },
        { "\"spans\":[[0.5,1,1]]", "span 1 must be [begin, end, weight]" },
        { "\"spans\":[[-1,1,1]]", "begin before end" },
        { "\"spans\":[[2,2,1]]", "begin before end" },
        { "\"spans\":[[0,1,1],[1,2,-1]]", "the weight of span 2 must be a number" },
        { "\"spans\":[[0,1,NaN]]", "the weight of span 1 must be a number" },
        { "\"spans\":[[0,3,1],[2,4,1]]", "span 2 begins before the one before it ends" },
        { "\"spans\":[[0,6,1]]", "span 1 ends at character 6 of a text of 5" },
        { "\"spans\":[[5,6,1]]", "span 1 ends at character 6 of a text of 5" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_texts t;
        char line[256];
        snprintf(line, sizeof line, "{\"text\":\"a\xC3\xBC 12\",%s}", cases[i].fields);
        assert_int_equal(parse(&ctx, line, &t), RT_OK);
        const char *refused = t.items[0].weights->refused;
        if (!refused || !strstr(refused, cases[i].message))
            fail_msg("'%s' is not in '%s'", cases[i].message, refused ? refused : "");
        pipe_texts_deinit(&t);
    }
}

static void solutions_have_weights(void **state)
{
    (void)state;
    static const char file[] =
        "{\"id\":\"a\",\"question\":\"q\",\"answer\":\"2\",\"solution\":\"1+1=2\","
        "\"weight\":0.5,\"spans\":[[4,5,3]]}\n"
        "{\"id\":\"b\",\"question\":\"q\",\"answer\":\"2\",\"spans\":[[0,1,3]]}\n"
        "{\"id\":\"c\",\"question\":\"q\",\"answer\":\"2\"}\n";
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    assert_int_equal(
        pipe_problems_parse(&ctx, "p", file, sizeof file - 1, 0, UINT32_MAX, &set),
        RT_OK);
    const struct pipe_text_weights *w = set.items[0].weights;
    assert_true(w && !w->refused && w->weight == 0.5 && w->count == 1);
    assert_int_equal(w->spans[0].begin, 4);
    assert_non_null(
        strstr(set.items[1].weights->refused, "the solution, which it lacks"));
    assert_null(set.items[2].weights);
    pipe_problems_deinit(&set);
}

static void a_file_of_texts_is_known(void **state)
{
    (void)state;
    assert_false(pipe_texts_named("none.jsonl"));
    assert_false(pipe_texts_named("gsm8k:train[0:2]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_weights_are_read),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(bad_weights_are_told),
        cmocka_unit_test(solutions_have_weights),
        cmocka_unit_test(a_file_of_texts_is_known),
    };
    return cmocka_run_group_tests_name("texts", tests, NULL, NULL);
}

/* The demo format: step splitting, line reading, extraction, grading, degenerate form. */
#include "pipeline/demo/format_demo.h"
#include "pipeline/prompt/prompt_format.h"
#include "tests/support/demo_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void prompt_is_question_and_separator(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const struct pipe_prompt_format *f = pipe_prompt_format_find("demo");
    assert_non_null(f);
    const struct pipe_prompt ready = { .format = f };
    char *prompt;
    assert_int_equal(pipe_prompt_text(&ctx, &ready, "How many?", &prompt), RT_OK);
    assert_string_equal(prompt, "How many?<|sep|>");
    rt_free(prompt);
    assert_int_equal(f->new_tokens_max, 112);
    assert_string_equal(f->stop, "<|endoftext|>");
    assert_null(pipe_prompt_format_find("nonsense"));
    assert_null(pipe_prompt_format_find(NULL));
    struct pipe_prompt_format other = *f;
    char a[65], b[65];
    other.after = "<|sep|> ";
    const struct pipe_prompt changed = { .format = &other };
    pipe_prompt_hash(&ready, a);
    pipe_prompt_hash(&changed, b);
    assert_string_not_equal(a, b);
    /* Computed outside this program; runs of old files are found by it. */
    assert_string_equal(
        a, "be5c1e9fcb1f92270be919d3325c6dba9bb110ada03badc5acba7745c1827d69");
}

static void lines_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pipe_line_kind kind;
        int64_t a, b, c;
        char op;
    } rows[] = {
        { "Hugo: 11+40=51", PIPE_LINE_EQUATION, 11, 40, 51, '+' },
        { "dozen eggs: 6/2=4", PIPE_LINE_EQUATION, 6, 2, 4, '/' },
        { "####: 99-9=90", PIPE_LINE_EQUATION, 99, 9, 90, '-' },
        { "#### 62", PIPE_LINE_ANSWER, 0, 0, 62, 0 },
        { "#### ", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "#### 6x", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "Hugo 11+40=51", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { ": 11+40=51", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "Hugo: 11+40=", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "Hugo: 11+=51", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "Hugo: 11+40=51 ", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "Hugo: 1+40+2=51", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "Hugo: 1234567890*1=2", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
        { "Hugo: 999999999*1=2", PIPE_LINE_EQUATION, 999999999, 1, 2, '*' },
        { "", PIPE_LINE_UNREADABLE, 0, 0, 0, 0 },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct pipe_demo_line line;
        pipe_demo_line_parse(rows[i].text, strlen(rows[i].text), &line);
        if (line.kind != rows[i].kind || line.a != rows[i].a || line.b != rows[i].b ||
            line.c != rows[i].c || line.op != rows[i].op)
            fail_msg("'%s' was read otherwise", rows[i].text);
    }
    int64_t value;
    assert_true(pipe_demo_evaluate(12, '/', 4, &value) && value == 3);
    assert_false(pipe_demo_evaluate(12, '/', 5, &value));
    assert_false(pipe_demo_evaluate(12, '/', 0, &value));
}

static void steps_tile_the_answer(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "\n", "a: 1+1=2", "a: 1+1=2\n", "a: 1+1=2\n\n\nb\n#### 2", "\n\nx\ny",
    };
    static const uint32_t counts[] = { 0, 0, 1, 1, 3, 2 };
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        struct pipe_step steps[8];
        const uint32_t n = pipe_demo_split(texts[i], steps, 8);
        assert_int_equal(n, counts[i]);
        for (uint32_t k = 0; k < n; k++)
            assert_int_equal(steps[k].char_start, k ? steps[k - 1].char_end : 0);
        if (n)
            assert_int_equal(steps[n - 1].char_end, strlen(texts[i]));
    }
    struct pipe_step two[2];
    assert_int_equal(pipe_demo_split("a\nb\nc\nd", two, 2), 2);
    assert_int_equal(two[1].char_end, 7);
}

static void tokens_belong_to_the_step_they_begin_in(void **state)
{
    (void)state;
    struct pipe_step steps[3];
    const uint32_t n = pipe_demo_split("ab\ncd\ne", steps, 3);
    const uint32_t ends[] = { 1, 3, 4, 6, 7, 7 }; /* the last is the end token */
    pipe_steps_map_tokens(steps, n, ends, 6);
    assert_int_equal(steps[0].tok_end, 2);
    assert_int_equal(steps[1].tok_start, 2);
    assert_int_equal(steps[1].tok_end, 4);
    assert_int_equal(steps[2].tok_end, 6);
    assert_int_equal(pipe_step_of_token(steps, n, 3), 1);
    assert_int_equal(pipe_step_of_token(steps, n, 5), 2);
    assert_int_equal(pipe_step_of_token(steps, n, 6), -1);
}

static void grades(const char *output, enum pipe_finish finish, bool extract_ok,
                   bool correct, const char *reason)
{
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score score;
    pipe_grade(NULL, pipe_prompt_format_find("demo"), output, finish, "62", extracted,
               &score);
    if (score.extract_ok != extract_ok || score.correct != correct ||
        !strstr(score.reason, reason))
        fail_msg("'%s': extract_ok %d, correct %d, '%s'", output, score.extract_ok,
                 score.correct, score.reason);
    assert_int_equal(score.extracted != NULL, extract_ok);
}

static void extraction_and_equality_are_separate(void **state)
{
    (void)state;
    grades("a: 31*2=62\n#### 62", PIPE_FINISH_STOP, true, true, "last");
    grades("#### 61\n#### 062 \n", PIPE_FINISH_STOP, true, true, "last");
    grades("#### 62\n#### 61", PIPE_FINISH_STOP, true, false, "last");
    grades("#### 62.", PIPE_FINISH_STOP, true, false, "last");
    grades("a: 31*2=62\n####62", PIPE_FINISH_STOP, false, false, "no line");
    grades("a: 31*2=62\n#### ", PIPE_FINISH_STOP, false, false, "nothing");
    grades("", PIPE_FINISH_STOP, false, false, "no line");
    grades("a: 31*2", PIPE_FINISH_LENGTH, false, false, "truncated");
    grades("#### 62", PIPE_FINISH_LENGTH, true, true, "last");
    grades("#### 62", PIPE_FINISH_ERROR, false, false, "no answer");
    grades("#### 99999999999999999999999999999999999999999999999999999999999999999999999",
           PIPE_FINISH_STOP, true, false, "last");
}

/* The bundled reference answers carry the verdicts of the model's makers. */
static void grades_of_all_reference_answers_are_reproduced(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    const struct test_answer *answers = test_answers(&ctx, &set);
    uint32_t right[2] = { 0 };
    for (uint32_t i = 0; i < set.count; i++)
        for (int v = 0; v < 2; v++) {
            char extracted[PIPE_EXTRACT_MAX];
            struct pipe_score score;
            pipe_grade(NULL, pipe_prompt_format_find("demo"), answers[i].text[v],
                       PIPE_FINISH_STOP, set.items[i].answer, extracted, &score);
            assert_int_equal(score.correct, answers[i].right[v]);
            right[v] += score.correct;
        }
    pipe_problems_deinit(&set);
    assert_int_equal(right[0], 1737); /* 86.85 % */
    assert_int_equal(right[1], 1496); /* 74.80 % */
}

static void loops_and_monotony_are_told_from_length(void **state)
{
    (void)state;
    uint32_t ids[112];
    struct pipe_form form;
    for (uint32_t i = 0; i < 112; i++)
        ids[i] = i;
    pipe_form_of(ids, 112, PIPE_FINISH_LENGTH, &form);
    assert_true(form.truncated && !pipe_form_degenerate(&form));
    for (uint32_t i = 12; i < 112; i++)
        ids[i] = i % 25;
    pipe_form_of(ids, 112, PIPE_FINISH_LENGTH, &form);
    assert_true(form.loops && form.period == 25 && !form.monotone);
    ids[40] = 999; /* inside the last four rounds */
    pipe_form_of(ids, 112, PIPE_FINISH_LENGTH, &form);
    assert_false(form.loops);
    for (uint32_t i = 0; i < 100; i++)
        ids[i] = (i * i) % 4; /* 0 and 1 only */
    pipe_form_of(ids, 100, PIPE_FINISH_STOP, &form);
    assert_true(form.monotone && !form.truncated);
    pipe_form_of(ids, 0, PIPE_FINISH_STOP, &form);
    assert_false(pipe_form_degenerate(&form));
    const uint32_t nine[9] = { 1, 2, 3, 1, 2, 3, 1, 2, 3 };
    pipe_form_of(nine, 9, PIPE_FINISH_STOP, &form);
    assert_false(form.loops); /* three times only */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompt_is_question_and_separator),
        cmocka_unit_test(lines_are_read_strictly),
        cmocka_unit_test(steps_tile_the_answer),
        cmocka_unit_test(tokens_belong_to_the_step_they_begin_in),
        cmocka_unit_test(extraction_and_equality_are_separate),
        cmocka_unit_test(grades_of_all_reference_answers_are_reproduced),
        cmocka_unit_test(loops_and_monotony_are_told_from_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

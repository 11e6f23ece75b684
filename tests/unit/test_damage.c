/* The field's measures of damage beside accuracy, on answers that are written down: lengths,
 * endings, form, where they part from full's, and a gain that is only answers that end. */
#include "pipeline/locate/damage.h"
#include "pipeline/prompt/prompt_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

enum { N = 4, LONG = 24 };

static struct rt_ctx ctx;

static uint32_t plain[] = { 5, 6, 7, 8, 9, 2 };
static uint32_t other[] = { 5, 6, 9, 8, 9, 2 };
static uint32_t looping[LONG]; /* 5 6 7 8 and then 1 2 3 4 again and again */
static float margins[LONG];

static void fill(void)
{
    for (uint32_t i = 0; i < LONG; i++) {
        looping[i] = i < 4 ? 5 + i : 1 + i % 4;
        margins[i] = (float)i / 4;
    }
}

static struct pipe_answer answer(uint32_t *ids, uint32_t n, bool correct, bool read,
                                 bool truncated)
{
    return (struct pipe_answer){ .ids = ids,
                                 .margin = margins,
                                 .n = n,
                                 .correct = correct,
                                 .extract_ok = read,
                                 .in_form = read && !truncated,
                                 .truncated = truncated };
}

static struct pipe_answers all(struct pipe_answer items[N])
{
    return (struct pipe_answers){ .items = items, .count = N };
}

static void counts_are_those_of_the_answers(void **state)
{
    (void)state;
    struct pipe_answer full[N], own[N];
    struct pipe_damage d;
    fill();
    for (int i = 0; i < N; i++)
        full[i] = answer(plain, 6, true, true, false);
    own[0] = answer(plain, 6, true, true, false);
    own[1] = answer(other, 6, false, true, false);
    own[2] = answer(looping, LONG, false, true, true);
    own[3] = answer(plain, 3, false, false, false);
    const struct pipe_answers f = all(full), a = all(own);
    assert_int_equal(pipe_damage_of(&ctx, &f, NULL, &a, &d), RT_OK);
    assert_true(fabs(d.length_ratio - (6 + 6 + LONG + 3) / 24.0) < 1e-12);
    assert_int_equal(d.loops, 1);
    assert_int_equal(d.no_answer, 1);
    assert_int_equal(d.went_on, 1);
    assert_int_equal(d.early_end, 1);
    assert_int_equal(d.in_form, 2);
    /* Tokens 3, 5 and 4 differ first; the last answer has none there, full has. */
    assert_int_equal(d.differing, 3);
    assert_true(d.first_token == 4);
    assert_true(d.margin == 0.5);       /* of 0.5 and 1: the lower median */
    assert_true(d.margin_full == 0.75); /* of 0.5, 0.75 and 1 */
    assert_int_equal(d.gain, 0);
}

static void the_same_answers_have_no_damage(void **state)
{
    (void)state;
    struct pipe_answer items[N];
    struct pipe_damage d;
    for (int i = 0; i < N; i++)
        items[i] = answer(plain, 6, true, true, false);
    const struct pipe_answers f = all(items);
    assert_int_equal(pipe_damage_of(&ctx, &f, &f, &f, &d), RT_OK);
    assert_true(d.length_ratio == 1 && d.differing == 0 && isnan(d.first_token) &&
                isnan(d.margin) && isnan(d.margin_full));
    assert_true(d.gain == 0 && !pipe_damage_by_ending(&d));
}

static void a_gain_of_endings_is_marked(void **state)
{
    (void)state;
    struct pipe_answer full[N], quant[N], own[N];
    struct pipe_damage d;
    fill();
    for (int i = 0; i < N; i++) {
        full[i] = own[i] = answer(plain, 6, true, true, false);
        quant[i] = answer(other, 6, false, true, false);
    }
    const struct pipe_answers f = all(full), q = all(quant), a = all(own);
    assert_int_equal(pipe_damage_of(&ctx, &f, &q, &a, &d), RT_OK);
    assert_true(d.gain == 4 && d.gain_ended == 4 && !pipe_damage_by_ending(&d));
    quant[0] = answer(looping, LONG, false, false, true);
    assert_int_equal(pipe_damage_of(&ctx, &f, &q, &a, &d), RT_OK);
    assert_true(d.gain == 4 && d.gain_ended == 3 && !pipe_damage_by_ending(&d));
    quant[1] = answer(plain, 3, false, false, false);
    assert_int_equal(pipe_damage_of(&ctx, &f, &q, &a, &d), RT_OK);
    assert_true(d.gain == 4 && d.gain_ended == 2 && pipe_damage_by_ending(&d));
}

static void form_is_what_the_prompt_asks_for(void **state)
{
    (void)state;
    const struct pipe_prompt_format *boxed = pipe_prompt_format_find("chat-boxed");
    const struct pipe_prompt_format *shots = pipe_prompt_format_find("gsm8k-8shot-cot");
    assert_true(pipe_answer_in_form(boxed, "So it is \\boxed{4}.", true));
    assert_false(pipe_answer_in_form(boxed, "So the answer is 4.", true));
    assert_false(pipe_answer_in_form(boxed, "\\boxed{", false));
    assert_true(pipe_answer_in_form(shots, "2+2=4. The answer is 4.", true));
    assert_false(pipe_answer_in_form(shots, "2+2=4", true));
    assert_true(pipe_answer_in_form(&pipe_format_demo, "#### 4", true));
    for (uint32_t i = 0; pipe_prompt_format_at(i);
         i++) /* with a style: what it asks for */
        assert_true(!pipe_prompt_format_at(i)->style == !pipe_prompt_format_at(i)->asks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_the_answers),
        cmocka_unit_test(the_same_answers_have_no_damage),
        cmocka_unit_test(a_gain_of_endings_is_marked),
        cmocka_unit_test(form_is_what_the_prompt_asks_for),
    };
    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}

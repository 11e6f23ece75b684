/* How an answer goes on: a continuation is treated as if the model had written the given
 * text itself, at every place where it may be cut. */
#include "pipeline/prompt/answer_turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* What is asked for after the last of `size` bytes, fed one by one. */
static enum pipe_turn_act feed(const struct pipe_prompt_format *f, struct pipe_turn *t,
                               const char *text, size_t size)
{
    enum pipe_turn_act act = PIPE_TURN_ON;
    for (size_t i = 0; i < size && act != PIPE_TURN_END; i++)
        act = pipe_turn_feed(f, t, text + i, 1);
    return act;
}

static void check(const struct pipe_prompt_format *f, const char *whole)
{
    const size_t size = strlen(whole);
    struct pipe_turn own = { 0 }, given = { 0 };
    for (size_t cut = 1; cut <= size; cut++) {
        char start[512];
        memcpy(start, whole, cut);
        start[cut] = '\0';
        (void)pipe_turn_start(f, &own, NULL);
        const enum pipe_turn_act expected = feed(f, &own, whole, cut);
        const enum pipe_turn_act act = pipe_turn_start(f, &given, start);
        if (act != expected || given.step != own.step || given.boxed != own.boxed)
            fail_msg("'%s': act %d for %d, step %u for %u", start, act, expected,
                     given.step, own.step);
    }
}

static void given_text_counts_as_written(void **state)
{
    (void)state;
    check(pipe_prompt_format_find("chat-steps"),
          "Step 1: 2 + 2 = 4\nStep 2: 4 * 3 = 12\n\nStep 3: \\boxed{12}\n");
    check(pipe_prompt_format_find("gsm8k-8shot-cot"),
          " There are 4. 4 * 3 = 12. The answer is 12.\n\nQ: Next");
    check(pipe_prompt_format_find("demo"), "a: 1+1=2\n#### 2");
}

static void the_next_step_is_asked_for(void **state)
{
    (void)state;
    struct pipe_turn t = { 0 };
    const struct pipe_prompt_format *f = pipe_prompt_format_find("chat-steps");
    assert_int_equal(pipe_turn_start(f, &t, ""), PIPE_TURN_STEP);
    assert_int_equal(t.step, 1);
    assert_int_equal(pipe_turn_start(f, &t, "Step 1: a\nStep 2: b\n"), PIPE_TURN_STEP);
    assert_int_equal(t.step, 3);
    assert_int_equal(pipe_turn_start(f, &t, "Step 1: a\nStep 2:"), PIPE_TURN_ON);
    assert_int_equal(pipe_turn_start(f, &t, "Step 1: \\boxed{1}\n"), PIPE_TURN_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_text_counts_as_written),
        cmocka_unit_test(the_next_step_is_asked_for),
    };
    return cmocka_run_group_tests_name("answer turns", tests, NULL, NULL);
}

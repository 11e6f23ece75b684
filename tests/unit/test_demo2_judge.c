/* The judge of the second demo's answers: no fault in any solution of the generator, the altered
 * step in every solution with one altered on purpose. */
#include "tests/support/demo2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

/* The solution with `from` in the line of step k written as `to`; NULL: it is not there. */
static const char *altered(const struct pipe_problem *p, uint32_t k, const char *from,
                           const char *to)
{
    static char text[TEXT_MAX];
    const char *at = p->reference;
    for (uint32_t i = 0; i < k; i++)
        at = strchr(at, '\n') + 1;
    const char *found = strstr(at, from);
    if (!found || found > at + strcspn(at, "\n"))
        return NULL;
    snprintf(text, sizeof text, "%.*s%s%s", (int)(found - p->reference), p->reference, to,
             found + strlen(from));
    return text;
}

static void expect_step(const struct pipe_problem *p, const char *text, uint32_t k)
{
    if (test_demo2_fault(p, text) != (int32_t)k)
        fail_msg("%s: not step %u of '%s'", p->id, k, text);
}

/* A value one too large, another sign, another quantity. */
static void expect_altered_steps(const struct pipe_problem *p, uint32_t *misnamed)
{
    for (uint32_t k = 0; k < p->program_count; k++) {
        char from[32], to[32];
        const long long value = (long long)p->program[k].value;
        snprintf(from, sizeof from, "=%lld", value);
        snprintf(to, sizeof to, "=%lld", value + 1);
        const char *text = altered(p, k, from, to);
        assert_non_null(text);
        expect_step(p, text, k);
        text = altered(p, k, "+", "-");
        if (text)
            expect_step(p, text, k);
        text = altered(p, k, p->program[k].label, "nobody");
        if (text)
            expect_step(p, text, k);
        *misnamed += text != NULL;
    }
}

static void the_judge_knows_right_and_wrong(void **state)
{
    (void)state;
    struct pipe_problem_set set;
    uint32_t misnamed = 0;
    test_demo2_read("measure.jsonl", &set);
    assert_true(set.count == 500);
    for (uint32_t i = 0; i < set.count; i++) {
        const struct pipe_problem *p = &set.items[i];
        if (test_demo2_fault(p, p->reference) != -1)
            fail_msg("%s: a right solution is faulted", p->id);
        expect_altered_steps(p, &misnamed);
    }
    assert_true(misnamed > 1000);
    pipe_problems_deinit(&set);
}

/* The last line: another answer, or none. */
static void the_answer_is_a_step(void **state)
{
    (void)state;
    struct pipe_problem_set set;
    test_demo2_read("validate.jsonl", &set);
    for (uint32_t i = 0; i < set.count; i++) {
        const struct pipe_problem *p = &set.items[i];
        expect_step(p, altered(p, p->program_count, "{", "{9"), p->program_count);
        expect_step(p, altered(p, p->program_count, "\\boxed", ""), p->program_count);
    }
    pipe_problems_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_judge_knows_right_and_wrong),
        cmocka_unit_test(the_answer_is_a_step),
    };
    return cmocka_run_group_tests_name("demo2_judge", tests, NULL, NULL);
}

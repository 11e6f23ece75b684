/* tests/support/demo2.c
 * Replays free-text answers to the second demo's problems against their gold programs. */
#include "tests/support/demo2.h"

#include "pipeline/prompt/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

int32_t test_demo2_fault(const struct pipe_problem *p, const char *output)
{
    struct rt_ctx ctx = { 0 };
    int32_t step;
    assert_int_equal(pipe_dialect_marks.gold(&ctx, p, output, &step), RT_OK);
    return step;
}

void test_demo2_read(const char *name, struct pipe_problem_set *set)
{
    struct rt_ctx ctx = { 0 };
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TEST_DEMO2, name);
    if (pipe_problems_read(&ctx, path, set) != RT_OK)
        fail_msg("%s", ctx.message);
}

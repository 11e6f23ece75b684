/* tests/support/demo_answers.h
 * The bundled answers of the full and the 3-bit model to the measured problems. */
#ifndef TESTS_SUPPORT_DEMO_ANSWERS_H
#define TESTS_SUPPORT_DEMO_ANSWERS_H

#include "pipeline/data/problems.h"

struct test_answer {
    const char *text[2]; /* 0: full, 1: quant; U+0000 became '?' */
    bool right[2];
};

/* Fills `set` with the measured problems and returns one answer for each, in order; fails
 * the test where a file is missing. The answers belong to set->pool. */
const struct test_answer *test_answers(struct rt_ctx *ctx, struct pipe_problem_set *set);
/* Reads pipeline/demo/<name> of the tree. */
void test_problems(struct rt_ctx *ctx, const char *name, struct pipe_problem_set *set);

#endif

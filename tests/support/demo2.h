/* tests/support/demo2.h
 * The problems of the second demo (tests/demo2) and the judge of their free-text answers. */
#ifndef TESTS_SUPPORT_DEMO2_H
#define TESTS_SUPPORT_DEMO2_H

#include "pipeline/data/problems.h"

#define TEST_DEMO2 TEST_SOURCE_DIR "/tests/demo2"

/* Reads a file of the folder, fails where it cannot; pipe_problems_deinit. */
void test_demo2_read(const char *name, struct pipe_problem_set *out);

/* The first faulty step of an answer, cut as chat-steps cuts it; -1: none. `gold` of that
 * dialect (pipe_gold_of_text). */
int32_t test_demo2_fault(const struct pipe_problem *problem, const char *output);

#endif

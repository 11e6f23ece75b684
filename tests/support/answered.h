/* tests/support/answered.h
 * A results file with answers, without a model: problems "p0", "p1", ... whose answer is 7,
 * and runs of variants whose answers end in 7 where they are right, else in 8. Every function
 * fails the running test if the store does not take it. */
#ifndef TESTS_SUPPORT_ANSWERED_H
#define TESTS_SUPPORT_ANSWERED_H

#include "store/store.h"

struct test_answered {
    struct rt_ctx *ctx;
    struct store *store; /* open for writing */
    char campaign[STORE_ID], benchmark[STORE_ID], env[STORE_ID];
    uint32_t sets; /* ids are "set0/test/p0", "set1/test/p1", ... of so many data sets; 0:
                      "p0", "p1", ... */
    bool long_ids; /* before each id stand 300 bytes that all have */
};

/* Makes the file, with a campaign in it. */
void test_answered_init(struct test_answered *a, struct rt_ctx *ctx, const char *path);
void test_answered_deinit(struct test_answered *a);
/* A list "NAME:measure" of `count` problems, which runs are of from now on. */
void test_answered_list(struct test_answered *a, const char *name, uint32_t count);
/* A finished run of the demo format: answer i is to problem i / samples and right if right[i]
 * is '1'. Its id is in `run`. */
void test_answered_run(struct test_answered *a, const char *role, const char *label,
                       const char *right, uint32_t samples, char run[STORE_ID]);

#endif

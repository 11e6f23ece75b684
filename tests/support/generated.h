/* tests/support/generated.h
 * What an engine answered, kept beyond its callback. */
#ifndef TESTS_SUPPORT_GENERATED_H
#define TESTS_SUPPORT_GENERATED_H

#include "runtime/engine/engine.h"

enum { TEST_GENERATED_MAX = 112, TEST_ASKING_MAX = 64 };

struct test_generated {
    uint32_t n, ids[TEST_GENERATED_MAX];
    float logprob[TEST_GENERATED_MAX], margin[TEST_GENERATED_MAX];
};

/* Prompts that are asked in order, and what is answered: the user of an engine's calls, or
 * the first member of it. */
struct test_asking {
    uint32_t *prompt[TEST_ASKING_MAX], n_prompt[TEST_ASKING_MAX]; /* owned by the test */
    uint32_t count, next, max_new;
    uint64_t draw;                  /* of the first; each has the next one */
    struct test_generated *answers; /* [count], borrowed */
};

/* Fills in a->count prompts: `questions`, again and again, as the model's tokenizer encodes
 * them. Fails the running test where it cannot. */
void test_asking_encode(struct test_asking *a, struct rt_ctx *ctx, const char *model,
                        const char *const *questions, uint32_t count);
void test_asking_free(struct test_asking *a); /* the prompts */

bool test_asking_next(void *user, struct rt_request *out);
rt_status test_asking_done(void *user, const struct rt_answer *answer);

/* Copies an answer of at most TEST_GENERATED_MAX tokens; the rest is zero. */
void test_generated_take(const struct rt_answer *answer, struct test_generated *out);

#endif

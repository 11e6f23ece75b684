#include "tests/support/generated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

void test_generated_take(const struct rt_answer *answer, struct test_generated *out)
{
    assert_true(answer->n_gen <= TEST_GENERATED_MAX);
    *out = (struct test_generated){ .n = answer->n_gen };
    memcpy(out->ids, answer->ids, out->n * sizeof *out->ids);
    memcpy(out->logprob, answer->logprob, out->n * sizeof *out->logprob);
    memcpy(out->margin, answer->margin, out->n * sizeof *out->margin);
}

bool test_asking_next(void *user, struct rt_request *out)
{
    struct test_asking *a = user;
    if (a->next == a->count)
        return false;
    *out = (struct rt_request){ .key = a->next,
                                .draw = a->draw + a->next,
                                .prompt = a->prompt[a->next],
                                .n_prompt = a->n_prompt[a->next],
                                .max_new = a->max_new };
    a->next++;
    return true;
}

rt_status test_asking_done(void *user, const struct rt_answer *answer)
{
    struct test_asking *a = user;
    test_generated_take(answer, &a->answers[answer->key]);
    return RT_OK;
}

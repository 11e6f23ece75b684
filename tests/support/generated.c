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

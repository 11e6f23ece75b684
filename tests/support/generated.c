#include "tests/support/generated.h"

#include "runtime/text/tokenizer.h"

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

void test_asking_encode(struct test_asking *a, struct rt_ctx *ctx, const char *model,
                        const char *const *questions, uint32_t count)
{
    struct text_tokenizer *tok = NULL;
    assert_true(a->count <= TEST_ASKING_MAX);
    assert_int_equal(text_tokenizer_load(ctx, model, &tok), RT_OK);
    for (uint32_t k = 0; k < a->count; k++) {
        const char *text = questions[k % count];
        assert_int_equal(
            text_encode(tok, text, strlen(text), true, &a->prompt[k], &a->n_prompt[k]),
            RT_OK);
    }
    text_tokenizer_destroy(&tok);
}

void test_asking_free(struct test_asking *a)
{
    for (uint32_t k = 0; k < a->count; k++)
        rt_free(a->prompt[k]);
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

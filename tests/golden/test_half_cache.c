/* A KV cache of halves: the demo model answers in the same words as with floats, with
 * log-probabilities that differ, but little; and as little between devices. */
#include "runtime/engine/engine.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/generated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CONTEXT = 96, NEW_MAX = 24, QUESTIONS = 2 };
/* A half keeps 11 bits, so keys and values are off by at most 2^-11 of themselves. Of
 * log-probabilities of this model 1.4e-3 was seen, and 4e-5 between devices. */
#define TOLERANCE 4e-3f
#define DEVICES_TOLERANCE 2e-4f

static const char *const questions[QUESTIONS] = {
    "Ann has 3 coins. She finds 9 more. How many coins does she have?<|sep|>",
    "Tom runs 4 miles a day. How far does he run in 8 days?<|sep|>",
};

static void ask(struct rt_ctx *ctx, const struct test_device *device, const char *folder,
                struct test_asking *a)
{
    struct rt_model *model = NULL;
    struct rt_engine *engine = NULL;
    struct rt_device *dev = test_device_open(ctx, device);
    const struct rt_engine_options options = { .slots = QUESTIONS, .context = CONTEXT };
    const struct rt_engine_calls calls = { .next = test_asking_next,
                                           .done = test_asking_done,
                                           .user = a };
    a->next = 0;
    memset(a->answers, 0, QUESTIONS * sizeof *a->answers);
    if (rt_model_load(dev, folder, CONTEXT, &model) != RT_OK ||
        rt_engine_create(model, NULL, &options, &engine) != RT_OK ||
        rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s: %s", device->name, ctx->message);
    rt_engine_destroy(&engine);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
}

/* The greatest difference of log-probabilities of answers that are word for word equal. */
static float distance(const struct test_asking *a, const struct test_generated *wanted,
                      const char *name)
{
    float most = 0;
    for (uint32_t k = 0; k < QUESTIONS; k++) {
        const struct test_generated *got = &a->answers[k];
        if (got->n < 8 || got->n != wanted[k].n ||
            memcmp(got->ids, wanted[k].ids, got->n * sizeof *got->ids) != 0)
            fail_msg("%s: question %u is answered otherwise", name, k);
        for (uint32_t i = 0; i < got->n; i++)
            most = fmaxf(most, fabsf(got->logprob[i] - wanted[k].logprob[i]));
    }
    return most;
}

static void answers_stay_and_differ_by_the_rounding(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_device devices[16];
    struct text_tokenizer *tok = NULL;
    struct test_generated answers[QUESTIONS];
    struct test_asking a = { .count = QUESTIONS, .max_new = NEW_MAX, .answers = answers };
    struct test_generated floats[QUESTIONS], halves[QUESTIONS];
    char path[1024];
    const uint32_t count = test_devices(devices, 16);
    test_ctx(&ctx);
    test_path(path, sizeof path, "pipeline/demo");
    assert_int_equal(text_tokenizer_load(&ctx, path, &tok), RT_OK);
    for (uint32_t k = 0; k < QUESTIONS; k++)
        assert_int_equal(text_encode(tok, questions[k], strlen(questions[k]), true,
                                     &a.prompt[k], &a.n_prompt[k]),
                         RT_OK);
    for (uint32_t d = 0; d < count; d++) {
        struct test_device device = devices[d];
        device.kv = RT_KV_F32;
        ask(&ctx, &device, path, &a);
        memcpy(floats, answers, sizeof floats);
        device.kv = RT_KV_F16;
        ask(&ctx, &device, path, &a);
        if (d == 0)
            memcpy(halves, answers, sizeof halves);
        const float rounding = distance(&a, floats, device.name);
        const float devices_apart = distance(&a, halves, device.name);
        printf("    %-28s halves against floats %.1e, against the first device %.1e\n",
               device.name, (double)rounding, (double)devices_apart);
        assert_true(rounding > 0 && rounding < TOLERANCE);
        assert_true(devices_apart < DEVICES_TOLERANCE);
    }
    for (uint32_t k = 0; k < QUESTIONS; k++)
        rt_free(a.prompt[k]);
    text_tokenizer_destroy(&tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_stay_and_differ_by_the_rounding),
    };
    return cmocka_run_group_tests_name("cache of halves", tests, NULL, NULL);
}

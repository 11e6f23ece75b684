/* Batch invariance on real models: what a request is answered (sampled),
 * log-probabilities and margins included, is the same bits with 64, 7 and 1 requests at once.
 * bench/invariance.sh does the same with longer answers, through the program. */
#include "runtime/engine/engine.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/generated.h"
#include "tests/support/real_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 64, NEW = 4, CONTEXT = 64 };

/* Prompts of different lengths, none the beginning of another. */
static void make_prompts(struct rt_ctx *ctx, const char *path, struct test_asking *r)
{
    struct text_tokenizer *tok = NULL;
    if (text_tokenizer_load(ctx, path, &tok) != RT_OK)
        fail_msg("%s", ctx->message);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        char text[96];
        const int n = snprintf(text, sizeof text, "%u + %u%s =", i, 7 * i % 31,
                               i % 3 ? "" : " apples");
        if (text_encode(tok, text, (size_t)n, false, &r->prompt[i], &r->n_prompt[i]) !=
            RT_OK)
            fail_msg("%s", ctx->message);
    }
    text_tokenizer_destroy(&tok);
}

static void answer(struct rt_model *model, struct test_asking *r, uint32_t count,
                   uint32_t slots, struct test_generated *answers)
{
    struct rt_engine *engine = NULL;
    const struct rt_engine_options options = {
        .slots = slots,
        .context = CONTEXT,
        .sampling = { .temperature = 0.8f, .top_p = 1, .seed = 5 }
    };
    const struct rt_engine_calls calls = { .next = test_asking_next,
                                           .done = test_asking_done,
                                           .user = r };
    const uint64_t start = rt_time_ns();
    r->count = count;
    r->next = 0;
    r->answers = answers;
    if (rt_engine_create(model, NULL, &options, &engine) != RT_OK ||
        rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    rt_engine_destroy(&engine);
    printf("      %2u requests, %2u at once: %.1f s\n", count, slots,
           1e-9 * (double)(rt_time_ns() - start));
}

static void check_device(const struct test_device *device, const char *path)
{
    static const struct {
        uint32_t slots, requests;
    } narrow[] = { { 7, 15 }, { 1, 4 } };
    struct rt_ctx ctx;
    struct test_asking r = { .max_new = NEW };
    struct rt_model *model = NULL;
    static struct test_generated wide[REQUESTS], few[REQUESTS];
    test_ctx(&ctx);
    struct rt_device *dev = test_device_open(&ctx, device);
    if (rt_model_load(dev, path, CONTEXT, &model) != RT_OK)
        fail_msg("%s: %s", device->name, ctx.message);
    make_prompts(&ctx, path, &r);
    printf("    %s\n", device->name);
    answer(model, &r, REQUESTS, REQUESTS, wide);
    for (uint32_t i = 0; i < REQUESTS; i++)
        assert_true(wide[i].n > 0);
    for (size_t b = 0; b < RT_COUNT(narrow); b++) {
        memset(few, 0, sizeof few);
        answer(model, &r, narrow[b].requests, narrow[b].slots, few);
        if (memcmp(wide, few, narrow[b].requests * sizeof *few) != 0)
            fail_msg("%s: %u requests at once change bits", device->name,
                     narrow[b].slots);
    }
    for (uint32_t i = 0; i < REQUESTS; i++)
        rt_free(r.prompt[i]);
    rt_model_destroy(&model);
    assert_int_equal(rt_device_validation_count(dev), 0);
    rt_device_destroy(&dev);
}

/* ref and SwiftShader take minutes: only where FAULTLINE_TEST_DEVICES names them. */
static void check_model(int which)
{
    char path[1024];
    struct test_device devices[16];
    if (!test_real_model(which, path, sizeof path))
        skip();
    const bool narrowed = getenv("FAULTLINE_TEST_DEVICES") != NULL;
    const uint32_t n = test_devices(devices, 16);
    for (uint32_t i = 0; i < n; i++)
        if (narrowed || strstr(devices[i].name, "llvmpipe/lanes"))
            check_device(&devices[i], path);
}

static void smollm2_gives_the_same_bits_at_any_batch(void **state)
{
    (void)state;
    check_model(TEST_SMOLLM2);
}

static void qwen2_5_coder_gives_the_same_bits_at_any_batch(void **state)
{
    (void)state;
    check_model(TEST_QWEN2_5_CODER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_gives_the_same_bits_at_any_batch),
        cmocka_unit_test(qwen2_5_coder_gives_the_same_bits_at_any_batch),
    };
    return test_real_models_there()
               ? cmocka_run_group_tests_name("real batches", tests, NULL, NULL)
               : 77;
}

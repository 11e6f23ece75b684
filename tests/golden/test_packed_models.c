/* Whole models in AWQ, GPTQ, FP8, NVFP4, MXFP4 and NF4 form, activation order and mixed layers included: the same
 * logits and adapter gradients as the plain model of the same values. */
#include "runtime/observe/score.h"
#include "tests/support/devices.h"
#include "tests/support/pack_model.h"
#include "tests/support/slopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Sums over columns in another order: the rounding of two float passes. */
static const double LOGIT_TOLERANCE = 1e-4;
static const double GRADIENT_TOLERANCE = 1e-3; /* of the norm of a matrix */
static const double CANCELLED = 1e-3;          /* share of the largest norm */

enum { TOKENS = 33 };

static const struct {
    enum test_packing packing;
    uint32_t bits;
    const char *source;
} cases[] = {
    { TEST_AWQ, 4, "qwen2-tiny" },        { TEST_GPTQ, 4, "llama-tiny" },
    { TEST_GPTQ_ORDER, 3, "qwen2-tiny" }, { TEST_GPTQ_OWN_ORDERS, 8, "llama-tiny" },
    { TEST_GPTQ_MIXED, 2, "llama-tiny" }, { TEST_FP8, 8, "qwen2-tiny" },
    { TEST_NVFP4, 4, "qwen2-tiny" },      { TEST_MXFP4, 4, "llama-tiny" },
    { TEST_NF4, 4, "qwen2-tiny" },        { TEST_GPTQ_16, 3, "qwen2-tiny" },
};

static struct rt_model *load(struct rt_device *dev, const struct test_folder *folder)
{
    struct rt_model *model = NULL;
    if (rt_model_load(dev, folder->path, 64, &model) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    return model;
}

static float *logits_of(struct rt_model *model)
{
    uint32_t ids[TOKENS];
    struct rt_scorer *scorer = NULL;
    float *logits =
        calloc((size_t)TOKENS * rt_model_config(model)->vocab, sizeof *logits);
    for (uint32_t t = 0; t < TOKENS; t++)
        ids[t] = train_word(5, t, 0) % rt_model_config(model)->vocab;
    assert_int_equal(rt_scorer_create(model, NULL, NULL, TOKENS, &scorer), RT_OK);
    assert_int_equal(rt_scorer_logits(scorer, ids, TOKENS, logits), RT_OK);
    rt_scorer_destroy(&scorer);
    return logits;
}

static double gradients_differ(struct rt_model *a, struct rt_model *b)
{
    struct fmt_adapter *g = test_gradient(a), *h = test_gradient(b);
    const double worst = test_gradients_differ(g, h, rt_model_config(b), CANCELLED);
    fmt_adapter_destroy(&g);
    fmt_adapter_destroy(&h);
    return worst;
}

static void check_case(struct rt_device *dev, const char *device, size_t i)
{
    struct test_folder packed, plain;
    test_folder_init(&packed);
    test_folder_init(&plain);
    test_pack_model(cases[i].source, cases[i].packing, cases[i].bits, &packed, &plain);
    struct rt_model *a = load(dev, &packed), *b = load(dev, &plain);
    assert_true(rt_model_linear_weights(a) == rt_model_linear_weights(b));
    /* CPUs hold levels that are no whole numbers as floats */
    const bool as_floats = rt_device_plan(dev)->wide_weights &&
                           (cases[i].packing == TEST_FP8 || cases[i].packing == TEST_NF4);
    assert_true(rt_model_bits_per_weight(b) == 32);
    assert_true(rt_model_bits_per_weight(a) < 20 || as_floats);
    float *got = logits_of(a), *expected = logits_of(b);
    const double difference =
        test_max_difference(expected, got, (size_t)TOKENS * rt_model_config(a)->vocab);
    const double gradient = gradients_differ(a, b);
    printf("    %-26s %-28s %u bits  logits %.2e  gradients %.2e\n", device,
           test_packing_name(cases[i].packing), cases[i].bits, difference, gradient);
    assert_true(difference <= LOGIT_TOLERANCE);
    assert_true(gradient <= GRADIENT_TOLERANCE);
    free(got);
    free(expected);
    rt_model_destroy(&a);
    rt_model_destroy(&b);
    test_folder_deinit(&packed);
    test_folder_deinit(&plain);
}

static void packed_models_are_the_plain_ones(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t d = 0; d < n; d++) {
        struct rt_ctx ctx;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[d]);
        for (size_t i = 0; i < RT_COUNT(cases); i++)
            check_case(dev, devices[d].name, i);
        assert_int_equal(rt_device_validation_count(dev), 0);
        rt_device_destroy(&dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        packed_models_are_the_plain_ones) };
    return cmocka_run_group_tests_name("packed models", tests, NULL, NULL);
}

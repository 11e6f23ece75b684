/* Models of head sizes that no golden model has, multiples of 4 up to HEAD_MAX, do on every
 * device as on `ref`: answers (prefill in chunks and decoding, over pages of floats and of
 * halves) and gradients. The weights are random, so each test says head size and device. */
#include "runtime/engine/engine.h"
#include "shaders/push.h"
#include "tests/support/devices.h"
#include "tests/support/generated.h"
#include "tests/support/random_model.h"
#include "tests/support/slopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PROMPTS = 3, PROMPT = 75, NEW = 20, CONTEXT = 100, DEVICES_MAX = 16 };

/* Seen: 2e-6 of log-probabilities, 2e-6 of a gradient. Keys and values that round
 * otherwise, as floats differ in their last bits, are 2^-11 of themselves apart. */
#define TOLERANCE 2e-5f
#define HALVES_TOLERANCE 2e-3f
#define GRADIENT_TOLERANCE 1e-4

struct results {
    struct test_generated floats[PROMPTS], halves[PROMPTS];
    struct fmt_adapter *gradient;
    struct fmt_config config;
};

static void ask(struct rt_model *model, struct test_generated *answers)
{
    struct rt_engine *engine = NULL;
    uint32_t ids[PROMPTS][PROMPT];
    struct test_asking a = { .count = PROMPTS, .max_new = NEW, .answers = answers };
    const struct rt_engine_options options = { .slots = PROMPTS,
                                               .rows_max = 64,
                                               .context = CONTEXT };
    const struct rt_engine_calls calls = { .next = test_asking_next,
                                           .done = test_asking_done,
                                           .user = &a };
    for (uint32_t k = 0; k < PROMPTS; k++) {
        a.prompt[k] = ids[k];
        a.n_prompt[k] = PROMPT - 30 * k; /* some end within a page */
        for (uint32_t t = 0; t < PROMPT; t++)
            ids[k][t] = 1 + train_word(9, t, k) % (TEST_RANDOM_VOCAB - 1);
    }
    memset(answers, 0, PROMPTS * sizeof *answers);
    if (rt_engine_create(model, NULL, &options, &engine) != RT_OK ||
        rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    rt_engine_destroy(&engine);
}

static void run(const struct test_device *device, const char *folder, struct results *out)
{
    for (int halves = 0; halves < 2; halves++) {
        struct rt_ctx ctx;
        struct rt_model *model = NULL;
        struct test_device kind = *device;
        kind.kv = halves ? RT_KV_F16 : RT_KV_F32;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &kind);
        if (rt_model_load(dev, folder, CONTEXT, &model) != RT_OK)
            fail_msg("%s: %s", device->name, ctx.message);
        ask(model, halves ? out->halves : out->floats);
        if (!halves)
            out->gradient = test_gradient(model);
        out->config = *rt_model_config(model);
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
}

/* Of log-probabilities up to the first other token, which must be a near-tie. */
static float distance(const struct test_generated *got, const struct test_generated *want)
{
    float most = 0;
    for (uint32_t k = 0; k < PROMPTS; k++)
        for (uint32_t i = 0; i < want[k].n; i++) {
            if (i >= got[k].n || got[k].ids[i] != want[k].ids[i]) {
                most = fmaxf(most, want[k].margin[i]);
                break;
            }
            most = fmaxf(most, fabsf(got[k].logprob[i] - want[k].logprob[i]));
        }
    return most;
}

static void a_head_size_is_served(void **state)
{
    const uint32_t size = *(const uint32_t *)*state;
    const struct test_device ref = { .device = "ref",
                                     .name = "ref",
                                     .family = RT_FAMILY_LANES };
    struct test_device devices[DEVICES_MAX];
    struct test_folder folder;
    struct results want, got;
    const uint32_t count = test_devices(devices, DEVICES_MAX);
    test_folder_init(&folder);
    test_random_model(&folder, size);
    run(&ref, folder.path, &want);
    assert_true(want.floats[0].n + want.floats[1].n + want.floats[2].n > 2 * NEW);
    assert_true(distance(want.halves, want.floats) > 0);
    for (uint32_t d = 0; d < count; d++) {
        if (strcmp(devices[d].device, "ref") == 0)
            continue;
        run(&devices[d], folder.path, &got);
        const float floats = distance(got.floats, want.floats);
        const float halves = distance(got.halves, want.halves);
        const double gradient =
            test_gradients_differ(got.gradient, want.gradient, &want.config, 1e-3);
        fmt_adapter_destroy(&got.gradient);
        printf("    heads of %3u  %-28s answers %.1e, of halves %.1e, gradient %.1e\n",
               size, devices[d].name, (double)floats, (double)halves, gradient);
        if (!(floats <= TOLERANCE && halves <= HALVES_TOLERANCE &&
              gradient <= GRADIENT_TOLERANCE))
            fail_msg("heads of %u on %s are not what ref has", size, devices[d].name);
    }
    fmt_adapter_destroy(&want.gradient);
    test_folder_deinit(&folder);
}

/* Just beyond what there are kernels for, and the largest that a config may have. */
static void longer_heads_are_refused(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { HEAD_MAX + 8, FMT_HEAD_DIM_MAX };
    struct test_device device;
    if (!test_device_vulkan(&device))
        skip();
    for (size_t i = 0; i < RT_COUNT(sizes); i++) {
        struct rt_ctx ctx;
        struct rt_model *model = NULL;
        struct test_folder folder;
        test_folder_init(&folder);
        test_random_model(&folder, sizes[i]);
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &device);
        const rt_status st = rt_model_load(dev, folder.path, CONTEXT, &model);
        char size[16];
        snprintf(size, sizeof size, "heads of %u", sizes[i]);
        test_refused(&ctx, st, RT_ERR_NO_DEVICE, folder.path, size, "up to 256",
                     "--device ref", NULL);
        assert_null(model);
        rt_device_destroy(&dev);
        test_folder_deinit(&folder);
    }
}

int main(void)
{
    static uint32_t sizes[] = { 80, 256 };
    struct CMUnitTest tests[RT_COUNT(sizes) + 1];
    for (size_t i = 0; i < RT_COUNT(sizes); i++)
        tests[i] = (struct CMUnitTest){ .name = "heads of another size",
                                        .test_func = a_head_size_is_served,
                                        .initial_state = &sizes[i] };
    tests[RT_COUNT(sizes)] =
        (struct CMUnitTest)cmocka_unit_test(longer_heads_are_refused);
    return cmocka_run_group_tests_name("head sizes", tests, NULL, NULL);
}

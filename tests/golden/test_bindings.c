/* Weights larger than what a device binds at once come in runs of whole rows: with a limit
 * that is made small for the loading of a model, its logits have the same bits, with and
 * without adapter, and the gradients of the adapter and the scales agree. */
#include "runtime/device/device_impl.h"
#include "runtime/model/model_impl.h"
#include "runtime/observe/score.h"
#include "runtime/train/train.h"
#include "tests/support/devices.h"
#include "tests/support/slopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 24, VOCAB_MAX = 512 };

/* Bytes that hold 256 rows of gate and up as floats, which have 384 with their padding, and
 * fewer rows of what has longer rows. */
enum { LIMIT = 256 * 96 * 4 };

struct bench {
    struct rt_ctx ctx;
    struct rt_device *dev;
    const char *name;
    struct rt_model *whole, *cut;
};

static struct rt_model *load(struct bench *b, const char *folder, uint64_t limit)
{
    char path[1024], relative[128];
    struct rt_model *model = NULL;
    const struct rt_plan before = b->dev->plan;
    snprintf(relative, sizeof relative, "tests/golden/models/%s", folder);
    if (limit) /* packed weights, too, are cut as if they were decoded */
        b->dev->plan.binding_bytes_max = limit, b->dev->plan.decode_rows = 1;
    if (rt_model_load(b->dev, test_path(path, sizeof path, relative), 32, &model) !=
        RT_OK)
        fail_msg("%s: %s", b->name, b->ctx.message);
    b->dev->plan = before;
    return model;
}

static void fill_ids(uint32_t *ids)
{
    for (uint32_t i = 0; i < TOKENS; i++)
        ids[i] = 3 + 7 * i % 200;
}

static void logits_of(struct bench *b, struct rt_model *model, bool adapted, float *out)
{
    uint32_t ids[TOKENS];
    struct rt_scorer *scorer = NULL;
    struct rt_adapter *adapter = adapted ? test_golden_adapter(model) : NULL;
    fill_ids(ids);
    if (rt_scorer_create(model, adapter, NULL, TOKENS, &scorer) != RT_OK ||
        rt_scorer_logits(scorer, ids, TOKENS, out) != RT_OK)
        fail_msg("%s: %s", b->name, b->ctx.message);
    rt_scorer_destroy(&scorer);
    rt_adapter_destroy(&adapter);
}

/* The norm of the gradient of one batch, and its loss. */
static double gradient_of(struct bench *b, struct rt_model *model, const char *scales_of,
                          double *loss)
{
    char path[1024], relative[128];
    uint32_t ids[TOKENS];
    uint8_t mask[TOKENS] = { 0 };
    double norm = 0;
    struct rt_trainer *trainer = NULL;
    struct rt_scales *scales = NULL;
    struct train_options options;
    struct train_metrics metrics;
    struct train_parameters parameters = { .adapter = test_golden_adapter(model) };
    const struct train_sequence sequence = { .ids = ids, .mask = mask, .n = TOKENS };
    fill_ids(ids);
    memset(mask + 4, 1, TOKENS - 4);
    train_options_default(&options);
    options.loss = TRAIN_SFT;
    snprintf(relative, sizeof relative, "tests/golden/models/%s",
             scales_of ? scales_of : "");
    if (scales_of && rt_scales_create(model, test_path(path, sizeof path, relative),
                                      false, &scales) != RT_OK)
        fail_msg("%s: %s", b->name, b->ctx.message);
    parameters.scales = scales;
    if (rt_trainer_create_for(model, &parameters, NULL, &options, 64, 0, &trainer) !=
            RT_OK ||
        rt_trainer_gradient(trainer, &sequence, 1, &metrics) != RT_OK ||
        rt_trainer_update(trainer, 1e-3, &norm) != RT_OK)
        fail_msg("%s: %s", b->name, b->ctx.message);
    *loss = metrics.loss;
    rt_trainer_destroy(&trainer);
    rt_scales_destroy(&scales);
    rt_adapter_destroy(&parameters.adapter);
    return norm;
}

/* Scales of a module are read out of the runs that hold its rows. */
static void check_scales(struct bench *b, const char *folder)
{
    char path[1024], relative[128];
    enum { OUT = 160, GROUPS_MAX = 8 };
    float values[2][OUT * GROUPS_MAX] = { { 0 } };
    snprintf(relative, sizeof relative, "tests/golden/models/%s", folder);
    for (int i = 0; i < 2; i++) {
        struct rt_scales *scales = NULL;
        if (rt_scales_create(i ? b->cut : b->whole,
                             test_path(path, sizeof path, relative), false,
                             &scales) != RT_OK)
            fail_msg("%s: %s", b->name, b->ctx.message);
        assert_int_equal(rt_scales_read(scales, 1, FMT_UP_PROJ, 1, values[i], NULL),
                         RT_OK);
        rt_scales_destroy(&scales);
    }
    assert_memory_equal(values[0], values[1], sizeof values[0]);
}

static void check_model(struct bench *b, const char *folder, bool packed)
{
    b->whole = load(b, folder, 0);
    b->cut = load(b, folder, LIMIT);
    const struct model_runs *runs = &b->cut->layers[0].group[MODEL_GATE_UP];
    assert_int_equal(b->whole->layers[0].group[MODEL_GATE_UP].count, 1);
    assert_true(runs->count >= 2);
    assert_true(b->cut->weight_bytes == b->whole->weight_bytes);
    assert_true(b->cut->bits_per_weight == b->whole->bits_per_weight);
    const size_t count = (size_t)TOKENS * rt_model_config(b->whole)->vocab;
    assert_true(rt_model_config(b->whole)->vocab <= VOCAB_MAX);
    float *a = calloc(count, sizeof *a), *c = calloc(count, sizeof *c);
    for (int adapted = 0; adapted < 2; adapted++) {
        logits_of(b, b->whole, adapted, a);
        logits_of(b, b->cut, adapted, c);
        if (memcmp(a, c, count * sizeof *a) != 0)
            fail_msg("%s %s: %u runs give other bits, by up to %g", b->name, folder,
                     runs->count, test_max_difference(a, c, count));
    }
    double loss[2];
    const char *scales_of = packed && !b->dev->plan.wide_weights ? folder : NULL;
    const double norm = gradient_of(b, b->whole, scales_of, &loss[0]);
    const double cut = gradient_of(b, b->cut, scales_of, &loss[1]);
    printf("    %-26s %-22s %u runs, gradient norm %.6f, %.6f\n", b->name, folder,
           runs->count, norm, cut);
    assert_true(loss[0] == loss[1]);
    assert_true(fabs(cut - norm) <= 1e-5 * norm);
    if (scales_of)
        check_scales(b, folder);
    free(a);
    free(c);
    rt_model_destroy(&b->whole);
    rt_model_destroy(&b->cut);
}

static void rows_that_are_not_bound_at_once(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    for (uint32_t i = 0; i < n; i++) {
        struct bench b = { .name = devices[i].name };
        if (test_device_is_slow(&devices[i]))
            continue;
        test_ctx(&b.ctx);
        b.dev = test_device_open(&b.ctx, &devices[i]);
        check_model(&b, "qwen2-tiny", false);
        check_model(&b, "qwen2-tiny-rtn4-ct", true);
        rt_device_destroy(&b.dev);
    }
}

/* A limit under which not even 64 rows fit is refused before anything is loaded. */
static void a_limit_below_a_block_is_refused(void **state)
{
    (void)state;
    char path[1024];
    struct test_device device;
    struct rt_model *model = NULL;
    struct bench b = { .name = "limit" };
    if (!test_device_vulkan(&device))
        skip();
    test_ctx(&b.ctx);
    b.dev = test_device_open(&b.ctx, &device);
    b.dev->plan.binding_bytes_max = 64 * 96 * 4;
    assert_int_equal(
        rt_model_load(b.dev,
                      test_path(path, sizeof path, "tests/golden/models/qwen2-tiny"), 32,
                      &model),
        RT_ERR_NO_DEVICE);
    assert_null(model);
    assert_non_null(strstr(b.ctx.message, "binds at most"));
    rt_device_destroy(&b.dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_are_not_bound_at_once),
        cmocka_unit_test(a_limit_below_a_block_is_refused),
    };
    return cmocka_run_group_tests_name("bindings", tests, NULL, NULL);
}

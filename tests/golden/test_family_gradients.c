/* Gradients of every family's model, seen from outside: moving the matrices of one kind
 * (q, k, v, ...) along their gradient changes the loss by the gradient's norm. The loss
 * is of the forward pass that test_logits.c holds to the goldens, so no golden gradient
 * is needed. */
#include "runtime/train/train.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Float losses of size 6 are good to 1e-6, a step moves them by 0.02 or more; the rest is
 * curvature. Measured: 3.4e-4. */
static const double TOLERANCE = 2e-3;
static const double CHANGE = 0.02; /* of the loss, either way */

enum { TOKENS = 40, RANK = 4 };

static const char *const models[] = { "qwen3-tiny", "llama-tiny", "llama-tiny-linear",
                                      "qwen2-tiny-rtn4-ct" };

/* A and B of every module at random, so that no gradient vanishes. */
static struct fmt_adapter *random_adapter(struct rt_ctx *ctx, const struct fmt_config *c)
{
    struct fmt_adapter *a = NULL;
    assert_int_equal(fmt_adapter_new(ctx, c, RANK, 8.0f, &a), RT_OK);
    for (uint32_t i = 0; i < a->layers * FMT_MODULE_COUNT; i++) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        for (uint32_t k = 0; k < RANK * in; k++)
            a->lora[i].a[k] = 0.1f * ((float)train_word(1, k, i) / 2147483648.0f - 1);
        for (uint32_t k = 0; k < RANK * out; k++)
            a->lora[i].b[k] = 0.1f * ((float)train_word(2, k, i) / 2147483648.0f - 1);
    }
    return a;
}

/* sum += factor * the elements of one kind of g; returns the norm of those of g. */
static double add_kind(struct fmt_adapter *sum, const struct fmt_adapter *g,
                       const struct fmt_config *c, uint32_t kind, double factor)
{
    double squares = 0;
    for (uint32_t i = kind; i < g->layers * FMT_MODULE_COUNT; i += FMT_MODULE_COUNT) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)kind, &out, &in);
        for (uint32_t k = 0; k < RANK * in; k++) {
            sum->lora[i].a[k] += (float)(factor * g->lora[i].a[k]);
            squares += (double)g->lora[i].a[k] * g->lora[i].a[k];
        }
        for (uint32_t k = 0; k < RANK * out; k++) {
            sum->lora[i].b[k] += (float)(factor * g->lora[i].b[k]);
            squares += (double)g->lora[i].b[k] * g->lora[i].b[k];
        }
    }
    return sqrt(squares);
}

struct bench {
    struct rt_ctx ctx;
    struct rt_model *model;
    struct rt_adapter *adapter;
    struct rt_trainer *trainer;
    struct train_sequence batch;
};

static double loss_of(struct bench *b)
{
    struct train_metrics metrics;
    if (rt_trainer_gradient(b->trainer, &b->batch, 1, &metrics) != RT_OK)
        fail_msg("%s", b->ctx.message);
    return metrics.loss;
}

/* Loss with the matrices of one kind moved by `factor` along g. */
static double moved(struct bench *b, const struct fmt_adapter *g, uint32_t kind,
                    double factor)
{
    const struct fmt_config *c = &b->model->config;
    struct fmt_adapter *kept = NULL, *source = b->adapter->source;
    assert_int_equal(fmt_adapter_copy(&b->ctx, source, c, &kept), RT_OK);
    add_kind(source, g, c, kind, factor);
    assert_int_equal(rt_adapter_upload(b->adapter), RT_OK);
    const double loss = loss_of(b);
    b->adapter->source = kept;
    fmt_adapter_destroy(&source);
    return loss;
}

static void check_model(struct bench *b, const char *device, const char *name)
{
    const struct fmt_config *c = &b->model->config;
    struct fmt_adapter *g = NULL;
    double worst = 0;
    loss_of(b);
    assert_int_equal(fmt_adapter_copy(&b->ctx, b->adapter->source, c, &g), RT_OK);
    assert_int_equal(rt_trainer_read_gradient(b->trainer, g), RT_OK);
    for (uint32_t kind = 0; kind < FMT_MODULE_COUNT; kind++) {
        const double norm = add_kind(g, g, c, kind, 0);
        assert_true(norm > 1e-4);
        const double step = CHANGE / (norm * norm); /* g is not normalised */
        const double slope =
            (moved(b, g, kind, step) - moved(b, g, kind, -step)) / (2 * CHANGE);
        if (!(fabs(slope - 1) <= TOLERANCE))
            fail_msg("%s %s %s: the loss moves by %g of what the gradient says", device,
                     name, fmt_module_path[kind], slope);
        worst = fabs(slope - 1) > worst ? fabs(slope - 1) : worst;
    }
    printf("    %-26s %-20s worst |slope - 1| %.2e\n", device, name, worst);
    fmt_adapter_destroy(&g);
}

static void run_model(struct rt_device *dev, const char *device, const char *name)
{
    char path[1024], relative[128];
    uint32_t ids[TOKENS];
    uint8_t mask[TOKENS];
    struct train_options options;
    struct bench b = { .batch = { .ids = ids, .mask = mask, .n = TOKENS } };
    test_ctx(&b.ctx);
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    if (rt_model_load(dev, test_path(path, sizeof path, relative), 64, &b.model) != RT_OK)
        fail_msg("%s: %s", device, rt_device_ctx(dev)->message);
    for (uint32_t t = 0; t < TOKENS; t++) {
        ids[t] = train_word(3, t, 0) % b.model->config.vocab;
        mask[t] = t % 3 != 0;
    }
    train_options_default(&options);
    options.loss = TRAIN_SFT;
    assert_int_equal(rt_adapter_create(b.model, random_adapter(&b.ctx, &b.model->config),
                                       true, &b.adapter),
                     RT_OK);
    assert_int_equal(
        rt_trainer_create(b.model, b.adapter, NULL, &options, TOKENS, 0, &b.trainer),
        RT_OK);
    check_model(&b, device, name);
    rt_trainer_destroy(&b.trainer);
    rt_adapter_destroy(&b.adapter);
    rt_model_destroy(&b.model);
}

static void the_loss_follows_the_gradient_of_every_kind(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[i]);
        for (size_t k = 0; k < RT_COUNT(models); k++)
            run_model(dev, devices[i].name, models[k]);
        assert_int_equal(rt_device_validation_count(dev), 0);
        rt_device_destroy(&dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        the_loss_follows_the_gradient_of_every_kind) };
    return cmocka_run_group_tests_name("family gradients", tests, NULL, NULL);
}

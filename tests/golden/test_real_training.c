/* One step of supervised and one of preference training of an adapter on real models, the
 * weights packed as their GGUF files have them (family tiled) and as CPUs take them
 * (lanes): loss, gradient norm and the gradient of every A and B agree with `ref`, all of
 * it is finite, and a few steps lower the loss. */
#include "runtime/text/tokenizer.h"
#include "runtime/observe/score.h"
#include "tests/support/devices.h"
#include "tests/support/real_models.h"
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
#include <sys/resource.h>

/* Both sides decode the same weights exactly; floats are summed over up to 4,864 inputs in
 * another precision (ref: in double), through 24 to 30 layers and back. Measured: see
 * docs/numerics.md. */
static const double LOSS_TOLERANCE = 1e-5;     /* relative */
static const double NORM_TOLERANCE = 1e-4;     /* relative */
static const double GRADIENT_TOLERANCE = 5e-4; /* of the norm of a matrix */
static const double CANCELLED = 1e-3;          /* share of the largest norm */
static const double RATE = 1e-3;

enum { TOKENS = 32, ROWS = 64, RANK = 4, STEPS = 3 };

static const char *const texts[][2] = {
    { "Tom had 3 apples, then 4 more.", " So 3 + 4 = 7." },
    { "Tom had 3 apples, then 4 more.", " So 3 - 4 = 1." },
};

struct run {
    struct rt_ctx ctx;
    struct rt_device *dev;
    struct rt_model *model;
    struct rt_adapter *adapter;
    const char *name;
    uint32_t ids[2][TOKENS];
    uint8_t mask[2][TOKENS];
    float ref[2][TOKENS];
    struct train_sequence batch[2]; /* chosen, rejected */
};

/* What a loss gave on `ref`. */
struct expected {
    struct train_metrics metrics;
    double norm;
    struct fmt_adapter *gradient;
};

static void ok(struct run *r, rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s: %s", r->name, r->ctx.message);
}

static void encode(struct run *r, const char *path)
{
    struct text_tokenizer *tok = NULL;
    ok(r, text_tokenizer_load(&r->ctx, path, &tok));
    for (uint32_t s = 0; s < 2; s++) {
        uint32_t n = 0;
        for (uint32_t part = 0; part < 2; part++) {
            uint32_t *ids = NULL, count = 0;
            ok(r, text_encode(tok, texts[s][part], strlen(texts[s][part]), false, &ids,
                              &count));
            assert_true(n + count <= TOKENS);
            memcpy(r->ids[s] + n, ids, count * sizeof *ids);
            memset(r->mask[s] + n, (int)part, count);
            n += count;
            rt_free(ids);
        }
        r->batch[s] =
            (struct train_sequence){ .ids = r->ids[s], .mask = r->mask[s], .n = n };
    }
    text_tokenizer_destroy(&tok);
}

/* The reference of DPO: what the model says without the adapter. */
static void score(struct run *r)
{
    struct rt_scorer *scorer = NULL;
    float logprob[2 * TOKENS];
    const struct score_out out = { .logprob = logprob };
    ok(r, rt_scorer_create(r->model, NULL, NULL, ROWS, &scorer));
    ok(r, rt_scorer_run(scorer, r->batch, 2, &out));
    uint32_t next = 0;
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t t = 1; t < r->batch[s].n; t++)
            r->ref[s][t] = r->mask[s][t] ? logprob[next++] : 0;
        r->batch[s].ref = r->ref[s];
    }
    rt_scorer_destroy(&scorer);
}

static void run_open(struct run *r, const struct test_device *device, const char *path)
{
    *r = (struct run){ .name = device->name };
    test_ctx(&r->ctx);
    r->dev = test_device_open(&r->ctx, device);
    ok(r, rt_model_load(r->dev, path, TOKENS, &r->model));
    encode(r, path);
    score(r);
    ok(r,
       rt_adapter_create(
           r->model, test_random_adapter(&r->ctx, rt_model_config(r->model), RANK, 0.02f),
           true, &r->adapter));
}

static void run_close(struct run *r)
{
    rt_adapter_destroy(&r->adapter);
    rt_model_destroy(&r->model);
    assert_int_equal(rt_device_validation_count(r->dev), 0);
    rt_device_destroy(&r->dev);
}

static struct rt_trainer *trainer_of(struct run *r, enum train_loss loss)
{
    struct rt_trainer *trainer = NULL;
    struct train_options options;
    train_options_default(&options);
    options.loss = loss;
    options.beta = 0.1f;
    ok(r, rt_trainer_create(r->model, r->adapter, NULL, &options, ROWS, 0, &trainer));
    return trainer;
}

static void gradient_of(struct run *r, struct rt_trainer *trainer, uint32_t count,
                        struct expected *out)
{
    ok(r, rt_trainer_gradient(trainer, r->batch, count, &out->metrics));
    ok(r, fmt_adapter_copy(&r->ctx, rt_adapter_source(r->adapter),
                           rt_model_config(r->model), &out->gradient));
    ok(r, rt_trainer_read_gradient(trainer, out->gradient));
    out->norm = test_gradient_norm(out->gradient, rt_model_config(r->model));
}

/* More steps on the supervised batch; the adapter is not what it was any more. */
static void descend(struct run *r, struct rt_trainer *trainer, double first)
{
    struct train_metrics m = { 0 };
    for (uint32_t k = 0; k < STEPS; k++) {
        double norm;
        ok(r, rt_trainer_update(trainer, RATE, &norm));
        assert_true(isfinite(norm) && norm > 0);
        ok(r, rt_trainer_gradient(trainer, r->batch, 1, &m));
    }
    printf("    %-26s loss %.4f after %d steps\n", r->name, m.loss, STEPS);
    if (!(m.loss < first - 0.01))
        fail_msg("%s: loss %g, no less than %g", r->name, m.loss, first);
}

static void compare(struct run *r, const char *loss, const struct expected *got,
                    const struct expected *want, double seconds)
{
    const double worst = test_gradients_differ(got->gradient, want->gradient,
                                               rt_model_config(r->model), CANCELLED);
    const double value =
        fabs(got->metrics.loss - want->metrics.loss) / fabs(want->metrics.loss);
    const double norm = fabs(got->norm - want->norm) / want->norm;
    printf("    %-26s %s loss %.6f (off by %.1e) norm %.4f (%.1e) worst matrix %.1e  "
           "%.1f s\n",
           r->name, loss, got->metrics.loss, value, got->norm, norm, worst, seconds);
    if (!(value <= LOSS_TOLERANCE && norm <= NORM_TOLERANCE &&
          worst <= GRADIENT_TOLERANCE))
        fail_msg("%s: %s disagrees with ref", r->name, loss);
}

/* Both losses on a device: kept in `expected` where it is the first, ref. */
static void train(const struct test_device *device, const char *path, bool is_ref,
                  struct expected expected[2])
{
    static const char *const names[] = { "sft", "dpo" };
    struct run r;
    run_open(&r, device, path);
    for (int dpo = 1; dpo >= 0; dpo--) {
        struct rt_trainer *trainer = trainer_of(&r, dpo ? TRAIN_DPO : TRAIN_SFT);
        struct expected got = { .norm = NAN };
        const uint64_t start = rt_time_ns();
        gradient_of(&r, trainer, dpo ? 2 : 1, &got);
        const double seconds = 1e-9 * (double)(rt_time_ns() - start);
        assert_true(isfinite(got.metrics.loss) && isfinite(got.norm) && got.norm > 0);
        if (is_ref)
            expected[dpo] = got;
        compare(&r, names[dpo], &got, &expected[dpo], seconds);
        if (!is_ref) {
            fmt_adapter_destroy(&got.gradient);
            if (!dpo)
                descend(&r, trainer, got.metrics.loss);
        }
        rt_trainer_destroy(&trainer);
    }
    run_close(&r);
}

/* The devices of this test: ref first. SwiftShader, some times slower, only where
 * FAULTLINE_TEST_DEVICES names it. */
static uint32_t devices_of(struct test_device *out, uint32_t max)
{
    struct test_device all[16];
    const uint32_t n = test_devices(all, 16);
    const bool narrowed = getenv("FAULTLINE_TEST_DEVICES") != NULL;
    uint32_t count = 1;
    out[0] =
        (struct test_device){ .device = "ref", .name = "ref", .family = RT_FAMILY_LANES };
    for (uint32_t i = 0; i < n && count < max; i++)
        if (strcmp(all[i].device, "ref") != 0 &&
            (narrowed || strstr(all[i].name, "SwiftShader") == NULL))
            out[count++] = all[i];
    return count;
}

static void train_model(int which)
{
    char path[1024];
    struct test_device devices[16];
    struct expected expected[2] = { { .gradient = NULL } };
    struct rusage usage;
    if (!test_real_model(which, path, sizeof path))
        skip();
    const uint32_t n = devices_of(devices, 16);
    for (uint32_t i = 0; i < n; i++)
        train(&devices[i], path, i == 0, expected);
    fmt_adapter_destroy(&expected[0].gradient);
    fmt_adapter_destroy(&expected[1].gradient);
    getrusage(RUSAGE_SELF, &usage);
    printf("    at most %ld MiB resident so far\n", usage.ru_maxrss / 1024);
}

static void smollm2_trains_as_ref_does(void **state)
{
    (void)state;
    train_model(TEST_SMOLLM2);
}

static void qwen2_5_coder_trains_as_ref_does(void **state)
{
    (void)state;
    train_model(TEST_QWEN2_5_CODER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_trains_as_ref_does),
        cmocka_unit_test(qwen2_5_coder_trains_as_ref_does),
    };
    return test_real_models_there()
               ? cmocka_run_group_tests_name("real training", tests, NULL, NULL)
               : 77;
}

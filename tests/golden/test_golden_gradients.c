/* Losses, adapter gradients and AdamW of the goldens (qwen2-tiny + lora plain), on every
 * device. */
#include "runtime/train/train.h"
#include "tests/support/devices.h"
#include "tests/support/slopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double GRADIENT_TOLERANCE = 1e-3;

enum { IDS = 128, SEQUENCES = 8 };

struct data {
    uint32_t ids[SEQUENCES][IDS];
    uint8_t mask[SEQUENCES][IDS];
    float ref[SEQUENCES][IDS];
    struct train_sequence batch[SEQUENCES];
    uint32_t count;
};

static json_t *load(const char *name)
{
    char path[1024], relative[128];
    snprintf(relative, sizeof relative, "tests/golden/grad/%s", name);
    json_t *root = json_load_file(test_path(path, sizeof path, relative), 0, NULL);
    if (!root)
        fail_msg("cannot read %s", path);
    return root;
}

static uint32_t append(struct data *d, uint32_t s, uint32_t at, const json_t *ids,
                       int mask)
{
    for (size_t i = 0; i < json_array_size(ids); i++, at++) {
        d->ids[s][at] = (uint32_t)json_integer_value(json_array_get(ids, i));
        d->mask[s][at] = (uint8_t)mask;
    }
    return at;
}

static void finish(struct data *d, uint32_t s, uint32_t n)
{
    d->batch[s] = (struct train_sequence){
        .ids = d->ids[s], .mask = d->mask[s], .n = n, .ref = d->ref[s]
    };
}

/* The SFT batch; its mask is over target tokens: entry t masks token t + 1. */
static void read_sft(struct data *d)
{
    json_t *root = load("sft.json"), *item;
    size_t s;
    json_array_foreach(json_object_get(root, "batch"), s, item)
    {
        const json_t *mask = json_object_get(item, "mask");
        const uint32_t n = append(d, (uint32_t)s, 0, json_object_get(item, "ids"), 0);
        const uint32_t shift = n - (uint32_t)json_array_size(mask);
        for (uint32_t t = shift; t < n; t++)
            d->mask[s][t] = json_integer_value(json_array_get(mask, t - shift)) != 0;
        finish(d, (uint32_t)s, n);
        d->count++;
    }
    json_decref(root);
}

/* Pairs; the golden gives reference sums only: spread them so that the sum is exact. */
static void read_dpo(struct data *d, const json_t *root)
{
    const json_t *pairs = json_object_get(root, "pairs"), *pair;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)pairs, i, pair) for (uint32_t k = 0; k < 2;
                                                                 k++)
    {
        const uint32_t s = 2 * (uint32_t)i + k;
        const json_t *tail = json_object_get(pair, k ? "rejected" : "chosen");
        const json_t *sums = json_object_get(root, k ? "ref_rejected" : "ref_chosen");
        uint32_t n = append(d, s, 0, json_object_get(pair, "prefix"), 0);
        const uint32_t first = n;
        n = append(d, s, n, tail, 1);
        const double sum = json_number_value(json_array_get(sums, i));
        for (uint32_t t = first; t < n; t++)
            d->ref[s][t] = (float)(sum / (n - first));
        finish(d, s, n);
        d->count++;
    }
}

struct bench {
    struct rt_ctx ctx;
    struct rt_device *dev;
    struct rt_model *model, *quant;
    const char *name;
};

/* Worst ||g - golden|| / (||golden|| + 1e-7 / tolerance) over matrices. */
static double compare(const struct fmt_adapter *g, const struct fmt_config *config,
                      const char *file)
{
    char path[1024], relative[128];
    json_t *index = load("index.json"), *entry;
    snprintf(relative, sizeof relative, "tests/golden/grad/%s", file);
    float *golden =
        test_floats(test_path(path, sizeof path, relative),
                    (size_t)json_integer_value(json_object_get(index, "floats")));
    double worst = 0;
    size_t i;
    json_array_foreach(json_object_get(index, "tensors"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        const float *want = golden + json_integer_value(json_object_get(entry, "offset"));
        unsigned layer = 0;
        assert_int_equal(sscanf(name, "base_model.model.model.layers.%u.", &layer), 1);
        int module = 0;
        while (!strstr(name, fmt_module_path[module]))
            module++;
        uint32_t out, in;
        fmt_module_size(config, (enum fmt_module)module, &out, &in);
        const struct fmt_lora *l = &g->lora[layer * FMT_MODULE_COUNT + (uint32_t)module];
        const bool is_a = strstr(name, "lora_A") != NULL;
        const float *got = is_a ? l->a : l->b;
        const size_t n = (size_t)l->rank * (is_a ? in : out);
        double d = 0, norm = 0;
        for (size_t k = 0; k < n; k++) {
            d += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            norm += (double)want[k] * want[k];
        }
        const double error = sqrt(d) / (sqrt(norm) + 1e-7 / GRADIENT_TOLERANCE);
        if (!(error <= worst))
            worst = isnan(error) ? INFINITY : error;
    }
    free(golden);
    json_decref(index);
    return worst;
}

static void check_gradient(struct bench *b, struct rt_model *model,
                           struct rt_model *teacher, const struct train_options *options,
                           const struct data *d, const char *what, const char *file,
                           double loss)
{
    struct rt_adapter *adapter = test_golden_adapter(model);
    struct rt_trainer *trainer = NULL;
    struct train_metrics metrics;
    struct fmt_adapter *gradient = NULL;
    if (rt_trainer_create(model, adapter, teacher, options, 256, 0, &trainer) != RT_OK ||
        rt_trainer_gradient(trainer, d->batch, d->count, &metrics) != RT_OK ||
        fmt_adapter_copy(&b->ctx, rt_adapter_source(adapter), rt_model_config(model),
                         &gradient) != RT_OK ||
        rt_trainer_read_gradient(trainer, gradient) != RT_OK)
        fail_msg("%s %s: %s", b->name, what, b->ctx.message);
    const double error = compare(gradient, rt_model_config(model), file);
    printf("    %-28s %-14s loss %.6f (%.6f) gradient error %.2e\n", b->name, what,
           metrics.loss, loss, error);
    if (!(fabs(metrics.loss - loss) <= 2e-5 * fabs(loss) + 1e-6))
        fail_msg("%s %s: loss %.8f, not %.8f", b->name, what, metrics.loss, loss);
    if (!(error <= GRADIENT_TOLERANCE))
        fail_msg("%s %s: a gradient is off by %g of its norm", b->name, what, error);
    fmt_adapter_destroy(&gradient);
    rt_trainer_destroy(&trainer);
    rt_adapter_destroy(&adapter);
}

static void check_dpo(struct bench *b)
{
    static const struct {
        const char *name;
        uint32_t preference;
        float sft;
        uint32_t norm;
    } losses[] = {
        { "sigmoid", DPO_SIGMOID, 0, 0 },
        { "ipo", DPO_IPO, 0, 0 },
        { "hinge", DPO_HINGE, 0, 0 },
        { "sigmoid_sft", DPO_SIGMOID, 0.2f, 1 },
        { "sigmoid_rpo", DPO_SIGMOID, 0.2f, 0 },
    };
    struct data *d = calloc(1, sizeof *d);
    json_t *root = load("dpo.json");
    read_dpo(d, root);
    for (size_t i = 0; i < RT_COUNT(losses); i++) {
        const json_t *golden =
            json_object_get(json_object_get(root, "losses"), losses[i].name);
        struct train_options o;
        train_options_default(&o);
        o.loss = TRAIN_DPO;
        o.preference = losses[i].preference;
        o.sft = losses[i].sft;
        o.sft_norm = losses[i].norm;
        check_gradient(b, b->model, NULL, &o, d, losses[i].name,
                       json_string_value(json_object_get(golden, "grad")),
                       json_number_value(json_object_get(golden, "mean")));
    }
    json_decref(root);
    free(d);
}

static void check_kl(struct bench *b, const struct data *d)
{
    json_t *root = load("kl.json");
    for (int t = 1; t <= 2; t++) {
        char key[2] = { (char)('0' + t), 0 };
        const json_t *golden =
            json_object_get(json_object_get(root, "temperatures"), key);
        struct train_options o;
        train_options_default(&o);
        o.temperature = (float)t;
        check_gradient(b, b->quant, b->model, &o, d, t == 1 ? "kl T 1" : "kl T 2",
                       json_string_value(json_object_get(golden, "grad")),
                       json_number_value(json_object_get(golden, "mean_adapter")));
    }
    json_decref(root);
}

/* Five AdamW steps on one batch; then a save, a load and one more step must give the
 * same bits as going on. */
static void check_adamw(struct bench *b, const struct data *d)
{
    json_t *root = load("adamw.json");
    const json_t *run = json_object_get(json_object_get(root, "runs"), "step5");
    struct train_options o;
    train_options_default(&o);
    o.loss = TRAIN_SFT;
    o.beta2 = 0.95f;
    o.decay = 0.01f;
    struct rt_adapter *adapter = test_golden_adapter(b->model);
    struct rt_trainer *trainer = NULL;
    struct train_metrics m;
    if (rt_trainer_create(b->model, adapter, NULL, &o, 256, 0, &trainer) != RT_OK)
        fail_msg("%s: %s", b->name, b->ctx.message);
    const json_t *rates = json_object_get(run, "lr");
    for (size_t k = 0; k < json_array_size(rates); k++) {
        const double lr = json_number_value(json_array_get(rates, k));
        assert_true(fabs(lr - train_rate(1e-3, k, 5, 2, 0.1)) < 1e-12);
        assert_int_equal(rt_trainer_gradient(trainer, d->batch, d->count, &m), RT_OK);
        assert_true(
            fabs(m.loss - json_number_value(json_array_get(
                              json_object_get(run, "loss_before_each_step"), k))) < 1e-3);
        assert_int_equal(rt_trainer_update(trainer, lr, NULL), RT_OK);
    }
    assert_int_equal(rt_trainer_gradient(trainer, d->batch, d->count, &m), RT_OK);
    const double after = json_number_value(json_object_get(run, "loss_after_last_step"));
    printf("    %-28s adamw          loss after 5 steps %.6f (%.6f)\n", b->name, m.loss,
           after);
    assert_true(fabs(m.loss - after) < 2e-3);

    char path[] = "/tmp/faultline-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(rt_trainer_save(trainer, path), RT_OK);
    assert_int_equal(rt_trainer_update(trainer, 1e-4, NULL), RT_OK);
    assert_int_equal(rt_adapter_download(adapter), RT_OK);
    char first[65], second[65];
    fmt_adapter_hash(rt_adapter_source(adapter), rt_model_config(b->model), first);
    assert_int_equal(rt_trainer_load(trainer, path), RT_OK);
    assert_int_equal(rt_trainer_gradient(trainer, d->batch, d->count, &m), RT_OK);
    assert_int_equal(rt_trainer_update(trainer, 1e-4, NULL), RT_OK);
    assert_int_equal(rt_adapter_download(adapter), RT_OK);
    fmt_adapter_hash(rt_adapter_source(adapter), rt_model_config(b->model), second);
    assert_string_equal(first, second);
    remove(path);
    rt_trainer_destroy(&trainer);
    rt_adapter_destroy(&adapter);
    json_decref(root);
}

static void gradients_agree_on_every_device(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    struct data *d = calloc(1, sizeof *d);
    json_t *sft = load("sft.json");
    read_sft(d);
    for (uint32_t i = 0; i < n; i++) {
        char path[1024];
        struct bench b = { .name = devices[i].name };
        test_ctx(&b.ctx);
        b.dev = test_device_open(&b.ctx, &devices[i]);
        if (rt_model_load(b.dev,
                          test_path(path, sizeof path, "tests/golden/models/qwen2-tiny"),
                          64, &b.model) != RT_OK ||
            rt_model_load(
                b.dev,
                test_path(path, sizeof path, "tests/golden/models/qwen2-tiny-rtn4-ct"),
                64, &b.quant) != RT_OK)
            fail_msg("%s: %s", b.name, b.ctx.message);
        struct train_options o;
        train_options_default(&o);
        o.loss = TRAIN_SFT;
        check_gradient(&b, b.model, NULL, &o, d, "sft", "sft.f32",
                       json_number_value(json_object_get(sft, "loss")));
        check_dpo(&b);
        check_kl(&b, d);
        check_adamw(&b, d);
        rt_model_destroy(&b.model);
        rt_model_destroy(&b.quant);
        rt_device_destroy(&b.dev);
    }
    json_decref(sft);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        gradients_agree_on_every_device) };
    return cmocka_run_group_tests_name("golden gradients", tests, NULL, NULL);
}

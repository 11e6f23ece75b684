/* Scales of packed models as parameters: the loss follows their gradient, training lowers
 * the distance to the full model, a checkpoint goes on bit for bit, and the folder or file
 * that is written is the model that was trained. AWQ and GPTQ (halves; column orders; a layer
 * that is not packed), what `quantize` writes (floats), and GGUF files (halves of blocks, with
 * minima, of groups within blocks of 256). */
#include "runtime/quant/folder.h"
#include "runtime/quant/gguf_file.h"
#include "runtime/quant/rescale.h"
#include "runtime/train/trainer.h"
#include "tests/support/devices.h"
#include "tests/support/pack_model.h"
#include "tests/support/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 40, STEPS = 2, ORDERS_CASE = 3 /* of cases */, HEAD = 64 };

static const double CHANGE = 0.02;    /* of the loss, either way */
static const double TOLERANCE = 5e-3; /* of a slope of 1: curvature and rounding */

static const struct {
    const char *source;
    bool quantized; /* by us; else by test_pack_model */
    enum test_packing packing;
    struct quant_options options; /* of the former; bits of both */
    bool has_zeros;
    const char *plan; /* of a GGUF file of a random model; else NULL */
} cases[] = {
    { "qwen3-tiny", true, TEST_AWQ, { .bits = 3 }, false, NULL },
    { "qwen2-tiny",
      true,
      TEST_AWQ,
      { .bits = 2, .group = 32, .asymmetric = true },
      true,
      NULL },
    { "llama-tiny",
      true,
      TEST_AWQ,
      { .bits = 3, .group = 16, .asymmetric = true },
      true,
      NULL },
    { "qwen2-tiny", false, TEST_AWQ, { .bits = 4 }, true, NULL },
    { "llama-tiny", false, TEST_GPTQ_OWN_ORDERS, { .bits = 8 }, true, NULL },
    { "llama-tiny", false, TEST_GPTQ_MIXED, { .bits = 2 }, true, NULL },
    { "qwen3-tiny", true, TEST_AWQ, { .bits = 8, .asymmetric = true }, true, NULL },
    { .plan = "blk.*.attn_[qkv].weight Q8_0\n"
              "blk.*.ffn_gate.weight Q4_0\nblk.*.ffn_up.weight Q4_0\n"
              "blk.*.ffn_down.weight Q5_0\n"
              "blk.0.attn_output.weight Q2_K\nblk.1.attn_output.weight Q6_K\n" },
    { .plan = "blk.*.attn_[qkv].weight Q4_1\n"
              "blk.*.ffn_gate.weight Q5_1\nblk.*.ffn_up.weight Q5_1\n"
              "blk.*.ffn_down.weight IQ4_NL\n"
              "blk.0.attn_output.weight Q3_K\nblk.1.attn_output.weight Q5_K\n" },
    { .plan = "blk.*.attn_q.weight Q5_0\nblk.*.attn_k.weight Q8_0\n"
              "blk.*.attn_v.weight IQ4_NL\n"
              "blk.*.ffn_gate.weight F16\nblk.*.ffn_up.weight F16\n"
              "blk.*.ffn_down.weight Q4_0\n"
              "blk.0.attn_output.weight Q4_K\nblk.1.attn_output.weight IQ4_XS\n" },
};

struct bench {
    struct rt_ctx *ctx;
    struct rt_model *full, *model;
    struct rt_scales *scales;
    struct rt_trainer *trainer;
    struct train_sequence batch;
    uint32_t ids[TOKENS];
    uint8_t mask[TOKENS];
};

static void make_file(struct rt_ctx *ctx, const char *plan,
                      const struct test_folder *packed, const struct test_folder *plain)
{
    char lines[128], to[128];
    struct quant_gguf_report report;
    snprintf(lines, sizeof lines, "%s/plan", packed->path);
    snprintf(to, sizeof to, "%s/q", packed->path);
    test_file_write(lines, plan, strlen(plan));
    test_random_model(plain, HEAD);
    const struct quant_gguf_options options = { .mix = quant_gguf_mix_find("Q8_0"),
                                                .plan = lines };
    if (quant_gguf_file(ctx, plain->path, to, &options, &report) != RT_OK)
        fail_msg("%s", ctx->message);
}

static void make_folders(struct rt_ctx *ctx, size_t i, const struct test_folder *packed,
                         const struct test_folder *plain)
{
    char path[1024], relative[128];
    struct quant_report report;
    if (cases[i].plan) {
        make_file(ctx, cases[i].plan, packed, plain);
        return;
    }
    snprintf(relative, sizeof relative, "tests/golden/models/%s", cases[i].source);
    if (!cases[i].quantized) {
        test_pack_model(cases[i].source, cases[i].packing, cases[i].options.bits, packed,
                        plain);
        return;
    }
    test_folder_fill(plain, relative);
    char to[128];
    snprintf(to, sizeof to, "%s/q", packed->path);
    if (quant_folder(ctx, test_path(path, sizeof path, relative), to, &cases[i].options,
                     NULL, true, &report) != RT_OK)
        fail_msg("%s", ctx->message);
}

static const char *packed_path(size_t i, const struct test_folder *folder, char *buffer,
                               size_t size)
{
    snprintf(buffer, size, "%s%s", folder->path,
             cases[i].quantized || cases[i].plan ? "/q" : "");
    return buffer;
}

static void open_bench(struct bench *b, struct rt_device *dev, const char *packed,
                       const char *full, bool zeros)
{
    struct train_options options;
    *b = (struct bench){ .ctx = rt_device_ctx(dev),
                         .batch = { .ids = b->ids, .mask = b->mask, .n = TOKENS } };
    if (rt_model_load(dev, packed, 64, &b->model) != RT_OK ||
        rt_model_load(dev, full, 64, &b->full) != RT_OK ||
        rt_scales_create(b->model, packed, zeros, &b->scales) != RT_OK)
        fail_msg("%s", b->ctx->message);
    for (uint32_t t = 0; t < TOKENS; t++) {
        b->ids[t] = train_word(3, t, 0) % b->model->config.vocab;
        b->mask[t] = t % 3 != 0;
    }
    train_options_default(&options);
    options.clip = 0;
    const struct train_parameters parameters = { .scales = b->scales };
    if (rt_trainer_create_for(b->model, &parameters, b->full, &options, TOKENS, 0,
                              &b->trainer) != RT_OK)
        fail_msg("%s", b->ctx->message);
}

static void close_bench(struct bench *b)
{
    rt_trainer_destroy(&b->trainer);
    rt_scales_destroy(&b->scales);
    rt_model_destroy(&b->model);
    rt_model_destroy(&b->full);
}

static double loss_of(struct bench *b)
{
    struct train_metrics metrics;
    if (rt_trainer_gradient(b->trainer, &b->batch, 1, &metrics) != RT_OK)
        fail_msg("%s", b->ctx->message);
    return metrics.loss;
}

/* ---- gradients ---- */

static void put_params(struct bench *b, const float *params)
{
    const struct rt_scales *s = b->scales;
    assert_int_equal(rt_buffer_write(s->params, 0, params, s->floats * 4), RT_OK);
    assert_int_equal(rt_submit(b->model->dev, s->pack), RT_OK);
    assert_int_equal(rt_wait(b->model->dev), RT_OK);
}

/* All scales of the model at random within 30 %, so that it is far from its teacher. What is
 * 0 stays: padding too, which has no gradient. */
static void disturb(struct bench *b, float *params)
{
    const uint64_t n = b->scales->floats;
    float *base = calloc(n, sizeof *base);
    assert_int_equal(rt_buffer_read(b->scales->base, 0, base, n * 4), RT_OK);
    for (uint64_t i = 0; i < n; i++) {
        const float unit = (float)train_word(7, (uint32_t)i, 0) / 2147483648.0f - 1;
        params[i] = base[i] == 0 ? 1 : 1 + 0.3f * unit;
    }
    free(base);
    put_params(b, params);
}

/* Rounding hides small steps, so it is off: a form with float scales holds any. */
static double slope(struct bench *b)
{
    const uint64_t n = b->scales->floats;
    const uint32_t sets = b->model->config.layers * MODEL_GROUP_COUNT * MODEL_RUNS_MAX;
    float *params = calloc(n, sizeof *params), *moved = calloc(n, sizeof *moved),
          *grad = calloc(n, sizeof *grad);
    double squares = 0, loss[2];
    for (uint32_t i = 0; i < sets; i++)
        b->scales->sets[i].rounding = SCALE_F32;
    rt_list_destroy(&b->scales->pack);
    assert_int_equal(rt_list_create(b->model->dev, "pack", &b->scales->pack), RT_OK);
    train_scales_record_pack(b->scales, b->scales->pack);
    assert_int_equal(rt_list_end(b->scales->pack), RT_OK);
    disturb(b, params);
    loss_of(b);
    assert_int_equal(rt_buffer_read(b->trainer->backward.scale_grads, 0, grad, n * 4),
                     RT_OK);
    for (uint64_t i = 0; i < n; i++)
        squares += (double)grad[i] * grad[i];
    const double norm = ((const float *)rt_buffer_map(b->trainer->clip_state))[0];
    assert_true(fabs(norm / sqrt(squares) - 1) <= 1e-4);
    const double change = fmin(CHANGE, 0.002 * sqrt(squares)); /* 0.2 % of a scale */
    for (int side = 0; side < 2; side++) {
        const double step = (side ? -1 : 1) * change / squares;
        for (uint64_t i = 0; i < n; i++)
            moved[i] = (float)(params[i] + step * grad[i]);
        put_params(b, moved);
        loss[side] = loss_of(b);
    }
    free(params);
    free(moved);
    free(grad);
    return (loss[0] - loss[1]) / (2 * change);
}

static void check_slope(struct rt_device *dev, const char *device, size_t i)
{
    char path[128];
    struct bench b;
    struct test_folder packed, plain;
    if (!rt_device_plan(dev)->wide_weights)
        return;
    test_folder_init(&packed);
    test_folder_init(&plain);
    make_folders(rt_device_ctx(dev), i, &packed, &plain);
    open_bench(&b, dev, packed_path(i, &packed, path, sizeof path), plain.path, false);
    const double got = slope(&b);
    printf("    %-26s case %zu: slope %.6f\n", device, i, got);
    assert_true(fabs(got - 1) <= TOLERANCE);
    close_bench(&b);
    test_folder_deinit(&packed);
    test_folder_deinit(&plain);
}

/* ---- training, checkpoint, folder ---- */

static void step(struct bench *b)
{
    loss_of(b);
    if (rt_trainer_update(b->trainer, 3e-3, NULL) != RT_OK)
        fail_msg("%s", b->ctx->message);
}

static rt_status take(void *user, uint32_t layer, enum fmt_module module, uint32_t groups,
                      float *values, float *zeros)
{
    return rt_scales_read(user, layer, module, groups, values, zeros);
}

static bool same_buffer(struct rt_buffer *a, struct rt_buffer *b, uint64_t bytes)
{
    void *x = malloc(bytes), *y = malloc(bytes);
    assert_int_equal(rt_buffer_read(a, 0, x, bytes), RT_OK);
    assert_int_equal(rt_buffer_read(b, 0, y, bytes), RT_OK);
    const bool same = memcmp(x, y, bytes) == 0;
    free(x);
    free(y);
    return same;
}

/* All bits of all projections; returns how many weights have other scales. */
static uint32_t compare_models(const struct rt_model *a, const struct rt_model *b)
{
    uint32_t others = 0;
    for (uint32_t l = 0; l < a->config.layers; l++)
        for (int g = 0; g < MODEL_GROUP_COUNT; g++)
            for (uint32_t r = 0; r < a->layers[l].group[g].count; r++) {
                const struct model_weight *x = &a->layers[l].group[g].run[r].weight;
                const struct model_weight *y = &b->layers[l].group[g].run[r].weight;
                assert_true(
                    same_buffer(x->codes, y->codes, rt_weight_code_bytes(&x->shape)));
                others += x->scales && !same_buffer(x->scales, y->scales,
                                                    rt_weight_scale_bytes(&x->shape));
            }
    return others;
}

/* Halves of blocks of a row are marked in `may`, one mark per byte of the file. */
static void mark_row(struct fmt_model *model, const char *name, uint32_t row,
                     uint8_t *may, size_t size)
{
    struct fmt_block_row r;
    assert_int_equal(fmt_weight_block_row(model, name, row, &r), RT_OK);
    for (uint32_t b = 0; b < r.blocks; b++) {
        const size_t at = r.at + (size_t)b * r.bytes;
        assert_true(at + r.bytes <= size);
        memset(may + at + r.scale, 1, 2);
        if (r.minima)
            memset(may + at + r.minima, 1, 2);
    }
}

/* The files have the same bytes but for the halves of blocks of projections. */
static void compare_files(struct rt_ctx *ctx, const char *a, const char *b)
{
    size_t na, nb;
    char *x = test_file_read(a, &na), *y = test_file_read(b, &nb);
    uint8_t *may = calloc(1, na);
    struct fmt_model *model = NULL;
    struct fmt_scales s;
    assert_int_equal(na, nb);
    assert_int_equal(fmt_model_open(ctx, a, &model), RT_OK);
    for (uint32_t i = 0; i < fmt_model_config(model)->layers * FMT_MODULE_COUNT; i++) {
        char name[128];
        uint32_t out, in;
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        assert_int_equal(fmt_weight_scales(model, name, &s), RT_OK);
        assert_int_equal(fmt_weight_size(model, name, &out, &in), RT_OK);
        for (uint32_t r = 0; r < out && s.name[0]; r++)
            mark_row(model, name, r, may, na);
    }
    for (size_t i = 0; i < na; i++)
        assert_true(may[i] || x[i] == y[i]);
    fmt_model_close(&model);
    free(may);
    free(x);
    free(y);
}

static void check_training(struct rt_device *dev, const char *device, size_t i,
                           bool zeros)
{
    char path[128], out[128], saved[128];
    struct bench b, c;
    struct rt_model *again = NULL, *before = NULL;
    struct test_folder packed, plain;
    test_folder_init(&packed);
    test_folder_init(&plain);
    make_folders(rt_device_ctx(dev), i, &packed, &plain);
    packed_path(i, &packed, path, sizeof path);
    snprintf(out, sizeof out, "%s/refined", plain.path);
    snprintf(saved, sizeof saved, "%s/state", plain.path);
    open_bench(&b, dev, path, plain.path, zeros);
    open_bench(&c, dev, path, plain.path, zeros);
    float *params = calloc(b.scales->floats, sizeof *params);
    disturb(&b, params);
    free(params);
    const double first = loss_of(&b);
    for (uint32_t k = 0; k < STEPS; k++) {
        step(&b);
        if (k == 0)
            assert_int_equal(rt_trainer_save(b.trainer, saved), RT_OK);
    }
    const double last = loss_of(&b);
    printf("    %-26s case %zu: KL %.5f to %.5f, %llu numbers%s\n", device, i, first,
           last, (unsigned long long)rt_scales_count(b.scales),
           zeros ? ", zero points too" : "");
    assert_true(last < first);

    assert_int_equal(rt_trainer_load(c.trainer, saved), RT_OK);
    for (uint32_t k = 1; k < STEPS; k++)
        step(&c);
    assert_int_equal(compare_models(b.model, c.model), 0);

    if (quant_rescale(b.ctx, path, out, take, b.scales) != RT_OK ||
        rt_model_load(dev, out, 64, &again) != RT_OK ||
        rt_model_load(dev, path, 64, &before) != RT_OK)
        fail_msg("%s", b.ctx->message);
    assert_int_equal(compare_models(b.model, again), 0);
    if (cases[i].plan)
        compare_files(b.ctx, path, out);
    assert_true(compare_models(b.model, before) > 0);
    rt_model_destroy(&again);
    rt_model_destroy(&before);
    close_bench(&b);
    close_bench(&c);
    test_folder_deinit(&packed);
    test_folder_deinit(&plain);
}

/* All cases on the first device, GGUF files and one with halves and column orders on the
 * others. */
static void scales_are_trained_and_written(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t d = 0; d < n; d++) {
        struct rt_ctx ctx;
        if (test_device_is_slow(&devices[d]))
            continue;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[d]);
        for (size_t i = 0; i < RT_COUNT(cases); i++) {
            if (d > 0 && i != ORDERS_CASE && !cases[i].plan)
                continue;
            check_slope(dev, devices[d].name, i);
            check_training(dev, devices[d].name, i, false);
            if (cases[i].has_zeros)
                check_training(dev, devices[d].name, i, true);
        }
        assert_int_equal(rt_device_validation_count(dev), 0);
        rt_device_destroy(&dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_are_trained_and_written),
    };
    return cmocka_run_group_tests_name("scales", tests, NULL, NULL);
}

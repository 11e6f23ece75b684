/* What training is said to take (runtime/train/train_size.h) is what its buffers take, to
 * the byte, for each loss, family and kind of weight; and a 7B model at 4 bits with an
 * adapter of rank 16 is trained on 1,024 tokens in 12 GB, by the same accounting. */
#include "runtime/model/model_impl.h"
#include "runtime/train/train_size.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { POSITIONS = 64, RANK = 16, ROWS = 200 };

struct bench {
    struct rt_ctx ctx;
    struct rt_device *dev;
    const char *device;
};

static uint64_t bytes_taken(const struct bench *b)
{
    struct rt_device_stats stats;
    rt_device_stats_get(b->dev, &stats);
    return stats.buffer_bytes;
}

static void size_of(struct bench *b, const char *path, struct model_size *out)
{
    struct fmt_model *file = NULL;
    assert_int_equal(fmt_model_open(&b->ctx, path, &file), RT_OK);
    fmt_model_widen(file, rt_device_plan(b->dev)->wide_weights);
    assert_int_equal(rt_model_size(&b->ctx, file, out), RT_OK);
    fmt_model_close(&file);
}

/* An adapter of rank 16 on every module. */
static struct rt_adapter *adapter_of(struct bench *b, struct rt_model *model)
{
    struct fmt_adapter *source = NULL;
    struct rt_adapter *adapter = NULL;
    assert_int_equal(
        fmt_adapter_new(&b->ctx, rt_model_config(model), RANK, RANK, &source), RT_OK);
    assert_int_equal(rt_adapter_create(model, source, true, &adapter), RT_OK);
    return adapter;
}

static void check(struct bench *b, const char *name, enum train_loss loss)
{
    char path[1024], relative[128];
    struct model_size size;
    struct train_size said;
    struct train_options options;
    struct rt_model *model = NULL;
    struct rt_trainer *trainer = NULL;
    const struct train_shape shape = { .loss = loss,
                                       .rank = RANK,
                                       .rows = ROWS,
                                       .positions = POSITIONS,
                                       .teacher = loss == TRAIN_KL ? &size : NULL };
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    test_path(path, sizeof path, relative);
    size_of(b, path, &size);
    train_size_of(&size, rt_device_plan(b->dev), &shape, &said);
    assert_int_equal(rt_model_load(b->dev, path, POSITIONS, &model), RT_OK);
    const uint64_t loaded = bytes_taken(b);
    struct rt_adapter *adapter = adapter_of(b, model);
    const uint64_t adapted = bytes_taken(b);
    train_options_default(&options);
    options.loss = loss;
    assert_int_equal(rt_trainer_create(model, adapter, loss == TRAIN_KL ? model : NULL,
                                       &options, ROWS, 0, &trainer),
                     RT_OK);
    const uint64_t all = bytes_taken(b);
    /* The teacher is the model itself here: its weights are there once. */
    const uint64_t twice = loss == TRAIN_KL ? model_size_bytes(&size, POSITIONS) : 0;
    printf("    %-24s %-20s loss %d: %llu bytes\n", b->device, name, (int)loss,
           (unsigned long long)all);
    assert_int_equal(adapted - loaded, said.adapter);
    assert_int_equal(all - adapted,
                     train_size_sum(&said) - said.weights - said.adapter - twice);
    assert_true(said.weights <= loaded && loaded <= said.weights + 8192);
    rt_trainer_destroy(&trainer);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
}

static void what_is_said_is_taken(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    static const char *const models[] = { "qwen2-tiny", "qwen3-tiny",
                                          "qwen2-tiny-rtn4-ct",
                                          "qwen2-tiny-untied-bf16" };
    for (uint32_t i = 0; i < n; i++) {
        struct bench b = { .device = devices[i].name };
        test_ctx(&b.ctx);
        b.dev = test_device_open(&b.ctx, &devices[i]);
        for (size_t m = 0; m < RT_COUNT(models); m++)
            check(&b, models[m], TRAIN_SFT);
        check(&b, models[0], TRAIN_DPO);
        check(&b, models[2], TRAIN_KL);
        rt_device_destroy(&b.dev);
    }
}

/* Qwen2.5-7B, of which only the shape is known, in groups of 32 with half scales; embedding
 * and head too, or in halves. */
static void shape_of_7b(bool packed_tables, struct model_size *out)
{
    static const struct fmt_family family = { .model_type = "qwen2" };
    *out = (struct model_size){ .config = { .family = &family,
                                            .layers = 28,
                                            .hidden = 3584,
                                            .ffn = 18944,
                                            .heads = 28,
                                            .kv_heads = 4,
                                            .head_dim = 128,
                                            .vocab = 152064,
                                            .max_positions = 32768 } };
    model_group_shapes(&out->config, out->shape);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const struct model_group_shape *s = &out->shape[g];
        const struct rt_weight_shape w = { .out = s->out_pad,
                                           .in = s->in,
                                           .out_pad = s->out_pad,
                                           .in_pad = rt_weight_in_pad(4, s->in),
                                           .bits = 4,
                                           .group = 32,
                                           .form = RT_FORM_HALF };
        const uint64_t floats = (uint64_t)w.out_pad * w.in_pad * sizeof(float);
        out->projections += 28 * rt_weight_bytes(&w);
        out->in_pads[g] = 28ull * w.in_pad;
        out->decoded = floats > out->decoded ? floats : out->decoded;
    }
    out->head = (struct rt_weight_shape){
        .out = 152064, .in = 3584, .out_pad = 152064, .in_pad = 3584, .bits = 16
    };
    if (packed_tables)
        out->head.bits = 4, out->head.group = 32, out->head.form = RT_FORM_HALF;
    out->tables = 2 * rt_weight_bytes(&out->head);
    out->rest = 28 * (2 * 3584 * 4 + out->shape[MODEL_QKV].out_pad * 4) + 3584 * 4;
}

static void a_7b_model_is_trained_in_12_gb(void **state)
{
    (void)state;
    const struct rt_facts gpu = { .discrete = true,
                                  .subgroup_size = 32,
                                  .shared_bytes = 49152,
                                  .lanes_max = 1024,
                                  .subgroup_vote = true,
                                  .storage_range_max = UINT32_MAX };
    const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
    struct rt_plan plan;
    rt_plan_make(&gpu, &options, &plan);
    for (int packed = 0; packed < 2; packed++)
        for (int loss = TRAIN_SFT; loss <= TRAIN_DPO; loss += TRAIN_DPO - TRAIN_SFT) {
            struct model_size size;
            struct train_size s;
            const struct train_shape shape = { .loss = (enum train_loss)loss,
                                               .rank = RANK,
                                               .rows = 1024,
                                               .positions = 1024 };
            shape_of_7b(packed, &size);
            train_size_of(&size, &plan, &shape, &s);
            const double gb = 1e-9;
            printf("    7B, tables in %s, loss %d: weights %.2f, adapter %.2f, optimizer "
                   "%.2f, kept %.2f, activations %.2f, decoded %.2f, logits %.2f: %.2f "
                   "GB\n",
                   packed ? "4 bits" : "halves", loss, (double)s.weights * gb,
                   (double)s.adapter * gb, (double)s.optimizer * gb, (double)s.kept * gb,
                   (double)s.activations * gb, (double)s.decoded * gb,
                   (double)s.logits * gb, (double)train_size_sum(&s) * gb);
            assert_true(train_size_sum(&s) <= 12000000000ull);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_taken),
        cmocka_unit_test(a_7b_model_is_trained_in_12_gb),
    };
    return cmocka_run_group_tests_name("size of training", tests, NULL, NULL);
}

/* Mesa's llvmpipe ends the loops of an invocation after 65,535 rounds without a word. At the
 * lengths that are allowed there the last round still counts; longer ones are refused, by
 * the backend where an op's parameters tell, by engine and trainer where they do not. */
#include "runtime/device/device_impl.h"
#include "runtime/engine/engine.h"
#include "runtime/train/train.h"
#include "runtime/vk/vk.h"
#include "tests/support/devices.h"
#include "tests/support/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HD = 8, SHARING = 7, OPERANDS = 8 };

static struct rt_ctx ctx;
static struct rt_device *dev; /* the first that ends loops, in the lanes family */

/* Operands of an op, floats or words: zeros until the test writes some. */
struct operands {
    float *host[OPERANDS];
    struct rt_buffer *buffer[OPERANDS];
    struct rt_slice slices[OPERANDS];
    uint32_t count;
};

static float *add(struct operands *o, uint64_t floats)
{
    o->host[o->count] = calloc(floats, sizeof(float));
    assert_non_null(o->host[o->count]);
    o->slices[o->count].size = 4 * floats;
    return o->host[o->count++];
}

static void free_all(struct operands *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        rt_buffer_destroy(&o->buffer[i]);
        free(o->host[i]);
    }
}

/* Runs the op; RT_OK or what the recording was refused with. */
static rt_status run(struct operands *o, enum rt_op op, const void *push)
{
    struct rt_list *list = NULL;
    for (uint32_t i = 0; i < o->count; i++) {
        o->buffer[i] = test_upload(dev, o->host[i], o->slices[i].size);
        o->slices[i].buffer = o->buffer[i];
    }
    assert_int_equal(rt_list_create(dev, "loops", &list), RT_OK);
    rt_list_op(list, op, push, o->slices);
    const rt_status st = rt_list_end(list);
    if (st == RT_OK) {
        assert_int_equal(rt_submit(dev, list), RT_OK);
        assert_int_equal(rt_wait(dev), RT_OK);
        for (uint32_t i = 0; i < o->count; i++)
            assert_int_equal(
                rt_buffer_read(o->buffer[i], 0, o->host[i], o->slices[i].size), RT_OK);
    }
    rt_list_destroy(&list);
    return st;
}

static bool there(void)
{
    if (!dev)
        print_message("no device here ends loops\n");
    return dev != NULL;
}

/* Only the last row is not zero. */
static rt_status outer_of(uint32_t rows, float *first)
{
    struct operands o = { .count = 0 };
    const struct outer_push push = {
        .rows = rows, .na = 8, .nb = 8, .ldp = 8, .ldq = 8, .ldd = 8, .scale = 1
    };
    float *p = add(&o, 8ull * rows), *q = add(&o, 8ull * rows), *d = add(&o, 64);
    p[8ull * (rows - 1)] = 3;
    q[8ull * (rows - 1)] = 5;
    const rt_status st = run(&o, RT_OP_outer, &push);
    *first = d[0];
    free_all(&o);
    return st;
}

static void outer_is_right_or_refused(void **state)
{
    (void)state;
    float got;
    if (!there())
        skip();
    assert_int_equal(outer_of(65534, &got), RT_OK);
    assert_true(got == 15);
    assert_int_equal(outer_of(65535, &got), RT_ERR_NO_DEVICE);
    assert_non_null(strstr(ctx.message, "ends loops after 65535"));
}

static rt_status clip_of(uint32_t count, float *norm)
{
    struct operands o = { .count = 0 };
    const struct clip_push push = { .count = count };
    float *partial = add(&o, count), *out = add(&o, 64);
    partial[count - 1] = 9;
    const rt_status st = run(&o, RT_OP_clip, &push);
    *norm = out[0];
    free_all(&o);
    return st;
}

static void the_norm_of_a_gradient_is_right_or_refused(void **state)
{
    (void)state;
    float got;
    if (!there())
        skip();
    assert_int_equal(clip_of(65534, &got), RT_OK);
    assert_true(got == 3);
    assert_int_equal(clip_of(65535, &got), RT_ERR_NO_DEVICE);
}

/* One row over so many keys, of which only the last has a score and a value. */
static float attention_over(uint32_t keys)
{
    struct operands o = { .count = 0 };
    const struct attention_push push = { .rows = 1,
                                         .heads = 1,
                                         .heads_k = 1,
                                         .hd = HD,
                                         .ldq = HD,
                                         .ldk = 2 * HD,
                                         .ldv = 2 * HD,
                                         .offv = HD,
                                         .ldo = HD,
                                         .scale = 1 };
    float *q = add(&o, HD), *kv = add(&o, 2ull * HD * keys);
    float *values = add(&o, 2ull * HD * keys);
    uint32_t *meta = (uint32_t *)add(&o, 4);
    (void)add(&o, 4);
    float *out = add(&o, HD);
    (void)add(&o, 4);
    q[0] = 1;
    kv[2ull * HD * (keys - 1)] = 200;
    values[2ull * HD * (keys - 1) + HD] = 7;
    meta[0] = keys - 1;
    assert_int_equal(run(&o, RT_OP_attention, &push), RT_OK);
    const float got = out[0];
    free_all(&o);
    return got;
}

static void attention_sees_the_last_key(void **state)
{
    (void)state;
    if (!there())
        skip();
    assert_true(attention_over(rt_plan_keys_max(rt_device_plan(dev))) == 7);
}

/* Gradient of row 0's value of a sequence of so many rows, seven heads on one of keys: only
 * the last query of the last head adds to it. */
static float gradient_over(uint32_t rows)
{
    enum { LD = SHARING * HD };
    struct operands o = { .count = 0 };
    const struct attention_back_kv_push push = {
        .rows = rows,
        .heads = SHARING,
        .heads_k = 1,
        .hd = HD,
        .ldq = LD,
        .ldk = HD,
        .ldv = HD,
        .ldo = LD,
        .lddk = 2 * HD,
        .offdv = HD,
        .scale = 1,
    };
    (void)add(&o, (uint64_t)LD * rows);
    (void)add(&o, (uint64_t)HD * rows);
    (void)add(&o, (uint64_t)HD * rows);
    uint32_t *meta = (uint32_t *)add(&o, 4ull * rows);
    float *g = add(&o, (uint64_t)LD * rows);
    (void)add(&o, (uint64_t)SHARING * rows);
    (void)add(&o, (uint64_t)SHARING * rows);
    float *dkv = add(&o, 2ull * HD * rows);
    g[(uint64_t)LD * (rows - 1) + LD - HD] = 11;
    meta[2] = rows; /* all others end at once */
    assert_int_equal(run(&o, RT_OP_attention_back_kv, &push), RT_OK);
    const float got = dkv[HD];
    free_all(&o);
    return got;
}

static void gradients_see_the_last_query(void **state)
{
    (void)state;
    if (!there())
        skip();
    const uint32_t most = rt_plan_gradient_rows_max(rt_device_plan(dev), SHARING);
    assert_true(gradient_over(most) == 11);
    printf("    %u rows are right; of 9,400 the last query adds %g of 11\n", most,
           (double)gradient_over(9400));
}

/* What is known of products without running them. */
static void products_are_bounded(void **state)
{
    (void)state;
    const struct matmul_push large = { .in_pad = 131072 }, usual = { .in_pad = 29568 };
    const struct matmul_back_push wide = { .out_pad = 262144 },
                                  head = { .out_pad = 152064 };
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        if (vk_kernel_table[k].op == RT_OP_matmul) {
            assert_true(vk_rounds(k, &large, NULL) > 65535);
            const bool rounded = vk_kernel_table[k].products != RT_PRODUCTS_F32;
            assert_true(vk_rounds(k, &usual, NULL) < (rounded ? 65535 : 20000));
        } else if (vk_kernel_table[k].op == RT_OP_matmul_back &&
                   vk_kernel_table[k].family == RT_FAMILY_LANES) {
            assert_true(vk_rounds(k, &wide, NULL) > 65535);
            assert_true(vk_rounds(k, &head, NULL) < 40000);
        }
    }
}

/* On `ref` with the limit of a driver that ends loops even sooner. */
static void engine_and_trainer_refuse_long_sequences(void **state)
{
    (void)state;
    enum { TOKENS = 100, POSITIONS = 128 };
    struct rt_ctx own = { 0 };
    struct rt_device *ref = NULL;
    struct rt_model *model = NULL;
    struct rt_engine *engine = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_trainer *trainer = NULL;
    struct fmt_adapter *source = NULL;
    struct train_options options;
    struct train_metrics metrics;
    struct test_folder folder;
    uint32_t ids[TOKENS] = { 1, 2, 3 };
    uint8_t mask[TOKENS] = { 0, 1, 1 };
    const struct train_sequence pair[2] = { { .ids = ids, .mask = mask, .n = TOKENS },
                                            { .ids = ids, .mask = mask, .n = TOKENS } };
    const struct rt_device_options named = { .name = "ref" };
    const struct rt_engine_options engine_options = { .slots = 1, .context = 64 };
    test_folder_init(&folder);
    test_random_model(&folder, 8); /* two heads share one of keys */
    assert_int_equal(rt_device_create(&own, &named, &ref), RT_OK);
    assert_int_equal(rt_model_load(ref, folder.path, POSITIONS, &model), RT_OK);
    assert_int_equal(fmt_adapter_new(&own, rt_model_config(model), 4, 8, &source), RT_OK);
    assert_int_equal(rt_adapter_create(model, source, true, &adapter), RT_OK);

    ref->plan.loop_rounds_max = 128 + 7; /* 56 keys */
    rt_status st = rt_engine_create(model, NULL, &engine_options, &engine);
    test_refused(&own, st, RT_ERR_NO_DEVICE, "64 tokens", "at most 56", NULL);
    ref->plan.loop_rounds_max = 128 + 8;
    assert_int_equal(rt_engine_create(model, NULL, &engine_options, &engine), RT_OK);
    rt_engine_destroy(&engine);

    for (int dpo = 0; dpo < 2; dpo++) {
        train_options_default(&options);
        options.loss = dpo ? TRAIN_DPO : TRAIN_SFT;
        st = rt_trainer_create(model, adapter, NULL, &options, 2 * TOKENS, 0, &trainer);
        assert_int_equal(st, RT_OK);
        ref->plan.loop_rounds_max = 128 + 2 * TOKENS; /* a token short */
        st = rt_trainer_gradient(trainer, pair, 2, &metrics);
        test_refused(&own, st, RT_ERR_NO_DEVICE, "sequence 0", "100 tokens",
                     "gradient of attention on 'ref'", NULL);
        ref->plan.loop_rounds_max = 128 + 2 * (TOKENS + 1);
        st = rt_trainer_gradient(trainer, pair, 2, &metrics);
        if (dpo) {
            test_refused(&own, st, RT_ERR_NO_DEVICE, "100 and 100 tokens",
                         "the loss of pairs on 'ref'", NULL);
            ref->plan.loop_rounds_max = 1 + 4 * TOKENS;
            st = rt_trainer_gradient(trainer, pair, 2, &metrics);
        }
        assert_int_equal(st, RT_OK);
        rt_trainer_destroy(&trainer);
    }
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
    rt_device_destroy(&ref);
    test_folder_deinit(&folder);
}

static int open_device(void **state)
{
    (void)state;
    struct test_device all[16];
    const uint32_t count = test_devices(all, 16);
    test_ctx(&ctx);
    for (uint32_t i = 0; i < count && !dev; i++) {
        if (strcmp(all[i].device, "ref") == 0 || all[i].family != RT_FAMILY_LANES)
            continue;
        dev = test_device_open(&ctx, &all[i]);
        if (rt_device_plan(dev)->loop_rounds_max == 0)
            rt_device_destroy(&dev);
    }
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    rt_device_destroy(&dev);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outer_is_right_or_refused),
        cmocka_unit_test(the_norm_of_a_gradient_is_right_or_refused),
        cmocka_unit_test(attention_sees_the_last_key),
        cmocka_unit_test(gradients_see_the_last_query),
        cmocka_unit_test(products_are_bounded),
        cmocka_unit_test(engine_and_trainer_refuse_long_sequences),
    };
    return cmocka_run_group_tests_name("loops", tests, open_device, close_device);
}

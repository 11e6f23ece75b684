/* What a model and an engine take is known before they are made, to the byte; what does
 * not fit is refused with the numbers before anything is allocated on the device. */
#include "runtime/device/device_impl.h"
#include "runtime/engine/engine.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/giant.h"
#include "tests/support/pack_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE_BYTES = 4096, CONTEXT = 96 };

static struct rt_device *open_ref(struct rt_ctx *ctx, enum rt_kv kv)
{
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref", .kv = kv };
    if (rt_device_create(ctx, &options, &dev) != RT_OK)
        fail_msg("%s", ctx->message);
    return dev;
}

static uint64_t live_bytes(const struct rt_device *dev)
{
    struct rt_device_stats stats;
    rt_device_stats_get(dev, &stats);
    return stats.buffer_bytes;
}

static void size_of(struct rt_ctx *ctx, const char *folder, struct model_size *size)
{
    struct fmt_model *file = NULL;
    if (fmt_model_open(ctx, folder, &file) != RT_OK ||
        rt_model_size(ctx, file, size) != RT_OK)
        fail_msg("%s", ctx->message);
    fmt_model_close(&file);
}

/* `decode_rows` as of a plan that decodes weights before their products; 0: none does. */
static void check_on(const char *folder, uint32_t decode_rows, enum rt_kv kv)
{
    struct rt_ctx ctx = { 0 };
    struct model_size size;
    struct rt_model *model = NULL;
    struct rt_engine *engine = NULL;
    struct rt_engine_stats stats;
    const struct rt_engine_options options[] = {
        { .context = CONTEXT, .pages_at_once = true },
        { .slots = 3, .rows_max = 64, .context = CONTEXT - 1, .pages_at_once = true },
        { .context = CONTEXT },
    };
    size_of(&ctx, folder, &size);
    struct rt_device *dev = open_ref(&ctx, kv);
    dev->plan.decode_rows = decode_rows;
    if (rt_model_load(dev, folder, CONTEXT, &model) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(live_bytes(dev), model_size_bytes(&size, CONTEXT) + NONE_BYTES);
    assert_int_equal(rt_model_weight_bytes(model),
                     size.projections + size.tables + size.rest);
    assert_true(size.linear_weights == rt_model_linear_weights(model));
    assert_true(size.stored_bits / size.linear_weights ==
                rt_model_bits_per_weight(model));
    for (size_t i = 0; i < RT_COUNT(options); i++) {
        const uint64_t before = live_bytes(dev);
        const struct rt_engine_pages fit =
            rt_engine_pages(&size, &dev->plan, &options[i], rt_device_memory_left(dev));
        assert_int_equal(rt_engine_create(model, NULL, &options[i], &engine), RT_OK);
        rt_engine_stats_get(engine, &stats);
        assert_int_equal(stats.pages, fit.pages);
        assert_int_equal(live_bytes(dev) - before,
                         fit.bytes - (stats.pages - stats.pages_held) *
                                         (stats.cache_bytes / stats.pages_held));
        assert_int_equal(stats.pages_held,
                         options[i].pages_at_once ? fit.pages : (CONTEXT + 15) / 16);
        rt_engine_destroy(&engine);
    }
    rt_model_destroy(&model);
    assert_int_equal(live_bytes(dev), 0);
    rt_device_destroy(&dev);
}

static void check_folder(const char *folder)
{
    check_on(folder, 0, RT_KV_F32);
    check_on(folder, 0, RT_KV_F16);
    check_on(folder, 32, RT_KV_F32);
}

static void sizes_are_known_to_the_byte(void **state)
{
    (void)state;
    static const char *const models[] = { "qwen2-tiny", "qwen2-tiny-untied-bf16",
                                          "qwen3-tiny", "llama-tiny",
                                          "qwen2-tiny-rtn4-ct" };
    char path[1024], relative[128];
    for (size_t i = 0; i < RT_COUNT(models); i++) {
        snprintf(relative, sizeof relative, "tests/golden/models/%s", models[i]);
        check_folder(test_path(path, sizeof path, relative));
    }
    check_folder(test_path(path, sizeof path,
                           "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf"));
    struct test_folder packed, plain;
    test_folder_init(&packed);
    test_folder_init(&plain);
    test_pack_model("llama-tiny", TEST_GPTQ_MIXED, 4, &packed, &plain);
    check_folder(packed.path);
    test_folder_deinit(&packed);
    test_folder_deinit(&plain);
}

/* An engine for 4 requests of 100 tokens, 7 pages each, of a model of two layers, whose page
 * takes 8 KiB a layer in floats. */
static struct rt_engine_pages pages_of(uint64_t binding, uint64_t spare_pages,
                                       int64_t extra, bool own_memory, enum rt_kv kv)
{
    static const struct rt_engine_options options = { .slots = 4, .context = 100 };
    const uint64_t page = kv == RT_KV_F16 ? 4096 : 8192;
    const struct rt_plan plan = { .kv = kv,
                                  .binding_bytes_max = binding,
                                  .own_memory = own_memory };
    struct model_size size = { .config = { .hidden = 64,
                                           .ffn = 96,
                                           .layers = 2,
                                           .heads = 2,
                                           .kv_heads = 1,
                                           .head_dim = 64,
                                           .vocab = 100 } };
    model_group_shapes(&size.config, size.shape);
    const uint64_t fixed = rt_engine_pages(&size, &plan, &options, 0).need - 2 * 7 * page;
    return rt_engine_pages(&size, &plan, &options,
                           fixed + 2 * page * spare_pages + (uint64_t)extra);
}

static void pages_are_what_memory_and_one_binding_hold(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint64_t binding, spare_pages;
        int64_t extra;
        bool own_memory;
        enum rt_kv kv;
        uint32_t pages, requests;
    } cases[] = {
        { "room for all", UINT64_MAX, 1000, 0, false, RT_KV_F32, 28, 4 },
        { "a binding of 3 requests", 21 * 8192, 1000, 0, false, RT_KV_F32, 21, 3 },
        { "the same in halves", 21 * 8192, 1000, 0, false, RT_KV_F16, 28, 4 },
        { "a binding of not quite 3", 21 * 8192 - 1, 1000, 0, true, RT_KV_F32, 20, 2 },
        { "a binding of one", 7 * 8192, 1000, 0, false, RT_KV_F32, 7, 1 },
        { "a binding of less than one", 7 * 8192 - 1, 1000, 0, false, RT_KV_F32, 0, 0 },
        { "half of shared memory", UINT64_MAX, 40, 0, false, RT_KV_F32, 20, 2 },
        { "a discrete GPU's", UINT64_MAX, 30, 0, true, RT_KV_F32, 27, 3 },
        { "one request at least", UINT64_MAX, 7, 0, false, RT_KV_F32, 7, 1 },
        { "a byte less than one", UINT64_MAX, 7, -1, false, RT_KV_F32, 0, 0 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const struct rt_engine_pages fit =
            pages_of(cases[i].binding, cases[i].spare_pages, cases[i].extra,
                     cases[i].own_memory, cases[i].kv);
        if (fit.pages != cases[i].pages || fit.requests != cases[i].requests)
            fail_msg("%s: %u pages, %u requests", cases[i].what, fit.pages, fit.requests);
        if (fit.pages == 0)
            assert_true(fit.room < fit.need);
    }
}

static void a_model_that_does_not_fit_is_refused_with_numbers(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct rt_model *model = NULL;
    test_folder_init(&folder);
    test_giant(&folder);
    struct rt_device *dev = open_ref(&ctx, RT_KV_F32);
    const rt_status st = rt_model_load(dev, folder.path, 64, &model);
    test_refused(&ctx, st, RT_ERR_NO_DEVICE, folder.path, "GiB on 'ref'", "GiB free",
                 "quantize", "another device", NULL);
    assert_null(model);
    struct rt_device_stats stats;
    rt_device_stats_get(dev, &stats);
    assert_int_equal(stats.buffer_bytes_max, 0);
    rt_device_destroy(&dev);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_known_to_the_byte),
        cmocka_unit_test(pages_are_what_memory_and_one_binding_hold),
        cmocka_unit_test(a_model_that_does_not_fit_is_refused_with_numbers),
    };
    return cmocka_run_group_tests_name("model layout", tests, NULL, NULL);
}

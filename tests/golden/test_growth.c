/* The cache grows as it is used: it holds little more than the requests of a step have in it,
 * and no bit of an answer shows that it grew, also where prefixes are shared, where pages run
 * out, where a larger cache is read by another kernel, and where there is no memory to grow. */
#include "runtime/device/device_impl.h"
#include "runtime/engine/engine.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/generated.h"
#include "tests/support/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { MANY = 48, TOKENS = 512, NEW = 112, CONTEXT = 1024, HEAD = 16, LAYERS = 2 };
enum { FEW = 10, FEW_PROMPT = 70, FEW_NEW = 30, FEW_CONTEXT = 112, FEW_EACH = 7 };

static struct test_folder folder; /* of the model */

/* Requests, what they are answered, and what that took. */
struct asked {
    struct test_asking asking; /* first: the user of the calls */
    uint32_t ids[MANY][TOKENS];
    struct test_generated answers[MANY];
    struct rt_engine_stats stats;
};

/* `count` prompts of `length` tokens, of which the first `shared` are the same in all. */
static void make_prompts(struct asked *a, uint32_t count, uint32_t length,
                         uint32_t shared, uint32_t fresh)
{
    memset(a, 0, sizeof *a);
    a->asking =
        (struct test_asking){ .count = count, .max_new = fresh, .answers = a->answers };
    for (uint32_t k = 0; k < count; k++) {
        a->asking.prompt[k] = a->ids[k];
        a->asking.n_prompt[k] = length;
        for (uint32_t t = 0; t < length; t++)
            a->ids[k][t] = 1 + (31 * t * t + 7 * t + (t < shared ? 0 : 13 * k + k * t)) %
                                   (TEST_RANDOM_VOCAB - 1);
    }
}

static rt_status run(struct rt_engine *engine, struct asked *a)
{
    const struct rt_engine_calls calls = { .next = test_asking_next,
                                           .done = test_asking_done,
                                           .user = &a->asking };
    a->asking.next = 0;
    memset(a->answers, 0, sizeof a->answers);
    const rt_status st = rt_engine_run(engine, &calls);
    rt_engine_stats_get(engine, &a->stats);
    return st;
}

static void ask(struct rt_model *model, const struct rt_engine_options *options,
                struct asked *a)
{
    struct rt_engine *engine = NULL;
    if (rt_engine_create(model, NULL, options, &engine) != RT_OK ||
        run(engine, a) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    rt_engine_destroy(&engine);
}

static struct rt_device *open_model(struct rt_ctx *ctx, const struct test_device *device,
                                    struct rt_model **model)
{
    struct rt_device *dev = test_device_open(ctx, device);
    if (rt_model_load(dev, folder.path, CONTEXT, model) != RT_OK)
        fail_msg("%s: %s", device->name, ctx->message);
    return dev;
}

static void expect_same(const struct asked *a, const struct asked *wanted,
                        const char *device, const char *what)
{
    for (uint32_t k = 0; k < a->asking.count; k++) {
        if (a->answers[k].n != a->asking.max_new)
            fail_msg("%s, %s: request %u has %u tokens", device, what, k,
                     a->answers[k].n);
        if (memcmp(&a->answers[k], &wanted->answers[k], sizeof a->answers[k]) != 0)
            fail_msg("%s, %s: request %u is answered in other bits than by a cache that "
                     "had all its pages from the start",
                     device, what, k);
    }
}

/* ---- 48 requests of 512 tokens ---- */

/* The first Vulkan device that serves so many tokens in seconds. */
static bool quick_device(struct test_device *out)
{
    struct test_device devices[16];
    const uint32_t count = test_devices(devices, 16);
    for (uint32_t d = 0; d < count; d++)
        if (strstr(devices[d].name, "llvmpipe/lanes")) {
            *out = devices[d];
            return true;
        }
    return false;
}

static void little_more_is_held_than_is_used(void **state)
{
    (void)state;
    static struct asked a, whole;
    struct rt_ctx ctx;
    struct test_device device;
    struct rt_model *model = NULL;
    struct rt_device_stats memory;
    struct rt_engine *engine = NULL;
    test_ctx(&ctx);
    if (!quick_device(&device))
        skip();
    struct rt_device *dev = open_model(&ctx, &device, &model);
    const struct rt_engine_options options = { .context = CONTEXT };
    const struct rt_engine_options at_once = { .context = CONTEXT,
                                               .pages_at_once = true };
    make_prompts(&a, MANY, TOKENS - NEW, 0, NEW);
    make_prompts(&whole, MANY, TOKENS - NEW, 0, NEW);
    ask(model, &at_once, &whole);
    assert_int_equal(rt_engine_create(model, NULL, &options, &engine), RT_OK);
    rt_device_stats_reset(dev);
    assert_int_equal(run(engine, &a), RT_OK);
    rt_device_stats_get(dev, &memory);
    rt_engine_destroy(&engine);
    expect_same(&a, &whole, device.name, "48 requests");
    const struct rt_engine_stats *s = &a.stats;
    printf("    %s: %.2f MiB in use at the peak, %.2f held (%.3f times), grown %u times; "
           "%.2f by an engine that takes all at once; %.2f and %.2f s\n",
           device.name, (double)s->cache_bytes_used_max / 1048576,
           (double)s->cache_bytes / 1048576,
           (double)s->cache_bytes / (double)s->cache_bytes_used_max, s->grown,
           (double)whole.stats.cache_bytes / 1048576, s->wall_seconds,
           whole.stats.wall_seconds);
    assert_true(s->pages_used_max >= MANY * (TOKENS - NEW) / 16);
    assert_true(s->pages_used_max <= MANY * TOKENS / 16);
    assert_true((double)s->cache_bytes <= 1.3 * (double)s->cache_bytes_used_max);
    assert_int_equal(s->not_grown, 0);
    assert_int_equal(whole.stats.grown, 0);
    /* Never more than one layer beside it, while it grew. */
    assert_true(memory.buffer_bytes_max - memory.buffer_bytes <= s->cache_bytes / LAYERS);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
}

/* ---- few requests, on every device ---- */

/* Of slow devices one way: the host's code is the same everywhere. */
static void check_ways(struct rt_model *model, const struct test_device *device)
{
    static const struct {
        const char *what;
        struct rt_engine_options options;
        uint32_t shared;
        bool put_back;
    } ways[] = {
        { "a shared prefix, memory of three",
          { .slots = FEW, .pages = 3 * FEW_EACH },
          55,
          true },
        { "all different", { .slots = FEW }, 0, false },
        { "a shared prefix", { .slots = FEW, .rows_max = 64 }, 55, false },
        { "drawn, memory of two and a half",
          { .slots = 64, .pages = FEW_EACH * 5 / 2, .sampling = { 0.8f, 0.9f, 3 } },
          20,
          true },
    };
    static struct asked a, whole;
    const bool is_slow =
        test_device_is_slow(device) || test_device_compiles_slowly(device);
    for (size_t w = 0; w < (is_slow ? 1 : RT_COUNT(ways)); w++) {
        struct rt_engine_options options = ways[w].options;
        options.context = FEW_CONTEXT;
        make_prompts(&a, FEW, FEW_PROMPT, ways[w].shared, FEW_NEW);
        make_prompts(&whole, FEW, FEW_PROMPT, ways[w].shared, FEW_NEW);
        ask(model, &options, &a);
        options.pages = 0;
        options.pages_at_once = options.no_sharing = true;
        ask(model, &options, &whole);
        expect_same(&a, &whole, device->name, ways[w].what);
        const struct rt_engine_stats *s = &a.stats;
        printf("    %-26s %-32s %2u of %2u pages, grown %u times, %llu put back, %llu "
               "rows shared\n",
               device->name, ways[w].what, s->pages_held, s->pages, s->grown,
               (unsigned long long)s->put_back, (unsigned long long)s->rows_shared);
        assert_true(s->grown > 0 && s->pages_held <= s->pages);
        assert_true(ways[w].put_back == (s->put_back > 0));
        assert_true((ways[w].shared > 16) == (s->rows_shared > 0));
    }
}

static void no_bit_shows_that_it_grew(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t count = test_devices(devices, 16);
    for (uint32_t d = 0; d < 2 * count; d++) {
        struct rt_ctx ctx;
        struct rt_model *model = NULL;
        struct test_device device = devices[d / 2];
        if (d % 2 && strcmp(device.device, "ref") != 0 &&
            !strstr(device.name, "llvmpipe"))
            continue;
        device.kv = d % 2 ? RT_KV_F16 : RT_KV_F32;
        test_ctx(&ctx);
        struct rt_device *dev = open_model(&ctx, &device, &model);
        check_ways(model, &device);
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
}

/* Texel views reach so far only: a cache that outgrows them is read by storage. */
static void it_may_outgrow_the_kernel_that_reads_it(void **state)
{
    (void)state;
    enum { TEXELS = 48 << 10 };
    struct test_device devices[16];
    const uint32_t count = test_devices(devices, 16);
    for (uint32_t d = 0; d < count; d++) {
        struct rt_ctx ctx;
        struct rt_model *model = NULL;
        if (devices[d].family == RT_FAMILY_TILED ||
            test_device_compiles_slowly(&devices[d]))
            continue;
        test_ctx(&ctx);
        struct rt_device *dev = open_model(&ctx, &devices[d], &model);
        if (dev->plan.path != RT_PATH_STORAGE && strcmp(devices[d].device, "ref") != 0) {
            dev->plan.texel_bytes_max = TEXELS;
            check_ways(model, &devices[d]);
        }
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
}

/* ---- faults while it grows ---- */

/* An engine whose n-th call of a kind from the start of its run on fails; then it runs again,
 * without a fault. Returns what the run ended in. */
static rt_status run_with_fault(struct rt_model *model, const struct asked *wanted,
                                enum test_fault kind, uint64_t n, struct asked *a)
{
    const struct rt_engine_options options = { .slots = FEW, .context = FEW_CONTEXT };
    struct rt_engine *engine = NULL;
    char what[96];
    snprintf(what, sizeof what, "%s %llu fails", test_fault_names[kind],
             (unsigned long long)n);
    make_prompts(a, FEW, FEW_PROMPT, 20, FEW_NEW);
    assert_int_equal(rt_engine_create(model, NULL, &options, &engine), RT_OK);
    test_faults_arm(kind, n);
    const rt_status st = run(engine, a);
    const struct rt_engine_stats stats = a->stats;
    if (st == RT_OK)
        expect_same(a, wanted, "faults", what);
    test_faults_arm(kind, 0);
    assert_int_equal(run(engine, a), RT_OK);
    expect_same(a, wanted, "faults, once more", what);
    assert_true(a->stats.grown > 0);
    rt_engine_destroy(&engine);
    a->stats = stats;
    return st;
}

/* All allocations of a run are of a growing cache. */
static void check_no_memory(struct rt_model *model, const struct asked *wanted,
                            const char *name)
{
    static struct asked a;
    uint64_t n = 1, put_back = 0;
    for (;; n++) {
        assert_int_equal(run_with_fault(model, wanted, TEST_FAULT_ALLOCATE, n, &a),
                         RT_OK);
        if (a.stats.not_grown == 0)
            break;
        assert_int_equal(a.stats.not_grown, 1);
        assert_int_equal(a.stats.grown, (n - 1) / LAYERS);
        put_back += a.stats.put_back;
    }
    printf("    %-26s goes on without each of %llu allocations, %llu put back\n", name,
           (unsigned long long)n - 1, (unsigned long long)put_back);
    assert_int_equal(n - 1, LAYERS * a.stats.grown);
    assert_true(n > 4 * LAYERS && put_back > 0);
}

/* What fails otherwise ends the run, and the engine serves the next one. */
static void check_failures(struct rt_model *model, const struct asked *wanted)
{
    static const struct {
        enum test_fault kind;
        rt_status due;
        uint64_t stride;
    } kinds[] = { { TEST_FAULT_SUBMIT, RT_ERR_DEVICE_MEMORY, 3 },
                  { TEST_FAULT_WAIT, RT_ERR_HOST_MEMORY, 3 },
                  { TEST_FAULT_OBJECT, RT_ERR_HOST_MEMORY, 1 } };
    static struct asked a;
    for (size_t i = 0; i < RT_COUNT(kinds); i++)
        for (uint64_t n = 1; n <= 14; n += kinds[i].stride) { /* the first growths */
            const rt_status st = run_with_fault(model, wanted, kinds[i].kind, n, &a);
            if (a.stats.not_grown == 0)
                assert_int_equal(st, kinds[i].due);
            else
                assert_int_equal(st, RT_OK);
        }
}

static void without_memory_requests_wait(void **state)
{
    (void)state;
    static struct asked wanted;
    struct test_device devices[16];
    const uint32_t count = test_devices(devices, 16);
    const struct rt_engine_options whole = { .slots = FEW,
                                             .context = FEW_CONTEXT,
                                             .pages_at_once = true };
    for (uint32_t d = 0; d < count; d++) {
        struct rt_ctx ctx = { 0 }; /* warnings are due */
        struct rt_model *model = NULL;
        const bool is_ref = strcmp(devices[d].device, "ref") == 0;
        if (!is_ref && !strstr(devices[d].name, "llvmpipe/lanes"))
            continue; /* one Vulkan device has all the backend's calls */
        struct rt_device *dev = test_device_open(&ctx, &devices[d]);
        ctx.log = NULL;
        test_faults_install(dev);
        if (!is_ref)
            test_faults_discrete(dev);
        assert_int_equal(rt_model_load(dev, folder.path, CONTEXT, &model), RT_OK);
        make_prompts(&wanted, FEW, FEW_PROMPT, 20, FEW_NEW);
        ask(model, &whole, &wanted);
        check_no_memory(model, &wanted, devices[d].name);
        check_failures(model, &wanted);
        rt_model_destroy(&model);
        assert_int_equal(test_faults_live(), 0);
        if (test_faults_misuse())
            fail_msg("%s", test_faults_misuse());
        rt_device_destroy(&dev);
        assert_int_equal(test_faults_live_all(), 0);
        test_faults_remove();
    }
}

static int make_model(void **state)
{
    (void)state;
    test_folder_init(&folder);
    test_random_model(&folder, HEAD);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_more_is_held_than_is_used),
        cmocka_unit_test(no_bit_shows_that_it_grew),
        cmocka_unit_test(it_may_outgrow_the_kernel_that_reads_it),
        cmocka_unit_test(without_memory_requests_wait),
    };
    return cmocka_run_group_tests_name("growth of the cache", tests, make_model,
                                       remove_model);
}

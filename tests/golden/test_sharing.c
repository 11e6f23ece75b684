/* Memory of the cache never shows in an answer: requests that share prefixes, that wait for
 * pages, that lose them and are computed again, whose prompts are prefilled in chunks beside
 * the decoding of others, give the same bits as each alone, at any batch size and in any
 * order, in the first run and in one that finds its prompts in the cache. */
#include "runtime/device/device_impl.h"
#include "runtime/engine/engine.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/generated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 12, CONTEXT = 160, PAGES_EACH = CONTEXT / 16, NEW_MAX = 36 };

static const char *const shots =
    "Leo has 20 eggs. He buys 5 more. How many eggs does Leo have?<|sep|>"
    "Mia has 7 books and 4 pens. How many things does she have?<|sep|>"
    "A box holds 6 eggs. How many eggs do 9 boxes hold?<|sep|>";

/* Of the questions some are equal, some begin alike, some have no shots before them. */
static const char *const questions[] = {
    "Hugo had 31 cards and gave away 12. How many are left?<|sep|>",
    "Hugo had 31 cards and gave away 12. How many cards did he give to each of 3?<|sep|>",
    "Ann has 3 coins.<|sep|>",
    "Tom runs 4 miles a day. How far does he run in 8 days?<|sep|>",
    "Hugo had 31 cards and gave away 12. How many are left?<|sep|>",
};

struct asking {
    uint32_t *prompt[REQUESTS], n_prompt[REQUESTS];
    uint32_t next;
    bool backwards;
    bool floats; /* prompts are not rounded, wherever they could be */
    struct test_generated answers[REQUESTS];
};

/* How a run differs from each request alone. */
struct way {
    const char *what;
    uint32_t slots, rows_max, pages;
    bool no_sharing, backwards;
    uint32_t runs; /* of one engine */
};

static bool next(void *user, struct rt_request *out)
{
    struct asking *a = user;
    if (a->next == REQUESTS)
        return false;
    const uint32_t k = a->backwards ? REQUESTS - 1 - a->next : a->next;
    *out = (struct rt_request){ .key = k,
                                .draw = 100 + k,
                                .prompt = a->prompt[k],
                                .n_prompt = a->n_prompt[k],
                                .max_new = NEW_MAX - k % 5 };
    a->next++;
    return true;
}

static rt_status done(void *user, const struct rt_answer *answer)
{
    struct asking *a = user;
    test_generated_take(answer, &a->answers[answer->key]);
    return RT_OK;
}

static struct rt_engine_stats ask(struct rt_model *model, struct asking *a,
                                  const struct way *way,
                                  const struct rt_sampling *sampling)
{
    struct rt_engine *engine = NULL;
    struct rt_engine_stats stats;
    const struct rt_engine_options options = {
        .slots = way->slots,
        .rows_max = way->rows_max,
        .context = CONTEXT,
        .pages = way->pages,
        .no_sharing = way->no_sharing,
        .round_prompts = !a->floats, /* where matrix units are; else no effect */
        .sampling = *sampling,
    };
    const struct rt_engine_calls calls = { .next = next, .done = done, .user = a };
    if (rt_engine_create(model, NULL, &options, &engine) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    for (uint32_t r = 0; r < way->runs; r++) {
        memset(a->answers, 0, sizeof a->answers);
        a->next = 0;
        a->backwards = way->backwards != (r > 0);
        if (rt_engine_run(engine, &calls) != RT_OK)
            fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    }
    rt_engine_stats_get(engine, &stats);
    rt_engine_destroy(&engine);
    return stats;
}

static uint32_t all_rows(const struct asking *a, uint32_t runs)
{
    uint32_t rows = 0;
    for (uint32_t k = 0; k < REQUESTS; k++)
        rows += a->n_prompt[k] + a->answers[k].n - 1;
    return rows * runs;
}

static void expect_same(const struct asking *a, const struct test_generated *alone,
                        const char *what)
{
    for (uint32_t k = 0; k < REQUESTS; k++)
        if (memcmp(&a->answers[k], &alone[k], sizeof *alone) != 0)
            fail_msg("%s: request %u is answered in other bits than alone", what, k);
}

/* Not all of it where kernels are slow: the host's code is the same everywhere. */
static void check_device(struct rt_model *model, struct asking *a, const char *name,
                         bool all)
{
    static const struct way alone = { "alone", 1, 64, 0, true, false, 1 };
    static const struct way ways[] = {
        { "shared, batch 1", 1, 0, 0, false, true, 1 },
        { "shared, batch 7, chunks of 64 rows", 7, 64, 0, false, false, 2 },
        { "shared, batch 64, backwards", 64, 0, 0, false, true, 2 },
        { "not shared, memory of 3 requests", 64, 64, 3 * PAGES_EACH, true, false, 1 },
        { "shared, memory of one request and a half", 64, 64, PAGES_EACH * 3 / 2, false,
          false, 2 },
        { "shared, memory of one request", 7, 0, PAGES_EACH, false, true, 1 },
    };
    static const struct rt_sampling sampling[] = { { 0 }, { 0.7f, 0.95f, 3 } };
    static struct test_generated expected[REQUESTS];
    uint64_t put_back = 0;
    for (size_t s = all ? 0 : 1; s < RT_COUNT(sampling); s++) {
        const struct rt_engine_stats base = ask(model, a, &alone, &sampling[s]);
        assert_int_equal(base.rows, all_rows(a, 1));
        assert_int_equal(base.rows_shared, 0);
        memcpy(expected, a->answers, sizeof expected);
        for (size_t w = s ? RT_COUNT(ways) - 1 : 0; w < RT_COUNT(ways); w++) {
            const struct rt_engine_stats now = ask(model, a, &ways[w], &sampling[s]);
            expect_same(a, expected, ways[w].what);
            printf("    %-28s %-42s %4llu rows computed, %4llu shared, %llu put back\n",
                   name, ways[w].what, (unsigned long long)now.rows,
                   (unsigned long long)now.rows_shared, (unsigned long long)now.put_back);
            put_back += now.put_back;
            if (now.put_back == 0)
                assert_int_equal(now.rows + now.rows_shared, all_rows(a, ways[w].runs));
            else
                assert_true(now.rows + now.rows_shared > all_rows(a, ways[w].runs));
            assert_true(ways[w].no_sharing ? now.rows_shared == 0
                                           : now.rows_shared > now.rows / 4);
        }
    }
    assert_true(put_back > 0 || !all);
}

/* --products auto as on a GPU: products of prompts on matrix units, of generated tokens in
 * floats. The device is opened for f16, so that a software one has its features on. */
static bool open_with_roles(struct rt_ctx *ctx, const struct test_device *device,
                            struct rt_device **out)
{
    const struct rt_device_options options = {
        .name = device->device,
        .family = device->family,
        .products = RT_PRODUCTS_F16,
        .kv = RT_KV_F32,
        .validation = getenv("FAULTLINE_TEST_NO_VALIDATION") == NULL,
    };
    if (rt_device_create(ctx, &options, out) != RT_OK)
        return false;
    (*out)->plan.products = RT_PRODUCTS_F32;
    return true;
}

static void check_roles(struct rt_ctx *ctx, const struct test_device *device,
                        const char *model_folder, struct asking *a)
{
    static const struct way ways[] = {
        { "floats", 7, 64, 0, true, false, 1 },
        { "alone, prompts rounded", 1, 64, 0, true, false, 1 },
    };
    static struct test_generated floats[REQUESTS];
    const struct rt_sampling greedy = { 0 };
    struct rt_device *dev = NULL;
    struct rt_model *model = NULL;
    char name[128];
    snprintf(name, sizeof name, "%s, rounded prompts", device->name);
    if (!open_with_roles(ctx, device, &dev)) {
        printf("    %s not tried: %s\n", name, ctx->message);
        return;
    }
    if (rt_model_load(dev, model_folder, CONTEXT, &model) != RT_OK)
        fail_msg("%s", ctx->message);
    a->floats = true;
    ask(model, a, &ways[0], &greedy);
    a->floats = false;
    memcpy(floats, a->answers, sizeof floats);
    ask(model, a, &ways[1], &greedy);
    uint32_t same = 0;
    for (uint32_t k = 0; k < REQUESTS; k++)
        same += memcmp(&a->answers[k], &floats[k], sizeof floats[k]) == 0;
    assert_true(same < REQUESTS); /* prompts were rounded */
    check_device(model, a, name, true);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
}

static void memory_never_shows_in_an_answer(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_device devices[16];
    struct text_tokenizer *tok = NULL;
    static struct asking a;
    char path[1024], text[1024];
    const uint32_t count = test_devices(devices, 16);
    test_ctx(&ctx);
    test_path(path, sizeof path, "pipeline/demo");
    assert_int_equal(text_tokenizer_load(&ctx, path, &tok), RT_OK);
    for (uint32_t k = 0; k < REQUESTS; k++) {
        snprintf(text, sizeof text, "%s%s", k % 6 == 5 ? "" : shots,
                 questions[k % RT_COUNT(questions)]);
        assert_int_equal(
            text_encode(tok, text, strlen(text), true, &a.prompt[k], &a.n_prompt[k]),
            RT_OK);
    }
    for (uint32_t d = 0; d < 2 * count; d++) {
        struct rt_device *dev;
        struct rt_model *model = NULL;
        struct test_device device = devices[d / 2];
        char name[96];
        if (strcmp(device.device, "ref") == 0)
            continue; /* minutes of work, and the same host code */
        if (test_device_is_slow(&device))
            continue; /* the same host code; llvmpipe runs these kernels */
        if (d % 2 && device.family == RT_FAMILY_TILED)
            continue; /* slow here: two requests in test_half_cache */
        device.kv = d % 2 ? RT_KV_F16 : RT_KV_F32;
        snprintf(name, sizeof name, "%s, %s", device.name, rt_kv_names[device.kv]);
        dev = test_device_open(&ctx, &device);
        if (rt_model_load(dev, path, CONTEXT, &model) != RT_OK)
            fail_msg("%s", ctx.message);
        check_device(model, &a, name,
                     device.kv == RT_KV_F32 &&
                         (strstr(name, "llvmpipe/lanes") != NULL || count == 1));
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
    for (uint32_t d = 0; d < count; d++)
        if (devices[d].family == RT_FAMILY_TILED && !test_device_is_slow(&devices[d]))
            check_roles(&ctx, &devices[d], path, &a);
    for (uint32_t k = 0; k < REQUESTS; k++)
        rt_free(a.prompt[k]);
    text_tokenizer_destroy(&tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        memory_never_shows_in_an_answer) };
    return cmocka_run_group_tests_name("memory of the cache", tests, NULL, NULL);
}

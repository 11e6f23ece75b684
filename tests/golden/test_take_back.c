/* Tokens of a request that are taken back: the runner-up stands in the place of the first,
 * with its own log-probability, and what follows is what the model writes after that text,
 * bit for bit, at any batch size, wherever the memory of the cache is short, shared or not.
 * Tokens taken back count towards the limit. */
#include "runtime/engine/engine.h"
#include "tests/support/devices.h"
#include "tests/support/generated.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { REQUESTS = 10, CONTEXT = 160, PAGES_EACH = CONTEXT / 16, NEW_MAX = 48, BACKS = 2 };

static const char *const questions[] = {
    "Hugo had 31 cards and gave away 12. How many are left?<|sep|>",
    "Ann has 3 coins.<|sep|>",
    "Tom runs 4 miles a day. How far does he run in 8 days?<|sep|>",
    "Hugo had 31 cards and gave away 12. How many cards did he give to each of 3?<|sep|>",
};

/* After `at` tokens all from `to` on are taken back. */
struct back {
    uint32_t at, to;
};

struct asking {
    struct test_asking base;
    struct test_generated answers[REQUESTS];
    uint32_t backs[REQUESTS]; /* made so far */
    bool forced;              /* instead: `expected` up to the last place, then free */
    const struct test_generated *expected;
};

/* The second one begins before the first; request 1 has a prompt of less than a page. */
static struct back back_of(uint64_t key, uint32_t i)
{
    const uint32_t k = (uint32_t)key;
    return i == 0 ? (struct back){ 20 + k % 7, 4 + k % 13 }
                  : (struct back){ 17 + k % 3, k % 4 };
}

static void turn(void *user, const struct rt_answer *so_far, struct rt_turn *out)
{
    struct asking *a = user;
    const uint64_t k = so_far->key;
    const uint32_t n = so_far->n_gen;
    if (a->forced) {
        out->forced = a->expected[k].ids;
        out->forced_count = n == 0 ? back_of(k, BACKS - 1).to + 1 : 0;
        return;
    }
    if (a->backs[k] == BACKS || n != back_of(k, a->backs[k]).at)
        return;
    out->back = true;
    out->back_to = back_of(k, a->backs[k]++).to;
}

static struct rt_engine_stats ask(struct rt_model *model, struct asking *a,
                                  const struct rt_engine_options *options)
{
    struct rt_engine *engine = NULL;
    struct rt_engine_stats stats;
    const struct rt_engine_calls calls = {
        .next = test_asking_next, .done = test_asking_done, .turn = turn, .user = a
    };
    memset(a->answers, 0, sizeof a->answers);
    memset(a->backs, 0, sizeof a->backs);
    a->base.next = 0;
    if (rt_engine_create(model, NULL, options, &engine) != RT_OK ||
        rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    rt_engine_stats_get(engine, &stats);
    rt_engine_destroy(&engine);
    return stats;
}

/* No stop token: every answer is as long as it may be. */
static void expect_backs(const struct asking *a)
{
    for (uint32_t k = 0; k < REQUESTS; k++) {
        uint32_t thrown = 0;
        for (uint32_t i = 0; i < BACKS; i++)
            thrown += back_of(k, i).at - back_of(k, i).to;
        assert_int_equal(a->backs[k], BACKS);
        assert_int_equal(a->answers[k].n, NEW_MAX - thrown);
        const struct test_generated *g = &a->answers[k];
        const uint32_t to = back_of(k, BACKS - 1).to;
        assert_true(g->margin[to] < 0 && g->logprob[to] < 0);
        for (uint32_t i = 0; i < g->n; i++)
            assert_true(g->margin[i] >= 0 || i == to);
    }
}

/* The rest is what the model writes after these tokens. */
static void expect_continued(const struct asking *a, const struct test_generated *backs)
{
    for (uint32_t k = 0; k < REQUESTS; k++) {
        const uint32_t from = back_of(k, BACKS - 1).to + 1, n = backs[k].n - from;
        const struct test_generated *x = &a->answers[k], *y = &backs[k];
        assert_true(x->n >= y->n);
        assert_memory_equal(x->ids + from, y->ids + from, n * sizeof *x->ids);
        assert_memory_equal(x->logprob + from, y->logprob + from, n * sizeof(float));
        assert_memory_equal(x->margin + from, y->margin + from, n * sizeof(float));
    }
}

static void check_model(struct rt_model *model, struct asking *a)
{
    static struct test_generated alone[REQUESTS];
    const struct rt_engine_options one = { .slots = 1, .context = CONTEXT };
    const struct {
        const char *what;
        struct rt_engine_options options;
    } ways[] = {
        { "batch 7, not shared", { .slots = 7, .no_sharing = true, .rows_max = 64 } },
        { "batch 64", { .slots = 64 } },
        { "memory of two requests", { .slots = 64, .pages = 2 * PAGES_EACH } },
        { "memory of one and a half", { .slots = 7, .pages = PAGES_EACH * 3 / 2 } },
        { "the same, not shared",
          { .slots = 64, .pages = PAGES_EACH * 3 / 2, .no_sharing = true } },
        { "memory of one request", { .slots = 5, .pages = PAGES_EACH } },
    };
    uint64_t put_back = 0;
    (void)ask(model, a, &one);
    expect_backs(a);
    memcpy(alone, a->answers, sizeof alone);
    for (size_t w = 0; w < RT_COUNT(ways); w++) {
        struct rt_engine_options options = ways[w].options;
        options.context = CONTEXT;
        put_back += ask(model, a, &options).put_back;
        if (memcmp(a->answers, alone, sizeof alone) != 0)
            fail_msg("%s: other bits than alone", ways[w].what);
    }
    assert_true(put_back > 0);
    a->forced = true;
    a->expected = alone;
    (void)ask(model, a, &one);
    expect_continued(a, alone);
    a->forced = false;
}

static void tokens_are_taken_back_alike_everywhere(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_device devices[16];
    static struct asking a;
    char path[1024];
    const uint32_t count = test_devices(devices, 16);
    test_ctx(&ctx);
    test_path(path, sizeof path, "pipeline/demo");
    a.base = (struct test_asking){ .count = REQUESTS,
                                   .max_new = NEW_MAX,
                                   .answers = a.answers };
    test_asking_encode(&a.base, &ctx, path, questions, RT_COUNT(questions));
    for (uint32_t d = 0; d < count; d++) {
        struct rt_model *model = NULL;
        if (count > 1 && strstr(devices[d].name, "llvmpipe/lanes") == NULL)
            continue; /* the same host code */
        struct rt_device *dev = test_device_open(&ctx, &devices[d]);
        if (rt_model_load(dev, path, CONTEXT, &model) != RT_OK)
            fail_msg("%s", ctx.message);
        check_model(model, &a);
        printf("    %s\n", devices[d].name);
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
    test_asking_free(&a.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        tokens_are_taken_back_alike_everywhere) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

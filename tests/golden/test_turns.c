/* Constrained decoding: tokens that are forced on a request are as if the model had chosen
 * them. What it would have chosen anyway, forced in pieces of any length, changes nothing
 * of the rest, bit for bit, greedy or drawn; a request can be ended; what is forced on all
 * of an answer is the answer. */
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

enum { REQUESTS = 6, NEW_MAX = 60, PIECE_MAX = 7 };

static const char *const questions[REQUESTS] = {
    "Leo has 20 eggs. He buys 5 more. How many eggs does Leo have?<|sep|>",
    "Mia has 7 books and 4 pens. How many things does she have?<|sep|>",
    "A box holds 6 eggs. How many eggs do 9 boxes hold?<|sep|>",
    "Hugo had 31 cards and gave away 12. How many are left?<|sep|>",
    "Ann has 3 coins.<|sep|>",
    "Tom runs 4 miles a day. How far does he run in 8 days?<|sep|>",
};

struct asking {
    struct test_asking base;
    const struct test_generated *script; /* forced in pieces where not null */
    struct test_generated answers[REQUESTS];
    uint32_t end_at; /* 0: never */
    bool all;        /* force NEW_MAX tokens at once */
    bool forced[REQUESTS][NEW_MAX + PIECE_MAX];
};

static void turn(void *user, const struct rt_answer *so_far, struct rt_turn *out)
{
    struct asking *a = user;
    const uint64_t key = so_far->key;
    const uint32_t *ids = so_far->ids, n = so_far->n_gen;
    static uint32_t same[NEW_MAX];
    if (a->end_at) {
        out->end = n == a->end_at;
        return;
    }
    if (a->all) {
        for (uint32_t i = 0; i < NEW_MAX; i++)
            same[i] = 20 + i;
        *out = (struct rt_turn){ .forced = same, .forced_count = n == 0 ? NEW_MAX : 0 };
        return;
    }
    const struct test_generated *script = &a->script[key];
    if (n)
        assert_int_equal(ids[n - 1], script->ids[n - 1]);
    /* Never the last token: whether it ends the answer is the engine's to see. */
    uint32_t count = (n * 5 + (uint32_t)key) % PIECE_MAX;
    if (n + count + 1 > script->n)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        a->forced[key][n + i] = true;
    *out = (struct rt_turn){ .forced = script->ids + n, .forced_count = count };
}

static void ask(struct rt_model *model, struct asking *a, const struct rt_sampling *how,
                bool turns)
{
    struct rt_engine *engine = NULL;
    const struct rt_engine_options options = {
        .slots = 4, .context = 160, .stop_ids = { 574 }, .stop_count = 1, .sampling = *how
    };
    const struct rt_engine_calls calls = { .next = test_asking_next,
                                           .done = test_asking_done,
                                           .turn = turns ? turn : NULL,
                                           .user = a };
    a->base.next = 0;
    if (rt_engine_create(model, NULL, &options, &engine) != RT_OK ||
        rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    rt_engine_destroy(&engine);
}

static uint32_t expect_same(const struct asking *a,
                            const struct test_generated *free_answers)
{
    uint32_t forced = 0;
    for (uint32_t k = 0; k < REQUESTS; k++) {
        const struct test_generated *x = &free_answers[k], *y = &a->answers[k];
        assert_int_equal(y->n, x->n);
        for (uint32_t i = 0; i < x->n; i++) {
            assert_int_equal(y->ids[i], x->ids[i]);
            if (a->forced[k][i]) {
                assert_true(y->logprob[i] == 0 && isinf(y->margin[i]));
                forced++;
            } else if (memcmp(&y->logprob[i], &x->logprob[i], 4) != 0) {
                fail_msg("request %u, token %u: log p %g after forced tokens, %g alone",
                         k, i, (double)y->logprob[i], (double)x->logprob[i]);
            }
        }
    }
    return forced;
}

/* `briefly`: greedy answers alone; the host's code is the same everywhere. */
static void check_device(struct rt_model *model, struct asking *a, bool briefly,
                         const char *name)
{
    static const struct rt_sampling ways[] = { { 0 }, { 0.8f, 0.95f, 7 } };
    static struct test_generated free_answers[REQUESTS];
    for (size_t w = 0; w < (briefly ? 1 : RT_COUNT(ways)); w++) {
        memset(a->forced, 0, sizeof a->forced);
        ask(model, a, &ways[w], false);
        memcpy(free_answers, a->answers, sizeof free_answers);
        a->script = free_answers;
        ask(model, a, &ways[w], true);
        const uint32_t forced = expect_same(a, free_answers);
        assert_true(forced > 3 * REQUESTS);
        printf("    %-24s temperature %.1f: %u tokens forced, the rest unchanged\n", name,
               (double)ways[w].temperature, forced);
    }
    if (briefly)
        return;
    a->end_at = 3;
    ask(model, a, &ways[0], true);
    for (uint32_t k = 0; k < REQUESTS; k++)
        assert_int_equal(a->answers[k].n, 3);
    a->end_at = 0;
    a->all = true;
    ask(model, a, &ways[0], true);
    for (uint32_t k = 0; k < REQUESTS; k++) {
        assert_int_equal(a->answers[k].n, NEW_MAX);
        assert_int_equal(a->answers[k].ids[NEW_MAX - 1], 20 + NEW_MAX - 1);
    }
    a->all = false;
}

static void forced_tokens_are_as_if_chosen(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_device devices[16];
    struct asking a = { .base = { .count = REQUESTS, .max_new = NEW_MAX, .draw = 1000 } };
    a.base.answers = a.answers;
    char path[1024];
    const uint32_t count = test_devices(devices, 16);
    test_ctx(&ctx);
    test_path(path, sizeof path, "pipeline/demo");
    test_asking_encode(&a.base, &ctx, path, questions, REQUESTS);
    for (uint32_t d = 0; d < count; d++) {
        struct rt_device *dev;
        struct rt_model *model = NULL;
        if (strcmp(devices[d].device, "ref") == 0)
            continue; /* minutes of work, and the same host code */
        dev = test_device_open(&ctx, &devices[d]);
        if (rt_model_load(dev, path, 160, &model) != RT_OK)
            fail_msg("%s", ctx.message);
        check_device(model, &a, test_device_is_slow(&devices[d]), devices[d].name);
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
    test_asking_free(&a.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        forced_tokens_are_as_if_chosen) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

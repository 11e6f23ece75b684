/* Two models over pieces of sequences: the same bits as both over whole sequences, for
 * sequences that share a piece and for ones that take several; and the same bits again where
 * the full model's rows are kept. */
#include "runtime/observe/pair.h"
#include "runtime/observe/score.h"
#include "tests/support/devices.h"
#include "tests/support/slopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { LONGEST = 150, SEQUENCES = 6, ROWS = 320 };
static const uint32_t lengths[SEQUENCES] = { 9, LONGEST, 2, 40, 64, 37 };

struct seen {
    float logprob[ROWS], kl[ROWS];
    uint32_t best[ROWS], n;
    uint32_t passes;
};

static uint32_t ids[SEQUENCES][LONGEST];
static uint8_t masks[SEQUENCES][LONGEST];
static struct train_sequence sequences[SEQUENCES];

/* In the second sequence only what two pieces hold counts. */
static void make_sequences(uint32_t vocab)
{
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        for (uint32_t t = 0; t < lengths[s]; t++) {
            ids[s][t] = train_word(7 + s, t, 0) % vocab;
            masks[s][t] = s != 1 || t > 70;
        }
        sequences[s] =
            (struct train_sequence){ .ids = ids[s], .mask = masks[s], .n = lengths[s] };
    }
}

static struct rt_model *load(struct rt_device *dev, const char *name)
{
    char path[1024], relative[128];
    struct rt_model *model = NULL;
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    if (rt_model_load(dev, test_path(path, sizeof path, relative), 256, &model) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    return model;
}

static void take(void *user, const struct observe_pair_token *token)
{
    struct seen *s = user;
    assert_true(s->n < ROWS);
    assert_int_equal(token->id, ids[token->sequence][token->at]);
    s->logprob[s->n] = token->logprob;
    s->kl[s->n] = token->kl;
    s->best[s->n++] = token->best;
}

static rt_status after(void *user, uint64_t done, uint64_t total)
{
    struct seen *s = user;
    s->passes++;
    assert_true(done <= total && total == 9 + LONGEST + 2 + 40 + 64 + 37 - SEQUENCES);
    return RT_OK;
}

static rt_status stop(void *user, uint64_t done, uint64_t total)
{
    const rt_status st = after(user, done, total);
    return st == RT_OK ? RT_ERR_INTERRUPTED : st;
}

static void check_device(struct rt_device *dev)
{
    struct seen whole = { 0 }, pieces = { 0 }, again = { 0 }, changed = { 0 },
                stopped = { 0 };
    struct rt_scorer *scorer = NULL;
    struct rt_model *full = load(dev, "qwen2-tiny"),
                    *other = load(dev, "qwen2-tiny-rtn4-ct");
    make_sequences(rt_model_config(full)->vocab);
    const struct score_out out = { .logprob = whole.logprob,
                                   .kl = whole.kl,
                                   .best = whole.best };
    assert_int_equal(rt_scorer_create(other, NULL, full, ROWS, &scorer), RT_OK);
    assert_int_equal(rt_scorer_run(scorer, sequences, SEQUENCES, &out), RT_OK);
    rt_scorer_destroy(&scorer);
    struct observe_kept kept = { 0 };
    struct observe_pair_task task = { .full = full,
                                      .other = other,
                                      .sequences = sequences,
                                      .count = SEQUENCES,
                                      .kept = &kept,
                                      .piece = 64,
                                      .token = take,
                                      .pass = after,
                                      .user = &pieces };
    task.user = &stopped;
    task.pass = stop;
    assert_int_equal(observe_pair(&task), RT_ERR_INTERRUPTED);
    assert_false(kept.whole);
    task.user = &pieces;
    task.pass = after;
    if (observe_pair(&task) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    assert_int_equal(pieces.n, 8 + 79 + 1 + 39 + 63 + 36);
    assert_int_equal(pieces.passes, 7); /* 8; 64, 64, 21 + 1 + 39; 63; 36 and less */
    assert_memory_equal(pieces.logprob, whole.logprob, pieces.n * sizeof(float));
    assert_memory_equal(pieces.kl, whole.kl, pieces.n * sizeof(float));
    assert_memory_equal(pieces.best, whole.best, pieces.n * sizeof(uint32_t));
    assert_true(kept.whole && kept.targets == pieces.n);
    assert_int_equal(stopped.passes, 1); /* an interrupted run has kept nothing */
    task.user = &again;
    if (observe_pair(&task) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    assert_memory_equal(&again, &pieces, sizeof again);
    /* They are what is read: with others in their place the distance is another. */
    memset(kept.rows, 0, rt_model_config(full)->hidden * sizeof(float));
    task.user = &changed;
    assert_int_equal(observe_pair(&task), RT_OK);
    assert_true(changed.kl[0] != pieces.kl[0] && changed.kl[1] == pieces.kl[1]);
    observe_kept_deinit(&kept);
    rt_model_destroy(&full);
    rt_model_destroy(&other);
}

static void pieces_are_the_whole(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t d = 0; d < n; d++) {
        if (test_device_is_slow(&devices[d]))
            continue;
        struct rt_ctx ctx;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[d]);
        check_device(dev);
        assert_int_equal(rt_device_validation_count(dev), 0);
        rt_device_destroy(&dev);
    }
}

static void what_cannot_be_compared_is_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_device devices[16];
    struct seen none = { 0 };
    const uint32_t n = test_devices(devices, 16);
    struct rt_device *dev = test_device_open(&ctx, &devices[n - 1]);
    struct rt_model *full = load(dev, "qwen2-tiny"), *other = load(dev, "llama-tiny");
    make_sequences(rt_model_config(full)->vocab);
    struct observe_pair_task task = { .full = full,
                                      .other = other,
                                      .sequences = sequences,
                                      .count = SEQUENCES,
                                      .token = take,
                                      .user = &none };
    if (rt_model_config(full)->vocab != rt_model_config(other)->vocab) {
        assert_int_equal(observe_pair(&task), RT_ERR_USAGE);
        assert_non_null(strstr(ctx.message, "vocabular"));
    }
    task.other = full;
    sequences[3].n = 1;
    assert_int_equal(observe_pair(&task), RT_ERR_USAGE);
    assert_non_null(strstr(ctx.message, "sequence 3 has 1 tokens"));
    assert_int_equal(none.n, 0);
    rt_model_destroy(&full);
    rt_model_destroy(&other);
    rt_device_destroy(&dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_the_whole),
        cmocka_unit_test(what_cannot_be_compared_is_refused),
    };
    return cmocka_run_group_tests_name("pair", tests, NULL, NULL);
}

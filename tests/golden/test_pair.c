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

enum { LONGEST = 330, SEQUENCES = 6, ROWS = 448, PIECE = 64 };

/* Sequences of a run. */
struct text {
    uint32_t count, lengths[SEQUENCES];
    uint32_t of_long;       /* targets of sequence 1, of which only the last count */
    uint32_t passes, again; /* lists that run; with what the full model gave kept */
};
/* Rows of pieces: 4; a chain of 64 and 15. A chain takes a list per layer of 3 and per
 * model, and one per piece for the heads. */
static const struct text small = { .count = 2,
                                   .lengths = { 5, 80 },
                                   .of_long = 9,
                                   .passes = 1 + 2 * 3 + 2,
                                   .again = 1 + 3 + 2 };
static const struct text texts[] = {
    /* 8; a chain of 64, 64 and 21; 1 + 39; 63; 36. */
    { .count = 6,
      .lengths = { 9, 150, 2, 40, 64, 37 },
      .of_long = 79,
      .passes = 4 + 2 * 3 + 3,
      .again = 4 + 3 + 3 },
    /* 11; a chain of 6 pieces, for which a layer takes two lists; 29. */
    { .count = 3,
      .lengths = { 12, LONGEST, 30 },
      .of_long = LONGEST - 71,
      .passes = 2 + 2 * 3 * 2 + 6,
      .again = 2 + 3 * 2 + 6 },
};

struct seen {
    float logprob[ROWS], kl[ROWS];
    uint32_t best[ROWS], n;
    uint32_t passes;
    uint64_t done, total;
};

static uint32_t ids[SEQUENCES][LONGEST];
static uint8_t masks[SEQUENCES][LONGEST];
static struct train_sequence sequences[SEQUENCES];

/* In the second sequence what the first piece holds does not count. */
static void make_sequences(const struct text *text, uint32_t vocab)
{
    for (uint32_t s = 0; s < text->count; s++) {
        for (uint32_t t = 0; t < text->lengths[s]; t++) {
            ids[s][t] = train_word(7 + s, t, 0) % vocab;
            masks[s][t] = s != 1 || t > 70;
        }
        sequences[s] = (struct train_sequence){ .ids = ids[s],
                                                .mask = masks[s],
                                                .n = text->lengths[s] };
    }
}

static uint32_t targets_of(const struct text *text)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < text->count; s++)
        n += s == 1 ? text->of_long : text->lengths[s] - 1;
    return n;
}

static struct rt_model *load(struct rt_device *dev, const char *name)
{
    char path[1024], relative[128];
    struct rt_model *model = NULL;
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    if (rt_model_load(dev, test_path(path, sizeof path, relative), ROWS, &model) != RT_OK)
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
    assert_true(s->done <= done && done <= total);
    s->done = done;
    s->total = total;
    return RT_OK;
}

static rt_status stop(void *user, uint64_t done, uint64_t total)
{
    const rt_status st = after(user, done, total);
    return st == RT_OK ? RT_ERR_INTERRUPTED : st;
}

static void check_same(const struct seen *a, const struct seen *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->logprob, b->logprob, a->n * sizeof(float));
    assert_memory_equal(a->kl, b->kl, a->n * sizeof(float));
    assert_memory_equal(a->best, b->best, a->n * sizeof(uint32_t));
}

static void run(struct rt_device *dev, struct observe_pair_task *task, struct seen *into,
                rt_status want)
{
    task->user = into;
    if (observe_pair(task) != want)
        fail_msg("%s", rt_device_ctx(dev)->message);
    assert_true(into->done == into->total || want != RT_OK);
}

static void check_text(struct rt_device *dev, const struct text *text,
                       struct rt_model *full, struct rt_model *other)
{
    static struct seen whole, pieces, again, changed, stopped;
    struct rt_scorer *scorer = NULL;
    const struct score_out out = { .logprob = whole.logprob,
                                   .kl = whole.kl,
                                   .best = whole.best };
    whole = pieces = again = changed = stopped = (struct seen){ 0 };
    make_sequences(text, rt_model_config(full)->vocab);
    assert_int_equal(rt_scorer_create(other, NULL, full, ROWS, &scorer), RT_OK);
    assert_int_equal(rt_scorer_run(scorer, sequences, text->count, &out), RT_OK);
    rt_scorer_destroy(&scorer);
    whole.n = targets_of(text);
    struct observe_kept kept = { 0 };
    struct observe_pair_task task = { .full = full,
                                      .other = other,
                                      .sequences = sequences,
                                      .count = text->count,
                                      .kept = &kept,
                                      .piece = PIECE,
                                      .token = take,
                                      .pass = stop };
    run(dev, &task, &stopped, RT_ERR_INTERRUPTED);
    assert_int_equal(stopped.passes, 1); /* an interrupted run has kept nothing */
    assert_false(kept.whole);
    task.pass = after;
    run(dev, &task, &pieces, RT_OK);
    check_same(&pieces, &whole);
    assert_int_equal(pieces.passes, text->passes);
    assert_true(kept.whole && kept.targets == pieces.n);
    run(dev, &task, &again, RT_OK);
    check_same(&again, &pieces);
    assert_int_equal(again.passes, text->again);
    /* They are what is read: with others in their place the distance is another. */
    memset(kept.rows, 0, rt_model_config(full)->hidden * sizeof(float));
    run(dev, &task, &changed, RT_OK);
    assert_true(changed.kl[0] != pieces.kl[0] && changed.kl[1] == pieces.kl[1]);
    observe_kept_deinit(&kept);
}

static void check_device(struct rt_device *dev, bool slow)
{
    struct rt_model *full = load(dev, "qwen2-tiny"),
                    *other = load(dev, "qwen2-tiny-rtn4-ct");
    check_text(dev, &small, full, other);
    for (size_t i = 0; i < RT_COUNT(texts) && !slow; i++)
        check_text(dev, &texts[i], full, other);
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
        struct rt_ctx ctx;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[d]);
        check_device(dev, test_device_is_slow(&devices[d]));
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
    make_sequences(&texts[0], rt_model_config(full)->vocab);
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

/* A step allocates nothing: between any two decode steps but those in which the cache grows,
 * and between any two training steps once each batch size has been seen, our allocator,
 * device memory and the live buffers stand still, and a decode step of the demo model is one
 * submission. */
#include "runtime/engine/engine.h"
#include "runtime/train/train.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

enum {
    CONTEXT = 64,
    SLOTS = 4,
    REQUESTS = 6, /* more than slots: some start while others decode */
    PROMPT = 11,
    NEW_TOKENS = 9,
    TRAINING_STEPS = 4,
    IDS = 48
};

/* What may not grow, and what counts work. */
struct counts {
    uint64_t allocs, device_allocs, buffer_bytes, submissions;
};

static struct counts count(struct rt_device *dev)
{
    struct rt_device_stats s;
    rt_device_stats_get(dev, &s);
    return (struct counts){ rt_device_ctx(dev)->alloc_count, s.device_allocs,
                            s.buffer_bytes, s.submissions };
}

static void expect_no_growth(const char *what, const struct counts *from,
                             const struct counts *to, uint64_t submissions)
{
    if (from->allocs != to->allocs || from->device_allocs != to->device_allocs ||
        from->buffer_bytes != to->buffer_bytes)
        fail_msg("%s: %llu allocations, %llu device blocks, %lld buffer bytes in a step",
                 what, (unsigned long long)(to->allocs - from->allocs),
                 (unsigned long long)(to->device_allocs - from->device_allocs),
                 (long long)(to->buffer_bytes - from->buffer_bytes));
    if (to->submissions - from->submissions != submissions)
        fail_msg("%s: %llu submissions in a step, not %llu", what,
                 (unsigned long long)(to->submissions - from->submissions),
                 (unsigned long long)submissions);
}

/* ---- decoding ---- */

struct decoding {
    struct rt_device *dev;
    const char *name;
    uint32_t ids[PROMPT];
    uint32_t asked, answered, steps, quiet; /* quiet: allocated nothing */
    struct counts last;
    struct rt_engine *engine;
    struct rt_engine_stats before;
};

static bool next(void *user, struct rt_request *out)
{
    struct decoding *d = user;
    if (d->asked == REQUESTS)
        return false;
    /* Different lengths, so that prefill and decode meet in one step. */
    *out = (struct rt_request){ .key = d->asked,
                                .prompt = d->ids,
                                .n_prompt = PROMPT - d->asked,
                                .max_new = NEW_TOKENS };
    d->asked++;
    return true;
}

static rt_status done(void *user, const struct rt_answer *answer)
{
    struct decoding *d = user;
    assert_int_equal(answer->n_gen, NEW_TOKENS);
    d->answered++;
    return RT_OK;
}

/* Asked before each step: what the one before it took. */
static bool between_steps(void *user)
{
    struct decoding *d = user;
    struct rt_engine_stats stats;
    const struct counts now = count(d->dev);
    rt_engine_stats_get(d->engine, &stats);
    if (d->steps++ > 0 && stats.grown == d->before.grown &&
        stats.recorded == d->before.recorded) {
        expect_no_growth(d->name, &d->last, &now, 1);
        d->quiet++;
    }
    d->before = stats;
    d->last = now;
    return true;
}

static void check_decoding(struct rt_model *model, bool pages_at_once, const char *name)
{
    struct rt_engine *engine = NULL;
    struct decoding d = { .dev = rt_model_device(model), .name = name };
    const struct rt_engine_options options = { .slots = SLOTS,
                                               .context = CONTEXT,
                                               .pages_at_once = pages_at_once };
    const struct rt_engine_calls calls = {
        .next = next, .done = done, .go_on = between_steps, .user = &d
    };
    for (uint32_t i = 0; i < PROMPT; i++)
        d.ids[i] = 20 + 7 * i;
    if (rt_engine_create(model, NULL, &options, &engine) != RT_OK)
        fail_msg("%s: %s", name, rt_device_ctx(rt_model_device(model))->message);
    d.engine = engine;
    if (rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s: %s", name, rt_device_ctx(rt_model_device(model))->message);
    const struct counts end = count(rt_model_device(model));
    expect_no_growth(name, &d.last, &end, 1);
    assert_int_equal(d.answered, REQUESTS);
    assert_true(d.steps >= 2 * NEW_TOKENS);
    printf("    %-30s %u decode steps, 1 submission each, 0 allocations in %u; grown %u "
           "times, %u recordings for it\n",
           name, d.steps, d.quiet + 1, d.before.grown, d.before.recorded);
    if (pages_at_once)
        assert_int_equal(d.quiet + 1, d.steps);
    else
        assert_true(d.before.grown > 0 && 2 * d.quiet > d.steps &&
                    d.quiet + 1 + d.before.grown + d.before.recorded >= d.steps);
    rt_engine_destroy(&engine);
}

/* ---- training ---- */

/* Two batch sizes in turn; `count` sequences that share their tokens. */
static void fill_batch(struct train_sequence *batch, uint32_t n_sequences, uint32_t n,
                       const uint32_t *ids, const uint8_t *mask, const float *ref)
{
    for (uint32_t i = 0; i < n_sequences; i++)
        batch[i] =
            (struct train_sequence){ .ids = ids, .mask = mask, .n = n, .ref = ref };
}

static struct counts train_step(struct rt_trainer *trainer, struct rt_device *dev,
                                const struct train_sequence *batch, uint32_t n)
{
    struct train_metrics m;
    if (rt_trainer_gradient(trainer, batch, n, &m) != RT_OK ||
        rt_trainer_update(trainer, 1e-4, NULL) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    return count(dev);
}

static void check_training(struct rt_model *model, enum train_loss loss, const char *name)
{
    struct rt_device *dev = rt_model_device(model);
    struct fmt_adapter *source = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_trainer *trainer = NULL;
    struct train_options o;
    uint32_t ids[IDS];
    uint8_t mask[IDS];
    const float ref[IDS] = { 0 };
    for (uint32_t i = 0; i < IDS; i++) {
        ids[i] = 20 + 5 * i;
        mask[i] = i >= IDS / 4;
    }
    train_options_default(&o);
    o.loss = loss;
    if (fmt_adapter_new(rt_device_ctx(dev), rt_model_config(model), 8, 8, &source) !=
            RT_OK ||
        rt_adapter_create(model, source, true, &adapter) != RT_OK ||
        rt_trainer_create(model, adapter, loss == TRAIN_KL ? model : NULL, &o, 4 * IDS, 0,
                          &trainer) != RT_OK)
        fail_msg("%s: %s", name, rt_device_ctx(dev)->message);
    struct train_sequence batches[2][4];
    fill_batch(batches[0], 4, IDS, ids, mask, ref);
    fill_batch(batches[1], 2, IDS / 2, ids, mask, ref);
    struct counts last = train_step(trainer, dev, batches[0], 4); /* warm-up: */
    last = train_step(trainer, dev, batches[1], 2); /* each size is recorded once */
    for (uint32_t k = 0; k < TRAINING_STEPS; k++) {
        const struct counts now = train_step(trainer, dev, batches[k % 2], k % 2 ? 2 : 4);
        expect_no_growth(name, &last, &now, 2); /* gradient, update */
        last = now;
    }
    printf("    %-30s %u %s steps, 2 submissions each, 0 allocations\n", name,
           TRAINING_STEPS,
           loss == TRAIN_KL    ? "KL"
           : loss == TRAIN_DPO ? "DPO"
                               : "SFT");
    rt_trainer_destroy(&trainer);
    rt_adapter_destroy(&adapter);
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        struct rt_model *model = NULL;
        char path[1024];
        /* What is allocated does not depend on the kernels, which compile slowly. */
        if (devices[i].family != RT_FAMILY_LANES)
            continue;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[i]);
        if (rt_model_load(dev, test_path(path, sizeof path, "pipeline/demo"), CONTEXT,
                          &model) != RT_OK)
            fail_msg("%s: %s", devices[i].name, ctx.message);
        check_decoding(model, true, devices[i].name);
        check_decoding(model, false, devices[i].name);
        check_training(model, TRAIN_KL, devices[i].name);
        check_training(model, TRAIN_DPO, devices[i].name);
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(steps_allocate_nothing) };
    return cmocka_run_group_tests_name("steps", tests, NULL, NULL);
}

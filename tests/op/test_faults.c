/* Each call of a device that may fail does so once: allocating, mapping, compiling, making
 * any other object, submitting, waiting, and a device that is lost. A short evaluation and a
 * short training each end with a status and a message, leave no object behind, use nothing
 * that a device is at work on, and give the same results when they run again. */
#include "runtime/device/device_impl.h"
#include "runtime/engine/engine.h"
#include "runtime/train/train.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    HEAD = 16,
    CONTEXT = 32,
    IDS = 12,
    ASKED = 3,
    NEW = 3,
    EVERY = 200,        /* calls that fail one after the other */
    DRAWN = 50,         /* of those after them */
    AGAIN = 16,         /* every so many faults the attempt runs once more */
    FRESH_OBJECTS = 80, /* that fail on a device without kernels */
    SECONDS_MAX = 60    /* of one attempt: nothing may wait for good */
};

/* Of a submission: lists are several of them, as those of models of a useful size. */
static const double SUBMIT_FLOPS = 3e6;

static const uint32_t ids[IDS] = { 3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46, 26 };
static const uint8_t mask[IDS] = { 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
static const float ref[IDS];
static const struct train_sequence batch[2] = { { ids, mask, IDS, ref, NULL },
                                                { ids, mask, IDS / 2, ref, NULL } };

static struct test_folder folder; /* of the model */

/* A device under faults, and what an attempt on it gave. */
struct ground {
    struct test_device id;
    struct rt_ctx ctx;
    struct rt_device *dev;
    bool retry; /* after a failure, with the engine or trainer that had it */
    uint32_t asked, answered;
    uint32_t token[ASKED * NEW];
    double loss[2];
};

/* ---- attempts: each makes all it needs and takes it down, whatever happens ---- */

typedef rt_status attempt_fn(struct ground *g);

static bool next(void *user, struct rt_request *out)
{
    struct ground *g = user;
    *out = (struct rt_request){ .key = g->asked,
                                .draw = g->asked,
                                .prompt = ids,
                                .n_prompt = IDS - g->asked,
                                .max_new = NEW };
    return g->asked++ < ASKED;
}

static rt_status done(void *user, const struct rt_answer *answer)
{
    struct ground *g = user;
    assert_true(answer->key < ASKED);
    assert_int_equal(answer->n_gen, NEW);
    memcpy(g->token + NEW * answer->key, answer->ids, NEW * sizeof *g->token);
    g->answered++;
    return RT_OK;
}

/* Where a run fails and the device is still there, the same engine serves the next one. */
static rt_status run_engine(struct ground *g, struct rt_engine *engine)
{
    const struct rt_engine_calls calls = { .next = next, .done = done, .user = g };
    g->asked = g->answered = 0;
    const rt_status st = rt_engine_run(engine, &calls);
    if (st == RT_OK || !g->retry)
        return st;
    g->asked = g->answered = 0;
    assert_int_equal(rt_engine_run(engine, &calls), RT_OK);
    assert_int_equal(g->answered, ASKED);
    return st;
}

static rt_status evaluate(struct ground *g)
{
    rt_status st;
    struct rt_model *model = NULL;
    struct rt_engine *engine = NULL;
    const struct rt_engine_options options = {
        .slots = 2, .rows_max = 64, .context = CONTEXT, .sampling = { 0.8f, 0.9f, 1 }
    };
    TRY(rt_model_load(g->dev, folder.path, CONTEXT, &model));
    TRY(rt_engine_create(model, NULL, &options, &engine));
    TRY(run_engine(g, engine));
    assert_int_equal(g->answered, ASKED);

fail:
    rt_engine_destroy(&engine);
    rt_model_destroy(&model);
    return st;
}

/* The gradient of a batch; likewise. No update without one. */
static rt_status gradient(struct ground *g, struct rt_trainer *trainer,
                          struct train_metrics *out)
{
    const rt_status st = rt_trainer_gradient(trainer, batch, 2, out);
    if (st == RT_OK)
        return st;
    assert_int_equal(rt_trainer_update(trainer, 1e-3, NULL), RT_ERR_USAGE);
    if (g->retry)
        assert_int_equal(rt_trainer_gradient(trainer, batch, 2, out), RT_OK);
    return st;
}

static rt_status train(struct ground *g)
{
    rt_status st;
    struct rt_model *model = NULL;
    struct fmt_adapter *source = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_trainer *trainer = NULL;
    struct train_options o;
    struct train_metrics m;
    train_options_default(&o);
    o.loss = TRAIN_DPO;
    TRY(rt_model_load(g->dev, folder.path, CONTEXT, &model));
    TRY(fmt_adapter_new(&g->ctx, rt_model_config(model), 8, 16, &source));
    TRY(rt_adapter_create(model, source, true, &adapter)); /* takes it over */
    TRY(rt_trainer_create(model, adapter, NULL, &o, 64, 0, &trainer));
    for (int step = 0; step < 2; step++) {
        TRY(gradient(g, trainer, &m));
        TRY(rt_trainer_update(trainer, 1e-3, NULL));
        g->loss[step] = m.loss;
    }
    TRY(rt_adapter_download(adapter));

fail:
    rt_trainer_destroy(&trainer);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
    return st;
}

static const struct attempt {
    const char *name;
    attempt_fn *fn;
} attempts[] = { { "evaluation", evaluate }, { "training", train } };

/* ---- one fault ---- */

/* What a call that failed must end in. */
static const rt_status wanted[TEST_FAULT_COUNT] = {
    [TEST_FAULT_ALLOCATE] = RT_ERR_DEVICE_MEMORY,
    [TEST_FAULT_MAP] = RT_ERR_HOST_MEMORY,
    [TEST_FAULT_PIPELINE] = RT_ERR_DEVICE_MEMORY,
    [TEST_FAULT_OBJECT] = RT_ERR_HOST_MEMORY,
    [TEST_FAULT_SUBMIT] = RT_ERR_DEVICE_MEMORY,
    [TEST_FAULT_WAIT] = RT_ERR_HOST_MEMORY,
    [TEST_FAULT_LOST] = RT_ERR_DEVICE_LOST,
};

static void open_device(struct ground *g)
{
    g->dev = test_device_open(&g->ctx, &g->id);
    g->dev->plan.submit_flops_max = SUBMIT_FLOPS;
    test_faults_install(g->dev);
    if (strcmp(g->id.device, "ref") != 0)
        test_faults_discrete(g->dev);
}

static void close_device(struct ground *g, const char *what, uint64_t n)
{
    rt_device_destroy(&g->dev);
    if (test_faults_live_all() != 0)
        fail_msg("%s, call %llu: %llu objects outlive their device", what,
                 (unsigned long long)n, (unsigned long long)test_faults_live_all());
    test_faults_remove();
}

/* The attempt, whose n-th call of a kind fails (0: none). */
static rt_status run(struct ground *g, const struct attempt *attempt,
                     enum test_fault kind, uint64_t n)
{
    char what[160];
    g->ctx.message[0] = '\0';
    alarm(SECONDS_MAX);
    test_faults_arm(kind, n);
    const rt_status st = attempt->fn(g);
    alarm(0);
    snprintf(what, sizeof what, "%s, %s, %s %llu", g->id.name, attempt->name,
             test_fault_names[kind], (unsigned long long)n);
    if (test_faults_live() != 0)
        fail_msg("%s: %llu objects are left", what,
                 (unsigned long long)test_faults_live());
    if (test_faults_misuse())
        fail_msg("%s: %s", what, test_faults_misuse());
    const rt_status due = test_faults_hit() ? wanted[kind] : RT_OK;
    if (st != due || (st != RT_OK && !g->ctx.message[0]))
        fail_msg("%s: status %d instead of %d, '%s'", what, (int)st, (int)due,
                 g->ctx.message);
    return st;
}

/* After a fault the device gives what it gave before. */
static void run_again(struct ground *g, const struct attempt *attempt,
                      enum test_fault kind, const struct ground *before)
{
    memset(g->token, 0, sizeof g->token);
    memset(g->loss, 0, sizeof g->loss);
    assert_int_equal(run(g, attempt, kind, 0), RT_OK);
    assert_memory_equal(g->token, before->token, sizeof g->token);
    assert_memory_equal(g->loss, before->loss, sizeof g->loss);
}

/* The i-th call to fail of `calls`: each of the first EVERY, DRAWN after them, the last;
 * 0: no more. */
static uint64_t call_of(uint32_t i, uint64_t calls, enum test_fault kind)
{
    if (i < EVERY || calls <= EVERY + DRAWN)
        return i < calls ? i + 1u : 0;
    if (i < EVERY + DRAWN)
        return EVERY + 1 + train_word(13, i, kind) % (calls - EVERY);
    return i == EVERY + DRAWN ? calls : 0;
}

/* All calls of a kind. fresh: every attempt has a device of its own, so that kernels and
 * memory are made again; else all have one that has them. */
static void torture(struct ground *g, const struct attempt *attempt, enum test_fault kind,
                    bool fresh, uint64_t most)
{
    const uint64_t start = rt_time_ns();
    g->retry = kind == TEST_FAULT_SUBMIT || kind == TEST_FAULT_WAIT;
    open_device(g);
    if (!fresh)
        run(g, attempt, kind, 0);
    run(g, attempt, kind, 0);
    const struct ground before = *g;
    uint64_t n, calls = test_faults_calls();
    uint32_t i = 0;
    for (calls = calls < most ? calls : most; (n = call_of(i, calls, kind)) > 0; i++) {
        if (fresh) {
            close_device(g, attempt->name, n);
            open_device(g);
        }
        run(g, attempt, kind, n);
        if (!test_faults_hit())
            fail_msg("%s: call %llu of %s is not there", attempt->name,
                     (unsigned long long)n, test_fault_names[kind]);
        if (!fresh && i % AGAIN == 0)
            run_again(g, attempt, kind, &before);
    }
    run_again(g, attempt, kind, &before);
    close_device(g, attempt->name, 0);
    printf("    %-22s %-10s %-8s %-5s fails well at %3u of %4llu calls, %.2f s\n",
           g->id.name, attempt->name, test_fault_names[kind], fresh ? "fresh" : "warm", i,
           (unsigned long long)calls, (double)(rt_time_ns() - start) * 1e-9);
    fflush(stdout);
}

static void torture_device(const struct test_device *device,
                           const struct attempt *attempt)
{
    struct ground g = { .id = *device };
    torture(&g, attempt, TEST_FAULT_ALLOCATE, true, UINT64_MAX);
    torture(&g, attempt, TEST_FAULT_MAP, true, UINT64_MAX);
    torture(&g, attempt, TEST_FAULT_PIPELINE, true, UINT64_MAX);
    torture(&g, attempt, TEST_FAULT_OBJECT, true, FRESH_OBJECTS);
    torture(&g, attempt, TEST_FAULT_OBJECT, false, UINT64_MAX);
    torture(&g, attempt, TEST_FAULT_SUBMIT, false, UINT64_MAX);
    torture(&g, attempt, TEST_FAULT_WAIT, false, UINT64_MAX);
    torture(&g, attempt, TEST_FAULT_LOST, false, UINT64_MAX);
}

static void every_failing_call_ends_clean(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t count = test_devices(devices, 16);
    for (uint32_t i = 0; i < count; i++) {
        /* One Vulkan device has all the backend's calls. */
        if (strcmp(devices[i].device, "ref") != 0 &&
            !strstr(devices[i].name, "llvmpipe/lanes"))
            continue;
        for (size_t a = 0; a < RT_COUNT(attempts); a++)
            torture_device(&devices[i], &attempts[a]);
    }
}

/* ---- recordings of a trainer ---- */

enum { PAIRS = 49, PAIR_IDS = 2 }; /* one size more than a trainer keeps recordings of */

/* A trainer of pairs on `ref`. */
struct training {
    struct ground g;
    struct rt_model *model;
    struct rt_adapter *adapter;
    struct rt_trainer *trainer;
    struct train_sequence batch[2 * PAIRS]; /* of two tokens each */
};

static void training_init(struct training *t)
{
    struct fmt_adapter *source = NULL;
    struct train_options o;
    *t = (struct training){ .g.id = { .device = "ref", .name = "ref" } };
    open_device(&t->g);
    train_options_default(&o);
    o.loss = TRAIN_DPO;
    if (rt_model_load(t->g.dev, folder.path, CONTEXT, &t->model) != RT_OK ||
        fmt_adapter_new(&t->g.ctx, rt_model_config(t->model), 8, 16, &source) != RT_OK ||
        rt_adapter_create(t->model, source, true, &t->adapter) != RT_OK ||
        rt_trainer_create(t->model, t->adapter, NULL, &o, 2 * PAIRS, 0, &t->trainer) !=
            RT_OK)
        fail_msg("%s", t->g.ctx.message);
    for (uint32_t s = 0; s < 2 * PAIRS; s++)
        t->batch[s] =
            (struct train_sequence){ ids + s % 2, mask + 1, PAIR_IDS, ref, NULL };
}

static void training_deinit(struct training *t)
{
    rt_trainer_destroy(&t->trainer);
    rt_adapter_destroy(&t->adapter);
    rt_model_destroy(&t->model);
    close_device(&t->g, "training", 0);
}

/* Where all recordings are in use, one that fails takes the place of the oldest: batches of
 * the oldest's size record theirs again. */
static void a_recording_that_failed_is_made_again(void **state)
{
    (void)state;
    struct training t;
    struct train_metrics first, m;
    training_init(&t);
    for (uint32_t pairs = 1; pairs < PAIRS; pairs++)
        assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2 * pairs, &m), RT_OK);
    assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2, &first), RT_OK);
    test_faults_arm(TEST_FAULT_OBJECT, 1);
    assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2 * PAIRS, &m),
                     RT_ERR_HOST_MEMORY);
    for (uint32_t pairs = 1; pairs <= PAIRS; pairs++)
        assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2 * pairs, &m), RT_OK);
    assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2, &m), RT_OK);
    assert_true(m.loss == first.loss && m.grad_norm == first.grad_norm);
    training_deinit(&t);
}

/* A gradient that failed may have overwritten a part of the one before: neither is applied,
 * and an update that failed is not done a second time. */
static void what_failed_is_not_applied(void **state)
{
    (void)state;
    struct training t;
    struct train_metrics m;
    training_init(&t);
    assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2, &m), RT_OK);
    test_faults_arm(TEST_FAULT_SUBMIT, 1);
    assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2, &m),
                     RT_ERR_DEVICE_MEMORY);
    test_refused(&t.g.ctx, rt_trainer_update(t.trainer, 1e-3, NULL), RT_ERR_USAGE,
                 "without a gradient", NULL);
    assert_int_equal(rt_trainer_gradient(t.trainer, t.batch, 2, &m), RT_OK);
    test_faults_arm(TEST_FAULT_WAIT, 1);
    assert_int_equal(rt_trainer_update(t.trainer, 1e-3, NULL), RT_ERR_HOST_MEMORY);
    test_refused(&t.g.ctx, rt_trainer_update(t.trainer, 1e-3, NULL), RT_ERR_USAGE,
                 "without a gradient", NULL);
    training_deinit(&t);
}

/* A batch of sequences that are not pairs has no preference loss. */
static void half_a_pair_is_refused(void **state)
{
    (void)state;
    struct training t;
    struct train_metrics m;
    training_init(&t);
    for (uint32_t count = 1; count <= 3; count += 2)
        test_refused(&t.g.ctx, rt_trainer_gradient(t.trainer, t.batch, count, &m),
                     RT_ERR_USAGE, "sequences", "pairs", NULL);
    training_deinit(&t);
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
        cmocka_unit_test(a_recording_that_failed_is_made_again),
        cmocka_unit_test(half_a_pair_is_refused),
        cmocka_unit_test(what_failed_is_not_applied),
        cmocka_unit_test(every_failing_call_ends_clean),
    };
    return cmocka_run_group_tests_name("faults", tests, make_model, remove_model);
}

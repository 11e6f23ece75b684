/* Fail the first allocation, then the second, until none fails: loading a model, an
 * adapter and a tokenizer, decoding, scoring, observing and training each end in an
 * out-of-memory status with a message, and leave no buffer behind (and, under ASan, no
 * host memory). */
#include "runtime/engine/engine.h"
#include "runtime/observe/moments.h"
#include "runtime/text/tokenizer.h"
#include "runtime/observe/score.h"
#include "runtime/train/train.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { CONTEXT = 32, IDS = 12 };

static const uint32_t ids[IDS] = { 3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46, 26 };
static const uint8_t mask[IDS] = { 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
static const float ref[IDS];
static const struct train_sequence batch[2] = { { ids, mask, IDS, ref, NULL },
                                                { ids, mask, IDS / 2, ref, NULL } };

/* What attempts stand on. */
struct ground {
    struct rt_ctx ctx;
    struct rt_device *dev;
    struct rt_model *model;
    struct rt_adapter *adapter;
    char folder[1024]; /* of the model */
    uint32_t asked;
};

/* Makes something, uses it, and takes it down again, whatever happens in between. */
typedef rt_status attempt_fn(struct ground *g);

static rt_status load_model(struct ground *g)
{
    struct rt_model *model = NULL;
    const rt_status st = rt_model_load(g->dev, g->folder, CONTEXT, &model);
    assert_true((st == RT_OK) == (model != NULL));
    rt_model_destroy(&model);
    return st;
}

static bool next(void *user, struct rt_request *out)
{
    struct ground *g = user;
    *out = (struct rt_request){
        .key = g->asked, .prompt = ids, .n_prompt = IDS, .max_new = 2
    };
    return g->asked++ < 3;
}

static rt_status done(void *user, const struct rt_answer *answer)
{
    (void)user;
    assert_int_equal(answer->n_gen, 2);
    return RT_OK;
}

static rt_status decode(struct ground *g)
{
    rt_status st;
    struct rt_engine *engine = NULL;
    const struct rt_engine_options options = { .slots = 2,
                                               .rows_max = 64,
                                               .context = CONTEXT };
    const struct rt_engine_calls calls = { .next = next, .done = done, .user = g };
    g->asked = 0;
    TRY(rt_engine_create(g->model, g->adapter, &options, &engine));
    TRY(rt_engine_run(engine, &calls));

fail:
    rt_engine_destroy(&engine);
    return st;
}

static rt_status make_adapter(struct ground *g)
{
    rt_status st;
    struct fmt_adapter *source = NULL;
    struct rt_adapter *adapter = NULL;
    TRY(fmt_adapter_new(&g->ctx, rt_model_config(g->model), 8, 16, &source));
    TRY(rt_adapter_create(g->model, source, true, &adapter)); /* takes it over */
    TRY(rt_adapter_download(adapter));

fail:
    rt_adapter_destroy(&adapter);
    return st;
}

static rt_status score(struct ground *g)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    float logprob[2 * IDS];
    const struct score_out out = { .logprob = logprob };
    TRY(rt_scorer_create(g->model, g->adapter, g->model, 64, &scorer));
    TRY(rt_scorer_run(scorer, batch, 2, &out));

fail:
    rt_scorer_destroy(&scorer);
    return st;
}

static rt_status take(void *user, const struct observe_group *seen)
{
    (void)user, (void)seen;
    return RT_OK;
}

static rt_status observe(struct ground *g)
{
    const struct observe_task task = { .model = g->model,
                                       .adapter = g->adapter,
                                       .sequences = batch,
                                       .count = 2,
                                       .what = OBSERVE_MOMENTS | OBSERVE_MAXIMA,
                                       .pass_rows = 64,
                                       .group = take };
    return observe_layers(&task);
}

static rt_status train(struct ground *g)
{
    rt_status st;
    struct rt_trainer *trainer = NULL;
    struct train_options o;
    struct train_metrics m;
    train_options_default(&o);
    o.loss = TRAIN_DPO;
    TRY(rt_trainer_create(g->model, g->adapter, NULL, &o, 64, 0, &trainer));
    TRY(rt_trainer_gradient(trainer, batch, 2, &m));
    TRY(rt_trainer_update(trainer, 0, NULL));

fail:
    rt_trainer_destroy(&trainer);
    return st;
}

static rt_status tokenize(struct ground *g)
{
    rt_status st;
    static const char text[] = "Ann has 3 apples, and Bob has 12 more.";
    struct text_tokenizer *tok = NULL;
    uint32_t *encoded = NULL, count;
    char *decoded = NULL, path[1024];
    size_t size;
    TRY(text_tokenizer_load(&g->ctx, test_path(path, sizeof path, "pipeline/demo"),
                            &tok));
    TRY(text_encode(tok, text, strlen(text), true, &encoded, &count));
    TRY(text_decode(tok, encoded, count, true, &decoded, &size));
    assert_string_equal(decoded, text);

fail:
    rt_free(encoded);
    rt_free(decoded);
    text_tokenizer_destroy(&tok);
    return st;
}

static uint64_t buffer_bytes(struct ground *g)
{
    struct rt_device_stats s;
    rt_device_stats_get(g->dev, &s);
    return s.buffer_bytes;
}

/* Each of the first 100 allocations fails once, and every `stride`-th after them. */
static void torture(struct ground *g, const char *what, attempt_fn *attempt,
                    uint64_t stride)
{
    const uint64_t bytes = buffer_bytes(g), start = rt_time_ns();
    uint64_t n = 1, tries = 0;
    for (;; n += n < 100 ? 1 : stride, tries++) {
        g->ctx.message[0] = '\0';
        const uint64_t at = g->ctx.alloc_fail_at = g->ctx.alloc_count + n;
        const rt_status st = attempt(g);
        g->ctx.alloc_fail_at = 0;
        if (buffer_bytes(g) != bytes)
            fail_msg("%s, allocation %llu: a buffer is left", what,
                     (unsigned long long)n);
        if (g->ctx.alloc_count < at && st == RT_OK)
            break;
        if ((st != RT_ERR_HOST_MEMORY && st != RT_ERR_DEVICE_MEMORY) ||
            !g->ctx.message[0])
            fail_msg("%s, allocation %llu: status %d, '%s'", what, (unsigned long long)n,
                     (int)st, g->ctx.message);
    }
    printf("    %-22s %-10s fails well at %llu of its allocations (%llu looked at), "
           "%.2f s\n",
           rt_device_info_of(g->dev)->name, what, (unsigned long long)tries,
           (unsigned long long)n - 1, (double)(rt_time_ns() - start) * 1e-9);
    assert_true(tries > 3);
}

static void lay_ground(struct ground *g)
{
    struct fmt_adapter *source = NULL;
    test_path(g->folder, sizeof g->folder, "tests/golden/models/qwen2-tiny");
    if (rt_model_load(g->dev, g->folder, CONTEXT, &g->model) != RT_OK ||
        fmt_adapter_new(&g->ctx, rt_model_config(g->model), 8, 16, &source) != RT_OK ||
        rt_adapter_create(g->model, source, true, &g->adapter) != RT_OK)
        fail_msg("%s", g->ctx.message);
}

static void torture_device(const struct test_device *device, uint64_t stride)
{
    struct ground g = { 0 };
    g.dev = test_device_open(&g.ctx, device);
    lay_ground(&g);
    torture(&g, "load", load_model, stride);
    torture(&g, "decode", decode, stride);
    torture(&g, "adapter", make_adapter, stride);
    torture(&g, "score", score, stride);
    torture(&g, "observe", observe, stride);
    torture(&g, "train", train, stride);
    torture(&g, "tokenize", tokenize, 23);
    rt_adapter_destroy(&g.adapter);
    rt_model_destroy(&g.model);
    rt_device_destroy(&g.dev);
}

static void every_failing_allocation_ends_clean(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(devices[i].device, "ref") == 0)
            torture_device(&devices[i], 1);
        /* One Vulkan device has all the backend's allocations. */
        else if (strstr(devices[i].name, "llvmpipe/lanes"))
            torture_device(&devices[i], 7);
    }
}

static void opening_a_device_too(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t count = test_devices(devices, 16);
    for (uint32_t i = 0; i < count; i++)
        for (uint64_t n = 1;; n++) {
            struct rt_ctx ctx = { .alloc_fail_at = n };
            struct rt_device *dev = NULL;
            const struct rt_device_options options = { .name = devices[i].device,
                                                       .tune = true };
            const rt_status st = rt_device_create(&ctx, &options, &dev);
            const bool hit = ctx.alloc_count >= n;
            assert_true((st == RT_OK) == (dev != NULL));
            rt_device_destroy(&dev);
            if (!hit)
                break;
            assert_int_equal(st, RT_ERR_HOST_MEMORY);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_allocation_ends_clean),
        cmocka_unit_test(opening_a_device_too),
    };
    return cmocka_run_group_tests_name("out of memory", tests, NULL, NULL);
}

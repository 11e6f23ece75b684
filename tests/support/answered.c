/* tests/support/answered.c
 * Fills a results file with runs. */
#include "tests/support/answered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { PROBLEMS_MAX = 64, ID = 340 };

static void must(const struct test_answered *a, rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", a->ctx->message);
}

static void name_problem(const struct test_answered *a, uint32_t i, char id[ID])
{
    char same[300];
    const int before = a->long_ids ? 300 : 0;
    memset(same, 'x', sizeof same);
    if (a->sets)
        snprintf(id, ID, "%.*sset%u/test/p%u", before, same, i % a->sets, i);
    else
        snprintf(id, ID, "%.*sp%u", before, same, i);
}

void test_answered_init(struct test_answered *a, struct rt_ctx *ctx, const char *path)
{
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref" };
    *a = (struct test_answered){ .ctx = ctx };
    must(a, store_open(ctx, path, STORE_WRITE, &a->store));
    must(a, rt_device_create(ctx, &options, &dev));
    must(a, store_begin(a->store));
    must(a, store_put_environment(a->store, dev, a->env));
    must(a, store_put_campaign(a->store, "restore", "{}", a->campaign));
    must(a, store_commit(a->store));
    rt_device_destroy(&dev);
}

void test_answered_deinit(struct test_answered *a)
{
    store_close(&a->store);
}

void test_answered_list(struct test_answered *a, const char *name, uint32_t count)
{
    struct pipe_problem problems[PROBLEMS_MAX];
    char ids[PROBLEMS_MAX][ID];
    assert_true(count <= PROBLEMS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        name_problem(a, i, ids[i]);
        problems[i] =
            (struct pipe_problem){ ids[i], .question = "how many?", .answer = "7" };
    }
    must(a, store_begin(a->store));
    must(a,
         store_put_benchmark(a->store, name, "measure", problems, count, a->benchmark));
    must(a, store_commit(a->store));
}

void test_answered_run(struct test_answered *a, const char *role, const char *label,
                       const char *right, uint32_t samples, char run[STORE_ID])
{
    const struct store_artifact weights = { "sha256:w", "weights", 1, NULL };
    struct store_variant v = { .label = label,
                               .role = role,
                               .arm = label,
                               .weights_id = "sha256:w",
                               .arch = "qwen2",
                               .params = 1,
                               .bits_per_weight = strcmp(role, "full") == 0 ? 32 : 3.25 };
    must(a, store_begin(a->store));
    must(a, store_put_artifact(a->store, &weights));
    must(a, store_put_variant(a->store, &v));
    struct store_run r = { .campaign_id = a->campaign,
                           .kind = "eval",
                           .variant_id = v.id,
                           .benchmark_id = a->benchmark,
                           .env_id = a->env,
                           .grader = "demo",
                           .config = "{\"format\":\"demo\"}" };
    must(a, store_run_open(a->store, &r));
    for (uint32_t i = 0; right[i]; i++) {
        char id[ID];
        const bool good = right[i] == '1';
        name_problem(a, i / samples, id);
        const struct pipe_generation g = { .problem_id = id,
                                           .sample = i % samples,
                                           .prompt_hash = "h",
                                           .output = good ? "so\n#### 7" : "so\n#### 8" };
        const struct pipe_score score = { "demo", good ? "7" : "8", true, good, "####" };
        must(a, store_put_generation(a->store, r.id, &g, &score, NULL, 0));
    }
    must(a, store_run_close(a->store, r.id, "done", 0, NULL));
    must(a, store_commit(a->store));
    snprintf(run, STORE_ID, "%s", r.id);
}

/* Logits and greedy answers of the goldens (families, adapters, packed 4 bit), on every
 * device. */
#include "runtime/engine/engine.h"
#include "runtime/observe/score.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LOGIT_TOLERANCE = 1e-4; /* measured: 1.2e-5 */

enum { COMMITTED = 16, FIXTURES_MAX = 512, PATH = 192 };

struct fixture {
    char golden[PATH]; /* folder with golden.json, below tests/golden */
    char model[PATH];  /* model folder or file, below tests/golden */
    bool adapter;      /* golden folder is an adapter of the model */
};

static struct fixture fixtures[FIXTURES_MAX];
static size_t fixture_count;

static uint32_t read_ids(const json_t *array, uint32_t *ids, uint32_t max)
{
    const uint32_t n = (uint32_t)json_array_size(array);
    assert_true(n > 0 && n <= max);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(array, i));
    return n;
}

static void check_sequence(struct rt_model *model, struct rt_scorer *scorer,
                           const struct fixture *f, const json_t *sequence,
                           const char *device)
{
    uint32_t ids[512];
    char path[1024], relative[256];
    const uint32_t n = read_ids(json_object_get(sequence, "ids"), ids, 512);
    const char *file = json_string_value(json_object_get(sequence, "logits"));
    if (!file)
        file = json_string_value(json_object_get(sequence, "file"));
    assert_non_null(file);
    snprintf(relative, sizeof relative, "tests/golden/%.120s/%.100s", f->golden, file);
    const size_t count = (size_t)n * rt_model_config(model)->vocab;
    float *expected = test_floats(test_path(path, sizeof path, relative), count);
    float *got = calloc(count, sizeof *got);
    assert_int_equal(rt_scorer_logits(scorer, ids, n, got), RT_OK);
    const double difference = test_max_difference(expected, got, count);
    printf("    %-26s %-32s T %-3u max |difference| %.2e\n", device, f->golden, n,
           difference);
    if (!(difference <= LOGIT_TOLERANCE))
        fail_msg("%s %s T %u: logits differ by %g", device, f->golden, n, difference);
    free(expected);
    free(got);
}

struct greedy {
    const uint32_t *prompt;
    uint32_t n_prompt, max_new, taken, n_gen;
    uint32_t ids[64];
    float logprob[64];
};

static bool next(void *user, struct rt_request *out)
{
    struct greedy *g = user;
    *out = (struct rt_request){ .prompt = g->prompt,
                                .n_prompt = g->n_prompt,
                                .max_new = g->max_new };
    return g->taken++ == 0;
}

static rt_status done(void *user, const struct rt_answer *answer)
{
    struct greedy *g = user;
    g->n_gen = answer->n_gen;
    memcpy(g->ids, answer->ids, answer->n_gen * sizeof *g->ids);
    memcpy(g->logprob, answer->logprob, answer->n_gen * sizeof *g->logprob);
    return RT_OK;
}

static void check_greedy(struct rt_model *model, struct rt_adapter *adapter,
                         const struct fixture *f, const json_t *golden,
                         const char *device)
{
    const json_t *greedy = json_object_get(golden, "greedy");
    uint32_t prompt[512], expected[64];
    if (!greedy)
        return;
    const json_t *sequences = json_object_get(golden, "sequences"), *sequence;
    size_t i;
    uint32_t n = 0;
    json_array_foreach((json_t *)(uintptr_t)sequences, i,
                       sequence) if (json_array_size(json_object_get(sequence, "ids")) ==
                                     17) n =
        read_ids(json_object_get(sequence, "ids"), prompt, 512);
    const uint32_t steps = read_ids(json_object_get(greedy, "ids"), expected, 64);
    struct greedy g = { .prompt = prompt, .n_prompt = n, .max_new = steps };
    const struct rt_engine_options options = { .slots = 4,
                                               .rows_max = 64,
                                               .context = 64 };
    const struct rt_engine_calls calls = { .next = next, .done = done, .user = &g };
    struct rt_engine *engine = NULL;
    assert_int_equal(rt_engine_create(model, adapter, &options, &engine), RT_OK);
    assert_int_equal(rt_engine_run(engine, &calls), RT_OK);
    assert_int_equal(g.n_gen, steps);
    for (uint32_t k = 0; k < steps; k++)
        if (g.ids[k] != expected[k])
            fail_msg("%s %s: greedy token %u is %u, not %u", device, f->golden, k,
                     g.ids[k], expected[k]);
    rt_engine_destroy(&engine);
}

static void check_fixture(struct rt_ctx *ctx, struct rt_device *dev,
                          const struct fixture *f, const char *device)
{
    char path[1024], relative[256];
    struct rt_model *model = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_scorer *scorer = NULL;
    snprintf(relative, sizeof relative, "tests/golden/%.200s", f->model);
    if (rt_model_load(dev, test_path(path, sizeof path, relative), 0, &model) != RT_OK)
        fail_msg("%s: %s", device, ctx->message);
    if (f->adapter) {
        struct fmt_adapter *source = NULL;
        snprintf(relative, sizeof relative, "tests/golden/%.200s", f->golden);
        if (fmt_adapter_read(ctx, test_path(path, sizeof path, relative),
                             rt_model_config(model), &source) != RT_OK ||
            rt_adapter_create(model, source, false, &adapter) != RT_OK)
            fail_msg("%s: %s", device, ctx->message);
    }
    if (rt_scorer_create(model, adapter, NULL, 320, &scorer) != RT_OK)
        fail_msg("%s: %s", device, ctx->message);
    snprintf(relative, sizeof relative, "tests/golden/%.200s/golden.json", f->golden);
    json_t *golden = json_load_file(test_path(path, sizeof path, relative), 0, NULL);
    assert_non_null(golden);
    size_t i;
    json_t *sequence;
    json_array_foreach(json_object_get(golden, "sequences"), i, sequence)
        check_sequence(model, scorer, f, sequence, device);
    check_greedy(model, adapter, f, golden, device);
    json_decref(golden);
    rt_scorer_destroy(&scorer);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
}

/* A golden names its model: nothing (the folder itself), a GGUF file in it, or the base
 * of an adapter, as ../../../models/NAME. */
static void add_fixture(const char *golden)
{
    char path[1024], file[256];
    snprintf(file, sizeof file, "tests/golden/%.200s/golden.json", golden);
    json_t *root = json_load_file(test_path(path, sizeof path, file), 0, NULL);
    if (!root)
        return;
    const char *gguf = json_string_value(json_object_get(root, "file"));
    const char *base = json_string_value(json_object_get(root, "base"));
    assert_true(fixture_count < FIXTURES_MAX);
    struct fixture *f = &fixtures[fixture_count++];
    snprintf(f->golden, PATH, "%s", golden);
    f->adapter = base != NULL;
    if (base) {
        assert_int_equal(strncmp(base, "../../../", 9), 0);
        snprintf(f->model, PATH, "%s", base + 9);
    } else if (gguf) {
        snprintf(f->model, PATH, "%s/%s", golden, gguf);
    } else {
        snprintf(f->model, PATH, "%s", golden);
    }
    json_decref(root);
}

/* Every folder that matches the pattern and holds a golden.json. */
static void find_fixtures(const char *pattern)
{
    char path[1024], relative[256], root[1024];
    glob_t found;
    test_path(root, sizeof root, "tests/golden/");
    snprintf(relative, sizeof relative, "tests/golden/%.200s/golden.json", pattern);
    if (glob(test_path(path, sizeof path, relative), 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *golden = found.gl_pathv[i] + strlen(root);
        *strrchr(golden, '/') = 0;
        add_fixture(golden);
    }
    globfree(&found);
}

static int find_all(void **state)
{
    (void)state;
    find_fixtures("models/*");
    find_fixtures("gguf/*");
    find_fixtures("lora/*/*");
    /* Of this tree none may go missing; another folder has what it has. */
    return getenv("FAULTLINE_TEST_GOLDEN") ? (fixture_count > 0 ? 0 : -1)
                                           : (fixture_count == COMMITTED ? 0 : -1);
}

static void logits_agree_on_every_device(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[i]);
        for (size_t f = 0; f < fixture_count; f++)
            check_fixture(&ctx, dev, &fixtures[f], devices[i].name);
        assert_int_equal(rt_device_validation_count(dev), 0);
        rt_device_destroy(&dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(logits_agree_on_every_device) };
    return cmocka_run_group_tests_name("golden logits", tests, find_all, NULL);
}

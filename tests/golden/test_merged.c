/* A merged model is the model with its adapter: every value W + s B A in double, rounded
 * once; the same logits as both beside each other on a device, from folders, packed folders
 * and GGUF files; an adapter-less merge of a packed model is the model unpacked. */
#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"
#include "runtime/observe/score.h"
#include "runtime/quant/merged.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/slopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ADAPTER "tests/golden/lora/qwen2-tiny/plain"

enum { TOKENS = 20, VALUES_MAX = 1 << 16 };

static const char *const sources[] = {
    "tests/golden/models/qwen2-tiny",
    "tests/golden/models/qwen2-tiny-rtn4-ct",
    "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf",
};

static const char *path_of(const char *relative)
{
    static char path[2][1024];
    static int next;
    next = !next;
    return test_path(path[next], sizeof path[next], relative);
}

static struct quant_merged merge(struct rt_ctx *ctx, const char *from,
                                 const char *adapter, const char *to, enum fmt_dtype type)
{
    struct quant_merged made;
    if (quant_merge(ctx, from, adapter, to, type, false, &made) != RT_OK)
        fail_msg("%s: %s", from, ctx->message);
    return made;
}

/* Values of a matrix in double: the source's, and the adapter's added. */
static void expect_matrix(struct fmt_model *source, struct fmt_model *merged,
                          const struct fmt_adapter *adapter, uint32_t layer, int module,
                          enum fmt_dtype type)
{
    char name[128];
    uint32_t out, in;
    static float w[VALUES_MAX], got[VALUES_MAX];
    const struct fmt_lora *l =
        &adapter->lora[layer * FMT_MODULE_COUNT + (uint32_t)module];
    fmt_module_size(fmt_model_config(source), (enum fmt_module)module, &out, &in);
    assert_true((size_t)out * in <= VALUES_MAX);
    snprintf(name, sizeof name, "model.layers.%u.%s", layer, fmt_module_path[module]);
    assert_int_equal(fmt_weight_floats(source, name, out, in, w), RT_OK);
    assert_int_equal(fmt_weight_floats(merged, name, out, in, got), RT_OK);
    /* half a unit in the last place: 2^-11, 2^-8 or 2^-24 of the value at most; below 2^-14 of F16 a
     * fixed step */
    const double step = type == FMT_F16 ? 0x1p-11 : type == FMT_BF16 ? 0x1p-8 : 0x1p-24;
    const double least = type == FMT_F16 ? 0x1p-25 : 0;
    for (uint32_t r = 0; r < out; r++)
        for (uint32_t k = 0; k < in; k++) {
            double sum = 0;
            for (uint32_t j = 0; j < l->rank; j++)
                sum += (double)l->b[r * l->rank + j] * (double)l->a[j * in + k];
            const double want = (double)w[r * in + k] + (double)l->scale * sum;
            const double error = fabs((double)got[r * in + k] - want);
            if (!(error <= step * fabs(want) * 1.001 + least))
                fail_msg("%s [%u][%u]: %.9g for %.9g", name, r, k,
                         (double)got[r * in + k], want);
        }
}

static void check_values(struct rt_ctx *ctx, const char *from, enum fmt_dtype type)
{
    struct test_folder folder;
    struct fmt_model *source = NULL, *merged = NULL;
    struct fmt_adapter *adapter = NULL;
    test_folder_init(&folder);
    const char *to = test_folder_file(&folder, "merged");
    const struct quant_merged made = merge(ctx, from, path_of(ADAPTER), to, type);
    assert_int_equal(fmt_model_open(ctx, from, &source), RT_OK);
    assert_int_equal(fmt_model_open(ctx, to, &merged), RT_OK);
    assert_int_equal(
        fmt_adapter_read(ctx, path_of(ADAPTER), fmt_model_config(source), &adapter),
        RT_OK);
    assert_false(fmt_model_config(merged)->quantization.present);
    assert_int_equal(made.matrices, adapter->layers * FMT_MODULE_COUNT);
    assert_true(made.adapted > 0 && made.adapted <= made.matrices);
    assert_true(type == FMT_F32 ? made.rounding == 0
                                : made.rounding > 0 && made.rounding < 0x1p-8);
    for (uint32_t l = 0; l < adapter->layers; l++)
        for (int m = 0; m < FMT_MODULE_COUNT; m++)
            expect_matrix(source, merged, adapter, l, m, type);
    fmt_adapter_destroy(&adapter);
    fmt_model_close(&source);
    fmt_model_close(&merged);
    test_folder_deinit(&folder);
}

static void every_value_is_the_sum_rounded_once(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    test_ctx(&ctx);
    for (size_t i = 0; i < RT_COUNT(sources); i++) {
        char from[1024];
        test_path(from, sizeof from, sources[i]);
        check_values(&ctx, from, FMT_F32);
        check_values(&ctx, from, FMT_F16);
        check_values(&ctx, from, FMT_BF16);
    }
}

/* ---- on a device ---- */

static float *logits_of(struct rt_device *dev, const char *folder, bool adapted,
                        uint32_t *count)
{
    uint32_t ids[TOKENS];
    struct rt_model *model = NULL;
    struct rt_scorer *scorer = NULL;
    for (uint32_t i = 0; i < TOKENS; i++)
        ids[i] = 3 + 7 * i % 200;
    if (rt_model_load(dev, folder, 32, &model) != RT_OK)
        fail_msg("%s: %s", folder, rt_device_ctx(dev)->message);
    struct rt_adapter *adapter = adapted ? test_golden_adapter(model) : NULL;
    *count = TOKENS * rt_model_config(model)->vocab;
    float *logits = calloc(*count, sizeof *logits);
    assert_non_null(logits);
    if (rt_scorer_create(model, adapter, NULL, TOKENS, &scorer) != RT_OK ||
        rt_scorer_logits(scorer, ids, TOKENS, logits) != RT_OK)
        fail_msg("%s: %s", folder, rt_device_ctx(dev)->message);
    rt_scorer_destroy(&scorer);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
    return logits;
}

static double largest_difference(const float *a, const float *b, uint32_t count)
{
    double most = 0;
    for (uint32_t i = 0; i < count; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        most = d > most || isnan(d) ? d : most;
    }
    return most;
}

static void check_logits(struct rt_device *dev, const char *name, const char *from,
                         bool adapted)
{
    struct test_folder folder;
    uint32_t count, n;
    test_folder_init(&folder);
    const char *to = test_folder_file(&folder, "merged");
    merge(rt_device_ctx(dev), from, adapted ? path_of(ADAPTER) : NULL, to, FMT_F32);
    float *beside = logits_of(dev, from, adapted, &count);
    float *merged = logits_of(dev, to, false, &n);
    float *without = logits_of(dev, from, false, &n);
    assert_int_equal(n, count);
    const double error = largest_difference(beside, merged, count);
    const double effect = largest_difference(beside, without, count);
    printf("    %s, %s: logits differ by %.2g, the adapter makes %.2g\n", name,
           strrchr(from, '/') + 1, error, effect);
    assert_true(adapted ? effect > 1e-3 : effect <= 0);
    assert_true(error < 2e-5);
    free(beside);
    free(merged);
    free(without);
    test_folder_deinit(&folder);
}

static void logits_are_those_of_both(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_device devices[8];
    test_ctx(&ctx);
    const uint32_t n = test_devices(devices, 8);
    for (uint32_t d = 0; d < n; d++) {
        struct rt_device *dev = test_device_open(&ctx, &devices[d]);
        for (size_t i = 0; i < RT_COUNT(sources); i++) {
            char from[1024];
            test_path(from, sizeof from, sources[i]);
            check_logits(dev, devices[d].name, from, true);
            if (i > 0)
                check_logits(dev, devices[d].name, from, false);
        }
        rt_device_destroy(&dev);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct quant_merged made;
    char model[1024], adapter[1024];
    test_folder_init(&folder);
    test_path(model, sizeof model, sources[0]);
    test_path(adapter, sizeof adapter, ADAPTER);
    const char *to = test_folder_file(&folder, "merged");
    test_refused(&ctx, quant_merge(&ctx, model, "missing", to, FMT_F16, false, &made),
                 RT_ERR_INPUT, "missing", NULL);
    test_refused(&ctx,
                 quant_merge(&ctx, model, path_of("tests/golden/lora/llama-tiny/plain"),
                             to, FMT_F16, false, &made),
                 RT_ERR_INPUT, "llama-tiny", NULL);
    test_refused(&ctx, quant_merge(&ctx, model, adapter, model, FMT_F16, true, &made),
                 RT_ERR_USAGE, "is the model that is read", NULL);
    merge(&ctx, model, adapter, to, FMT_F16);
    test_refused(&ctx, quant_merge(&ctx, model, adapter, to, FMT_F16, false, &made),
                 RT_ERR_USAGE, "--force", NULL);
    char slash[128]; /* a folder named with a slash is the same folder */
    snprintf(slash, sizeof slash, "%s/", test_folder_file(&folder, "other"));
    merge(&ctx, model, adapter, slash, FMT_F16);
    struct stat entry; /* nothing is left beside it */
    assert_int_not_equal(stat(test_folder_file(&folder, "merged.part"), &entry), 0);
    assert_int_not_equal(stat(test_folder_file(&folder, "other.part"), &entry), 0);
    assert_int_not_equal(stat(test_folder_file(&folder, "other/.part"), &entry), 0);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_the_sum_rounded_once),
        cmocka_unit_test(logits_are_those_of_both),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("merged models", tests, NULL, NULL);
}

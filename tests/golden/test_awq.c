/* AWQ against a reference in float64 that keeps inputs token by token (make_awq.py): the
 * ratio that is chosen, its factors, the codes after the search for ranges, and their error. A folder
 * whose norms and matrices have taken over factors computes what the model does. */
#include "runtime/observe/score.h"
#include "runtime/quant/awq.h"
#include "runtime/quant/folder.h"
#include "tests/support/calibrated.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t number(const json_t *c, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(c, key));
}

static bool near(float value, const json_t *c, const char *key)
{
    return fabs((double)value - json_number_value(json_object_get(c, key))) < 1e-5;
}

static void expect_case(const json_t *c, const uint8_t *expected, uint64_t *equal,
                        size_t *count)
{
    struct rt_ctx ctx = { 0 };
    struct test_calibrated e;
    uint32_t out[MODEL_PARTS_MAX];
    const json_t *outs = json_object_get(c, "outs");
    for (size_t p = 0; p < json_array_size(outs); p++)
        out[p] = (uint32_t)json_integer_value(json_array_get(outs, p));
    const struct quant_options o = { .bits = number(c, "bits"),
                                     .group = number(c, "group"),
                                     .asymmetric =
                                         json_is_true(json_object_get(c, "asym")) };
    test_calibrated_init(&e, out, (uint32_t)json_array_size(outs), number(c, "in"),
                         number(c, "tokens"));
    float *factors = malloc(e.in * sizeof *factors);
    assert_non_null(factors);
    assert_int_equal(quant_awq_scale(&ctx, &o, e.matrix, e.parts, e.means, factors),
                     RT_OK);
    if (!near(factors[0], c, "first") || !near(factors[e.in - 1], c, "last"))
        fail_msg("%u bits, group %u, in %u: factors %.7g .. %.7g are of another ratio",
                 o.bits, o.group, e.in, (double)factors[0], (double)factors[e.in - 1]);
    *count = (size_t)e.out[0] * e.in;
    for (size_t i = 0; i < *count; i++)
        e.w[0][i] *= factors[i % e.in];
    e.matrix[0].divisors = factors;
    assert_int_equal(quant_awq(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    double error;
    assert_int_equal(quant_objective(&ctx, &o, &e.matrix[0], &e.codes, &error), RT_OK);
    const double expected_error = json_number_value(json_object_get(c, "objective"));
    assert_true(fabs(error - expected_error) <= 1e-4 * expected_error);
    for (size_t i = 0; i < *count; i++)
        *equal += e.codes.codes[i] == expected[i];
    free(factors);
    test_calibrated_deinit(&e);
}

static void factors_and_codes_equal_the_reference(void **state)
{
    (void)state;
    char path[1024];
    size_t size, at = 0, count;
    uint64_t equal = 0;
    json_t *cases = json_load_file(
        test_path(path, sizeof path, "tests/golden/quant/awq.json"), 0, NULL);
    uint8_t *codes = (uint8_t *)test_file_read(
        test_path(path, sizeof path, "tests/golden/quant/awq.codes"), &size);
    assert_int_equal(json_array_size(cases), 28);
    for (size_t i = 0; i < json_array_size(cases); i++, at += count)
        expect_case(json_array_get(cases, i), codes + at, &equal, &count);
    assert_int_equal(at, size);
    printf("    %llu of %zu codes equal\n", (unsigned long long)equal, size);
    assert_true((double)equal >= 0.999 * (double)size);
    json_decref(cases);
    free(codes);
}

/* Tokens may have weights: errors are means by these, not by tokens. */
static void the_objective_is_a_mean_by_weight(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_calibrated e;
    double error;
    const struct quant_options o = { .bits = 3, .asymmetric = true }; /* one sweep */
    test_calibrated_init(&e, (const uint32_t[]){ 8 }, 1, 64, 70);
    e.moment.weight = 17.5;
    assert_int_equal(quant_awq(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    assert_int_equal(quant_objective(&ctx, &o, &e.matrix[0], &e.codes, &error), RT_OK);
    assert_true(fabs(e.codes.objective - error) <= 1e-4 * error);
    test_calibrated_deinit(&e);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct test_calibrated e;
    float factors[64];
    const struct quant_options o = { .bits = 4, .group = 32 };
    test_calibrated_init(&e, (const uint32_t[]){ 8, 16 }, 2, 64, 70);
    rt_status st = RT_ERR_HOST_MEMORY;
    for (uint64_t n = 1; st != RT_OK; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        assert_true(n < 2000);
        st = quant_awq_scale(&ctx, &o, e.matrix, 2, e.means, factors);
        if (st == RT_OK)
            st = quant_awq(&ctx, &o, &e.matrix[1], &e.codes);
        assert_true(st == RT_OK || st == RT_ERR_HOST_MEMORY);
    }
    test_calibrated_deinit(&e);
}

/* ---- folders ---- */

enum { TOKENS = 48 };

/* Logits of the last of some tokens by a folder; *vocab of them, owned by the caller. */
static float *logits_of(struct rt_device *dev, const char *folder, const uint32_t *ids,
                        uint32_t *vocab)
{
    struct rt_model *model = NULL;
    struct rt_scorer *scorer = NULL;
    if (rt_model_load(dev, folder, 64, &model) != RT_OK ||
        rt_scorer_create(model, NULL, NULL, 64, &scorer) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    *vocab = rt_model_config(model)->vocab;
    float *logits = malloc((size_t)TOKENS * *vocab * sizeof *logits);
    assert_int_equal(rt_scorer_logits(scorer, ids, TOKENS, logits), RT_OK);
    rt_scorer_destroy(&scorer);
    rt_model_destroy(&model);
    return logits;
}

/* Root of the mean squared difference of logits after quantizing by a method. */
static double damage(struct rt_device *dev, const char *from, const char *to,
                     const char *method)
{
    uint32_t ids[TOKENS], vocab;
    uint8_t mask[TOKENS] = { 0 };
    struct quant_report report;
    struct rt_model *model = NULL;
    double sum = 0;
    if (rt_model_load(dev, from, 64, &model) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    for (uint32_t t = 0; t < TOKENS; t++)
        ids[t] = (t * 7 + t * t) % rt_model_config(model)->vocab;
    const struct train_sequence sequence = { .ids = ids, .mask = mask, .n = TOKENS };
    const struct quant_calibration c = { .model = model,
                                         .sequences = &sequence,
                                         .count = 1 };
    const struct quant_options o = {
        .bits = 3, .group = 32, .asymmetric = true, .method = quant_method_find(method)
    };
    if (quant_folder(rt_device_ctx(dev), from, to, &o, &c, false, &report) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    rt_model_destroy(&model);
    float *full = logits_of(dev, from, ids, &vocab);
    float *quant = logits_of(dev, to, ids, &vocab);
    for (size_t i = 0; i < (size_t)TOKENS * vocab; i++)
        sum += pow((double)full[i] - (double)quant[i], 2);
    free(full);
    free(quant);
    return sqrt(sum / ((double)TOKENS * vocab));
}

static bool norms_differ(struct rt_ctx *ctx, const char *a, const char *b)
{
    struct fmt_model *m[2] = { NULL, NULL };
    float v[2][256];
    bool differ = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fmt_model_open(ctx, i ? b : a, &m[i]), RT_OK);
        const uint32_t n = fmt_model_config(m[i])->hidden;
        assert_true(n <= 256);
        assert_int_equal(
            fmt_tensor_f32(m[i], "model.layers.0.input_layernorm.weight", n, v[i]),
            RT_OK);
        for (uint32_t k = 0; i && k < n; k++)
            differ |= v[0][k] != v[1][k];
        fmt_model_close(&m[i]);
    }
    return differ;
}

/* Biases and shared heads; norms of heads; as many heads of v as of q, so that o has
 * factors too. A factor that is not taken over everywhere breaks the model. */
static void a_folder_computes_what_the_model_does(void **state)
{
    (void)state;
    static const char *const names[] = { "qwen2-tiny", "qwen3-tiny",
                                         "llama-tiny-linear" };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        struct rt_ctx ctx;
        struct rt_device *dev = NULL;
        struct test_folder to;
        char relative[128], from[1024];
        const struct rt_device_options options = { .name = "ref" };
        test_ctx(&ctx);
        test_folder_init(&to);
        snprintf(relative, sizeof relative, "tests/golden/models/%s", names[i]);
        test_path(from, sizeof from, relative);
        assert_int_equal(rt_device_create(&ctx, &options, &dev), RT_OK);
        const double rtn = damage(dev, from, test_folder_file(&to, "rtn"), "rtn");
        const double gptq = damage(dev, from, test_folder_file(&to, "gptq"), "gptq");
        const double awq = damage(dev, from, test_folder_file(&to, "awq"), "awq");
        printf("    %-20s logits off by: rtn %.4f, gptq %.4f, awq %.4f\n", names[i], rtn,
               gptq, awq);
        assert_true(awq < 1.1 * rtn && gptq < 1.1 * rtn);
        assert_true(norms_differ(&ctx, from, test_folder_file(&to, "awq")));
        rt_device_destroy(&dev);
        test_folder_deinit(&to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_and_codes_equal_the_reference),
        cmocka_unit_test(the_objective_is_a_mean_by_weight),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(a_folder_computes_what_the_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

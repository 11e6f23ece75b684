/* SmoothQuant and W8A8 against a reference in float64 and whole numbers
 * (make_smoothquant.py): the exponent that is chosen, its factors and error, codes of weights
 * and inputs, scales, sums, what rounding costs. A token of massive activations does not
 * decide. Inputs whose rounding costs too much stay floats, and the folder says so. Folders
 * compute what the model does, and in floats if asked for. Devices: test_int8_devices.c. */
#include "runtime/engine/engine.h"
#include "runtime/observe/score.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/int8.h"
#include "runtime/quant/rtn.h"
#include "runtime/quant/smoothquant.h"
#include "runtime/ref/ref.h"
#include "tests/support/calibrated.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/int8_folders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *c, const char *key)
{
    return json_number_value(json_object_get(c, key));
}

/* What the op makes of a row: the same codes and scale as the search assumed. */
static void expect_op(const float *x, uint32_t in, float given, const double *codes,
                      float scale)
{
    uint32_t q[80] = { 0 };
    float s;
    const struct quantize_push push = {
        .rows = 1, .cols = in, .ldx = in, .ldq = in / 4 + 4, .given = given != 0
    };
    void *const bindings[] = { (void *)(uintptr_t)x, &given, q };
    assert_true(in / 4 + 4 <= RT_COUNT(q));
    ref_table[RT_OP_quantize](&push, bindings);
    memcpy(&s, &q[in / 4], sizeof s);
    assert_true(s == scale);
    for (uint32_t k = 0; k < in; k++) {
        const uint32_t byte = q[k / 16 * 4 + k % 4] >> 8 * (k % 16 / 4) & 255u;
        assert_int_equal((int8_t)byte, (int)codes[k]);
    }
}

/* Codes of inputs and their sums with the codes of the first matrix, of three rows. */
static size_t expect_rows(const json_t *c, const struct test_calibrated *e,
                          const float *factors, float given, const int8_t *expected)
{
    enum { ROWS = 3 };
    const size_t in = e->in, out = e->out[0];
    const int8_t *sums = expected + ROWS * in;
    for (size_t r = 0; r < ROWS; r++) {
        double codes[288];
        float x[288], scale;
        assert_true(in <= RT_COUNT(codes));
        quant_int8_row(e->sample + r * in, factors, e->in, given, codes, &scale);
        for (size_t k = 0; k < in; k++) {
            x[k] = e->sample[r * in + k] / factors[k];
            assert_int_equal((int)codes[k], expected[r * in + k]);
        }
        assert_true((double)scale ==
                    json_number_value(json_array_get(json_object_get(c, "scales"), r)));
        expect_op(x, e->in, given, codes, scale);
        for (size_t o = 0; o < out; o++) {
            int32_t sum = 0, wanted;
            memcpy(&wanted, sums + 4 * (r * out + o), sizeof wanted);
            for (size_t k = 0; k < in; k++)
                sum += (int)codes[k] * (e->codes.codes[o * in + k] - 128);
            assert_int_equal(sum, wanted);
        }
    }
    return ROWS * (in + 4 * out);
}

/* What rounding costs, inputs and weights apart. */
static void expect_costs(const json_t *c, const struct quant_options *o,
                         const struct test_calibrated *e, const float *factors)
{
    struct rt_ctx ctx = { 0 };
    struct quant_int8_costs costs;
    assert_int_equal(quant_int8_costs_of(&ctx, o, e->matrix, e->parts, factors, &costs),
                     RT_OK);
    assert_true(fabs(costs.inputs / number(c, "inputs") - 1) < 1e-9);
    assert_true(fabs(costs.weights / number(c, "weights") - 1) < 1e-9);
}

static size_t expect_case(const json_t *c, const int8_t *expected)
{
    struct rt_ctx ctx = { 0 };
    struct test_calibrated e;
    uint32_t out[MODEL_PARTS_MAX];
    double error = 0, one;
    const json_t *outs = json_object_get(c, "outs");
    const bool given = json_is_true(json_object_get(c, "static"));
    for (size_t p = 0; p < json_array_size(outs); p++)
        out[p] = (uint32_t)json_integer_value(json_array_get(outs, p));
    struct quant_options o = { .bits = 8,
                               .nearest = true,
                               .inputs = given ? QUANT_INPUTS_GIVEN : QUANT_INPUTS_ROWS };
    test_calibrated_init(&e, out, (uint32_t)json_array_size(outs),
                         (uint32_t)number(c, "in"), (uint32_t)number(c, "tokens"));
    float *factors = malloc(e.in * sizeof *factors);
    assert_non_null(factors);
    assert_int_equal(quant_smoothquant_scale(&ctx, &o, e.matrix, e.parts, NULL, factors),
                     RT_OK);
    expect_costs(c, &o, &e, factors);
    assert_true(fabs((double)factors[0] - number(c, "first")) < 1e-6);
    assert_true(fabs((double)factors[e.in - 1] - number(c, "last")) < 1e-6);
    for (uint32_t p = e.parts; p-- > 0;) {
        for (size_t i = 0; i < (size_t)e.out[p] * e.in; i++)
            e.w[p][i] *= factors[i % e.in];
        e.matrix[p].divisors = factors;
        assert_int_equal(quant_smoothquant(&ctx, &o, &e.matrix[p], &e.codes), RT_OK);
        assert_int_equal(quant_objective(&ctx, &o, &e.matrix[p], &e.codes, &one), RT_OK);
        error += one;
    }
    assert_true(fabs(error / number(c, "error") - 1) < 1e-9);
    const size_t count = (size_t)e.out[0] * e.in;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(e.codes.codes[i] - 128, expected[i]);
    const float scale = given ? quant_int8_given(&e.matrix[0]) : 0;
    const size_t rest = expect_rows(c, &e, factors, scale, expected + count);
    o.nearest = false;
    assert_int_equal(quant_smoothquant(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(e.codes.codes[i] - 128, expected[count + rest + i]);
    free(factors);
    test_calibrated_deinit(&e);
    return 2 * count + rest;
}

static void all_of_it_equals_the_reference(void **state)
{
    (void)state;
    char path[1024];
    size_t size, at = 0;
    json_t *cases = json_load_file(
        test_path(path, sizeof path, "tests/golden/quant/smoothquant.json"), 0, NULL);
    char *codes = test_file_read(
        test_path(path, sizeof path, "tests/golden/quant/smoothquant.codes"), &size);
    assert_int_equal(json_array_size(cases), 6);
    for (size_t i = 0; i < json_array_size(cases); i++)
        at += expect_case(json_array_get(cases, i), (const int8_t *)codes + at);
    assert_int_equal(at, size);
    json_decref(cases);
    free(codes);
}

/* Relative error of all tokens of the sample but one. */
static double error_without(const struct test_calibrated *e,
                            const struct quant_options *o, const float *factors,
                            uint32_t left_out)
{
    struct rt_ctx ctx = { 0 };
    struct test_calibrated scaled = *e;
    struct quant_int8_token tokens[OBSERVE_SAMPLED] = { 0 };
    float *w = malloc((size_t)e->out[0] * e->in * sizeof *w);
    for (size_t i = 0; i < (size_t)e->out[0] * e->in; i++)
        w[i] = e->w[0][i] * factors[i % e->in];
    scaled.matrix[0].w = w;
    scaled.matrix[0].divisors = factors;
    assert_int_equal(quant_rtn(&ctx, o, &scaled.matrix[0], &scaled.codes), RT_OK);
    assert_int_equal(quant_int8_tokens(&ctx, o, &scaled.matrix[0], &scaled.codes, tokens),
                     RT_OK);
    tokens[left_out] = (struct quant_int8_token){ 0 };
    free(w);
    return quant_int8_relative(tokens, e->seen.sampled);
}

/* One token of the sample has activations a few thousand times those of others, in two
 * columns (arXiv 2402.17762): the rest is not rounded coarsely for its sake. */
static void a_massive_token_does_not_decide(void **state)
{
    (void)state;
    enum { TOKEN = 5, IN = 96 };
    struct rt_ctx ctx = { 0 };
    struct test_calibrated e;
    float plain[IN], factors[IN];
    const struct quant_options o = { .bits = 8, .inputs = QUANT_INPUTS_ROWS };
    test_calibrated_init(&e, (const uint32_t[]){ 48 }, 1, IN, 300);
    assert_int_equal(quant_smoothquant_scale(&ctx, &o, e.matrix, 1, NULL, plain), RT_OK);
    const double before = error_without(&e, &o, plain, TOKEN);
    for (uint32_t k = 20; k < 40; k += 13)
        e.maxima[k] = e.sample[TOKEN * IN + k] = 4000.0f + (float)k;
    assert_int_equal(quant_smoothquant_scale(&ctx, &o, e.matrix, 1, NULL, factors),
                     RT_OK);
    const double after = error_without(&e, &o, factors, TOKEN);
    printf("    relative error of the other tokens %.3g, without a massive one %.3g\n",
           after, before);
    assert_true(after < 4 * before);
    test_calibrated_deinit(&e);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct test_calibrated e;
    float factors[64];
    const struct quant_options o = { .bits = 8, .inputs = QUANT_INPUTS_ROWS };
    test_calibrated_init(&e, (const uint32_t[]){ 8, 16 }, 2, 64, 70);
    rt_status st = RT_ERR_HOST_MEMORY;
    for (uint64_t n = 1; st != RT_OK; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        assert_true(n < 500);
        st = quant_smoothquant_scale(&ctx, &o, e.matrix, 2, NULL, factors);
        assert_true(st == RT_OK || st == RT_ERR_HOST_MEMORY);
    }
    st = RT_ERR_HOST_MEMORY;
    for (uint64_t n = 1; st != RT_OK; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        struct quant_int8_costs costs;
        assert_true(n < 500);
        st = quant_int8_costs_of(&ctx, &o, e.matrix, 2, factors, &costs);
        assert_true(st == RT_OK || st == RT_ERR_HOST_MEMORY);
    }
    test_calibrated_deinit(&e);
}

/* ---- folders ---- */

/* Biases and shared heads; norms of heads; as many heads of v as of q. */
static void a_folder_computes_what_the_model_does(void **state)
{
    (void)state;
    static const char *const names[] = { "qwen2-tiny", "qwen3-tiny",
                                         "llama-tiny-linear" };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        struct rt_ctx ctx;
        struct test_folder to;
        struct quant_report report;
        char relative[128], from[1024], folder[4][1024];
        test_ctx(&ctx);
        test_folder_init(&to);
        snprintf(relative, sizeof relative, "tests/golden/models/%s", names[i]);
        test_path(from, sizeof from, relative);
        struct rt_device *dev = test_int8_ref(&ctx, false),
                         *floats = test_int8_ref(&ctx, true);
        const struct {
            const char *name, *method;
            enum quant_inputs inputs;
        } made[] = { { "w8", "rtn", QUANT_INPUTS_FLOATS },
                     { "w8a8", "rtn", QUANT_INPUTS_ROWS },
                     { "smooth", "smoothquant", QUANT_INPUTS_ROWS },
                     { "static", "smoothquant", QUANT_INPUTS_GIVEN } };
        double off[4];
        for (size_t m = 0; m < RT_COUNT(made); m++) {
            snprintf(folder[m], sizeof folder[m], "%s",
                     test_folder_file(&to, made[m].name));
            test_int8_quantize(dev, from, folder[m], made[m].method, made[m].inputs, 0,
                               &report);
            off[m] = test_int8_apart(dev, from, dev, folder[m]);
        }
        const double in_floats = test_int8_apart(dev, from, floats, folder[2]);
        printf("    %-20s logits off by: w8 %.5f, w8a8 %.5f, smoothquant %.5f (in "
               "floats %.5f), static %.5f\n",
               names[i], off[0], off[1], off[2], in_floats, off[3]);
        assert_true(off[2] < 1.2 * off[1] && off[3] < 2 * off[1] && off[1] < 6 * off[0]);
        assert_true(in_floats < off[2]);
        /* without smoothing, in floats: the codes of weights alone */
        assert_true(test_int8_apart(dev, folder[0], floats, folder[1]) == 0);
        rt_device_destroy(&dev);
        rt_device_destroy(&floats);
        test_folder_deinit(&to);
    }
}

/* Weights, format and targets of the groups of config.json. */
static void expect_groups(const char *folder, const char *format, size_t rounded,
                          size_t in_floats)
{
    char path[1200];
    const char *name;
    json_t *group;
    size_t targets[2] = { 0 };
    snprintf(path, sizeof path, "%s/config.json", folder);
    json_t *root = json_load_file(path, 0, NULL);
    const json_t *config = json_object_get(root, "quantization_config");
    assert_string_equal(json_string_value(json_object_get(config, "format")), format);
    json_object_foreach(json_object_get(config, "config_groups"), name, group)
    {
        const bool is_float = json_is_null(json_object_get(group, "input_activations"));
        assert_string_equal(json_string_value(json_object_get(group, "format")),
                            is_float ? "pack-quantized" : "int-quantized");
        targets[is_float] = json_array_size(json_object_get(group, "targets"));
    }
    assert_int_equal(targets[0], rounded);
    assert_int_equal(targets[1], in_floats);
    json_decref(root);
}

/* Matrices that read one input stay alike, since engines fuse them. */
static void costly_inputs_stay_floats(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder to;
    struct quant_report none, some, all;
    char from[1024], folder[3][1024];
    test_ctx(&ctx);
    test_folder_init(&to);
    test_path(from, sizeof from, "tests/golden/models/qwen2-tiny");
    struct rt_device *dev = test_int8_ref(&ctx, false),
                     *floats = test_int8_ref(&ctx, true);
    for (int i = 0; i < 3; i++)
        snprintf(folder[i], sizeof folder[i], "%s",
                 test_folder_file(&to, i == 0   ? "none"
                                       : i == 1 ? "some"
                                                : "all"));
    test_int8_quantize(dev, from, folder[0], "smoothquant", QUANT_INPUTS_ROWS, 1e6,
                       &none);
    test_int8_quantize(dev, from, folder[1], "smoothquant", QUANT_INPUTS_ROWS, 1.0,
                       &some);
    test_int8_quantize(dev, from, folder[2], "smoothquant", QUANT_INPUTS_ROWS, 1e-6,
                       &all);
    assert_int_equal(none.float_matrices, 0);
    assert_true(some.float_matrices > 0 && some.float_matrices < some.matrices);
    assert_true(some.float_weights > 0 && some.float_weights < some.weights);
    assert_int_equal(all.float_matrices, all.matrices);
    expect_groups(folder[0], "int-quantized", 1, 0);
    expect_groups(folder[1], "mixed-precision", some.matrices - some.float_matrices,
                  some.float_matrices);
    expect_groups(folder[2], "pack-quantized", 0, all.matrices);
    const double off[] = { test_int8_apart(dev, from, dev, folder[0]),
                           test_int8_apart(dev, from, dev, folder[1]),
                           test_int8_apart(dev, from, dev, folder[2]) };
    printf("    %u, %u, %u of %u matrices with float inputs: logits off by %.5f, %.5f, "
           "%.5f\n",
           none.float_matrices, some.float_matrices, all.float_matrices, all.matrices,
           off[0], off[1], off[2]);
    assert_true(off[2] < off[1] && off[1] < off[0]);
    assert_true(test_int8_apart(dev, folder[2], floats, folder[2]) == 0);
    assert_true(test_int8_apart(dev, folder[1], floats, folder[1]) > 0);
    rt_device_destroy(&dev);
    rt_device_destroy(&floats);
    test_folder_deinit(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_equals_the_reference),
        cmocka_unit_test(a_massive_token_does_not_decide),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(a_folder_computes_what_the_model_does),
        cmocka_unit_test(costly_inputs_stay_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

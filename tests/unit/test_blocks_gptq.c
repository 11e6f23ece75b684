/* Blocks of GGUF types by GPTQ against the paper's own form in double: the inverse of the
 * moment, its columns eliminated one by one, and the nearest of all values of a group. */
#include "runtime/op/weight.h"
#include "runtime/quant/blocks_gptq.h"
#include "tests/support/calibrated.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUT = 24, IN = 256, TOKENS = 600 };

static const char *const types[] = { "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0",   "Q4_K",
                                     "Q4_1", "Q4_0", "Q3_K", "Q2_K", "IQ4_NL", "IQ4_XS" };

/* The inverse of the damped moment by Gauss and Jordan; h is lost. */
static void invert(double *h, double *inverse)
{
    for (size_t i = 0; i < IN * IN; i++)
        inverse[i] = i / IN == i % IN;
    for (size_t p = 0; p < IN; p++) {
        const double by = h[p * IN + p];
        for (size_t k = 0; k < IN; k++) {
            h[p * IN + k] /= by;
            inverse[p * IN + k] /= by;
        }
        for (size_t r = 0; r < IN; r++) {
            const double f = h[r * IN + p];
            for (size_t k = 0; r != p && k < IN; k++) {
                h[r * IN + k] -= f * h[p * IN + k];
                inverse[r * IN + k] -= f * inverse[p * IN + k];
            }
        }
    }
}

/* steps[j][k]: what column k takes per unit of the error of column j before it. */
static void make_steps(const struct test_calibrated *e, double *steps)
{
    double mean = 0;
    double *h = malloc(sizeof *h * IN * IN), *u = malloc(sizeof *u * IN * IN);
    for (size_t i = 0; i < IN * IN; i++)
        h[i] = (double)e->h[i] / TOKENS;
    for (size_t k = 0; k < IN; k++)
        mean += h[k * IN + k] / IN;
    for (size_t k = 0; k < IN; k++)
        h[k * IN + k] += QUANT_DAMPING * mean;
    invert(h, u);
    for (size_t j = 0; j < IN; j++) {
        for (size_t k = 0; k < IN; k++)
            steps[j * IN + k] = u[j * IN + k] / u[j * IN + j];
        for (size_t r = j + 1; r < IN; r++) { /* without column j */
            const double f = u[r * IN + j];
            for (size_t k = j; k < IN; k++)
                u[r * IN + k] -= f * steps[j * IN + k];
        }
    }
    free(h);
    free(u);
}

/* The code of the value of its group that is nearest. */
static uint8_t nearest(const struct fmt_block_type *type, float scale, float zero,
                       double wanted, double *value)
{
    uint8_t best = 0;
    const uint32_t least = type->id == FMT_BLOCK_ID_Q8_0; /* -128 is left out */
    *value = INFINITY;
    for (uint32_t c = least; c < 1u << type->bits; c++) {
        const double v = (double)rt_weight_decode(type->form, c, scale, zero);
        if (fabs(v - wanted) < fabs(*value - wanted)) {
            *value = v;
            best = (uint8_t)c;
        }
    }
    return best;
}

/* How many codes of a row are those of the reference. */
static uint32_t equal_codes(const struct fmt_block_type *type, const double *steps,
                            const float *w, const struct fmt_block *before,
                            const struct fmt_block *after)
{
    double x[IN], value;
    uint32_t equal = 0;
    const uint32_t group = rt_weight_form_group(type->form & RT_FORM_MASK);
    for (size_t k = 0; k < IN; k++)
        x[k] = (double)w[k];
    for (size_t j = 0; j < IN; j++) {
        float scale, zero;
        const size_t block = j / type->block, at = j % type->block;
        rt_weight_unpack_scale(type->form, type->bits, &before[block].scale[at / group],
                               &scale, &zero);
        const uint8_t code = nearest(type, scale, zero, x[j], &value);
        equal += code == after[block].code[at];
        for (size_t k = j + 1; k < IN; k++)
            x[k] -= (x[j] - value) * steps[j * IN + k];
    }
    return equal;
}

/* The error of the outputs of what the blocks hold. */
static double error_of(const struct fmt_block_type *type, const struct quant_matrix *m,
                       const uint8_t *blocks)
{
    struct rt_ctx ctx = { 0 };
    double error;
    float *d = malloc(sizeof *d * OUT * IN);
    fmt_block_floats(type, blocks, OUT * IN / type->block, 1, d);
    for (size_t i = 0; i < OUT * IN; i++)
        d[i] = m->w[i] - d[i];
    assert_int_equal(quant_output_error(&ctx, m, d, &error), RT_OK);
    free(d);
    return error;
}

static void make_blocks(const struct fmt_block_type *type, const float *w, uint8_t *out)
{
    for (size_t r = 0; r < OUT; r++)
        assert_true(quant_blocks_row(type, w + r * IN, NULL, IN, false,
                                     out + r * (IN / type->block * type->bytes)));
}

static void split(const struct fmt_block_type *type, const uint8_t *blocks,
                  struct fmt_block *out)
{
    for (size_t i = 0; i < OUT * IN / type->block; i++)
        fmt_block_split(type, blocks + i * type->bytes, 1, &out[i]);
}

static void check_type(const struct fmt_block_type *type, struct test_calibrated *e,
                       const double *steps)
{
    struct rt_ctx ctx = { 0 };
    bool good;
    double objective;
    uint32_t equal = 0;
    const struct quant_options o = { .natural_order = true };
    const size_t per_row = IN / type->block, count = OUT * per_row;
    uint8_t *blocks = malloc(count * type->bytes);
    struct fmt_block *before = calloc(count, sizeof *before);
    struct fmt_block *after = calloc(count, sizeof *after);
    make_blocks(type, e->w[0], blocks);
    split(type, blocks, before);
    const double searched = error_of(type, &e->matrix[0], blocks);
    assert_int_equal(
        quant_blocks_gptq(&ctx, type, &o, &e->matrix[0], blocks, &objective, &good),
        RT_OK);
    assert_true(good);
    split(type, blocks, after);
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(before[i].scale, after[i].scale, sizeof before[i].scale);
    for (size_t r = 0; r < OUT; r++)
        equal += equal_codes(type, steps, e->w[0] + r * IN, before + r * per_row,
                             after + r * per_row);
    const double error = error_of(type, &e->matrix[0], blocks);
    if (!(equal >= OUT * IN - OUT * IN / 1000))
        fail_msg("%s: %u of %u codes are those of the reference", type->name, equal,
                 OUT * IN);
    if (!(fabs(objective - error) <= 1e-3 * error && error < searched))
        fail_msg("%s: error %.6g, said %.6g; without GPTQ %.6g", type->name, error,
                 objective, searched);
    free(blocks);
    free(before);
    free(after);
}

static void codes_are_those_of_the_reference(void **state)
{
    (void)state;
    struct test_calibrated e;
    double *steps = malloc(sizeof *steps * IN * IN);
    test_calibrated_init(&e, &(const uint32_t){ OUT }, 1, IN, TOKENS);
    make_steps(&e, steps);
    for (size_t i = 0; i < RT_COUNT(types); i++)
        check_type(quant_blocks_find(types[i]), &e, steps);
    free(steps);
    test_calibrated_deinit(&e);
}

/* Inputs that are always zero: the blocks stay. */
static void a_moment_that_says_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_calibrated e;
    bool good = true;
    double objective;
    const struct quant_options o = { 0 };
    const struct fmt_block_type *type = quant_blocks_find("Q4_K");
    const size_t size = (size_t)OUT * (IN / type->block * type->bytes);
    uint8_t *blocks = malloc(size), *before = malloc(size);
    test_calibrated_init(&e, &(const uint32_t){ OUT }, 1, IN, 4);
    memset(e.h, 0, sizeof *e.h * IN * IN);
    make_blocks(type, e.w[0], blocks);
    memcpy(before, blocks, size);
    assert_int_equal(
        quant_blocks_gptq(&ctx, type, &o, &e.matrix[0], blocks, &objective, &good),
        RT_OK);
    assert_false(good);
    assert_memory_equal(before, blocks, size);
    e.h[IN + 1] = NAN; /* on the diagonal */
    const rt_status st =
        quant_blocks_gptq(&ctx, type, &o, &e.matrix[0], blocks, &objective, &good);
    test_refused(&ctx, st, RT_ERR_INPUT, "'example'", "not finite", NULL);
    free(blocks);
    free(before);
    test_calibrated_deinit(&e);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct test_calibrated e;
    bool good;
    double objective;
    const struct quant_options o = { 0 };
    const struct fmt_block_type *type = quant_blocks_find("Q4_0");
    uint8_t *blocks = malloc((size_t)OUT * (IN / type->block * type->bytes));
    test_calibrated_init(&e, &(const uint32_t){ OUT }, 1, IN, TOKENS);
    make_blocks(type, e.w[0], blocks);
    rt_status st = RT_ERR_HOST_MEMORY;
    for (uint64_t n = 1; st != RT_OK; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        assert_true(n < 100);
        st = quant_blocks_gptq(&ctx, type, &o, &e.matrix[0], blocks, &objective, &good);
        assert_true(st == RT_OK || st == RT_ERR_HOST_MEMORY);
    }
    free(blocks);
    test_calibrated_deinit(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_the_reference),
        cmocka_unit_test(a_moment_that_says_nothing),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

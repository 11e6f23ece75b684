/* Blocks of GGUF types: bytes hold what was put into them, the search is no worse than
 * rounding to nearest and within a bound, and odd rows neither crash nor spoil it. */
#include "runtime/base/philox.h"
#include "runtime/quant/blocks.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 1024, BYTES_MAX = 4 * COUNT };

/* By what the range of a group is divided: from 0, or from its least value, to the value
 * that is farthest. */
static const struct {
    const char *name;
    uint32_t group, steps;
    bool from_least;
} types[] = {
    { "Q8_0", 32, 127, false }, { "Q6_K", 16, 32, false }, { "Q5_K", 32, 31, true },
    { "Q5_1", 32, 31, true },   { "Q5_0", 32, 16, false }, { "Q4_K", 32, 15, true },
    { "Q4_1", 32, 15, true },   { "Q4_0", 32, 8, false },  { "IQ4_NL", 32, 8, false },
    { "IQ4_XS", 32, 8, false }, { "Q3_K", 16, 4, false },  { "Q2_K", 16, 3, true },
};

static double uniform(uint32_t i, uint32_t seed)
{
    return ((double)philox_word(i, 1, 2, 3, seed, 9) + 0.5) / 4294967296.0;
}

/* Normal times a factor that is large now and then. */
static float value(uint32_t i)
{
    const double radius = sqrt(-2 * log(uniform(i, 1)));
    const double normal = radius * cos(6.283185307179586 * uniform(i, 2));
    return (float)(0.02 * normal * (uniform(i, 3) < 0.02 ? 4 : 1));
}

static double error_of(const struct fmt_block_type *type, const uint8_t *bytes,
                       const float *x, const float *w)
{
    static float y[COUNT];
    double sum = 0;
    fmt_block_floats(type, bytes, COUNT / type->block, 1, y);
    for (uint32_t i = 0; i < COUNT; i++)
        sum += (w ? (double)w[i] : 1) * pow((double)x[i] - (double)y[i], 2);
    return sum;
}

/* Rounding to a step s loses s^2 / 12 in the mean. */
static double bound_of(size_t t, const float *x)
{
    double sum = 0;
    for (uint32_t i = 0; i < COUNT; i += types[t].group) {
        double low = 0, high = 0;
        for (uint32_t k = i; k < i + types[t].group; k++) {
            low = fmin(low, (double)x[k]);
            high = fmax(high, (double)x[k]);
        }
        const double range = types[t].from_least ? high - low : fmax(-low, high);
        sum += types[t].group * pow(range / types[t].steps, 2) / 12;
    }
    return sum;
}

static void bytes_hold_codes_and_scales(void **state)
{
    (void)state;
    for (size_t t = 0; t < RT_COUNT(types); t++) {
        const struct fmt_block_type *type = quant_blocks_find(types[t].name);
        const uint32_t groups = type->block / rt_weight_form_group(type->form);
        for (uint32_t seed = 0; seed < 20; seed++) {
            struct fmt_block a = { 0 }, b = { 0 };
            uint8_t bytes[256];
            /* any bytes are a block */
            for (uint32_t i = 0; i < type->bytes; i++)
                bytes[i] = (uint8_t)philox_word(i, seed, 0, 0, 5, 6);
            fmt_block_split(type, bytes, 1, &a);
            fmt_block_join(type, &a, bytes);
            fmt_block_split(type, bytes, 1, &b);
            assert_memory_equal(a.code, b.code, type->block);
            for (uint32_t g = 0; g < groups; g++)
                if (a.scale[g].d != b.scale[g].d || a.scale[g].m != b.scale[g].m ||
                    a.scale[g].s != b.scale[g].s || a.scale[g].l != b.scale[g].l)
                    fail_msg("%s seed %u: the scale of group %u changed", type->name,
                             seed, g);
        }
    }
}

static void halves_are_the_nearest(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 0x7bff; half++) {
        const float a = rt_half_to_float((uint16_t)half);
        const float b = rt_half_to_float((uint16_t)(half + 1));
        const float middle = (a + b) / 2; /* exact: both have 11 bits */
        const uint32_t even = half & 1 ? half + 1 : half;
        assert_int_equal(fmt_half_near(a), half);
        assert_int_equal(fmt_half_near(-a), half | 0x8000);
        assert_int_equal(fmt_half_near(middle), even);
        assert_int_equal(fmt_half_near(nextafterf(middle, 0)), half);
        assert_int_equal(fmt_half_near(nextafterf(middle, INFINITY)), half + 1);
    }
    assert_int_equal(fmt_half_near(65519.9f), 0x7bff);
    assert_int_equal(fmt_half_near(65520), 0x7c00);
}

static void search_is_within_its_bound(void **state)
{
    (void)state;
    static float x[COUNT], w[COUNT];
    double square = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        x[i] = value(i);
        w[i] = (float)exp(3 * uniform(i, 4)) * (i % 61 == 7 ? 200 : 1);
        square += (double)x[i] * (double)x[i];
    }
    for (size_t t = 0; t < RT_COUNT(types); t++) {
        static uint8_t found[BYTES_MAX], again[BYTES_MAX], plain[BYTES_MAX],
            weighted[BYTES_MAX];
        const struct fmt_block_type *type = quant_blocks_find(types[t].name);
        const size_t size = COUNT / type->block * type->bytes;
        assert_true(quant_blocks_row(type, x, NULL, COUNT, false, found));
        assert_true(quant_blocks_row(type, x, NULL, COUNT, false, again));
        assert_true(quant_blocks_row(type, x, NULL, COUNT, true, plain));
        assert_true(quant_blocks_row(type, x, w, COUNT, false, weighted));
        assert_memory_equal(found, again, size);
        const double e = error_of(type, found, x, NULL),
                     p = error_of(type, plain, x, NULL);
        const double ew = error_of(type, weighted, x, w),
                     e0 = error_of(type, found, x, w);
        const double most = bound_of(t, x);
        printf("    %-6s %.3e of the squares (bound %.3e), rounded to nearest %.3e; "
               "weighted %.3f of unweighted\n",
               type->name, e / square, most / square, p / square, ew / e0);
        assert_true(e <= most);
        assert_true(e < p);
        assert_true(ew < e0);
    }
}

/* Levels of a type, times a scale that a half holds, come back as they are. */
static void values_of_the_grid_stay(void **state)
{
    (void)state;
    static const char *const names[] = { "Q8_0", "Q5_0", "Q4_0" };
    static const int most[] = { 127, 15, 7 };
    for (size_t t = 0; t < RT_COUNT(names); t++) {
        float x[32], y[32];
        uint8_t bytes[64];
        const struct fmt_block_type *type = quant_blocks_find(names[t]);
        for (int i = 0; i < 32; i++)
            x[i] = 0.0078125f * (float)(i % (2 * most[t] + 1) - most[t]);
        x[31] = -0.0078125f * (float)(most[t] + (t > 0));
        assert_true(quant_blocks_row(type, x, NULL, 32, false, bytes));
        fmt_block_floats(type, bytes, 1, 1, y);
        assert_memory_equal(x, y, sizeof x);
    }
}

static void check_row(const struct fmt_block_type *type, const float *x, const float *w,
                      double most, const char *what)
{
    static uint8_t bytes[BYTES_MAX];
    static float y[COUNT];
    for (int plain = 0; plain < 2; plain++) {
        assert_true(quant_blocks_row(type, x, w, COUNT, plain, bytes));
        fmt_block_floats(type, bytes, COUNT / type->block, 1, y);
        for (uint32_t i = 0; i < COUNT; i++)
            if (!(fabs((double)y[i] - (double)x[i]) <= most))
                fail_msg("%s, %s: element %u is %g, not %g", type->name, what, i,
                         (double)y[i], (double)x[i]);
    }
}

static void odd_rows_are_no_trouble(void **state)
{
    (void)state;
    static float zeros[COUNT], same[COUNT], tiny[COUNT], spike[COUNT], large[COUNT],
        none[COUNT];
    static uint8_t bytes[BYTES_MAX];
    for (uint32_t i = 0; i < COUNT; i++) {
        same[i] = -0.75f;
        tiny[i] = (float)((int)i % 5 - 2) * 1e-30f;
        spike[i] = i % 256 == 3 ? 1000 : 0.001f;
        large[i] = i == 17 ? 1e30f : 1;
    }
    for (size_t t = 0; t < RT_COUNT(types); t++) {
        const struct fmt_block_type *type = quant_blocks_find(types[t].name);
        check_row(type, zeros, NULL, 0, "zeros");
        check_row(type, same, NULL, 0.004, "a constant");
        check_row(type, same, none, 0.004, "no importance");
        check_row(type, tiny, NULL, 1e-5, "tiny values");
        check_row(type, spike, NULL, 130, "a spike");
        assert_false(quant_blocks_row(type, large, NULL, COUNT, false, bytes));
    }
}

static void floats_are_rounded_once(void **state)
{
    (void)state;
    static const float x[] = { 1, -0.1f, 3e-8f, 65504, 0 };
    float y[RT_COUNT(x)];
    uint8_t bytes[4 * RT_COUNT(x)];
    static const char *const names[] = { "F32", "F16", "BF16" };
    static const double share[] = { 0, 0x1p-11, 0x1p-9 };
    for (size_t t = 0; t < RT_COUNT(names); t++) {
        const struct fmt_block_type *type = quant_blocks_find(names[t]);
        assert_true(quant_blocks_row(type, x, NULL, RT_COUNT(x), false, bytes));
        fmt_block_floats(type, bytes, RT_COUNT(x), 1, y);
        for (size_t i = 0; i < RT_COUNT(x); i++)
            assert_true(fabs((double)y[i] - (double)x[i]) <=
                        fmax(share[t] * fabs((double)x[i]), t == 1 ? 0x1p-25 : 0));
    }
    const float over = 65520;
    assert_false(
        quant_blocks_row(quant_blocks_find("f16"), &over, NULL, 1, false, bytes));
    assert_null(quant_blocks_find("Q9_K"));
    assert_null(quant_blocks_find("IQ2_XS")); /* read, not written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_hold_codes_and_scales),
        cmocka_unit_test(halves_are_the_nearest),
        cmocka_unit_test(search_is_within_its_bound),
        cmocka_unit_test(values_of_the_grid_stay),
        cmocka_unit_test(odd_rows_are_no_trouble),
        cmocka_unit_test(floats_are_rounded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

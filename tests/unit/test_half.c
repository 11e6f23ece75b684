/* Rounding of keys and values to halves: every half comes back as it was, every float
 * goes to the nearest, ties to even; what would be subnormal is zero, overflow is clamped.
 * Each against the definition, by the neighbours among all halves. */
#include "runtime/op/weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

enum { FIRST_NORMAL = 0x400, LARGEST = 0x7bff, SIGN = 0x8000 };

static void halves_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const uint32_t size = h & 0x7fff;
        const uint16_t got = rt_half_from_float(rt_half_to_float((uint16_t)h));
        const uint32_t wanted = size > 0x7c00          ? (h & SIGN) | 0x7e00u
                                : size >= FIRST_NORMAL ? h
                                                       : h & SIGN;
        if (got != wanted)
            fail_msg("half %04x comes back as %04x, not %04x", h, got, wanted);
    }
}

/* Between two neighbours: the middle goes to the even one, what is beside it to the
 * nearer, with either sign. */
static void ties_go_to_even(void **state)
{
    (void)state;
    for (uint16_t h = FIRST_NORMAL; h < LARGEST; h++) {
        const float low = rt_half_to_float(h), high = rt_half_to_float((uint16_t)(h + 1));
        const float middle = low + (high - low) / 2;
        const uint16_t even = (uint16_t)(h + (h & 1)), next = (uint16_t)(h + 1);
        assert_int_equal(rt_half_from_float(middle), even);
        assert_int_equal(rt_half_from_float(-middle), even | SIGN);
        assert_int_equal(rt_half_from_float(nextafterf(middle, low)), h);
        assert_int_equal(rt_half_from_float(nextafterf(middle, high)), next);
    }
}

static void ends_of_the_range(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t half;
    } cases[] = {
        { 0.0f, 0 },
        { -0.0f, SIGN },
        { 65504.0f, LARGEST },
        { 65519.0f, LARGEST },
        { 65520.0f, LARGEST }, /* would be infinite */
        { 3e38f, LARGEST },
        { -3e38f, LARGEST | SIGN },
        { INFINITY, 0x7c00 },
        { -INFINITY, 0x7c00 | SIGN },
        { 0x1p-14f, FIRST_NORMAL },
        { 0x1.ffep-15f, FIRST_NORMAL }, /* a tie, to the even one */
        { 0x1.ffdffep-15f, 0 },         /* below it */
        { -0x1p-15f, SIGN },            /* a subnormal half */
        { 1e-40f, 0 },                  /* a subnormal float */
        { 1.0f, 0x3c00 },
        { 0.1f, 0x2e66 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (rt_half_from_float(cases[i].value) != cases[i].half)
            fail_msg("%a gives %04x, not %04x", (double)cases[i].value,
                     rt_half_from_float(cases[i].value), cases[i].half);
    assert_int_equal(rt_half_from_float(NAN) & 0x7fff, 0x7e00);
}

/* Each code comes back; between two neighbours the nearer one is taken, of equals the even. */
static void numbers_of_e4m3(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x7e; c++) {
        const float low = rt_e4m3_to_float((uint8_t)c),
                    high = rt_e4m3_to_float((uint8_t)(c + 1));
        const float middle = (low + high) / 2;
        assert_int_equal(rt_e4m3_nearest(low), c);
        assert_int_equal(rt_e4m3_nearest(-high), c + 1 + 0x80);
        assert_int_equal(rt_e4m3_nearest(middle), c + (c & 1));
        assert_int_equal(rt_e4m3_nearest(nextafterf(middle, low)), c);
        assert_int_equal(rt_e4m3_nearest(nextafterf(-middle, -high)), c + 1 + 0x80);
    }
    assert_int_equal(rt_e4m3_nearest(-0.0f), 0x80);
    assert_int_equal(rt_e4m3_nearest(460.0f), 0x7e); /* 448; 464 would round up to NaN */
    assert_int_equal(rt_e4m3_nearest(3e38f), 0x7e);
    assert_int_equal(rt_e4m3_nearest(-3e38f), 0xfe);
    assert_int_equal(rt_e4m3_nearest(NAN) & 0x7f, 0x7f);
    assert_int_equal(rt_e4m3_nearest(-INFINITY), 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_round_trip),
        cmocka_unit_test(ties_go_to_even),
        cmocka_unit_test(ends_of_the_range),
        cmocka_unit_test(numbers_of_e4m3),
    };
    return cmocka_run_group_tests_name("halves", tests, NULL, NULL);
}

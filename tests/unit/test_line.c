/* The line of plain models: which of them it goes through, where it passes, and whether a
 * repair is above it. */
#include "pipeline/stats/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static void expect(const double *bits, const double *accuracy, uint32_t count, double at,
                   int below, int above, double share)
{
    struct pipe_line l;
    pipe_line_at(bits, accuracy, count, at, &l);
    if (l.below != below || l.above != above || fabs(l.share - share) > 1e-12)
        fail_msg("at %g: %d, %d, %g instead of %d, %d, %g", at, l.below, l.above, l.share,
                 below, above, share);
}

static void it_goes_through_the_best_of_their_bits(void **state)
{
    (void)state;
    /* The second is no better than the first for more bits, the last as good for fewer. */
    const double bits[] = { 2, 2.5, 4, 3, 3 }, accuracy[] = { .5, .4, .9, .7, .7 };
    expect(bits, accuracy, 5, 1.9, -1, 0, 0);
    expect(bits, accuracy, 5, 2, 0, 3, 0);
    expect(bits, accuracy, 5, 2.5, 0, 3, .5);
    expect(bits, accuracy, 5, 3.25, 3, 2, .25);
    expect(bits, accuracy, 5, 9, 2, -1, 0);
    expect(bits, accuracy, 0, 3, -1, -1, 0);
}

enum { N = 40 };

static void a_repair_is_held_against_it(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_line l;
    uint8_t low[N], high[N], repair[N];
    for (int i = 0; i < N; i++) {
        low[i] = i % 4 == 0;
        high[i] = i % 4 != 3;
        repair[i] = i % 2 == 0;
    }
    const struct pipe_line_model plain[] = { { 2, low }, { 4, high } };
    const struct pipe_line_model at2 = { 2, repair }, at3 = { 3, repair },
                                 at1 = { 1, repair }, best = { 9, low };
    assert_int_equal(pipe_line_compare(&ctx, plain, 2, &at2, N, &l), RT_OK);
    assert_true(fabs(l.difference - .25) < 1e-12 && l.interval.low > 0 && l.rival == 1);
    assert_int_equal(pipe_line_compare(&ctx, plain, 2, &at3, N, &l), RT_OK);
    assert_true(fabs(l.accuracy - .5) < 1e-12 && fabs(l.difference) < 1e-12);
    assert_int_equal(pipe_line_compare(&ctx, plain, 2, &best, N, &l), RT_OK);
    assert_true(l.below == 1 && l.interval.high < 0 && l.rival == 0);
    assert_int_equal(pipe_line_compare(&ctx, plain, 2, &at1, N, &l), RT_OK);
    assert_true(l.below == -1 && isnan(l.difference) && isnan(l.interval.low));
    memset(repair, 1, N);
    assert_int_equal(pipe_line_compare(&ctx, plain, 2, &at2, N, &l), RT_OK);
    assert_int_equal(l.rival, -1);
    assert_int_equal(pipe_line_compare(&ctx, plain, 2, &at2, 0, &l), RT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_through_the_best_of_their_bits),
        cmocka_unit_test(a_repair_is_held_against_it),
    };
    return cmocka_run_group_tests_name("line of plain models", tests, NULL, NULL);
}

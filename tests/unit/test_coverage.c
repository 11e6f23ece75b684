/* How often each interval holds the truth, by simulation. A short run by default;
 * FAULTLINE_COVERAGE=20000 (experiments a row) prints the table of docs/statistics.md. */
#include "pipeline/stats/statistics.h"
#include "runtime/base/philox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHORT = 300, N_MAX = 1319, BOOT_DRAWS = 400, SAMPLES = 4 };

static uint32_t experiments(void)
{
    const char *text = getenv("FAULTLINE_COVERAGE");
    const long given = text ? strtol(text, NULL, 10) : 0;
    return given > 0 ? (uint32_t)given : SHORT;
}

/* Uniform in [0, 1): draw i of experiment e of a row. */
static double uniform(uint32_t row, uint32_t e, uint32_t i)
{
    return philox_word(i, e, row, 0x636f76u, 20u, 26u) * 0x1p-32;
}

static bool holds(struct pipe_interval x, double truth)
{
    return x.low <= truth && truth <= x.high;
}

struct held {
    uint32_t wilson, exact, tango, boot, boot_of, means;
};

/* Experiments with accuracy p; the other model loses `lost` and gains `gained` (shares of
 * all problems). */
static struct held run(uint32_t row, uint32_t n, double p, double lost, double gained,
                       uint32_t count)
{
    static double base[N_MAX], other[N_MAX], mean[N_MAX];
    struct held h = { 0 };
    struct rt_ctx ctx = { 0 };
    for (uint32_t e = 0; e < count; e++) {
        uint32_t right = 0, b = 0, c = 0;
        for (uint32_t i = 0; i < n; i++) {
            const double u = uniform(row, e, i);
            base[i] = u < p;
            other[i] = u < p - lost || (u >= p && u < p + gained);
            right += u < p;
            b += base[i] > other[i];
            c += base[i] < other[i];
            /* a problem's own chance: even between 2p - 1 and 1, or between 0 and 2p */
            const double spread = p < 0.5 ? p : 1.0 - p;
            const double chance = p - spread + 2.0 * spread * uniform(row + 50, e, i);
            mean[i] = 0.0;
            for (uint32_t k = 0; k < SAMPLES; k++)
                mean[i] += (uniform(row + 100 + k, e, i) < chance) / (double)SAMPLES;
        }
        double average, error, difference;
        struct pipe_interval boot;
        pipe_mean_error(mean, n, &average, &error);
        h.wilson += holds(pipe_wilson(right, n), p);
        h.exact += holds(pipe_clopper_pearson(right, n), p);
        h.tango += holds(pipe_tango(c, b, n), gained - lost);
        h.means += fabs(average - p) <= 1.959963984540054 * error;
        if (e % 10 == 0) { /* a bootstrap costs what a hundred others do */
            assert_int_equal(pipe_bootstrap_difference(&ctx, base, other, n, BOOT_DRAWS,
                                                       e, &difference, &boot),
                             RT_OK);
            h.boot += holds(boot, gained - lost);
            h.boot_of++;
        }
    }
    return h;
}

/* Fails where a share of `of` is so low that chance does not explain it (5 standard
 * errors below `least`). */
static void at_least(const char *what, uint32_t n, double p, uint32_t k, uint32_t of,
                     double least)
{
    const double share = (double)k / of;
    if (!(share >= least - 5.0 * sqrt(least * (1.0 - least) / of)))
        fail_msg("%s at n %u, p %.2f: %.4f of %u hold the truth", what, n, p, share, of);
}

static void intervals_hold_what_they_say(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 30, 300, 1319 };
    static const double rows[][3] = { { 0.1, 0.03, 0.02 },
                                      { 0.5, 0.10, 0.05 },
                                      { 0.8, 0.08, 0.04 },
                                      { 0.95, 0.05, 0.02 } };
    const uint32_t count = experiments();
    if (count != SHORT)
        print_message(
            "| n | accuracy | lost / gained | Wilson | Clopper-Pearson | Tango | "
            "bootstrap | avg@4 |\n|---|---|---|---|---|---|---|---|\n");
    for (uint32_t s = 0; s < RT_COUNT(sizes); s++)
        for (uint32_t r = 0; r < RT_COUNT(rows); r++) {
            const double p = rows[r][0];
            const uint32_t n = sizes[s];
            const struct held h = run(s * 4 + r, n, p, rows[r][1], rows[r][2], count);
            if (count != SHORT)
                print_message(
                    "| %u | %.2f | %.2f / %.2f | %.1f | %.1f | %.1f | %.1f | %.1f |\n", n,
                    p, rows[r][1], rows[r][2], 100.0 * h.wilson / count,
                    100.0 * h.exact / count, 100.0 * h.tango / count,
                    100.0 * h.boot / h.boot_of, 100.0 * h.means / count);
            at_least("Clopper-Pearson", n, p, h.exact, count, 0.95);
            at_least("Wilson", n, p, h.wilson, count, 0.92);
            at_least("Tango", n, p, h.tango, count, 0.92);
            if (n >= 300) { /* both rest on many problems: see docs/statistics.md */
                at_least("bootstrap", n, p, h.boot, h.boot_of, 0.92);
                at_least("avg@k", n, p, h.means, count, 0.92);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(intervals_hold_what_they_say) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The knapsack of widths: the best of all choices, by trying them all; never above the
 * budget; what cannot fit is said. */
#include "pipeline/run/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

enum { ITEMS = 6, CHOICES = 4, ALL = 4096 /* CHOICES ^ ITEMS */ };

static double drawn(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / (1 << 24);
}

/* The least loss within the budget, by trying all; infinite: nothing fits. */
static double by_trying(const double *loss, const double *cost, double budget)
{
    double best = INFINITY;
    for (uint32_t all = 0; all < ALL; all++) {
        double sum = 0, paid = 0;
        for (uint32_t i = 0, rest = all; i < ITEMS; i++, rest /= CHOICES) {
            sum += loss[i * CHOICES + rest % CHOICES];
            paid += cost[i * CHOICES + rest % CHOICES];
        }
        if (paid <= budget && sum < best)
            best = sum;
    }
    return best;
}

static void the_choice_is_the_best_of_all(void **state)
{
    (void)state;
    uint64_t random = 7;
    struct rt_ctx ctx = { 0 };
    for (int round = 0; round < 8; round++) {
        double loss[ITEMS * CHOICES], cost[ITEMS * CHOICES], least = 0;
        uint32_t chosen[ITEMS];
        bool fits;
        for (int i = 0; i < ITEMS * CHOICES; i++) {
            /* whole shares of the budget, so that rounding up changes nothing */
            cost[i] = i % CHOICES == 0 ? 1 + floor(4 * drawn(&random))
                                       : cost[i - 1] + 1 + floor(6 * drawn(&random));
            loss[i] = drawn(&random);
            least += i % CHOICES == 0 ? cost[i] : 0;
        }
        const double budget = 64;
        assert_int_equal(
            pipe_budget_choose(&ctx, loss, cost, ITEMS, CHOICES, budget, chosen, &fits),
            RT_OK);
        assert_true(fits);
        double sum = 0, paid = 0;
        for (int i = 0; i < ITEMS; i++) {
            sum += loss[i * CHOICES + (int)chosen[i]];
            paid += cost[i * CHOICES + (int)chosen[i]];
        }
        assert_true(paid <= budget);
        assert_true(fabs(sum - by_trying(loss, cost, budget)) < 1e-12);
        assert_int_equal(pipe_budget_choose(&ctx, loss, cost, ITEMS, CHOICES, least / 2,
                                            chosen, &fits),
                         RT_OK);
        assert_false(fits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_choice_is_the_best_of_all),
    };
    return cmocka_run_group_tests_name("budget_choose", tests, NULL, NULL);
}

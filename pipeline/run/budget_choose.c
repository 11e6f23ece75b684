/* pipeline/run/budget_choose.c
 * The knapsack of choices, by dynamic programming over the budget. */
#include "pipeline/run/budget.h"

#include <math.h>
#include <string.h>

enum { UNITS = 32768 };

struct table {
    double *least;  /* [UNITS + 1]: least loss with so many units, of the items so far */
    double *next;   /* the same with one item more */
    uint8_t *taken; /* [items][UNITS + 1]: choice of the item there, 255: impossible */
};

static void add_item(struct table *t, const double *loss, const uint32_t *units,
                     uint32_t choices, uint8_t *taken)
{
    for (uint32_t u = 0; u <= UNITS; u++) {
        t->next[u] = INFINITY;
        taken[u] = UINT8_MAX;
        for (uint32_t c = 0; c < choices; c++) {
            if (units[c] > u)
                continue;
            const double sum = t->least[u - units[c]] + loss[c];
            if (sum < t->next[u]) {
                t->next[u] = sum;
                taken[u] = (uint8_t)c;
            }
        }
    }
    double *old = t->least;
    t->least = t->next;
    t->next = old;
}

static uint32_t units_of(double cost, double budget)
{
    const double units = ceil(cost / budget * UNITS);
    return units > UNITS ? UNITS + 1 : (uint32_t)units;
}

rt_status pipe_budget_choose(struct rt_ctx *ctx, const double *loss, const double *cost,
                             uint32_t items, uint32_t choices, double budget,
                             uint32_t *chosen, bool *fits)
{
    const size_t row = UNITS + 1;
    struct table t = { rt_alloc(ctx, row, sizeof(double)),
                       rt_alloc(ctx, row, sizeof(double)), rt_alloc(ctx, items, row) };
    uint32_t *units = rt_alloc(ctx, (size_t)items * choices, sizeof *units);
    const bool memory = t.least && t.next && t.taken && units;
    for (uint32_t i = 0; memory && i < items * choices; i++)
        units[i] = units_of(cost[i], budget);
    for (uint32_t i = 0; memory && i < items; i++)
        add_item(&t, loss + (size_t)i * choices, units + (size_t)i * choices, choices,
                 t.taken + i * row);
    *fits = memory && isfinite(t.least[UNITS]);
    for (uint32_t i = items, left = UNITS; *fits && i-- > 0;) {
        chosen[i] = t.taken[i * row + left];
        left -= units[(size_t)i * choices + chosen[i]];
    }
    rt_free(t.least);
    rt_free(t.next);
    rt_free(t.taken);
    rt_free(units);
    return memory ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "budget: no host memory");
}

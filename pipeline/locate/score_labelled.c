/* pipeline/locate/score_labelled.c
 * Counts per problem, and a bootstrap that draws problems with all their records. */
#include "pipeline/locate/score_labelled.h"

#include "runtime/base/philox.h"

#include <stdlib.h>
#include <string.h>

enum { DRAWS = 2000 };

/* What one problem adds to every count. */
struct tally {
    uint32_t faulty, exact, near_one, named, clean, kept;
    int64_t offset;
};

static void count_record(const struct pipe_labelled *item, int32_t said, bool known,
                         struct tally *t)
{
    if (known && item->final == PIPE_FINAL_RIGHT)
        said = -1;
    if (item->label < 0) {
        t->clean++;
        t->kept += said < 0;
        return;
    }
    t->faulty++;
    if (said < 0)
        return;
    const int32_t away = said - item->label;
    t->named++;
    t->exact += away == 0;
    t->near_one += away >= -1 && away <= 1;
    t->offset += away;
}

static void add(struct tally *to, const struct tally *t)
{
    to->faulty += t->faulty;
    to->exact += t->exact;
    to->near_one += t->near_one;
    to->named += t->named;
    to->clean += t->clean;
    to->kept += t->kept;
    to->offset += t->offset;
}

static double share(uint32_t k, uint32_t n)
{
    return n ? (double)k / n : 0.0;
}

/* Harmonic mean; where a set has only one of the two kinds, the accuracy on that. */
static double f1_of(const struct tally *t)
{
    const double a = share(t->exact, t->faulty), b = share(t->kept, t->clean);
    if (!t->faulty || !t->clean)
        return t->faulty ? a : b;
    return a + b > 0 ? 2 * a * b / (a + b) : 0.0;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct pipe_interval percentiles(double *values)
{
    qsort(values, DRAWS, sizeof *values, ascending);
    return (struct pipe_interval){ values[DRAWS / 40], values[DRAWS - 1 - DRAWS / 40] };
}

/* One draw of problems, with replacement, of two locators at once. */
static void draw(const struct tally *problems, const struct tally *base, uint32_t count,
                 uint32_t d, uint64_t seed, struct tally sums[2])
{
    sums[0] = sums[1] = (struct tally){ 0 };
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t word =
            philox_word(i, d, 0, 0x73636f72u, (uint32_t)seed, (uint32_t)(seed >> 32));
        const uint64_t at = ((uint64_t)word * count) >> 32;
        add(&sums[0], &problems[at]);
        add(&sums[1], &base[at]);
    }
}

/* values: 4 * DRAWS numbers of scratch. */
static void bootstrap(const struct tally *problems, const struct tally *base,
                      uint32_t count, uint64_t seed, double *values,
                      struct pipe_locator_score *out)
{
    struct tally sums[2];
    const struct tally *all = &sums[0];
    for (uint32_t d = 0; d < DRAWS; d++) {
        draw(problems, base, count, d, seed, sums);
        values[d] = f1_of(all);
        values[DRAWS + d] = share(all->exact, all->faulty);
        values[2 * DRAWS + d] = share(all->exact, all->named + (all->clean - all->kept));
        values[3 * DRAWS + d] = values[d] - f1_of(&sums[1]);
    }
    out->f1_interval = percentiles(values);
    out->exact_interval = percentiles(values + DRAWS);
    out->precision_interval = percentiles(values + 2 * DRAWS);
    out->more_interval = percentiles(values + 3 * DRAWS);
}

/* Counts per problem; the sum over all. */
static struct tally count_problems(const struct pipe_labelled_set *set,
                                   const struct pipe_locator_asked *a,
                                   const int32_t *said, struct tally *problems)
{
    struct tally all = { 0 };
    for (uint32_t i = 0; i < set->count; i++)
        if (!a->kind || strcmp(a->kind, set->items[i].kind) == 0)
            count_record(&set->items[i], said[i], a->known,
                         &problems[set->items[i].problem]);
    for (uint32_t p = 0; p < set->problems; p++)
        add(&all, &problems[p]);
    return all;
}

rt_status pipe_locator_score(struct rt_ctx *ctx, const struct pipe_labelled_set *set,
                             const struct pipe_locator_asked *a,
                             struct pipe_locator_score *out)
{
    rt_status st = RT_OK;
    struct tally *problems = rt_alloc(ctx, set->problems + 1u, sizeof *problems);
    struct tally *base = rt_alloc(ctx, set->problems + 1u, sizeof *base);
    double *values = rt_alloc(ctx, 4 * DRAWS, sizeof *values);
    *out = (struct pipe_locator_score){ .faulty = 0 };
    if (!problems || !base || !values) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "scoring locators: no memory");
        goto fail;
    }
    const struct tally all = count_problems(set, a, a->said, problems);
    *out = (struct pipe_locator_score){
        .faulty = all.faulty,
        .exact = all.exact,
        .near_one = all.near_one,
        .named = all.named,
        .clean = all.clean,
        .kept = all.kept,
        .offset = all.named ? (double)all.offset / all.named : 0.0,
        .f1 = f1_of(&all),
    };
    if (a->against) {
        const struct tally other = count_problems(set, a, a->against, base);
        out->more = out->f1 - f1_of(&other);
    }
    bootstrap(problems, base, set->problems, a->seed, values, out);
    if (!a->against)
        out->more_interval = (struct pipe_interval){ 0, 0 };

fail:
    rt_free(problems);
    rt_free(base);
    rt_free(values);
    return st;
}

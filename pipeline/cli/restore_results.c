/* pipeline/cli/restore_results.c
 * What came out: the table, the frozen comparisons, the page. */
#include "pipeline/cli/restore.h"

#include "pipeline/statistics.h"
#include "store/report/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double *accuracies(struct rt_ctx *ctx, const struct loop_answers *a)
{
    double *out = rt_alloc(ctx, a->count, sizeof *out);
    for (uint32_t i = 0; out && i < a->count; i++)
        out[i] = a->items[i].correct;
    return out;
}

static rt_status print_arm(struct restoring *r, const struct restore_arm *arm,
                           const double *f, const double *q)
{
    rt_status st;
    struct rt_ctx *ctx = &r->cli->ctx;
    struct pipe_recovery recovery;
    uint32_t fixed = 0, broken = 0;
    double *a = accuracies(ctx, &arm->answers);
    if (!a)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "results: no memory");
    for (uint32_t i = 0; i < r->q.count; i++) {
        fixed += a[i] > q[i];
        broken += a[i] < q[i];
    }
    TRY(pipe_bootstrap_recovery(ctx, f, q, a, r->q.count, 2000, r->loop.seed, &recovery));
    const struct pipe_interval *range = &recovery.share_interval;
    printf("%-16s %6.2f %%  fixed %3u broken %3u  p %.1e  recovered ", arm->name,
           100.0 * arm->answers.correct / r->q.count, fixed, broken,
           pipe_mcnemar_exact(broken, fixed));
    if (!isfinite(recovery.share))
        printf("nothing: no points were lost");
    else if (!isfinite(range->low) || !isfinite(range->high))
        printf("%5.2f (too few problems for an interval)", recovery.share);
    else
        printf("%5.2f [%.2f, %.2f]", recovery.share, range->low, range->high);
    printf("  %.2f bits a weight\n", arm->variant.row.bits_per_weight);

fail:
    rt_free(a);
    return st;
}

static rt_status print_results(struct restoring *r)
{
    rt_status st = RT_OK;
    double *f = accuracies(&r->cli->ctx, &r->f), *q = accuracies(&r->cli->ctx, &r->q);
    struct pipe_paired p;
    bool *base = rt_alloc(&r->cli->ctx, r->f.count, sizeof *base);
    bool *other = rt_alloc(&r->cli->ctx, r->f.count, sizeof *other);
    if (!f || !q || !base || !other) {
        st = rt_fail(&r->cli->ctx, RT_ERR_HOST_MEMORY, "results: no memory");
        goto fail;
    }
    for (uint32_t i = 0; i < r->f.count; i++) {
        base[i] = r->f.items[i].correct;
        other[i] = r->q.items[i].correct;
    }
    pipe_paired_compare(base, other, r->f.count, &p);
    printf("\n%-16s %6.2f %%  n %u\n", "full", 100.0 * r->f.correct / r->f.count,
           r->f.count);
    printf("%-16s %6.2f %%  lost %u gained %u  difference %+.2f points [%+.2f, %+.2f]  "
           "p %.1e  %.2f bits a weight\n",
           "quant", 100.0 * r->q.correct / r->q.count, p.lost, p.gained,
           100 * p.difference, 100 * p.interval.low, 100 * p.interval.high, p.p_exact,
           r->quant_row.row.bits_per_weight);
    for (uint32_t i = 0; i < r->arm_count; i++)
        TRY(print_arm(r, &r->arms[i], f, q));

fail:
    rt_free(f);
    rt_free(q);
    rt_free(base);
    rt_free(other);
    return st;
}

/* Freezes a comparison for every arm and writes the page. */
static rt_status write_report(struct restoring *r)
{
    rt_status st;
    struct store *s = r->loop.store;
    char id[STORE_ID];
    TRY(store_begin(s));
    for (uint32_t i = 0; i < r->arm_count; i++)
        TRY(store_put_comparison(s, r->loop.campaign_id, r->measure.id,
                                 r->loop.format->grader, r->f.run_id, r->q.run_id,
                                 r->arms[i].answers.run_id, id));
    TRY(store_commit(s));
    TRY(report_write(s, &r->cli->ctx, r->loop.campaign_id, r->report));
    cli_say(r->cli, "\nreport: %s", r->report);
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

rt_status restore_results(struct restoring *r)
{
    const rt_status st = print_results(r);
    return st == RT_OK ? write_report(r) : st;
}

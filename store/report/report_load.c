/* store/report/report_load.c
 * Arms of a campaign and who answered what, from rows. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

static rt_status take_arm(void *user, const struct store_row *row)
{
    struct report *r = user;
    if (r->arm_count == REPORT_ARMS_MAX)
        return RT_OK;
    struct report_arm *a = &r->arms[r->arm_count++];
    snprintf(a->run, sizeof a->run, "%s", store_row_text(row, 0));
    snprintf(a->variant, sizeof a->variant, "%s", store_row_text(row, 1));
    snprintf(a->label, sizeof a->label, "%.63s", store_row_text(row, 2));
    snprintf(a->role, sizeof a->role, "%.15s", store_row_text(row, 3));
    a->bits = store_row_number(row, 4);
    a->truncated = (uint32_t)store_row_integer(row, 5);
    a->unparsed = (uint32_t)store_row_integer(row, 6);
    return RT_OK;
}

struct filling {
    struct report *r;
    uint32_t at;
    uint32_t arm;
};

static rt_status count_problem(void *user, const struct store_row *row)
{
    (void)row;
    ((struct report *)user)->n++;
    return RT_OK;
}

static rt_status take_outcome(void *user, const struct store_row *row)
{
    struct filling *f = user;
    if (f->at < f->r->n)
        f->r->outcomes[(size_t)f->arm * f->r->n + f->at++] =
            store_row_integer(row, 0) != 0;
    return RT_OK;
}

static rt_status load_outcomes(struct report *r)
{
    rt_status st;
    const char *const first[] = { r->arms[0].run, NULL };
    TRY(store_query(r->store, "SELECT problem_id FROM generation WHERE run_id=?1", first,
                    count_problem, r));
    r->outcomes = rt_alloc(r->ctx, (size_t)r->n * r->arm_count, 1);
    if (!r->outcomes)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    for (uint32_t i = 0; i < r->arm_count; i++) {
        struct filling f = { .r = r, .arm = i };
        const char *const args[] = { r->arms[0].run, r->arms[i].run, NULL };
        TRY(store_query(
            r->store,
            "SELECT coalesce(s.correct,0) FROM generation f LEFT JOIN generation g "
            "ON g.run_id=?2 AND g.problem_id=f.problem_id AND g.sample=f.sample "
            "LEFT JOIN score s ON s.gen_id=g.gen_id WHERE f.run_id=?1 ORDER BY "
            "f.problem_id",
            args, take_outcome, &f));
    }
    return RT_OK;

fail:
    return st;
}

static void pair_up(struct report *r, uint32_t base, uint32_t other, bool *x, bool *y,
                    struct pipe_paired *out)
{
    for (uint32_t i = 0; i < r->n; i++) {
        x[i] = r->outcomes[(size_t)base * r->n + i];
        y[i] = r->outcomes[(size_t)other * r->n + i];
    }
    pipe_paired_compare(x, y, r->n, out);
}

/* Every arm against quant, and against the main arm with Holm's correction. */
static rt_status compute(struct report *r)
{
    rt_status st = RT_OK;
    bool *x = rt_alloc(r->ctx, r->n, sizeof *x), *y = rt_alloc(r->ctx, r->n, sizeof *y);
    double *acc = rt_alloc(r->ctx, 3 * (size_t)r->n, sizeof *acc), p[REPORT_ARMS_MAX];
    uint32_t tested = 0;
    if (!x || !y || !acc) {
        st = rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
        goto fail;
    }
    for (uint32_t a = 0; a < r->arm_count; a++) {
        struct report_arm *arm = &r->arms[a];
        for (uint32_t i = 0; i < r->n; i++) {
            acc[i] = r->outcomes[i];
            acc[r->n + i] = r->arm_count > 1 ? r->outcomes[(size_t)r->n + i] : 0;
            acc[2 * r->n + i] = r->outcomes[(size_t)a * r->n + i];
            arm->right += r->outcomes[(size_t)a * r->n + i];
        }
        pair_up(r, a == 1 ? 0 : 1, a, x, y, &arm->paired);
        if (a >= 2)
            TRY(pipe_bootstrap_recovery(r->ctx, acc, acc + r->n, acc + 2 * r->n, r->n,
                                        2000, 1, &arm->recovered));
        if (a >= 2 && r->main_arm >= 0 && (int)a != r->main_arm) {
            struct pipe_paired against;
            pair_up(r, a, (uint32_t)r->main_arm, x, y, &against);
            arm->p_default = p[tested++] = against.p_exact;
        }
    }
    if (tested)
        TRY(pipe_holm(r->ctx, p, tested, p));
    for (uint32_t a = 2, k = 0; a < r->arm_count; a++)
        if (r->main_arm >= 0 && (int)a != r->main_arm)
            r->arms[a].p_default_holm = p[k++];

fail:
    rt_free(x);
    rt_free(y);
    rt_free(acc);
    return st;
}

rt_status report_load(struct report *r)
{
    rt_status st;
    const char *const args[] = { r->campaign, NULL };
    r->main_arm = -1;
    TRY(store_query(
        r->store,
        "SELECT r.run_id,r.variant_id,v.label,v.role,v.bits_per_weight,"
        "(SELECT sum(finish='length') FROM generation g WHERE g.run_id=r.run_id),"
        "(SELECT sum(extract_ok=0) FROM generation g JOIN score USING(gen_id) WHERE "
        "g.run_id=r.run_id) FROM run r JOIN variant v USING(variant_id) JOIN "
        "benchmark b USING(benchmark_id) WHERE r.campaign_id=?1 AND r.kind='eval' "
        "AND b.split='measure' ORDER BY CASE v.role WHEN 'full' THEN 0 WHEN 'quant' "
        "THEN 1 WHEN 'restored' THEN 2 ELSE 3 END, v.label<>'default', r.started_ms,"
        " r.run_id",
        args, take_arm, r));
    if (r->arm_count < 2 || strcmp(r->arms[0].role, "full") != 0 ||
        strcmp(r->arms[1].role, "quant") != 0)
        return rt_fail(r->ctx, RT_ERR_USAGE,
                       "the campaign has no measured full and quantized answers yet; run "
                       "restore to the end first");
    for (uint32_t a = 2; a < r->arm_count && r->main_arm < 0; a++)
        if (strcmp(r->arms[a].role, "restored") == 0)
            r->main_arm = (int)a;
    TRY(load_outcomes(r));
    TRY(compute(r));
    return RT_OK;

fail:
    return st;
}

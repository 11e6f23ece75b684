/* store/report/report_load.c
 * Arms of a campaign and who answered what, from rows. Only the first sample of a problem
 * is read; an arm that has not answered all problems yet is named but not compared. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

static rt_status take_arm(void *user, const struct store_row *row)
{
    struct report *r = user;
    if (r->arm_count == REPORT_ARMS_MAX) {
        r->left_out++;
        return RT_OK;
    }
    struct report_arm *a = &r->arms[r->arm_count++];
    snprintf(a->run, sizeof a->run, "%s", store_row_text(row, 0));
    snprintf(a->variant, sizeof a->variant, "%s", store_row_text(row, 1));
    snprintf(a->label, sizeof a->label, "%.63s", store_row_text(row, 2));
    snprintf(a->role, sizeof a->role, "%.15s", store_row_text(row, 3));
    a->bits = store_row_number(row, 4);
    a->truncated = (uint32_t)store_row_integer(row, 5);
    a->unparsed = (uint32_t)store_row_integer(row, 6);
    a->errors = (uint32_t)store_row_integer(row, 7);
    a->answered = (uint32_t)store_row_integer(row, 8);
    a->kl = store_row_null(row, 9) ? NAN : store_row_number(row, 9);
    a->same_top = store_row_null(row, 10) ? NAN : store_row_number(row, 10);
    snprintf(a->quant, sizeof a->quant, "%.63s", store_row_text(row, 11));
    const uint32_t samples = (uint32_t)store_row_integer(row, 12);
    a->items = (uint32_t)store_row_integer(row, 13);
    a->plain = store_row_integer(row, 14) && a->items == 0 &&
               (strcmp(a->role, "quant") == 0 || strcmp(a->role, "control") == 0);
    r->samples = samples > r->samples ? samples : r->samples;
    return RT_OK;
}

/* The train run of the campaign that made the adapter, or the model, of e; where that was not noted, the
 * newest one with items of the recipe that e is called after. One run: two runs of one
 * recipe do not add up. */
#define TRAIN_RUN                                                                    \
    "(SELECT r.run_id FROM run r LEFT JOIN run_artifact o ON o.run_id=r.run_id AND " \
    "o.direction='out' AND (o.role='adapter' AND o.artifact_id=e.adapter_id OR "     \
    "o.role='model' AND e.adapter_id IS NULL AND o.artifact_id=e.weights_id) "       \
    "WHERE " OF_CAMPAIGN " AND r.kind='train' AND (o.run_id IS NOT NULL OR "         \
    "json_extract(r.config,'$.recipe')=e.label AND EXISTS(SELECT 1 FROM bullet_set " \
    "s WHERE s.run_id=r.run_id)) ORDER BY o.run_id IS NULL, r.started_ms DESC, "     \
    "r.run_id LIMIT 1)"

/* The first full and the first quant run lead; others of these roles count as arms. Runs
 * on another benchmark than the first full one are other questions: not compared. */
static rt_status load_arms(struct report *r)
{
    const char *const args[] = { r->campaign, r->benchmark, NULL };
    return store_query(
        r->store,
        "WITH e AS (SELECT r.run_id,r.variant_id,v.label,v.role,v.bits_per_weight,"
        "v.quant,v.adapter_id,v.weights_id,r.started_ms,row_number() OVER (PARTITION BY "
        "v.role ORDER "
        "BY "
        "r.started_ms,r.run_id) k FROM run r JOIN variant v USING(variant_id) "
        "WHERE " OF_CAMPAIGN " AND r.kind='eval' AND r.benchmark_id=?2) "
        "SELECT run_id,variant_id,label,role,bits_per_weight,"
        "(SELECT sum(finish='length') FROM generation g WHERE g.run_id=e.run_id),"
        "(SELECT count(*) FROM generation g WHERE g.run_id=e.run_id AND sample=0 AND NOT "
        "EXISTS(SELECT 1 FROM v_verdict s WHERE s.gen_id=g.gen_id AND s.extract_ok=1)),"
        "(SELECT sum(finish='error') FROM generation g WHERE g.run_id=e.run_id),"
        "(SELECT count(*) FROM generation g WHERE g.run_id=e.run_id AND sample=0),"
        "(SELECT value FROM metric m WHERE m.run_id=e.run_id AND name='kl_mean' AND "
        "step=0),(SELECT value FROM metric m WHERE m.run_id=e.run_id AND "
        "name='same_top' AND step=0),quant,"
        "(SELECT max(sample)+1 FROM generation g WHERE g.run_id=e.run_id),"
        "(SELECT count(*) FROM bullet_set b JOIN bullet_item i USING(dataset_id) WHERE "
        "i.excluded IS NULL AND b.run_id=" TRAIN_RUN "), e.adapter_id IS NULL "
        "FROM e ORDER BY CASE WHEN role='full' AND k=1 THEN 0 WHEN role='quant' AND k=1 "
        "THEN 1 WHEN role='restored' THEN 2 ELSE 3 END, label NOT IN "
        "('default','refine'), "
        "started_ms,"
        "run_id",
        args, take_arm, r);
}

static rt_status take_benchmark(void *user, const struct store_row *row)
{
    struct report *r = user;
    snprintf(r->benchmark, sizeof r->benchmark, "%s", store_row_text(row, 0));
    return RT_OK;
}

struct filling {
    uint8_t *outcomes;        /* null: only count */
    struct pipe_parts *parts; /* null: not these either */
    uint32_t at, missing;
};

static rt_status take_outcome(void *user, const struct store_row *row)
{
    struct filling *f = user;
    if (f->outcomes)
        f->outcomes[f->at] = store_row_integer(row, 0) != 0;
    if (f->parts)
        pipe_parts_add(f->parts, store_row_text(row, 2));
    f->missing += store_row_integer(row, 1) != 0;
    f->at++;
    return RT_OK;
}

/* Verdicts of a run on the problems that both base runs answered, by problem. */
static rt_status each_outcome(struct report *r, const char *base, const char *run,
                              struct filling *f)
{
    const char *const args[] = { r->arms[0].run, base, run, NULL };
    return store_query(
        r->store,
        "SELECT coalesce((SELECT correct FROM v_verdict s WHERE s.gen_id=g.gen_id),0), "
        "g.gen_id IS NULL, f.problem_id FROM generation f JOIN generation q ON "
        "q.run_id=?2 AND q.problem_id=f.problem_id AND q.sample=0 LEFT JOIN generation g "
        "ON g.run_id=?3 AND g.problem_id=f.problem_id AND g.sample=0 WHERE f.run_id=?1 "
        "AND f.sample=0 ORDER BY f.problem_id",
        args, take_outcome, f);
}

static rt_status load_outcomes(struct report *r)
{
    rt_status st;
    char base[STORE_ID];
    struct filling count = { 0 };
    snprintf(base, sizeof base, "%s", r->arms[r->paired ? 1 : 0].run);
    TRY(each_outcome(r, base, base, &count));
    r->n = count.at;
    r->outcomes = rt_alloc(r->ctx, (size_t)r->n * r->arm_count + 1, 1);
    if (!r->outcomes)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    TRY(pipe_parts_init(r->ctx, r->n, &r->parts));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->arm_count; i++) {
        struct filling f = { .outcomes = r->outcomes + (size_t)kept * r->n,
                             .parts = i == 0 ? &r->parts : NULL };
        TRY(each_outcome(r, base, r->arms[i].run, &f));
        if (f.missing)
            r->unfinished[r->unfinished_count++] = r->arms[i];
        else
            r->arms[kept++] = r->arms[i];
    }
    pipe_parts_end(&r->parts);
    r->arm_count = kept;
    return RT_OK;

fail:
    return st;
}

static void pair_up(const struct report *r, uint32_t base, uint32_t other, bool *x,
                    bool *y, struct pipe_paired *out)
{
    for (uint32_t i = 0; i < r->n; i++) {
        x[i] = r->outcomes[(size_t)base * r->n + i];
        y[i] = r->outcomes[(size_t)other * r->n + i];
    }
    pipe_paired_compare(x, y, r->n, out);
}

/* What an arm has right, and how much of the loss comes back in it. */
static rt_status compute_arm(struct report *r, uint32_t a, double *acc)
{
    struct report_arm *arm = &r->arms[a];
    const uint8_t *full = r->outcomes, *quant = full + (r->paired ? r->n : 0);
    const uint8_t *own = r->outcomes + (size_t)a * r->n;
    for (uint32_t i = 0; i < r->n; i++) {
        acc[i] = full[i];
        acc[r->n + i] = quant[i];
        acc[2 * r->n + i] = own[i];
        arm->right += own[i];
        arm->back += full[i] && !quant[i] && own[i];
    }
    if (a < 2 || !r->paired)
        return RT_OK;
    return pipe_bootstrap_recovery(r->ctx, acc, acc + r->n, acc + 2 * (size_t)r->n, r->n,
                                   PIPE_BOOTSTRAP_DRAWS, PIPE_STATS_SEED,
                                   &arm->recovered);
}

/* Every arm against quant, and against the main arm with Holm's correction. */
static rt_status compute(struct report *r)
{
    rt_status st = RT_OK;
    const size_t n = (size_t)r->n + 1;
    bool *x = rt_alloc(r->ctx, n, sizeof *x), *y = rt_alloc(r->ctx, n, sizeof *y);
    double *acc = rt_alloc(r->ctx, 3 * n, sizeof *acc), p[REPORT_ARMS_MAX];
    uint32_t tested = 0;
    if (!x || !y || !acc) {
        st = rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
        goto fail;
    }
    for (uint32_t a = 0; a < r->arm_count; a++) {
        TRY(compute_arm(r, a, acc));
        if (r->paired)
            pair_up(r, a == 1 ? 0 : 1, a, x, y, &r->arms[a].paired);
        if (a >= 2 && r->main_arm >= 0 && (int)a != r->main_arm) {
            pair_up(r, a, (uint32_t)r->main_arm, x, y, &r->arms[a].against);
            p[tested++] = r->arms[a].against.p_exact;
        }
    }
    if (tested)
        TRY(pipe_holm(r->ctx, p, tested, p));
    for (uint32_t a = 2, k = 0; a < r->arm_count && r->main_arm >= 0; a++)
        if ((int)a != r->main_arm)
            r->arms[a].p_holm = p[k++];

fail:
    rt_free(x);
    rt_free(y);
    rt_free(acc);
    return st;
}

/* Every repair against the line of plain models. */
static rt_status compute_lines(struct report *r)
{
    rt_status st = RT_OK;
    struct pipe_line_model plain[REPORT_ARMS_MAX];
    for (uint32_t a = 1; a < r->arm_count; a++)
        if (r->arms[a].plain) {
            plain[r->plain_count] =
                (struct pipe_line_model){ r->arms[a].bits,
                                          r->outcomes + (size_t)a * r->n };
            r->plain[r->plain_count++] = a;
        }
    for (uint32_t a = 2; a < r->arm_count; a++) {
        struct report_arm *arm = &r->arms[a];
        const struct pipe_line_model repair = { arm->bits,
                                                r->outcomes + (size_t)a * r->n };
        if (strcmp(arm->role, "restored") == 0)
            TRY(pipe_line_compare(r->ctx, plain, r->plain_count, &repair, r->n,
                                  &arm->line));
    }

fail:
    return st;
}

static void count_cells(struct report *r)
{
    const uint8_t *full = r->outcomes, *quant = full + r->n;
    const uint8_t *own = r->outcomes + (size_t)(r->main_arm < 0 ? 0 : r->main_arm) * r->n;
    for (uint32_t i = 0; i < r->n; i++)
        r->cells[full[i] * 4 + quant[i] * 2 + (r->main_arm < 0 ? 0 : own[i])]++;
}

rt_status report_load(struct report *r)
{
    rt_status st;
    const char *const args[] = { r->campaign, NULL };
    r->main_arm = -1;
    TRY(store_query(
        r->store,
        "SELECT r.benchmark_id FROM run r JOIN benchmark b USING(benchmark_id) JOIN "
        "variant v USING(variant_id) WHERE " OF_CAMPAIGN " AND r.kind='eval' AND "
        "b.split='measure' ORDER BY v.role='full' , r.started_ms DESC, r.run_id",
        args, take_benchmark, r)); /* the last row wins: the first full run's */
    TRY(load_arms(r));
    if (r->arm_count == 0)
        return RT_OK;
    r->paired = r->arm_count > 1 && strcmp(r->arms[0].role, "full") == 0 &&
                strcmp(r->arms[1].role, "quant") == 0;
    TRY(load_outcomes(r));
    if (r->n == 0)
        r->paired = false;
    for (uint32_t a = 2; r->paired && a < r->arm_count && r->main_arm < 0; a++)
        if (strcmp(r->arms[a].role, "restored") == 0)
            r->main_arm = (int)a;
    TRY(compute(r));
    if (r->paired) {
        TRY(compute_lines(r));
        count_cells(r);
    }
    return RT_OK;

fail:
    return st;
}

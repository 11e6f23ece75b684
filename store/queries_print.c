/* store/queries_print.c
 * Rows for the commands that print: status, show, export, grade, compare. */
#include "store/queries.h"

#include "store/store_impl.h"

#include <stdio.h>

static rt_status take_number(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

static rt_status take_id(void *user, const struct store_row *row)
{
    snprintf(user, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

/* ---- status ---- */

/* 60000: STORE_LEASE_MS, and the longest time in which the pace is
 * measured: since the first of those who work now began. */
#define CLOCK \
    "clock AS (SELECT CAST((julianday('now')-2440587.5)*86400000 AS INTEGER) AS now)"
#define LIVE                                                                  \
    "live AS (SELECT a.* FROM attempt a, clock WHERE a.ended_ms IS NULL AND " \
    "a.heartbeat_ms>now-60000 AND NOT process_gone(a.host, a.pid))"

static const char runs[] =
    "WITH " CLOCK ", " LIVE ", pace AS (SELECT l.run_id, count(*) AS workers, "
    "max(now-60000, min(l.started_ms)) AS since FROM live l, clock GROUP BY l.run_id), "
    "progress AS (SELECT r.*, coalesce(c.workers,0) AS workers, c.since, "
    "EXISTS(SELECT 1 FROM attempt a WHERE a.run_id=r.run_id) AS attempted, "
    "CASE r.kind WHEN 'eval' THEN (SELECT count(*) FROM generation g WHERE "
    "g.run_id=r.run_id) WHEN 'locate' THEN (SELECT count(DISTINCT f.gen_id) FROM fault f "
    "WHERE f.run_id=r.run_id)+(SELECT count(*) FROM annotation a WHERE "
    "a.target='solution' AND a.author=r.run_id) WHEN 'train' THEN (SELECT count(*) FROM "
    "metric m WHERE "
    "m.run_id=r.run_id AND m.name='loss') END AS done, coalesce((SELECT m.value FROM "
    "metric m WHERE m.run_id=r.run_id AND m.name='wanted'), b.n_problems) AS wanted, "
    "(SELECT count(*) FROM generation g WHERE g.run_id=r.run_id AND "
    "g.created_ms>c.since) "
    "AS fresh, (SELECT avg(s.correct) FROM v_verdict s WHERE s.run_id=r.run_id) AS acc "
    "FROM run r LEFT JOIN benchmark b USING(benchmark_id) LEFT "
    "JOIN pace c USING(run_id)) "
    "SELECT p.kind, coalesce(json_extract(p.config,'$.recipe'),v.label,'') AS variant, "
    "coalesce(b.name,'') AS bench, coalesce(b.split,'') AS split, CASE WHEN "
    "p.status='running' AND p.attempted AND p.workers=0 THEN 'stopped' ELSE p.status END "
    "AS status, p.done, CASE p.kind WHEN 'eval' THEN CAST(max(p.wanted, p.done) AS "
    "INTEGER) END AS total, CASE p.kind WHEN 'eval' THEN round(100*p.acc,2) END AS "
    "accuracy, p.workers, max(0,(now-p.heartbeat_ms)/1000) AS seconds_since, CASE WHEN "
    "p.workers>0 AND p.fresh>0 THEN CAST((p.wanted-p.done)*max(1000,now-p.since)/1000.0/"
    "p.fresh AS INTEGER) END AS seconds_left, coalesce(p.error,'') AS error FROM clock, "
    "progress p LEFT JOIN variant v USING(variant_id) LEFT JOIN benchmark b "
    "USING(benchmark_id) ORDER BY p.started_ms, p.run_id";

static const char working_now[] = "WITH " CLOCK ", " LIVE " SELECT count(*) FROM live";

rt_status store_status_rows(struct store *s, store_row_fn *fn, void *user)
{
    return store_query(s, runs, NULL, fn, user);
}

rt_status store_count_working(struct store *s, int64_t *out)
{
    return store_query(s, working_now, NULL, take_number, out);
}

/* ---- one problem ---- */

rt_status store_problem_row(struct store *s, const char *problem_id, store_row_fn *fn,
                            void *user)
{
    return store_query(s,
                       "SELECT problem_id, question, answer FROM problem WHERE "
                       "problem_id=?1",
                       (const char *const[]){ problem_id, NULL }, fn, user);
}

/* The newest of the locate runs that speak for the answers of run g in a campaign. */
#define LOCATE_RUN                                                                \
    "(SELECT l.run_id FROM v_locate_run l JOIN run w ON w.run_id=l.run_id WHERE " \
    "l.answers_run=g.run_id ORDER BY w.started_ms DESC, l.run_id LIMIT 1)"

rt_status store_side_rows(struct store *s, const char *problem_id, const char *label,
                          store_row_fn *fn, void *user)
{
    return store_query(
        s,
        "SELECT label, correct, extracted, output, step FROM (SELECT v.label label, "
        "s.correct correct, s.extracted extracted, g.output output, (SELECT step_idx "
        "FROM fault f WHERE f.run_id=" LOCATE_RUN " AND f.gen_id=g.gen_id AND "
        "f.locator='verdict') step, row_number() OVER (PARTITION BY v.role ORDER BY "
        "v.label<>'default', g.created_ms DESC, g.gen_id) k, v.role role FROM generation "
        "g JOIN run r ON r.run_id=g.run_id JOIN variant v "
        "USING(variant_id) " STORE_JOIN_VERDICT
        "WHERE g.problem_id=?1 AND g.sample=0 AND (v.role IN('full','quant') OR "
        "v.label=?2 OR (?2='' AND v.role='restored'))) WHERE k=1 ORDER BY CASE role WHEN "
        "'full' THEN 0 WHEN 'quant' THEN 1 ELSE 2 END",
        (const char *const[]){ problem_id, label, NULL }, fn, user);
}

rt_status store_problem_fault_rows(struct store *s, const char *problem_id,
                                   store_row_fn *fn, void *user)
{
    return store_query(
        s,
        "SELECT f.locator, f.step_idx+1, coalesce(c.label,''), f.confidence "
        "FROM fault f JOIN generation g USING(gen_id) LEFT JOIN fault_category c ON "
        "c.code=f.category WHERE g.problem_id=?1 AND f.run_id=" LOCATE_RUN " ORDER BY "
        "f.locator='verdict', f.locator, f.fault_id",
        (const char *const[]){ problem_id, NULL }, fn, user);
}

/* ---- answers for others, and to be graded again ---- */

rt_status store_export_rows(struct store *s, const char *run_id, store_row_fn *fn,
                            void *user)
{
    return store_query(s,
                       "SELECT g.problem_id, p.question, p.answer, g.sample, g.output, "
                       "g.finish, g.n_prompt, g.n_gen, g.error, s.extracted, s.correct, "
                       "s.reason FROM generation g JOIN problem p ON "
                       "p.problem_id=g.problem_id " STORE_JOIN_VERDICT
                       "WHERE g.run_id=?1 ORDER BY g.problem_id, g.sample",
                       (const char *const[]){ run_id, NULL }, fn, user);
}

rt_status store_count_answers(struct store *s, const char *run_id, int64_t *out)
{
    return store_query(s, "SELECT count(*) FROM generation WHERE run_id=?1",
                       (const char *const[]){ run_id, NULL }, take_number, out);
}

rt_status store_score_rows(struct store *s, const char *id_or_label, store_row_fn *fn,
                           void *user)
{
    return store_query(
        s,
        "SELECT g.gen_id, g.problem_id, g.sample, g.output, g.finish, p.answer, "
        "json_extract(r.config,'$.format'), v.label, s.grader, s.correct, s.extracted, "
        "s.extract_ok, s.reason, coalesce((SELECT rtrim(json_extract(a.meta,'$.text'),' "
        "'||char(10)) LIKE '%<think>' FROM artifact a WHERE a.kind='prompt' AND "
        "a.artifact_id='sha256:'||g.prompt_hash),0) "
        "FROM run r JOIN variant v USING(variant_id) JOIN "
        "generation g USING(run_id) JOIN problem p USING(problem_id) LEFT JOIN score s "
        "USING(gen_id) WHERE r.kind='eval' AND (?1='' OR ?1 IN (r.run_id, v.label)) "
        "ORDER BY r.started_ms, r.run_id, g.problem_id, g.sample, s.grader",
        (const char *const[]){ id_or_label, NULL }, fn, user);
}

rt_status store_count_eval_runs(struct store *s, const char *id_or_label, int64_t *out)
{
    return store_query(
        s,
        "SELECT count(*) FROM run r JOIN variant v USING(variant_id) WHERE "
        "r.kind='eval' AND (?1='' OR ?1 IN (r.run_id, v.label))",
        (const char *const[]){ id_or_label, NULL }, take_number, out);
}

/* ---- comparing ---- */

#define OF_CAMPAIGN "r.run_id IN (SELECT run_id FROM campaign_run WHERE campaign_id=?1)"

rt_status store_newest_campaign(struct store *s, char campaign_id[STORE_ID])
{
    campaign_id[0] = '\0';
    return store_query(s,
                       "SELECT campaign_id FROM campaign c ORDER BY EXISTS(SELECT 1 "
                       "FROM campaign_run r WHERE r.campaign_id=c.campaign_id) DESC, "
                       "created_ms DESC, campaign_id LIMIT 1",
                       NULL, take_id, campaign_id);
}

rt_status store_compared_rows(struct store *s, const char *campaign_id, const char *split,
                              const char *name, store_row_fn *fn, void *user)
{
    return store_query(
        s,
        "SELECT b.benchmark_id FROM run r JOIN benchmark b USING(benchmark_id) "
        "WHERE " OF_CAMPAIGN " AND r.kind='eval' AND r.status='done' AND b.split=?2 AND "
        "(?3='' OR b.name=?3) GROUP BY b.benchmark_id HAVING count(DISTINCT "
        "r.variant_id)>1 ORDER BY b.name, b.benchmark_id",
        (const char *const[]){ campaign_id, split, name, NULL }, fn, user);
}

rt_status store_side_run_rows(struct store *s, const char *campaign_id, const char *split,
                              const char *wanted, const char *role,
                              const char *benchmark_id, store_row_fn *fn, void *user)
{
    return store_query(
        s,
        "SELECT r.run_id, v.label, v.bits_per_weight, r.benchmark_id, b.name||':'||"
        "b.split, coalesce(r.grader, (SELECT min(s.grader) FROM v_verdict s WHERE "
        "s.run_id=r.run_id)) FROM run r JOIN variant v USING(variant_id) JOIN benchmark "
        "b USING(benchmark_id) WHERE " OF_CAMPAIGN " AND r.kind='eval' AND "
        "r.status='done' AND b.split=?2 AND (?5='' OR r.benchmark_id=?5) AND CASE ?3 "
        "WHEN '' THEN v.role=?4 ELSE ?3 IN (v.label, v.arm, v.variant_id) END "
        "ORDER BY v.label='default', r.started_ms DESC, r.run_id",
        (const char *const[]){ campaign_id, split, wanted, role, benchmark_id, NULL }, fn,
        user);
}

rt_status store_count_pairs(struct store *s, const char *comparison_id, int64_t *out)
{
    return store_query(s,
                       "SELECT count(*) FROM comparison_pair WHERE comparison_id=?1 AND "
                       "(f+q) IS NOT NULL",
                       (const char *const[]){ comparison_id, NULL }, take_number, out);
}

rt_status store_pair_rows(struct store *s, const char *comparison_id, store_row_fn *fn,
                          void *user)
{
    return store_query(
        s,
        "SELECT f, q, coalesce(r,0), problem_id, sample FROM comparison_pair WHERE "
        "comparison_id=?1 AND (f+q) IS NOT NULL ORDER BY problem_id, "
        "sample",
        (const char *const[]){ comparison_id, NULL }, fn, user);
}

rt_status store_flip_rows(struct store *s, const char *comparison_id, store_row_fn *fn,
                          void *user)
{
    return store_query(s,
                       "SELECT problem_id, sample, f, q, coalesce(r,q) FROM "
                       "comparison_pair WHERE comparison_id=?1 AND (f+q) IS NOT NULL AND "
                       "(f<>q OR q<>coalesce(r,q)) ORDER BY f DESC, q, r DESC, "
                       "problem_id, sample",
                       (const char *const[]){ comparison_id, NULL }, fn, user);
}

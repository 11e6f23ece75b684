/* store/queries_work.c
 * Rows that the stages of the loop read back: answers, faults, roll-outs, items. */
#include "store/queries.h"

#include "store/store_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A callback of one of the functions here with its user. */
struct asked {
    union {
        store_done_fn *done;
        store_wrong_fn *wrong;
        store_fault_fn *fault;
        store_rollout_fn *rollout;
        store_item_fn *item;
        store_metric_fn *metric;
    } fn;
    void *user;
};

static int32_t number_or_none(const struct store_row *row, int column)
{
    return store_row_null(row, column) ? -1 : (int32_t)store_row_integer(row, column);
}

/* ---- answers of a run ---- */

static rt_status give_done(void *user, const struct store_row *row)
{
    const struct asked *a = user;
    const struct store_done done = { .problem_id = store_row_text(row, 0),
                                     .sample = (uint32_t)store_row_integer(row, 1),
                                     .correct = store_row_integer(row, 2) != 0 };
    return a->fn.done(a->user, &done);
}

rt_status store_each_done(struct store *s, const char *run_id, store_done_fn *fn,
                          void *user)
{
    struct asked a = { .fn.done = fn, .user = user };
    return store_query(
        s,
        "SELECT g.problem_id, g.sample, s.correct FROM generation g " STORE_JOIN_VERDICT
        "WHERE g.run_id=?1 ORDER BY g.problem_id, g.sample",
        (const char *const[]){ run_id, NULL }, give_done, &a);
}

static rt_status give_wrong(void *user, const struct store_row *row)
{
    const struct asked *a = user;
    const struct store_wrong wrong = { .gen_id = store_row_text(row, 0),
                                       .problem_id = store_row_text(row, 1),
                                       .sample = (uint32_t)store_row_integer(row, 2),
                                       .question = store_row_text(row, 3),
                                       .output = store_row_text(row, 4),
                                       .answer = store_row_text(row, 5) };
    return a->fn.wrong(a->user, &wrong);
}

rt_status store_each_wrong(struct store *s, const char *run_id, store_wrong_fn *fn,
                           void *user)
{
    assert(run_id && fn);
    struct asked a = { .fn.wrong = fn, .user = user };
    return store_query(
        s,
        "SELECT g.gen_id, g.problem_id, g.sample, p.question, g.output, p.answer "
        "FROM generation g JOIN problem p ON "
        "p.problem_id=g.problem_id " STORE_JOIN_VERDICT
        "WHERE g.run_id=?1 AND g.error IS NULL AND s.correct=0 ORDER BY "
        "g.problem_id, g.sample",
        (const char *const[]){ run_id, NULL }, give_wrong, &a);
}

static rt_status take_eval_run(void *user, const struct store_row *row)
{
    struct store_eval_run *r = user;
    snprintf(r->run_id, STORE_ID, "%s", store_row_text(row, 0));
    snprintf(r->variant_id, STORE_ID, "%s", store_row_text(row, 1));
    snprintf(r->benchmark_id, STORE_ID, "%s", store_row_text(row, 2));
    snprintf(r->campaign_id, STORE_ID, "%s", store_row_text(row, 3));
    snprintf(r->format, sizeof r->format, "%.47s", store_row_text(row, 4));
    snprintf(r->label, sizeof r->label, "%.79s", store_row_text(row, 5));
    snprintf(r->bench, sizeof r->bench, "%.79s", store_row_text(row, 6));
    r->started_ms = store_row_integer(row, 7);
    r->ended_ms = store_row_integer(row, 8);
    return RT_OK;
}

rt_status store_find_eval_run(struct store *s, const char *id_or_label,
                              struct store_eval_run *out)
{
    *out = (struct store_eval_run){ .started_ms = 0 };
    return store_query(
        s,
        "SELECT r.run_id, r.variant_id, r.benchmark_id, (SELECT c.campaign_id FROM "
        "campaign_run c WHERE c.run_id=r.run_id ORDER BY c.joined_ms DESC, c.campaign_id "
        "LIMIT 1), json_extract(r.config,'$.format'), v.label, b.name||':'||b.split, "
        "r.started_ms, coalesce(r.ended_ms, r.heartbeat_ms) FROM run r JOIN variant v "
        "USING(variant_id) JOIN benchmark b USING(benchmark_id) WHERE r.kind='eval' AND "
        "(?1='' OR ?1 IN (r.run_id, v.label)) ORDER BY EXISTS(SELECT 1 FROM generation g "
        "WHERE g.run_id=r.run_id) DESC, b.split='blame', r.started_ms DESC, r.run_id "
        "LIMIT 1",
        (const char *const[]){ id_or_label, NULL }, take_eval_run, out);
}

/* ---- faults of a locate run ---- */

static rt_status give_fault(void *user, const struct store_row *row)
{
    const struct asked *a = user;
    const struct store_fault fault = {
        .fault_id = store_row_text(row, 0),
        .gen_id = store_row_text(row, 1),
        .problem_id = store_row_text(row, 2),
        .sample = (uint32_t)store_row_integer(row, 3),
        .locator = store_row_text(row, 4),
        .step = number_or_none(row, 5),
        .token = number_or_none(row, 6),
        .category = pipe_category_of(store_row_text(row, 7)),
        .confidence = store_row_number(row, 8),
        .evidence = store_row_text(row, 9),
        .review = store_row_text(row, 10),
    };
    return a->fn.fault(a->user, &fault);
}

rt_status store_each_fault(struct store *s, const char *run_id, const char *locator,
                           store_fault_fn *fn, void *user)
{
    assert(run_id && fn);
    struct asked a = { .fn.fault = fn, .user = user };
    return store_query(
        s,
        "SELECT f.fault_id, f.gen_id, g.problem_id, g.sample, f.locator, f.step_idx, "
        "f.tok_idx, f.category, f.confidence, f.evidence, f.review FROM fault f JOIN "
        "generation g USING(gen_id) WHERE f.run_id=?1 AND (?2='' OR f.locator=?2) ORDER "
        "BY g.problem_id, g.sample, f.locator, f.gen_id",
        (const char *const[]){ run_id, locator ? locator : "", NULL }, give_fault, &a);
}

static rt_status give_rollout(void *user, const struct store_row *row)
{
    const struct asked *a = user;
    const struct store_rollout rollout = {
        .gen_id = store_row_text(row, 0),
        .step = (int32_t)store_row_integer(row, 1),
        .sample = (uint32_t)store_row_integer(row, 2),
        .output = store_row_text(row, 3),
        .correct = store_row_integer(row, 4) == 1,
        .n_gen = (uint32_t)store_row_integer(row, 5),
        .variant_id = store_row_text(row, 6),
    };
    return a->fn.rollout(a->user, &rollout);
}

rt_status store_each_rollout(struct store *s, const char *run_id, const char *locator,
                             store_rollout_fn *fn, void *user)
{
    assert(run_id && locator && fn);
    struct asked a = { .fn.rollout = fn, .user = user };
    return store_query(
        s,
        "SELECT f.gen_id, r.step_idx, r.sample, r.output, r.correct, r.n_gen, "
        "r.variant_id FROM fault f JOIN rollout r USING(fault_id) WHERE f.run_id=?1 AND "
        "f.locator=?2 ORDER BY f.gen_id, r.step_idx, r.sample, r.variant_id",
        (const char *const[]){ run_id, locator, NULL }, give_rollout, &a);
}

static rt_status take_id(void *user, const struct store_row *row)
{
    snprintf(user, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

rt_status store_find_locate_run(struct store *s, const char *campaign_id,
                                const char *answers_run, char run_id[STORE_ID])
{
    run_id[0] = '\0';
    return store_query(
        s,
        "SELECT l.run_id FROM v_locate_run l JOIN run r USING(run_id) WHERE "
        "l.answers_run=?1 AND (?2='' OR l.campaign_id=?2) ORDER BY r.started_ms DESC, "
        "l.run_id LIMIT 1",
        (const char *const[]){ answers_run, campaign_id ? campaign_id : "", NULL },
        take_id, run_id);
}

rt_status store_faults_text(struct store *s, const char *run_id, const char *locator,
                            const char *segmenter, store_row_fn *fn, void *user)
{
    return store_query(
        s,
        "SELECT g.problem_id, g.sample, f.locator, f.step_idx AS step, f.category, "
        "f.confidence, "
        /* places count bytes, substr of a text characters */
        "rtrim(CAST(substr(CAST(g.output AS BLOB), "
        "coalesce(json_extract(f.evidence,'$.at[0]'), s.char_start)+1, "
        "coalesce(json_extract(f.evidence,'$.at[1]'), s.char_end)-"
        "coalesce(json_extract(f.evidence,'$.at[0]'), s.char_start)) AS TEXT), "
        "char(10)) AS text FROM fault f JOIN generation g USING(gen_id) LEFT JOIN step s "
        "ON s.gen_id=g.gen_id AND s.segmenter=?3 AND s.idx=f.step_idx WHERE f.run_id=?1 "
        "AND CASE ?2 WHEN '' THEN f.locator<>'gold' ELSE f.locator=?2 END ORDER BY "
        "g.problem_id, g.sample, f.locator",
        (const char *const[]){ run_id, locator ? locator : "", segmenter ? segmenter : "",
                               NULL },
        fn, user);
}

/* ---- metrics ---- */

static rt_status give_metric(void *user, const struct store_row *row)
{
    const struct asked *a = user;
    const struct pipe_metric metric = { .name = store_row_text(row, 0),
                                        .step = store_row_integer(row, 1),
                                        .value = store_row_number(row, 2) };
    return a->fn.metric(a->user, &metric);
}

rt_status store_each_metric(struct store *s, const char *run_id, const char *name,
                            store_metric_fn *fn, void *user)
{
    assert(run_id && name && fn);
    struct asked a = { .fn.metric = fn, .user = user };
    return store_query(s,
                       "SELECT name, step, value FROM metric WHERE run_id=?1 AND name=?2 "
                       "ORDER BY step",
                       (const char *const[]){ run_id, name, NULL }, give_metric, &a);
}

/* ---- training items ---- */

static rt_status give_item(void *user, const struct store_row *row)
{
    const struct asked *a = user;
    const struct store_item item = {
        .dataset_id = store_row_text(row, 0),
        .run_id = store_row_text(row, 1),
        .kind = store_row_text(row, 2),
        .index = (uint32_t)store_row_integer(row, 3),
        .item = { .problem_id = store_row_text(row, 4),
                  .fault_id = store_row_text_or_null(row, 5),
                  .prompt = store_row_text(row, 6),
                  .chosen = store_row_text(row, 7),
                  .rejected = store_row_text_or_null(row, 8),
                  .category = pipe_category_of(store_row_text(row, 9)),
                  .step = number_or_none(row, 10),
                  .source = store_row_text_or_null(row, 11),
                  .excluded = store_row_text_or_null(row, 12) },
    };
    return a->fn.item(a->user, &item);
}

rt_status store_each_item(struct store *s, const char *dataset_or_run_id,
                          store_item_fn *fn, void *user)
{
    struct asked a = { .fn.item = fn, .user = user };
    return store_query(
        s,
        "SELECT b.dataset_id, b.run_id, b.kind, i.idx, i.problem_id, i.fault_id, "
        "i.prompt, i.chosen, i.rejected, i.category, i.step_idx, i.source, i.excluded "
        "FROM bullet_set b JOIN bullet_item i USING(dataset_id) WHERE ?1 IN "
        "(b.dataset_id, b.run_id) ORDER BY b.dataset_id, i.idx",
        (const char *const[]){ dataset_or_run_id, NULL }, give_item, &a);
}

rt_status store_checked_text(struct store *s, const char *run_id, const char *segmenter,
                             store_row_fn *fn, void *user)
{
    return store_query(
        s,
        "SELECT g.problem_id, g.sample, f.step_idx AS step, f.category, "
        /* places count bytes, substr of a text characters */
        "rtrim(CAST(substr(CAST(g.output AS BLOB), "
        "coalesce(json_extract(f.evidence,'$.at[0]'), s.char_start)+1, "
        "coalesce(json_extract(f.evidence,'$.at[1]'), s.char_end)-"
        "coalesce(json_extract(f.evidence,'$.at[0]'), s.char_start)) AS TEXT), "
        "char(10)) AS text "
        "FROM fault f JOIN generation g USING(gen_id) LEFT JOIN step s ON "
        "s.gen_id=g.gen_id AND s.segmenter=?2 AND s.idx=f.step_idx WHERE f.run_id=?1 AND "
        "f.locator='check' AND f.step_idx IS NOT NULL ORDER BY g.problem_id, g.sample",
        (const char *const[]){ run_id, segmenter, NULL }, fn, user);
}

rt_status store_located_text(struct store *s, const char *run_id, store_row_fn *fn,
                             void *user)
{
    return store_query(
        s,
        "SELECT g.problem_id, f.locator, f.step_idx AS step, f.category, f.confidence, "
        "CASE WHEN f.locator LIKE 'twin%' THEN g.n_gen WHEN f.locator='judge' THEN "
        "json_extract(f.evidence,'$.tokens') ELSE (SELECT coalesce(sum(n_gen),0) "
        "FROM rollout r WHERE r.fault_id=f.fault_id) END AS tokens, "
        "json_extract(f.evidence,'$.rates') AS rates "
        "FROM fault f JOIN generation g USING(gen_id) WHERE f.run_id=?1 AND "
        "f.locator<>'gold' ORDER BY g.problem_id, f.locator",
        (const char *const[]){ run_id, NULL }, fn, user);
}

static rt_status take_done(void *user, const struct store_row *row)
{
    *(bool *)user = store_row_integer(row, 0) != 0;
    return RT_OK;
}

rt_status store_run_is_done(struct store *s, const char *run_id, bool *done)
{
    *done = false;
    return store_query(s, "SELECT status='done' FROM run WHERE run_id=?1",
                       (const char *const[]){ run_id, NULL }, take_done, done);
}

struct costs {
    store_cost_fn *fn;
    void *user;
};

static rt_status give_cost(void *user, const struct store_row *row)
{
    const struct costs *c = user;
    const struct store_cost cost = {
        .stage = store_row_text(row, 0),
        .wall_seconds = store_row_number(row, 1),
        .device_seconds = store_row_number(row, 2),
        .tflop = store_row_number(row, 3),
    };
    return c->fn(c->user, &cost);
}

rt_status store_each_cost(struct store *s, const char *campaign_id, store_cost_fn *fn,
                          void *user)
{
    struct costs costs = { fn, user };
    return store_query(
        s,
        "SELECT CASE r.kind WHEN 'train' THEN 'train '||json_extract(r.config,'$.recipe')"
        " ELSE b.split||' '||coalesce(v.arm, v.label) END, sum(m.value*(m.name="
        "'wall_seconds')) wall, sum(m.value*(m.name='device_seconds')), sum(m.value*("
        "m.name='tflop')) FROM run r JOIN metric m USING(run_id) LEFT JOIN variant v "
        "USING(variant_id) LEFT JOIN benchmark b ON b.benchmark_id=r.benchmark_id WHERE "
        "r.run_id IN (SELECT run_id FROM campaign_run WHERE campaign_id=?1) AND r.kind "
        "IN ('eval','train') AND m.step=0 AND m.name IN "
        "('wall_seconds','device_seconds','tflop') GROUP BY r.run_id "
        "ORDER BY r.started_ms, r.run_id",
        (const char *const[]){ campaign_id, NULL }, give_cost, &costs);
}

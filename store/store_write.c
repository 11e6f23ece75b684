/* store/store_write.c
 * Rows by purpose. Every insert is idempotent: the key is made from what the row says. */
#include "store/store_impl.h"

#include "runtime/base/sha256.h"
#include "runtime/base/version.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- what ---- */

rt_status store_put_artifact(struct store *s, const struct store_artifact *a)
{
    return store_run_sql(
        s,
        "INSERT INTO artifact(artifact_id,kind,bytes,path_hint) VALUES(?,?,?,?) "
        "ON CONFLICT(artifact_id) DO UPDATE SET path_hint=excluded.path_hint "
        "WHERE path_hint IS NULL",
        "ttit", a->id, a->kind, a->bytes, a->path);
}

rt_status store_forget_path(struct store *s, const char *path)
{
    return store_run_sql(s, "UPDATE artifact SET path_hint=NULL WHERE path_hint=?", "t",
                         path);
}

rt_status store_describe_artifact(struct store *s, const char *id, const char *meta)
{
    return store_run_sql(s,
                         "UPDATE artifact SET meta=? WHERE artifact_id=? AND meta='{}'",
                         "tt", meta, id);
}

static rt_status take_label(void *user, const struct store_row *row)
{
    struct store_variant *v = user;
    snprintf(v->stored_label, sizeof v->stored_label, "%s", store_row_text(row, 0));
    return RT_OK;
}

/* The first six digits of the hash that tells a variant from others of its role. */
static const char *short_hash(const struct store_variant *v, char out[7])
{
    const char *id = v->adapter_id ? v->adapter_id : v->weights_id;
    const char *colon = id ? strchr(id, ':') : NULL;
    snprintf(out, 7, "%s", colon ? colon + 1 : id ? id : "");
    return out;
}

rt_status store_put_variant(struct store *s, struct store_variant *v)
{
    rt_status st;
    char hash[7];
    store_hash(v->id, "variant", v->role, v->arm ? v->arm : "", v->weights_id,
               v->adapter_id ? v->adapter_id : "", NULL);
    TRY(store_run_sql(
        s,
        "INSERT INTO variant(variant_id,label,role,arm,weights_id,adapter_id,arch,params,"
        "quant,bits_per_weight) VALUES(?1,CASE WHEN ?4 IS NULL AND EXISTS(SELECT 1 FROM "
        "variant WHERE label=?2 AND arm IS NULL AND variant_id<>?1) THEN ?2||'-'||?11 "
        "ELSE ?2 END,?3,?4,?5,?6,?7,?8,?9,?10) ON CONFLICT(variant_id) DO UPDATE SET "
        "label=excluded.label WHERE ?4 IS NULL AND ?2<>?3",
        "tttttttitdt", v->id, v->label, v->role, v->arm, v->weights_id, v->adapter_id,
        v->arch, v->params, v->quant, v->bits_per_weight, short_hash(v, hash)));
    TRY(store_query(s, "SELECT label FROM variant WHERE variant_id=?1",
                    (const char *const[]){ v->id, NULL }, take_label, v));
    v->label = v->stored_label;
    return RT_OK;

fail:
    return st;
}

struct same_problem {
    const struct pipe_problem *problem;
    bool same;
};

static rt_status compare_problem(void *user, const struct store_row *row)
{
    struct same_problem *p = user;
    p->same = strcmp(store_row_text(row, 0), p->problem->question) == 0 &&
              strcmp(store_row_text(row, 1), p->problem->answer) == 0;
    return RT_OK;
}

/* An id stands for one problem in a results file: answers refer to it. */
static rt_status check_problem(struct store *s, const struct pipe_problem *p)
{
    struct same_problem same = { .problem = p };
    const rt_status st =
        store_query(s, "SELECT question, answer FROM problem WHERE problem_id=?1",
                    (const char *const[]){ p->id, NULL }, compare_problem, &same);
    if (st != RT_OK || same.same)
        return st;
    return rt_fail(s->ctx, RT_ERR_INPUT,
                   "'%s': the id '%.80s' stands for another question or answer there, "
                   "which earlier answers refer to; use other ids or another --store",
                   s->path, p->id);
}

void store_benchmark_id(const char *name, const char *split,
                        const struct pipe_problem *problems, uint32_t count,
                        char benchmark_id[STORE_ID])
{
    struct sha256 hash;
    char hex[65];
    sha256_init(&hash);
    sha256_add_text(&hash, name);
    sha256_add_text(&hash, split);
    for (uint32_t i = 0; i < count; i++) {
        sha256_add_text(&hash, problems[i].id);
        sha256_add_text(&hash, problems[i].question);
        sha256_add_text(&hash, problems[i].answer);
    }
    sha256_end_hex(&hash, hex);
    snprintf(benchmark_id, STORE_ID, "sha256:%s", hex);
}

rt_status store_put_benchmark(struct store *s, const char *name, const char *split,
                              const struct pipe_problem *problems, uint32_t count,
                              char benchmark_id[STORE_ID])
{
    rt_status st;
    store_benchmark_id(name, split, problems, count, benchmark_id);
    TRY(store_run_sql(
        s,
        "INSERT INTO benchmark(benchmark_id,name,split,n_problems) VALUES(?,?,?,?) "
        "ON CONFLICT(benchmark_id) DO NOTHING",
        "ttti", benchmark_id, name, split, (int64_t)count));
    for (uint32_t i = 0; i < count; i++) {
        const struct pipe_problem *p = &problems[i];
        TRY(store_run_sql(
            s,
            "INSERT INTO problem(problem_id,benchmark_id,ordinal,subject,level,question,"
            "reference,answer) VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(problem_id) DO "
            "NOTHING",
            "ttittttt", p->id, benchmark_id, (int64_t)i, p->subject, p->level,
            p->question, p->reference, p->answer));
        TRY(check_problem(s, p));
    }
    return RT_OK;

fail:
    return st;
}

rt_status store_put_campaign(struct store *s, const char *name, const char *plan,
                             char campaign_id[STORE_ID])
{
    store_hash(campaign_id, "campaign", name, plan, NULL);
    return store_run_sql(
        s,
        "INSERT INTO campaign(campaign_id,name,plan,created_ms) VALUES(?,?,?,?) "
        "ON CONFLICT(campaign_id) DO NOTHING",
        "ttti", campaign_id, name, plan, rt_time_unix_ms());
}

/* ---- runs ---- */

static rt_status take_id(void *user, const struct store_row *row)
{
    snprintf(user, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

static rt_status numerics_of(struct store *s, const char *env_id, char out[STORE_ID])
{
    out[0] = '\0';
    if (!env_id)
        return RT_OK;
    const rt_status st = store_query(
        s, "SELECT coalesce(numerics, env_id) FROM environment WHERE env_id=?1",
        (const char *const[]){ env_id, NULL }, take_id, out);
    if (st == RT_OK && !out[0])
        return rt_fail(s->ctx, RT_ERR_INTERNAL, "results file '%s': no environment '%s'",
                       s->path, env_id);
    return st;
}

/* A run of version 1 that stopped has an id of where it ran, and no one can say whether
 * this is the same place: it stays as it is. */
static rt_status say_left_behind(struct store *s, const struct store_run *r)
{
    char old[STORE_ID] = "";
    const char *const args[] = { r->id, r->kind, r->variant_id ? r->variant_id : "",
                                 r->benchmark_id ? r->benchmark_id : "", NULL };
    const rt_status st = store_query(
        s,
        "SELECT run_id FROM run WHERE id_scheme='v1' AND status<>'done' AND kind=?2 AND "
        "coalesce(variant_id,'')=?3 AND coalesce(benchmark_id,'')=?4 AND NOT "
        "EXISTS(SELECT 1 FROM run WHERE run_id=?1) ORDER BY started_ms, run_id",
        args, take_id, old);
    if (st == RT_OK && old[0])
        rt_log(s->ctx, RT_LOG_WARNING,
               "the %s run %.15s of a version 1 file is unfinished and is not continued: "
               "it keeps its rows, and a new run %.15s starts",
               r->kind, old, r->id);
    return st;
}

static rt_status put_run(struct store *s, const struct store_run *r,
                         const char *config_hash, const char *numerics, int64_t now)
{
    return store_run_sql(
        s,
        "INSERT INTO run(run_id,kind,status,variant_id,benchmark_id,numerics,grader,"
        "id_scheme,seed,config,config_hash,argv,tool_version,tool_commit,tool_dirty,"
        "started_ms,heartbeat_ms) "
        "VALUES(?1,?2,'running',?3,?4,?5,?6,'v2',?7,?8,?9,?10,?11,nullif(?12,''),?13,?14,"
        "?14) ON CONFLICT(run_id) DO UPDATE SET "
        "status=CASE status WHEN 'done' THEN 'done' ELSE 'running' END, "
        "ended_ms=CASE status WHEN 'done' THEN ended_ms END, "
        "exit_code=CASE status WHEN 'done' THEN exit_code END, "
        "error=CASE status WHEN 'done' THEN error END, "
        "heartbeat_ms=excluded.heartbeat_ms",
        "ttttttitttttii", r->id, r->kind, r->variant_id, r->benchmark_id, numerics,
        r->grader, (int64_t)r->seed, r->config, config_hash, s->argv, rt_version,
        rt_commit, (int64_t)rt_commit_changed, now);
}

rt_status store_run_open(struct store *s, struct store_run *r)
{
    assert(r->kind && r->config);
    rt_status st;
    char seed[24], config_hash[STORE_ID], numerics[STORE_ID];
    const int64_t now = rt_time_unix_ms();
    TRY(numerics_of(s, r->env_id, numerics));
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
    store_hash(config_hash, r->config, NULL);
    store_hash(r->id, "run 2", r->kind, r->variant_id ? r->variant_id : "",
               r->benchmark_id ? r->benchmark_id : "", numerics, r->config, seed, NULL);
    TRY(say_left_behind(s, r));
    TRY(put_run(s, r, config_hash, numerics, now));
    if (r->campaign_id)
        TRY(store_run_sql(s,
                          "INSERT INTO campaign_run(campaign_id,run_id,joined_ms) "
                          "VALUES(?,?,?) ON CONFLICT(campaign_id,run_id) DO NOTHING",
                          "tti", r->campaign_id, r->id, now));
    return RT_OK;

fail:
    return st;
}

rt_status store_run_close(struct store *s, const char *run_id, const char *status,
                          int exit_code, const char *error)
{
    return store_run_sql(s,
                         "UPDATE run SET status=?2, exit_code=?3, error=?4, ended_ms=?5, "
                         "heartbeat_ms=?5 WHERE run_id=?1 AND status<>'done'",
                         "ttiti", run_id, status, (int64_t)exit_code, error,
                         rt_time_unix_ms());
}

rt_status store_heartbeat(struct store *s, const char *run_id)
{
    return store_run_sql(s, "UPDATE run SET heartbeat_ms=?2 WHERE run_id=?1", "ti",
                         run_id, rt_time_unix_ms());
}

void store_gen_id(const char *run_id, const char *problem_id, uint32_t sample,
                  char gen_id[STORE_ID])
{
    char number[16];
    snprintf(number, sizeof number, "%u", sample);
    assert(run_id[0] && problem_id[0]);
    store_hash(gen_id, "generation", run_id, problem_id, number, NULL);
}

static rt_status put_trace(struct store *s, const char *gen_id,
                           const struct pipe_trace *t)
{
    const int bytes = (int)(t->n * 4);
    return store_run_sql(
        s,
        "INSERT INTO token_trace(gen_id,codec,n,ids,logprob,margin,alt_id) "
        "VALUES(?,'u32,f32',?,?,?,?,?) ON CONFLICT(gen_id) DO NOTHING",
        "tibbbb", gen_id, (int64_t)t->n, t->ids, bytes, t->logprob, bytes, t->margin,
        bytes, t->alt, bytes);
}

rt_status store_put_score(struct store *s, const char *gen_id,
                          const struct pipe_score *score)
{
    assert(score->grader && (!score->correct || score->extract_ok));
    return store_run_sql(
        s,
        "INSERT INTO score(gen_id,grader,extracted,correct,extract_ok,author,"
        "reason,created_ms) VALUES(?1,?2,?3,?4,?5,'program',?6,?7) "
        "ON CONFLICT(gen_id,grader) DO UPDATE SET extracted=excluded."
        "extracted, correct=excluded.correct, extract_ok=excluded.extract_ok,"
        " reason=excluded.reason, created_ms=excluded.created_ms WHERE "
        "correct IS NOT excluded.correct OR extracted IS NOT excluded.extracted OR "
        "extract_ok<>excluded.extract_ok OR reason IS NOT excluded.reason",
        "tttiiti", gen_id, score->grader, score->extracted, (int64_t)score->correct,
        (int64_t)score->extract_ok, score->reason, rt_time_unix_ms());
}

/* by enum pipe_finish */
static const char *const finishes[] = { "stop", "length", "error" };

enum pipe_finish store_row_finish(const struct store_row *row, int column)
{
    const char *word = store_row_text(row, column);
    for (int i = 0; i < PIPE_FINISH_ERROR; i++)
        if (strcmp(word, finishes[i]) == 0)
            return (enum pipe_finish)i;
    return PIPE_FINISH_ERROR;
}

rt_status store_put_generation(struct store *s, const char *run_id,
                               const struct pipe_generation *g,
                               const struct pipe_score *score,
                               const struct pipe_step *steps, uint32_t step_count)
{
    rt_status st;
    char id[STORE_ID];
    const int64_t now = rt_time_unix_ms();
    store_gen_id(run_id, g->problem_id, g->sample, id);
    TRY(store_run_sql(s,
                      "INSERT INTO generation(gen_id,run_id,problem_id,sample,"
                      "prompt_hash,output,finish,n_prompt,n_gen,prefill_us,decode_us,"
                      "created_ms,error) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) "
                      "ON CONFLICT(gen_id) DO NOTHING",
                      "tttitttiiiiit", id, run_id, g->problem_id, (int64_t)g->sample,
                      g->prompt_hash, g->output, finishes[g->finish],
                      (int64_t)g->n_prompt, (int64_t)g->n_gen, g->prefill_us,
                      g->decode_us, now, g->error));
    TRY(store_run_sql(s,
                      "DELETE FROM claim WHERE run_id=?1 AND problem_id=?2 AND sample=?3",
                      "tti", run_id, g->problem_id, (int64_t)g->sample));
    if (g->trace.n)
        TRY(put_trace(s, id, &g->trace));
    if (score)
        TRY(store_put_score(s, id, score));
    for (uint32_t i = 0; i < step_count; i++)
        TRY(store_run_sql(
            s,
            "INSERT INTO step(gen_id,segmenter,idx,char_start,char_end,tok_start,"
            "tok_end) VALUES(?,?,?,?,?,?,?) ON CONFLICT(gen_id,segmenter,idx) DO NOTHING",
            "ttiiiii", id, g->segmenter, (int64_t)i, (int64_t)steps[i].char_start,
            (int64_t)steps[i].char_end, (int64_t)steps[i].tok_start,
            (int64_t)steps[i].tok_end));
    return RT_OK;

fail:
    return st;
}

struct answers {
    store_answer_fn *fn;
    void *user;
};

static rt_status give_answer(void *user, const struct store_row *row)
{
    const struct answers *a = user;
    int size;
    struct store_answer answer = {
        .problem_id = store_row_text(row, 0),
        .output = store_row_text(row, 1),
        .finish = store_row_finish(row, 2),
        .correct = store_row_integer(row, 3) != 0,
        .extract_ok = store_row_integer(row, 4) != 0,
    };
    answer.ids = store_row_blob(row, 5, &size);
    answer.n_gen = (uint32_t)size / 4;
    answer.logprob = store_row_blob(row, 6, &size);
    answer.margin = store_row_blob(row, 7, &size);
    answer.alt = store_row_blob(row, 8, &size);
    answer.sample = (uint32_t)store_row_integer(row, 9);
    answer.reason = store_row_text(row, 10);
    return a->fn(a->user, &answer);
}

rt_status store_each_answer(struct store *s, const char *run_id, store_answer_fn *fn,
                            void *user)
{
    const char *const args[] = { run_id, NULL };
    struct answers answers = { fn, user };
    return store_query(
        s,
        "SELECT g.problem_id,g.output,g.finish,s.correct,s.extract_ok,t.ids,"
        "t.logprob,t.margin,t.alt_id,g.sample,s.reason FROM generation "
        "g " STORE_JOIN_VERDICT
        "LEFT JOIN token_trace t ON t.gen_id=g.gen_id WHERE g.run_id=?1 "
        "ORDER BY g.problem_id, g.sample",
        args, give_answer, &answers);
}

/* ---- faults, items, metrics ---- */

void store_fault_id(const char *run_id, const char *gen_id, const char *locator,
                    char fault_id[STORE_ID])
{
    store_hash(fault_id, "fault 2", run_id, gen_id, locator, NULL);
}

rt_status store_put_fault(struct store *s, const char *run_id, const char *gen_id,
                          const struct pipe_fault *f)
{
    assert(run_id[0] && gen_id[0] && f->locator);
    char id[STORE_ID];
    store_fault_id(run_id, gen_id, f->locator, id);
    return store_run_sql(
        s,
        "INSERT INTO fault(fault_id,gen_id,run_id,locator,step_idx,"
        "tok_idx,category,confidence,evidence) VALUES(?1,?2,?3,?4,"
        "nullif(?5,-1),nullif(?6,-1),?7,?8,?9) ON CONFLICT(fault_id) DO UPDATE SET "
        "step_idx=excluded.step_idx, tok_idx=excluded.tok_idx, "
        "category=excluded.category, confidence=excluded.confidence, "
        "evidence=excluded.evidence WHERE review='auto'",
        "ttttiitdt", id, gen_id, run_id, f->locator, (int64_t)f->step, (int64_t)f->token,
        pipe_category_code(f->category), f->confidence, f->evidence ? f->evidence : "{}");
}

rt_status store_put_rollout(struct store *s, const char *run_id, const char *gen_id,
                            const char *locator, const char *variant_id,
                            const struct pipe_rollout *r)
{
    char id[STORE_ID];
    store_fault_id(run_id, gen_id, locator, id);
    return store_run_sql(
        s,
        "INSERT INTO rollout(fault_id,step_idx,sample,variant_id,output,correct,n_gen) "
        "VALUES(?,?,?,?,?,?,?) ON CONFLICT(fault_id,variant_id,step_idx,sample) DO "
        "NOTHING",
        "tiittii", id, (int64_t)r->step, (int64_t)r->sample, variant_id, r->output,
        (int64_t)r->correct, (int64_t)r->n_gen);
}

static rt_status put_item(struct store *s, const char *dataset_id, uint32_t i,
                          const struct pipe_item *item)
{
    return store_run_sql(
        s,
        "INSERT INTO bullet_item(dataset_id,idx,problem_id,fault_id,prompt,chosen,"
        "rejected,category,step_idx,source,excluded) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,nullif(?9,-1),?10,?11) "
        "ON CONFLICT(dataset_id,idx) DO NOTHING",
        "tittttttitt", dataset_id, (int64_t)i, item->problem_id, item->fault_id,
        item->prompt, item->chosen, item->rejected, pipe_category_code(item->category),
        (int64_t)item->step, item->source, item->excluded);
}

rt_status store_put_items(struct store *s, const char *run_id, const char *kind,
                          const char *recipe, const struct pipe_item *items,
                          uint32_t count)
{
    assert(kind && recipe && (items || count == 0));
    rt_status st;
    char id[STORE_ID];
    store_hash(id, "bullets", run_id, kind, recipe, NULL);
    TRY(store_run_sql(s,
                      "INSERT INTO bullet_set(dataset_id,run_id,kind,recipe) "
                      "VALUES(?,?,?,?) ON CONFLICT(dataset_id) DO NOTHING",
                      "tttt", id, run_id, kind, recipe));
    for (uint32_t i = 0; i < count; i++)
        TRY(put_item(s, id, i, &items[i]));
    return RT_OK;

fail:
    return st;
}

/* Whether metrics.def has the name, or says how it is made. */
static bool known_metric(const char *name)
{
    static const char *const names[] = {
#define METRIC(name, unit, merge, what) #name,
#include "store/metrics.def"
#undef METRIC
    };
    static const char injected[] = "injected_";
    if (strncmp(name, injected, sizeof injected - 1) == 0)
        name += sizeof injected - 1;
    const char *last = strrchr(name, '_');
    if (last && (!strcmp(last, "_said") || !strcmp(last, "_right") ||
                 !strcmp(last, "_near") || !strcmp(last, "_tokens")))
        return true;
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

rt_status store_put_metric(struct store *s, const char *run_id, const char *name,
                           int64_t step, double value)
{
    assert(run_id[0] && known_metric(name));
    return store_run_sql(s,
                         "INSERT INTO metric(run_id,name,step,value,t_ms) "
                         "VALUES(?,?,?,?,?) ON CONFLICT(run_id,name,step) DO UPDATE SET "
                         "value=excluded.value, t_ms=excluded.t_ms",
                         "ttidi", run_id, name, step, value, rt_time_unix_ms());
}

rt_status store_add_metric(struct store *s, const char *run_id, const char *name,
                           double value)
{
    assert(run_id[0] && known_metric(name));
    return store_run_sql(s,
                         "INSERT INTO metric(run_id,name,step,value,t_ms) "
                         "VALUES(?,?,0,?,?) ON CONFLICT(run_id,name,step) DO UPDATE SET "
                         "value=value+excluded.value, t_ms=excluded.t_ms",
                         "ttdi", run_id, name, value, rt_time_unix_ms());
}

/* ---- comparisons and stages ---- */

rt_status store_put_comparison(struct store *s, const char *campaign_id,
                               const char *benchmark_id, const char *grader,
                               const char *full_run, const char *quant_run,
                               const char *restored_run, char comparison_id[STORE_ID])
{
    rt_status st;
    const char *restored = restored_run ? restored_run : "";
    store_hash(comparison_id, "comparison 2", campaign_id, full_run, quant_run, restored,
               grader, NULL);
    TRY(store_run_sql(s,
                      "INSERT INTO comparison(comparison_id,campaign_id,"
                      "benchmark_id,grader,full_variant,quant_variant,restored_variant,"
                      "created_ms) SELECT ?1,?2,?3,?4,(SELECT variant_id FROM run WHERE "
                      "run_id=?5),(SELECT variant_id FROM run WHERE run_id=?6),(SELECT "
                      "variant_id FROM run WHERE run_id=?7),?8 WHERE true "
                      "ON CONFLICT(comparison_id) DO NOTHING",
                      "ttttttti", comparison_id, campaign_id, benchmark_id, grader,
                      full_run, quant_run, restored, rt_time_unix_ms()));
    return store_run_sql(
        s,
        "INSERT INTO comparison_pair(comparison_id,problem_id,sample,full_gen,"
        "quant_gen,restored_gen,f,q,r) SELECT ?1,f.problem_id,f.sample,f.gen_id,q.gen_id,"
        "r.gen_id,fs.correct,qs.correct,rs.correct FROM generation f JOIN score fs ON "
        "fs.gen_id=f.gen_id AND fs.grader=?5 JOIN generation q ON q.run_id=?3 AND "
        "q.problem_id=f.problem_id AND q.sample=f.sample JOIN score qs ON "
        "qs.gen_id=q.gen_id "
        "AND qs.grader=?5 LEFT JOIN generation r ON r.run_id=?4 AND "
        "r.problem_id=f.problem_id "
        "AND r.sample=f.sample LEFT JOIN score rs ON rs.gen_id=r.gen_id AND rs.grader=?5 "
        "WHERE f.run_id=?2 ON CONFLICT(comparison_id,problem_id,sample) DO NOTHING",
        "ttttt", comparison_id, full_run, quant_run, restored, grader);

fail:
    return st;
}

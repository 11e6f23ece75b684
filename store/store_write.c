/* store/store_write.c
 * Rows by purpose. Every insert is idempotent: the key is made from what the row says. */
#include "store/store_impl.h"

#include "runtime/format/sha256.h"
#include "runtime/version.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- environment ---- */

static void read_cpu(char *name, size_t size)
{
    snprintf(name, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size, "%.200s", colon + 2);
        break;
    }
    if (file)
        fclose(file);
}

static rt_status put_machine(struct store *s, char id[STORE_ID])
{
    struct utsname u;
    char cpu[224];
    if (uname(&u) != 0)
        memset(&u, 0, sizeof u);
    read_cpu(cpu, sizeof cpu);
    const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t ram = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    store_hash(id, "machine", u.nodename, u.sysname, cpu, NULL);
    return store_run_sql(s,
                         "INSERT OR IGNORE INTO machine(machine_id,label,os,kernel,cpu,"
                         "cpu_cores,ram_bytes) VALUES(?,?,?,?,?,?,?)",
                         "ttttt"
                         "ii",
                         id, u.nodename, u.sysname, u.release, cpu, cores, ram);
}

static rt_status put_device(struct store *s, const struct rt_device_info *info,
                            char id[STORE_ID])
{
    const struct rt_facts *f = &info->facts;
    const char *type = info->software ? "cpu" : f->discrete ? "discrete" : "integrated";
    char uuid[33] = "";
    for (int i = 0; i < 16; i++)
        snprintf(uuid + 2 * i, 3, "%02x", f->device_uuid[i]);
    store_hash(id, "device", info->name, info->description, uuid, NULL);
    return store_run_sql(s,
                         "INSERT OR IGNORE INTO device(device_id,name,vendor_id,"
                         "pci_device_id,device_type,device_uuid,vram_bytes,uma) "
                         "VALUES(?,?,?,?,?,?,?,?)",
                         "ttiittii", id, info->description, (int64_t)f->vendor_id,
                         (int64_t)f->device_id, type, uuid, (int64_t)f->device_heap_bytes,
                         (int64_t)f->unified_memory);
}

rt_status store_put_environment(struct store *s, const struct rt_device *dev,
                                char env_id[STORE_ID])
{
    rt_status st;
    char machine[STORE_ID], device[STORE_ID], driver[STORE_ID], api[32], plan[512];
    const struct rt_device_info *info = rt_device_info_of(dev);
    const struct rt_facts *f = &info->facts;
    TRY(put_machine(s, machine));
    TRY(put_device(s, info, device));
    snprintf(api, sizeof api, "%u.%u.%u", f->api_version >> 22,
             f->api_version >> 12 & 1023, f->api_version & 4095);
    store_hash(driver, "driver", info->driver, api, NULL);
    TRY(store_run_sql(s,
                      "INSERT OR IGNORE INTO driver(driver_id,vk_driver_id,name,info,"
                      "version_raw,api_version) VALUES(?,?,?,?,?,?)",
                      "tittit", driver, (int64_t)f->driver_id, info->driver,
                      f->driver_info, (int64_t)f->driver_version, api));
    rt_plan_print(rt_device_plan(dev), plan, sizeof plan);
    store_hash(env_id, "env", machine, device, driver, plan, NULL);
    TRY(store_run_sql(s,
                      "INSERT OR IGNORE INTO environment(env_id,machine_id,device_id,"
                      "driver_id,caps) VALUES(?,?,?,?,?)",
                      "ttttt", env_id, machine, device, driver, plan));
    return RT_OK;

fail:
    return st;
}

/* ---- what ---- */

rt_status store_put_artifact(struct store *s, const struct store_artifact *a)
{
    return store_run_sql(
        s,
        "INSERT OR IGNORE INTO artifact(artifact_id,kind,bytes,path_hint) "
        "VALUES(?,?,?,?)",
        "ttit", a->id, a->kind, a->bytes, a->path);
}

rt_status store_put_variant(struct store *s, struct store_variant *v)
{
    store_hash(v->id, "variant", v->role, v->arm ? v->arm : "", v->weights_id,
               v->adapter_id ? v->adapter_id : "", NULL);
    return store_run_sql(
        s,
        "INSERT OR IGNORE INTO variant(variant_id,label,role,arm,weights_id,"
        "adapter_id,arch,params,quant,bits_per_weight) "
        "VALUES(?,?,?,?,?,?,?,?,?,?)",
        "tttttttitd", v->id, v->label, v->role, v->arm, v->weights_id, v->adapter_id,
        v->arch, v->params, v->quant, v->bits_per_weight);
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
        "INSERT OR IGNORE INTO benchmark(benchmark_id,name,split,n_problems) "
        "VALUES(?,?,?,?)",
        "ttti", benchmark_id, name, split, (int64_t)count));
    for (uint32_t i = 0; i < count; i++) {
        const struct pipe_problem *p = &problems[i];
        TRY(store_run_sql(
            s,
            "INSERT OR IGNORE INTO problem(problem_id,benchmark_id,ordinal,"
            "subject,level,question,reference,answer) VALUES(?,?,?,?,?,?,?,?)",
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
        "INSERT OR IGNORE INTO campaign(campaign_id,name,plan,created_ms) "
        "VALUES(?,?,?,?)",
        "ttti", campaign_id, name, plan, rt_time_unix_ms());
}

/* ---- runs ---- */

rt_status store_run_open(struct store *s, struct store_run *r)
{
    char seed[24], config_hash[STORE_ID];
    const int64_t now = rt_time_unix_ms();
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
    store_hash(config_hash, r->config, NULL);
    store_hash(r->id, "run", r->campaign_id ? r->campaign_id : "", r->kind,
               r->variant_id ? r->variant_id : "", r->benchmark_id ? r->benchmark_id : "",
               r->env_id ? r->env_id : "", r->config, seed, NULL);
    return store_run_sql(
        s,
        "INSERT INTO "
        "run(run_id,campaign_id,kind,status,variant_id,benchmark_id,env_id,seed,"
        "config,config_hash,argv,tool_version,tool_commit,tool_dirty,started_ms,"
        "heartbeat_ms) "
        "VALUES(?1,?2,?3,'running',?4,?5,?6,?7,?8,?9,?10,?11,nullif(?12,''),?13,?14,?14) "
        "ON CONFLICT(run_id) DO UPDATE SET status=CASE status WHEN 'done' THEN 'done' "
        "ELSE "
        "'running' END, ended_ms=CASE status WHEN 'done' THEN ended_ms END, "
        "exit_code=CASE status WHEN 'done' THEN exit_code END, error=CASE status WHEN "
        "'done' THEN error END, heartbeat_ms=excluded.heartbeat_ms",
        "ttttttitttttii", r->id, r->campaign_id, r->kind, r->variant_id, r->benchmark_id,
        r->env_id, (int64_t)r->seed, r->config, config_hash, s->argv, rt_version,
        rt_commit, (int64_t)rt_commit_changed, now);
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
    store_hash(gen_id, "generation", run_id, problem_id, number, NULL);
}

static rt_status put_trace(struct store *s, const char *gen_id,
                           const struct pipe_trace *t)
{
    const int bytes = (int)(t->n * 4);
    return store_run_sql(
        s,
        "INSERT OR IGNORE INTO token_trace(gen_id,codec,n,ids,logprob,margin,"
        "alt_id) VALUES(?,'u32,f32',?,?,?,?,?)",
        "tibbbb", gen_id, (int64_t)t->n, t->ids, bytes, t->logprob, bytes, t->margin,
        bytes, t->alt, bytes);
}

rt_status store_put_score(struct store *s, const char *gen_id,
                          const struct pipe_score *score)
{
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

rt_status store_put_generation(struct store *s, const char *run_id,
                               const struct pipe_generation *g,
                               const struct pipe_score *score,
                               const struct pipe_step *steps, uint32_t step_count)
{
    static const char *const finishes[] = { "stop", "length", "error" };
    rt_status st;
    char id[STORE_ID];
    const int64_t now = rt_time_unix_ms();
    store_gen_id(run_id, g->problem_id, g->sample, id);
    TRY(store_run_sql(s,
                      "INSERT OR IGNORE INTO generation(gen_id,run_id,problem_id,sample,"
                      "prompt_hash,output,finish,n_prompt,n_gen,prefill_us,decode_us,"
                      "created_ms,error) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
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
            "INSERT OR IGNORE INTO step(gen_id,segmenter,idx,char_start,char_end,"
            "tok_start,tok_end) VALUES(?,?,?,?,?,?,?)",
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
        .finish = strcmp(store_row_text(row, 2), "stop") == 0     ? PIPE_FINISH_STOP
                  : strcmp(store_row_text(row, 2), "length") == 0 ? PIPE_FINISH_LENGTH
                                                                  : PIPE_FINISH_ERROR,
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
        "t.logprob,t.margin,t.alt_id,g.sample,s.reason FROM generation g LEFT JOIN score "
        "s "
        "USING(gen_id) LEFT JOIN token_trace t USING(gen_id) WHERE g.run_id=?1 "
        "ORDER BY g.problem_id, g.sample",
        args, give_answer, &answers);
}

/* ---- faults, items, metrics ---- */

rt_status store_put_fault(struct store *s, const char *run_id, const char *gen_id,
                          const struct pipe_fault *f)
{
    char id[STORE_ID];
    store_hash(id, "fault", gen_id, f->locator, NULL);
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

rt_status store_put_rollout(struct store *s, const char *gen_id, const char *locator,
                            const char *variant_id, const struct pipe_rollout *r)
{
    char id[STORE_ID];
    store_hash(id, "fault", gen_id, locator, NULL);
    return store_run_sql(
        s,
        "INSERT OR IGNORE INTO rollout(fault_id,step_idx,sample,variant_id,"
        "output,correct,n_gen) VALUES(?,?,?,?,?,?,?)",
        "tiittii", id, (int64_t)r->step, (int64_t)r->sample, variant_id, r->output,
        (int64_t)r->correct, (int64_t)r->n_gen);
}

rt_status store_put_items(struct store *s, const char *run_id, const char *kind,
                          const char *recipe, const struct pipe_item *items,
                          uint32_t count)
{
    rt_status st;
    char id[STORE_ID];
    store_hash(id, "bullets", run_id, kind, recipe, NULL);
    TRY(store_run_sql(s,
                      "INSERT OR IGNORE INTO bullet_set(dataset_id,run_id,kind,recipe) "
                      "VALUES(?,?,?,?)",
                      "tttt", id, run_id, kind, recipe));
    for (uint32_t i = 0; i < count; i++)
        TRY(store_run_sql(
            s,
            "INSERT OR IGNORE INTO bullet_item(dataset_id,idx,problem_id,prompt,"
            "chosen,rejected,excluded) VALUES(?,?,?,?,?,?,?)",
            "tittttt", id, (int64_t)i, items[i].problem_id, items[i].prompt,
            items[i].chosen, items[i].rejected, items[i].excluded));
    return RT_OK;

fail:
    return st;
}

rt_status store_put_metric(struct store *s, const char *run_id, const char *name,
                           int64_t step, double value)
{
    return store_run_sql(s,
                         "INSERT OR REPLACE INTO metric(run_id,name,step,value,t_ms) "
                         "VALUES(?,?,?,?,?)",
                         "ttidi", run_id, name, step, value, rt_time_unix_ms());
}

rt_status store_add_metric(struct store *s, const char *run_id, const char *name,
                           double value)
{
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
    store_hash(comparison_id, "comparison", full_run, quant_run, restored, grader, NULL);
    TRY(store_run_sql(s,
                      "INSERT OR IGNORE INTO comparison(comparison_id,campaign_id,"
                      "benchmark_id,grader,full_variant,quant_variant,restored_variant,"
                      "created_ms) SELECT ?1,?2,?3,?4,(SELECT variant_id FROM run WHERE "
                      "run_id=?5),(SELECT variant_id FROM run WHERE run_id=?6),(SELECT "
                      "variant_id FROM run WHERE run_id=?7),?8",
                      "tttttt"
                      "ti",
                      comparison_id, campaign_id, benchmark_id, grader, full_run,
                      quant_run, restored, rt_time_unix_ms()));
    return store_run_sql(
        s,
        "INSERT OR IGNORE INTO comparison_pair(comparison_id,problem_id,sample,full_gen,"
        "quant_gen,restored_gen,f,q,r) SELECT ?1,f.problem_id,f.sample,f.gen_id,q.gen_id,"
        "r.gen_id,fs.correct,qs.correct,rs.correct FROM generation f JOIN score fs ON "
        "fs.gen_id=f.gen_id AND fs.grader=?5 JOIN generation q ON q.run_id=?3 AND "
        "q.problem_id=f.problem_id AND q.sample=f.sample JOIN score qs ON "
        "qs.gen_id=q.gen_id "
        "AND qs.grader=?5 LEFT JOIN generation r ON r.run_id=?4 AND "
        "r.problem_id=f.problem_id "
        "AND r.sample=f.sample LEFT JOIN score rs ON rs.gen_id=r.gen_id AND rs.grader=?5 "
        "WHERE f.run_id=?2",
        "ttttt", comparison_id, full_run, quant_run, restored, grader);

fail:
    return st;
}

rt_status store_put_stage(struct store *s, const char *campaign_id, const char *name,
                          const char *inputs, const char *output, double seconds)
{
    return store_run_sql(
        s,
        "INSERT OR REPLACE INTO stage(campaign_id,name,inputs,output,done_ms,"
        "seconds) VALUES(?,?,?,?,?,?)",
        "ttttid", campaign_id, name, inputs, output, rt_time_unix_ms(), seconds);
}

struct found {
    struct rt_ctx *ctx;
    char *output;
};

static rt_status take_output(void *user, const struct store_row *row)
{
    struct found *f = user;
    rt_free(f->output);
    f->output = rt_strdup(f->ctx, store_row_text(row, 0));
    return RT_OK;
}

bool store_stage_done(struct store *s, const char *campaign_id, const char *name,
                      const char *inputs, char **output)
{
    const char *const args[] = { campaign_id, name, inputs, NULL };
    struct found f = { .ctx = s->ctx };
    const rt_status st = store_query(
        s, "SELECT output FROM stage WHERE campaign_id=?1 AND name=?2 AND inputs=?3",
        args, take_output, &f);
    *output = f.output;
    return st == RT_OK && f.output;
}

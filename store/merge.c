/* store/merge.c
 * Takes the rows of one results file into another, table by table in the order of their
 * references. A row whose key is new is added. Where the key is there, columns that say
 * what the row is must be equal; facts such as times stay as they were. Runs, metrics,
 * scores and reviews have rules of their own. */
#include "store/merge.h"

#include "runtime/base/os.h"
#include "store/store_impl.h"

#include <stdio.h>
#include <string.h>

struct merge_table {
    const char *name, *key; /* columns of the key, separated by commas */
    const char *same;       /* columns that must be equal under one key; "": none */
};

/* In the order of references: what a row refers to comes before it. */
static const struct merge_table tables[] = {
    { "machine", "machine_id", "" },
    { "device", "device_id", "name,vendor_id,pci_device_id" },
    { "driver", "driver_id", "name,info,version_raw" },
    { "environment", "env_id", "numerics" },
    { "artifact", "artifact_id", "kind,bytes" },
    { "variant", "variant_id", "role,arm,weights_id,adapter_id" },
    { "benchmark", "benchmark_id", "name,split,n_problems" },
    { "problem", "problem_id", "question,answer" },
    { "campaign", "campaign_id", "name,plan" },
    { "run", "run_id", "kind,variant_id,benchmark_id,numerics,seed,config" },
    { "campaign_run", "campaign_id,run_id", "" },
    { "attempt", "attempt_id", "run_id,env_id" },
    { "run_artifact", "run_id,direction,role,artifact_id", "" },
    { "generation", "gen_id", "output,finish,n_gen" },
    { "token_trace", "gen_id", "ids" },
    { "score", "gen_id,grader", "" },
    { "score_history", "gen_id,grader,replaced_ms", "" },
    { "step", "gen_id,segmenter,idx", "char_start,char_end" },
    { "fault_category", "code", "" },
    { "fault", "fault_id", "" },
    { "rollout", "fault_id,variant_id,step_idx,sample", "output,correct" },
    { "bullet_set", "dataset_id", "run_id,kind,recipe" },
    { "bullet_item", "dataset_id,idx", "problem_id,prompt,chosen,rejected,excluded" },
    { "metric", "run_id,name,step", "" },
    { "sensor", "sensor_id", "name,unit" },
    { "telemetry", "run_id,sensor_id,t_ms", "" },
    { "event", "run_id,seq", "" },
    { "bench_case", "case_id", "suite,suite_version,name,params,unit" },
    { "bench_result", "run_id,case_id,pass", "status,value" },
    { "bench_sample", "run_id,case_id,pass,phase", "samples" },
    { "comparison", "comparison_id", "campaign_id,grader" },
    { "comparison_pair", "comparison_id,problem_id,sample", "full_gen,quant_gen" },
    { "stage", "campaign_id,name,inputs", "" },
    { "annotation", "annotation_id", "target,target_id,tag,author" },
};

/* Which value of a metric stays: metrics.def. */
static const char metric_rules[] =
    "CREATE TEMP TABLE metric_rule AS SELECT '' AS name, '' AS rule WHERE false "
#define METRIC(name, unit, rule, what) "UNION ALL SELECT '" #name "', '" #rule "' "
#include "store/metrics.def"
#undef METRIC
    ;
#define ADDED "(SELECT name FROM temp.metric_rule WHERE rule='SUM')"
#define MOST "(SELECT name FROM temp.metric_rule WHERE rule='MOST')"

/* Before the rows are added: what the two files say of the same thing. */
static const char *const before[] = {
    metric_rules,
    /* What a run took adds up where the attempts are others in both files; where an
     * attempt is in both, the sum would count it twice, and the larger one stays. */
    "CREATE TEMP TABLE apart AS SELECT r.run_id FROM main.run r JOIN other.run o "
    "USING(run_id) WHERE NOT EXISTS(SELECT 1 FROM main.attempt a JOIN other.attempt b "
    "USING(attempt_id) WHERE a.run_id=r.run_id) AND EXISTS(SELECT 1 FROM other.attempt b "
    "WHERE b.run_id=r.run_id)",
    "UPDATE main.metric AS m SET value=m.value+o.value FROM other.metric o WHERE "
    "o.run_id=m.run_id AND o.name=m.name AND o.step=m.step AND m.name IN " ADDED
    " AND m.run_id IN (SELECT run_id FROM temp.apart)",
    "UPDATE main.metric AS m SET value=o.value FROM other.metric o WHERE "
    "o.run_id=m.run_id AND o.name=m.name AND o.step=m.step AND o.value>m.value AND "
    "(m.name IN " MOST " OR m.name IN " ADDED " AND m.run_id NOT IN (SELECT run_id FROM "
    "temp.apart))",
    /* Of all other numbers, and of faults, the finished run's. */
    "UPDATE main.metric AS m SET value=o.value, t_ms=o.t_ms FROM other.metric o, "
    "other.run p, main.run r WHERE o.run_id=m.run_id AND o.name=m.name AND "
    "o.step=m.step AND p.run_id=m.run_id AND r.run_id=m.run_id AND p.status='done' AND "
    "r.status<>'done' AND m.name NOT IN " ADDED " AND m.name NOT IN " MOST,
    "UPDATE main.fault AS f SET step_idx=o.step_idx, tok_idx=o.tok_idx, "
    "category=o.category, confidence=o.confidence, evidence=o.evidence FROM other.fault "
    "o, other.run p, main.run r WHERE o.fault_id=f.fault_id AND p.run_id=f.run_id AND "
    "r.run_id=f.run_id AND p.status='done' AND r.status<>'done' AND f.review='auto'",
    "UPDATE main.fault AS f SET review=o.review, reviewer=o.reviewer, "
    "reviewed_ms=o.reviewed_ms FROM other.fault o WHERE o.fault_id=f.fault_id AND "
    "o.review<>'auto' AND (f.review='auto' OR "
    "coalesce(o.reviewed_ms,0)>coalesce(f.reviewed_ms,0))",
    "UPDATE main.annotation AS a SET note=o.note, created_ms=o.created_ms FROM "
    "other.annotation o WHERE o.annotation_id=a.annotation_id AND "
    "o.created_ms>a.created_ms",
    /* The newer verdict stays, the other goes to score_history: here by the trigger. */
    "INSERT INTO main.score_history SELECT o.gen_id, o.grader, s.created_ms, "
    "json_object('extracted',o.extracted,'correct',o.correct,'extract_ok',o.extract_ok,"
    "'author',o.author,'reason',o.reason,'created_ms',o.created_ms) FROM other.score o "
    "JOIN main.score s USING(gen_id, grader) WHERE o.created_ms<s.created_ms AND "
    "(o.correct IS NOT s.correct OR o.extracted IS NOT s.extracted) "
    "ON CONFLICT(gen_id,grader,replaced_ms) DO NOTHING",
    "UPDATE main.score AS s SET extracted=o.extracted, correct=o.correct, "
    "extract_ok=o.extract_ok, author=o.author, reason=o.reason, created_ms=o.created_ms "
    "FROM other.score o WHERE o.gen_id=s.gen_id AND o.grader=s.grader AND "
    "o.created_ms>s.created_ms",
    "UPDATE main.run AS r SET started_ms=min(r.started_ms,o.started_ms), "
    "heartbeat_ms=max(r.heartbeat_ms,o.heartbeat_ms) FROM other.run o WHERE "
    "o.run_id=r.run_id AND (o.started_ms<r.started_ms OR o.heartbeat_ms>r.heartbeat_ms)",
    "UPDATE main.run AS r SET status='done', ended_ms=o.ended_ms, exit_code=o.exit_code, "
    "error=o.error FROM other.run o WHERE o.run_id=r.run_id AND o.status='done' AND "
    "r.status<>'done'",
    "DROP TABLE temp.apart",
    "DROP TABLE temp.metric_rule",
    NULL,
};

/* Afterwards: shards that are whole together make a run that is done. */
static const char *const after[] = {
    "UPDATE main.run AS r SET status='done', exit_code=0, error=NULL, "
    "ended_ms=(SELECT max(ended_ms) FROM main.attempt a WHERE a.run_id=r.run_id) "
    "WHERE r.kind='eval' AND r.status<>'done' AND (SELECT value FROM main.metric m WHERE "
    "m.run_id=r.run_id AND m.name='wanted' AND m.step=0)<=(SELECT count(*) FROM "
    "main.generation g WHERE g.run_id=r.run_id)",
    NULL,
};

/* Adds the rows that are changed to *changed. */
static rt_status run_all(struct store *s, const char *const *list, int64_t *changed)
{
    for (; *list; list++) {
        if (sqlite3_exec(s->db, *list, NULL, NULL, NULL) != SQLITE_OK)
            return store_error(s, "cannot take the rows of the other file");
        if (strncmp(*list, "UPDATE", 6) == 0)
            *changed += sqlite3_changes(s->db);
    }
    return RT_OK;
}

static rt_status take_number(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

static rt_status count_rows(struct store *s, const char *sql, int64_t *out)
{
    return store_query(s, sql, NULL, take_number, out);
}

/* "m.a IS NOT o.a OR m.b IS NOT o.b" of "a,b"; "0" of "". */
static void differ(const char *columns, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "0");
    while (*columns) {
        const int n = (int)strcspn(columns, ",");
        used += (size_t)snprintf(out + used, size - used, " OR m.%.*s IS NOT o.%.*s", n,
                                 columns, n, columns);
        columns += n + (columns[n] == ',');
    }
}

/* Rows under one key that must be the same and are not. */
static rt_status check_table(struct store *s, const struct merge_table *t,
                             const char *path, int64_t *both)
{
    rt_status st;
    char sql[1024], unequal[512];
    int64_t conflicts = 0;
    differ(t->same, unequal, sizeof unequal);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM main.%s m JOIN other.%s o USING(%s) WHERE %s", t->name,
             t->name, t->key, unequal);
    TRY(count_rows(s, sql, &conflicts));
    snprintf(sql, sizeof sql, "SELECT count(*) FROM main.%s JOIN other.%s USING(%s)",
             t->name, t->name, t->key);
    TRY(count_rows(s, sql, both));
    if (conflicts)
        return rt_fail(s->ctx, RT_ERR_STORE,
                       "'%s' and '%s' cannot be merged: %lld rows of table %s have the "
                       "same id and another content (%s); one of the files was altered, "
                       "or two devices of one kind gave other answers. Nothing was taken",
                       s->path, path, (long long)conflicts, t->name, t->same);

fail:
    return st;
}

static rt_status log_table(struct store *s, const char *path, int64_t now,
                           const char *table, int64_t added, int64_t same)
{
    return store_run_sql(s,
                         "INSERT INTO merge_log(source_store,at_ms,tbl,added,same,"
                         "conflict) VALUES(?,?,?,?,?,0) ON "
                         "CONFLICT(source_store,at_ms,tbl) DO NOTHING",
                         "titii", path, now, table, added, same);
}

static rt_status take_tables(struct store *s, const char *path,
                             struct store_merge_counts *counts)
{
    rt_status st = RT_OK;
    char sql[256];
    const int64_t now = rt_time_unix_ms();
    int64_t both[RT_COUNT(tables)];
    for (size_t i = 0; i < RT_COUNT(tables); i++)
        TRY(check_table(s, &tables[i], path, &both[i]));
    TRY(run_all(s, before, &counts->settled));
    for (size_t i = 0; i < RT_COUNT(tables); i++) {
        const struct merge_table *t = &tables[i];
        snprintf(sql, sizeof sql,
                 "INSERT INTO main.%s SELECT * FROM other.%s WHERE true ON CONFLICT(%s) "
                 "DO NOTHING",
                 t->name, t->name, t->key);
        if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
            return store_error(s, "cannot take the rows of the other file");
        const int64_t added = sqlite3_changes(s->db);
        counts->added += added;
        counts->same += both[i];
        if (added)
            TRY(log_table(s, path, now, t->name, added, both[i]));
    }
    TRY(run_all(s, after, &counts->settled));

fail:
    return st;
}

/* Its version and that nothing is wrong with it, told as for any file that is opened. */
static rt_status check_other(struct store *s, const char *path)
{
    struct store *other = NULL;
    int64_t version = 0;
    if (os_same(s->path, path))
        return rt_fail(s->ctx, RT_ERR_USAGE,
                       "'%s' is the results file that is merged into; name the others, "
                       "and this one with --store",
                       path);
    rt_status st = store_open(s->ctx, path, STORE_READ, &other);
    store_close(&other);
    if (st != RT_OK)
        return st;
    sqlite3_stmt *attach = NULL;
    if (sqlite3_prepare_v2(s->db, "ATTACH ?1 AS other", -1, &attach, NULL) != SQLITE_OK)
        return store_error(s, "the other file cannot be opened");
    sqlite3_bind_text(attach, 1, path, -1, SQLITE_STATIC);
    const int code = sqlite3_step(attach);
    sqlite3_finalize(attach);
    if (code != SQLITE_DONE)
        return store_error(s, "the other file cannot be opened");
    st = count_rows(s, "PRAGMA other.user_version", &version);
    if (st == RT_OK && version != STORE_VERSION)
        return rt_fail(s->ctx, RT_ERR_STORE,
                       "'%s' is of version %lld: bring it forward first, with faultline "
                       "store migrate --store %s",
                       path, (long long)version, path);
    return st;
}

rt_status store_merge(struct store *s, const char *path,
                      struct store_merge_counts *counts)
{
    rt_status st;
    *counts = (struct store_merge_counts){ 0 };
    TRY(check_other(s, path));
    TRY(store_begin(s));
    TRY(take_tables(s, path, counts));
    TRY(store_commit(s));

fail:
    store_rollback(s);
    /* Of a file that was not attached there is nothing to detach. */
    sqlite3_exec(s->db, "DETACH other", NULL, NULL, NULL);
    return st;
}

/* store/store_claim.c
 * Attempts at runs, what they claim, and whether their processes are gone. */
#include "store/store_claim.h"

#include "runtime/base/os.h"
#include "store/store_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void store_host_name(char name[STORE_HOST])
{
    struct os_system system;
    const char *given = getenv("FAULTLINE_HOST");
    os_system_read(&system);
    snprintf(name, STORE_HOST, "%.*s", STORE_HOST - 1,
             given && given[0] ? given : system.host);
}

/* The machine and, where there are such, the space in which a process id means something:
 * containers may share a name. */
static void process_space(char *out, size_t size)
{
    char host[STORE_HOST], space[32]; /* "pid:[4026531836]" */
    store_host_name(host);
    os_process_space(space, sizeof space);
    snprintf(out, size, "%s %s", host, space);
}

/* process_gone(host, pid): it was on this machine and is no more. */
static void process_gone(sqlite3_context *call, int count, sqlite3_value **values)
{
    char host[160];
    (void)count;
    process_space(host, sizeof host);
    const char *name = (const char *)sqlite3_value_text(values[0]);
    sqlite3_result_int(call, name && strcmp(name, host) == 0 &&
                                 os_process_gone(sqlite3_value_int64(values[1])));
}

bool store_add_functions(struct store *s)
{
    return sqlite3_create_function(s->db, "process_gone", 2,
                                   SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL, process_gone,
                                   NULL, NULL) == SQLITE_OK;
}

struct gone {
    char ids[16][STORE_ID];
    int count;
};

static rt_status take_gone(void *user, const struct store_row *row)
{
    struct gone *g = user;
    if (g->count == (int)RT_COUNT(g->ids) || !os_process_gone(store_row_integer(row, 1)))
        return RT_OK;
    snprintf(g->ids[g->count++], STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

static rt_status end_attempt(struct store *s, const char *id, int exit_code,
                             const char *error)
{
    rt_status st;
    TRY(store_run_sql(s, "DELETE FROM claim WHERE attempt_id=?1", "t", id));
    return store_run_sql(s,
                         "UPDATE attempt SET ended_ms=?2, exit_code=?3, error=?4 WHERE "
                         "attempt_id=?1 AND ended_ms IS NULL",
                         "tiit", id, rt_time_unix_ms(), (int64_t)exit_code, error);

fail:
    return st;
}

rt_status store_attempts_reap(struct store *s, const char *run_id)
{
    rt_status st;
    char host[160];
    process_space(host, sizeof host);
    struct gone g = { .count = 0 };
    const char *const args[] = { run_id, host, NULL };
    TRY(store_query(s,
                    "SELECT attempt_id, pid FROM attempt WHERE run_id=?1 AND host=?2 AND "
                    "ended_ms IS NULL ORDER BY started_ms",
                    args, take_gone, &g));
    for (int i = 0; i < g.count; i++)
        TRY(end_attempt(s, g.ids[i], 137, "the process is gone"));
    return RT_OK;

fail:
    return st;
}

rt_status store_attempt_open(struct store *s, const char *run_id, const char *env_id,
                             struct store_attempt *out)
{
    assert(run_id[0] && env_id);
    rt_status st;
    char host[160], pid[24], time[24];
    const int64_t now = rt_time_unix_ms();
    *out = (struct store_attempt){ .beat_ms = now };
    process_space(host, sizeof host);
    snprintf(pid, sizeof pid, "%lld", (long long)os_process_id());
    snprintf(time, sizeof time, "%llu", (unsigned long long)rt_time_ns());
    snprintf(out->run_id, STORE_ID, "%s", run_id);
    store_hash(out->id, "attempt", run_id, host, pid, time, NULL);
    TRY(store_attempts_reap(s, run_id));
    TRY(store_run_sql(s,
                      "INSERT INTO attempt(attempt_id,run_id,env_id,pid,host,started_ms,"
                      "heartbeat_ms) VALUES(?1,?2,?3,?4,?5,?6,?6)",
                      "tttiti", out->id, run_id, env_id, os_process_id(), host, now));
    return store_run_sql(s,
                         "UPDATE run SET status='running', heartbeat_ms=?2, "
                         "ended_ms=NULL, exit_code=NULL, error=NULL WHERE run_id=?1",
                         "ti", run_id, now);

fail:
    return st;
}

rt_status store_attempt_beat(struct store *s, struct store_attempt *a)
{
    assert(a->id[0]);
    rt_status st;
    const int64_t now = rt_time_unix_ms();
    TRY(store_run_sql(s, "UPDATE attempt SET heartbeat_ms=?2 WHERE attempt_id=?1", "ti",
                      a->id, now));
    TRY(store_run_sql(s, "UPDATE claim SET expires_ms=?2 WHERE attempt_id=?1", "ti",
                      a->id, now + STORE_LEASE_MS));
    TRY(store_heartbeat(s, a->run_id));
    a->beat_ms = now;
    return RT_OK;

fail:
    return st;
}

rt_status store_attempt_close(struct store *s, struct store_attempt *a,
                              const char *status, int exit_code, const char *error)
{
    assert(a->id[0] && status);
    rt_status st;
    const int64_t now = rt_time_unix_ms();
    TRY(end_attempt(s, a->id, exit_code, error));
    return store_run_sql(
        s,
        "UPDATE run SET status=?2, exit_code=?3, error=?4, ended_ms=?5, heartbeat_ms=?5 "
        "WHERE run_id=?1 AND (?2='done' OR NOT EXISTS(SELECT 1 FROM attempt a WHERE "
        "a.run_id=?1 AND a.ended_ms IS NULL AND a.heartbeat_ms>?6))",
        "ttitii", a->run_id, status, (int64_t)exit_code, error, now,
        now - STORE_LEASE_MS);

fail:
    return st;
}

rt_status store_claim(struct store *s, const struct store_attempt *a,
                      const char *problem_id, uint32_t sample, bool *got)
{
    assert(a->id[0] && problem_id[0]);
    const int64_t now = rt_time_unix_ms();
    *got = false;
    const rt_status st = store_run_sql(
        s,
        "INSERT INTO claim(run_id,problem_id,sample,attempt_id,expires_ms) SELECT "
        "?1,?2,?3,?4,?5 WHERE NOT EXISTS(SELECT 1 FROM generation WHERE run_id=?1 AND "
        "problem_id=?2 AND sample=?3) ON CONFLICT(run_id,problem_id,sample) DO UPDATE "
        "SET attempt_id=excluded.attempt_id, expires_ms=excluded.expires_ms WHERE "
        "claim.expires_ms<?6",
        "ttitii", a->run_id, problem_id, (int64_t)sample, a->id, now + STORE_LEASE_MS,
        now);
    if (st == RT_OK)
        *got = sqlite3_changes(s->db) == 1;
    return st;
}

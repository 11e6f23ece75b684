/* store/migrate.c
 * Brings a results file of an earlier version to the present one: numbered steps, forward
 * only, all in one transaction. A file that is opened for writing is copied first, to
 * FILE.v1 (FILE.v1-2 where that is there), and then changed; killed on the way, it is
 * still what it was. A file that is opened for reading is not changed: its content is
 * taken into a temporary database, which is brought forward and vanishes at the end.
 *
 * A new version: write store/migrate_N.c, add its list to `steps`, raise STORE_VERSION,
 * put a file of the last version into tests/golden/store. */
#include "store/store_impl.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "store/store_claim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What makes version i + 1 of version i; of nothing where i is 0. */
static const char *const *const steps[STORE_VERSION] = { store_schema_v1,
                                                         store_schema_v2 };

rt_status store_schema_apply(struct store *s, int from)
{
    char pragma[48];
    for (int i = from; i < STORE_VERSION; i++)
        for (const char *const *sql = steps[i]; *sql; sql++)
            if (sqlite3_exec(s->db, *sql, NULL, NULL, NULL) != SQLITE_OK)
                return store_error(s, "cannot make its tables");
    snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", STORE_VERSION);
    return sqlite3_exec(s->db, pragma, NULL, NULL, NULL) == SQLITE_OK
               ? RT_OK
               : store_error(s, "cannot mark the file");
}

static rt_status take_count(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

/* Rows that refer to nothing would be a bug of a step: then nothing is changed. */
static rt_status check_references(struct store *s)
{
    int64_t broken = 0;
    const rt_status st = store_query(s, "SELECT count(*) FROM pragma_foreign_key_check",
                                     NULL, take_count, &broken);
    if (st != RT_OK || broken == 0)
        return st;
    return rt_fail(s->ctx, RT_ERR_INTERNAL,
                   "results file '%s': %lld rows would refer to nothing in version %d; "
                   "the file is left as it was",
                   s->path, (long long)broken, STORE_VERSION);
}

static rt_status apply(struct store *s, int from)
{
    rt_status st;
    TRY(store_schema_apply(s, from));
    TRY(store_put_categories(s));
    TRY(check_references(s));

fail:
    return st;
}

/* A program of the earlier version that works on the file would fail on the new tables. */
static rt_status check_unused(struct store *s)
{
    char since[24];
    int64_t live = 0;
    snprintf(since, sizeof since, "%lld",
             (long long)(rt_time_unix_ms() - STORE_LEASE_MS));
    const rt_status st =
        store_query(s,
                    "SELECT count(*) FROM attempt WHERE ended_ms IS NULL AND "
                    "heartbeat_ms>CAST(?1 AS INTEGER) AND NOT process_gone(host, pid)",
                    (const char *const[]){ since, NULL }, take_count, &live);
    if (st != RT_OK || live == 0)
        return st;
    return rt_fail(s->ctx, RT_ERR_STORE,
                   "results file '%s' is of an earlier version and another process works "
                   "on it (%lld); it is brought to version %d when that has ended or has "
                   "been silent for a minute: try again then",
                   s->path, (long long)live, STORE_VERSION);
}

/* ---- the copy that is kept ---- */

/* A name that is free: FILE.v1, FILE.v1-2, ... */
static char *copy_name(struct store *s, int version)
{
    for (int i = 1; i < 100; i++) {
        char tail[16] = "";
        if (i > 1)
            snprintf(tail, sizeof tail, "-%d", i);
        char *name = rt_format(s->ctx, "%s.v%d%s", s->path, version, tail);
        if (!name || !os_exists(name))
            return name;
        rt_free(name);
    }
    return NULL;
}

/* The content as it is now, through a connection of its own: the caller's is in a
 * transaction, so that nobody writes between the copy and the change. */
static rt_status write_copy(struct store *s, const char *part, const char *name)
{
    rt_status st = RT_OK;
    sqlite3 *source = NULL;
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", part);
    remove(part);
    const int code = !sql ? SQLITE_NOMEM
                          : sqlite3_open_v2(s->path, &source, SQLITE_OPEN_READONLY, NULL);
    if (code != SQLITE_OK || sqlite3_exec(source, sql, NULL, NULL, NULL) != SQLITE_OK)
        st = rt_fail(s->ctx, RT_ERR_STORE, "%s",
                     source ? sqlite3_errmsg(source) : "no memory");
    else if (!os_sync_file(part) || rename(part, name) != 0)
        st = rt_fail(s->ctx, RT_ERR_STORE, "%s", strerror(errno));
    else
        st = fmt_sync_parent(s->ctx, name);
    sqlite3_free(sql);
    sqlite3_close(source);
    if (st != RT_OK)
        remove(part);
    return st;
}

static rt_status keep_copy(struct store *s, int version, char **name)
{
    char why[256];
    *name = copy_name(s, version);
    char *part = *name ? rt_format(s->ctx, "%s.part", *name) : NULL;
    if (!part)
        return rt_fail(
            s->ctx, RT_ERR_STORE,
            "results file '%s': no name or no memory is left for a copy beside "
            "it; move '%s.v%d*' away",
            s->path, s->path, version);
    const rt_status st = write_copy(s, part, *name);
    rt_free(part);
    if (st == RT_OK)
        return RT_OK;
    snprintf(why, sizeof why, "%.255s", s->ctx->message);
    return rt_fail(s->ctx, RT_ERR_STORE,
                   "results file '%s' is of version %d; before it is brought to version "
                   "%d it is copied to '%s', which failed: %s; make room there, the file "
                   "is left as it was",
                   s->path, version, STORE_VERSION, *name, why);
}

/* ---- for writing and for reading ---- */

static rt_status version_of(struct store *s, int *version)
{
    int64_t number = 0;
    const rt_status st = store_query(s, "SELECT user_version FROM pragma_user_version",
                                     NULL, take_count, &number);
    *version = (int)number;
    return st;
}

rt_status store_migrate_file(struct store *s)
{
    rt_status st;
    int version = 0;
    char *copy = NULL;
    bool written = false;  /* the copy, by this call */
    TRY(store_use_wal(s)); /* killed, it is then read without being written */
    TRY(store_begin(s));
    TRY(version_of(s, &version)); /* another process may have done it meanwhile */
    if (version < STORE_VERSION) {
        TRY(check_unused(s));
        TRY(keep_copy(s, version, &copy));
        written = true;
        TRY(apply(s, version));
    }
    TRY(store_commit(s));
    if (copy)
        rt_log(s->ctx, RT_LOG_WARNING,
               "results file '%s' was of version %d and is now of version %d; a copy of "
               "what it was is '%s'",
               s->path, version, STORE_VERSION, copy);

fail:
    if (st != RT_OK) {
        store_rollback(s);
        if (copy && written)
            remove(copy); /* the file itself is as it was */
    }
    rt_free(copy);
    return st;
}

static bool take_content(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    const int code = backup ? sqlite3_backup_step(backup, -1) : SQLITE_ERROR;
    return sqlite3_backup_finish(backup) == SQLITE_OK && code == SQLITE_DONE;
}

rt_status store_migrate_copy(struct store *s)
{
    rt_status st;
    int version = 0;
    sqlite3 *copy = NULL;
    TRY(version_of(s, &version));
    /* An empty name: a database on disk that SQLite removes when it is closed. */
    if (sqlite3_open("", &copy) != SQLITE_OK || !take_content(s->db, copy)) {
        sqlite3_close(copy);
        return rt_fail(s->ctx, RT_ERR_STORE,
                       "results file '%s' is of version %d, and there is no room for the "
                       "temporary copy that it is read through; make room, or open it "
                       "once for writing: faultline store migrate",
                       s->path, version);
    }
    sqlite3_close(s->db);
    s->db = copy;
    if (!store_add_functions(s))
        return store_error(s, "cannot be opened");
    TRY(store_begin(s));
    TRY(apply(s, version));
    TRY(store_commit(s));
    if (sqlite3_exec(s->db, "PRAGMA query_only=ON", NULL, NULL, NULL) != SQLITE_OK)
        return store_error(s, "cannot be prepared");
    rt_log(s->ctx, RT_LOG_WARNING,
           "results file '%s' is of version %d and is read through a temporary copy; "
           "faultline store migrate brings it to version %d",
           s->path, version, STORE_VERSION);

fail:
    return st;
}

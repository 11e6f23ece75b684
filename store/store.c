/* store/store.c
 * The open results file: opening, transactions, prepared statements, reading. */
#include "store/store_impl.h"

#include "runtime/base/os.h"
#include "runtime/base/sha256.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BUSY_MS = 10000 };

rt_status store_error(struct store *s, const char *what)
{
    const int code = s->db ? sqlite3_errcode(s->db) : SQLITE_NOMEM;
    const char *advice = "";
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        advice = "; another process holds it, try again when that has ended";
        break;
    case SQLITE_FULL:
        advice = "; the disk is full, make room and run the same command again";
        break;
    case SQLITE_IOERR: /* a quota or a limit, where the system does not say "full" */
        advice = "; the disk may be full or failing, look after it and run the same "
                 "command again";
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        advice = "; check that the file and its folder can be written";
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        advice = "; the file is damaged or not a results file, use another --store";
        break;
    default:
        break;
    }
    return rt_fail(s->ctx, RT_ERR_STORE, "results file '%s': %s: %s%s", s->path, what,
                   s->db ? sqlite3_errmsg(s->db) : "no memory", advice);
}

static rt_status exec(struct store *s, const char *sql, const char *what)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? RT_OK
                                                                   : store_error(s, what);
}

static int pragma_value(struct store *s, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        *out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

rt_status store_put_categories(struct store *s)
{
    for (int i = 0; i < PIPE_CAT_COUNT; i++) {
        const enum pipe_category c = (enum pipe_category)i;
        const rt_status st = store_run_sql(
            s,
            "INSERT INTO fault_category(code,label,description) VALUES(?,?,?) "
            "ON CONFLICT(code) DO NOTHING",
            "ttt", pipe_category_code(c), pipe_category_label(c), pipe_category_label(c));
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

static const char count_tables[] = "SELECT count(*) FROM sqlite_schema";

static rt_status create_schema(struct store *s)
{
    rt_status st;
    char pragma[96];
    int64_t tables = 0;
    TRY(exec(s, "BEGIN IMMEDIATE", "cannot start"));
    /* Another process may have made them while this one waited. */
    if (pragma_value(s, count_tables, &tables) != SQLITE_OK) {
        st = store_error(s, "cannot be read");
        goto fail;
    }
    if (tables > 0)
        return exec(s, "COMMIT", "cannot be read");
    TRY(store_schema_apply(s, 0));
    snprintf(pragma, sizeof pragma, "PRAGMA application_id=%d", STORE_APPLICATION);
    TRY(exec(s, pragma, "cannot mark the file"));
    TRY(store_put_categories(s));
    TRY(exec(s, "COMMIT", "cannot create tables"));
    return RT_OK;

fail:
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

/* What kind of file this is; creates the tables of an empty one, brings an old one
 * forward. */
static rt_status check_version(struct store *s, enum store_mode mode)
{
    rt_status st = RT_OK;
    int64_t application = 0, version = 0, tables = 0;
    if (pragma_value(s, count_tables, &tables) != SQLITE_OK)
        return store_error(s, "cannot be read");
    if (tables == 0 && mode == STORE_WRITE)
        st = create_schema(s);
    if (st != RT_OK)
        return st;
    if (pragma_value(s, "PRAGMA application_id", &application) != SQLITE_OK ||
        pragma_value(s, "PRAGMA user_version", &version) != SQLITE_OK)
        return store_error(s, "cannot be read");
    if (application == 0 && tables == 0) /* or another process is making it just now */
        return rt_fail(s->ctx, RT_ERR_STORE,
                       "results file '%s' is empty: nothing has been stored in it yet",
                       s->path);
    if (application != STORE_APPLICATION)
        return rt_fail(s->ctx, RT_ERR_STORE,
                       "'%s' is a database of another program; use another --store",
                       s->path);
    if (version > STORE_VERSION)
        return rt_fail(
            s->ctx, RT_ERR_STORE,
            "results file '%s' is of version %lld, this program knows %d; use a "
            "newer faultline",
            s->path, (long long)version, STORE_VERSION);
    if (version == STORE_VERSION)
        return RT_OK;
    return mode == STORE_WRITE ? store_migrate_file(s) : store_migrate_copy(s);
}

/* WAL is a property of the file. Of two processes that turn it on at once, SQLite tells
 * one "busy" without waiting: its lock cannot be raised while the other holds one too. */
rt_status store_use_wal(struct store *s)
{
    static const char wal[] = "PRAGMA journal_mode=WAL";
    const uint64_t end = rt_time_ns() + BUSY_MS * UINT64_C(1000000);
    int code;
    while ((code = sqlite3_exec(s->db, wal, NULL, NULL, NULL)) == SQLITE_BUSY &&
           rt_time_ns() < end)
        sqlite3_sleep(10);
    if (code == SQLITE_OK)
        code = sqlite3_exec(s->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    return code == SQLITE_OK ? RT_OK : store_error(s, "cannot be prepared");
}

rt_status store_open(struct rt_ctx *ctx, const char *path, enum store_mode mode,
                     struct store **out)
{
    rt_status st;
    *out = NULL;
    struct store *s = rt_alloc(ctx, 1, sizeof *s);
    if (!s)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "results file '%s': no memory", path);
    s->ctx = ctx;
    s->argv = "[]";
    s->path = rt_strdup(ctx, path);
    if (!s->path) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "results file '%s': no memory", path);
        goto fail;
    }
    if (mode == STORE_READ && !os_exists(path)) {
        st = rt_fail(ctx, RT_ERR_STORE,
                     "results file '%s' cannot be opened: %s; name one with --store, or "
                     "make it with eval, restore or demo",
                     path, strerror(errno));
        goto fail;
    }
    const int flags = mode == STORE_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                          : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) {
        st = store_error(s, "cannot be opened");
        goto fail;
    }
    sqlite3_busy_timeout(s->db, BUSY_MS);
    if (!store_add_functions(s)) {
        st = store_error(s, "cannot be opened");
        goto fail;
    }
    /* Off while tables are made anew; a build of SQLite may have them on. */
    TRY(exec(s, "PRAGMA foreign_keys=OFF", "cannot be prepared"));
    TRY(check_version(s, mode));
    if (mode == STORE_WRITE) {
        TRY(store_use_wal(s));
    }
    TRY(exec(s, "PRAGMA foreign_keys=ON", "cannot be prepared"));
    *out = s;
    return RT_OK;

fail:
    store_close(&s);
    return st;
}

void store_close(struct store **ps)
{
    struct store *s = *ps;
    if (!s)
        return;
    for (int i = 0; i < s->cache_count; i++)
        sqlite3_finalize(s->cache[i].statement);
    sqlite3_close(s->db);
    rt_free(s->path);
    rt_free(s);
    *ps = NULL;
}

void store_set_argv(struct store *s, const char *argv)
{
    s->argv = argv;
}

rt_status store_begin(struct store *s)
{
    return exec(s, "BEGIN IMMEDIATE", "cannot start a change");
}

rt_status store_commit(struct store *s)
{
    return exec(s, "COMMIT", "cannot save");
}

void store_rollback(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- statements ---- */

static rt_status prepare(struct store *s, const char *sql, sqlite3_stmt **out)
{
    for (int i = 0; i < s->cache_count; i++)
        if (s->cache[i].sql == sql) {
            *out = s->cache[i].statement;
            return RT_OK;
        }
    if (s->cache_count == STORE_STATEMENTS_MAX)
        return rt_fail(s->ctx, RT_ERR_INTERNAL, "more statements than the store keeps");
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) !=
        SQLITE_OK)
        return store_error(s, "a statement does not fit");
    s->cache[s->cache_count].sql = sql;
    s->cache[s->cache_count++].statement = *out;
    return RT_OK;
}

rt_status store_run_sql(struct store *s, const char *sql, const char *format, ...)
{
    sqlite3_stmt *statement;
    rt_status st = prepare(s, sql, &statement);
    if (st != RT_OK)
        return st;
    assert((int)strlen(format) == sqlite3_bind_parameter_count(statement));
    va_list args;
    va_start(args, format);
    for (int i = 1; *format; format++, i++) {
        if (*format == 't') {
            sqlite3_bind_text(statement, i, va_arg(args, const char *), -1,
                              SQLITE_STATIC);
        } else if (*format == 'i') {
            sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
        } else if (*format == 'd') {
            sqlite3_bind_double(statement, i, va_arg(args, double));
        } else {
            const void *data = va_arg(args, const void *);
            sqlite3_bind_blob(statement, i, data, va_arg(args, int), SQLITE_STATIC);
        }
    }
    va_end(args);
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        st = store_error(s, "cannot write");
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return st;
}

void store_hash_list(char id[STORE_ID], const char *const *texts)
{
    struct sha256 hash;
    char hex[65];
    sha256_init(&hash);
    for (; *texts; texts++)
        sha256_add_text(&hash, *texts);
    sha256_end_hex(&hash, hex);
    snprintf(id, STORE_ID, "sha256:%s", hex);
}

/* ---- reading ---- */

struct store_row {
    sqlite3_stmt *statement;
};

static sqlite3_stmt *statement_of(const struct store_row *row)
{
    return row->statement;
}

int store_row_count(const struct store_row *row)
{
    return sqlite3_column_count(statement_of(row));
}

const char *store_row_name(const struct store_row *row, int column)
{
    return sqlite3_column_name(statement_of(row), column);
}

const char *store_row_text(const struct store_row *row, int column)
{
    const unsigned char *text = sqlite3_column_text(statement_of(row), column);
    return text ? (const char *)text : "";
}

size_t store_row_size(const struct store_row *row, int column)
{
    return (size_t)sqlite3_column_bytes(statement_of(row), column);
}

bool store_row_is_blob(const struct store_row *row, int column)
{
    return sqlite3_column_type(statement_of(row), column) == SQLITE_BLOB;
}

bool store_row_is_number(const struct store_row *row, int column)
{
    const int type = sqlite3_column_type(statement_of(row), column);
    return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}

bool store_row_null(const struct store_row *row, int column)
{
    return sqlite3_column_type(statement_of(row), column) == SQLITE_NULL;
}

const char *store_row_text_or_null(const struct store_row *row, int column)
{
    return store_row_null(row, column) ? NULL : store_row_text(row, column);
}

double store_row_number(const struct store_row *row, int column)
{
    return sqlite3_column_double(statement_of(row), column);
}

int64_t store_row_integer(const struct store_row *row, int column)
{
    return sqlite3_column_int64(statement_of(row), column);
}

const void *store_row_blob(const struct store_row *row, int column, int *size)
{
    const void *data = sqlite3_column_blob(statement_of(row), column);
    *size = sqlite3_column_bytes(statement_of(row), column);
    return data;
}

rt_status store_query_given(struct store *s, const char *sql, store_row_fn *fn,
                            void *user)
{
    sqlite3_stmt *statement = NULL;
    const int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    sqlite3_finalize(statement);
    if (code == SQLITE_ERROR)
        return rt_fail(s->ctx, RT_ERR_USAGE, "'%s' cannot answer that: %s", s->path,
                       sqlite3_errmsg(s->db));
    return store_query(s, sql, NULL, fn, user);
}

rt_status store_query(struct store *s, const char *sql, const char *const *args,
                      store_row_fn *fn, void *user)
{
    rt_status st = RT_OK;
    struct store_row row = { 0 };
    const char *rest = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, &row.statement, &rest) != SQLITE_OK)
        return store_error(s, "the query does not fit");
    if (!row.statement || !sqlite3_stmt_readonly(row.statement) ||
        (rest && rest[strspn(rest, " \t\r\n;")])) {
        sqlite3_finalize(row.statement);
        return rt_fail(s->ctx, RT_ERR_USAGE, "only one statement that reads is allowed");
    }
    for (int i = 0; args && args[i]; i++)
        sqlite3_bind_text(row.statement, i + 1, args[i], -1, SQLITE_STATIC);
    int code;
    while (st == RT_OK && (code = sqlite3_step(row.statement)) != SQLITE_DONE)
        st = code == SQLITE_ROW ? fn(user, &row) : store_error(s, "cannot read");
    sqlite3_finalize(row.statement);
    return st;
}

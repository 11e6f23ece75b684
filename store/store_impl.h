/* store/store_impl.h
 * Private to store/: the open database and its prepared statements. */
#ifndef STORE_STORE_IMPL_H
#define STORE_STORE_IMPL_H

#include <sqlite3.h>

#include "store/store.h"

enum { STORE_VERSION = 1, STORE_APPLICATION = 0x464C544C, STORE_STATEMENTS_MAX = 64 };

extern const char *const store_schema_v1[];

struct store {
    struct rt_ctx *ctx; /* borrowed */
    sqlite3 *db;
    char *path;
    const char *argv; /* borrowed, JSON */
    struct {
        const char *sql; /* by address: every statement is one string literal */
        sqlite3_stmt *statement;
    } cache[STORE_STATEMENTS_MAX];
    int cache_count;
};

/* SQL functions of this program: process_gone(host, pid). False: SQLite refuses. */
bool store_add_functions(struct store *s);
/* The message of the last SQLite failure as a status. */
rt_status store_error(struct store *s, const char *what);
/* Runs a prepared statement. format: a letter per parameter: t text (null allowed),
 * i int64_t, d double, b blob (pointer, int size). */
rt_status store_run_sql(struct store *s, const char *sql, const char *format, ...);
void store_benchmark_id(const char *name, const char *split,
                        const struct pipe_problem *problems, uint32_t count,
                        char benchmark_id[STORE_ID]);
/* Hashes texts (a null-terminated list) into "sha256:...". */
void store_hash_list(char id[STORE_ID], const char *const *texts);
#define store_hash(id, ...) store_hash_list(id, (const char *const[]){ __VA_ARGS__ })

#endif

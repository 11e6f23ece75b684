/* store/store_impl.h
 * Private to store/: the open database and its prepared statements. */
#ifndef STORE_STORE_IMPL_H
#define STORE_STORE_IMPL_H

#include <sqlite3.h>

#include "store/store.h"

/* Joins to an answer g the score s that counts, in SQL; view v_verdict says the same. */
#define STORE_JOIN_VERDICT                                                           \
    "LEFT JOIN score s ON s.gen_id=g.gen_id AND s.grader=coalesce((SELECT o.grader " \
    "FROM run o WHERE o.run_id=g.run_id), (SELECT min(m.grader) FROM score m WHERE " \
    "m.gen_id=g.gen_id)) "

enum { STORE_HOST = 128 }; /* bytes of a host name with its end */
enum { STORE_VERSION = 2, STORE_APPLICATION = 0x464C544C, STORE_STATEMENTS_MAX = 64 };

/* SQL of each version's step, null-terminated: store/migrate.c. */
extern const char *const store_schema_v1[];
extern const char *const store_schema_v2[];

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

/* The name of this machine; FAULTLINE_HOST gives another (tests, nodes without one). */
void store_host_name(char name[STORE_HOST]);
/* SQL functions of this program: process_gone(host, pid). False: SQLite refuses. */
bool store_add_functions(struct store *s);
/* Makes the tables of the present version of those of version `from`; 0: of nothing.
 * Within a transaction of the caller, with foreign keys off. */
rt_status store_schema_apply(struct store *s, int from);
/* The file itself, with a copy kept; or a temporary copy of it, for reading. */
rt_status store_migrate_file(struct store *s);
rt_status store_migrate_copy(struct store *s);
rt_status store_put_categories(struct store *s);
/* Makes the file keep a write-ahead log, synced at every commit. */
rt_status store_use_wal(struct store *s);
/* The message of the last SQLite failure as a status. */
rt_status store_error(struct store *s, const char *what);
/* Runs a prepared statement. format: a letter per parameter (asserted): t text (null
 * allowed), i int64_t, d double, b blob (pointer, int size). */
rt_status store_run_sql(struct store *s, const char *sql, const char *format, ...);
void store_benchmark_id(const char *name, const char *split,
                        const struct pipe_problem *problems, uint32_t count,
                        char benchmark_id[STORE_ID]);
/* Hashes texts (a null-terminated list) into "sha256:...". */
void store_hash_list(char id[STORE_ID], const char *const *texts);
#define store_hash(id, ...) store_hash_list(id, (const char *const[]){ __VA_ARGS__ })

#endif

/* runtime/base/hash_cache.h
 * Content hashes of large files, kept so that a file is hashed once.
 *
 * One small file a path in the cache folder (rt_ctx.cache_dir), `hash-` and the first half of
 * the SHA-256 of the absolute path: one line,
 *   faultline-hash 1 HASH CHECK
 * where CHECK is the SHA-256 over path, stamps (struct fmt_stamp of every file that the hash
 * covers) and HASH. So a file that was replaced, changed or touched, a damaged line and a
 * foreign file all read as "not known", and the hash is made again. Written to a name of its
 * own and renamed: processes may do it at the same time. Files whose time is less than
 * two seconds ago are not kept: a later change could carry the same time. */
#ifndef RUNTIME_BASE_HASH_CACHE_H
#define RUNTIME_BASE_HASH_CACHE_H

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"

/* What a hash of `path` is kept under. */
struct fmt_hash_key {
    char file[1200];      /* in the cache folder; empty: nothing is kept */
    struct sha256 stamps; /* of the path and the files added so far */
    bool is_settled;      /* no file changed just now */
};

void fmt_hash_key_init(const struct rt_ctx *ctx, const char *path,
                       struct fmt_hash_key *key);
void fmt_hash_key_add(struct fmt_hash_key *key, const struct fmt_stamp *stamp);

/* Whether the hash is known; then it is in `hex`. */
bool fmt_hash_cache_find(const struct fmt_hash_key *key, char hex[65]);
/* Keeps a hash. That it cannot be kept is no failure: it costs the time next time. */
void fmt_hash_cache_keep(const struct fmt_hash_key *key, const char hex[65]);

#endif

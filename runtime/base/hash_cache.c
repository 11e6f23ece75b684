/* runtime/base/hash_cache.c
 * Reads and writes the kept hash of a file, and drops it when the file has changed. */
#include "runtime/base/hash_cache.h"

#include "runtime/base/os.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SETTLED_MS 2000

void fmt_hash_key_init(const struct rt_ctx *ctx, const char *path,
                       struct fmt_hash_key *key)
{
    char absolute[OS_PATH_MAX], hex[65];
    struct sha256 name;
    *key = (struct fmt_hash_key){ .is_settled = true };
    sha256_init(&key->stamps);
    if (!ctx->cache_dir || !os_absolute(path, absolute))
        return;
    sha256_add_text(&key->stamps, absolute);
    sha256_init(&name);
    sha256_add_text(&name, absolute);
    sha256_end_hex(&name, hex);
    assert(strlen(hex) == 64);
    const int n =
        snprintf(key->file, sizeof key->file, "%s/hash-%.32s", ctx->cache_dir, hex);
    if (n < 0 || (size_t)n >= sizeof key->file)
        key->file[0] = '\0';
}

void fmt_hash_key_add(struct fmt_hash_key *key, const struct fmt_stamp *stamp)
{
    sha256_add(&key->stamps, stamp, sizeof *stamp);
    key->is_settled =
        key->is_settled && stamp->modified_ns / 1000000 + SETTLED_MS < rt_time_unix_ms();
}

static void check_of(const struct fmt_hash_key *key, const char hash[65], char check[65])
{
    struct sha256 s = key->stamps;
    sha256_add_text(&s, hash);
    sha256_end_hex(&s, check);
}

bool fmt_hash_cache_find(const struct fmt_hash_key *key, char hex[65])
{
    char found[65], check[65], wanted[65];
    FILE *file = key->file[0] ? fopen(key->file, "r") : NULL;
    if (!file)
        return false;
    const bool read = fscanf(file, "faultline-hash 1 %64s %64s", found, check) == 2;
    fclose(file);
    if (!read)
        return false;
    check_of(key, found, wanted);
    if (strcmp(check, wanted) != 0)
        return false;
    memcpy(hex, found, sizeof found);
    return true;
}

void fmt_hash_cache_keep(const struct fmt_hash_key *key, const char hex[65])
{
    char line[160], check[65];
    if (!key->file[0] || !key->is_settled)
        return;
    check_of(key, hex, check);
    const int n = snprintf(line, sizeof line, "faultline-hash 1 %s %s\n", hex, check);
    rt_cache_write(key->file, line, (size_t)n);
}

/* runtime/base/file.h
 * Files as the readers and writers need them: mapped, read whole, written atomically. */
#ifndef RUNTIME_BASE_FILE_H
#define RUNTIME_BASE_FILE_H

#include <stdio.h>

#include "runtime/base/json.h"
#include "runtime/base/rt.h"

/* Tells a file, and this state of it, from others. */
struct fmt_stamp {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns; /* content; content or its entry; since 1970 */
};

/* A file mapped read-only. */
struct fmt_map {
    const uint8_t *data; /* null for an empty file */
    uint64_t size;
    struct fmt_stamp stamp; /* when it was opened */
};

RT_CHECKED rt_status fmt_map_open(struct rt_ctx *ctx, const char *path,
                                  struct fmt_map *out);
void fmt_map_close(struct fmt_map *map);
/* What was read of it leaves the process's memory, and comes back when it is used. */
void fmt_map_forget(const struct fmt_map *map);

bool fmt_exists(const char *path);
/* Bytes of a path without the slashes at its end: with a suffix behind them it is the name of
 * something beside it, not within. */
size_t fmt_path_length(const char *path);
/* folder/name in fresh memory (rt_free), null without memory. */
char *fmt_path(struct rt_ctx *ctx, const char *folder, const char *name);
/* Parses a JSON object file of at most 256 MiB, odd numbers as json.h says. RT_ERR_INPUT
 * names file, line, column. */
RT_CHECKED rt_status fmt_json_read(struct rt_ctx *ctx, const char *path, json_t **out);
/* Keys of a JSON object and what each may hold; null may stand for any. */
enum fmt_json_kind {
    FMT_JSON_BOOL,
    FMT_JSON_WHOLE,
    FMT_JSON_NUMBER,
    FMT_JSON_TEXT,
    FMT_JSON_LIST,
    FMT_JSON_OBJECT
};
struct fmt_json_key {
    const char *name;
    enum fmt_json_kind kind;
};
/* RT_ERR_INPUT names the first key that holds something else ("4" for 4, "no" for false),
 * which would pass for a key that is not there. `path` is for messages; so is `where`, the
 * object within the file ("" for its root). */
RT_CHECKED rt_status fmt_json_check(struct rt_ctx *ctx, const char *path,
                                    const char *where, const json_t *object,
                                    const struct fmt_json_key *keys, size_t count);
/* Makes a file or folder that was just made or renamed survive a power cut: syncs the
 * folder it lies in. */
RT_CHECKED rt_status fmt_sync_parent(struct rt_ctx *ctx, const char *path);
/* Writes text to path.part, syncs, renames over path. Nothing is left behind on failure.
 * A device or a pipe is written directly. */
RT_CHECKED rt_status fmt_write_atomic(struct rt_ctx *ctx, const char *path,
                                      const void *data, size_t size);
/* Text that is printed bit by bit to `file` and written at once when it is whole. */
struct fmt_text {
    FILE *file;
    char *bytes;
    size_t size;
};
RT_CHECKED rt_status fmt_text_open(struct rt_ctx *ctx, struct fmt_text *text);
/* fmt_write_atomic of what was printed. */
RT_CHECKED rt_status fmt_text_save(struct rt_ctx *ctx, struct fmt_text *text,
                                   const char *path);
void fmt_text_close(struct fmt_text *text); /* accepts one that is zero */
/* Odd numbers are written as they were read. */
RT_CHECKED rt_status fmt_json_write(struct rt_ctx *ctx, const char *path,
                                    const json_t *value);
/* Copies a file; RT_OK and nothing done if `from` does not exist. */
RT_CHECKED rt_status fmt_copy_if_there(struct rt_ctx *ctx, const char *from,
                                       const char *to);
/* The folder in which a program of that name keeps what it can make again, in fresh memory
 * (rt_free): in XDG_CACHE_HOME, else in ~/.cache. NULL: neither is set, or no memory. It need
 * not be there. */
char *fmt_cache_folder(struct rt_ctx *ctx, const char *program);
/* mkdir -p. */
RT_CHECKED rt_status fmt_make_folder(struct rt_ctx *ctx, const char *path);

#endif

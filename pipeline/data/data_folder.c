/* pipeline/data/data_folder.c
 * Reads a folder of JSON files as rows, one problem per file, in the order of their
 * numbers. */
#include "pipeline/data/data_folder.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "runtime/base/os.h"
#include "runtime/base/text_pool.h"
#include "runtime/base/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 1 << 20 };

struct names {
    const char **items;
    uint32_t count, capacity;
};

struct walk {
    struct rt_ctx *ctx;
    struct pipe_pool pool;
    const char *split;
    pipe_row_fn *fn;
    void *user;
    struct sha256 hash;
    int64_t bytes;
};

bool pipe_is_folder(const char *path)
{
    return os_kind_of(path) == OS_KIND_FOLDER;
}

/* 2.json before 10.json; names that are not numbers after them, by letter. */
static int by_number(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    const size_t n = strspn(x, "0123456789"), m = strspn(y, "0123456789");
    if (n != m && n && m)
        return n < m ? -1 : 1;
    return strcmp(x, y);
}

static rt_status add_name(struct walk *w, struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        const uint32_t next = names->capacity ? names->capacity * 2 : 64;
        const char **items =
            rt_resize(w->ctx, (void *)names->items, names->count, next, sizeof *items);
        if (!items || next > NAMES_MAX)
            return rt_fail(w->ctx, RT_ERR_HOST_MEMORY, "no memory for %u file names",
                           next);
        names->items = items;
        names->capacity = next;
    }
    names->items[names->count] = pipe_pool_copy(w->ctx, &w->pool, name, strlen(name));
    return names->items[names->count++]
               ? RT_OK
               : rt_fail(w->ctx, RT_ERR_HOST_MEMORY, "no memory for file names");
}

/* Names in a folder that do not start with a dot and end in `ending`, sorted. */
static rt_status list(struct walk *w, const char *path, const char *ending,
                      struct names *out)
{
    rt_status st = RT_OK;
    struct os_folder *folder = os_folder_open(path);
    if (!folder)
        return rt_fail(w->ctx, RT_ERR_INPUT, "cannot open the folder '%s': %s", path,
                       strerror(errno));
    const size_t skip = strlen(ending);
    for (const char *name; st == RT_OK && (name = os_folder_next(folder));) {
        const size_t length = strlen(name);
        if (name[0] != '.' && length > skip && strcmp(name + length - skip, ending) == 0)
            st = add_name(w, out, name);
    }
    os_folder_close(folder);
    if (st == RT_OK && out->count)
        qsort((void *)out->items, out->count, sizeof *out->items, by_number);
    return st;
}

static rt_status read_one(struct walk *w, const char *path, const char *id)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    json_t *object = NULL;
    json_error_t error;
    TRY(pipe_data_file_read(w->ctx, path, &file));
    object =
        pipe_json_parse(w->ctx, file.text, file.size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object)) {
        st = object
                 ? rt_fail(w->ctx, RT_ERR_INPUT, "'%s': not a JSON object", path)
                 : rt_fail(w->ctx, RT_ERR_INPUT, "'%s' line %d, column %d: not JSON: %s",
                           path, error.line, error.column, error.text);
        goto fail;
    }
    if (json_object_set_new(object, "unique_id", json_string(id)) != 0) {
        st = rt_fail(w->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
        goto fail;
    }
    sha256_add_text(&w->hash, id);
    sha256_add_text(&w->hash, file.hash);
    w->bytes += (int64_t)file.size;
    const struct pipe_row row = { object, path, "line", 1 };
    st = w->fn(w->user, &row);

fail:
    json_decref(object);
    pipe_data_file_deinit(&file);
    return st;
}

static rt_status read_subject(struct walk *w, const char *path, const char *subject)
{
    rt_status st;
    struct names files = { 0 };
    TRY(list(w, path, ".json", &files));
    for (uint32_t i = 0; i < files.count; i++) {
        char *file = rt_format(w->ctx, "%s/%s", path, files.items[i]);
        const char *id = pipe_pool_format(w->ctx, &w->pool, "%s/%s/%s", w->split, subject,
                                          files.items[i]);
        st = file && id ? read_one(w, file, id)
                        : rt_fail(w->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
        rt_free(file);
        if (st != RT_OK)
            goto fail;
    }
    st = RT_OK;

fail:
    rt_free((void *)files.items);
    return st;
}

rt_status pipe_rows_folder(struct rt_ctx *ctx, const char *path, const char *split,
                           pipe_row_fn *fn, void *user, struct pipe_folder_facts *facts)
{
    rt_status st;
    struct walk w = { .ctx = ctx, .split = split, .fn = fn, .user = user };
    struct names subjects = { 0 };
    sha256_init(&w.hash);
    TRY(list(&w, path, "", &subjects));
    for (uint32_t i = 0; i < subjects.count; i++) {
        char *folder = rt_format(ctx, "%s/%s", path, subjects.items[i]);
        st = RT_OK;
        if (!folder)
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
        else if (pipe_is_folder(folder))
            st = read_subject(&w, folder, subjects.items[i]);
        rt_free(folder);
        if (st != RT_OK)
            goto fail;
    }
    sha256_end_hex(&w.hash, facts->hash);
    facts->bytes = w.bytes;
    st = RT_OK;

fail:
    rt_free((void *)subjects.items);
    pipe_pool_deinit(&w.pool);
    return st;
}

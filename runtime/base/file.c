/* runtime/base/file.c
 * Maps, reads, and atomically writes files; makes folders and temporary names. */
#include "runtime/base/file.h"

#include "runtime/base/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES_MAX = 256 << 20 };

rt_status fmt_map_open(struct rt_ctx *ctx, const char *path, struct fmt_map *out)
{
    *out = (struct fmt_map){ 0 };
    struct os_info info;
    const int file = os_open(path, &info);
    if (file < 0)
        return rt_fail(ctx, RT_ERR_INPUT, "cannot read '%s': %s", path, strerror(errno));
    if (info.kind != OS_KIND_FILE) {
        os_close(file);
        return rt_fail(ctx, RT_ERR_INPUT, "cannot read '%s': it is not a file", path);
    }
    const void *data = info.size ? os_map(file, info.size) : NULL;
    os_close(file);
    if (info.size && !data)
        return rt_fail(ctx, RT_ERR_INPUT, "cannot map '%s': %s", path, strerror(errno));
    out->size = info.size;
    out->stamp = (struct fmt_stamp){ info.device, info.inode, info.size, info.modified_ns,
                                     info.changed_ns };
    out->data = data;
    return RT_OK;
}

void fmt_map_close(struct fmt_map *map)
{
    if (map->data)
        os_unmap(map->data, map->size);
    *map = (struct fmt_map){ 0 };
}

void fmt_map_forget(const struct fmt_map *map)
{
    if (map->data)
        os_map_forget(map->data, map->size);
}

bool fmt_exists(const char *path)
{
    return os_exists(path);
}

size_t fmt_path_length(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length;
}

char *fmt_path(struct rt_ctx *ctx, const char *folder, const char *name)
{
    return rt_format(ctx, "%s/%s", folder, name);
}

/* Bytes of the mark of UTF-8 that some editors put in front. */
static size_t mark_of(const struct fmt_map *map)
{
    return map->size >= 3 && memcmp(map->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static bool is_utf16(const struct fmt_map *map)
{
    return map->size >= 2 &&
           (memcmp(map->data, "\xff\xfe", 2) == 0 ||
            memcmp(map->data, "\xfe\xff", 2) == 0 || !map->data[0] || !map->data[1]);
}

rt_status fmt_json_read(struct rt_ctx *ctx, const char *path, json_t **out)
{
    *out = NULL;
    struct fmt_map map;
    rt_status st = fmt_map_open(ctx, path, &map);
    if (st != RT_OK)
        return st;
    json_error_t error;
    if (map.size > JSON_BYTES_MAX) {
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' is larger than any such file should be",
                     path);
    } else if (map.size == 0) {
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' is empty", path);
    } else if (is_utf16(&map)) {
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' is UTF-16; save it as UTF-8", path);
    } else {
        const size_t mark = mark_of(&map);
        *out = fmt_json_parse(ctx, (const char *)map.data + mark, map.size - mark,
                              JSON_REJECT_DUPLICATES, &error);
        if (!*out)
            st = rt_fail(ctx, RT_ERR_INPUT, "'%s', line %d, column %d: %s", path,
                         error.line, error.column, error.text);
        else if (!json_is_object(*out)) {
            json_decref(*out);
            *out = NULL;
            st = rt_fail(ctx, RT_ERR_INPUT, "'%s' does not hold a JSON object", path);
        }
    }
    fmt_map_close(&map);
    return st;
}

rt_status fmt_sync_parent(struct rt_ctx *ctx, const char *path)
{
    char folder[4096];
    const char *end = strrchr(path, '/');
    const size_t length = end ? (size_t)(end - path) : 0;
    if (length >= sizeof folder)
        return rt_fail(ctx, RT_ERR_IO, "'%s': the name is too long", path);
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (os_sync_folder(length ? folder : end ? "/" : "."))
        return RT_OK;
    return rt_fail(ctx, RT_ERR_IO, "cannot make '%s' durable: %s", path, strerror(errno));
}

/* A device or a pipe: written as it is, never replaced or removed. */
static bool is_device_or_pipe(const char *path)
{
    return os_kind_of(path) == OS_KIND_OTHER;
}

/* Pipes and devices cannot be synced. */
static bool sync_file(FILE *file)
{
    return fflush(file) == 0 && (os_sync_stream(file) || errno == EINVAL);
}

/* `name` is the file as the user knows it. */
static rt_status write_all(struct rt_ctx *ctx, const char *path, const char *name,
                           const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return rt_fail(ctx, RT_ERR_IO, "cannot write '%s': %s", name, strerror(errno));
    const bool wrote = fwrite(data, 1, size, file) == size && sync_file(file);
    if (fclose(file) != 0 || !wrote) {
        const int reason = errno;
        if (!is_device_or_pipe(path))
            remove(path);
        return rt_fail(ctx, RT_ERR_IO, "cannot write '%s': %s", name, strerror(reason));
    }
    return RT_OK;
}

rt_status fmt_write_atomic(struct rt_ctx *ctx, const char *path, const void *data,
                           size_t size)
{
    if (is_device_or_pipe(path))
        return write_all(ctx, path, path, data, size);
    char *part = rt_format(ctx, "%s.part", path);
    if (!part)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to write '%s'", path);
    rt_status st = write_all(ctx, part, path, data, size);
    if (st == RT_OK && rename(part, path) != 0) {
        st = rt_fail(ctx, RT_ERR_IO, "cannot replace '%s': %s", path, strerror(errno));
        remove(part);
    }
    if (st == RT_OK)
        st = fmt_sync_parent(ctx, path);
    rt_free(part);
    return st;
}

static rt_status no_memory_for_text(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for a text that is to be written");
}

rt_status fmt_text_open(struct rt_ctx *ctx, struct fmt_text *text)
{
    *text = (struct fmt_text){ .size = 0 };
    text->file = os_memory_stream(&text->bytes, &text->size);
    return text->file ? RT_OK : no_memory_for_text(ctx);
}

rt_status fmt_text_save(struct rt_ctx *ctx, struct fmt_text *text, const char *path)
{
    const bool whole = fflush(text->file) == 0 && !ferror(text->file);
    return whole ? fmt_write_atomic(ctx, path, text->bytes, text->size)
                 : no_memory_for_text(ctx);
}

void fmt_text_close(struct fmt_text *text)
{
    if (text->file)
        fclose(text->file);
    rt_free(text->bytes);
    *text = (struct fmt_text){ .size = 0 };
}

static bool is_kind(const json_t *value, enum fmt_json_kind kind)
{
    switch (kind) {
    case FMT_JSON_BOOL:
        return json_is_boolean(value);
    case FMT_JSON_WHOLE:
        return json_is_integer(value);
    case FMT_JSON_NUMBER:
        return json_is_number(value);
    case FMT_JSON_TEXT:
        return json_is_string(value) && !fmt_json_odd(value);
    case FMT_JSON_LIST:
        return json_is_array(value);
    default:
        return json_is_object(value);
    }
}

rt_status fmt_json_check(struct rt_ctx *ctx, const char *path, const char *where,
                         const json_t *object, const struct fmt_json_key *keys,
                         size_t count)
{
    static const char *const names[] = { "true or false", "a whole number", "a number",
                                         "a text",        "a list",         "an object" };
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, keys[i].name);
        if (value && !json_is_null(value) && !is_kind(value, keys[i].kind))
            return rt_fail(ctx, RT_ERR_INPUT, "'%s': %s%s'%s' must be %s", path, where,
                           where[0] ? ": " : "", keys[i].name, names[keys[i].kind]);
    }
    return RT_OK;
}

rt_status fmt_json_write(struct rt_ctx *ctx, const char *path, const json_t *value)
{
    char *text = fmt_json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (!text)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to write '%s'", path);
    const rt_status st = fmt_write_atomic(ctx, path, text, strlen(text));
    rt_free(text);
    return st;
}

rt_status fmt_copy_if_there(struct rt_ctx *ctx, const char *from, const char *to)
{
    if (!fmt_exists(from))
        return RT_OK;
    struct fmt_map map;
    rt_status st = fmt_map_open(ctx, from, &map);
    if (st == RT_OK)
        st = fmt_write_atomic(ctx, to, map.data, map.size);
    fmt_map_close(&map);
    return st;
}

rt_status fmt_make_folder(struct rt_ctx *ctx, const char *path)
{
    char part[4096];
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return rt_fail(ctx, RT_ERR_USAGE, "'%s' is not a folder name", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (!os_make_folder(part))
            return rt_fail(ctx, RT_ERR_IO, "cannot make folder '%s': %s", part,
                           strerror(errno));
    }
    return RT_OK;
}

char *fmt_cache_folder(struct rt_ctx *ctx, const char *program)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0])
        return rt_format(ctx, "%s/%s", xdg, program);
    return home && home[0] ? rt_format(ctx, "%s/.cache/%s", home, program) : NULL;
}

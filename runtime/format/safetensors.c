/* runtime/format/safetensors.c
 * Reads and checks the header of a safetensors file and finds tensors in it. */
#include "runtime/format/safetensors.h"

#include "runtime/base/os.h"
#include "runtime/op/weight.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES_MAX = 100 << 20 };
/* So that bytes and sums of them stay far from overflow. */
static const uint64_t ELEMENTS_MAX = UINT64_C(1) << 48;

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[FMT_DTYPE_COUNT] = {
    [FMT_F32] = { "F32", 4 },   [FMT_F16] = { "F16", 2 }, [FMT_BF16] = { "BF16", 2 },
    [FMT_I8] = { "I8", 1 },     [FMT_U8] = { "U8", 1 },   [FMT_I32] = { "I32", 4 },
    [FMT_U32] = { "U32", 4 },   [FMT_I64] = { "I64", 8 }, [FMT_F64] = { "F64", 8 },
    [FMT_BOOL] = { "BOOL", 1 },
};

const char *fmt_dtype_name(enum fmt_dtype dtype)
{
    return dtypes[dtype].name;
}

bool fmt_dtype_is_float(enum fmt_dtype dtype)
{
    return dtype == FMT_F32 || dtype == FMT_F16 || dtype == FMT_BF16;
}

static bool find_dtype(const char *name, enum fmt_dtype *out)
{
    for (int i = 0; name && i < FMT_DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = (enum fmt_dtype)i;
            return true;
        }
    return false;
}

/* Reads shape into t; false if it is not a list of sizes or too large to count. */
static bool read_shape(const json_t *shape, struct fmt_tensor *t)
{
    if (!json_is_array(shape) || json_array_size(shape) > FMT_DIMS_MAX)
        return false;
    t->dims = (uint32_t)json_array_size(shape);
    t->count = 1;
    for (uint32_t i = 0; i < t->dims; i++) {
        const json_t *d = json_array_get(shape, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return false;
        t->shape[i] = (uint64_t)json_integer_value(d);
        if (t->shape[i] != 0 && t->count > ELEMENTS_MAX / t->shape[i])
            return false;
        t->count *= t->shape[i];
    }
    return true;
}

static rt_status read_tensor(struct rt_ctx *ctx, const char *path, const char *name,
                             const json_t *entry, const uint8_t *data, uint64_t data_size,
                             struct fmt_tensor *t)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!find_dtype(dtype, &t->dtype))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has the unsupported dtype '%s'", path, name,
                       dtype ? dtype : "(none)");
    if (!read_shape(json_object_get(entry, "shape"), t))
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': tensor '%s' has an impossible shape",
                       path, name);
    if (!json_is_integer(first) || !json_is_integer(last) ||
        json_array_size(offsets) != 2)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': tensor '%s' has no data_offsets", path,
                       name);
    const json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > data_size)
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s': tensor '%s' lies at bytes %lld to %lld, the file has %llu of "
            "data; it is cut short or damaged, get it again",
            path, name, (long long)begin, (long long)end, (unsigned long long)data_size);
    t->size = (uint64_t)(end - begin);
    if (t->size != t->count * dtypes[t->dtype].bytes)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has %llu bytes, its shape needs %llu", path,
                       name, (unsigned long long)t->size,
                       (unsigned long long)(t->count * dtypes[t->dtype].bytes));
    t->data = data + begin;
    t->name = rt_strdup(ctx, name);
    return t->name ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
}

static int by_address(const void *a, const void *b)
{
    const struct fmt_tensor *x = a, *y = b;
    return x->data < y->data ? -1 : x->data > y->data;
}

static int by_name(const void *a, const void *b)
{
    const struct fmt_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Tensors of one file tile its data: the format allows neither overlap nor holes, and
 * either means that the header and the data do not belong together. Empty tensors take no
 * room and may lie anywhere. */
static rt_status check_tiling(struct rt_ctx *ctx, const char *path, const uint8_t *data,
                              uint64_t data_size, struct fmt_tensor *tensors,
                              uint32_t count)
{
    const uint8_t *end = data;
    const char *last = NULL;
    qsort(tensors, count, sizeof *tensors, by_address);
    for (uint32_t i = 0; i < count; i++) {
        if (tensors[i].size == 0)
            continue;
        if (tensors[i].data < end)
            return rt_fail(
                ctx, RT_ERR_INPUT,
                "'%s': tensors '%s' and '%s' overlap; the file is damaged, get "
                "it again",
                path, last, tensors[i].name);
        if (tensors[i].data > end)
            break;
        end = tensors[i].data + tensors[i].size;
        last = tensors[i].name;
    }
    if (end != data + data_size)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': the data at byte %llu belongs to no tensor; the file is "
                       "damaged, get it again",
                       path, (unsigned long long)(end - data));
    return RT_OK;
}

static rt_status read_header(struct rt_ctx *ctx, const char *path,
                             const struct fmt_map *map, json_t **header,
                             uint64_t *data_at)
{
    uint64_t length = 0;
    for (int i = 7; i >= 0 && map->size >= 8; i--)
        length = length << 8 | map->data[i];
    if (map->size < 8 || length > map->size - 8)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': the header says %llu bytes, the file has %llu; it is cut "
                       "short or not a safetensors file, get it again",
                       path, (unsigned long long)length, (unsigned long long)map->size);
    if (length > HEADER_BYTES_MAX)
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s': a header of %llu bytes is over the limit of %d; this is not a "
            "safetensors file",
            path, (unsigned long long)length, (int)HEADER_BYTES_MAX);
    json_error_t error;
    *header = fmt_json_parse(ctx, (const char *)map->data + 8, length,
                             JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(*header)) {
        json_decref(*header);
        *header = NULL;
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': the header is not valid JSON: %s", path,
                       error.text);
    }
    *data_at = 8 + length;
    return RT_OK;
}

/* Adds the tensors of one file. */
static rt_status add_file(struct rt_ctx *ctx, const char *path,
                          struct fmt_safetensors *out)
{
    rt_status st;
    json_t *header = NULL;
    struct fmt_map *maps =
        rt_resize(ctx, out->maps, out->map_count, out->map_count + 1u, sizeof *maps);
    if (!maps)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    out->maps = maps;
    struct fmt_map *map = &out->maps[out->map_count];
    TRY(fmt_map_open(ctx, path, map));
    out->map_count++;
    uint64_t data_at = 0;
    TRY(read_header(ctx, path, map, &header, &data_at));
    const uint32_t before = out->count;
    const uint32_t more = (uint32_t)json_object_size(header);
    struct fmt_tensor *tensors =
        rt_resize(ctx, out->tensors, before, before + more, sizeof *tensors);
    if (!tensors) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
        goto fail;
    }
    out->tensors = tensors;
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        TRY(read_tensor(ctx, path, name, entry, map->data + data_at, map->size - data_at,
                        &out->tensors[out->count]));
        out->count++;
    }
    st = check_tiling(ctx, path, map->data + data_at, map->size - data_at,
                      out->tensors + before, out->count - before);

fail:
    json_decref(header);
    return st;
}

static rt_status sort_names(struct rt_ctx *ctx, const char *path,
                            struct fmt_safetensors *file)
{
    if (file->count == 0)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s' holds no tensors; get it again", path);
    qsort(file->tensors, file->count, sizeof *file->tensors, by_name);
    for (uint32_t i = 0; i + 1 < file->count; i++)
        if (strcmp(file->tensors[i].name, file->tensors[i + 1].name) == 0)
            return rt_fail(ctx, RT_ERR_INPUT, "'%s': tensor '%s' occurs twice", path,
                           file->tensors[i].name);
    return RT_OK;
}

rt_status fmt_safetensors_open(struct rt_ctx *ctx, const char *path,
                               struct fmt_safetensors *out)
{
    rt_status st;
    *out = (struct fmt_safetensors){ 0 };
    TRY(add_file(ctx, path, out));
    TRY(sort_names(ctx, path, out));
    return RT_OK;

fail:
    fmt_safetensors_close(out);
    return st;
}

/* Opens every distinct file that the index names. */
static rt_status add_shards(struct rt_ctx *ctx, const char *folder, const json_t *index,
                            struct fmt_safetensors *out)
{
    rt_status st = RT_OK;
    json_t *files = json_object();
    const json_t *map = json_object_get(index, "weight_map");
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const char *file = json_string_value(value);
        if (!file || strchr(file, '/') || json_object_size(files) > 4096) {
            st = rt_fail(
                ctx, RT_ERR_INPUT,
                "'%s/model.safetensors.index.json': tensor '%s' has no valid file",
                folder, name);
            goto fail;
        }
        json_object_set_new(files, file, json_true());
    }
    if (json_object_size(files) == 0) {
        st =
            rt_fail(ctx, RT_ERR_INPUT,
                    "'%s/model.safetensors.index.json' names no files: its weight_map is "
                    "missing or empty",
                    folder);
        goto fail;
    }
    json_object_foreach(files, name, value)
    {
        char *path = fmt_path(ctx, folder, name);
        if (!path)
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
        else if (!fmt_exists(path))
            st = rt_fail(ctx, RT_ERR_INPUT,
                         "'%s' is missing, and model.safetensors.index.json names it; "
                         "the folder is incomplete, get the file",
                         path);
        else
            st = add_file(ctx, path, out);
        rt_free(path);
        TRY(st);
    }

fail:
    json_decref(files);
    return st;
}

/* Every tensor that the index names is in some shard. */
static rt_status check_index(struct rt_ctx *ctx, const char *folder, const json_t *index,
                             const struct fmt_safetensors *file)
{
    const char *name;
    json_t *shard;
    json_object_foreach(json_object_get(index, "weight_map"), name, shard)
    {
        if (!fmt_safetensors_find(file, name))
            return rt_fail(ctx, RT_ERR_INPUT,
                           "'%s/model.safetensors.index.json': tensor '%s' should be in "
                           "'%s' and is in no shard; get the folder again",
                           folder, name, json_string_value(shard));
    }
    return RT_OK;
}

rt_status fmt_safetensors_open_folder(struct rt_ctx *ctx, const char *folder,
                                      struct fmt_safetensors *out)
{
    rt_status st;
    *out = (struct fmt_safetensors){ 0 };
    json_t *index = NULL;
    char *single = fmt_path(ctx, folder, "model.safetensors");
    char *sharded = fmt_path(ctx, folder, "model.safetensors.index.json");
    if (!single || !sharded) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    } else if (!fmt_exists(sharded)) {
        st = fmt_safetensors_open(ctx, single, out);
    } else {
        st = fmt_json_read(ctx, sharded, &index);
        if (st == RT_OK)
            st = add_shards(ctx, folder, index, out);
        if (st == RT_OK)
            st = sort_names(ctx, folder, out);
        if (st == RT_OK)
            st = check_index(ctx, folder, index, out);
        if (st != RT_OK)
            fmt_safetensors_close(out);
    }
    json_decref(index);
    rt_free(single);
    rt_free(sharded);
    return st;
}

void fmt_safetensors_close(struct fmt_safetensors *file)
{
    for (uint32_t i = 0; i < file->count; i++)
        rt_free(file->tensors[i].name);
    rt_free(file->tensors);
    for (uint32_t i = 0; i < file->map_count; i++)
        fmt_map_close(&file->maps[i]);
    rt_free(file->maps);
    *file = (struct fmt_safetensors){ 0 };
}

const struct fmt_tensor *fmt_safetensors_find(const struct fmt_safetensors *file,
                                              const char *name)
{
    const struct fmt_tensor key = { .name = (char *)(uintptr_t)name };
    return file->count ? bsearch(&key, file->tensors, file->count, sizeof key, by_name)
                       : NULL;
}

void fmt_tensor_floats(const struct fmt_tensor *t, uint64_t first, uint64_t n, float *out)
{
    if (t->dtype == FMT_F32) {
        memcpy(out, t->data + 4 * first, 4 * n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *p = t->data + 2 * (first + i);
        const uint32_t half = p[0] | (uint32_t)p[1] << 8;
        const uint32_t wide = half << 16;
        if (t->dtype == FMT_F16)
            out[i] = rt_half_to_float((uint16_t)half);
        else
            memcpy(&out[i], &wide, sizeof wide);
    }
}

/* ---- writing ---- */

static uint64_t bytes_of(const struct fmt_tensor_out *t)
{
    uint64_t size = dtypes[t->dtype].bytes;
    for (uint32_t d = 0; d < t->dims; d++)
        size *= t->shape[d];
    return size;
}

/* Wide elements first, then by name: as data starts at a multiple of 8, every tensor then
 * lies at a multiple of its element size, which other readers of the format rely on. */
static int by_width(const void *a, const void *b)
{
    const struct fmt_tensor_out *x = *(const struct fmt_tensor_out *const *)a;
    const struct fmt_tensor_out *y = *(const struct fmt_tensor_out *const *)b;
    const uint32_t wx = dtypes[x->dtype].bytes, wy = dtypes[y->dtype].bytes;
    return wx != wy ? (wx > wy ? -1 : 1) : strcmp(x->name, y->name);
}

/* Null without memory, and where a name or a text is not UTF-8. */
static json_t *header_of(const struct fmt_tensor_out *const *tensors, uint32_t count,
                         const char *const *metadata)
{
    json_t *header = json_object();
    bool good = header != NULL;
    if (metadata) {
        json_t *meta = json_object();
        for (size_t i = 0; metadata[i] && metadata[i + 1]; i += 2)
            good &=
                json_object_set_new(meta, metadata[i], json_string(metadata[i + 1])) == 0;
        good &= json_object_set_new(header, "__metadata__", meta) == 0;
    }
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct fmt_tensor_out *t = tensors[i];
        const uint64_t end = at + bytes_of(t);
        json_t *shape = json_array();
        for (uint32_t d = 0; d < t->dims; d++)
            good &=
                json_array_append_new(shape, json_integer((json_int_t)t->shape[d])) == 0;
        json_t *entry =
            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[t->dtype].name, "shape",
                      shape, "data_offsets", (json_int_t)at, (json_int_t)end);
        good &= json_object_set_new(header, t->name, entry) == 0;
        at = end;
    }
    if (good)
        return header;
    json_decref(header);
    return NULL;
}

static bool write_parts(FILE *file, const char *header,
                        const struct fmt_tensor_out *const *tensors, uint32_t count)
{
    const size_t length = strlen(header), padded = (size_t)rt_round_up(length, 8);
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    bool good =
        fwrite(prefix, 1, 8, file) == 8 && fwrite(header, 1, length, file) == length;
    for (size_t i = length; good && i < padded; i++)
        good = fputc(' ', file) != EOF;
    for (uint32_t i = 0; good && i < count; i++) {
        const uint64_t size = bytes_of(tensors[i]);
        good = size == 0 || fwrite(tensors[i]->data, 1, size, file) == size;
    }
    return good && fflush(file) == 0 && os_sync_stream(file);
}

rt_status fmt_safetensors_write(struct rt_ctx *ctx, const char *path,
                                const struct fmt_tensor_out *tensors, uint32_t count,
                                const char *const *metadata)
{
    rt_status st = RT_OK;
    const struct fmt_tensor_out **order = rt_alloc(ctx, count, sizeof *order);
    for (uint32_t i = 0; order && i < count; i++)
        order[i] = &tensors[i];
    if (order)
        qsort(order, count, sizeof *order, by_width);
    json_t *header = order ? header_of(order, count, metadata) : NULL;
    char *text = json_dumps(header, JSON_COMPACT); /* null of null */
    char *part = rt_format(ctx, "%s.part", path);
    FILE *file = part && text ? fopen(part, "wb") : NULL;
    if (!text || !part) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to write '%s'", path);
    } else if (!file) {
        st = rt_fail(ctx, RT_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    } else {
        const bool good = write_parts(file, text, order, count);
        const int reason = errno;
        if (fclose(file) != 0 || !good || rename(part, path) != 0) {
            st = rt_fail(ctx, RT_ERR_IO, "cannot write '%s': %s", path,
                         strerror(good ? errno : reason));
            remove(part);
        } else {
            st = fmt_sync_parent(ctx, path);
        }
    }
    rt_free(order);
    json_decref(header);
    rt_free(text);
    rt_free(part);
    return st;
}

/* runtime/format/safetensors.c
 * Reads and checks the header of a safetensors file and finds tensors in it. */
#include "runtime/format/safetensors.h"

#include "runtime/op/weight.h"

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
    [FMT_F32] = { "F32", 4 },         [FMT_F16] = { "F16", 2 },
    [FMT_BF16] = { "BF16", 2 },       [FMT_I8] = { "I8", 1 },
    [FMT_U8] = { "U8", 1 },           [FMT_I32] = { "I32", 4 },
    [FMT_U32] = { "U32", 4 },         [FMT_I64] = { "I64", 8 },
    [FMT_F64] = { "F64", 8 },         [FMT_BOOL] = { "BOOL", 1 },
    [FMT_F8_E4M3] = { "F8_E4M3", 1 }, [FMT_F8_E5M2] = { "F8_E5M2", 1 },
    [FMT_F8_E8M0] = { "F8_E8M0", 1 }, [FMT_I16] = { "I16", 2 },
    [FMT_U16] = { "U16", 2 },         [FMT_U64] = { "U64", 8 },
    [FMT_C64] = { "C64", 8 },         [FMT_OTHER] = { "of an unknown type", 0 },
};

const char *fmt_dtype_name(enum fmt_dtype dtype)
{
    return dtypes[dtype].name;
}

const char *fmt_tensor_dtype(const struct fmt_tensor *t)
{
    return t->other ? t->other : fmt_dtype_name(t->dtype);
}

uint32_t fmt_dtype_bytes(enum fmt_dtype dtype)
{
    return dtypes[dtype].bytes;
}

bool fmt_dtype_is_f8(enum fmt_dtype dtype)
{
    return dtype == FMT_F8_E4M3 || dtype == FMT_F8_E5M2;
}

bool fmt_dtype_is_float(enum fmt_dtype dtype)
{
    return dtype == FMT_F32 || dtype == FMT_F16 || dtype == FMT_BF16 ||
           fmt_dtype_is_f8(dtype);
}

/* A type that is not known stops no read: nobody may need the tensor. */
static enum fmt_dtype find_dtype(const char *name)
{
    for (int i = 0; i < FMT_OTHER; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return (enum fmt_dtype)i;
    return FMT_OTHER;
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
    const json_t *type = json_object_get(entry, "dtype");
    const char *dtype = json_string_value(type);
    if (!dtype || strlen(dtype) != json_string_length(type))
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': tensor '%s' has no dtype", path, name);
    t->dtype = find_dtype(dtype);
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
    if (t->dtype != FMT_OTHER && t->size != t->count * dtypes[t->dtype].bytes)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has %llu bytes, its shape needs %llu", path,
                       name, (unsigned long long)t->size,
                       (unsigned long long)(t->count * dtypes[t->dtype].bytes));
    t->data = data + begin;
    t->name = rt_strdup(ctx, name);
    t->other = t->dtype == FMT_OTHER ? rt_strdup(ctx, dtype) : NULL;
    return t->name && (t->other || t->dtype != FMT_OTHER)
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
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
                             JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
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
        if (strcmp(name, "__metadata__") == 0) {
            json_decref(out->metadata);
            out->metadata = json_incref(entry);
            continue;
        }
        out->count++; /* first, so that closing frees what was read of it */
        TRY(read_tensor(ctx, path, name, entry, map->data + data_at, map->size - data_at,
                        &out->tensors[out->count - 1]));
    }
    st = check_tiling(ctx, path, map->data + data_at, map->size - data_at,
                      out->tensors + before, out->count - before);

fail:
    json_decref(header);
    return st;
}

rt_status fmt_safetensors_sort(struct rt_ctx *ctx, const char *path,
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

rt_status fmt_safetensors_rename(struct rt_ctx *ctx, struct fmt_safetensors *file,
                                 uint32_t tensor, const char *name)
{
    char *copy = rt_strdup(ctx, name);
    if (!copy)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tensor '%s': no memory", name);
    rt_free(file->tensors[tensor].name);
    file->tensors[tensor].name = copy;
    return RT_OK;
}

rt_status fmt_safetensors_open(struct rt_ctx *ctx, const char *path,
                               struct fmt_safetensors *out)
{
    rt_status st;
    *out = (struct fmt_safetensors){ 0 };
    TRY(add_file(ctx, path, out));
    TRY(fmt_safetensors_sort(ctx, path, out));
    return RT_OK;

fail:
    fmt_safetensors_close(out);
    return st;
}

/* ---- shards ---- */

enum { SHARDS_MAX = 4096 };

/* Notes that no shard has the tensor. */
static rt_status add_absent(struct rt_ctx *ctx, const char *folder, const char *name,
                            const char *shard, struct fmt_safetensors *out)
{
    if (!out->absent)
        out->absent = json_object();
    return json_object_set_new(out->absent, name, json_string(shard)) == 0
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
}

/* Opens a shard unless that was done; *there: whether it exists. `files` has the shards
 * so far, true for those that exist. */
static rt_status open_shard(struct rt_ctx *ctx, const char *folder, const char *shard,
                            json_t *files, struct fmt_safetensors *out, bool *there)
{
    rt_status st = RT_OK;
    json_t *known = json_object_get(files, shard);
    *there = json_is_true(known);
    if (known)
        return RT_OK;
    if (json_object_size(files) == SHARDS_MAX)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s/model.safetensors.index.json' names more than %d files",
                       folder, (int)SHARDS_MAX);
    char *path = fmt_path(ctx, folder, shard);
    *there = path && fmt_exists(path);
    if (!path || json_object_set_new(files, shard, json_boolean(*there)) != 0)
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    else if (*there)
        st = add_file(ctx, path, out);
    rt_free(path);
    return st;
}

/* A file of the folder itself; "" for what can be none. */
static const char *shard_of(const json_t *value)
{
    const char *shard = json_string_value(value);
    return shard && !strchr(shard, '/') && !fmt_json_odd(value) ? shard : "";
}

static rt_status needs_shard(struct rt_ctx *ctx, const char *folder, const char *name,
                             const char *shard)
{
    char *path = fmt_path(ctx, folder, shard);
    rt_status st;
    if (!path)
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    else if (!shard[0])
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s/model.safetensors.index.json': tensor '%s' has no valid file",
                     folder, name);
    else if (!fmt_exists(path))
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' is missing, and model.safetensors.index.json names it for "
                     "'%s'; the folder is incomplete, get the file",
                     path, name);
    else
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s/model.safetensors.index.json': tensor '%s' should be in '%s' "
                     "and is in no shard; get the folder again",
                     folder, name, shard);
    rt_free(path);
    return st;
}

rt_status fmt_safetensors_needs(struct rt_ctx *ctx, const char *folder,
                                const struct fmt_safetensors *file, const char *name)
{
    const json_t *shard = json_object_get(file->absent, name);
    return shard ? needs_shard(ctx, folder, name, json_string_value(shard)) : RT_OK;
}

/* Opens every distinct file that the index names and that is there. */
static rt_status add_shards(struct rt_ctx *ctx, const char *folder, const json_t *map,
                            struct fmt_safetensors *out)
{
    rt_status st = RT_OK;
    json_t *files = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const char *shard = shard_of(value);
        bool there = false;
        if (shard[0])
            TRY(open_shard(ctx, folder, shard, files, out, &there));
        if (!there)
            TRY(add_absent(ctx, folder, name, shard, out));
    }
    if (json_object_size(map) == 0)
        st =
            rt_fail(ctx, RT_ERR_INPUT,
                    "'%s/model.safetensors.index.json' names no files: its weight_map is "
                    "missing or empty",
                    folder);
    else if (out->map_count == 0) /* any of them says what is wrong */
        json_object_foreach((json_t *)(uintptr_t)map, name, value)
        {
            st = needs_shard(ctx, folder, name, shard_of(value));
            break;
        }

fail:
    json_decref(files);
    return st;
}

static rt_status open_index(struct rt_ctx *ctx, const char *folder, const char *path,
                            struct fmt_safetensors *out)
{
    rt_status st;
    json_t *index = NULL, *value;
    const char *name;
    TRY(fmt_json_read(ctx, path, &index));
    const json_t *map = json_object_get(index, "weight_map");
    TRY(add_shards(ctx, folder, map, out));
    TRY(fmt_safetensors_sort(ctx, folder, out));
    json_object_foreach((json_t *)(uintptr_t)map, name,
                        value) if (!fmt_safetensors_find(out, name))
        TRY(add_absent(ctx, folder, name, shard_of(value), out));

fail:
    json_decref(index);
    return st;
}

rt_status fmt_safetensors_open_folder(struct rt_ctx *ctx, const char *folder,
                                      struct fmt_safetensors *out)
{
    rt_status st;
    *out = (struct fmt_safetensors){ 0 };
    char *single = fmt_path(ctx, folder, "model.safetensors");
    char *sharded = fmt_path(ctx, folder, "model.safetensors.index.json");
    if (!single || !sharded)
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    else if (fmt_exists(single) || !fmt_exists(sharded))
        st = fmt_safetensors_open(ctx, single, out);
    else
        st = open_index(ctx, folder, sharded, out);
    if (st != RT_OK)
        fmt_safetensors_close(out);
    rt_free(single);
    rt_free(sharded);
    return st;
}

void fmt_safetensors_close(struct fmt_safetensors *file)
{
    for (uint32_t i = 0; i < file->count; i++) {
        rt_free(file->tensors[i].name);
        rt_free(file->tensors[i].other);
    }
    rt_free(file->tensors);
    json_decref(file->metadata);
    json_decref(file->absent);
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
    for (uint64_t i = 0; i < n && fmt_dtype_is_f8(t->dtype); i++)
        out[i] = t->dtype == FMT_F8_E4M3 ? rt_e4m3_to_float(t->data[first + i])
                                         : rt_e5m2_to_float(t->data[first + i]);
    for (uint64_t i = 0; i < n && !fmt_dtype_is_f8(t->dtype); i++) {
        const uint8_t *p = t->data + 2 * (first + i);
        const uint32_t half = p[0] | (uint32_t)p[1] << 8;
        const uint32_t wide = half << 16;
        if (t->dtype == FMT_F16)
            out[i] = rt_half_to_float((uint16_t)half);
        else
            memcpy(&out[i], &wide, sizeof wide);
    }
}

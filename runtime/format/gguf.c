/* runtime/format/gguf.c
 * Reading the header and the two tables; access to what was read is in gguf_keys.c. */
#include "runtime/format/gguf.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_BYTES_MAX = 1024,
    TENSOR_NAME_BYTES_MAX = 64,
    ALIGNMENT_MAX = 1 << 20,
    FILES_MAX = 999,
    ENTRIES_MAX = 1 << 24,
    /* Least bytes of an entry: a key has a length, a letter, a kind and a byte; a tensor a
     * length, a letter, dims, one size, a type and an offset. */
    KEY_BYTES_MIN = 14,
    TENSOR_BYTES_MIN = 33
};
/* So that bytes and sums of them stay far from overflow. */
static const uint64_t ELEMENTS_MAX = UINT64_C(1) << 48;

static const struct {
    const char *name;
    uint32_t bytes; /* of an element; 0: it varies */
} kinds[FMT_GGUF_KIND_COUNT] = {
    [FMT_GGUF_U8] = { "u8", 1 },         [FMT_GGUF_I8] = { "i8", 1 },
    [FMT_GGUF_U16] = { "u16", 2 },       [FMT_GGUF_I16] = { "i16", 2 },
    [FMT_GGUF_U32] = { "u32", 4 },       [FMT_GGUF_I32] = { "i32", 4 },
    [FMT_GGUF_F32] = { "f32", 4 },       [FMT_GGUF_BOOL] = { "bool", 1 },
    [FMT_GGUF_STRING] = { "string", 0 }, [FMT_GGUF_ARRAY] = { "array", 0 },
    [FMT_GGUF_U64] = { "u64", 8 },       [FMT_GGUF_I64] = { "i64", 8 },
    [FMT_GGUF_F64] = { "f64", 8 },
};

/* A place in a mapped file. */
struct cursor {
    struct fmt_gguf *file;
    const char *path;
    const struct fmt_map *map;
    uint64_t at;
    uint64_t alignment;
    uint64_t keys, tensors; /* as the header says */
};

/* `what` is a kind of thing, `name` which one. */
static rt_status damaged(const struct cursor *c, const char *what, const char *name,
                         const char *why)
{
    return rt_fail(c->file->ctx, RT_ERR_INPUT, "'%s': %s '%.80s' %s", c->path, what, name,
                   why);
}

static rt_status no_memory(const struct cursor *c)
{
    return rt_fail(c->file->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", c->path);
}

/* The next n bytes, null: the file ends before. */
static const uint8_t *take(struct cursor *c, uint64_t n)
{
    assert(c->at <= c->map->size);
    if (n > c->map->size - c->at)
        return NULL;
    const uint8_t *p = c->map->data + c->at;
    c->at += n;
    return p;
}

static bool take_number(struct cursor *c, uint32_t bytes, uint64_t *out)
{
    assert(bytes <= sizeof *out);
    const uint8_t *p = take(c, bytes);
    *out = 0;
    for (uint32_t i = bytes; p && i-- > 0;)
        *out = *out << 8 | p[i];
    return p != NULL;
}

/* A name in fresh memory. `before`: the name before it, for the message. */
static rt_status take_name(struct cursor *c, const char *what, const char *before,
                           uint64_t most, char **out)
{
    uint64_t size;
    const uint8_t *p = take_number(c, 8, &size) ? take(c, size) : NULL;
    if (!p)
        return rt_fail(c->file->ctx, RT_ERR_INPUT,
                       "'%s': the name of the %s after '%.80s' runs past the end of the "
                       "file; it is cut short or damaged, get it again",
                       c->path, what, before);
    if (size == 0 || size > most || memchr(p, 0, size))
        return rt_fail(c->file->ctx, RT_ERR_INPUT,
                       "'%s': the name of the %s after '%.80s' has %llu bytes%s; names "
                       "have 1 to %llu",
                       c->path, what, before, (unsigned long long)size,
                       size && size <= most ? ", one of them 0" : "",
                       (unsigned long long)most);
    *out = rt_alloc(c->file->ctx, size + 1, 1);
    if (!*out)
        return no_memory(c);
    memcpy(*out, p, size);
    return RT_OK;
}

static int by_key_name(const void *a, const void *b)
{
    const struct fmt_gguf_key *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_tensor_name(const void *a, const void *b)
{
    const struct fmt_gguf_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_address(const void *a, const void *b)
{
    const struct fmt_gguf_tensor *x = a, *y = b;
    return x->data < y->data ? -1 : x->data > y->data;
}

/* ---- keys ---- */

/* Skips `count` strings. */
static bool skip_strings(struct cursor *c, uint64_t count)
{
    uint64_t size;
    for (uint64_t i = 0; i < count; i++)
        if (!take_number(c, 8, &size) || !take(c, size))
            return false;
    return true;
}

static rt_status read_value(struct cursor *c, struct fmt_gguf_key *key)
{
    static const char cut[] = "has a value that runs past the end of the file; it is cut "
                              "short or damaged, get it again";
    uint64_t kind;
    bool there = take_number(c, 4, &kind);
    key->count = 1;
    key->array = kind == FMT_GGUF_ARRAY;
    if (there && key->array)
        there = take_number(c, 4, &kind) && take_number(c, 8, &key->count);
    if (!there)
        return damaged(c, "key", key->name, cut);
    if (kind >= FMT_GGUF_KIND_COUNT)
        return damaged(c, "key", key->name, "has a value of unknown kind");
    if (kind == FMT_GGUF_ARRAY)
        return damaged(c, "key", key->name,
                       "is an array of arrays, which is not supported");
    key->kind = (enum fmt_gguf_kind)kind;
    const uint64_t start = c->at;
    const uint32_t bytes = kinds[kind].bytes;
    /* A string takes at least its length, so no count can make the loop long. */
    if (key->count > (c->map->size - c->at) / (bytes ? bytes : 8))
        return damaged(c, "key", key->name, cut);
    if (bytes ? !take(c, key->count * bytes) : !skip_strings(c, key->count))
        return damaged(c, "key", key->name, cut);
    key->data = c->map->data + start;
    key->size = c->at - start;
    for (uint64_t i = 0; kind == FMT_GGUF_BOOL && i < key->count; i++)
        if (key->data[i] > 1)
            return damaged(c, "key", key->name, "is neither true nor false");
    return RT_OK;
}

static rt_status read_keys(struct cursor *c)
{
    struct fmt_gguf *f = c->file;
    f->keys = rt_alloc(f->ctx, c->keys, sizeof *f->keys);
    if (!f->keys)
        return no_memory(c);
    while (f->key_count < c->keys) {
        struct fmt_gguf_key *key = &f->keys[f->key_count];
        rt_status st = take_name(c, "key", f->key_count ? key[-1].name : "",
                                 NAME_BYTES_MAX, &key->name);
        if (key->name)
            f->key_count++;
        if (st == RT_OK)
            st = read_value(c, key);
        if (st != RT_OK)
            return st;
    }
    qsort(f->keys, f->key_count, sizeof *f->keys, by_key_name);
    for (uint32_t i = 1; i < f->key_count; i++)
        if (strcmp(f->keys[i - 1].name, f->keys[i].name) == 0)
            return damaged(c, "key", f->keys[i].name, "is there twice");
    return RT_OK;
}

static rt_status read_alignment(struct cursor *c)
{
    int64_t alignment;
    const rt_status st = fmt_gguf_whole(c->file, "general.alignment", 32, INT64_MIN,
                                        INT64_MAX, &alignment);
    if (st != RT_OK)
        return st;
    if (alignment < 1 || alignment > ALIGNMENT_MAX || (alignment & (alignment - 1)) != 0)
        return rt_fail(c->file->ctx, RT_ERR_INPUT,
                       "'%s': key 'general.alignment' is %lld; a power of two up to %d "
                       "is expected",
                       c->path, (long long)alignment, (int)ALIGNMENT_MAX);
    c->alignment = (uint64_t)alignment;
    return RT_OK;
}

/* ---- tensors ---- */

static rt_status read_shape(struct cursor *c, struct fmt_gguf_tensor *t)
{
    uint64_t dims;
    static const char cut[] =
        "has an entry that runs past the end of the file; it is cut "
        "short or damaged, get it again";
    if (!take_number(c, 4, &dims))
        return damaged(c, "tensor", t->name, cut);
    if (dims < 1 || dims > FMT_GGUF_DIMS_MAX)
        return rt_fail(c->file->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has %llu dimensions; 1 to %d are expected",
                       c->path, t->name, (unsigned long long)dims,
                       (int)FMT_GGUF_DIMS_MAX);
    t->dims = (uint32_t)dims;
    t->count = 1;
    for (uint32_t i = 0; i < FMT_GGUF_DIMS_MAX; i++) {
        t->shape[i] = 1;
        if (i < dims && !take_number(c, 8, &t->shape[i]))
            return damaged(c, "tensor", t->name, cut);
        /* A negative size is a huge one here. */
        if (t->shape[i] == 0 || t->count > ELEMENTS_MAX / t->shape[i])
            return rt_fail(c->file->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' has an impossible shape: size %lld in "
                           "dimension %u",
                           c->path, t->name, (long long)t->shape[i], i);
        t->count *= t->shape[i];
    }
    return RT_OK;
}

static rt_status read_type(struct cursor *c, struct fmt_gguf_tensor *t, uint64_t id)
{
    char names[256];
    t->type = fmt_block_type_find((uint32_t)id);
    if (!t->type || !t->type->bytes)
        return rt_fail(c->file->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is of type %s (number %u), which is not "
                       "supported; %s are",
                       c->path, t->name, t->type ? t->type->name : "(unknown)",
                       (unsigned)id, fmt_block_type_names(names, sizeof names));
    if (t->shape[0] % t->type->block != 0)
        return rt_fail(c->file->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has rows of %llu elements, %s needs multiples "
                       "of %u",
                       c->path, t->name, (unsigned long long)t->shape[0], t->type->name,
                       t->type->block);
    t->size = t->count / t->type->block * t->type->bytes;
    return RT_OK;
}

/* Its place is set when the whole table is known. */
static rt_status read_tensor(struct cursor *c, const char *before,
                             struct fmt_gguf_tensor *t, uint64_t *offset)
{
    rt_status st;
    uint64_t type;
    TRY(take_name(c, "tensor", before, TENSOR_NAME_BYTES_MAX, &t->name));
    TRY(read_shape(c, t));
    if (!take_number(c, 4, &type) || !take_number(c, 8, offset))
        return damaged(c, "tensor", t->name,
                       "has an entry that runs past the end of the file; it is cut short "
                       "or damaged, get it again");
    TRY(read_type(c, t, type));
    if (*offset % c->alignment != 0)
        return rt_fail(c->file->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' starts at %llu, no multiple of the alignment "
                       "%llu",
                       c->path, t->name, (unsigned long long)*offset,
                       (unsigned long long)c->alignment);
    return RT_OK;

fail:
    return st;
}

/* Offsets to addresses; the cursor stands behind the table. */
static rt_status place_tensors(struct cursor *c, struct fmt_gguf_tensor *tensors,
                               const uint64_t *offsets, uint64_t n)
{
    const uint64_t start = rt_round_up(c->at, c->alignment);
    const uint64_t room = start < c->map->size ? c->map->size - start : 0;
    for (uint64_t i = 0; i < n; i++) {
        if (offsets[i] > room || tensors[i].size > room - offsets[i])
            return rt_fail(c->file->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' needs %llu bytes at %llu of the data, the "
                           "file has %llu; it is cut short or damaged, get it again",
                           c->path, tensors[i].name, (unsigned long long)tensors[i].size,
                           (unsigned long long)offsets[i], (unsigned long long)room);
        tensors[i].data = c->map->data + start + offsets[i];
    }
    qsort(tensors, n, sizeof *tensors, by_address);
    for (uint64_t i = 1; i < n; i++)
        if (tensors[i - 1].data + tensors[i - 1].size > tensors[i].data)
            return rt_fail(
                c->file->ctx, RT_ERR_INPUT,
                "'%s': tensors '%s' and '%s' overlap; the file is damaged, get it again",
                c->path, tensors[i - 1].name, tensors[i].name);
    return RT_OK;
}

static rt_status read_tensors(struct cursor *c)
{
    rt_status st = RT_OK;
    struct fmt_gguf *f = c->file;
    const uint32_t first = f->tensor_count;
    uint64_t *offsets = rt_alloc(f->ctx, c->tensors, sizeof *offsets);
    struct fmt_gguf_tensor *tensors =
        rt_resize(f->ctx, f->tensors, first, first + c->tensors, sizeof *tensors);
    if (tensors)
        f->tensors = tensors;
    if (!tensors || !offsets) {
        st = no_memory(c);
        goto fail;
    }
    for (uint64_t i = 0; i < c->tensors; i++) {
        struct fmt_gguf_tensor *t = &tensors[first + i];
        f->tensor_count++; /* close() frees what there is of it */
        TRY(read_tensor(c, i ? t[-1].name : "", t, &offsets[i]));
    }
    TRY(place_tensors(c, tensors + first, offsets, c->tensors));

fail:
    rt_free(offsets);
    return st;
}

static rt_status check_names(const struct cursor *c)
{
    struct fmt_gguf *f = c->file;
    qsort(f->tensors, f->tensor_count, sizeof *f->tensors, by_tensor_name);
    for (uint32_t i = 1; i < f->tensor_count; i++)
        if (strcmp(f->tensors[i - 1].name, f->tensors[i].name) == 0)
            return damaged(c, "tensor", f->tensors[i].name, "is there twice");
    return RT_OK;
}

/* ---- files ---- */

static rt_status read_header(struct cursor *c)
{
    uint64_t version;
    struct rt_ctx *ctx = c->file->ctx;
    const uint8_t *magic = take(c, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s' is not a GGUF file", c->path);
    if (!take_number(c, 4, &version) ||
        (version >= 2 && version <= 3 &&
         (!take_number(c, 8, &c->tensors) || !take_number(c, 8, &c->keys))))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s' ends within its header; it is cut short, get it again",
                       c->path);
    if ((version & 0xffff) == 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s' is a big-endian GGUF file; little-endian ones are supported",
                       c->path);
    if (version < 2 || version > 3)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s' is GGUF version %llu; 2 and 3 are supported", c->path,
                       (unsigned long long)version);
    const uint64_t left = c->map->size - c->at;
    if (c->keys > left / KEY_BYTES_MIN || c->tensors > left / TENSOR_BYTES_MIN ||
        c->keys > ENTRIES_MAX || c->tensors > ENTRIES_MAX)
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s' says it has %llu keys and %llu tensors, more than %llu bytes "
            "can hold; it is cut short or damaged, get it again",
            c->path, (unsigned long long)c->keys, (unsigned long long)c->tensors,
            (unsigned long long)left);
    c->file->version = (uint32_t)version;
    return RT_OK;
}

/* One file: header, keys (into f->keys) and tensors (added to f->tensors). */
static rt_status add_file(struct fmt_gguf *f, const char *path)
{
    rt_status st;
    struct fmt_map *maps =
        rt_resize(f->ctx, f->maps, f->map_count, f->map_count + 1u, sizeof *maps);
    if (!maps)
        return rt_fail(f->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    f->maps = maps;
    TRY(fmt_map_open(f->ctx, path, &f->maps[f->map_count]));
    struct cursor c = { .file = f, .path = path, .map = &f->maps[f->map_count++] };
    TRY(read_header(&c));
    TRY(read_keys(&c));
    TRY(read_alignment(&c));
    TRY(read_tensors(&c));
    TRY(check_names(&c));

fail:
    return st;
}

static void free_keys(struct fmt_gguf_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rt_free(keys[i].name);
    rt_free(keys);
}

/* What the keys say about parts: which this is and how many there are; 0 of 1 without. */
static rt_status read_split(const struct fmt_gguf *f, const char *path, int64_t no,
                            int64_t count)
{
    rt_status st;
    int64_t has_no, has_count;
    TRY(fmt_gguf_whole(f, "split.no", 0, 0, FILES_MAX, &has_no));
    TRY(fmt_gguf_whole(f, "split.count", 1, 0, FILES_MAX, &has_count));
    if (has_no != no || (count && has_count != count))
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s' says it is part %lld of %lld, part %lld of %lld is expected",
                       path, (long long)has_no + 1, (long long)has_count,
                       (long long)no + 1, (long long)(count ? count : has_count));
    return RT_OK;

fail:
    return st;
}

/* Reads a further file; its keys are dropped once they are known to fit. */
static rt_status add_part(struct fmt_gguf *f, const char *path, int64_t no, int64_t count)
{
    struct fmt_gguf_key *first = f->keys;
    const uint32_t first_count = f->key_count;
    f->keys = NULL;
    f->key_count = 0;
    rt_status st = add_file(f, path);
    if (st == RT_OK)
        st = read_split(f, path, no, count);
    free_keys(f->keys, f->key_count);
    f->keys = first;
    f->key_count = first_count;
    return st;
}

static rt_status add_parts(struct fmt_gguf *f)
{
    rt_status st;
    int64_t count, total;
    char ending[32];
    TRY(read_split(f, f->path, 0, 0));
    TRY(fmt_gguf_whole(f, "split.count", 1, 0, FILES_MAX, &count));
    if (count <= 1)
        return RT_OK;
    snprintf(ending, sizeof ending, "-00001-of-%05d.gguf", (int)count);
    const size_t length = strlen(f->path), tail = strlen(ending);
    if (length < tail || strcmp(f->path + length - tail, ending) != 0)
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s' is the first of %lld parts but is not named NAME%s, so that "
                       "the others cannot be found",
                       f->path, (long long)count, ending);
    for (int i = 1; i < count; i++) {
        char *path = rt_format(f->ctx, "%.*s-%05d-of-%05d.gguf", (int)(length - tail),
                               f->path, i + 1, (int)count);
        if (!path)
            return rt_fail(f->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", f->path);
        st = fmt_exists(path) ? add_part(f, path, i, count)
                              : rt_fail(f->ctx, RT_ERR_INPUT,
                                        "'%s', part %d of %d, is missing; get it and put "
                                        "it beside the first",
                                        path, i + 1, (int)count);
        rt_free(path);
        if (st != RT_OK)
            return st;
    }
    TRY(fmt_gguf_whole(f, "split.tensors.count", f->tensor_count, 0, INT64_MAX, &total));
    if (total != f->tensor_count)
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': the parts should have %lld tensors, they have %u", f->path,
                       (long long)total, f->tensor_count);

fail:
    return st;
}

/* The factor of a tensor NAME.weight, if there is a NAME.scale. */
static rt_status read_factor(struct fmt_gguf *f, struct fmt_gguf_tensor *t)
{
    const size_t length = strlen(t->name), ending = sizeof ".weight" - 1;
    char name[TENSOR_NAME_BYTES_MAX + 1];
    t->factor = 1;
    if (length < ending || strcmp(t->name + length - ending, ".weight") != 0)
        return RT_OK;
    snprintf(name, sizeof name, "%.*s.scale", (int)(length - ending), t->name);
    const struct fmt_gguf_tensor *scale = fmt_gguf_find(f, name);
    if (!scale)
        return RT_OK;
    if (scale->count != 1 || scale->type->block != 1)
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has %llu elements of type %s; one float that "
                       "multiplies '%s' is expected",
                       f->path, name, (unsigned long long)scale->count, scale->type->name,
                       t->name);
    fmt_block_floats(scale->type, scale->data, 1, 1, &t->factor);
    if (!isfinite(t->factor))
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is not finite; the file is damaged, get it "
                       "again",
                       f->path, name);
    return RT_OK;
}

static rt_status read_factors(struct fmt_gguf *f)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < f->tensor_count && st == RT_OK; i++)
        st = read_factor(f, &f->tensors[i]);
    return st;
}

rt_status fmt_gguf_open(struct rt_ctx *ctx, const char *path, struct fmt_gguf *out)
{
    rt_status st;
    *out = (struct fmt_gguf){ .ctx = ctx };
    out->path = rt_strdup(ctx, path);
    if (!out->path)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    TRY(add_file(out, path));
    TRY(add_parts(out));
    TRY(read_factors(out));
    return RT_OK;

fail:
    fmt_gguf_close(out);
    return st;
}

void fmt_gguf_close(struct fmt_gguf *f)
{
    free_keys(f->keys, f->key_count);
    for (uint32_t i = 0; i < f->tensor_count; i++)
        rt_free(f->tensors[i].name);
    rt_free(f->tensors);
    for (uint32_t i = 0; i < f->map_count; i++)
        fmt_map_close(&f->maps[i]);
    rt_free(f->maps);
    rt_free(f->path);
    *f = (struct fmt_gguf){ 0 };
}

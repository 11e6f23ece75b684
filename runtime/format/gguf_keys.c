/* runtime/format/gguf_keys.c
 * Typed access to what gguf.c has read and checked. */
#include "runtime/format/gguf.h"

#include "runtime/base/os.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fmt_gguf_is(const char *path)
{
    char magic[4] = { 0 };
    const size_t length = strlen(path);
    if (length > 5 && strcmp(path + length - 5, ".gguf") == 0)
        return true;
    if (os_kind_of(path) != OS_KIND_FILE) /* a pipe would wait */
        return false;
    FILE *file = fopen(path, "rb");
    const bool same =
        file && fread(magic, 1, 4, file) == 4 && memcmp(magic, "GGUF", 4) == 0;
    if (file)
        fclose(file);
    return same;
}

static int key_named(const void *name, const void *key)
{
    return strcmp(name, ((const struct fmt_gguf_key *)key)->name);
}

const struct fmt_gguf_key *fmt_gguf_key_find(const struct fmt_gguf *f, const char *name)
{
    return f->key_count ? bsearch(name, f->keys, f->key_count, sizeof *f->keys, key_named)
                        : NULL;
}

static int tensor_named(const void *name, const void *tensor)
{
    return strcmp(name, ((const struct fmt_gguf_tensor *)tensor)->name);
}

const struct fmt_gguf_tensor *fmt_gguf_find(const struct fmt_gguf *f, const char *name)
{
    return f->tensor_count ? bsearch(name, f->tensors, f->tensor_count,
                                     sizeof *f->tensors, tensor_named)
                           : NULL;
}

static uint64_t bits_at(const uint8_t *p, uint64_t bytes)
{
    uint64_t value = 0;
    assert(bytes <= sizeof value);
    for (uint64_t i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

static rt_status wrong(const struct fmt_gguf *f, const char *name, const char *expected)
{
    return rt_fail(f->ctx, RT_ERR_INPUT, "'%s': key '%s' must be %s", f->path, name,
                   expected);
}

/* False: no whole number, or one above the greatest int64_t. */
static bool whole_of(const struct fmt_gguf_key *key, int64_t *out)
{
    if (key->array)
        return false;
    const uint64_t bits = bits_at(key->data, key->size <= 8 ? key->size : 8);
    switch (key->kind) {
    case FMT_GGUF_U8:
    case FMT_GGUF_U16:
    case FMT_GGUF_U32:
    case FMT_GGUF_U64:
        *out = (int64_t)bits;
        return bits <= INT64_MAX;
    case FMT_GGUF_I8:
        *out = (int8_t)bits;
        return true;
    case FMT_GGUF_I16:
        *out = (int16_t)bits;
        return true;
    case FMT_GGUF_I32:
        *out = (int32_t)bits;
        return true;
    case FMT_GGUF_I64:
        *out = (int64_t)bits;
        return true;
    default:
        return false;
    }
}

static rt_status check_whole(const struct fmt_gguf *f, const char *name,
                             const struct fmt_gguf_key *key, int64_t low, int64_t high,
                             int64_t *out)
{
    if (whole_of(key, out) && *out >= low && *out <= high)
        return RT_OK;
    return rt_fail(f->ctx, RT_ERR_INPUT,
                   "'%s': key '%s' must be a whole number from %lld to %lld", f->path,
                   name, (long long)low, (long long)high);
}

rt_status fmt_gguf_whole(const struct fmt_gguf *f, const char *name, int64_t otherwise,
                         int64_t low, int64_t high, int64_t *out)
{
    const struct fmt_gguf_key *key = fmt_gguf_key_find(f, name);
    *out = otherwise;
    if (!key && otherwise >= 0)
        return RT_OK;
    if (!key)
        return rt_fail(f->ctx, RT_ERR_INPUT, "'%s': key '%s' is missing", f->path, name);
    return check_whole(f, name, key, low, high, out);
}

rt_status fmt_gguf_whole_each(const struct fmt_gguf *f, const char *name,
                              int64_t otherwise, int64_t low, int64_t high,
                              uint64_t count, int64_t *out)
{
    const struct fmt_gguf_key *key = fmt_gguf_key_find(f, name);
    if (!key || !key->array || key->kind == FMT_GGUF_STRING)
        return fmt_gguf_whole(f, name, otherwise, low, high, out);
    if (key->count != count || count == 0)
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': key '%s' has %llu numbers for %llu layers", f->path, name,
                       (unsigned long long)key->count, (unsigned long long)count);
    struct fmt_gguf_key one = *key;
    one.array = false;
    one.size = key->size / count;
    for (uint64_t i = 0; i < count; i++, one.data += one.size)
        if (memcmp(one.data, key->data, one.size) != 0)
            return rt_fail(f->ctx, RT_ERR_INPUT,
                           "'%s': key '%s' gives layer %llu another number than layer 0; "
                           "layers that differ are not supported",
                           f->path, name, (unsigned long long)i);
    one.data = key->data;
    return check_whole(f, name, &one, low, high, out);
}

rt_status fmt_gguf_number(const struct fmt_gguf *f, const char *name, double otherwise,
                          double *out)
{
    const struct fmt_gguf_key *key = fmt_gguf_key_find(f, name);
    int64_t whole;
    *out = otherwise;
    if (!key)
        return RT_OK;
    if (!key->array && key->kind == FMT_GGUF_F32) {
        const uint32_t bits = (uint32_t)bits_at(key->data, 4);
        float value;
        memcpy(&value, &bits, sizeof value);
        *out = (double)value;
    } else if (!key->array && key->kind == FMT_GGUF_F64) {
        const uint64_t bits = bits_at(key->data, 8);
        memcpy(out, &bits, sizeof bits);
    } else if (whole_of(key, &whole)) {
        *out = (double)whole;
    } else {
        return wrong(f, name, "a number");
    }
    return isfinite(*out) ? RT_OK : wrong(f, name, "a finite number");
}

rt_status fmt_gguf_bool(const struct fmt_gguf *f, const char *name, bool otherwise,
                        bool *out)
{
    const struct fmt_gguf_key *key = fmt_gguf_key_find(f, name);
    *out = otherwise;
    if (!key)
        return RT_OK;
    if (key->array || key->kind != FMT_GGUF_BOOL)
        return wrong(f, name, "true or false");
    *out = key->data[0] != 0;
    return RT_OK;
}

rt_status fmt_gguf_text(const struct fmt_gguf *f, const char *name, char **out)
{
    const struct fmt_gguf_key *key = fmt_gguf_key_find(f, name);
    *out = NULL;
    if (!key)
        return RT_OK;
    if (key->array || key->kind != FMT_GGUF_STRING)
        return wrong(f, name, "a string");
    const uint64_t size = key->size - 8;
    if (memchr(key->data + 8, 0, size))
        return wrong(f, name, "a string without a zero byte in it");
    *out = rt_alloc(f->ctx, size + 1, 1);
    if (!*out)
        return rt_fail(f->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", f->path);
    memcpy(*out, key->data + 8, size);
    return RT_OK;
}

rt_status fmt_gguf_array(const struct fmt_gguf *f, const char *name,
                         enum fmt_gguf_kind kind, const struct fmt_gguf_key **out)
{
    const struct fmt_gguf_key *key = fmt_gguf_key_find(f, name);
    *out = NULL;
    if (key && (!key->array || key->kind != kind))
        return wrong(f, name,
                     kind == FMT_GGUF_STRING ? "an array of strings"
                     : kind == FMT_GGUF_F32  ? "an array of f32"
                                             : "an array of i32");
    *out = key;
    return RT_OK;
}

const char *fmt_gguf_string_next(const struct fmt_gguf_key *array, uint64_t *at,
                                 size_t *size)
{
    *size = bits_at(array->data + *at, 8);
    const char *text = (const char *)array->data + *at + 8;
    *at += 8 + *size;
    return text;
}

uint32_t fmt_gguf_word(const struct fmt_gguf_key *array, uint64_t i)
{
    return (uint32_t)bits_at(array->data + 4 * i, 4);
}

void fmt_gguf_floats(const struct fmt_gguf_tensor *t, uint64_t first, uint64_t n,
                     float *out)
{
    const struct fmt_block_type *type = t->type;
    assert(first + n <= t->count);
    while (n) {
        const uint64_t block = first / type->block, skip = first % type->block;
        const uint8_t *data = t->data + block * type->bytes;
        uint64_t done = n - n % type->block;
        if (skip == 0 && done) {
            fmt_block_floats(type, data, done / type->block, t->factor, out);
        } else { /* the part of a block at either end */
            float values[FMT_BLOCK_MAX];
            done = n < type->block - skip ? n : type->block - skip;
            fmt_block_floats(type, data, 1, t->factor, values);
            memcpy(out, values + skip, done * sizeof *out);
        }
        first += done;
        n -= done;
        out += done;
    }
}

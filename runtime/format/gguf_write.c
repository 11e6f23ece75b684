/* runtime/format/gguf_write.c
 * Keys as bytes, a list of tensors, and the file made of both. */
#include "runtime/format/gguf_write.h"

#include "runtime/base/os.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static rt_status no_memory(struct fmt_gguf_out *o)
{
    return rt_fail(o->ctx, RT_ERR_HOST_MEMORY,
                   "no host memory for the keys of a GGUF file");
}

/* ---- bytes ---- */

static void put_bytes(struct fmt_gguf_out *o, const void *data, size_t size)
{
    if (o->failed)
        return;
    if (size > o->keys_capacity - o->keys_size) {
        const size_t capacity = 2 * o->keys_capacity + size + 4096;
        uint8_t *keys = rt_resize(o->ctx, o->keys, o->keys_capacity, capacity, 1);
        o->failed = !keys;
        if (!keys)
            return;
        o->keys = keys;
        o->keys_capacity = capacity;
    }
    memcpy(o->keys + o->keys_size, data, size);
    o->keys_size += size;
}

static void put_number(struct fmt_gguf_out *o, uint64_t value, uint32_t bytes)
{
    uint8_t p[8];
    for (uint32_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> (8 * i));
    put_bytes(o, p, bytes);
}

void fmt_gguf_put_string(struct fmt_gguf_out *o, const char *text, size_t size)
{
    put_number(o, size, 8);
    put_bytes(o, text, size);
}

void fmt_gguf_put_word(struct fmt_gguf_out *o, uint32_t bits)
{
    put_number(o, bits, 4);
}

/* ---- keys ---- */

static void put_head(struct fmt_gguf_out *o, const char *name, enum fmt_gguf_kind kind)
{
    fmt_gguf_put_string(o, name, strlen(name));
    fmt_gguf_put_word(o, kind);
    o->key_count++;
}

void fmt_gguf_put_u32(struct fmt_gguf_out *o, const char *name, uint32_t value)
{
    put_head(o, name, FMT_GGUF_U32);
    fmt_gguf_put_word(o, value);
}

void fmt_gguf_put_f32(struct fmt_gguf_out *o, const char *name, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_head(o, name, FMT_GGUF_F32);
    fmt_gguf_put_word(o, bits);
}

void fmt_gguf_put_bool(struct fmt_gguf_out *o, const char *name, bool value)
{
    put_head(o, name, FMT_GGUF_BOOL);
    put_number(o, value, 1);
}

void fmt_gguf_put_text(struct fmt_gguf_out *o, const char *name, const char *text)
{
    put_head(o, name, FMT_GGUF_STRING);
    fmt_gguf_put_string(o, text, strlen(text));
}

void fmt_gguf_put_array(struct fmt_gguf_out *o, const char *name, enum fmt_gguf_kind kind,
                        uint64_t count)
{
    put_head(o, name, FMT_GGUF_ARRAY);
    fmt_gguf_put_word(o, kind);
    put_number(o, count, 8);
}

void fmt_gguf_put_key(struct fmt_gguf_out *o, const struct fmt_gguf_key *key)
{
    if (key->array)
        fmt_gguf_put_array(o, key->name, key->kind, key->count);
    else
        put_head(o, key->name, key->kind);
    put_bytes(o, key->data, key->size);
}

/* ---- tensors ---- */

rt_status fmt_gguf_out_add(struct fmt_gguf_out *o, const char *name,
                           const struct fmt_block_type *type, uint32_t dims,
                           const uint64_t *shape)
{
    if (strlen(name) >= sizeof o->tensors->name)
        return rt_fail(o->ctx, RT_ERR_INPUT,
                       "tensor '%.100s': a GGUF file has names of at most 64 bytes",
                       name);
    for (uint32_t i = 0; i < o->tensor_count; i++)
        if (strcmp(o->tensors[i].name, name) == 0)
            return rt_fail(o->ctx, RT_ERR_INPUT, "tensor '%s' is there twice", name);
    if (o->tensor_count == o->tensor_capacity) {
        const uint32_t capacity = o->tensor_capacity ? 2 * o->tensor_capacity : 256;
        struct fmt_gguf_out_tensor *list = rt_resize(
            o->ctx, o->tensors, o->tensor_capacity, capacity, sizeof *o->tensors);
        if (!list)
            return no_memory(o);
        o->tensors = list;
        o->tensor_capacity = capacity;
    }
    assert(dims >= 1 && dims <= FMT_GGUF_DIMS_MAX && shape[0] % type->block == 0);
    struct fmt_gguf_out_tensor *t = &o->tensors[o->tensor_count++];
    *t = (struct fmt_gguf_out_tensor){ .type = type, .dims = dims };
    snprintf(t->name, sizeof t->name, "%s", name);
    t->size = shape[0] / type->block * type->bytes;
    for (uint32_t d = 0; d < dims; d++) {
        t->shape[d] = shape[d];
        t->size *= d ? shape[d] : 1;
    }
    return RT_OK;
}

/* The entries behind the keys. */
static void put_entries(struct fmt_gguf_out *o)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < o->tensor_count; i++) {
        const struct fmt_gguf_out_tensor *t = &o->tensors[i];
        fmt_gguf_put_string(o, t->name, strlen(t->name));
        fmt_gguf_put_word(o, t->dims);
        for (uint32_t d = 0; d < t->dims; d++)
            put_number(o, t->shape[d], 8);
        fmt_gguf_put_word(o, t->type->id);
        put_number(o, at, 8);
        at += rt_round_up(t->size, FMT_GGUF_ALIGNMENT);
    }
}

enum { HEAD_BYTES = 24 };

uint64_t fmt_gguf_out_bytes(const struct fmt_gguf_out *o)
{
    uint64_t head = HEAD_BYTES + o->keys_size, data = 0;
    for (uint32_t i = 0; i < o->tensor_count; i++) {
        head += 8 + strlen(o->tensors[i].name) + 4 + 8ull * o->tensors[i].dims + 4 + 8;
        data += rt_round_up(o->tensors[i].size, FMT_GGUF_ALIGNMENT);
    }
    return rt_round_up(head, FMT_GGUF_ALIGNMENT) + data;
}

/* ---- the file ---- */

static rt_status cannot_write(struct fmt_gguf_out *o)
{
    return rt_fail(o->ctx, RT_ERR_IO, "cannot write '%s': %s", o->path, strerror(errno));
}

static bool pad(FILE *file, uint64_t size)
{
    static const uint8_t zeros[FMT_GGUF_ALIGNMENT];
    const size_t n = (size_t)(rt_round_up(size, FMT_GGUF_ALIGNMENT) - size);
    return fwrite(zeros, 1, n, file) == n;
}

/* A full disk is told before hours of work. */
static rt_status check_room(struct fmt_gguf_out *o, uint64_t size)
{
    uint64_t room;
    char folder[OS_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", o->path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (os_disk_available(slash ? folder : ".", &room) && room < size)
        return rt_fail(o->ctx, RT_ERR_IO,
                       "cannot write '%s': it takes %.1f MiB, the disk has %.1f MiB left",
                       o->path, (double)size / 1048576, (double)room / 1048576);
    return RT_OK;
}

/* All bytes before the data; once. */
static rt_status put_start(struct fmt_gguf_out *o, const char *path,
                           uint8_t head[HEAD_BYTES])
{
    static const uint8_t magic[] = { 'G', 'G', 'U', 'F', 3, 0, 0, 0 };
    memcpy(head, magic, sizeof magic);
    for (uint32_t i = 0; i < 8; i++) {
        head[8 + i] = (uint8_t)((uint64_t)o->tensor_count >> (8 * i));
        head[16 + i] = (uint8_t)(o->key_count >> (8 * i));
    }
    if (o->path)
        return RT_OK;
    o->size = fmt_gguf_out_bytes(o);
    put_entries(o);
    o->data_at = rt_round_up(HEAD_BYTES + o->keys_size, FMT_GGUF_ALIGNMENT);
    o->part = rt_format(o->ctx, "%s.part", path);
    o->path = rt_strdup(o->ctx, path);
    return o->failed || !o->path || !o->part ? no_memory(o) : RT_OK;
}

rt_status fmt_gguf_out_begin(struct fmt_gguf_out *o, const char *path)
{
    rt_status st;
    uint8_t head[HEAD_BYTES];
    TRY(put_start(o, path, head));
    remove(o->part); /* gives its room back */
    TRY(check_room(o, o->size));
    o->file = fopen(o->part, "wb");
    if (!o->file || fwrite(head, 1, sizeof head, o->file) != sizeof head ||
        fwrite(o->keys, 1, o->keys_size, o->file) != o->keys_size ||
        !pad(o->file, sizeof head + o->keys_size))
        return cannot_write(o);

fail:
    return st;
}

/* Whether the open part begins with these bytes. */
static bool begins_with(FILE *file, const uint8_t *bytes, size_t size)
{
    uint8_t have[4096];
    while (size > 0) {
        const size_t n = size < sizeof have ? size : sizeof have;
        if (fread(have, 1, n, file) != n || memcmp(have, bytes, n) != 0)
            return false;
        bytes += n;
        size -= n;
    }
    return true;
}

rt_status fmt_gguf_out_reopen(struct fmt_gguf_out *o, const char *path, bool *same)
{
    rt_status st;
    uint8_t head[HEAD_BYTES];
    *same = false;
    TRY(put_start(o, path, head));
    o->file = fopen(o->part, "r+b");
    if (!o->file)
        return RT_OK;
    *same = begins_with(o->file, head, sizeof head) &&
            begins_with(o->file, o->keys, o->keys_size) &&
            os_stream_bytes(o->file, &o->found);
    o->next = o->tensor_count; /* none: the first is gone to */
    if (!*same) {
        fclose(o->file);
        o->file = NULL;
        o->next = 0;
    }

fail:
    return st;
}

rt_status fmt_gguf_out_sync(struct fmt_gguf_out *o)
{
    return fflush(o->file) == 0 && os_sync_stream(o->file) ? RT_OK : cannot_write(o);
}

/* Where the data of tensor i begins. */
static uint64_t place_of(const struct fmt_gguf_out *o, uint32_t i)
{
    uint64_t at = o->data_at;
    for (uint32_t k = 0; k < i; k++)
        at += rt_round_up(o->tensors[k].size, FMT_GGUF_ALIGNMENT);
    return at;
}

bool fmt_gguf_out_present(struct fmt_gguf_out *o, uint32_t i)
{
    o->ended++;
    return place_of(o, i) + o->tensors[i].size <= o->found;
}

rt_status fmt_gguf_out_seek(struct fmt_gguf_out *o, uint32_t i)
{
    assert(i < o->tensor_count && o->written == 0);
    if (i == o->next)
        return RT_OK;
    o->next = i;
    return os_seek_stream(o->file, place_of(o, i)) ? RT_OK : cannot_write(o);
}

rt_status fmt_gguf_out_data(struct fmt_gguf_out *o, const void *data, size_t size)
{
    assert(o->next < o->tensor_count);
    const struct fmt_gguf_out_tensor *t = &o->tensors[o->next];
    assert(size <= t->size - o->written);
    if (fwrite(data, 1, size, o->file) != size)
        return cannot_write(o);
    o->written += size;
    if (o->written < t->size)
        return RT_OK;
    o->next++;
    o->ended++;
    o->written = 0;
    return pad(o->file, t->size) ? RT_OK : cannot_write(o);
}

rt_status fmt_gguf_out_end(struct fmt_gguf_out *o)
{
    assert(o->ended == o->tensor_count);
    if (fflush(o->file) != 0 || !os_sync_stream(o->file))
        return cannot_write(o);
    const int failed = fclose(o->file);
    o->file = NULL;
    if (failed || rename(o->part, o->path) != 0) {
        const rt_status st = cannot_write(o);
        if (!o->is_kept)
            remove(o->part);
        return st;
    }
    return fmt_sync_parent(o->ctx, o->path);
}

void fmt_gguf_out_deinit(struct fmt_gguf_out *o)
{
    if (o->file) {
        fclose(o->file);
        if (!o->is_kept)
            remove(o->part);
    }
    rt_free(o->keys);
    rt_free(o->tensors);
    rt_free(o->path);
    rt_free(o->part);
    *o = (struct fmt_gguf_out){ .ctx = o->ctx };
}

/* runtime/format/safetensors_write.c
 * Writes a safetensors file whole or not at all. */
#include "runtime/format/safetensors.h"

#include "runtime/base/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bytes_of(const struct fmt_tensor_out *t)
{
    uint64_t size = fmt_dtype_bytes(t->dtype);
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
    const uint32_t wx = fmt_dtype_bytes(x->dtype), wy = fmt_dtype_bytes(y->dtype);
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
            json_pack("{s:s, s:o, s:[I, I]}", "dtype", fmt_dtype_name(t->dtype), "shape",
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

/* pipeline/data/data_file.c
 * Reads one foreign text file: unpacks gzip, checks UTF-8, hashes the bytes. */
#include "pipeline/data/data_file.h"

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>
#define ZLIB_CONST /* input is only read */
#include <zlib.h>

enum { UNPACK_START = 1 << 16, GZIP_WINDOW = 16 + MAX_WBITS, PROBE_BYTES = 4096 };

/* Room for at least one more byte and the terminating zero. */
static rt_status grow(struct rt_ctx *ctx, const char *name, struct pipe_data_file *out,
                      size_t *capacity)
{
    if (out->size + 1 < *capacity)
        return RT_OK;
    if (*capacity >= PIPE_DATA_BYTES_MAX)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': more than %d MiB when unpacked", name,
                       PIPE_DATA_BYTES_MAX >> 20);
    const size_t next = *capacity ? *capacity * 2 : UNPACK_START;
    char *text = rt_resize(ctx, out->text, *capacity, next, 1);
    if (!text)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory for %zu bytes", name,
                       next);
    out->text = text;
    *capacity = next;
    return RT_OK;
}

/* All members of a gzip file, one after the other. */
static rt_status unpack(struct rt_ctx *ctx, const char *name, const uint8_t *data,
                        size_t size, struct pipe_data_file *out)
{
    rt_status st;
    size_t capacity = 0;
    z_stream z = { 0 };
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': zlib cannot start", name);
    z.next_in = data;
    z.avail_in = (uInt)size;
    int code = Z_OK;
    while (code != Z_STREAM_END || z.avail_in > 0) {
        if (code == Z_STREAM_END && inflateReset(&z) != Z_OK)
            break;
        TRY(grow(ctx, name, out, &capacity));
        z.next_out = (uint8_t *)out->text + out->size;
        z.avail_out = (uInt)(capacity - out->size - 1);
        code = inflate(&z, Z_NO_FLUSH);
        out->size = capacity - z.avail_out - 1;
        const bool starved = code == Z_BUF_ERROR && z.avail_in == 0;
        if (starved || (code == Z_OK && z.avail_in == 0 && z.avail_out > 0)) {
            st = rt_fail(ctx, RT_ERR_INPUT, "'%s': the gzip file is cut short", name);
            goto fail;
        }
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
            st = rt_fail(ctx, RT_ERR_INPUT, "'%s': damaged gzip file (%s)", name,
                         z.msg ? z.msg : "wrong data");
            goto fail;
        }
    }
    st = RT_OK;

fail:
    inflateEnd(&z);
    return st;
}

static rt_status copy(struct rt_ctx *ctx, const char *name, const uint8_t *data,
                      size_t size, struct pipe_data_file *out)
{
    out->text = rt_alloc(ctx, size + 1, 1);
    if (!out->text)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory for %zu bytes", name,
                       size);
    if (size)
        memcpy(out->text, data, size);
    out->size = size;
    return RT_OK;
}

/* Told by where zero bytes stand: a line end, a quote or a brace has them in each unit. */
static const char *unmarked_encoding(const uint8_t *bytes, size_t size)
{
    size_t zeros[4] = { 0 };
    const size_t n = size < PROBE_BYTES ? size : PROBE_BYTES;
    for (size_t i = 0; i < n; i++)
        zeros[i % 4] += bytes[i] == 0;
    const size_t even = zeros[0] + zeros[2], odd = zeros[1] + zeros[3];
    if (size % 2 || n < 2)
        return NULL;
    if (size % 4 == 0 && 4 * zeros[3] == n && 8 * zeros[2] >= n)
        return "UTF-32LE";
    if (size % 4 == 0 && 4 * zeros[0] == n && 8 * zeros[1] >= n)
        return "UTF-32BE";
    if (even == 0 && 32 * odd >= n)
        return "UTF-16LE";
    return odd == 0 && 32 * even >= n ? "UTF-16BE" : NULL;
}

/* The encoding of a text in units of 2 or 4 bytes, as iconv names it. NULL: another one. */
static const char *wide_encoding(const char *text, size_t size)
{
    static const struct {
        const char *mark;
        size_t size;
        const char *name;
    } marks[] = { { "\xff\xfe\0\0", 4, "UTF-32" },
                  { "\0\0\xfe\xff", 4, "UTF-32" },
                  { "\xff\xfe", 2, "UTF-16" },
                  { "\xfe\xff", 2, "UTF-16" } };
    for (size_t i = 0; i < RT_COUNT(marks); i++)
        if (size >= marks[i].size && memcmp(text, marks[i].mark, marks[i].size) == 0)
            return marks[i].name;
    return unmarked_encoding((const uint8_t *)text, size);
}

static rt_status check_text(struct rt_ctx *ctx, const char *name, const char *text,
                            size_t size)
{
    size_t line = 1, start = 0;
    const char *wide = wide_encoding(text, size);
    if (wide)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s' line 1, column 1: the text is %.6s, not UTF-8; convert the "
                       "file (iconv -f %s -t UTF-8)",
                       name, wide, wide);
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t code;
        const utf8proc_ssize_t length = utf8proc_iterate(
            (const uint8_t *)text + i, (utf8proc_ssize_t)(size - i), &code);
        if (length < 1)
            return rt_fail(ctx, RT_ERR_INPUT,
                           "'%s' line %zu, column %zu: byte 0x%02x is not UTF-8; convert "
                           "the file (iconv -f LATIN1 -t UTF-8)",
                           name, line, i - start + 1, (uint8_t)text[i]);
        if (code == 0)
            return rt_fail(ctx, RT_ERR_INPUT,
                           "'%s' line %zu, column %zu: a zero byte; the file is not text",
                           name, line, i - start + 1);
        i += (size_t)length;
        if (code == '\n' || (code == '\r' && (i >= size || text[i] != '\n'))) {
            line++;
            start = i;
        }
    }
    return RT_OK;
}

static void hash_bytes(const void *data, size_t size, char hex[65])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, data, size);
    sha256_end_hex(&s, hex);
}

rt_status pipe_data_file_parse(struct rt_ctx *ctx, const char *name, const void *data,
                               size_t size, struct pipe_data_file *out)
{
    rt_status st;
    *out = (struct pipe_data_file){ 0 };
    const uint8_t *bytes = data;
    if (size > PIPE_DATA_BYTES_MAX) {
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s': more than %d MiB", name,
                     PIPE_DATA_BYTES_MAX >> 20);
        goto fail;
    }
    if (size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        TRY(unpack(ctx, name, bytes, size, out));
    else
        TRY(copy(ctx, name, bytes, size, out));
    hash_bytes(out->text, out->size, out->hash);
    if (out->size >= 3 && memcmp(out->text, "\xef\xbb\xbf", 3) == 0) {
        out->size -= 3;
        memmove(out->text, out->text + 3, out->size);
    }
    out->text[out->size] = '\0';
    TRY(check_text(ctx, name, out->text, out->size));
    return RT_OK;

fail:
    pipe_data_file_deinit(out);
    return st;
}

static rt_status read_input(struct rt_ctx *ctx, struct pipe_data_file *out)
{
    rt_status st;
    size_t capacity = 0;
    struct pipe_data_file raw = { 0 };
    for (size_t n = 1; n > 0; raw.size += n) {
        TRY(grow(ctx, "-", &raw, &capacity));
        n = fread(raw.text + raw.size, 1, capacity - raw.size - 1, stdin);
    }
    st = ferror(stdin) ? rt_fail(ctx, RT_ERR_INPUT, "the standard input cannot be read")
                       : pipe_data_file_parse(ctx, "-", raw.text, raw.size, out);

fail:
    pipe_data_file_deinit(&raw);
    return st;
}

rt_status pipe_data_file_read(struct rt_ctx *ctx, const char *path,
                              struct pipe_data_file *out)
{
    rt_status st;
    if (strcmp(path, "-") == 0)
        return read_input(ctx, out);
    struct fmt_map map = { 0 };
    *out = (struct pipe_data_file){ 0 };
    TRY(fmt_map_open(ctx, path, &map));
    TRY(pipe_data_file_parse(ctx, path, map.data, (size_t)map.size, out));
    st = RT_OK;

fail:
    fmt_map_close(&map);
    return st;
}

void pipe_data_file_deinit(struct pipe_data_file *file)
{
    rt_free(file->text);
    *file = (struct pipe_data_file){ 0 };
}

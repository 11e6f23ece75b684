/* pipeline/exchange/import_archive.c
 * Logs of Inspect as zip archives: header.json (or, of a run that was cut short,
 * _journal/start.json) and an entry of samples/ for each answer. libzip reads the
 * container; it knows deflate, and zstd is unpacked here, which Debian 12's does not know. */
#include "pipeline/data/data_rows.h"
#include "pipeline/exchange/import_impl.h"

#include "pipeline/data/data_file.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>
#include <zstd.h>

enum { ZIP_ZSTD = 93, ENTRIES_MAX = 1 << 20 };

struct entry {
    const char *name;
    char *text; /* owned, zero-terminated */
    size_t size;
};

static rt_status damaged(const struct importing *in, const char *entry, const char *why)
{
    return rt_fail(in->ctx, RT_ERR_INPUT, "'%s', entry '%.80s': %s", in->name, entry,
                   why);
}

static bool read_bytes(zip_t *zip, zip_uint64_t index, zip_flags_t flags, void *to,
                       size_t size)
{
    zip_file_t *file = zip_fopen_index(zip, index, flags);
    size_t got = 0;
    while (file && got < size) {
        const zip_int64_t n = zip_fread(file, (char *)to + got, size - got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (file && zip_fclose(file) != 0)
        return false;
    return file && got == size;
}

/* Packed bytes into e->text, which has room for what the directory says. */
static rt_status unpack_zstd(struct importing *in, zip_t *zip, const zip_stat_t *s,
                             struct entry *e)
{
    rt_status st = RT_OK;
    char *packed = rt_alloc(in->ctx, (size_t)s->comp_size + 1, 1);
    if (!packed)
        return rt_fail(in->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name);
    if (!read_bytes(zip, s->index, ZIP_FL_COMPRESSED, packed, (size_t)s->comp_size)) {
        st = damaged(in, e->name, "it is cut short");
    } else {
        const size_t n = ZSTD_decompress(e->text, e->size, packed, (size_t)s->comp_size);
        if (ZSTD_isError(n) || n != e->size)
            st = damaged(in, e->name, "its zstd data are damaged");
        else if (crc32(0, (const Bytef *)e->text, (uInt)n) != s->crc)
            st = damaged(in, e->name, "its checksum is wrong");
    }
    rt_free(packed);
    return st;
}

static rt_status read_entry(struct importing *in, zip_t *zip, zip_uint64_t index,
                            struct entry *e)
{
    rt_status st;
    zip_stat_t s;
    enum {
        NEEDED = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                 ZIP_STAT_COMP_METHOD | ZIP_STAT_CRC
    };
    if (zip_stat_index(zip, index, 0, &s) != 0 || (s.valid & NEEDED) != NEEDED)
        return rt_fail(in->ctx, RT_ERR_INPUT,
                       "'%s': entry %llu of the archive is damaged", in->name,
                       (unsigned long long)index);
    s.index = index;
    e->name = s.name;
    /* No format packs JSON a thousandfold: a directory that says so is made up. */
    if (s.size > PIPE_DATA_BYTES_MAX || s.comp_size > PIPE_DATA_BYTES_MAX ||
        s.size / 1100 > s.comp_size + 64)
        return damaged(in, e->name, "it says it is larger than can be");
    e->size = (size_t)s.size;
    e->text = rt_alloc(in->ctx, e->size + 1, 1);
    if (!e->text)
        return rt_fail(in->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name);
    if (s.comp_method == ZIP_ZSTD)
        st = unpack_zstd(in, zip, &s, e);
    else
        st = read_bytes(zip, index, 0, e->text, e->size)
                 ? RT_OK
                 : damaged(in, e->name, "it cannot be unpacked");
    return st;
}

static rt_status read_json(struct importing *in, zip_t *zip, zip_uint64_t index,
                           json_t **out)
{
    struct entry e = { 0 };
    json_error_t error;
    *out = NULL;
    rt_status st = read_entry(in, zip, index, &e);
    if (st == RT_OK) {
        *out = pipe_json_parse(in->ctx, e.text, e.size, 0, &error);
        if (!*out)
            st = rt_fail(in->ctx, RT_ERR_INPUT,
                         "'%s', entry '%.80s' line %d, column %d: not JSON: %s", in->name,
                         e.name, error.line, error.column, error.text);
    }
    rt_free(e.text);
    return st;
}

static rt_status read_head(struct importing *in, zip_t *zip)
{
    json_t *head = NULL;
    zip_int64_t index = zip_name_locate(zip, "header.json", 0);
    if (index < 0)
        index = zip_name_locate(zip, "_journal/start.json", 0);
    if (index < 0)
        return rt_fail(in->ctx, RT_ERR_INPUT,
                       "'%s' is a zip archive but no Inspect log: it has no header.json",
                       in->name);
    rt_status st = read_json(in, zip, (zip_uint64_t)index, &head);
    if (st == RT_OK)
        st = import_inspect_head(in, head);
    json_decref(head);
    return st;
}

static rt_status read_samples(struct importing *in, zip_t *zip)
{
    rt_status st = RT_OK;
    const zip_int64_t count = zip_get_num_entries(zip, 0);
    uint32_t at = 0;
    for (zip_int64_t i = 0; i < count && st == RT_OK; i++) {
        json_t *sample = NULL;
        const char *name = zip_get_name(zip, (zip_uint64_t)i, 0);
        if (!name || strncmp(name, "samples/", 8) != 0 || !strstr(name, ".json"))
            continue;
        st = read_json(in, zip, (zip_uint64_t)i, &sample);
        if (st == RT_OK)
            st = import_inspect_sample(in, sample, ++at);
        json_decref(sample);
    }
    return st;
}

rt_status import_archive(struct importing *in, const void *data, size_t size)
{
    rt_status st;
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(data, size, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!zip) {
        st =
            rt_fail(in->ctx, RT_ERR_INPUT, "'%s': not a zip archive that can be read: %s",
                    in->name, zip_error_strerror(&error));
        zip_source_free(source);
        goto fail;
    }
    if (zip_get_num_entries(zip, 0) > ENTRIES_MAX) {
        st = rt_fail(in->ctx, RT_ERR_INPUT, "'%s': more entries than a log can have",
                     in->name);
        goto fail;
    }
    TRY(read_head(in, zip));
    TRY(read_samples(in, zip));

fail:
    if (zip)
        zip_discard(zip);
    zip_error_fini(&error);
    return st;
}

/* pipeline/data/texts.c
 * Reads lists of plain texts as JSON. */
#include "pipeline/data/texts.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_spec.h"
#include "runtime/base/file.h"

#include <string.h>

struct reader {
    struct rt_ctx *ctx;
    struct pipe_texts *out;
    uint32_t from, to, seen;
};

static rt_status no_memory(struct rt_ctx *ctx, const char *name)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory for its texts", name);
}

static rt_status take_row(void *user, const struct pipe_row *row)
{
    struct reader *r = user;
    struct pipe_texts *out = r->out;
    const json_t *value = json_object_get(row->fields, "text");
    const char *text = pipe_json_text(value);
    if (!text || !*text)
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s' %s %u: field 'text' %s; every %s is one JSON object with a "
                       "text",
                       row->file, row->unit, row->at,
                       !value ? "is missing"
                       : text ? "is empty"
                              : "must be text",
                       row->unit);
    if (r->seen++ < r->from || r->seen > r->to)
        return RT_OK;
    if (out->count == out->capacity) {
        const uint32_t more = out->capacity ? 2 * out->capacity : 256;
        struct pipe_text *items =
            rt_resize(r->ctx, out->items, out->capacity, more, sizeof *items);
        if (!items)
            return no_memory(r->ctx, row->file);
        out->items = items;
        out->capacity = more;
    }
    struct pipe_text *item = &out->items[out->count];
    *item = (struct pipe_text){ .text = pipe_pool_copy(r->ctx, &out->pool, text,
                                                       json_string_length(value)) };
    if (!item->text)
        return no_memory(r->ctx, row->file);
    out->count++;
    return pipe_text_weights_read(r->ctx, &out->pool, row, item->text, &item->weights);
}

rt_status pipe_texts_parse(struct rt_ctx *ctx, const char *name, const void *data,
                           size_t size, uint32_t from, uint32_t to,
                           struct pipe_texts *out)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    struct reader r = { .ctx = ctx, .out = out, .from = from, .to = to };
    *out = (struct pipe_texts){ .count = 0 };
    TRY(pipe_data_file_parse(ctx, name, data, size, &file));
    const struct pipe_rows_text text = { name, file.text, file.size };
    TRY(pipe_rows_json(ctx, &text, take_row, &r));
    if (r.seen == 0)
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' holds no text", name);
    else if (from >= r.seen || (to != UINT32_MAX && to > r.seen))
        st = rt_fail(ctx, RT_ERR_USAGE, "'%s': the range reaches beyond its %u texts",
                     name, r.seen);

fail:
    pipe_data_file_deinit(&file);
    if (st != RT_OK)
        pipe_texts_deinit(out);
    return st;
}

rt_status pipe_texts_read(struct rt_ctx *ctx, const char *spec, struct pipe_texts *out)
{
    rt_status st;
    char path[4200];
    uint32_t from, to;
    struct fmt_map map = { 0 };
    *out = (struct pipe_texts){ .count = 0 };
    TRY(pipe_spec_split(ctx, spec, path, sizeof path, &from, &to));
    TRY(fmt_map_open(ctx, path, &map));
    TRY(pipe_texts_parse(ctx, spec, map.data, (size_t)map.size, from, to, out));

fail:
    fmt_map_close(&map);
    return st;
}

/* Ends the reading behind the first record. */
static rt_status see_first(void *user, const struct pipe_row *row)
{
    *(bool *)user =
        json_object_get(row->fields, "text") && !json_object_get(row->fields, "question");
    return RT_ERR_INTERRUPTED;
}

bool pipe_texts_named(const char *spec)
{
    bool texts = false;
    char path[4200];
    uint32_t from, to;
    struct rt_ctx quiet = { .log = NULL }; /* what fails here is told by who reads it */
    struct pipe_data_file file = { 0 };
    if (pipe_spec_split(&quiet, spec, path, sizeof path, &from, &to) == RT_OK &&
        strcmp(path, "-") != 0 && fmt_exists(path) &&
        pipe_data_file_read(&quiet, path, &file) == RT_OK) {
        const struct pipe_rows_text text = { path, file.text, file.size };
        if (pipe_rows_json(&quiet, &text, see_first, &texts) == RT_OK)
            texts = false; /* of no record */
    }
    pipe_data_file_deinit(&file);
    return texts;
}

void pipe_texts_deinit(struct pipe_texts *texts)
{
    rt_free(texts->items);
    pipe_pool_deinit(&texts->pool);
    *texts = (struct pipe_texts){ .count = 0 };
}

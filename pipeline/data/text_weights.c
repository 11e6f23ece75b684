/* pipeline/data/text_weights.c
 * Reads the weight of a text and of spans of its characters. */
#include "pipeline/data/text_weights.h"

#include <math.h>
#include <string.h>

struct reading {
    struct rt_ctx *ctx;
    struct pipe_pool *pool;
    const char *text;
    struct pipe_text_weights *out;
};

/* Keeps the message of what is wrong. */
static rt_status refuse(struct reading *r, const char *why)
{
    if (!why)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "%s: no memory for its weights",
                       r->out->where);
    r->out->refused = pipe_pool_format(r->ctx, r->pool, "%s: %s", r->out->where, why);
    return r->out->refused ? RT_OK : refuse(r, NULL);
}

/* JSON has no NaN: what is written as such is odd, and no number. */
static bool read_weight(const json_t *value, double *out)
{
    *out = json_is_number(value) ? json_number_value(value) : -1;
    return *out >= 0 && *out <= PIPE_WEIGHT_MAX;
}

/* Moves *at, which is at character *now, on to character `to`; false: the text ends. */
static bool walk(const char *text, size_t *at, json_int_t *now, json_int_t to)
{
    while (*now < to && text[*at]) {
        do
            ++*at;
        while (((unsigned char)text[*at] & 0xC0u) == 0x80u);
        ++*now;
    }
    return *now == to;
}

static rt_status read_spans(struct reading *r, const json_t *spans)
{
    size_t at = 0;
    json_int_t now = 0;
    if (!r->text)
        return refuse(r, "'spans' are of the text or the solution, which it lacks");
    if (!json_is_array(spans))
        return refuse(r, "'spans' must be a list of [begin, end, weight]");
    struct pipe_span *list =
        pipe_pool_take(r->ctx, r->pool, json_array_size(spans) + 1, sizeof *list);
    if (!list)
        return refuse(r, NULL);
    for (size_t i = 0; i < json_array_size(spans); i++) {
        const json_t *span = json_array_get(spans, i);
        const json_t *begin = json_array_get(span, 0), *end = json_array_get(span, 1);
        const json_int_t from = json_integer_value(begin), to = json_integer_value(end);
        const unsigned long long n = i + 1;
        if (json_array_size(span) != 3 || !json_is_integer(begin) ||
            !json_is_integer(end) || from < 0 || to <= from)
            return refuse(r, pipe_pool_format(r->ctx, r->pool,
                                              "span %llu must be [begin, end, weight], "
                                              "characters from 0, begin before end",
                                              n));
        if (!read_weight(json_array_get(span, 2), &list[i].weight))
            return refuse(r, pipe_pool_format(r->ctx, r->pool,
                                              "the weight of span %llu must be a number "
                                              "from 0 to %g",
                                              n, PIPE_WEIGHT_MAX));
        if (from < now)
            return refuse(r, pipe_pool_format(r->ctx, r->pool,
                                              "span %llu begins before the one before it "
                                              "ends; put spans in order, without overlap",
                                              n));
        bool within = walk(r->text, &at, &now, from);
        list[i].begin = (uint32_t)at;
        within = within && walk(r->text, &at, &now, to);
        list[i].end = (uint32_t)at;
        if (!within)
            return refuse(r, pipe_pool_format(r->ctx, r->pool,
                                              "span %llu ends at character %lld of a "
                                              "text of %lld",
                                              n, (long long)to, (long long)now));
    }
    r->out->spans = list;
    r->out->count = (uint32_t)json_array_size(spans);
    return RT_OK;
}

rt_status pipe_text_weights_read(struct rt_ctx *ctx, struct pipe_pool *pool,
                                 const struct pipe_row *row, const char *text,
                                 const struct pipe_text_weights **out)
{
    const json_t *weight = json_object_get(row->fields, "weight");
    const json_t *spans = json_object_get(row->fields, "spans");
    struct reading r = { .ctx = ctx, .pool = pool, .text = text };
    *out = NULL;
    if (!weight && !spans)
        return RT_OK;
    r.out = pipe_pool_take(ctx, pool, 1, sizeof *r.out);
    if (!r.out)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory for weights", row->file);
    *out = r.out;
    r.out->weight = 1;
    r.out->where =
        pipe_pool_format(ctx, pool, "'%s' %s %u", row->file, row->unit, row->at);
    if (!r.out->where)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory for weights", row->file);
    if (weight && !read_weight(weight, &r.out->weight))
        return refuse(&r, pipe_pool_format(ctx, pool,
                                           "'weight' must be a number from 0 to %g",
                                           PIPE_WEIGHT_MAX));
    return spans ? read_spans(&r, spans) : RT_OK;
}

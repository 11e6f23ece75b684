/* pipeline/data/data_csv.c
 * Comma-separated values as rows: RFC 4180, with LF, CRLF or CR. Strict, because a quote out
 * of place makes every later field wrong. */
#include "pipeline/data/data_rows.h"

#include <assert.h>
#include <string.h>

enum { COLUMNS_MAX = 1024 };

struct csv {
    struct rt_ctx *ctx;
    const char *name, *text;
    size_t size, at;
    uint32_t line;  /* of `at`, from 1 */
    json_t *fields; /* of the record just read: an array of texts */
    char *buffer;   /* one field without its quotes; as large as the text */
};

static rt_status bad(const struct csv *c, uint32_t line, const char *why)
{
    return rt_fail(c->ctx, RT_ERR_INPUT, "'%s' line %u: %s", c->name, line, why);
}

static bool ends_line(const struct csv *c)
{
    return c->at >= c->size || c->text[c->at] == '\n' || c->text[c->at] == '\r';
}

/* Moves behind the end of a line. */
static void pass_line_end(struct csv *c)
{
    const bool two =
        c->at + 1 < c->size && c->text[c->at] == '\r' && c->text[c->at + 1] == '\n';
    c->at += two ? 2 : c->at < c->size;
    c->line++;
}

static bool ends_field(const struct csv *c)
{
    return ends_line(c) || c->text[c->at] == ',';
}

/* A field in quotes; `at` is behind the opening one. */
static rt_status read_quoted(struct csv *c, size_t *length)
{
    const uint32_t opened = c->line;
    for (;; c->at++) {
        if (c->at >= c->size)
            return bad(c, opened, "a quoted field is opened here and never closed");
        const char letter = c->text[c->at];
        if (letter == '"') {
            c->at++;
            if (c->at >= c->size || c->text[c->at] != '"')
                break;
        }
        c->line +=
            letter == '\n' ||
            (letter == '\r' && (c->at + 1 >= c->size || c->text[c->at + 1] != '\n'));
        assert(*length < c->size); /* a field is no longer than the text */
        c->buffer[(*length)++] = letter;
    }
    if (!ends_field(c))
        return bad(c, c->line,
                   "text after a closing quote; a quote within a field is doubled");
    return RT_OK;
}

static rt_status read_field(struct csv *c)
{
    size_t length = 0;
    if (c->at < c->size && c->text[c->at] == '"') {
        c->at++;
        const rt_status st = read_quoted(c, &length);
        if (st != RT_OK)
            return st;
    } else {
        for (; !ends_field(c); c->at++) {
            if (c->text[c->at] == '"')
                return bad(c, c->line, "a quote within a field that has none around it");
            c->buffer[length++] = c->text[c->at];
        }
    }
    if (json_array_append_new(c->fields, json_stringn(c->buffer, length)) != 0)
        return rt_fail(c->ctx, RT_ERR_HOST_MEMORY, "'%s' line %u: no memory", c->name,
                       c->line);
    return RT_OK;
}

/* One record; `at` then is at the start of the next line. */
static rt_status read_record(struct csv *c)
{
    json_array_clear(c->fields);
    for (;;) {
        const rt_status st = read_field(c);
        if (st != RT_OK)
            return st;
        if (json_array_size(c->fields) > COLUMNS_MAX)
            return bad(c, c->line, "more columns than a table of problems can have");
        if (ends_line(c))
            break;
        c->at++; /* the comma */
    }
    pass_line_end(c);
    return RT_OK;
}

static rt_status check_names(const struct csv *c, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        assert(name); /* read_field put texts only */
        if (!*name)
            return bad(c, 1, "a column without a name; the first line names the columns");
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, json_string_value(json_array_get(names, k))) == 0)
                return rt_fail(c->ctx, RT_ERR_INPUT,
                               "'%s' line 1: two columns are named '%.60s'", c->name,
                               name);
    }
    return RT_OK;
}

static rt_status check_count(const struct csv *c, size_t expected, uint32_t line,
                             const char *by)
{
    const size_t count = json_array_size(c->fields);
    return count == expected
               ? RT_OK
               : rt_fail(c->ctx, RT_ERR_INPUT,
                         "'%s' line %u: %zu fields where the first line %s %zu columns",
                         c->name, line, count, by, expected);
}

/* A record as an object of the names, or as it is where there are none. */
static rt_status give_row(const struct csv *c, const json_t *names, uint32_t line,
                          pipe_row_fn *fn, void *user)
{
    const size_t count = json_array_size(c->fields);
    json_t *object = names ? json_object() : json_incref(c->fields);
    bool good = object != NULL;
    for (size_t i = 0; names && i < count; i++)
        good =
            good && !json_object_set(object, json_string_value(json_array_get(names, i)),
                                     json_array_get(c->fields, i));
    const struct pipe_row row = { object, c->name, "line", line };
    const rt_status st = good ? fn(user, &row)
                              : rt_fail(c->ctx, RT_ERR_HOST_MEMORY,
                                        "'%s' line %u: no memory", c->name, line);
    json_decref(object);
    return st;
}

static bool blank_line(const struct csv *c)
{
    return c->at < c->size && ends_line(c);
}

static rt_status read_rows(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                           bool named, pipe_row_fn *fn, void *user)
{
    rt_status st = RT_OK;
    struct csv c = { .ctx = ctx,
                     .name = in->name,
                     .text = in->text,
                     .size = in->size,
                     .line = 1,
                     .fields = json_array() };
    json_t *names = NULL;
    size_t columns = 0;
    c.buffer = rt_alloc(ctx, in->size + 1, 1);
    if (!c.fields || !c.buffer) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name);
        goto fail;
    }
    if (named) {
        TRY(read_record(&c));
        names = json_copy(c.fields);
        TRY(check_names(&c, names));
        columns = json_array_size(names);
    }
    while (c.at < c.size) {
        if (blank_line(&c)) {
            pass_line_end(&c);
            continue;
        }
        const uint32_t line = c.line;
        TRY(read_record(&c));
        columns = columns ? columns : json_array_size(c.fields);
        TRY(check_count(&c, columns, line, named ? "names" : "has"));
        TRY(give_row(&c, names, line, fn, user));
    }

fail:
    json_decref(names);
    json_decref(c.fields);
    rt_free(c.buffer);
    return st;
}

rt_status pipe_rows_csv(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                        pipe_row_fn *fn, void *user)
{
    return read_rows(ctx, in, true, fn, user);
}

rt_status pipe_rows_csv_plain(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                              pipe_row_fn *fn, void *user)
{
    return read_rows(ctx, in, false, fn, user);
}

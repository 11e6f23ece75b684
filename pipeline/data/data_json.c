/* pipeline/data/data_json.c
 * JSON Lines and JSON arrays as rows. */
#include "pipeline/data/data_rows.h"

#include "runtime/base/json.h"

#include <string.h>

static bool is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", text[i]))
            return false;
    return true;
}

/* The code of "\uXXXX" at `at`, -1: none stands there. */
static long escape_at(const char *at, const char *end)
{
    long code = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *digit = at[i] ? strchr(digits, at[i]) : NULL;
        if (!digit)
            return -1;
        code = code * 16 + (digit - digits) % 16;
    }
    return code;
}

/* Whether any escape had to become U+FFFD. */
static bool mend_escapes(char *text, size_t size)
{
    bool mended = false;
    const char *end = text + size;
    for (char *at = text; at < end;) {
        const long code = escape_at(at, end);
        const bool high = code >= 0xd800 && code < 0xdc00;
        const long next = high ? escape_at(at + 6, end) : -1;
        if (high && next >= 0xdc00 && next < 0xe000) {
            at += 12;
        } else if (code == 0 || (code >= 0xd800 && code < 0xe000)) {
            memcpy(at, "\\ufffd", 6);
            at += 6;
            mended = true;
        } else {
            at += *at == '\\' ? 2 : 1;
        }
    }
    return mended;
}

json_t *pipe_json_parse(struct rt_ctx *ctx, const char *text, size_t size, size_t flags,
                        json_error_t *error)
{
    json_t *out = fmt_json_parse(ctx, text, size, flags, error);
    char *copy = out ? NULL : rt_alloc(ctx, size + 1, 1);
    if (copy) {
        memcpy(copy, text, size);
        if (mend_escapes(copy, size))
            out = fmt_json_parse(ctx, copy, size, flags, error);
    }
    rt_free(copy);
    return out;
}

const char *pipe_json_text(const json_t *value)
{
    return fmt_json_odd(value) ? NULL : json_string_value(value);
}

const char *pipe_json_digits(const json_t *value)
{
    const char *text = fmt_json_odd(value);
    return text && !strchr("NI", text[*text == '-']) ? text : NULL;
}

static rt_status read_line(struct rt_ctx *ctx, const struct pipe_row *where,
                           const char *text, size_t size, pipe_row_fn *fn, void *user)
{
    json_error_t error;
    json_t *object = pipe_json_parse(ctx, text, size,
                                     JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!object)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s' line %u, column %d: not JSON: %s",
                       where->file, where->at, error.column, error.text);
    rt_status st;
    struct pipe_row row = *where;
    row.fields = object;
    if (json_is_object(object))
        st = fn(user, &row);
    else
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' line %u: not a JSON object; every line is one record",
                     where->file, where->at);
    json_decref(object);
    return st;
}

/* Bytes up to the end of the line, which is LF, CR LF or CR: JSON has neither in a text. */
static size_t line_length(const char *text, size_t size)
{
    const char *end = memchr(text, '\n', size);
    const size_t length = end ? (size_t)(end - text) : size;
    end = memchr(text, '\r', length);
    return end ? (size_t)(end - text) : length;
}

static rt_status read_lines(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                            pipe_row_fn *fn, void *user)
{
    struct pipe_row where = { .file = in->name, .unit = "line" };
    for (size_t at = 0; at < in->size;) {
        const size_t length = line_length(in->text + at, in->size - at);
        where.at++;
        if (!is_blank(in->text + at, length)) {
            const rt_status st = read_line(ctx, &where, in->text + at, length, fn, user);
            if (st != RT_OK)
                return st;
        }
        at += length;
        at += at + 1 < in->size && memcmp(in->text + at, "\r\n", 2) == 0 ? 2 : 1;
    }
    return RT_OK;
}

static rt_status read_array(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                            pipe_row_fn *fn, void *user)
{
    rt_status st = RT_OK;
    json_error_t error;
    json_t *array =
        pipe_json_parse(ctx, in->text, in->size, JSON_REJECT_DUPLICATES, &error);
    if (!array)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s' line %d, column %d: not JSON: %s",
                       in->name, error.line, error.column, error.text);
    struct pipe_row row = { .file = in->name, .unit = "item" };
    for (size_t i = 0; st == RT_OK && i < json_array_size(array); i++) {
        row.at++;
        row.fields = json_array_get(array, i);
        if (json_is_object(row.fields))
            st = fn(user, &row);
        else
            st = rt_fail(ctx, RT_ERR_INPUT, "'%s' item %u: not a JSON object", in->name,
                         row.at);
    }
    json_decref(array);
    return st;
}

rt_status pipe_rows_json(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                         pipe_row_fn *fn, void *user)
{
    const char first = in->text[strspn(in->text, " \t\r\n")];
    return first == '[' ? read_array(ctx, in, fn, user) : read_lines(ctx, in, fn, user);
}

/* pipeline/exchange/import.c
 * Reads answers of lm-evaluation-harness, Inspect or JSON Lines into records. */
#include "pipeline/exchange/import.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "pipeline/exchange/import_impl.h"
#include "runtime/base/text_set.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/sha256.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[PIPE_IMPORT_KIND_COUNT] = { "auto", "lm-eval", "inspect",
                                                           "jsonl" };

const char *pipe_import_kind_name(enum pipe_import_kind kind)
{
    assert(kind < PIPE_IMPORT_KIND_COUNT);
    return kinds[kind];
}

enum pipe_import_kind pipe_import_kind_of(const char *name)
{
    int k = 0;
    while (k < PIPE_IMPORT_KIND_COUNT && strcmp(kinds[k], name) != 0)
        k++;
    return (enum pipe_import_kind)k;
}

rt_status import_fail(const struct importing *in, const char *unit, uint32_t at,
                      const char *why)
{
    return rt_fail(in->ctx, RT_ERR_INPUT, "'%s' %s %u: %s", in->name, unit, at, why);
}

static rt_status no_memory(const struct importing *in)
{
    return rt_fail(in->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name);
}

rt_status import_keep(struct importing *in, const char *text, const char **to)
{
    *to = text ? pipe_pool_copy(in->ctx, &in->out->pool, text, strlen(text)) : NULL;
    return text && !*to ? no_memory(in) : RT_OK;
}

rt_status import_missing(const struct importing *in, const char *unit, uint32_t at,
                         const json_t *object, const char *const *names, const char *why)
{
    for (; *names; names++) {
        const char *odd = fmt_json_odd(json_object_get(object, *names));
        if (odd)
            return rt_fail(in->ctx, RT_ERR_INPUT,
                           "'%s' %s %u: '%s' is %.40s; a text is needed", in->name, unit,
                           at, *names, odd);
    }
    return import_fail(in, unit, at, why);
}

const char *import_text(const json_t *value, char buffer[IMPORT_TEXT])
{
    const char *digits = pipe_json_digits(value);
    if (digits)
        return strpbrk(digits, ".eE") ? NULL : digits;
    if (!json_is_integer(value))
        return pipe_json_text(value);
    snprintf(buffer, IMPORT_TEXT, "%lld", (long long)json_integer_value(value));
    return buffer;
}

rt_status import_add(struct importing *in, const struct pipe_import_answer *answer)
{
    rt_status st;
    struct pipe_import *out = in->out;
    if (out->count == out->capacity) {
        const uint32_t more = out->capacity ? 2 * out->capacity : 256;
        void *grown =
            rt_resize(in->ctx, out->answers, out->capacity, more, sizeof *out->answers);
        if (!grown)
            return no_memory(in);
        out->answers = grown;
        out->capacity = more;
    }
    assert(out->count < out->capacity);
    struct pipe_import_answer *a = &out->answers[out->count];
    *a = *answer;
    TRY(import_keep(in, answer->id, &a->id));
    TRY(import_keep(in, answer->question, &a->question));
    TRY(import_keep(in, answer->output, &a->output));
    TRY(import_keep(in, answer->prompt_hash, &a->prompt_hash));
    TRY(import_keep(in, answer->error, &a->error));
    out->count++;

fail:
    return st;
}

/* ---- JSON Lines, or one list ---- */

static rt_status on_record(void *user, const struct pipe_row *row)
{
    struct importing *in = user;
    /* Told by the first record. */
    if (in->out->kind == PIPE_IMPORT_AUTO)
        in->out->kind = json_object_get(row->fields, "resps") ? PIPE_IMPORT_LM_EVAL
                                                              : PIPE_IMPORT_JSONL;
    return in->out->kind == PIPE_IMPORT_LM_EVAL ? import_lm_eval(in, row)
                                                : import_own(in, row);
}

/* An Inspect log is one object whose lines are none. */
static bool is_log(struct rt_ctx *ctx, const char *text)
{
    json_error_t error;
    const char *end = strchr(text, '\n');
    json_t *line = pipe_json_parse(ctx, text, end ? (size_t)(end - text) : strlen(text),
                                   JSON_DISABLE_EOF_CHECK, &error);
    const bool whole = json_is_object(line) && !json_object_get(line, "samples");
    json_decref(line);
    return text[strspn(text, " \t\r\n")] == '{' && !whole;
}

static rt_status parse_text(struct importing *in, const struct pipe_data_file *file)
{
    json_error_t error;
    struct pipe_import *out = in->out;
    if (out->kind != PIPE_IMPORT_INSPECT &&
        (out->kind != PIPE_IMPORT_AUTO || !is_log(in->ctx, file->text))) {
        const struct pipe_rows_text text = { in->name, file->text, file->size };
        return pipe_rows_json(in->ctx, &text, on_record, in);
    }
    json_t *log = pipe_json_parse(in->ctx, file->text, file->size, 0, &error);
    if (!log)
        return rt_fail(in->ctx, RT_ERR_INPUT, "'%s' line %d, column %d: not JSON: %s",
                       in->name, error.line, error.column, error.text);
    out->kind = PIPE_IMPORT_INSPECT;
    const rt_status st = import_inspect(in, log);
    json_decref(log);
    return st;
}

/* ---- the whole ---- */

/* Versions of the harness that do not name filters write a document once per filter. */
static bool is_of_other_filter(const struct importing *in,
                               const struct pipe_import_answer *a,
                               const struct pipe_import_answer *before)
{
    return in->out->kind == PIPE_IMPORT_LM_EVAL && !in->out->filter &&
           strcmp(a->output, before->output) == 0;
}

/* An answer is found by its problem and sample: none may be there twice. */
static rt_status check_twice(const struct importing *in)
{
    rt_status st = RT_OK;
    struct pipe_text_set set = { 0 };
    struct pipe_import *out = in->out;
    struct pipe_pool keys = { 0 };
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->count && st == RT_OK; i++) {
        const struct pipe_import_answer *a = &out->answers[i];
        uint32_t before = 0;
        bool is_new = true;
        const char *key = pipe_pool_format(in->ctx, &keys, "%c%s\n%u", a->id ? 'i' : 'q',
                                           a->id ? a->id : a->question, a->sample);
        if (!key)
            st = no_memory(in);
        else
            st = pipe_text_set_add(in->ctx, &set, key, kept, &is_new, &before);
        if (st == RT_OK && is_new)
            out->answers[kept++] = *a;
        else if (st == RT_OK && !is_of_other_filter(in, a, &out->answers[before]))
            st = rt_fail(in->ctx, RT_ERR_INPUT,
                         "'%s': answer %u of '%.60s' is there twice, %u and %u in the "
                         "file",
                         in->name, a->sample, a->id ? a->id : a->question,
                         out->answers[before].at, a->at);
    }
    if (st == RT_OK)
        out->count = kept;
    pipe_text_set_deinit(&set);
    pipe_pool_deinit(&keys);
    return st;
}

static rt_status no_answer(const struct importing *in, const char *filter)
{
    char filters[400];
    import_filters(in, filters, sizeof filters);
    if (!filter || in->out->kind != PIPE_IMPORT_LM_EVAL)
        return rt_fail(in->ctx, RT_ERR_INPUT, "'%s' holds no answer", in->name);
    return rt_fail(in->ctx, RT_ERR_INPUT,
                   "'%s' holds no answer of the filter %.60s; its filters are: %s",
                   in->name, filter, filters[0] ? filters : "none that has a name");
}

rt_status pipe_import_parse(struct rt_ctx *ctx, const char *name, const void *data,
                            size_t size, enum pipe_import_kind kind, const char *filter,
                            struct pipe_import *out)
{
    rt_status st;
    struct sha256 hash;
    struct pipe_data_file file = { 0 };
    const uint8_t *bytes = data;
    *out = (struct pipe_import){ .kind = kind, .bytes = (int64_t)size };
    struct importing in = { .ctx = ctx,
                            .name = name,
                            .filter = filter,
                            .filter_chosen = filter != NULL,
                            .out = out };
    sha256_init(&hash);
    sha256_add(&hash, data, size);
    sha256_end_hex(&hash, out->hash);
    const bool zip = size > 4 && memcmp(bytes, "PK\3\4", 4) == 0;
    if (zip && kind != PIPE_IMPORT_AUTO && kind != PIPE_IMPORT_INSPECT) {
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' is a zip archive, not %s", name,
                     pipe_import_kind_name(kind));
        goto fail;
    }
    if (zip) {
        out->kind = PIPE_IMPORT_INSPECT;
        TRY(import_archive(&in, data, size));
    } else {
        TRY(pipe_data_file_parse(ctx, name, data, size, &file));
        TRY(parse_text(&in, &file));
    }
    if (out->count == 0) {
        st = no_answer(&in, filter);
        goto fail;
    }
    TRY(check_twice(&in));
    TRY(import_compare_filters(&in));

fail:
    pipe_data_file_deinit(&file);
    rt_free(in.lines);
    pipe_pool_deinit(&in.texts);
    pipe_pool_deinit(&in.scratch);
    if (st != RT_OK)
        pipe_import_deinit(out);
    return st;
}

rt_status pipe_import_read(struct rt_ctx *ctx, const char *path,
                           enum pipe_import_kind kind, const char *filter,
                           struct pipe_import *out)
{
    rt_status st;
    struct fmt_map map = { 0 };
    *out = (struct pipe_import){ 0 };
    TRY(fmt_map_open(ctx, path, &map));
    TRY(pipe_import_parse(ctx, path, map.data, (size_t)map.size, kind, filter, out));

fail:
    fmt_map_close(&map);
    return st;
}

void pipe_import_deinit(struct pipe_import *import)
{
    rt_free(import->answers);
    pipe_pool_deinit(&import->pool);
    *import = (struct pipe_import){ 0 };
}

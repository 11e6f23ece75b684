/* pipeline/exchange/export.c
 * Writes the answers of a run as JSON Lines, CSV, lm-evaluation-harness samples or an
 * Inspect log. */
#include "pipeline/exchange/export.h"

#include "runtime/base/os.h"
#include "runtime/base/sha256.h"
#include "runtime/base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zip.h>

static const char *const kinds[PIPE_EXPORT_KIND_COUNT] = { "jsonl", "csv", "lm-eval",
                                                           "inspect", "inspect-eval" };

const char *pipe_export_kind_name(enum pipe_export_kind kind)
{
    assert(kind < PIPE_EXPORT_KIND_COUNT);
    return kinds[kind];
}

enum pipe_export_kind pipe_export_kind_of(const char *name)
{
    int k = 0;
    while (k < PIPE_EXPORT_KIND_COUNT && strcmp(kinds[k], name) != 0)
        k++;
    return (enum pipe_export_kind)k;
}

struct pipe_export {
    struct rt_ctx *ctx;
    enum pipe_export_kind kind;
    struct pipe_export_head head;
    char *path;
    FILE *file;      /* null for an archive */
    zip_t *zip;      /* of an archive */
    json_t *pending; /* of lm-eval: the line of the problem so far */
    json_t *samples; /* of inspect as JSON */
    json_t *summaries;
    uint32_t answers, right, problems;
    bool ended;
};

static rt_status no_memory(struct pipe_export *e)
{
    return rt_fail(e->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", e->path);
}

static rt_status cannot_write(struct pipe_export *e)
{
    return rt_fail(e->ctx, RT_ERR_IO, "'%s' cannot be written: %s", e->path,
                   e->zip ? zip_strerror(e->zip) : strerror(errno));
}

/* JSON text of any bytes: bad sequences become U+FFFD. Null without memory. */
static json_t *text_of(const struct pipe_export *e, const char *text)
{
    size_t size;
    if (!text)
        return json_null();
    json_t *out = json_string(text);
    char *safe = out ? NULL : utf8_repaired(e->ctx, text, strlen(text), &size);
    if (safe)
        out = json_stringn(safe, size);
    rt_free(safe);
    return out;
}

/* ---- the formats of a line ---- */

static json_t *own_line(const struct pipe_export *e, const struct pipe_export_answer *a)
{
    return json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:i}", "id",
                     text_of(e, a->problem_id), "sample", (int)a->sample, "question",
                     text_of(e, a->question), "answer", text_of(e, a->gold), "output",
                     text_of(e, a->output), "finish", text_of(e, a->finish), "extracted",
                     text_of(e, a->extracted), "correct", (int)a->correct, "rule",
                     text_of(e, a->rule), "model", text_of(e, e->head.model), "n_gen",
                     (int)a->n_gen);
}

static rt_status put_line(struct pipe_export *e, json_t *line)
{
    if (!line)
        return no_memory(e);
    const bool good =
        json_dumpf(line, e->file, JSON_COMPACT) == 0 && fputc('\n', e->file) != EOF;
    json_decref(line);
    return good ? RT_OK : cannot_write(e);
}

static void put_field(FILE *file, const char *text, char after)
{
    text = text ? text : "";
    if (!text[strcspn(text, ",\"\r\n")]) {
        fprintf(file, "%s%c", text, after);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fprintf(file, "\"%c", after);
}

static rt_status put_record(struct pipe_export *e, const struct pipe_export_answer *a)
{
    char sample[16], tokens[16];
    snprintf(sample, sizeof sample, "%u", a->sample);
    snprintf(tokens, sizeof tokens, "%u", a->n_gen);
    const char *const fields[] = {
        a->problem_id, sample,        a->question,  a->gold,
        a->output,     a->finish,     a->extracted, a->correct ? "1" : "0",
        a->rule,       e->head.model, tokens
    };
    for (size_t i = 0; i < RT_COUNT(fields); i++)
        put_field(e->file, fields[i], i + 1 < RT_COUNT(fields) ? ',' : '\n');
    return ferror(e->file) ? cannot_write(e) : RT_OK;
}

/* ---- lm-evaluation-harness ---- */

static json_t *hash_of(const char *text)
{
    struct sha256 s;
    char hex[65];
    sha256_init(&s);
    sha256_add(&s, text, strlen(text));
    sha256_end_hex(&s, hex);
    return json_string(hex);
}

static rt_status flush_problem(struct pipe_export *e)
{
    json_t *line = e->pending;
    e->pending = NULL;
    return line ? put_line(e, line) : RT_OK;
}

static rt_status put_harness(struct pipe_export *e, const struct pipe_export_answer *a)
{
    const json_t *doc = json_object_get(e->pending, "doc");
    const char *id = json_string_value(json_object_get(doc, "id"));
    if (!id || strcmp(id, a->problem_id) != 0) {
        const rt_status st = flush_problem(e);
        if (st != RT_OK)
            return st;
        e->pending = json_pack(
            "{s:i, s:{s:o, s:o, s:o}, s:o, s:{s:{s:o}}, s:[[]], s:[], s:s, s:[s], s:o, "
            "s:o, s:f}",
            "doc_id", (int)e->problems++, "doc", "id", text_of(e, a->problem_id),
            "question", text_of(e, a->question), "answer", text_of(e, a->gold), "target",
            text_of(e, a->gold), "arguments", "gen_args_0", "arg_0",
            text_of(e, a->question), "resps", "filtered_resps", "filter", "faultline",
            "metrics", "exact_match", "prompt_hash", hash_of(a->question), "target_hash",
            hash_of(a->gold), "exact_match", a->correct ? 1.0 : 0.0);
        if (!e->pending)
            return no_memory(e);
    }
    json_t *resps = json_array_get(json_object_get(e->pending, "resps"), 0);
    json_t *filtered = json_object_get(e->pending, "filtered_resps");
    const bool good =
        json_array_append_new(resps, text_of(e, a->output)) == 0 &&
        json_array_append_new(filtered, a->extracted ? text_of(e, a->extracted)
                                                     : json_string("[invalid]")) == 0;
    return good ? RT_OK : no_memory(e);
}

/* ---- Inspect ---- */

static void time_text(int64_t ms, char out[32])
{
    struct tm t;
    if (!os_utc(ms / 1000, &t) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%S+00:00", &t))
        snprintf(out, 32, "1970-01-01T00:00:00+00:00");
}

static json_t *inspect_sample(const struct pipe_export *e,
                              const struct pipe_export_answer *a)
{
    const char *reason = strcmp(a->finish, "length") == 0 ? "max_tokens" : "stop";
    json_t *sample = json_pack(
        "{s:o, s:i, s:o, s:o, s:[{s:s, s:o}, {s:s, s:o}], s:{s:o, "
        "s:[{s:{s:s, s:o, s:s}, s:s}], s:o}, s:{s:{s:s, s:o, s:o}}, s:{s:{s:i, s:i, "
        "s:i}}, s:{}}",
        "id", text_of(e, a->problem_id), "epoch", (int)a->sample + 1, "input",
        text_of(e, a->question), "target", text_of(e, a->gold), "messages", "role",
        "user", "content", text_of(e, a->question), "role", "assistant", "content",
        text_of(e, a->output), "output", "model", text_of(e, e->head.model), "choices",
        "message", "role", "assistant", "content", text_of(e, a->output), "source",
        "generate", "stop_reason", reason, "completion", text_of(e, a->output), "scores",
        "faultline", "value", a->correct ? "C" : "I", "answer",
        a->extracted ? text_of(e, a->extracted) : json_string(""), "explanation",
        a->rule ? text_of(e, a->rule) : json_string(""), "model_usage", e->head.model,
        "input_tokens", (int)a->n_prompt, "output_tokens", (int)a->n_gen, "total_tokens",
        (int)(a->n_prompt + a->n_gen), "metadata");
    if (sample && a->error)
        json_object_set_new(sample, "error",
                            json_pack("{s:o, s:s, s:s}", "message", text_of(e, a->error),
                                      "traceback", "", "traceback_ansi", ""));
    return sample;
}

static json_t *inspect_head(const struct pipe_export *e)
{
    char started[32], ended[32];
    time_text(e->head.started_ms, started);
    time_text(e->head.ended_ms, ended);
    const double accuracy = e->answers ? (double)e->right / e->answers : 0;
    return json_pack(
        "{s:i, s:s, s:{s:o, s:s, s:o, s:o, s:i, s:{s:o, s:i}, s:o, s:{}, s:{s:s}}, "
        "s:{s:s, s:[], s:{}}, s:{s:i, s:i, s:[{s:s, s:s, s:{s:{s:s, s:f}}}]}, s:{s:s, "
        "s:s}}",
        "version", 2, "status", "success", "eval", "run_id", text_of(e, e->head.run_id),
        "created", started, "task", text_of(e, e->head.task), "task_id",
        text_of(e, e->head.run_id), "task_version", 0, "dataset", "name",
        text_of(e, e->head.task), "samples", (int)e->problems, "model",
        text_of(e, e->head.model), "config", "packages", "faultline", e->head.version,
        "plan", "name", "faultline", "steps", "config", "results", "total_samples",
        (int)e->answers, "completed_samples", (int)e->answers, "scores", "name",
        "faultline", "scorer", "faultline", "metrics", "accuracy", "name", "accuracy",
        "value", accuracy, "stats", "started_at", started, "completed_at", ended);
}

/* Adds a JSON value as an entry; takes the value. */
static rt_status put_entry(struct pipe_export *e, const char *name, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (!text)
        return no_memory(e);
    zip_source_t *source = zip_source_buffer(e->zip, text, strlen(text), 1);
    if (!source) {
        free(text); /* lint: jansson's own */
        return no_memory(e);
    }
    if (zip_file_add(e->zip, name, source, ZIP_FL_ENC_UTF_8 | ZIP_FL_OVERWRITE) < 0) {
        zip_source_free(source);
        return cannot_write(e);
    }
    return RT_OK;
}

static rt_status put_inspect(struct pipe_export *e, const struct pipe_export_answer *a)
{
    json_t *sample = inspect_sample(e, a);
    e->problems += a->sample == 0;
    if (!sample)
        return no_memory(e);
    if (e->kind == PIPE_EXPORT_INSPECT)
        return json_array_append_new(e->samples, sample) == 0 ? RT_OK : no_memory(e);
    json_t *summary = json_copy(sample);
    json_object_del(summary, "messages");
    json_object_del(summary, "output");
    char *name =
        rt_format(e->ctx, "samples/%s_epoch_%u.json", a->problem_id, a->sample + 1);
    rt_status st = name && json_array_append_new(e->summaries, summary) == 0
                       ? put_entry(e, name, sample)
                       : no_memory(e);
    rt_free(name);
    return st;
}

/* ---- the whole ---- */

rt_status pipe_export_open(struct rt_ctx *ctx, const char *path,
                           enum pipe_export_kind kind,
                           const struct pipe_export_head *head, struct pipe_export **out)
{
    rt_status st;
    int code = 0;
    *out = NULL;
    struct pipe_export *e = rt_alloc(ctx, 1, sizeof *e);
    if (!e)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    *e = (struct pipe_export){ .ctx = ctx, .kind = kind, .head = *head };
    e->path = rt_strdup(ctx, path);
    e->samples = json_array();
    e->summaries = json_array();
    if (!e->path || !e->samples || !e->summaries) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
        goto fail;
    }
    if (kind == PIPE_EXPORT_INSPECT_EVAL)
        e->zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    else
        e->file = fopen(path, "w");
    if (!e->zip && !e->file) {
        st = rt_fail(ctx, RT_ERR_IO, "'%s' cannot be written: %s", path,
                     kind == PIPE_EXPORT_INSPECT_EVAL ? "no archive can be made there"
                                                      : strerror(errno));
        goto fail;
    }
    if (kind == PIPE_EXPORT_CSV)
        fputs("id,sample,question,answer,output,finish,extracted,correct,rule,model,"
              "n_gen\n",
              e->file);
    *out = e;
    return RT_OK;

fail:
    pipe_export_destroy(&e);
    return st;
}

rt_status pipe_export_put(struct pipe_export *e, const struct pipe_export_answer *a)
{
    e->answers++;
    e->right += a->correct;
    switch (e->kind) {
    case PIPE_EXPORT_JSONL:
        return put_line(e, own_line(e, a));
    case PIPE_EXPORT_CSV:
        return put_record(e, a);
    case PIPE_EXPORT_LM_EVAL:
        return put_harness(e, a);
    default:
        return put_inspect(e, a);
    }
}

static rt_status end_inspect(struct pipe_export *e)
{
    rt_status st;
    json_t *head = inspect_head(e);
    if (!head)
        return no_memory(e);
    if (e->kind == PIPE_EXPORT_INSPECT) {
        json_object_set(head, "samples", e->samples);
        return put_line(e, head);
    }
    TRY(put_entry(e, "summaries.json", json_incref(e->summaries)));
    TRY(put_entry(e, "header.json", head));
    if (zip_close(e->zip) != 0)
        return cannot_write(e);
    e->zip = NULL;

fail:
    return st;
}

rt_status pipe_export_end(struct pipe_export *e)
{
    rt_status st = RT_OK;
    if (e->kind == PIPE_EXPORT_LM_EVAL)
        TRY(flush_problem(e));
    if (e->kind == PIPE_EXPORT_INSPECT || e->kind == PIPE_EXPORT_INSPECT_EVAL)
        TRY(end_inspect(e));
    if (e->file) {
        const bool bad = ferror(e->file);
        if (fclose(e->file) != 0 || bad) {
            e->file = NULL;
            st = cannot_write(e);
            goto fail;
        }
        e->file = NULL;
    }
    e->ended = true;

fail:
    return st;
}

void pipe_export_destroy(struct pipe_export **pe)
{
    struct pipe_export *e = *pe;
    if (!e)
        return;
    const bool written = e->file || e->zip;
    if (e->file)
        fclose(e->file);
    if (e->zip)
        zip_discard(e->zip);
    if (!e->ended && written)
        remove(e->path);
    json_decref(e->pending);
    json_decref(e->samples);
    json_decref(e->summaries);
    rt_free(e->path);
    rt_free(e);
    *pe = NULL;
}

/* pipeline/run/grade_records.c
 * Reads records of answers, grades each, and sets the verdict in it. */
#include "pipeline/run/grade_records.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"

#include <string.h>

enum { EXTRACTED_MAX = PIPE_ANSWER_MAX };

struct grading {
    struct rt_ctx *ctx;
    const struct pipe_grade_records_options *options;
    struct pipe_grader *grader;
    char *extracted; /* EXTRACTED_MAX bytes */
    struct pipe_grade_records_result *out;
};

/* A text field; null where it is absent or null. A number is refused: 0.10 and 0.1 are one
 * number but two answers. */
static rt_status text_of(struct grading *g, const struct pipe_row *row, const char *key,
                         bool needed, const char **out)
{
    const json_t *value = json_object_get(row->fields, key);
    *out = pipe_json_text(value);
    if (*out || (!needed && (!value || json_is_null(value))))
        return RT_OK;
    return rt_fail(g->ctx, RT_ERR_INPUT, "'%s' %s %u: '%s' is %s; a text is needed",
                   row->file, row->unit, row->at, key, value ? "no text" : "missing");
}

static rt_status style_of(struct grading *g, const struct pipe_row *row,
                          const struct pipe_answer_style **out)
{
    rt_status st;
    const char *name;
    TRY(text_of(g, row, "style", false, &name));
    *out = name ? pipe_answer_style_find(name) : g->options->style;
    if (!*out)
        st = rt_fail(g->ctx, RT_ERR_INPUT,
                     "'%s' %s %u: %s%.40s; there are gsm8k, math, aime, text, "
                     "gsm8k-strict, gsm8k-flexible",
                     row->file, row->unit, row->at,
                     name ? "unknown style " : "a text needs a style (or --style)",
                     name ? name : "");

fail:
    return st;
}

struct record {
    const char *gold, *pred, *text;
    const struct pipe_answer_style *style; /* of text */
    bool prose;                            /* kind text */
    int places;
};

static rt_status read_record(struct grading *g, const struct pipe_row *row,
                             struct record *out)
{
    rt_status st;
    const char *kind;
    *out = (struct record){ .places = -1 };
    TRY(text_of(g, row, "gold", true, &out->gold));
    TRY(text_of(g, row, "text", false, &out->text));
    TRY(text_of(g, row, "pred", !out->text, &out->pred));
    TRY(text_of(g, row, "kind", false, &kind));
    if (out->text)
        TRY(style_of(g, row, &out->style));
    const json_t *precision = json_object_get(row->fields, "precision");
    const json_int_t places = json_integer_value(precision);
    if (precision && !json_is_null(precision)) {
        if (!json_is_integer(precision) || places < 0 || places > 1000)
            return rt_fail(
                g->ctx, RT_ERR_INPUT,
                "'%s' %s %u: 'precision' must be a whole number from 0 to 1000",
                row->file, row->unit, row->at);
        out->places = (int)places;
    }
    out->prose = kind && strcmp(kind, "text") == 0;
    if (kind && !out->prose && strcmp(kind, "answer") != 0)
        st = rt_fail(g->ctx, RT_ERR_INPUT,
                     "'%s' %s %u: unknown kind '%.40s'; there are answer and text",
                     row->file, row->unit, row->at, kind);

fail:
    return st;
}

/* All records are read before the first is graded: a file is graded whole or not at all. */
static rt_status on_check(void *user, const struct pipe_row *row)
{
    struct record record;
    return read_record(user, row, &record);
}

/* Finds the answer in the text, then compares it. *answer is null where there is none. */
static void grade_output(struct grading *g, const struct record *r, json_t *fields,
                         const char **answer, struct pipe_grading *out)
{
    const char *found_by = "";
    const bool any =
        pipe_extract(r->style, r->text, g->extracted, EXTRACTED_MAX, &found_by);
    *out = (struct pipe_grading){ PIPE_VERDICT_DIFFERENT, found_by };
    *answer = any ? g->extracted : NULL;
    if (any && pipe_answer_style_literal(r->style)) {
        if (pipe_literal_equal(r->gold, g->extracted))
            out->verdict = PIPE_VERDICT_EQUAL;
    } else if (any) {
        pipe_grader_answers(g->grader, r->gold, g->extracted, r->places, out);
        json_object_set_new(fields, "compared", json_string(out->rule));
        out->rule = found_by;
    }
}

/* verdict and reason of a record as it is printed */
static void describe(json_t *record, const struct pipe_grading *result,
                     const char *answer, double ms)
{
    static const char *const names[] = { "different", "equal", "undecided" };
    json_object_set_new(record, "correct",
                        json_boolean(result->verdict == PIPE_VERDICT_EQUAL));
    json_object_set_new(record, "extracted", answer ? json_string(answer) : json_null());
    json_object_set_new(record, "rule", json_string(result->rule));
    json_object_set_new(record, "verdict", json_string(names[result->verdict]));
    json_object_set_new(record, "ms", json_real(ms));
}

static rt_status on_record(void *user, const struct pipe_row *row)
{
    struct grading *g = user;
    rt_status st;
    struct record r;
    struct pipe_grading result = { 0 };
    TRY(read_record(g, row, &r));
    const char *answer = r.pred;
    const uint64_t start = rt_time_ns();
    if (r.text)
        grade_output(g, &r, row->fields, &answer, &result);
    else if (r.prose)
        pipe_grader_texts(g->grader, r.gold, r.pred, r.places, &result);
    else
        pipe_grader_answers(g->grader, r.gold, r.pred, r.places, &result);
    describe(row->fields, &result, answer, (double)(rt_time_ns() - start) / 1e6);
    g->out->records++;
    g->out->correct += result.verdict == PIPE_VERDICT_EQUAL;
    g->out->undecided += result.verdict == PIPE_VERDICT_UNDECIDED;
    g->out->unanswered += answer == NULL;
    g->options->fn(g->options->user, row->fields);

fail:
    return st;
}

rt_status pipe_grade_records(struct rt_ctx *ctx, const char *path,
                             const struct pipe_grade_records_options *options,
                             struct pipe_grade_records_result *out)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    struct grading g = { .ctx = ctx, .options = options, .out = out };
    *out = (struct pipe_grade_records_result){ 0 };
    g.extracted = rt_alloc(ctx, EXTRACTED_MAX, 1);
    if (!g.extracted)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory");
    TRY(pipe_grader_create(ctx, options->policies, &g.grader));
    TRY(pipe_data_file_read(ctx, path, &file));
    const struct pipe_rows_text text = { path, file.text, file.size };
    TRY(pipe_rows_json(ctx, &text, on_check, &g));
    TRY(pipe_rows_json(ctx, &text, on_record, &g));

fail:
    pipe_data_file_deinit(&file);
    pipe_grader_destroy(&g.grader);
    rt_free(g.extracted);
    return st;
}

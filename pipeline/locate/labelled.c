/* pipeline/locate/labelled.c
 * Readers of labelled solutions: one table row per format, one function that needs more than
 * names of fields. */
#include "pipeline/locate/labelled.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "pipeline/prompt/step_split.h"
#include "runtime/base/text_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_BYTES_MAX = 1 << 20 };

struct reading {
    struct rt_ctx *ctx;
    const struct format *format;
    struct pipe_labelled_set *out;
    uint32_t room;
    struct pipe_text_set problems;
    const struct pipe_row *row;
};

/* What a format names its fields, and how it tells the fault. */
struct format {
    const char *name;
    const char *question, *steps, *id, *kind; /* fields; id and kind may be null */
    const char *answer; /* field of the right final answer, which may lack; null: none */
    rt_status (*label)(struct reading *r, struct pipe_labelled *item);
};

static rt_status no_memory(struct reading *r)
{
    return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "labelled solutions: no memory");
}

static rt_status bad(struct reading *r, const char *field, const char *need)
{
    return rt_fail(r->ctx, RT_ERR_INPUT, "'%s' %s %u: '%s' must be %s (format %s)",
                   r->row->file, r->row->unit, r->row->at, field, need, r->format->name);
}

static const char *optional(const struct reading *r, const char *field)
{
    const char *text =
        field ? pipe_json_text(json_object_get(r->row->fields, field)) : NULL;
    return text ? text : "";
}

/* ---- labels ---- */

static rt_status label_processbench(struct reading *r, struct pipe_labelled *item)
{
    const json_t *label = json_object_get(r->row->fields, "label");
    const json_t *right = json_object_get(r->row->fields, "final_answer_correct");
    if (!json_is_integer(label) || json_integer_value(label) < -1 ||
        json_integer_value(label) >= item->step_count)
        return bad(r, "label", "-1 or the number of a step, from 0");
    item->label = (int32_t)json_integer_value(label);
    if (right && !json_is_boolean(right))
        return bad(r, "final_answer_correct", "true or false");
    if (right)
        item->final = json_is_true(right) ? PIPE_FINAL_RIGHT : PIPE_FINAL_WRONG;
    return RT_OK;
}

static rt_status label_mistake(struct reading *r, struct pipe_labelled *item)
{
    const json_t *label = json_object_get(r->row->fields, "mistake_index");
    const char *answer = optional(r, "answer"), *target = optional(r, "target");
    item->label = -1;
    if (json_is_integer(label) && json_integer_value(label) >= 0 &&
        json_integer_value(label) < item->step_count)
        item->label = (int32_t)json_integer_value(label);
    else if (!json_is_null(label))
        return bad(r, "mistake_index", "null or the number of a step, from 0");
    item->final = strcmp(answer, target) == 0 ? PIPE_FINAL_RIGHT : PIPE_FINAL_WRONG;
    return RT_OK;
}

static rt_status label_mr_ben(struct reading *r, struct pipe_labelled *item)
{
    const char *label = optional(r, "Model_Solution_First_Error_Step");
    char *end;
    item->label = -1;
    if (strcmp(label, "N/A") == 0)
        return RT_OK;
    const long step = strtol(label, &end, 10);
    if (end == label || *end || step < 1 || step > (long)item->step_count)
        return bad(r, "Model_Solution_First_Error_Step",
                   "\"N/A\" or the number of a step, from 1");
    item->label = (int32_t)step - 1;
    return RT_OK;
}

static rt_status label_prmbench(struct reading *r, struct pipe_labelled *item)
{
    const json_t *all = json_object_get(r->row->fields, "error_steps"), *one;
    size_t i;
    item->label = -1;
    if (!json_is_array(all))
        return bad(r, "error_steps", "a list of step numbers, from 1");
    json_array_foreach(all, i, one)
    {
        const json_int_t step = json_integer_value(one);
        if (!json_is_integer(one))
            return bad(r, "error_steps", "a list of step numbers, from 1");
        if (step < 1 || step > item->step_count)
            continue; /* the published file has some beyond the end */
        if (item->label < 0 || step - 1 < item->label)
            item->label = (int32_t)step - 1;
    }
    return RT_OK;
}

static rt_status label_none(struct reading *r, struct pipe_labelled *item)
{
    (void)r;
    item->label = -1;
    item->final = PIPE_FINAL_RIGHT;
    return RT_OK;
}

/* A reference solution ends with "#### " and the right answer. */
static rt_status label_gsm8k(struct reading *r, struct pipe_labelled *item)
{
    const char *mark = strstr(item->text, "####");
    item->label = -1;
    item->final = PIPE_FINAL_RIGHT;
    if (!mark)
        return RT_OK;
    mark += strlen("####") + strspn(mark + strlen("####"), " ");
    item->answer = pipe_pool_copy(r->ctx, &r->out->pool, mark, strcspn(mark, "\r\n"));
    return item->answer ? RT_OK : no_memory(r);
}

static const struct format formats[] = {
    { "processbench", "problem", "steps", "id", "generator", "answer",
      label_processbench },
    { "bigbench-mistake", "input", "steps", NULL, NULL, NULL, label_mistake },
    { "mr-ben", "Question", "Model_Solution_Steps", NULL, "Sampled_Model", NULL,
      label_mr_ben },
    { "prmbench", "modified_question", "modified_process", "idx", "classification", NULL,
      label_prmbench },
    { "prmbench-original", "original_question", "original_process", "idx", NULL, NULL,
      label_none },
    { "gsm8k", "question", "answer", NULL, NULL, NULL, label_gsm8k },
};

static const struct format *format_named(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

rt_status pipe_labelled_check_format(struct rt_ctx *ctx, const char *format)
{
    char names[160];
    size_t n = 0;
    if (format_named(format))
        return RT_OK;
    for (size_t i = 0; i < RT_COUNT(formats) && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "",
                              formats[i].name);
    return rt_fail(ctx, RT_ERR_USAGE,
                   "no labelled data have the format '%.40s'; there are %s", format,
                   names);
}

/* ---- steps ---- */

/* A text is cut into lines and sentences; a list has one step per item. */
static rt_status read_steps(struct reading *r, struct pipe_labelled *item)
{
    const json_t *steps = json_object_get(r->row->fields, r->format->steps);
    const char *whole = pipe_json_text(steps);
    const size_t n = whole ? 0 : json_array_size(steps);
    size_t size = whole ? strlen(whole) : 0;
    if ((!whole && n == 0) || n > PIPE_STEPS_MAX)
        return bad(r, r->format->steps, "a list of 1 to 256 texts");
    for (size_t i = 0; i < n; i++) {
        const char *text = pipe_json_text(json_array_get(steps, i));
        if (!text || (size += strlen(text) + 2) > STEP_BYTES_MAX)
            return bad(r, r->format->steps, "a list of texts of at most 1 MB in all");
    }
    char *text = pipe_pool_take(r->ctx, &r->out->pool, size + 1, 1);
    struct pipe_step *out =
        pipe_pool_take(r->ctx, &r->out->pool, PIPE_STEPS_MAX, sizeof *out);
    if (!text || !out)
        return no_memory(r);
    item->text = text;
    item->steps = out;
    if (whole) {
        memcpy(text, whole, size);
        item->step_count = pipe_split_lines(text, out, PIPE_STEPS_MAX);
        return item->step_count ? RT_OK : bad(r, r->format->steps, "a text");
    }
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const char *one = pipe_json_text(json_array_get(steps, i));
        const uint32_t start = at;
        memcpy(text + at, one, strlen(one));
        at += (uint32_t)strlen(one);
        memcpy(text + at, "\n\n", 2);
        at += 2;
        out[i] = (struct pipe_step){ .char_start = start, .char_end = at };
    }
    item->step_count = (uint32_t)n;
    return RT_OK;
}

/* ---- records ---- */

static rt_status grow(struct reading *r)
{
    if (r->out->count < r->room)
        return RT_OK;
    const uint32_t room = r->room ? 2 * r->room : 256;
    void *more = rt_resize(r->ctx, r->out->items, r->room, room, sizeof *r->out->items);
    if (!more)
        return no_memory(r);
    r->out->items = more;
    r->room = room;
    return RT_OK;
}

static const char *keep(struct reading *r, const char *text)
{
    return pipe_pool_copy(r->ctx, &r->out->pool, text, strlen(text));
}

static rt_status take_row(void *user, const struct pipe_row *row)
{
    rt_status st;
    struct reading *r = user;
    struct pipe_labelled item = { .label = -1 };
    bool is_new;
    r->row = row;
    const char *question =
        pipe_json_text(json_object_get(row->fields, r->format->question));
    if (!question || !*question)
        return bad(r, r->format->question, "a text");
    TRY(grow(r));
    TRY(read_steps(r, &item));
    item.question = keep(r, question);
    item.id = keep(r, optional(r, r->format->id));
    item.kind = keep(r, optional(r, r->format->kind));
    item.answer = keep(r, optional(r, r->format->answer));
    if (!item.question || !item.id || !item.kind || !item.answer)
        return no_memory(r);
    TRY(r->format->label(r, &item));
    const uint32_t next = r->problems.count;
    TRY(pipe_text_set_add(r->ctx, &r->problems, item.question, next, &is_new,
                          &item.problem));
    if (is_new)
        item.problem = next;
    r->out->items[r->out->count++] = item;
    return RT_OK;

fail:
    return st;
}

rt_status pipe_labelled_parse(struct rt_ctx *ctx, const char *format, const char *name,
                              const char *text, size_t size,
                              struct pipe_labelled_set *out)
{
    rt_status st;
    struct reading r = { .ctx = ctx, .out = out, .format = format_named(format) };
    const struct pipe_rows_text in = { .name = name, .text = text, .size = size };
    *out = (struct pipe_labelled_set){ 0 };
    TRY(pipe_labelled_check_format(ctx, format));
    TRY(pipe_rows_json(ctx, &in, take_row, &r));
    if (out->count == 0)
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' has no record", name);
    out->problems = r.problems.count;

fail:
    pipe_text_set_deinit(&r.problems);
    if (st != RT_OK)
        pipe_labelled_deinit(out);
    return st;
}

rt_status pipe_labelled_read(struct rt_ctx *ctx, const char *format, const char *path,
                             struct pipe_labelled_set *out)
{
    struct pipe_data_file file = { 0 };
    *out = (struct pipe_labelled_set){ 0 };
    rt_status st = pipe_data_file_read(ctx, path, &file);
    if (st == RT_OK)
        st = pipe_labelled_parse(ctx, format, path, file.text, file.size, out);
    pipe_data_file_deinit(&file);
    return st;
}

void pipe_labelled_deinit(struct pipe_labelled_set *set)
{
    rt_free(set->items);
    pipe_pool_deinit(&set->pool);
    *set = (struct pipe_labelled_set){ 0 };
}

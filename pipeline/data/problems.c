/* pipeline/data/problems.c
 * Reads and writes lists of problems as JSON, and finds questions that two lists
 * share. */
#include "pipeline/data/problems.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "pipeline/data/data_spec.h"
#include "pipeline/data/text_weights.h"
#include "runtime/base/text_set.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/sha256.h"

#include <jansson.h>
#include <string.h>

/* What a reader is at, for messages, and where it puts things. */
struct reader {
    struct rt_ctx *ctx;
    struct pipe_problem_set *set;
    const char *name, *unit;  /* of the file; "line" or "item" */
    uint32_t line;            /* or item, from 1 */
    uint32_t from, to, seen;  /* range wanted; problems seen so far */
    uint32_t capacity;        /* of set->items */
    struct pipe_text_set ids; /* id -> line */
};

static rt_status no_memory(struct reader *r)
{
    return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory at %s %u", r->name,
                   r->unit, r->line);
}

static rt_status bad_field(struct reader *r, const char *key, const char *why)
{
    return rt_fail(r->ctx, RT_ERR_INPUT,
                   "'%s' %s %u: field '%s' %s; every %s is one JSON problem with id, "
                   "question and answer",
                   r->name, r->unit, r->line, key, why, r->unit);
}

static bool is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", text[i]) || text[i] == '\0')
            return false;
    return true;
}

/* A text field. Missing or null: null if optional. */
static rt_status read_text(struct reader *r, const json_t *object, const char *key,
                           bool required, const char **out)
{
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    if (!value || json_is_null(value))
        return required ? bad_field(r, key, "is missing") : RT_OK;
    if (fmt_json_odd(value))
        return bad_field(
            r, key, pipe_json_digits(value) ? "must be text" : "is NaN or an infinity");
    if (!json_is_string(value))
        return bad_field(r, key, "must be text");
    const size_t size = json_string_length(value);
    if (required && is_blank(json_string_value(value), size))
        return bad_field(r, key, "is empty");
    *out = pipe_pool_copy(r->ctx, &r->set->pool, json_string_value(value), size);
    return *out ? RT_OK : no_memory(r);
}

static rt_status read_answer(struct reader *r, const json_t *object, const char **out)
{
    const json_t *value = json_object_get(object, "answer");
    const char *digits = pipe_json_digits(value);
    if (!json_is_integer(value) && !digits)
        return read_text(r, object, "answer", true, out);
    if (digits)
        *out = pipe_pool_copy(r->ctx, &r->set->pool, digits, strlen(digits));
    else
        *out = pipe_pool_format(r->ctx, &r->set->pool, "%lld",
                                (long long)json_integer_value(value));
    return *out ? RT_OK : no_memory(r);
}

static rt_status read_steps(struct reader *r, const json_t *object,
                            struct pipe_problem *p)
{
    rt_status st;
    const json_t *steps = json_object_get(object, "steps");
    if (!steps || json_is_null(steps))
        return RT_OK;
    if (!json_is_array(steps))
        return bad_field(r, "steps", "must be a list");
    const size_t count = json_array_size(steps);
    struct pipe_gold_step *gold =
        pipe_pool_take(r->ctx, &r->set->pool, count, sizeof *gold);
    if (!gold)
        return no_memory(r);
    for (size_t i = 0; i < count; i++) {
        const json_t *step = json_array_get(steps, i);
        const json_t *value = json_object_get(step, "value");
        if (!json_is_integer(value))
            return bad_field(r, "steps", "needs a whole-number 'value' in every step");
        gold[i].value = json_integer_value(value);
        TRY(read_text(r, step, "label", true, &gold[i].label));
        TRY(read_text(r, step, "expr", true, &gold[i].expr));
    }
    p->program = count ? gold : NULL;
    p->program_count = (uint32_t)count;
    return RT_OK;

fail:
    return st;
}

/* Joins the texts of "skills" with '+'; falls back to "subject". */
static rt_status read_subject(struct reader *r, const json_t *object,
                              struct pipe_problem *p)
{
    const json_t *skills = json_object_get(object, "skills");
    if (!skills || json_is_null(skills))
        return read_text(r, object, "subject", false, &p->subject);
    if (!json_is_array(skills))
        return bad_field(r, "skills", "must be a list of texts");
    size_t length = 0;
    for (size_t i = 0; i < json_array_size(skills); i++) {
        if (!pipe_json_text(json_array_get(skills, i)))
            return bad_field(r, "skills", "must be a list of texts");
        length += json_string_length(json_array_get(skills, i)) + 1;
    }
    if (length == 0)
        return RT_OK;
    char *joined = pipe_pool_take(r->ctx, &r->set->pool, length, 1);
    if (!joined)
        return no_memory(r);
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(skills); i++) {
        const json_t *skill = json_array_get(skills, i);
        if (i)
            joined[at++] = '+';
        memcpy(joined + at, json_string_value(skill), json_string_length(skill));
        at += json_string_length(skill);
    }
    p->subject = joined;
    return RT_OK;
}

static rt_status read_problem(struct reader *r, const struct pipe_row *row,
                              struct pipe_problem *p)
{
    rt_status st;
    const json_t *object = row->fields;
    *p = (struct pipe_problem){ 0 };
    TRY(read_text(r, object, "id", true, &p->id));
    TRY(read_text(r, object, "question", true, &p->question));
    TRY(read_answer(r, object, &p->answer));
    TRY(read_text(r, object, "solution", false, &p->reference));
    TRY(read_text(r, object, "level", false, &p->level));
    TRY(read_steps(r, object, p));
    TRY(read_subject(r, object, p));
    TRY(pipe_text_weights_read(r->ctx, &r->set->pool, row, p->reference, &p->weights));
    if (!p->level && p->program_count) {
        p->level = pipe_pool_format(r->ctx, &r->set->pool, "%u", p->program_count);
        if (!p->level)
            return no_memory(r);
    }
    bool is_new = false;
    uint32_t line = 0;
    TRY(pipe_text_set_add(r->ctx, &r->ids, p->id, r->line, &is_new, &line));
    if (!is_new)
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s' %s %u: id '%s' was used in %s %u; ids must be unique",
                       r->name, r->unit, r->line, p->id, r->unit, line);
    return RT_OK;

fail:
    return st;
}

static rt_status make_room(struct reader *r)
{
    if (r->set->count < r->capacity)
        return RT_OK;
    const uint32_t capacity = r->capacity ? r->capacity * 2 : 256;
    struct pipe_problem *items =
        rt_resize(r->ctx, r->set->items, r->set->count, capacity, sizeof *items);
    if (!items)
        return no_memory(r);
    r->set->items = items;
    r->capacity = capacity;
    return RT_OK;
}

static rt_status on_row(void *user, const struct pipe_row *row)
{
    rt_status st;
    struct reader *r = user;
    struct pipe_problem problem;
    r->unit = row->unit;
    r->line = row->at;
    TRY(read_problem(r, row, &problem));
    if (r->seen >= r->from && r->seen < r->to) {
        TRY(make_room(r));
        r->set->items[r->set->count++] = problem;
    }
    r->seen++;

fail:
    return st;
}

static rt_status read_all(struct reader *r, const struct pipe_data_file *file)
{
    const struct pipe_rows_text text = { r->name, file->text, file->size };
    const rt_status st = pipe_rows_json(r->ctx, &text, on_row, r);
    if (st != RT_OK)
        return st;
    if (r->seen == 0)
        return rt_fail(r->ctx, RT_ERR_INPUT, "'%s' holds no problem", r->name);
    if (r->from >= r->seen || (r->to != UINT32_MAX && r->to > r->seen))
        return rt_fail(r->ctx, RT_ERR_USAGE,
                       "'%s': the range reaches beyond its %u problems", r->name,
                       r->seen);
    return RT_OK;
}

rt_status pipe_problems_parse(struct rt_ctx *ctx, const char *name, const char *text,
                              size_t size, uint32_t from, uint32_t to,
                              struct pipe_problem_set *out)
{
    rt_status st;
    *out = (struct pipe_problem_set){ 0 };
    struct pipe_data_file file = { 0 };
    struct reader r = {
        .ctx = ctx, .set = out, .name = name, .unit = "line", .from = from, .to = to
    };
    out->name = pipe_pool_copy(ctx, &out->pool, name, strlen(name));
    if (!out->name) {
        st = no_memory(&r);
        goto fail;
    }
    TRY(pipe_data_file_parse(ctx, name, text, size, &file));
    TRY(read_all(&r, &file));
    TRY(pipe_problems_rehash(ctx, out));

fail:
    pipe_data_file_deinit(&file);
    pipe_text_set_deinit(&r.ids);
    if (st != RT_OK)
        pipe_problems_deinit(out);
    return st;
}

rt_status pipe_problems_read(struct rt_ctx *ctx, const char *spec,
                             struct pipe_problem_set *out)
{
    rt_status st;
    *out = (struct pipe_problem_set){ 0 };
    struct fmt_map map = { 0 };
    char path[4200];
    uint32_t from, to;
    TRY(pipe_spec_split(ctx, spec, path, sizeof path, &from, &to));
    TRY(fmt_map_open(ctx, path, &map));
    TRY(pipe_problems_parse(ctx, spec, (const char *)map.data, (size_t)map.size, from, to,
                            out));
    st = RT_OK;

fail:
    fmt_map_close(&map);
    return st;
}

void pipe_problems_deinit(struct pipe_problem_set *set)
{
    rt_free(set->items);
    pipe_pool_deinit(&set->pool);
    *set = (struct pipe_problem_set){ 0 };
}

static json_t *steps_json(const struct pipe_problem *p)
{
    json_t *steps = json_array();
    for (uint32_t i = 0; steps && i < p->program_count; i++)
        json_array_append_new(steps,
                              json_pack("{s:s, s:s, s:I}", "label", p->program[i].label,
                                        "expr", p->program[i].expr, "value",
                                        (json_int_t)p->program[i].value));
    return steps;
}

static json_t *skills_json(const char *subject)
{
    json_t *skills = json_array();
    while (skills && subject && *subject) {
        const size_t length = strcspn(subject, "+");
        json_array_append_new(skills, json_stringn(subject, length));
        subject += length + (subject[length] == '+');
    }
    return skills;
}

static rt_status write_problem(struct rt_ctx *ctx, const struct pipe_problem *p,
                               FILE *file)
{
    char steps[16];
    snprintf(steps, sizeof steps, "%u", p->program_count);
    json_t *object = json_pack("{s:s, s:s}", "id", p->id, "question", p->question);
    bool good = object != NULL;
    if (p->reference)
        good =
            good && !json_object_set_new(object, "solution", json_string(p->reference));
    good = good && !json_object_set_new(object, "answer", json_string(p->answer));
    if (p->program_count)
        good = good && !json_object_set_new(object, "steps", steps_json(p));
    if (p->subject)
        good = good && !json_object_set_new(object, "skills", skills_json(p->subject));
    if (p->level && strcmp(p->level, steps) != 0)
        good = good && !json_object_set_new(object, "level", json_string(p->level));
    rt_status st = RT_OK;
    if (!good)
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "problem '%s' cannot be written as JSON",
                     p->id);
    else if (json_dumpf(object, file, 0) != 0 || fputc('\n', file) == EOF)
        st = rt_fail(ctx, RT_ERR_IO, "problem '%s': writing failed (disk full?)", p->id);
    json_decref(object);
    return st;
}

rt_status pipe_problems_write(struct rt_ctx *ctx, const struct pipe_problem_set *set,
                              FILE *file)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const rt_status st = write_problem(ctx, &set->items[i], file);
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

rt_status pipe_problems_save(struct rt_ctx *ctx, const struct pipe_problem_set *set,
                             const char *path)
{
    rt_status st;
    struct fmt_text text = { 0 };
    TRY(fmt_text_open(ctx, &text));
    TRY(pipe_problems_write(ctx, set, text.file));
    TRY(fmt_text_save(ctx, &text, path));

fail:
    fmt_text_close(&text);
    return st;
}

/* The normal forms of all questions, in order; null without memory. */
static const char **normal_forms(struct rt_ctx *ctx, const struct pipe_problem_set *set,
                                 struct pipe_pool *pool)
{
    const char **forms = pipe_pool_take(ctx, pool, set->count, sizeof *forms);
    for (uint32_t i = 0; forms && i < set->count; i++) {
        const char *question = set->items[i].question;
        char *form = pipe_pool_take(ctx, pool, strlen(question) + 1, 1);
        if (!form)
            return NULL;
        pipe_text_normalise(question, form);
        forms[i] = form;
    }
    return forms;
}

rt_status pipe_problems_rehash(struct rt_ctx *ctx, struct pipe_problem_set *set)
{
    struct pipe_pool scratch = { 0 };
    const char **forms = normal_forms(ctx, set, &scratch);
    if (!forms) {
        pipe_pool_deinit(&scratch);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to hash %u problems",
                       set->count);
    }
    struct sha256 s;
    sha256_init(&s);
    for (uint32_t i = 0; i < set->count; i++) {
        sha256_add_text(&s, set->items[i].id);
        sha256_add_text(&s, forms[i]);
        sha256_add_text(&s, set->items[i].answer);
    }
    char hex[65];
    sha256_end_hex(&s, hex);
    snprintf(set->hash, sizeof set->hash, "sha256:%s", hex);
    pipe_pool_deinit(&scratch);
    return RT_OK;
}

/* Whether an id is one of a data set, as in "gsm8k/test/17": it then says what it is of,
 * wherever it stands. */
static bool of_data_set(const char *id)
{
    const size_t first = strcspn(id, "/");
    const size_t second = id[first] ? strcspn(id + first + 1, "/") : 0;
    return first && second && id[first + 1 + second] && id[first + second + 2];
}

rt_status pipe_problems_leak(struct rt_ctx *ctx, const struct pipe_problem_set *a,
                             const struct pipe_problem_set *b, struct pipe_leak *out)
{
    rt_status st;
    *out = (struct pipe_leak){ 0 };
    struct pipe_pool scratch = { 0 };
    struct pipe_text_set known = { 0 }, ids = { 0 };
    const char **of_a = normal_forms(ctx, a, &scratch);
    const char **of_b = normal_forms(ctx, b, &scratch);
    if (!of_a || !of_b) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to compare %u problems with %u",
                     a->count, b->count);
        goto fail;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        bool is_new;
        TRY(pipe_text_set_add(ctx, &known, of_b[i], i, &is_new, NULL));
        if (of_data_set(b->items[i].id))
            TRY(pipe_text_set_add(ctx, &ids, b->items[i].id, i, &is_new, NULL));
    }
    for (uint32_t i = 0; i < a->count; i++) {
        uint32_t at;
        if (!pipe_text_set_find(&known, of_a[i], &at) &&
            !pipe_text_set_find(&ids, a->items[i].id, &at))
            continue;
        if (out->count++ == 0) {
            out->a = i;
            out->b = at;
        }
    }
    st = RT_OK;

fail:
    pipe_text_set_deinit(&known);
    pipe_text_set_deinit(&ids);
    pipe_pool_deinit(&scratch);
    return st;
}

const struct pipe_problem *pipe_problems_find(const struct pipe_problem_set *set,
                                              const char *id)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i].id, id) == 0)
            return &set->items[i];
    return NULL;
}

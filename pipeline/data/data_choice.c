/* pipeline/data/data_choice.c
 * Reads multiple-choice questions from CSV as MMLU publishes them. */
#include "pipeline/data/data_choice.h"

#include "pipeline/data/data_rows.h"

#include <assert.h>
#include <string.h>

struct choosing {
    struct rt_ctx *ctx;
    const char *name;
    struct pipe_problem_set *set;
    uint32_t capacity;
};

static rt_status no_memory(const struct choosing *c)
{
    return rt_fail(c->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", c->name);
}

static rt_status bad(const struct choosing *c, const struct pipe_row *row,
                     const char *why)
{
    return rt_fail(c->ctx, RT_ERR_INPUT, "'%s' line %u: %s", row->file, row->at, why);
}

static const char *field(const struct pipe_row *row, size_t i)
{
    return json_string_value(json_array_get(row->fields, i));
}

/* The question and a line for each choice. */
static const char *question_of(struct choosing *c, const struct pipe_row *row,
                               size_t choices)
{
    const char *text = field(row, 0);
    for (size_t i = 1; text && i <= choices; i++)
        text = pipe_pool_format(c->ctx, &c->set->pool, "%s\n%c. %s", text,
                                'A' + (int)i - 1, field(row, i));
    return text;
}

static rt_status take(void *user, const struct pipe_row *row)
{
    struct choosing *c = user;
    struct pipe_problem_set *set = c->set;
    const size_t fields = json_array_size(row->fields);
    const size_t choices = fields >= 2 ? fields - 2 : 0;
    const char *answer = fields ? field(row, fields - 1) : "";
    if (row->at == 1 && strcmp(answer, "answer") == 0)
        return RT_OK;
    if (choices < 2 || choices > PIPE_CHOICES_MAX)
        return bad(c, row,
                   "a question, 2 to 10 choices and the letter of the right one are "
                   "needed");
    if (answer[0] < 'A' || answer[0] >= 'A' + (int)choices || answer[1])
        return bad(c, row, "the last field is not the letter of a choice");
    if (set->count == c->capacity) {
        const uint32_t more = c->capacity ? 2 * c->capacity : 256;
        void *grown =
            rt_resize(c->ctx, set->items, c->capacity, more, sizeof *set->items);
        if (!grown)
            return no_memory(c);
        set->items = grown;
        c->capacity = more;
    }
    assert(set->count < c->capacity);
    struct pipe_problem *p = &set->items[set->count];
    p->id = pipe_pool_format(c->ctx, &set->pool, "%s/%u", c->name, set->count);
    p->question = question_of(c, row, choices);
    p->answer = pipe_pool_copy(c->ctx, &set->pool, answer, 1);
    p->level = pipe_pool_format(c->ctx, &set->pool, "%zu", choices);
    set->count++;
    return p->id && p->question && p->answer && p->level ? RT_OK : no_memory(c);
}

rt_status pipe_choice_parse(struct rt_ctx *ctx, const char *path, const char *name,
                            const char *text, size_t size, struct pipe_problem_set *out)
{
    rt_status st;
    struct choosing c = { .ctx = ctx, .name = name, .set = out };
    const struct pipe_rows_text in = { path, text, size };
    *out = (struct pipe_problem_set){ 0 };
    TRY(pipe_rows_csv_plain(ctx, &in, take, &c));
    if (out->count == 0) {
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' holds no question", path);
        goto fail;
    }
    out->name = pipe_pool_copy(ctx, &out->pool, name, strlen(name));
    TRY(out->name ? RT_OK : no_memory(&c));
    return RT_OK;

fail:
    pipe_problems_deinit(out);
    return st;
}

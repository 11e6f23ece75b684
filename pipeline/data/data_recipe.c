/* pipeline/data/data_recipe.c
 * The tables of data formats and published benchmarks, and the step from a row of a
 * file to a problem. */
#include "pipeline/data/data_recipe.h"

#include "pipeline/data/data_rows.h"
#include "runtime/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct pipe_recipe pipe_recipes[] = {
#define RECIPE(name, container, question, more, answer, rule, solution, id, subject, \
               level)                                                                \
    { name,     PIPE_CONTAINER_##container,                                          \
      question, more,                                                                \
      answer,   PIPE_GOLD_##rule,                                                    \
      solution, id,                                                                  \
      subject,  level },
#include "pipeline/data/benchmarks.def"
    { .name = NULL },
};

const struct pipe_benchmark pipe_benchmarks[] = {
#define BENCHMARK(name, split, use, recipe, count, content, licence, origin) \
    { name, split, PIPE_DATA_##use, recipe, count, content, licence, origin },
#include "pipeline/data/benchmarks.def"
    { .name = NULL },
};

const struct pipe_benchmark_file pipe_benchmark_files[] = {
#define BENCHMARK_FILE(name, split, file, hash) { name, split, file, hash },
#include "pipeline/data/benchmarks.def"
    { .name = NULL },
};

const struct pipe_recipe *pipe_recipe_find(const char *name)
{
    for (const struct pipe_recipe *r = pipe_recipes; r->name; r++)
        if (strcmp(r->name, name) == 0)
            return r;
    return NULL;
}

const struct pipe_benchmark *pipe_benchmark_find(const char *name, const char *split)
{
    for (const struct pipe_benchmark *b = pipe_benchmarks; b->name; b++)
        if (strcmp(b->name, name) == 0 && (!split || strcmp(b->split, split) == 0))
            return b;
    return NULL;
}

const char *pipe_data_id(struct rt_ctx *ctx, struct pipe_pool *pool, const char *name,
                         const char *split, const char *own, uint32_t place)
{
    if (!own)
        return pipe_pool_format(ctx, pool, "%s/%s/%u", name, split, place);
    const size_t skip = strlen(split);
    if (strncmp(own, split, skip) == 0 && own[skip] == '/' && own[skip + 1])
        own += skip + 1;
    size_t length = strlen(own);
    if (length > 5 && strcmp(own + length - 5, ".json") == 0)
        length -= 5;
    return pipe_pool_format(ctx, pool, "%s/%s/%.*s", name, split, (int)length, own);
}

struct reading {
    struct rt_ctx *ctx;
    struct pipe_pool *pool;
    const struct pipe_row *row;
};

static rt_status bad_field(const struct reading *r, const char *key, const char *why)
{
    return rt_fail(r->ctx, RT_ERR_INPUT, "'%s' %s %u: field '%s' %s", r->row->file,
                   r->row->unit, r->row->at, key, why);
}

static rt_status no_memory(const struct reading *r)
{
    return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "'%s' %s %u: no memory", r->row->file,
                   r->row->unit, r->row->at);
}

/* The shortest decimal that is this double; a whole number without ".0". */
static const char *number_text(const struct reading *r, double value)
{
    char text[40];
    if (fabs(value) < 1e15 && value == floor(value))
        return pipe_pool_format(r->ctx, r->pool, "%.0f", value + 0.0);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return pipe_pool_copy(r->ctx, r->pool, text, strlen(text));
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* Text of a field; *out is null if an optional one is missing, null or blank. */
static rt_status read_field(const struct reading *r, const char *key, bool required,
                            const char **out)
{
    *out = NULL;
    const json_t *value = *key ? json_object_get(r->row->fields, key) : NULL;
    if (!value || json_is_null(value))
        return required ? bad_field(r, key, "is missing") : RT_OK;
    const char *digits = pipe_json_digits(value);
    if (digits) {
        *out = pipe_pool_copy(r->ctx, r->pool, digits, strlen(digits));
    } else if (fmt_json_odd(value)) {
        return bad_field(r, key, "is NaN or an infinity; it must be text or a number");
    } else if (json_is_string(value)) {
        if (is_blank(json_string_value(value)))
            return required ? bad_field(r, key, "is empty") : RT_OK;
        *out = pipe_pool_copy(r->ctx, r->pool, json_string_value(value),
                              json_string_length(value));
    } else if (json_is_integer(value)) {
        *out = pipe_pool_format(r->ctx, r->pool, "%lld",
                                (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        *out = number_text(r, json_real_value(value));
    } else {
        return bad_field(r, key, "must be text or a number");
    }
    return *out ? RT_OK : no_memory(r);
}

/* Without the spaces at its ends, which one publisher's file has and another's has not. */
static const char *trimmed(const struct reading *r, const char *text)
{
    text += strspn(text, " \t\r\n");
    size_t length = strlen(text);
    while (length && strchr(" \t\r\n", text[length - 1]))
        length--;
    return pipe_pool_copy(r->ctx, r->pool, text, length);
}

static rt_status read_question(const struct reading *r, const struct pipe_recipe *recipe,
                               const char **out)
{
    rt_status st;
    const char *first, *more = NULL;
    TRY(read_field(r, recipe->question, true, &first));
    *out = trimmed(r, first);
    if (*recipe->more)
        TRY(read_field(r, recipe->more, true, &more));
    more = more ? trimmed(r, more) : NULL;
    if (*out && *recipe->more)
        *out = more ? pipe_pool_format(r->ctx, r->pool, "%s %s", *out, more) : NULL;
    return *out ? RT_OK : no_memory(r);

fail:
    return st;
}

static rt_status read_gold(const struct reading *r, const struct pipe_recipe *recipe,
                           const char **out)
{
    static const char *const missing[] = {
        [PIPE_GOLD_PLAIN] = "is empty",
        [PIPE_GOLD_HASHES] = "has no answer after a last '####'",
        [PIPE_GOLD_BOXED] = "has no \\boxed{} answer whose braces balance",
        [PIPE_GOLD_UNIT] = "has no answer outside of brackets",
    };
    const char *text;
    const rt_status st = read_field(r, recipe->answer, true, &text);
    if (st != RT_OK)
        return st;
    char *gold = pipe_pool_take(r->ctx, r->pool, strlen(text) + 1, 1);
    if (!gold)
        return no_memory(r);
    if (!pipe_gold_extract(recipe->rule, text, gold))
        return bad_field(r, recipe->answer, missing[recipe->rule]);
    *out = gold;
    return RT_OK;
}

rt_status pipe_recipe_apply(struct rt_ctx *ctx, struct pipe_pool *pool,
                            const struct pipe_recipe *recipe, const struct pipe_row *row,
                            struct pipe_problem *out, const char **own_id)
{
    rt_status st;
    const struct reading r = { ctx, pool, row };
    *out = (struct pipe_problem){ 0 };
    TRY(read_question(&r, recipe, &out->question));
    TRY(read_gold(&r, recipe, &out->answer));
    TRY(read_field(&r, recipe->solution, false, &out->reference));
    TRY(read_field(&r, recipe->subject, false, &out->subject));
    TRY(read_field(&r, recipe->level, false, &out->level));
    TRY(read_field(&r, recipe->id, false, own_id));
    return RT_OK;

fail:
    return st;
}

#include "tests/support/demo_answers.h"

#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

void test_problems(struct rt_ctx *ctx, const char *name, struct pipe_problem_set *set)
{
    char path[1024], relative[128];
    snprintf(relative, sizeof relative, "pipeline/demo/%s", name);
    test_path(path, sizeof path, relative);
    if (pipe_problems_read(ctx, path, set) != RT_OK)
        fail_msg("%s", ctx->message);
}

static const char *text_of(struct rt_ctx *ctx, struct pipe_pool *pool, const json_t *row,
                           const char *key)
{
    const json_t *value = json_object_get(row, key);
    const size_t length = json_string_length(value);
    char *copy = pipe_pool_take(ctx, pool, length + 1, 1);
    assert_non_null(copy);
    memcpy(copy, json_string_value(value), length);
    for (char *nul; (nul = memchr(copy, '\0', length));)
        *nul = '?';
    return copy;
}

const struct test_answer *test_answers(struct rt_ctx *ctx, struct pipe_problem_set *set)
{
    test_problems(ctx, "measure.jsonl", set);
    struct test_answer *answers =
        pipe_pool_take(ctx, &set->pool, set->count, sizeof *answers);
    assert_non_null(answers);
    char path[1024];
    FILE *file =
        fopen(test_path(path, sizeof path, "pipeline/demo/reference-answers.jsonl"), "r");
    assert_non_null(file);
    for (uint32_t i = 0; i < set->count; i++) {
        json_error_t error;
        json_t *row = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);
        if (!row)
            fail_msg("%s: answer %u: %s", path, i, error.text);
        assert_string_equal(json_string_value(json_object_get(row, "id")),
                            set->items[i].id);
        answers[i].text[0] = text_of(ctx, &set->pool, row, "full");
        answers[i].text[1] = text_of(ctx, &set->pool, row, "quant");
        answers[i].right[0] = json_is_true(json_object_get(row, "full_right"));
        answers[i].right[1] = json_is_true(json_object_get(row, "quant_right"));
        json_decref(row);
    }
    fclose(file);
    return answers;
}

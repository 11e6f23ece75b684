/* pipeline/data/data_leak.c
 * Finds problems that stand in a training and in a measuring set, by letters and
 * digits alone. */
#include "pipeline/data/data_leak.h"

#include "runtime/base/text_set.h"

#include <assert.h>
#include <string.h>

static const char *strict_form(struct rt_ctx *ctx, struct pipe_pool *pool,
                               const char *text)
{
    char *form = pipe_pool_take(ctx, pool, strlen(text) + 1, 1);
    if (!form)
        return NULL;
    size_t kept = 0;
    for (size_t i = 0, n = pipe_text_normalise(text, form); i < n; i++)
        if (form[i] != ' ')
            form[kept++] = form[i];
    assert(kept <= strlen(text)); /* its room */
    form[kept] = '\0';
    return form;
}

rt_status pipe_data_drop_leaks(struct rt_ctx *ctx, struct pipe_problem_set *train,
                               const struct pipe_problem_set *measured, uint32_t *dropped)
{
    rt_status st;
    struct pipe_pool scratch = { 0 };
    struct pipe_text_set known = { 0 };
    uint32_t kept = 0;
    *dropped = 0;
    for (uint32_t i = 0; i < measured->count; i++) {
        bool is_new;
        const char *form = strict_form(ctx, &scratch, measured->items[i].question);
        if (!form)
            goto no_memory;
        TRY(pipe_text_set_add(ctx, &known, form, i, &is_new, NULL));
    }
    for (uint32_t i = 0; i < train->count; i++) {
        const char *form = strict_form(ctx, &scratch, train->items[i].question);
        if (!form)
            goto no_memory;
        if (!pipe_text_set_find(&known, form, NULL))
            train->items[kept++] = train->items[i];
    }
    assert(kept <= train->count);
    *dropped = train->count - kept;
    train->count = kept;
    st = *dropped ? pipe_problems_rehash(ctx, train) : RT_OK;
    goto fail;

no_memory:
    st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to compare problems");
fail:
    pipe_text_set_deinit(&known);
    pipe_pool_deinit(&scratch);
    return st;
}

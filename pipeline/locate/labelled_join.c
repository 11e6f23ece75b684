/* pipeline/locate/labelled_join.c
 * Right final answers of labelled solutions, from problems with the same question. */
#include "pipeline/locate/labelled.h"

#include "pipeline/data/problems.h"
#include "runtime/base/text_set.h"

#include <string.h>

uint32_t pipe_labelled_step_size(const struct pipe_labelled *item, uint32_t k)
{
    uint32_t end = item->steps[k].char_end;
    while (end > item->steps[k].char_start && strchr(" \n\r\t", item->text[end - 1]))
        end--;
    return end - item->steps[k].char_start;
}

/* The first problem of each question; unsure[p]: another one has another answer. */
static rt_status list_questions(struct rt_ctx *ctx,
                                const struct pipe_problem_set *problems,
                                struct pipe_text_set *questions, bool *unsure)
{
    rt_status st = RT_OK;
    for (uint32_t p = 0; p < problems->count; p++) {
        bool is_new;
        uint32_t first;
        const struct pipe_problem *problem = &problems->items[p];
        TRY(pipe_text_set_add(ctx, questions, problem->question, p, &is_new, &first));
        if (!is_new)
            unsure[first] |= strcmp(problems->items[first].answer, problem->answer) != 0;
    }

fail:
    return st;
}

rt_status pipe_labelled_join(struct rt_ctx *ctx, struct pipe_labelled_set *set,
                             const struct pipe_problem_set *problems, uint32_t *joined)
{
    rt_status st;
    struct pipe_text_set questions = { 0 };
    bool *unsure = rt_alloc(ctx, problems->count, sizeof *unsure);
    *joined = 0;
    if (!unsure)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "labelled solutions: no memory");
    TRY(list_questions(ctx, problems, &questions, unsure));
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t p;
        struct pipe_labelled *item = &set->items[i];
        if (item->answer[0] || !pipe_text_set_find(&questions, item->question, &p) ||
            unsure[p])
            continue;
        const char *answer = problems->items[p].answer;
        const char *kept = pipe_pool_copy(ctx, &set->pool, answer, strlen(answer));
        if (!kept) {
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "labelled solutions: no memory");
            goto fail;
        }
        item->answer = kept;
        ++*joined;
    }

fail:
    pipe_text_set_deinit(&questions);
    rt_free(unsure);
    return st;
}

#include "pipeline/grade/grade.h"

#include "pipeline/grade/extract.h"

#include <string.h>

struct pipe_grader {
    struct pipe_policies policies;
    char gold[PIPE_ANSWER_MAX], pred[PIPE_ANSWER_MAX]; /* extracted from prose */
};

rt_status pipe_grader_create(struct rt_ctx *ctx, const struct pipe_policies *policies,
                             struct pipe_grader **out)
{
    *out = rt_alloc(ctx, 1, sizeof **out);
    if (!*out)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the grader");
    if (policies)
        (*out)->policies = *policies;
    return RT_OK;
}

void pipe_grader_destroy(struct pipe_grader **grader)
{
    rt_free(*grader);
    *grader = NULL;
}

void pipe_grader_answers(struct pipe_grader *grader, const char *gold, const char *pred,
                         int places, struct pipe_grading *out)
{
    (void)grader;
    (void)places;
    const bool same = strcmp(gold, pred) == 0;
    *out = (struct pipe_grading){ same ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT,
                                  same ? "same text" : "text" };
}

void pipe_grader_texts(struct pipe_grader *grader, const char *gold, const char *pred,
                       int places, struct pipe_grading *out)
{
    const struct pipe_answer_style *style = pipe_answer_style_find("text");
    const char *rule;
    if (pipe_extract(style, gold, grader->gold, sizeof grader->gold, &rule))
        gold = grader->gold;
    if (pipe_extract(style, pred, grader->pred, sizeof grader->pred, &rule))
        pred = grader->pred;
    pipe_grader_answers(grader, gold, pred, places, out);
}

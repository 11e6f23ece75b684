/* pipeline/prompt/free_text.c
 * The dialects of text that people and models write freely: they differ in how an answer is
 * cut. Only what is certain in any text is checked. */
#include "pipeline/prompt/inject_text.h"
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/step_split.h"

static rt_status gold_of_paragraphs(struct rt_ctx *ctx,
                                    const struct pipe_problem *problem,
                                    const char *output, int32_t *step)
{
    return pipe_gold_of_text(ctx, &pipe_dialect_paragraphs, problem, output, step);
}

static rt_status gold_of_marks(struct rt_ctx *ctx, const struct pipe_problem *problem,
                               const char *output, int32_t *step)
{
    return pipe_gold_of_text(ctx, &pipe_dialect_marks, problem, output, step);
}

const struct pipe_dialect pipe_dialect_sentences = {
    .name = "sentences",
    .segmenter = "sentence",
    .between = "\n",
    .split = pipe_split_sentences,
    .check = pipe_locate_check_cut,
    .inject = pipe_inject_text,
    .inject_kinds = PIPE_INJECT_COUNT,
};

const struct pipe_dialect pipe_dialect_paragraphs = {
    .name = "paragraphs",
    .segmenter = "paragraph",
    .between = "\n\n",
    .split = pipe_split_paragraphs,
    .check = pipe_locate_check_cut,
    .inject = pipe_inject_text,
    .inject_kinds = PIPE_INJECT_COUNT,
    .gold = gold_of_paragraphs,
};

const struct pipe_dialect pipe_dialect_marks = {
    .name = "marks",
    .segmenter = "step",
    .between = "\n",
    .split = pipe_split_marks,
    .check = pipe_locate_check_cut,
    .inject = pipe_inject_text,
    .inject_kinds = PIPE_INJECT_COUNT,
    .gold = gold_of_marks,
};

const struct pipe_dialect pipe_dialect_lines = {
    .name = "lines",
    .segmenter = "line-of-text",
    .between = "\n",
    .split = pipe_split_lines,
    .check = pipe_locate_check_cut,
    .inject = pipe_inject_text,
    .inject_kinds = PIPE_INJECT_COUNT,
};

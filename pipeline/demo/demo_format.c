/* pipeline/demo/demo_format.c
 * The prompt format of the bundled model, and all that is known of its solution text. */
#include "pipeline/demo/demo_category.h"
#include "pipeline/demo/format_demo.h"
#include "pipeline/demo/inject.h"
#include "pipeline/demo/locate_gold.h"
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/prompt_format.h"

static rt_status gold(struct rt_ctx *ctx, const struct pipe_problem *problem,
                      const char *output, int32_t *step)
{
    struct pipe_gold_fault fault = { .step = -1 };
    *step = -1;
    if (!problem->program_count)
        return RT_OK;
    const rt_status st = pipe_locate_gold(ctx, problem, output, &fault);
    *step = fault.step;
    return st;
}

static const struct pipe_dialect dialect = {
    .name = "demo",
    .segmenter = "line",
    .between = "\n",
    .split = pipe_demo_split,
    .check = pipe_locate_check_cut,
    .category = pipe_demo_category,
    .inject = pipe_inject,
    .inject_kinds = PIPE_INJECT_OPERAND + 1,
    .gold = gold,
};

const struct pipe_prompt_format pipe_format_demo = {
    .name = "demo",
    .summary = "the bundled model's: one equation a line, #### answer",
    .before = "",
    .after = "<|sep|>",
    .stop = "<|endoftext|>",
    .new_tokens_max = 112,
    .context = 256,
    .grader = "demo",
    .dialect = &dialect,
    .extract = pipe_demo_extract,
    .equal = pipe_demo_equal,
};

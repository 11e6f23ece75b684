/* pipeline/category.c
 * Codes and words of the fault categories in record.h. */
#include "pipeline/record.h"

#include <string.h>

static const struct {
    const char *code, *label;
} categories[PIPE_CAT_COUNT] = {
    [PIPE_CAT_NONE] = { "none", "no fault" },
    [PIPE_CAT_CONCEPTUAL_MISUNDERSTANDING] = { "conceptual/misunderstanding",
                                               "conceptual: misunderstanding" },
    [PIPE_CAT_CONCEPTUAL_OVERSIGHT] = { "conceptual/oversight", "conceptual: oversight" },
    [PIPE_CAT_METHOD_PROCEDURE] = { "method/procedure", "method: procedure" },
    [PIPE_CAT_METHOD_FORMULA] = { "method/formula", "method: formula or operands" },
    [PIPE_CAT_EXECUTION_COMPUTATION] = { "execution/computation",
                                         "execution: computation" },
    [PIPE_CAT_EXECUTION_SYMBOLIC] = { "execution/symbolic", "execution: symbolic" },
    [PIPE_CAT_REASONING_LOGIC] = { "reasoning/logic", "reasoning: logic" },
    [PIPE_CAT_DEGENERATE] = { "degenerate", "degenerate: session, truncated, no answer" },
    [PIPE_CAT_TRANSFER] = { "transfer", "transfer: right result, wrong final answer" },
    [PIPE_CAT_UNCLASSIFIED] = { "unclassified", "unclassified" },
};

const char *pipe_category_code(enum pipe_category category)
{
    return categories[category].code;
}

const char *pipe_category_label(enum pipe_category category)
{
    return categories[category].label;
}

enum pipe_category pipe_category_of(const char *code)
{
    for (int i = 0; code && i < PIPE_CAT_COUNT; i++)
        if (strcmp(categories[i].code, code) == 0)
            return (enum pipe_category)i;
    return PIPE_CAT_UNCLASSIFIED;
}

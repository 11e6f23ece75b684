/* Any bytes as a problem file: a clean set or a clean refusal. */
#include "pipeline/data/problems.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    const rt_status st =
        pipe_problems_parse(&ctx, "fuzz", (const char *)data, size, 0, UINT32_MAX, &set);
    if ((st == RT_OK) != (set.count > 0))
        abort();
    pipe_problems_deinit(&set);
    return 0;
}

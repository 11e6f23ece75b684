/* Any bytes as a table of multiple-choice questions. */
#include "pipeline/data/data_choice.h"
#include "pipeline/data/data_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_data_file file;
    struct pipe_problem_set set = { 0 };
    if (pipe_data_file_parse(&ctx, "fuzz", data, size, &file) == RT_OK) {
        const rt_status st =
            pipe_choice_parse(&ctx, "fuzz", "x", file.text, file.size, &set);
        if ((st == RT_OK) != (set.count > 0) || (st != RT_OK && !ctx.message[0]))
            abort();
        for (uint32_t i = 0; i < set.count; i++)
            if (!set.items[i].question || set.items[i].answer[0] < 'A')
                abort();
    }
    pipe_problems_deinit(&set);
    pipe_data_file_deinit(&file);
    return 0;
}

/* Any bytes as a data set. The first byte chooses the format; the rest is the file, gzip
 * included. Refused with a message, or every problem is whole. */
#include "pipeline/data/data_file.h"
#include "pipeline/data/data_set.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct pipe_dataset *d)
{
    for (uint32_t i = 0; i < d->set.count; i++) {
        const struct pipe_problem *p = &d->set.items[i];
        if (!p->id || !p->question || !*p->question || !p->answer)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_data_file file;
    uint32_t recipes = 0;
    while (pipe_recipes[recipes].name)
        recipes++;
    if (size == 0)
        return 0;
    struct pipe_dataset d = { .name = "fuzz",
                              .split = "test",
                              .recipe = &pipe_recipes[data[0] % recipes] };
    rt_status st = pipe_data_file_parse(&ctx, "fuzz", data + 1, size - 1, &file);
    if (st == RT_OK) {
        const struct pipe_rows_text text = { "fuzz", file.text, file.size };
        st = pipe_dataset_parse(&ctx, &d, &text);
    }
    if (st == RT_OK)
        check(&d);
    else if (!ctx.message[0] || d.set.count > 0)
        abort();
    pipe_problems_deinit(&d.set);
    pipe_data_file_deinit(&file);
    return 0;
}

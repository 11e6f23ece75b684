/* Any bytes as a file of worked examples. */
#include "pipeline/data/data_file.h"
#include "pipeline/prompt/examples.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_data_file file;
    char *text = NULL;
    if (pipe_data_file_parse(&ctx, "fuzz", data, size, &file) == RT_OK) {
        const rt_status st =
            pipe_examples_parse(&ctx, "fuzz", file.text, file.size, "a", &text);
        if ((st == RT_OK) != (text != NULL) || (st != RT_OK && !ctx.message[0]))
            abort();
    }
    rt_free(text);
    pipe_data_file_deinit(&file);
    return 0;
}

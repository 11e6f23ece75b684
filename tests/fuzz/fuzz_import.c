/* Any bytes as a file of answers: lines, a log, an archive. The first byte chooses the
 * kind. Refused with a message, or every answer is whole. */
#include "pipeline/exchange/import.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_import in;
    if (size == 0)
        return 0;
    const enum pipe_import_kind kind =
        (enum pipe_import_kind)(data[0] % PIPE_IMPORT_KIND_COUNT);
    const rt_status st =
        pipe_import_parse(&ctx, "fuzz", data + 1, size - 1, kind, NULL, &in);
    if (st != RT_OK && (!ctx.message[0] || in.count))
        abort();
    if (st == RT_OK && in.count == 0)
        abort();
    for (uint32_t i = 0; i < in.count; i++)
        if (!in.answers[i].output || (!in.answers[i].id && !in.answers[i].question))
            abort();
    pipe_import_deinit(&in);
    return 0;
}

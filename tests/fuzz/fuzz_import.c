/* Any bytes as a file of answers: lines, a log, an archive. The first byte chooses the
 * kind. Refused with a message, or every answer is whole. The first question is a problem
 * that its answer finds. */
#include "pipeline/exchange/import_match.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(struct pipe_import *in)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_problem problems[2] = {
        { .id = "a", .question = in->answers[0].question, .answer = "1" },
        { .id = "b", .question = "7+4", .answer = "1" }
    };
    const struct pipe_problem_set set = { .items = problems, .count = 2, .name = "set" };
    uint32_t place = 9;
    in->count = 1;
    if (!problems[0].question)
        return;
    const rt_status st = pipe_import_match(&ctx, "fuzz", in, &set, &place);
    if (st == RT_OK ? place > 1 : !ctx.message[0])
        abort();
    if (st != RT_OK && strlen(problems[0].question) > 3 &&
        strcmp(problems[0].question, "7+4") != 0 &&
        !strpbrk(problems[0].question, " \t\r\n"))
        abort(); /* the identical question */
}

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
    const uint32_t count = in.count;
    if (st == RT_OK)
        match(&in);
    in.count = count;
    pipe_import_deinit(&in);
    return 0;
}

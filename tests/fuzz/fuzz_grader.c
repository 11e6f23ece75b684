/* Any bytes as two answers, divided by a zero byte or a line end: every verdict within the
 * limits, the same answer equal to itself, and the same value found from either side. */
#include "pipeline/grade/extract.h"
#include "pipeline/grade/grade.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pipe_grader *grader, *strict; /* with every rule, and with none */

static bool create(void)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_policies none;
    memset(none.off, true, sizeof none.off);
    return grader || (pipe_grader_create(&ctx, NULL, &grader) == RT_OK &&
                      pipe_grader_create(&ctx, &none, &strict) == RT_OK);
}

static void compare(const char *gold, const char *pred)
{
    struct pipe_grading r;
    const uint64_t start = rt_time_ns();
    pipe_grader_answers(grader, gold, pred, -1, &r);
    if (rt_time_ns() - start > UINT64_C(2000000000) || !r.rule)
        abort();
    pipe_grader_texts(grader, gold, pred, 2, &r);
    pipe_grader_answers(strict, gold, pred, -1, &r);
    if (rt_time_ns() - start > UINT64_C(4000000000) || !r.rule)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[PIPE_ANSWER_MAX + 8], found[PIPE_ANSWER_MAX];
    if (size > PIPE_ANSWER_MAX || !create())
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *second = strpbrk(text, "\n");
    if (second)
        *second++ = '\0';
    else
        second = text + size;
    compare(text, second);
    compare(second, text);
    compare("\\frac{1}{2}", text);
    struct pipe_grading same;
    pipe_grader_answers(grader, text, text, -1, &same);
    if (same.verdict != PIPE_VERDICT_EQUAL)
        abort();
    for (unsigned i = 0; pipe_answer_style_at(i); i++) {
        const char *rule = NULL;
        const bool any =
            pipe_extract(pipe_answer_style_at(i), second, found, sizeof found, &rule);
        if (!rule || (any && !found[0]))
            abort();
    }
    return 0;
}

/* Any text as an answer: steps tile it, lines parse or do not, grading returns. */
#include "pipeline/prompt/answer_turn.h"
#include "pipeline/demo/format_demo.h"
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/mend.h"
#include "pipeline/prompt/prompt_format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Steps tile the text by the rule of every format; a turn never runs away. */
static void check_formats(const char *text, size_t size)
{
    for (uint32_t i = 0; pipe_prompt_format_at(i); i++) {
        const struct pipe_prompt_format *f = pipe_prompt_format_at(i);
        struct pipe_step steps[PIPE_STEPS_MAX];
        struct pipe_turn turn = { 0 };
        const uint32_t n = f->dialect->split(text, steps, PIPE_STEPS_MAX);
        for (uint32_t k = 0; k < n; k++)
            if (steps[k].char_start != (k ? steps[k - 1].char_end : 0) ||
                steps[k].char_end <= steps[k].char_start)
                abort();
        if (n && steps[n - 1].char_end != strlen(text))
            abort();
        struct pipe_checked c;
        pipe_locate_check("Ana has 3 boxes with 4 pens in each.", text, steps, n, &c);
        if (c.step >= (int32_t)n)
            abort();
        struct pipe_mended m;
        pipe_mend(&(struct rt_ctx){ 0 }, "Ana has 3 boxes with 4 pens in each.", text,
                  steps, n, "12", &m);
        if (m.step >= (int32_t)n || m.end > size)
            abort();
        for (size_t at = 0; at < size; at += 7)
            (void)pipe_turn_feed(f, &turn, text + at, size - at < 7 ? size - at : 7);
        if (turn.step > PIPE_NUMBERED_MAX || turn.tail_size > PIPE_TAIL)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    char *text = rt_alloc(&ctx, size + 1, 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t n = pipe_demo_split(text, steps, PIPE_STEPS_MAX);
    for (uint32_t k = 0; k < n; k++) {
        struct pipe_demo_line line;
        pipe_demo_step_parse(text, &steps[k], &line);
        if (steps[k].char_start != (k ? steps[k - 1].char_end : 0))
            abort();
    }
    if (n && steps[n - 1].char_end != strlen(text))
        abort();
    check_formats(text, size);
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score score;
    pipe_grade(NULL, pipe_prompt_format_find("demo"), text, PIPE_FINISH_STOP, "62",
               extracted, &score);
    struct pipe_checked c; /* the text as a question */
    pipe_locate_check(text, "Ana: 3*4=12\n#### 12", &(struct pipe_step){ .char_end = 20 },
                      1, &c);
    rt_free(text);
    return 0;
}

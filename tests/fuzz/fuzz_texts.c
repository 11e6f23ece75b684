/* Any bytes as texts with weights: clean texts, whose spans lie in them in order, or a
 * clean refusal. The same bytes as problems whose solutions have weights. */
#include "pipeline/data/problems.h"
#include "pipeline/data/texts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct pipe_text_weights *w, const char *text)
{
    uint32_t at = 0;
    if (!w || w->refused)
        return;
    if (!w->where || !(w->weight >= 0 && w->weight <= PIPE_WEIGHT_MAX))
        abort();
    for (uint32_t i = 0; i < w->count; i++) {
        const struct pipe_span *s = &w->spans[i];
        if (s->begin < at || s->end <= s->begin || s->end > strlen(text) ||
            !(s->weight >= 0 && s->weight <= PIPE_WEIGHT_MAX))
            abort();
        at = s->end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_texts texts;
    struct pipe_problem_set set;
    const rt_status st =
        pipe_texts_parse(&ctx, "fuzz", data, size, 0, UINT32_MAX, &texts);
    if ((st == RT_OK) != (texts.count > 0))
        abort();
    for (uint32_t i = 0; i < texts.count; i++)
        check(texts.items[i].weights, texts.items[i].text);
    pipe_texts_deinit(&texts);
    if (pipe_problems_parse(&ctx, "fuzz", (const char *)data, size, 0, UINT32_MAX,
                            &set) == RT_OK)
        for (uint32_t i = 0; i < set.count; i++)
            check(set.items[i].weights, set.items[i].reference);
    pipe_problems_deinit(&set);
    return 0;
}

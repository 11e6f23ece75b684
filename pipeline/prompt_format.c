#include "pipeline/prompt_format.h"

#include "pipeline/format_demo.h"
#include "runtime/format/sha256.h"

#include <stdio.h>
#include <string.h>

enum { LOOP_TOKENS_MIN = 3, LOOP_TOKENS_MAX = 40, LOOP_TIMES = 4 };
enum { DIVERSITY_INVERSE = 20 }; /* 1 / 0.05 */

static const struct pipe_prompt_format formats[] = {
    {
        .name = "demo",
        .before = "",
        .after = "<|sep|>",
        .stop = "<|endoftext|>",
        .new_tokens_max = 112,
        .segmenter = "line",
        .grader = "demo",
        .split = pipe_demo_split,
        .extract = pipe_demo_extract,
        .equal = pipe_demo_equal,
    },
};

const struct pipe_prompt_format *pipe_prompt_format_at(uint32_t i)
{
    return i < RT_COUNT(formats) ? &formats[i] : NULL;
}

const struct pipe_prompt_format *pipe_prompt_format_find(const char *name)
{
    for (size_t i = 0; name && i < RT_COUNT(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

char *pipe_prompt_text(struct rt_ctx *ctx, const struct pipe_prompt_format *format,
                       const char *question)
{
    return rt_format(ctx, "%s%s%s", format->before, question, format->after);
}

void pipe_prompt_format_hash(const struct pipe_prompt_format *format, char hex[65])
{
    char cap[16];
    snprintf(cap, sizeof cap, "%u", format->new_tokens_max);
    struct sha256 s;
    sha256_init(&s);
    sha256_add_text(&s, format->name);
    sha256_add_text(&s, format->before);
    sha256_add_text(&s, format->after);
    sha256_add_text(&s, format->stop);
    sha256_add_text(&s, cap);
    sha256_end_hex(&s, hex);
}

void pipe_grade(const struct pipe_prompt_format *format, const char *output,
                enum pipe_finish finish, const char *answer,
                char extracted[PIPE_EXTRACT_MAX], struct pipe_score *out)
{
    *out = (struct pipe_score){ .grader = format->grader };
    extracted[0] = '\0';
    if (finish == PIPE_FINISH_ERROR) {
        out->reason = "no answer: the problem could not be run";
        return;
    }
    out->extract_ok = format->extract(output, extracted, PIPE_EXTRACT_MAX, &out->reason);
    if (!out->extract_ok) {
        if (finish == PIPE_FINISH_LENGTH)
            out->reason = "truncated before an answer";
        return;
    }
    out->extracted = extracted;
    out->correct = format->equal(extracted, answer);
}

void pipe_steps_map_tokens(struct pipe_step *steps, uint32_t count,
                           const uint32_t *token_end, uint32_t token_count)
{
    uint32_t t = 0;
    for (uint32_t k = 0; k < count; k++) {
        const bool last = k + 1 == count;
        steps[k].tok_start = t;
        while (t < token_count &&
               (last || (t ? token_end[t - 1] : 0) < steps[k].char_end))
            t++;
        steps[k].tok_end = t;
    }
}

int32_t pipe_step_of_token(const struct pipe_step *steps, uint32_t count, uint32_t token)
{
    for (uint32_t k = 0; k < count; k++)
        if (token >= steps[k].tok_start && token < steps[k].tok_end)
            return (int32_t)k;
    return -1;
}

/* Whether the last LOOP_TIMES * period ids are one pattern repeated. */
static bool repeats(const uint32_t *ids, uint32_t count, uint32_t period)
{
    if (count / LOOP_TIMES < period)
        return false;
    const uint32_t *end = ids + count;
    for (uint32_t i = 1; i <= (LOOP_TIMES - 1) * period; i++)
        if (end[-(int64_t)i] != end[-(int64_t)i - (int64_t)period])
            return false;
    return true;
}

static uint32_t different(const uint32_t *ids, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool seen = false;
        for (uint32_t j = 0; j < i && !seen; j++)
            seen = ids[j] == ids[i];
        n += !seen;
        if (n * DIVERSITY_INVERSE >= count)
            break; /* diverse enough: the exact number does not matter */
    }
    return n;
}

void pipe_form_of(const uint32_t *ids, uint32_t count, enum pipe_finish finish,
                  struct pipe_form *out)
{
    *out = (struct pipe_form){ .truncated = finish == PIPE_FINISH_LENGTH };
    for (uint32_t p = LOOP_TOKENS_MIN; p <= LOOP_TOKENS_MAX && !out->loops; p++)
        if (repeats(ids, count, p)) {
            out->loops = true;
            out->period = p;
        }
    out->monotone = count > 0 && different(ids, count) * DIVERSITY_INVERSE < count;
}

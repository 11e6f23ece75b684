/* pipeline/prompt/prompt_format.c
 * The table of prompt formats, and what is the same for all: prompt text, hash,
 * grading, tokens of steps. */
#include "pipeline/prompt/prompt_format.h"

#include "pipeline/grade/extract.h"
#include "pipeline/grade/grade.h"
#include "pipeline/prompt/repetition.h"
#include "runtime/base/sha256.h"
#include "runtime/text/chat.h"

#include <stdio.h>
#include <string.h>

enum { DIVERSITY_INVERSE = 20 }; /* 1 / 0.05 */

#define BOX_INSTRUCTION \
    "Please reason step by step, and put your final answer within \\boxed{}."

static const struct pipe_prompt_format formats[] = {
    /* beside pipe_format_demo */
    {
        .name = "gsm8k-8shot-cot",
        .summary = "8 worked examples (Wei et al. 2022), for base models",
        .examples = "gsm8k-cot-8shot",
        .examples_hash =
            "4399bed70a2c091e16e644dc0ddd5202912d90394f6bfb84f56ab338e5b253d8",
        .before = "Q: ",
        .after = "\n\nA:",
        .stop_texts = { "Q:" },
        .new_tokens_max = 400,
        .context = 1536,
        .grader = "gsm8k",
        .style = "gsm8k",
        .asks = "The answer is",
        .dialect = &pipe_dialect_sentences,
        .data = { "gsm8k", "svamp", "asdiv", "multiarith", "gsm-hard" },
    },
    {
        .name = "math-4shot-minerva",
        .summary = "4 worked examples (Lewkowycz et al. 2022), for base models",
        .examples = "minerva-math-4shot",
        .examples_hash =
            "d08a0ce44e131a3ba5b582b55cef653be21b141a0f4aaa7e5d56eb5b28d821b6",
        .before = "Problem:\n",
        .after = "\n\nSolution:",
        .stop_texts = { "Problem:", "I hope it is correct." },
        .new_tokens_max = 1024,
        .context = 2560,
        .grader = "math",
        .style = "math",
        .asks = "The final answer is",
        .dialect = &pipe_dialect_sentences,
        .data = { "math", "math500" },
    },
    {
        .name = "chat-boxed",
        .summary = "for chat models: reason freely, answer in \\boxed{}",
        .chat = true,
        .instruction = BOX_INSTRUCTION,
        .before = "",
        .after = "",
        .new_tokens_max = 2048,
        .context = 3072,
        .grader = "math",
        .style = "math",
        .asks = "\\boxed{",
        .dialect = &pipe_dialect_paragraphs,
    },
    {
        .name = "chat-steps",
        .summary = "for chat models: lines 'Step k:' by force, the last with a box",
        .chat = true,
        .instruction =
            "Solve the problem step by step. Write every step with its calculation on a "
            "line of its own, and put your final answer within \\boxed{} in the last "
            "one.",
        .before = "",
        .after = "",
        .numbered = true,
        .new_tokens_max = 2048,
        .context = 3072,
        .grader = "math",
        .style = "math",
        .asks = "\\boxed{",
        .dialect = &pipe_dialect_marks,
    },
    {
        .name = "aime",
        .summary = "chat-boxed with room for 32,768 tokens of reasoning",
        .chat = true,
        .instruction = BOX_INSTRUCTION,
        .before = "",
        .after = "",
        .new_tokens_max = 32768,
        .context = 33792,
        .grader = "aime",
        .style = "aime",
        .asks = "\\boxed{",
        .dialect = &pipe_dialect_paragraphs,
        .data = { "aime24", "aime25", "amc23" },
    },
};

const struct pipe_prompt_format *pipe_prompt_format_at(uint32_t i)
{
    if (i == 0)
        return &pipe_format_demo;
    return i <= RT_COUNT(formats) ? &formats[i - 1] : NULL;
}

const struct pipe_prompt_format *pipe_prompt_format_find(const char *name)
{
    const struct pipe_prompt_format *f;
    for (uint32_t i = 0; name && (f = pipe_prompt_format_at(i)); i++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

const struct pipe_prompt_format *pipe_prompt_format_for(const char *data, size_t length)
{
    const struct pipe_prompt_format *f;
    for (uint32_t i = 0; (f = pipe_prompt_format_at(i)); i++)
        for (const char *const *d = f->data; *d; d++)
            if (strlen(*d) == length && memcmp(*d, data, length) == 0)
                return f;
    return NULL;
}

/* Of a chat: at most a system text and the question. */
static rt_status chat_text(const struct pipe_prompt *p, const char *question, char **out)
{
    const char *instruction = p->format->instruction;
    const struct chat_message messages[] = { { CHAT_SYSTEM, instruction },
                                             { CHAT_USER, question } };
    return text_chat_render(p->chat, messages + !instruction, 1 + !!instruction, out);
}

rt_status pipe_prompt_text(struct rt_ctx *ctx, const struct pipe_prompt *p,
                           const char *question, char **out)
{
    const struct pipe_prompt_format *f = p->format;
    char *body = rt_format(ctx, "%s%s%s%s", p->examples ? p->examples : "", f->before,
                           question, f->after);
    *out = f->chat ? NULL : body;
    if (!body)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "prompt: no memory");
    if (!f->chat)
        return RT_OK;
    const rt_status st = chat_text(p, body, out);
    rt_free(body);
    return st;
}

void pipe_prompt_hash(const struct pipe_prompt *p, char hex[65])
{
    const struct pipe_prompt_format *f = p->format;
    char cap[16];
    snprintf(cap, sizeof cap, "%u", f->new_tokens_max);
    const char *const texts[] = { f->name,
                                  p->examples ? p->examples : "",
                                  p->chat ? text_chat_hash(p->chat) : "",
                                  f->instruction ? f->instruction : "",
                                  f->before,
                                  f->after,
                                  f->stop ? f->stop : "",
                                  f->numbered ? "Step k:" : "",
                                  cap };
    struct sha256 s;
    sha256_init(&s);
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        sha256_add_text(&s, texts[i]);
    for (int i = 0; i < PIPE_STOPS_MAX; i++)
        sha256_add_text(&s, f->stop_texts[i] ? f->stop_texts[i] : "");
    sha256_end_hex(&s, hex);
}

static void cut_at(const char *stop, char *answer)
{
    char *found = stop ? strstr(answer, stop) : NULL;
    if (found)
        *found = '\0';
}

void pipe_prompt_cut(const struct pipe_prompt *prompt, char *answer)
{
    cut_at(prompt->chat_end, answer);
    for (int i = 0; i < PIPE_STOPS_MAX; i++) /* a later text is sought in what is left */
        cut_at(prompt->format->stop_texts[i], answer);
}

static bool extract(const struct pipe_prompt_format *f, const char *output,
                    char extracted[PIPE_EXTRACT_MAX], const char **rule)
{
    return f->style ? pipe_extract(pipe_answer_style_find(f->style), output, extracted,
                                   PIPE_EXTRACT_MAX, rule)
                    : f->extract(output, extracted, PIPE_EXTRACT_MAX, rule);
}

bool pipe_prompt_thinks(const char *prompt)
{
    static const char opener[] = "<think>";
    size_t size = strlen(prompt);
    while (size && strchr(" \n", prompt[size - 1]))
        size--;
    return size >= sizeof opener - 1 &&
           memcmp(prompt + size - (sizeof opener - 1), opener, sizeof opener - 1) == 0;
}

bool pipe_grade_thought(const struct pipe_prompt_format *format, bool thinks,
                        const char *output, enum pipe_finish finish,
                        struct pipe_score *out)
{
    if (!format->chat || !thinks || finish == PIPE_FINISH_ERROR ||
        strstr(output, "</think>"))
        return false;
    *out = (struct pipe_score){ .grader = format->grader,
                                .reason = finish == PIPE_FINISH_LENGTH
                                              ? "truncated before an answer"
                                              : "thinking does not end" };
    return true;
}

void pipe_grade(struct pipe_grader *grader, const struct pipe_prompt_format *f,
                const char *output, enum pipe_finish finish, const char *answer,
                char extracted[PIPE_EXTRACT_MAX], struct pipe_score *out)
{
    struct pipe_grading verdict;
    *out = (struct pipe_score){ .grader = f->grader };
    extracted[0] = '\0';
    if (finish == PIPE_FINISH_ERROR) {
        out->reason = "no answer: the problem could not be run";
        return;
    }
    out->extract_ok = extract(f, output, extracted, &out->reason);
    if (!out->extract_ok) {
        if (finish == PIPE_FINISH_LENGTH)
            out->reason = "truncated before an answer";
        return;
    }
    out->extracted = extracted;
    if (!f->style) {
        out->correct = f->equal(extracted, answer);
        return;
    }
    pipe_grader_answers(grader, answer, extracted, -1, &verdict);
    out->correct = verdict.verdict == PIPE_VERDICT_EQUAL;
    if (verdict.verdict == PIPE_VERDICT_UNDECIDED)
        out->reason = "undecided";
}

bool pipe_is_undecided(const char *reason)
{
    return reason && strncmp(reason, "undecided", 9) == 0;
}

bool pipe_answer_in_form(const struct pipe_prompt_format *format, const char *output,
                         bool extract_ok)
{
    return extract_ok && (!format->asks || strstr(output, format->asks));
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

/* The period of the cycle at the end; 0: there is none. */
static uint32_t period_of(const uint32_t *ids, uint32_t count)
{
    struct pipe_repetition r = { 0 };
    const uint32_t most = PIPE_REPEATED * PIPE_CYCLE_MAX;
    const uint32_t first = count > most ? count - most : 0;
    for (uint32_t i = first; i < count; i++)
        pipe_repetition_feed(&r, ids + first, NULL, 0);
    return pipe_repetition_period(&r);
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
    out->period = period_of(ids, count);
    out->loops = out->period > 0;
    out->monotone = count > 0 && different(ids, count) * DIVERSITY_INVERSE < count;
}

bool pipe_answer_ends(const uint32_t *ids, uint32_t count, enum pipe_finish finish,
                      bool extract_ok)
{
    struct pipe_form form;
    pipe_form_of(ids, count, finish, &form);
    return extract_ok && finish == PIPE_FINISH_STOP && !pipe_form_degenerate(&form);
}

/* pipeline/locate/judge_read.c
 * The prompt of a judge, which of its tokens are whose step, and what the model says. */
#include "pipeline/locate/judge_read.h"

#include "pipeline/prompt/prompt_format.h"
#include "runtime/observe/score.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool no_answer(const char *output, char *extracted, size_t size, const char **rule)
{
    (void)output;
    (void)extracted;
    (void)size;
    *rule = "the judge writes nothing";
    return false;
}

const struct pipe_prompt_format pipe_format_judge = {
    .name = "judge",
    .summary = "a solution, and which of its steps made the first error",
    .chat = true,
    .instruction = "You check the solution of a math problem step by step.",
    .before = "Problem: ",
    .after =
        "\nThe final answer of this solution is wrong. One step made the first error.",
    .new_tokens_max = 4096,
    .context = 6144,
    .grader = "judge",
    .dialect = &pipe_dialect_lines,
    .extract = no_answer,
};

#define ANSWER "The first error is in step"

/* The prompt with the number of each step behind it, and whose step each token is. */
struct asked {
    struct rt_ctx *ctx;
    uint32_t steps;
    uint32_t *ids[PIPE_STEPS_MAX], n[PIPE_STEPS_MAX];
    uint32_t shared; /* tokens that all of them begin with */
    int32_t *of;     /* step of a shared token; -1: none */
    uint8_t *digit;  /* whether a shared token has a digit */
    uint8_t *mask;   /* of the longest */
    uint32_t longest;
};

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "judge: no memory");
}

static void asked_deinit(struct asked *a)
{
    for (uint32_t k = 0; k < a->steps; k++)
        rt_free(a->ids[k]);
    rt_free(a->of);
    rt_free(a->digit);
    rt_free(a->mask);
}

/* The problem and the numbered steps, fresh memory. */
static char *solution_text(struct rt_ctx *ctx, const struct pipe_labelled *item)
{
    const size_t size =
        strlen(item->question) + strlen(item->text) + 32u * (item->step_count + 1u);
    char *text = rt_alloc(ctx, size, 1);
    size_t at = 0;
    if (!text)
        return NULL;
    at += (size_t)snprintf(text, size, "%s\n\nSolution:\n", item->question);
    for (uint32_t k = 0; k < item->step_count; k++)
        at += (size_t)snprintf(text + at, size - at, "Step %u: %.*s\n", k + 1,
                               (int)pipe_labelled_step_size(item, k),
                               item->text + item->steps[k].char_start);
    return text;
}

static rt_status encode(struct pipe_session *session, const struct pipe_labelled *item,
                        struct asked *a)
{
    rt_status st = RT_OK;
    char answer[64];
    char *text = solution_text(a->ctx, item);
    if (!text)
        return no_memory(a->ctx);
    for (uint32_t k = 0; k < item->step_count; k++) {
        snprintf(answer, sizeof answer, ANSWER " %u", k + 1);
        TRY(pipe_prompt_ids(session, text, answer, &a->ids[k], &a->n[k]));
        a->steps = k + 1;
        a->longest = a->n[k] > a->longest ? a->n[k] : a->longest;
    }
    a->shared = a->steps > 1 ? a->n[0] : a->n[0] - 1;
    for (uint32_t k = 1; k < a->steps; k++) {
        uint32_t same = 0;
        while (same < a->shared && same < a->n[k] && a->ids[k][same] == a->ids[0][same])
            same++;
        a->shared = same;
    }

fail:
    rt_free(text);
    return st;
}

/* Gives each shared token its step. *found: the text of the tokens has the steps as they are. */
static rt_status place(struct pipe_session *session, const struct pipe_labelled *item,
                       struct asked *a, bool *found)
{
    rt_status st;
    char *text = NULL, head[32];
    uint32_t size = 0;
    uint32_t *ends = rt_alloc(a->ctx, a->shared + 1u, sizeof *ends);
    *found = false;
    a->of = rt_alloc(a->ctx, a->shared + 1u, sizeof *a->of);
    a->digit = rt_alloc(a->ctx, a->shared + 1u, sizeof *a->digit);
    a->mask = rt_alloc(a->ctx, a->longest, 1);
    if (!ends || !a->of || !a->digit || !a->mask) {
        st = no_memory(a->ctx);
        goto fail;
    }
    TRY(pipe_token_ends(session, a->ids[0], a->shared, ends));
    TRY(pipe_decode(session, a->ids[0], a->shared, &text, &size));
    for (uint32_t t = 0; t < a->shared; t++)
        a->of[t] = -1;
    const char *at = strstr(text, "\n\nSolution:\nStep 1: ");
    uint32_t t = 0;
    *found = at && ends[a->shared - 1] == size;
    for (uint32_t k = 0; *found && k < a->steps; k++) {
        const uint32_t length = pipe_labelled_step_size(item, k);
        snprintf(head, sizeof head, "\nStep %u: ", k + 1);
        at = strstr(at, head);
        *found = at && memcmp(at + strlen(head), item->text + item->steps[k].char_start,
                              length) == 0;
        if (!*found)
            break;
        at += strlen(head);
        const uint32_t start = (uint32_t)(at - text), end = start + length;
        while (t < a->shared && ends[t] <= start)
            t++;
        for (; t < a->shared && (t ? ends[t - 1] : 0) < end; t++) {
            a->of[t] = (int32_t)k;
            for (uint32_t c = t ? ends[t - 1] : 0; c < ends[t]; c++)
                a->digit[t] |= text[c] >= '0' && text[c] <= '9';
        }
        at += length;
    }

fail:
    rt_free(ends);
    rt_free(text);
    return st;
}

/* What the steps' tokens say: targets in the order of the tokens. */
static void take_tokens(const struct asked *a, const float *logprob, const float *margin,
                        const struct pipe_judge_reading *out)
{
    uint32_t target = 0;
    for (uint32_t t = 1; t < a->shared; t++) {
        const int32_t k = a->of[t];
        if (k < 0)
            continue;
        out->surprise[k] = fmax(out->surprise[k], -(double)margin[target]);
        if (a->digit[t])
            out->numbers[k] -= (double)logprob[target];
        target++;
    }
}

/* Step k's number is one token behind the shared ones, or this one and another. */
static bool longer(const struct asked *a, uint32_t k)
{
    return a->n[k] > a->shared + 1;
}

/* One pass along the tokens of number `path`: the numbers' first tokens, on the first pass, and the
 * second ones of those that share its first. */
static rt_status pass(const struct asked *a, struct rt_scorer *scorer, uint32_t path,
                      bool first, const struct pipe_judge_reading *out)
{
    rt_status st;
    uint32_t tokens[PIPE_STEPS_MAX], whose[PIPE_STEPS_MAX], count = 0;
    double logp[PIPE_STEPS_MAX], rest = 1;
    const uint32_t n = a->n[path], begin = a->ids[path][a->shared];
    float *logprob = rt_alloc(a->ctx, n, sizeof *logprob);
    float *margin = rt_alloc(a->ctx, n, sizeof *margin);
    if (!logprob || !margin) {
        st = no_memory(a->ctx);
        goto fail;
    }
    uint32_t targets = 0;
    for (uint32_t t = 1; t < n; t++) {
        a->mask[t] = t >= a->shared || a->of[t] >= 0;
        targets += a->mask[t];
    }
    const struct train_sequence sequence = { .ids = a->ids[path],
                                             .mask = a->mask,
                                             .n = n };
    TRY(rt_scorer_run(scorer, &sequence, 1,
                      &(struct score_out){ .logprob = logprob, .margin = margin }));
    const uint32_t asked_at = targets - (n - a->shared);
    if (first) {
        take_tokens(a, logprob, margin, out);
        for (uint32_t k = 0; k < a->steps; k++)
            tokens[k] = a->ids[k][a->shared];
        TRY(rt_scorer_instead(scorer, asked_at, tokens, a->steps, out->asked));
    }
    if (!longer(a, path))
        goto fail;
    for (uint32_t k = 0; k < a->steps; k++)
        if (longer(a, k) && a->ids[k][a->shared] == begin) {
            tokens[count] = a->ids[k][a->shared + 1];
            whose[count++] = k;
        }
    TRY(rt_scorer_instead(scorer, asked_at + 1, tokens, count, logp));
    for (uint32_t c = 0; c < count; c++) {
        out->asked[whose[c]] += logp[c];
        rest -= exp(logp[c]);
    }
    for (uint32_t k = 0; k < a->steps;
         k++) /* this token alone: nothing of these behind it */
        if (!longer(a, k) && a->ids[k][a->shared] == begin)
            out->asked[k] += log(fmax(rest, 1e-6));

fail:
    rt_free(logprob);
    rt_free(margin);
    return st;
}

double pipe_log_shares(double *logs, uint32_t count)
{
    double most = logs[0], sum = 0;
    for (uint32_t k = 1; k < count; k++)
        most = fmax(most, logs[k]);
    for (uint32_t k = 0; k < count; k++)
        sum += exp(logs[k] - most);
    const double all = most + (sum > 0 ? log(sum) : 0);
    for (uint32_t k = 0; k < count; k++)
        logs[k] -= all;
    return all;
}

static rt_status passes(const struct asked *a, struct rt_model *model,
                        const struct pipe_judge_reading *out, uint64_t *tokens)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    bool first = true;
    TRY(rt_scorer_create(model, NULL, NULL, a->longest, &scorer));
    for (uint32_t k = 0; k < a->steps; k++) {
        bool seen = false; /* a path with this first token */
        for (uint32_t e = 0; e < k; e++)
            seen |= longer(a, e) && a->ids[e][a->shared] == a->ids[k][a->shared];
        if (!longer(a, k) || seen)
            continue;
        TRY(pass(a, scorer, k, first, out));
        *tokens += a->n[k];
        first = false;
    }
    if (first) {
        TRY(pass(a, scorer, 0, true, out));
        *tokens += a->n[0];
    }
    pipe_log_shares(out->asked, a->steps);

fail:
    rt_scorer_destroy(&scorer);
    return st;
}

rt_status pipe_judge_read(struct pipe_session *session, struct rt_model *model,
                          const struct pipe_labelled *item,
                          const struct pipe_judge_reading *out, uint64_t *tokens)
{
    rt_status st;
    bool found;
    struct asked a = { .ctx = session->ctx };
    *tokens = 0;
    for (uint32_t k = 0; k < item->step_count; k++)
        out->asked[k] = out->numbers[k] = out->surprise[k] = 0;
    TRY(encode(session, item, &a));
    const uint32_t most = rt_model_positions(model);
    if (a.longest > (most < session->context ? most : session->context) || a.shared == 0)
        goto fail;
    TRY(place(session, item, &a, &found));
    if (found)
        TRY(passes(&a, model, out, tokens));
    for (uint32_t k = 0; k < item->step_count; k++)
        if (!isfinite(out->asked[k] + out->numbers[k] + out->surprise[k])) {
            st = rt_fail(session->ctx, RT_ERR_INPUT,
                         "judge: the model's probabilities are not finite at step %u",
                         k + 1);
            goto fail;
        }

fail:
    asked_deinit(&a);
    return st;
}

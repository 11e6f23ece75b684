/* pipeline/run/token_weights.c
 * From spans of bytes to tokens, by where each token ends. */
#include "pipeline/run/token_weights.h"

#include <assert.h>
#include <string.h>

static rt_status no_memory(struct pipe_session *session)
{
    return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "weights of tokens: no memory");
}

/* Whether the tokens are the bytes of the text, so that places in it are theirs. */
static rt_status check_same(struct pipe_session *session,
                            const struct pipe_text_weights *w, const char *text,
                            const uint32_t *ids, uint32_t n)
{
    char *decoded = NULL;
    uint32_t size;
    rt_status st = pipe_decode(session, ids, n, &decoded, &size);
    if (st == RT_OK && (size != strlen(text) || memcmp(decoded, text, size) != 0))
        st =
            rt_fail(session->ctx, RT_ERR_INPUT,
                    "%s: the model's tokenizer changes this text, so spans have no place "
                    "in it; bring the text to the normal form of the tokenizer (NFC, no "
                    "spaces around it), or give 'weight' alone",
                    w->where);
    rt_free(decoded);
    return st;
}

static rt_status fill_spans(struct pipe_session *session,
                            const struct pipe_text_weights *w, const char *text,
                            const uint32_t *ids, uint32_t n, float *out)
{
    rt_status st;
    uint32_t at = 0;
    uint32_t *ends = rt_alloc(session->ctx, n + 1u, sizeof *ends);
    if (!ends)
        return no_memory(session);
    TRY(check_same(session, w, text, ids, n));
    TRY(pipe_token_ends(session, ids, n, ends));
    for (uint32_t t = 0; t < n; t++) {
        while (at < w->count && w->spans[at].end < ends[t])
            at++;
        if (at < w->count && w->spans[at].begin < ends[t])
            out[t] = (float)(w->weight * w->spans[at].weight);
    }

fail:
    rt_free(ends);
    return st;
}

rt_status pipe_weights_of(struct pipe_session *session, const struct pipe_text_weights *w,
                          const char *text, const uint32_t *ids, uint32_t n, float **out)
{
    *out = NULL;
    if (w->refused)
        return rt_fail(session->ctx, RT_ERR_INPUT, "%s", w->refused);
    float *weights = rt_alloc(session->ctx, n + 1u, sizeof *weights);
    if (!weights)
        return no_memory(session);
    for (uint32_t t = 0; t < n; t++)
        weights[t] = (float)w->weight;
    const rt_status st = w->count ? fill_spans(session, w, text, ids, n, weights) : RT_OK;
    if (st == RT_OK)
        *out = weights;
    else
        rt_free(weights);
    return st;
}

/* Takes `all`, of all tokens of the sequence that was added last. */
static void take(float *all, struct pipe_sequences *sequences)
{
    struct train_sequence *s = &sequences->list[sequences->count - 1];
    bool plain = true;
    assert(sequences->count > 0 && !s->weight);
    for (uint32_t t = 0; t < s->n; t++)
        plain = plain && all[t] == 1;
    if (plain)
        rt_free(all);
    else
        s->weight = all;
}

rt_status pipe_weights_put(struct pipe_session *session, const float *weights, uint32_t n,
                           struct pipe_sequences *sequences)
{
    const struct train_sequence *s = &sequences->list[sequences->count - 1];
    assert(sequences->count > 0 && n <= s->n);
    float *all = rt_alloc(session->ctx, s->n, sizeof *all);
    if (!all)
        return no_memory(session);
    for (uint32_t t = 0; t < s->n; t++)
        all[t] = t < s->n - n ? 1 : weights[t - (s->n - n)];
    take(all, sequences);
    return RT_OK;
}

rt_status pipe_weights_put_answer(struct pipe_session *session,
                                  const struct pipe_text_weights *w, const char *text,
                                  bool ends, struct pipe_sequences *sequences)
{
    rt_status st;
    const struct train_sequence *s = &sequences->list[sequences->count - 1];
    float *weights = NULL;
    assert(sequences->count > 0 && (text || !w->count));
    const uint32_t prompt = s->n - train_sequence_targets(s);
    const uint32_t n = train_sequence_targets(s) - (ends ? 1 : 0);
    float *all = rt_alloc(session->ctx, s->n, sizeof *all);
    if (!all)
        return no_memory(session);
    for (uint32_t t = 0; t < s->n; t++)
        all[t] = (float)w->weight;
    TRY(pipe_weights_of(session, w, text, s->ids + prompt, text ? n : 0, &weights));
    memcpy(all + prompt, weights, (text ? n : 0) * sizeof *all);
    take(all, sequences);
    all = NULL;

fail:
    rt_free(all);
    rt_free(weights);
    return st;
}

bool pipe_weights_count(const struct train_sequence *s)
{
    if (!s->weight)
        return true;
    for (uint32_t t = 1; t < s->n; t++)
        if (s->mask[t] && s->weight[t] > 0)
            return true;
    return false;
}

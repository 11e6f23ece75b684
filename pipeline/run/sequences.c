/* pipeline/run/sequences.c
 * Prompts and answers as token sequences with masks. */
#include "pipeline/run/sequences.h"

#include <assert.h>
#include <string.h>

enum { ROWS_USUAL = 2048 }; /* of a batch of short sequences */

static rt_status no_memory(struct pipe_session *session)
{
    return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "token sequences: no memory");
}

rt_status pipe_sequences_init(struct pipe_session *session, uint32_t capacity,
                              struct pipe_sequences *out)
{
    *out = (struct pipe_sequences){ .per_item = 1, .capacity = capacity };
    out->list = rt_alloc(session->ctx, capacity, sizeof *out->list);
    return out->list ? RT_OK : no_memory(session);
}

void pipe_sequences_cut(struct pipe_sequences *s, uint32_t count)
{
    assert(count <= s->count);
    for (uint32_t i = count; i < s->count; i++) {
        rt_free((void *)(uintptr_t)s->list[i].ids);
        rt_free((void *)(uintptr_t)s->list[i].mask);
        rt_free((void *)(uintptr_t)s->list[i].ref);
        rt_free((void *)(uintptr_t)s->list[i].weight);
    }
    s->count = count;
}

void pipe_sequences_free(struct pipe_sequences *s)
{
    pipe_sequences_cut(s, 0);
    rt_free(s->list);
    *s = (struct pipe_sequences){ 0 };
}

/* Takes `prompt`, also on failure. */
static rt_status add(struct pipe_session *session, struct pipe_sequences *s,
                     uint32_t *prompt, uint32_t n_prompt, const uint32_t *tail,
                     uint32_t n_tail)
{
    struct rt_ctx *ctx = session->ctx;
    const uint32_t n = n_prompt + n_tail;
    assert(s->count < s->capacity);
    uint32_t *ids = rt_resize(ctx, prompt, n_prompt, n, sizeof *ids);
    uint8_t *mask = rt_alloc(ctx, n, 1);
    float *ref = rt_alloc(ctx, n, sizeof *ref);
    if (!ids || !mask || !ref) {
        rt_free(ids ? ids : prompt);
        rt_free(mask);
        rt_free(ref);
        return no_memory(session);
    }
    memcpy(ids + n_prompt, tail, n_tail * sizeof *ids);
    memset(mask + n_prompt, 1, n_tail);
    s->list[s->count++] =
        (struct train_sequence){ .ids = ids, .mask = mask, .n = n, .ref = ref };
    return RT_OK;
}

rt_status pipe_sequences_add(struct pipe_session *session, struct pipe_sequences *s,
                             const char *question, const char *given,
                             const uint32_t *tail, uint32_t n_tail)
{
    uint32_t *prompt = NULL, n_prompt = 0;
    const rt_status st = pipe_prompt_ids(session, question, given, &prompt, &n_prompt);
    return st == RT_OK ? add(session, s, prompt, n_prompt, tail, n_tail) : st;
}

rt_status pipe_sequences_add_ids(struct pipe_session *session, struct pipe_sequences *s,
                                 const uint32_t *ids, uint32_t n)
{
    return add(session, s, NULL, 0, ids, n);
}

rt_status pipe_sequences_add_after(struct pipe_session *session, struct pipe_sequences *s,
                                   const uint32_t *given, uint32_t n_given,
                                   const uint32_t *tail, uint32_t n_tail)
{
    uint32_t *own = rt_alloc(session->ctx, n_given + 1u, sizeof *own);
    if (!own)
        return no_memory(session);
    memcpy(own, given, n_given * sizeof *own);
    return add(session, s, own, n_given, tail, n_tail);
}

rt_status pipe_sequences_add_text(struct pipe_session *session, struct pipe_sequences *s,
                                  const char *question, const char *given,
                                  const char *text, uint32_t end_id)
{
    rt_status st;
    uint32_t *tail = NULL, n = 0;
    TRY(text_encode(session->tok, text, strlen(text), false, &tail, &n));
    if (end_id != UINT32_MAX) {
        uint32_t *more = rt_resize(session->ctx, tail, n, n + 1u, sizeof *more);
        if (!more) {
            st = no_memory(session);
            goto fail;
        }
        tail = more;
        tail[n++] = end_id;
    }
    st = pipe_sequences_add(session, s, question, given, tail, n);

fail:
    rt_free(tail);
    return st;
}

uint32_t pipe_sequences_rows(const struct pipe_sequences *s)
{
    uint64_t all = 0;
    uint32_t longest = 1;
    for (uint32_t i = 0; i < s->count; i++) {
        all += s->list[i].n;
        longest = s->list[i].n > longest ? s->list[i].n : longest;
    }
    const uint32_t usual = all < ROWS_USUAL ? (uint32_t)all : ROWS_USUAL;
    return longest > usual ? longest : usual;
}

uint32_t pipe_sequences_batch(const struct pipe_sequences *s, uint32_t first,
                              uint32_t rows, uint32_t *targets)
{
    uint32_t n = 0;
    *targets = 0;
    for (; first + n < s->count && s->list[first + n].n <= rows; n++) {
        const struct train_sequence *seq = &s->list[first + n];
        rows -= seq->n;
        *targets += train_sequence_targets(seq);
    }
    assert(n > 0 || first == s->count);
    return n;
}

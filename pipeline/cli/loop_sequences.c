/* pipeline/cli/loop_sequences.c
 * Silver Bullet items as token sequences with masks. */
#include "pipeline/cli/loop_items.h"

#include <string.h>

static rt_status no_memory(struct loop *loop)
{
    return rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
}

void loop_sequences_free(struct loop_sequences *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        rt_free((void *)(uintptr_t)s->list[i].ids);
        rt_free((void *)(uintptr_t)s->list[i].mask);
        rt_free((void *)(uintptr_t)s->list[i].ref);
    }
    rt_free(s->list);
    *s = (struct loop_sequences){ 0 };
}

/* Appends prompt ids (owned) + tail ids as a sequence whose tail counts. */
static rt_status add_sequence(struct loop *loop, uint32_t *prompt, uint32_t n_prompt,
                              const uint32_t *tail, uint32_t n_tail,
                              struct loop_sequences *out)
{
    struct rt_ctx *ctx = loop->ctx;
    const uint32_t n = n_prompt + n_tail;
    uint32_t *ids = rt_resize(ctx, prompt, n_prompt, n, sizeof *ids);
    uint8_t *mask = rt_alloc(ctx, n, 1);
    float *ref = rt_alloc(ctx, n, sizeof *ref);
    if (!ids || !mask || !ref) {
        rt_free(ids ? ids : prompt);
        rt_free(mask);
        rt_free(ref);
        return no_memory(loop);
    }
    memcpy(ids + n_prompt, tail, n_tail * sizeof *ids);
    memset(mask + n_prompt, 1, n_tail);
    out->list[out->count++] =
        (struct train_sequence){ .ids = ids, .mask = mask, .n = n, .ref = ref };
    return RT_OK;
}

/* A step as text after a prompt, with the stop token where it ends the answer. */
static rt_status add_step(struct loop *loop, const char *prompt_text, const char *step,
                          struct loop_sequences *out)
{
    rt_status st;
    uint32_t *prompt = NULL, *tail = NULL, n_prompt, n_tail;
    TRY(text_encode(loop->tok, prompt_text, strlen(prompt_text), true, &prompt,
                    &n_prompt));
    TRY(text_encode(loop->tok, step, strlen(step), false, &tail, &n_tail));
    if (!strchr(step, '\n')) {
        uint32_t *more = rt_resize(loop->ctx, tail, n_tail, n_tail + 1u, sizeof *more);
        if (!more) {
            st = no_memory(loop);
            goto fail;
        }
        tail = more;
        tail[n_tail++] = loop->stop_id;
    }
    st = add_sequence(loop, prompt, n_prompt, tail, n_tail, out);
    prompt = NULL;

fail:
    rt_free(prompt);
    rt_free(tail);
    return st;
}

/* Whole answers keep the tokens that full gave. */
static rt_status add_whole(struct loop *loop, const char *prompt_text,
                           const struct loop_answer *answer, struct loop_sequences *out)
{
    uint32_t *prompt = NULL, n = 0;
    const rt_status st =
        text_encode(loop->tok, prompt_text, strlen(prompt_text), true, &prompt, &n);
    return st == RT_OK ? add_sequence(loop, prompt, n, answer->ids, answer->n, out) : st;
}

rt_status loop_set_sequences(struct loop *loop, const struct loop_material *material,
                             const struct loop_set *set, struct loop_sequences *out)
{
    rt_status st = RT_OK;
    *out = (struct loop_sequences){ .per_item = 1 };
    out->list = rt_alloc(loop->ctx, 2u * set->curated.count, sizeof *out->list);
    if (!out->list)
        return no_memory(loop);
    for (uint32_t i = 0; i < set->curated.count && st == RT_OK; i++) {
        const uint32_t at = set->curated.picked[i];
        const struct pipe_item *item = &set->all[at].item;
        if (!item->rejected) {
            st =
                add_whole(loop, item->prompt, &material->f->items[set->problem[at]], out);
            continue;
        }
        out->per_item = 2;
        st = add_step(loop, item->prompt, item->chosen, out);
        if (st == RT_OK)
            st = add_step(loop, item->prompt, item->rejected, out);
    }
    return st;
}

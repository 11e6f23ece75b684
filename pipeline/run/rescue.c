/* pipeline/run/rescue.c
 * Where an answer that repeats itself is taken back to. */
#include "pipeline/run/rescue.h"

#include "runtime/engine/engine.h"
#include "runtime/text/tokenizer.h"

#include <assert.h>
#include <math.h>

static void feed(struct pipe_repetition *seen, const struct text_tokenizer *tok,
                 const uint32_t *ids, uint32_t n)
{
    while (seen->tokens < n) {
        size_t size = 0;
        const char *bytes = text_token_bytes(tok, ids[seen->tokens], &size);
        pipe_repetition_feed(seen, ids, bytes, size);
    }
}

/* A token that the model chose: none that was forced, none that was replaced. */
static bool was_chosen(float margin)
{
    return isfinite(margin) && !signbit(margin);
}

/* The least sure token of a range; false: none of it was chosen. */
static bool least_sure(const struct rt_answer *a, struct pipe_token_range range,
                       uint32_t *out)
{
    bool found = false;
    assert(range.to <= a->n_gen);
    for (uint32_t i = range.from; i < range.to; i++)
        if (was_chosen(a->margin[i]) && (!found || a->margin[i] < a->margin[*out])) {
            *out = i;
            found = true;
        }
    return found;
}

bool pipe_rescue_feed(struct pipe_rescue *r, const struct text_tokenizer *tok,
                      const struct rt_answer *so_far, uint32_t *to)
{
    struct pipe_token_range first;
    if (r->left == 0)
        return false;
    feed(&r->seen, tok, so_far->ids, so_far->n_gen);
    if (!pipe_repetition_found(&r->seen, &first) || !least_sure(so_far, first, to))
        return false;
    r->left--;
    r->made++;
    r->thrown += so_far->n_gen - *to;
    r->seen = (struct pipe_repetition){ 0 };
    feed(&r->seen, tok, so_far->ids, *to);
    return true;
}

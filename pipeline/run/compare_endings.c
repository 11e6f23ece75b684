/* pipeline/run/compare_endings.c
 * Counts pairs in which the answers of quant and restored both end properly. */
#include "pipeline/run/compare_endings.h"

#include "pipeline/prompt/prompt_format.h"
#include "runtime/base/text_set.h"
#include "store/queries.h"

#include <assert.h>

struct endings {
    struct rt_ctx *ctx;
    struct pipe_comparison *c;
    struct pipe_text_set index; /* of pairs, by sample and problem */
    struct pipe_pool keys;
    uint8_t *ended; /* [c->n]: answers of the pair that end properly */
    uint32_t read;  /* pairs */
    bool unknown;   /* some answer has no tokens */
};

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
}

static rt_status take_key(void *user, const struct store_row *row)
{
    struct endings *e = user;
    bool is_new;
    if (e->read == e->c->n)
        return RT_OK;
    const char *key = pipe_pool_format(e->ctx, &e->keys, "%lld %s",
                                       (long long)store_row_integer(row, PIPE_SIDES + 1),
                                       store_row_text(row, PIPE_SIDES));
    if (!key)
        return no_memory(e->ctx);
    return pipe_text_set_add(e->ctx, &e->index, key, e->read++, &is_new, NULL);
}

static rt_status take_answer(void *user, const struct store_answer *a)
{
    struct endings *e = user;
    uint32_t at;
    char *key = rt_format(e->ctx, "%lld %s", (long long)a->sample, a->problem_id);
    if (!key)
        return no_memory(e->ctx);
    const bool paired = pipe_text_set_find(&e->index, key, &at);
    rt_free(key);
    if (!paired)
        return RT_OK;
    e->unknown |= !a->ids && a->finish != PIPE_FINISH_ERROR;
    e->ended[at] +=
        pipe_answer_ends(a->ids, a->ids ? a->n_gen : 0, a->finish, a->extract_ok);
    return RT_OK;
}

static void count(struct endings *e)
{
    struct pipe_comparison *c = e->c;
    int32_t gain = 0, ended = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        const int32_t more = (int32_t)c->right[2][i] - (int32_t)c->right[1][i];
        gain += more;
        ended += e->ended[i] == 2 ? more : 0;
    }
    c->endings = (struct pipe_endings){ .known = true,
                                        .gain = gain,
                                        .gain_ended = ended,
                                        .marked = pipe_gain_by_ending(gain, ended) };
}

rt_status pipe_compare_endings(struct rt_ctx *ctx, struct store *store,
                               struct pipe_comparison *c)
{
    rt_status st;
    struct endings e = { .ctx = ctx, .c = c };
    assert(c->found == PIPE_SIDES && c->n > 0);
    e.ended = rt_alloc(ctx, c->n, sizeof *e.ended);
    if (!e.ended) {
        st = no_memory(ctx);
        goto fail;
    }
    TRY(store_pair_rows(store, c->id, take_key, &e));
    TRY(store_each_answer(store, c->sides[1].run, take_answer, &e));
    TRY(store_each_answer(store, c->sides[2].run, take_answer, &e));
    if (!e.unknown)
        count(&e);

fail:
    pipe_text_set_deinit(&e.index);
    pipe_pool_deinit(&e.keys);
    rt_free(e.ended);
    return st;
}

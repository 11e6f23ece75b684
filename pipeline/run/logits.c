/* pipeline/run/logits.c
 * A scorer is made anew where a sequence is longer than all before it. */
#include "pipeline/run/logits.h"

#include "runtime/observe/score.h"

#include <math.h>

struct pipe_logits {
    struct rt_ctx *ctx;
    const char *path; /* borrowed */
    struct rt_model *model;
    struct rt_adapter *adapter;
    struct rt_scorer *scorer;
    float *values; /* [rows][vocab] */
    uint32_t rows;
};

rt_status pipe_logits_create(struct rt_ctx *ctx, const struct pipe_logits_options *o,
                             struct pipe_logits **out)
{
    rt_status st;
    const uint32_t positions =
        o->sequence_max > RT_POSITIONS_DEFAULT ? o->sequence_max : 0;
    struct pipe_logits *l = rt_alloc(ctx, 1, sizeof *l);
    *out = l;
    if (!l)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to load a model");
    l->ctx = ctx;
    l->path = o->model;
    TRY(rt_model_load(o->dev, o->model, positions, &l->model));
    if (o->adapter)
        TRY(rt_adapter_load(l->model, o->adapter, &l->adapter));
    return RT_OK;

fail:
    pipe_logits_destroy(out);
    return st;
}

void pipe_logits_destroy(struct pipe_logits **logits)
{
    struct pipe_logits *l = *logits;
    if (!l)
        return;
    rt_scorer_destroy(&l->scorer);
    rt_adapter_destroy(&l->adapter);
    rt_model_destroy(&l->model);
    rt_free(l->values);
    rt_free(l);
    *logits = NULL;
}

uint32_t pipe_logits_vocab(const struct pipe_logits *l)
{
    return rt_model_config(l->model)->vocab;
}

static rt_status reserve(struct pipe_logits *l, uint32_t rows)
{
    if (rows <= l->rows)
        return RT_OK;
    rt_scorer_destroy(&l->scorer);
    rt_free(l->values);
    l->rows = 0;
    l->values = rt_alloc(l->ctx, (size_t)rows * pipe_logits_vocab(l), sizeof *l->values);
    if (!l->values)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no memory for %u rows of logits",
                       rows);
    const rt_status st = rt_scorer_create(l->model, l->adapter, NULL, rows, &l->scorer);
    l->rows = st == RT_OK ? rows : 0;
    return st;
}

rt_status pipe_logits_run(struct pipe_logits *l, const char *from, const uint32_t *ids,
                          uint32_t n, const float **out)
{
    const uint32_t vocab = rt_model_config(l->model)->vocab;
    const uint32_t positions = rt_model_positions(l->model);
    *out = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] >= vocab)
            return rt_fail(l->ctx, RT_ERR_USAGE, "%s: '%s' has no id %u, only 0 to %u",
                           from, l->path, ids[i], vocab - 1);
    if (n > positions)
        return rt_fail(l->ctx, RT_ERR_USAGE,
                       "%s: %u ids are more than the %u positions '%s' is loaded with",
                       from, n, positions, l->path);
    rt_status st = reserve(l, n);
    if (st == RT_OK)
        st = rt_scorer_logits(l->scorer, ids, n, l->values);
    *out = st == RT_OK ? l->values : NULL;
    return st;
}

uint32_t pipe_logits_top(const float *row, uint32_t vocab, uint32_t k,
                         struct pipe_likely *out)
{
    uint32_t n = 0;
    double sum = 0;
    for (uint32_t v = 0; v < vocab; v++) {
        if (n == k && !(row[v] > row[out[n - 1].id]))
            continue;
        uint32_t at = n < k ? n++ : k - 1;
        for (; at > 0 && row[v] > row[out[at - 1].id]; at--)
            out[at] = out[at - 1];
        out[at].id = v;
    }
    for (uint32_t v = 0; v < vocab; v++)
        sum += exp((double)row[v] - row[out[0].id]);
    for (uint32_t i = 0; i < n; i++)
        out[i].logprob = (double)row[out[i].id] - row[out[0].id] - log(sum);
    return n;
}

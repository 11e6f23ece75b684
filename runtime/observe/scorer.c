/* runtime/observe/scorer.c
 * Teacher-forced passes without gradients. Recordings are made per batch: these runs
 * are few. */
#include "runtime/observe/batch.h"
#include "runtime/observe/score.h"

#include <assert.h>
#include <string.h>

enum { CHUNK_MAX = 256 };

struct rt_scorer {
    uint32_t chunk;             /* rows of logits at a time: as one binding can hold */
    struct rt_model *model;     /* borrowed */
    struct rt_adapter *adapter; /* borrowed, may be null */
    struct rt_model *other;     /* borrowed, may be null */
    struct batch batch;
    struct model_pass pass, other_pass;
    struct rt_buffer *x, *hx, *hn, *logits;
    struct rt_buffer *other_x, *other_hn, *other_logits;
    struct rt_buffer *stat, *kl; /* READBACK, 8 and 4 words a target */
    struct rt_buffer *zero;      /* UPLOAD float [targets], stays 0 */
};

static rt_status create_buffers(struct rt_scorer *s)
{
    rt_status st;
    const struct rt_model *m = s->model;
    struct rt_device *dev = m->dev;
    const uint64_t rows = (uint64_t)s->batch.rows_max * m->ld_hidden * 4;
    const uint64_t logits = (uint64_t)s->chunk * m->ld_vocab * 4;
    TRY(model_pass_init(&s->pass, s->model, s->adapter, s->batch.rows_max, false));
    TRY(model_buffer(dev, "score x", rows, RT_MEMORY_DEVICE, &s->x));
    TRY(model_buffer(dev, "score hx", rows, RT_MEMORY_DEVICE, &s->hx));
    TRY(model_buffer(dev, "score hn", rows, RT_MEMORY_DEVICE, &s->hn));
    TRY(model_buffer(dev, "score logits", logits, RT_MEMORY_READBACK, &s->logits));
    TRY(model_buffer(dev, "score stat", s->batch.targets_max * 32ull, RT_MEMORY_READBACK,
                     &s->stat));
    if (!s->other)
        return RT_OK;
    TRY(model_pass_init(&s->other_pass, s->other, NULL, s->batch.rows_max, false));
    TRY(model_buffer(dev, "score other x", rows, RT_MEMORY_DEVICE, &s->other_x));
    TRY(model_buffer(dev, "score other hn", rows, RT_MEMORY_DEVICE, &s->other_hn));
    TRY(model_buffer(dev, "score other logits", logits, RT_MEMORY_DEVICE,
                     &s->other_logits));
    TRY(model_buffer(dev, "score kl", s->batch.targets_max * 16ull, RT_MEMORY_READBACK,
                     &s->kl));
    TRY(model_buffer(dev, "score weight", s->batch.targets_max * 4ull, RT_MEMORY_UPLOAD,
                     &s->zero));
    return RT_OK;

fail:
    return st;
}

void rt_scorer_as_training(struct rt_scorer *s)
{
    s->pass.may_round = s->other_pass.may_round = true;
}

rt_status rt_scorer_create(struct rt_model *model, struct rt_adapter *adapter,
                           struct rt_model *other, uint32_t rows, struct rt_scorer **out)
{
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    if (other &&
        (other->dev != model->dev || other->config.vocab != model->config.vocab ||
         other->ld_hidden != model->ld_hidden))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "two models can be compared only with the same "
                       "shape and on the same device");
    rt_status st;
    struct rt_scorer *s = rt_alloc(ctx, 1, sizeof *s);
    if (!s)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "scorer: no host memory");
    s->model = model;
    s->adapter = adapter;
    s->other = other;
    const uint64_t fit =
        rt_device_plan(model->dev)->binding_bytes_max / (model->ld_vocab * 4ull);
    s->chunk = fit >= CHUNK_MAX ? CHUNK_MAX : (uint32_t)fit / RT_ROW_PAD * RT_ROW_PAD;
    if (s->chunk == 0)
        s->chunk = RT_ROW_PAD; /* refused with the numbers when the buffer is made */
    TRY(batch_init(&s->batch, model->dev, rows, rows));
    TRY(create_buffers(s));
    *out = s;
    return RT_OK;

fail:
    rt_scorer_destroy(&s);
    return st;
}

void rt_scorer_destroy(struct rt_scorer **ps)
{
    struct rt_scorer *s = *ps;
    if (!s)
        return;
    struct rt_buffer **owned[] = {
        &s->x,        &s->hx,           &s->hn,   &s->logits, &s->other_x,
        &s->other_hn, &s->other_logits, &s->stat, &s->kl,     &s->zero
    };
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
    model_pass_deinit(&s->pass);
    model_pass_deinit(&s->other_pass);
    batch_deinit(&s->batch);
    rt_free(s);
    *ps = NULL;
}

static struct rt_slice rows_at(struct rt_buffer *buffer, uint32_t row, uint32_t words)
{
    return model_slice_at(buffer, (uint64_t)row * words * 4);
}

static void record_forward(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                           struct rt_buffer *x)
{
    const struct model_cache contiguous = { 0 };
    model_record_embed(pass, list, rows, x);
    for (uint32_t l = 0; l < pass->model->config.layers; l++)
        model_record_layer(pass, list, l, rows, &contiguous, x, x);
}

static void record_hidden(struct rt_scorer *s, struct rt_list *list, struct rt_model *m,
                          struct rt_buffer *x, struct rt_buffer *hn)
{
    const uint32_t n = s->batch.targets_padded;
    model_record_gather(m, list, n, model_slice(s->batch.index), model_slice(x),
                        model_slice(s->hx));
    model_record_final_norm(m, list, n, model_slice(s->hx), model_slice(hn));
}

/* logits, statistics and KL of target rows [first, first + n). */
static void record_chunk(struct rt_scorer *s, struct rt_list *list, uint32_t first,
                         uint32_t n)
{
    const struct rt_model *m = s->model;
    assert(n > 0 && n <= s->chunk && first + n <= s->batch.targets_max);
    model_record_head(m, list, n, rows_at(s->hn, first, m->ld_hidden),
                      model_slice(s->logits));
    const struct logits_stat_push stat = { .rows = n,
                                           .vocab = m->config.vocab,
                                           .ldl = m->ld_vocab };
    const struct rt_slice stat_slices[] = { model_slice(s->logits),
                                            rows_at(s->batch.target, first, 1),
                                            rows_at(s->stat, first, 8) };
    rt_list_op(list, RT_OP_logits_stat, &stat, stat_slices);
    if (!s->other)
        return;
    model_record_head(s->other, list, n, rows_at(s->other_hn, first, m->ld_hidden),
                      model_slice(s->other_logits));
    const struct kl_push kl = {
        .rows = n, .vocab = m->config.vocab, .ldl = m->ld_vocab, .inv_temp = 1.0f
    };
    const struct rt_slice kl_slices[] = { model_slice(s->other_logits),
                                          rows_at(s->zero, first, 1),
                                          model_slice(s->logits),
                                          rows_at(s->kl, first, 4) };
    rt_list_op(list, RT_OP_kl, &kl, kl_slices);
}

static void read_out(struct rt_scorer *s, const struct score_out *out)
{
    const uint32_t *word = rt_buffer_map(s->stat);
    const float *value = rt_buffer_map(s->stat);
    const float *kl = s->other ? rt_buffer_map(s->kl) : NULL;
    for (uint32_t i = 0; i < s->batch.targets; i++, word += 8, value += 8) {
        const bool is_best = word[5] == word[0];
        if (out->logprob)
            out->logprob[i] = value[6] - value[4];
        if (out->margin)
            out->margin[i] = value[6] - (is_best ? value[3] : value[2]);
        if (out->best)
            out->best[i] = word[0];
        if (kl && out->kl)
            out->kl[i] = kl[4 * i];
        if (kl && out->same)
            out->same[i] = ((const uint32_t *)kl)[4 * i + 3] != 0;
    }
}

static rt_status run_list(struct rt_scorer *s, struct rt_list *list)
{
    rt_status st;
    TRY(rt_list_end(list));
    TRY(rt_submit(s->model->dev, list));
    TRY(rt_wait(s->model->dev));
    return RT_OK;

fail:
    return st;
}

rt_status rt_scorer_run(struct rt_scorer *s, const struct train_sequence *batch,
                        uint32_t count, const struct score_out *out)
{
    rt_status st;
    struct rt_list *list = NULL;
    TRY(batch_fill(&s->batch, rt_device_ctx(s->model->dev), batch, count, &s->pass,
                   s->other ? &s->other_pass : NULL));
    TRY(rt_list_create(s->model->dev, "score", &list));
    record_forward(&s->pass, list, s->batch.rows_padded, s->x);
    record_hidden(s, list, s->model, s->x, s->hn);
    if (s->other) {
        record_forward(&s->other_pass, list, s->batch.rows_padded, s->other_x);
        record_hidden(s, list, s->other, s->other_x, s->other_hn);
    }
    for (uint32_t first = 0; first < s->batch.targets_padded; first += s->chunk) {
        const uint32_t left = s->batch.targets_padded - first;
        record_chunk(s, list, first, left < s->chunk ? left : s->chunk);
    }
    TRY(run_list(s, list));
    read_out(s, out);
    rt_list_destroy(&list);
    return RT_OK;

fail:
    rt_list_destroy(&list);
    return st;
}

rt_status rt_scorer_instead(struct rt_scorer *s, uint32_t target, const uint32_t *tokens,
                            uint32_t count, double *out)
{
    rt_status st;
    const struct rt_model *m = s->model;
    const uint32_t first = target / RT_ROW_PAD * RT_ROW_PAD, row = target - first;
    struct rt_list *list = NULL;
    assert(target < s->batch.targets && row < s->chunk);
    TRY(rt_list_create(m->dev, "instead", &list));
    model_record_head(m, list, row + 1, rows_at(s->hn, first, m->ld_hidden),
                      model_slice(s->logits));
    TRY(run_list(s, list));
    const float *logits =
        (const float *)rt_buffer_map(s->logits) + (size_t)row * m->ld_vocab;
    const float *stat = (const float *)rt_buffer_map(s->stat) + (size_t)target * 8;
    for (uint32_t k = 0; k < count; k++)
        out[k] = (double)(logits[tokens[k]] - stat[4]);

fail:
    rt_list_destroy(&list);
    return st;
}

/* Rows [first, first + n) of the prepared hidden states to logits in `out`. */
static rt_status read_logits(struct rt_scorer *s, uint32_t first, uint32_t n, float *out)
{
    rt_status st;
    const struct rt_model *m = s->model;
    struct rt_list *list = NULL;
    TRY(rt_list_create(m->dev, "logits", &list));
    model_record_final_norm(m, list, n, rows_at(s->x, first, m->ld_hidden),
                            rows_at(s->hn, first, m->ld_hidden));
    model_record_head(m, list, n, rows_at(s->hn, first, m->ld_hidden),
                      model_slice(s->logits));
    TRY(run_list(s, list));
    const float *logits = rt_buffer_map(s->logits);
    for (uint32_t r = 0; r < n; r++)
        memcpy(out + (size_t)r * m->config.vocab, logits + (size_t)r * m->ld_vocab,
               m->config.vocab * sizeof *out);
    rt_list_destroy(&list);
    return RT_OK;

fail:
    rt_list_destroy(&list);
    return st;
}

rt_status rt_scorer_logits(struct rt_scorer *s, const uint32_t *ids, uint32_t n,
                           float *out)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(s->model->dev);
    struct rt_list *list = NULL;
    /* A sequence takes one row less than it has tokens: repeat the last one. */
    uint32_t *longer = rt_alloc(ctx, n + 1u, sizeof *longer);
    uint8_t *mask = rt_alloc(ctx, n + 1u, 1);
    if (!longer || !mask) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "logits: no host memory for %u tokens", n);
        goto fail;
    }
    memcpy(longer, ids, n * sizeof *ids);
    const struct train_sequence sequence = { .ids = longer, .mask = mask, .n = n + 1 };
    TRY(batch_fill(&s->batch, ctx, &sequence, 1, &s->pass, NULL));
    TRY(rt_list_create(s->model->dev, "logits", &list));
    record_forward(&s->pass, list, s->batch.rows_padded, s->x);
    TRY(run_list(s, list));
    for (uint32_t first = 0; first < n; first += s->chunk) {
        const uint32_t count = n - first < s->chunk ? n - first : s->chunk;
        TRY(read_logits(s, first, count, out + (size_t)first * s->model->config.vocab));
    }
    st = RT_OK;

fail:
    rt_list_destroy(&list);
    rt_free(longer);
    rt_free(mask);
    return st;
}

/* runtime/train/trainer.c
 * One optimizer step is two submissions: the gradient of a batch (forward, loss,
 * recomputing backward, gradient norm) and the update (AdamW, packing of the adapter).
 * The recording of a gradient depends on the padded row and target counts only and is
 * kept, so that later batches of the same size record nothing. */
#include "runtime/train/trainer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void train_options_default(struct train_options *options)
{
    *options = (struct train_options){
        .loss = TRAIN_KL,
        .preference = DPO_SIGMOID,
        .beta = 0.1f,
        .temperature = 1.0f,
        .lr = 5e-4f,
        .beta1 = 0.9f,
        .beta2 = 0.99f,
        .eps = 1e-8f,
        .clip = 1.0f,
    };
}

/* ---- recording ---- */

static struct rt_slice rows_at(struct rt_buffer *buffer, uint32_t row, uint32_t words)
{
    return model_slice_at(buffer, (uint64_t)row * words * 4);
}

/* logits of target rows [first, first + n), into the chunk buffer. */
static void record_logits(struct rt_trainer *t, struct rt_list *list, uint32_t first,
                          uint32_t n)
{
    const struct rt_model *m = t->model;
    model_record_head(m, list, n, rows_at(t->hn, first, m->ld_hidden),
                      model_slice(t->logits));
}

static void record_stat(struct rt_trainer *t, struct rt_list *list, uint32_t first,
                        uint32_t n)
{
    const struct rt_model *m = t->model;
    const struct logits_stat_push push = { .rows = n,
                                           .vocab = m->config.vocab,
                                           .ldl = m->ld_vocab };
    const struct rt_slice slices[] = { model_slice(t->logits),
                                       rows_at(t->batch.target, first, 1),
                                       rows_at(t->stat, first, 8) };
    rt_list_op(list, RT_OP_logits_stat, &push, slices);
}

static void record_ce_back(struct rt_trainer *t, struct rt_list *list, uint32_t first,
                           uint32_t n)
{
    const struct rt_model *m = t->model;
    const struct ce_back_push push = { .rows = n,
                                       .vocab = m->config.vocab,
                                       .ldl = m->ld_vocab };
    const struct rt_slice slices[] = { rows_at(t->stat, first, 8),
                                       rows_at(t->seed, first, 1), model_slice(m->none),
                                       model_slice(t->logits) };
    rt_list_op(list, RT_OP_ce_back, &push, slices);
}

static void record_kl(struct rt_trainer *t, struct rt_list *list, uint32_t first,
                      uint32_t n)
{
    const struct rt_model *m = t->model;
    model_record_head(t->teacher, list, n, rows_at(t->teacher_hn, first, m->ld_hidden),
                      model_slice(t->teacher_logits));
    const struct kl_push push = {
        .rows = n,
        .vocab = m->config.vocab,
        .ldl = m->ld_vocab,
        .inv_temp = t->options.temperature > 0 ? 1.0f / t->options.temperature : 1.0f,
        .want_grad = 1,
    };
    const struct rt_slice slices[] = { model_slice(t->teacher_logits),
                                       rows_at(t->seed, first, 1), model_slice(t->logits),
                                       rows_at(t->stat, first, 4) };
    rt_list_op(list, RT_OP_kl, &push, slices);
}

/* The chunk's d logits, through the head, into dhn. */
static void record_head_back(struct rt_trainer *t, struct rt_list *list, uint32_t first,
                             uint32_t n)
{
    const struct rt_model *m = t->model;
    for (uint32_t i = 0; i < m->head.count; i++) {
        const struct backward_product product = {
            .dy = model_slice(t->logits),
            .dx = rows_at(t->dhn, first, m->ld_hidden),
            .lddy = m->ld_vocab,
            .offdy = i * m->head.part_rows,
            .lddx = m->ld_hidden,
            .accumulate = i > 0,
        };
        backward_record_weight(m, list, n, &m->head.part[i], t->head_scratch, NULL, NULL,
                               &product);
    }
}

static void record_dpo(struct rt_trainer *t, struct rt_list *list, uint32_t pairs)
{
    rt_list_zero(list, model_slice(t->seed));
    const struct dpo_push push = { .pairs = pairs,
                                   .loss = t->options.preference,
                                   .beta = t->options.beta,
                                   .sft = t->options.sft,
                                   .sft_norm = t->options.sft_norm };
    const struct rt_slice slices[] = { model_slice(t->stat), model_slice(t->ref),
                                       model_slice(t->pair), model_slice(t->model->none),
                                       model_slice(t->seed), model_slice(t->pair_out) };
    rt_list_op(list, RT_OP_dpo, &push, slices);
}

/* Loss and the gradient of the last layer's output; logits exist a chunk at a time.
 * Pair losses need all log-probabilities first, so their logits are computed twice
 * unless one chunk holds them all. */
static void record_loss(struct rt_trainer *t, struct rt_list *list, uint32_t targets,
                        uint32_t pairs)
{
    const bool two_passes = t->options.loss == TRAIN_DPO;
    const bool one_chunk = targets <= t->chunk;
    for (uint32_t first = 0; two_passes && first < targets; first += t->chunk) {
        const uint32_t n = targets - first < t->chunk ? targets - first : t->chunk;
        record_logits(t, list, first, n);
        record_stat(t, list, first, n);
    }
    if (two_passes)
        record_dpo(t, list, pairs);
    for (uint32_t first = 0; first < targets; first += t->chunk) {
        const uint32_t n = targets - first < t->chunk ? targets - first : t->chunk;
        if (!two_passes || !one_chunk)
            record_logits(t, list, first, n);
        if (t->options.loss == TRAIN_KL) {
            record_kl(t, list, first, n);
        } else {
            if (!two_passes)
                record_stat(t, list, first, n);
            record_ce_back(t, list, first, n);
        }
        record_head_back(t, list, first, n);
    }
}

static void record_teacher(struct rt_trainer *t, struct rt_list *list, uint32_t rows,
                           uint32_t targets)
{
    const struct model_cache contiguous = { 0 };
    model_record_embed(&t->teacher_pass, list, rows, t->teacher_x);
    for (uint32_t l = 0; l < t->teacher->config.layers; l++)
        model_record_layer(&t->teacher_pass, list, l, rows, &contiguous, t->teacher_x,
                           t->teacher_x);
    model_record_gather(t->teacher, list, targets, model_slice(t->batch.index),
                        model_slice(t->teacher_x), model_slice(t->hx));
    model_record_final_norm(t->teacher, list, targets, model_slice(t->hx),
                            model_slice(t->teacher_hn));
}

static void record_norm_of_gradient(struct rt_trainer *t, struct rt_list *list)
{
    if (t->part_count > 1)
        rt_list_zero(list, model_slice(t->partial)); /* what lies between two parts */
    for (uint32_t i = 0; i < t->part_count; i++) {
        const struct trainer_part *part = &t->parts[i];
        const struct sumsq_push sumsq = { .count = (uint32_t)part->floats };
        const struct rt_slice sumsq_slices[] = {
            model_slice(part->grads), model_slice_at(t->partial, part->partial * 4ull)
        };
        rt_list_op(list, RT_OP_sumsq, &sumsq, sumsq_slices);
    }
    const struct clip_push clip = { .count = t->partials, .max_norm = t->options.clip };
    const struct rt_slice clip_slices[] = { model_slice(t->partial),
                                            model_slice(t->clip_state) };
    rt_list_op(list, RT_OP_clip, &clip, clip_slices);
}

static rt_status record_gradient(struct rt_trainer *t, uint32_t rows, uint32_t targets,
                                 uint32_t pairs, struct rt_list **out)
{
    rt_status st;
    const struct rt_model *m = t->model;
    struct rt_list *list = NULL;
    TRY(rt_list_create(m->dev, "training step", &list));
    for (uint32_t i = 0; i < t->part_count; i++)
        rt_list_zero(list, model_slice(t->parts[i].grads));
    if (t->teacher)
        record_teacher(t, list, rows, targets);
    backward_record_forward(&t->backward, list, rows);
    model_record_gather(m, list, targets, model_slice(t->batch.index),
                        model_slice(t->backward.x[m->config.layers]), model_slice(t->hx));
    model_record_final_norm(m, list, targets, model_slice(t->hx), model_slice(t->hn));
    record_loss(t, list, targets, pairs);

    const struct rmsnorm_back_push norm = {
        .rows = targets,
        .cols = m->config.hidden,
        .heads = 1,
        .ldx = m->ld_hidden,
        .lddy = m->ld_hidden,
        .lddx = m->ld_hidden,
        .eps = m->config.rms_eps,
    };
    const struct rt_slice norm_slices[] = { model_slice(t->hx),
                                            model_slice(m->norm_final),
                                            model_slice(t->dhn), model_slice(t->dhx) };
    rt_list_op(list, RT_OP_rmsnorm_back, &norm, norm_slices);
    model_record_gather(m, list, rows, model_slice(t->batch.inverse), model_slice(t->dhx),
                        model_slice(t->backward.g));
    backward_record(&t->backward, list, rows);
    record_norm_of_gradient(t, list);
    TRY(rt_list_end(list));
    *out = list;
    return RT_OK;

fail:
    rt_list_destroy(&list);
    return st;
}

/* The recording for these sizes, made at first use. */
static rt_status gradient_list(struct rt_trainer *t, uint32_t pairs, struct rt_list **out)
{
    rt_status st;
    const uint32_t rows = t->batch.rows_padded, targets = t->batch.targets_padded;
    for (uint32_t i = 0; i < t->recording_count; i++) {
        const struct trainer_recording *r = &t->recordings[i];
        if (r->rows == rows && r->targets == targets && r->pairs == pairs) {
            *out = r->list;
            return RT_OK;
        }
    }
    /* Full: the oldest makes room. */
    struct trainer_recording *r = &t->recordings[t->recording_next];
    rt_list_destroy(&r->list);
    *r = (struct trainer_recording){ 0 }; /* found by nobody, should recording fail */
    TRY(record_gradient(t, rows, targets, pairs, &r->list));
    r->rows = rows;
    r->targets = targets;
    r->pairs = pairs;
    t->recording_next = (t->recording_next + 1) % TRAINER_RECORDINGS;
    if (t->recording_count < TRAINER_RECORDINGS)
        t->recording_count++;
    *out = r->list;
    return RT_OK;

fail:
    return st;
}

/* ---- a step ---- */

/* The share of every target in a mean over targets, by their weights; padding has 0. */
static void fill_shares(struct rt_trainer *t, const struct train_sequence *batch,
                        uint32_t count)
{
    float *seed = rt_buffer_map(t->seed);
    uint32_t at = 0;
    double all = 0;
    for (uint32_t s = 0; s < count; s++)
        for (uint32_t k = 1; k < batch[s].n; k++)
            if (batch[s].mask[k])
                all += (double)(seed[at++] = batch[s].weight ? batch[s].weight[k] : 1.0f);
    assert(at == t->batch.targets && all > 0);
    const float each = (t->options.loss == TRAIN_KL ? 1.0f : -1.0f) / (float)all;
    for (uint32_t i = 0; i < t->batch.targets_padded; i++)
        seed[i] = i < at ? seed[i] * each : 0;
}

/* Uploads what the loss needs besides tokens: seeds, or pair ranges and reference. */
static void fill_loss(struct rt_trainer *t, const struct train_sequence *batch,
                      uint32_t count)
{
    if (t->options.loss != TRAIN_DPO) {
        fill_shares(t, batch, count);
        return;
    }
    uint32_t *pair = rt_buffer_map(t->pair);
    float *ref = rt_buffer_map(t->ref);
    uint32_t at = 0;
    for (uint32_t s = 0; s < count; s++) {
        const uint32_t first = at;
        for (uint32_t k = 1; k < batch[s].n; k++)
            if (batch[s].mask[k])
                ref[at++] = batch[s].ref ? batch[s].ref[k] : 0.0f;
        pair[2 * s] = first;
        pair[2 * s + 1] = at - first;
    }
}

static void measure_tokens(struct rt_trainer *t, struct train_metrics *out)
{
    const float *stat = rt_buffer_map(t->stat), *seed = rt_buffer_map(t->seed);
    double sum = 0, all = 0;
    for (uint32_t i = 0; i < t->batch.targets; i++) {
        const double share = fabs((double)seed[i]);
        const float own =
            t->options.loss == TRAIN_KL ? stat[4 * i] : stat[8 * i + 4] - stat[8 * i + 6];
        sum += share * (double)own;
        all += share;
    }
    out->loss = sum / all;
}

static void measure_pairs(struct rt_trainer *t, uint32_t pairs, struct train_metrics *out)
{
    const float *row = rt_buffer_map(t->pair_out);
    const double share = 1.0 / pairs;
    for (uint32_t i = 0; i < pairs; i++, row += 8) {
        out->loss += share * ((double)row[0] + (double)t->options.sft * (double)row[6]);
        out->margin += share * (double)row[3];
        out->accuracy += row[3] > 0 ? share : 0;
        out->logp_chosen += share * (double)row[4];
        out->logp_rejected += share * (double)row[5];
        out->sft += share * (double)row[6];
    }
}

/* Lengths that the device's loops do not reach: rt_plan.loop_rounds_max. */
static rt_status check_lengths(const struct rt_trainer *t,
                               const struct train_sequence *batch, uint32_t count,
                               uint32_t pairs)
{
    const struct rt_device *dev = t->model->dev;
    const struct fmt_config *c = &t->model->config;
    const uint32_t rounds = rt_device_plan(dev)->loop_rounds_max;
    const uint32_t most =
        rt_plan_gradient_rows_max(rt_device_plan(dev), c->heads / c->kv_heads);
    for (uint32_t s = 0; s < count; s++)
        if (batch[s].n > 1 && batch[s].n - 1 > most)
            return batch_too_long(rt_device_ctx(dev), dev, "the gradient of attention", s,
                                  batch[s].n, most);
    /* `dpo` walks the pairs, and the targets of its own pair twice; several pairs do it
     * together, so that the longest of either side count. */
    uint32_t longest[2] = { 0, 0 };
    for (uint32_t s = 0; s < count; s++)
        if (batch[s].n > longest[s % 2])
            longest[s % 2] = batch[s].n;
    const uint64_t needed = pairs + 2ull * (longest[0] + (uint64_t)longest[1]);
    if (rounds && pairs && needed > rounds)
        return rt_fail(rt_device_ctx(dev), RT_ERR_NO_DEVICE,
                       "the longest pair of the batch has %u and %u tokens: the loss of "
                       "pairs on '%s' serves at most %u together, its driver ends longer "
                       "loops; cut them, or use another device",
                       longest[0], longest[1], rt_device_info_of(dev)->name,
                       (rounds - pairs) / 2);
    return RT_OK;
}

rt_status rt_trainer_gradient(struct rt_trainer *t, const struct train_sequence *batch,
                              uint32_t count, struct train_metrics *out)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(t->model->dev);
    const uint64_t start = rt_time_ns();
    const uint32_t pairs = t->options.loss == TRAIN_DPO ? count / 2 : 0;
    *out = (struct train_metrics){ .grad_norm = NAN };
    if (count == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "a batch without sequences");
    if (t->options.loss == TRAIN_DPO && (count % 2 != 0 || pairs > t->pairs_max))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "a batch of %u sequences: a loss of pairs takes 1 to %u pairs, "
                       "each a chosen and a rejected sequence",
                       count, t->pairs_max);
    TRY(check_lengths(t, batch, count, pairs));
    TRY(batch_fill(&t->batch, ctx, batch, count, &t->pass,
                   t->teacher ? &t->teacher_pass : NULL));
    if (t->batch.targets == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "a batch without target tokens");
    fill_loss(t, batch, count);
    t->has_gradient = false; /* the one before is overwritten, also where this fails */
    struct rt_list *list;
    TRY(gradient_list(t, pairs, &list));
    TRY(rt_submit(t->model->dev, list));
    TRY(rt_wait(t->model->dev));

    const float *clip = rt_buffer_map(t->clip_state);
    out->grad_norm = clip[0];
    out->targets = t->batch.targets;
    out->rows = t->batch.rows;
    if (t->options.loss == TRAIN_DPO)
        measure_pairs(t, pairs, out);
    else
        measure_tokens(t, out);
    t->has_gradient = true;
    t->stats.rows += t->batch.rows;
    t->stats.wall_seconds += (double)(rt_time_ns() - start) * 1e-9;
    t->stats.flops += trainer_flops(t, t->batch.rows, t->batch.targets);
    return RT_OK;

fail:
    return st;
}

rt_status rt_trainer_update(struct rt_trainer *t, double lr, double *grad_norm)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(t->model->dev);
    const uint64_t start = rt_time_ns();
    const float norm = ((const float *)rt_buffer_map(t->clip_state))[0];
    if (grad_norm)
        *grad_norm = norm;
    if (!t->has_gradient)
        return rt_fail(ctx, RT_ERR_USAGE, "an update without a gradient");
    if (!isfinite(norm))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "training diverged at update %llu: the gradient is not finite; "
                       "use a lower learning rate",
                       (unsigned long long)t->updates);
    const double n = (double)(t->updates + 1);
    float *hyper = rt_buffer_map(t->hyper);
    hyper[0] = (float)lr;
    hyper[1] = t->options.beta1;
    hyper[2] = t->options.beta2;
    hyper[3] = t->options.eps;
    hyper[4] = t->options.decay;
    hyper[5] = (float)(1.0 - pow(t->options.beta1, n));
    hyper[6] = (float)(1.0 - pow(t->options.beta2, n));
    t->has_gradient = false; /* it may be applied where this fails */
    TRY(rt_submit(t->model->dev, t->update));
    TRY(rt_wait(t->model->dev));
    t->updates++;
    t->stats.wall_seconds += (double)(rt_time_ns() - start) * 1e-9;
    return RT_OK;

fail:
    return st;
}

rt_status rt_trainer_read_gradient(struct rt_trainer *t, struct fmt_adapter *out)
{
    assert(t->adapter);
    return model_adapter_read(t->adapter, t->backward.grads, out);
}

uint64_t rt_trainer_updates(const struct rt_trainer *t)
{
    return t->updates;
}

void rt_trainer_stats_get(const struct rt_trainer *t, struct rt_trainer_stats *out)
{
    *out = t->stats;
}

/* Forward, again in backward, dX of the weights, and dY^T X if scales are trained; the
 * adapter's products twice more. */
double trainer_flops(const struct rt_trainer *t, double rows, double targets)
{
    const double keys = 40; /* a mean context; attention is a few percent */
    const double plain = model_forward_flops(t->model, NULL, rows, keys, 0);
    const double adapted = model_forward_flops(t->model, t->adapter, rows, keys, 0);
    const double head = model_forward_flops(t->model, NULL, 0, 0, targets);
    double flops = 2 * adapted + plain + 2 * (adapted - plain) + 2 * head;
    if (t->options.loss == TRAIN_DPO && targets > t->chunk)
        flops += head;
    if (t->scales)
        flops += 2 * rows * t->model->linear_weights;
    if (t->teacher)
        flops += model_forward_flops(t->teacher, NULL, rows, keys, targets);
    return flops;
}

/* pipeline/restore/training.c
 * Training of one recipe: batches of 8 for some epochs, checked on the validation split
 * after each, the best kept. A checkpoint after each epoch lets the same command go on,
 * bit for bit. */
#include "pipeline/restore/training_impl.h"

#include "pipeline/run/ask_list.h"
#include "pipeline/run/work.h"

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/observe/score.h"
#include "store/queries.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Sequences of step k, in a fresh order each epoch. */
static uint32_t batch_of(const struct training *t, uint32_t k, uint32_t *order,
                         struct train_sequence *batch)
{
    assert(t->steps_per_epoch > 0);
    const uint32_t epoch = k / t->steps_per_epoch, first = k % t->steps_per_epoch * BATCH;
    uint32_t n = 0;
    assert(first < t->item_count);
    train_order(t->session->seed, epoch, t->item_count, order);
    for (uint32_t i = first; i < first + BATCH && i < t->item_count; i++)
        for (uint32_t s = 0; s < t->items.per_item; s++)
            batch[n++] = t->items.list[order[i] * t->items.per_item + s];
    return n;
}

/* The most rows and targets any batch of the plan needs. */
static void plan_capacity(const struct training *t, uint32_t *order, uint32_t *rows,
                          uint32_t *targets)
{
    struct train_sequence batch[2 * BATCH];
    *rows = *targets = 0;
    for (uint32_t k = 0; k < t->epochs * t->steps_per_epoch; k++) {
        uint32_t r = 0, m = 0;
        const uint32_t n = batch_of(t, k, order, batch);
        for (uint32_t i = 0; i < n; i++) {
            r += batch[i].n - 1;
            m += train_sequence_targets(&batch[i]);
        }
        *rows = r > *rows ? r : *rows;
        *targets = m > *targets ? m : *targets;
    }
}

/* Log-probabilities under the start: the reference of preference losses. */
static rt_status fill_reference(struct training *t)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    uint32_t n, targets;
    const uint32_t rows = pipe_sequences_rows(&t->items);
    float *logprob = rt_alloc(t->session->ctx, rows, sizeof *logprob);
    if (!logprob)
        return rt_fail(t->session->ctx, RT_ERR_HOST_MEMORY, "reference: no memory");
    TRY(rt_scorer_create(t->model, t->adapter, NULL, rows, &scorer));
    rt_scorer_as_training(scorer);
    for (uint32_t i = 0; i < t->items.count; i += n) {
        const struct score_out out = { .logprob = logprob };
        n = pipe_sequences_batch(&t->items, i, rows, &targets);
        TRY(pipe_stop_status(t->session->host, t->session->ctx));
        TRY(pipe_work_beat(t->session));
        TRY(rt_scorer_run(scorer, t->items.list + i, n, &out));
        for (uint32_t s = 0, at = 0; s < n; s++) {
            const struct train_sequence *seq = &t->items.list[i + s];
            float *ref = (float *)(uintptr_t)seq->ref;
            for (uint32_t k = 1; k < seq->n; k++)
                if (seq->mask[k])
                    ref[k] = logprob[at++];
        }
    }

fail:
    rt_scorer_destroy(&scorer);
    rt_free(logprob);
    return st;
}

/* Share of the validation split that the adapter as it is answers right. */
static rt_status validate(struct training *t, double *accuracy)
{
    rt_status st = RT_OK;
    const struct pipe_problem_set *set = &t->m->validate->set;
    const struct pipe_ask_list how = { .model = t->model,
                                       .adapter = t->adapter,
                                       .what = "validate" };
    struct pipe_job *jobs = rt_alloc(t->session->ctx, set->count, sizeof *jobs);
    uint32_t right = 0;
    if (!jobs)
        return rt_fail(t->session->ctx, RT_ERR_HOST_MEMORY, "validation: no memory");
    for (uint32_t i = 0; i < set->count; i++)
        jobs[i].problem = &set->items[i];
    TRY(pipe_ask_list(t->session, &how, jobs, set->count));
    for (uint32_t i = 0; i < set->count; i++) {
        bool one;
        TRY(pipe_job_grade(t->session, &jobs[i], &one));
        right += one;
    }
    *accuracy = set->count ? (double)right / set->count : 0;

fail:
    pipe_jobs_free(jobs, set->count);
    return st;
}

/* In 8 or 16 bits: what is measured is what is counted. */
static rt_status save_adapter(struct training *t, struct fmt_adapter *adapter)
{
    adapter->write_bits = t->m->adapter_bits;
    const char *const metadata[] = {
        "format", "pt", "recipe", t->recipe->name, "base", rt_model_hash(t->model), NULL
    };
    return fmt_adapter_write(
        t->session->ctx, t->folder, adapter, rt_model_config(t->model),
        t->recipe->on_full ? t->m->full_folder : t->m->quant_folder, metadata);
}

/* In a transaction: what was spent since the last call. */
static rt_status save_costs(struct training *t)
{
    struct rt_trainer_stats s = { 0 };
    if (t->trainer)
        rt_trainer_stats_get(t->trainer, &s);
    const double more = s.wall_seconds - t->step_seconds;
    t->step_seconds = s.wall_seconds;
    const rt_status st = pipe_costs_save(t->session, &t->costs, t->run_id, s.flops, 0);
    return st == RT_OK
               ? store_add_metric(t->session->store, t->run_id, "step_seconds", more)
               : st;
}

void restore_checkpoint_path(const struct training *t, uint32_t k, char path[560])
{
    snprintf(path, 560, "%s-%u.ckpt", t->folder, k);
}

/* Removes those before `k` updates, but the one whose scales are kept: that which the
 * state named before, and what a kill has left. */
static void remove_before(const struct training *t, uint32_t k)
{
    char path[560];
    for (uint32_t i = t->steps_per_epoch; i < k; i += t->steps_per_epoch) {
        restore_checkpoint_path(t, i, path);
        if (i != t->kept)
            remove(path);
    }
}

static double rate_of(const struct training *t, uint32_t k)
{
    const uint32_t steps = t->epochs * t->steps_per_epoch;
    return train_rate(t->lr, k, steps, (steps + 9) / 10, 0.1);
}

static rt_status put_step(struct training *t, uint32_t k, const struct train_metrics *m)
{
    rt_status st;
    struct store *s = t->session->store;
    TRY(store_put_metric(s, t->run_id, "loss", k, m->loss));
    TRY(store_put_metric(s, t->run_id, "grad_norm", k, m->grad_norm));
    TRY(store_put_metric(s, t->run_id, "lr", k, rate_of(t, k)));
    if (t->recipe->loss == TRAIN_DPO) {
        TRY(store_put_metric(s, t->run_id, "logp_chosen", k, m->logp_chosen));
        TRY(store_put_metric(s, t->run_id, "logp_rejected", k, m->logp_rejected));
        TRY(store_put_metric(s, t->run_id, "margin", k, m->margin));
        TRY(store_put_metric(s, t->run_id, "pair_accuracy", k, m->accuracy));
    }
    return RT_OK;

fail:
    return st;
}

/* The rows of the epoch that ends after `k` steps, in one short transaction: nobody waits
 * for an epoch. */
static rt_status put_epoch(struct training *t, uint32_t k, double accuracy)
{
    rt_status st;
    struct store *s = t->session->store;
    TRY(store_begin(s));
    for (uint32_t i = 0; i < t->steps_per_epoch; i++)
        TRY(put_step(t, k - t->steps_per_epoch + i, &t->epoch[i]));
    TRY(store_put_metric(s, t->run_id, "val_accuracy", k, accuracy));
    TRY(save_costs(t));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static rt_status keep_adapter(struct training *t, double accuracy)
{
    rt_status st;
    TRY(rt_adapter_download(t->adapter));
    if (!t->best || accuracy >= t->best_accuracy) {
        fmt_adapter_destroy(&t->best);
        TRY(fmt_adapter_copy(t->session->ctx, rt_adapter_source(t->adapter),
                             rt_model_config(t->model), &t->best));
        t->best_accuracy = accuracy;
    }
    TRY(save_adapter(t, t->best));

fail:
    return st;
}

/* Validation, the best of all passes, and what a resumed run needs, after `k` steps. The rows
 * are durable before the state says that they are done: a kill in between repeats the
 * epoch and writes the same rows again. The checkpoint that the state names stays until
 * the state names the next. */
static rt_status end_epoch(struct training *t, uint32_t k)
{
    rt_status st;
    double accuracy = 0;
    char checkpoint[560];
    assert(k > 0 && k % t->steps_per_epoch == 0);
    restore_checkpoint_path(t, k, checkpoint);
    TRY(validate(t, &accuracy));
    TRY(put_epoch(t, k, accuracy));
    if (t->scales)
        restore_keep_scales(t, k, accuracy);
    else
        TRY(keep_adapter(t, accuracy));
    TRY(rt_trainer_save(t->trainer, checkpoint));
    json_t *state = json_pack("{s:i, s:f, s:i}", "updates", (int)k, "best",
                              t->best_accuracy, "kept", (int)t->kept);
    st = fmt_json_write(t->session->ctx, t->state, state);
    json_decref(state);
    TRY(st);
    remove_before(t, k);

fail:
    return st;
}

/* Takes up a killed run where its last checkpoint is. Anything that does not fit is
 * started anew; a checkpoint that does not fit has changed nothing. */
static uint32_t resume(struct training *t)
{
    json_t *state = NULL;
    char checkpoint[560];
    if (!fmt_exists(t->state) ||
        fmt_json_read(t->session->ctx, t->state, &state) != RT_OK)
        return 0;
    const uint32_t updates =
        (uint32_t)json_integer_value(json_object_get(state, "updates"));
    const double best = json_number_value(json_object_get(state, "best"));
    const uint32_t kept = (uint32_t)json_integer_value(json_object_get(state, "kept"));
    json_decref(state);
    if (!t->scales && fmt_adapter_read(t->session->ctx, t->folder,
                                       rt_model_config(t->model), &t->best) != RT_OK)
        return 0;
    restore_checkpoint_path(t, updates, checkpoint);
    if (updates % t->steps_per_epoch ||
        rt_trainer_load(t->trainer, checkpoint) != RT_OK) {
        fmt_adapter_destroy(&t->best);
        return 0;
    }
    t->best_accuracy = best;
    t->kept = kept;
    remove_before(t, updates); /* a kill may have left the one before */
    pipe_say(t->session->host, "train %-22s goes on after step %u", t->recipe->name,
             updates);
    return updates;
}

static rt_status run_steps(struct training *t, uint32_t *order)
{
    rt_status st = RT_OK;
    struct train_sequence batch[2 * BATCH];
    const uint32_t steps = t->epochs * t->steps_per_epoch;
    for (uint32_t k = resume(t); k < steps; k++) {
        struct train_metrics *m = &t->epoch[k % t->steps_per_epoch];
        char extra[64];
        const uint32_t n = batch_of(t, k, order, batch);
        TRY(pipe_stop_status(t->session->host, t->session->ctx));
        TRY(pipe_work_beat(t->session));
        TRY(rt_trainer_gradient(t->trainer, batch, n, m));
        TRY(rt_trainer_update(t->trainer, rate_of(t, k), NULL));
        snprintf(extra, sizeof extra, "loss %.4f", m->loss);
        const struct pipe_progress now = { .what = t->recipe->name,
                                           .done = k + 1,
                                           .total = steps,
                                           .started_ns = t->started,
                                           .extra = extra };
        pipe_progress(t->session->host, &now);
        if ((k + 1) % t->steps_per_epoch == 0)
            TRY(end_epoch(t, k + 1));
    }

fail:
    return st;
}

/* A control that finds fewer items than what it controls goes over them more often, so
 * that both take the same number of steps. */
static rt_status plan_steps(struct training *t)
{
    rt_status st = RT_OK;
    uint32_t like = t->item_count;
    const enum pipe_item_source items = t->recipe->items;
    if (items == PIPE_ITEMS_PAIRS_OTHER || items == PIPE_ITEMS_PAIRS_WHOLE ||
        items == PIPE_ITEMS_KEPT) {
        struct pipe_item_set other = { 0 };
        TRY(pipe_item_set_make(
            t->session, t->m,
            items == PIPE_ITEMS_KEPT ? PIPE_ITEMS_LOST : PIPE_ITEMS_PAIRS, &other));
        like = other.curated.count > like ? other.curated.count : like;
        pipe_item_set_deinit(&other);
    }
    t->steps_per_epoch = (t->item_count + BATCH - 1) / BATCH;
    const uint32_t steps = t->m->epochs * ((like + BATCH - 1) / BATCH);
    t->epochs = (steps + t->steps_per_epoch - 1) / t->steps_per_epoch;

fail:
    return st;
}

static rt_status prepare(struct training *t, uint32_t **order)
{
    rt_status st;
    uint32_t rows, targets;
    struct train_options o;
    TRY(plan_steps(t));
    *order = rt_alloc(t->session->ctx, t->item_count, sizeof **order);
    t->epoch = rt_alloc(t->session->ctx, t->steps_per_epoch, sizeof *t->epoch);
    if (!*order || !t->epoch) {
        st = rt_fail(t->session->ctx, RT_ERR_HOST_MEMORY, "training: no memory");
        goto fail;
    }
    if (t->recipe->loss == TRAIN_DPO)
        TRY(fill_reference(t));
    plan_capacity(t, *order, &rows, &targets);
    train_options_default(&o);
    o.loss = t->recipe->loss;
    o.lr = (float)t->lr;
    o.sft = t->recipe->sft;
    o.sft_norm = 1;
    const struct train_parameters parameters = { t->adapter, t->scales };
    TRY(rt_trainer_create_for(t->model, &parameters,
                              o.loss == TRAIN_KL ? t->m->full->model : NULL, &o, rows,
                              targets, &t->trainer));

fail:
    return st;
}

static rt_status close_run(struct training *t)
{
    rt_status st;
    struct rt_trainer_stats s = { 0 };
    if (t->trainer)
        rt_trainer_stats_get(t->trainer, &s);
    TRY(store_begin(t->session->store));
    TRY(save_costs(t));
    TRY(store_put_metric(t->session->store, t->run_id, "items", 0, t->item_count));
    TRY(pipe_work_commit(t->session));
    if (!t->nothing)
        pipe_say(t->session->host, "train %-22s %u items, %.1f s, %.2f TFLOP%s",
                 t->recipe->name, t->item_count,
                 (double)(rt_time_ns() - t->started) * 1e-9, s.flops * 1e-12,
                 t->recipe->train ? "" : " (no training)");
    return RT_OK;

fail:
    return st;
}

static void remove_named(struct training *t, const json_t *state, const char *key)
{
    char path[560];
    restore_checkpoint_path(t, (uint32_t)json_integer_value(json_object_get(state, key)),
                            path);
    remove(path);
}

/* The state and the checkpoints that it names. */
static void remove_state(struct training *t)
{
    json_t *state = NULL;
    if (!fmt_exists(t->state))
        return;
    if (fmt_json_read(t->session->ctx, t->state, &state) == RT_OK) {
        remove_named(t, state, "updates");
        remove_named(t, state, "kept");
    }
    json_decref(state);
    remove(t->state);
}

static rt_status train_adapter(struct training *t, uint32_t **order)
{
    rt_status st;
    struct fmt_adapter *start = NULL;
    TRY(pipe_start_make(t->session, t->m, t->recipe, &start));
    if (!t->recipe->train) {
        st = save_adapter(t, start);
        fmt_adapter_destroy(&start);
        return st;
    }
    TRY(rt_adapter_create(t->model, start, true, &t->adapter)); /* takes start */
    TRY(prepare(t, order));
    TRY(run_steps(t, *order));

fail:
    return st;
}

static rt_status train_scales(struct training *t, uint32_t **order)
{
    rt_status st;
    TRY(restore_open_scales(t));
    TRY(prepare(t, order));
    TRY(run_steps(t, *order));
    TRY(restore_write_scales(t));

fail:
    return st;
}

static rt_status train_now(struct training *t)
{
    rt_status st;
    uint32_t *order = NULL;
    TRY(pipe_work_begin(t->session, t->run_id));
    pipe_costs_start(t->session, &t->costs);
    TRY(restore_make_items(t));
    if (!t->nothing)
        TRY(t->recipe->again    ? restore_quantize_again(t)
            : t->recipe->scales ? train_scales(t, &order)
                                : train_adapter(t, &order));
    TRY(close_run(t));
    remove_state(t);

fail:
    rt_free(order);
    return st;
}

/* After the run, so that other seeds or rates do not overwrite each other. */
static void name_files(struct training *t)
{
    const char *hash = strchr(t->run_id, ':');
    snprintf(t->folder, sizeof t->folder, "%.400s/%s-%s-%.8s", t->session->work,
             pipe_restore_recipe_makes_model(t->recipe) ? "model" : "adapter",
             t->recipe->name, hash ? hash + 1 : t->run_id);
    snprintf(t->state, sizeof t->state, "%s.json", t->folder);
}

/* The faults that a recipe may train on: what a person rejected makes another run. */
static void hash_faults(const struct pipe_faults *faults, char hex[65])
{
    struct sha256 h;
    sha256_init(&h);
    for (uint32_t i = 0; i < faults->count; i++)
        sha256_add_text(&h, faults->items[i].fault_id);
    sha256_end_hex(&h, hex);
}

static rt_status open_run(struct training *t)
{
    char config[1280], faults[65];
    const struct pipe_material *m = t->m;
    const bool model = pipe_restore_recipe_makes_model(t->recipe);
    const struct pipe_variant *base = t->recipe->on_full ? m->full : m->quant;
    hash_faults(m->faults, faults);
    snprintf(
        config, sizeof config,
        "{\"recipe\":\"%s\",\"rank\":%u,\"batch\":%d,\"epochs\":%u,\"lr\":%g,"
        "\"items\":%u,\"samples\":%u,\"mine\":\"%s\",\"validate\":\"%s\","
        "\"measure\":\"%s\",\"full\":\"%s\",\"full_run\":\"%s\",\"quant_run\":\"%s\","
        "\"faults\":\"%s\"%s}",
        t->recipe->name, model ? 0 : m->rank, BATCH, m->epochs, t->lr, m->items_max,
        m->samples, m->mine->id, m->validate->id, m->measure ? m->measure->id : "",
        m->full->row.id, m->f->run_id, m->q->run_id, faults,
        m->adapter_bits == 8 && !model ? ",\"adapter_bits\":8" : "");
    struct store_run run = { .campaign_id = t->session->campaign_id,
                             .kind = "train",
                             .variant_id = base->row.id,
                             .benchmark_id = m->mine->id,
                             .env_id = t->session->env_id,
                             .seed = t->session->seed,
                             .config = config };
    const rt_status st = store_run_open(t->session->store, &run);
    snprintf(t->run_id, STORE_ID, "%s", run.id);
    return st;
}

rt_status pipe_train(struct pipe_session *session, const struct pipe_material *material,
                     const struct pipe_restore_recipe *recipe, struct pipe_trained *out)
{
    rt_status st;
    char file[600];
    bool done;
    *out = (struct pipe_trained){ .nothing = false };
    struct training t = {
        .session = session, .m = material, .recipe = recipe, .started = rt_time_ns()
    };
    t.model = recipe->on_full ? material->full->model : material->quant->model;
    t.lr = material->lr > 0 ? material->lr : (double)recipe->lr;
    if (recipe->lowrank && material->f->correct == 0) { /* a start sees full's answers */
        restore_tell_nothing(material, out);
        return RT_OK;
    }
    TRY(open_run(&t));
    name_files(&t);
    snprintf(out->run_id, sizeof out->run_id, "%s", t.run_id);
    snprintf(out->folder, sizeof out->folder, "%s", t.folder);
    snprintf(file, sizeof file, "%s/%s.safetensors", t.folder,
             pipe_restore_recipe_makes_model(recipe) ? "model" : "adapter_model");
    TRY(restore_ask_done(&t, &done));
    if (done && !t.nothing && fmt_exists(file)) {
        pipe_say(session->host, "train %-22s done [from before]", recipe->name);
        remove_state(&t); /* a kill after the last row left it */
    } else if (!t.nothing) {
        TRY(train_now(&t));
    }
    if (t.nothing)
        restore_tell_nothing(material, out);

fail:
    if (st != RT_OK)
        pipe_work_stopped(session, st);
    rt_trainer_destroy(&t.trainer);
    rt_adapter_destroy(&t.adapter);
    rt_scales_destroy(&t.scales);
    rt_model_destroy(&t.own);
    fmt_adapter_destroy(&t.best);
    pipe_sequences_free(&t.items);
    rt_free(t.epoch);
    return st;
}

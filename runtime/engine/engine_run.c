/* runtime/engine/engine_run.c
 * Steps: what was scheduled is submitted, waited for and read; requests come and go. */
#include "runtime/engine/engine_impl.h"

#include <assert.h>
#include <math.h>

static bool is_stop(const struct rt_engine *e, uint32_t id)
{
    for (uint32_t i = 0; i < e->options.stop_count; i++)
        if (id == e->options.stop_ids[i])
            return true;
    return false;
}

/* Reads the slot's stat row; true when the request has ended. */
static bool take_token(struct rt_engine *e, struct slot *s, enum rt_finish *finish)
{
    const uint32_t *word =
        (const uint32_t *)rt_buffer_map(e->stat) + (size_t)s->head_row * STAT_WORDS;
    const float *value = (const float *)word;
    const uint32_t id = word[5];
    const bool is_best = id == word[0];
    assert(s->n_gen < s->limit && s->head_row < SLOTS_MAX);
    const uint32_t n = s->n_gen++;
    s->ids[n] = id;
    s->alt[n] = is_best ? word[1] : word[0];
    s->logprob[n] = value[6] - value[4];
    s->margin[n] = value[6] - (is_best ? value[3] : value[2]);
    *finish = is_stop(e, id) ? RT_FINISH_STOP : RT_FINISH_LENGTH;
    return *finish == RT_FINISH_STOP || s->n_gen == s->limit;
}

static struct rt_answer so_far(const struct slot *s)
{
    return (struct rt_answer){
        .key = s->request.key,
        .n_gen = s->n_gen,
        .ids = s->ids,
        .logprob = s->logprob,
        .margin = s->margin,
        .alt = s->alt,
    };
}

/* Takes tokens back; true when the runner-up ends the request. */
static bool take_back(struct rt_engine *e, uint32_t slot, uint32_t to,
                      enum rt_finish *finish)
{
    struct slot *s = &e->slots[slot];
    assert(to < s->n_gen && isfinite(s->margin[to]));
    const uint32_t id = s->alt[to];
    s->limit -= s->n_gen - to;
    s->n_gen = to + 1;
    s->alt[to] = s->ids[to];
    s->ids[to] = id;
    s->logprob[to] -= s->margin[to];
    s->margin[to] = -s->margin[to];
    engine_slot_restart(e, slot);
    *finish = is_stop(e, id) ? RT_FINISH_STOP : RT_FINISH_LENGTH;
    return *finish == RT_FINISH_STOP || s->n_gen >= s->limit;
}

/* Asks how a request continues, takes back and appends what is forced; true when it has
 * ended. */
static bool take_turn(struct rt_engine *e, const struct rt_engine_calls *calls,
                      uint32_t slot, enum rt_finish *finish)
{
    struct slot *s = &e->slots[slot];
    struct rt_turn turn = { 0 };
    if (!calls->turn)
        return false;
    const struct rt_answer now = so_far(s);
    calls->turn(calls->user, &now, &turn);
    if (turn.back && take_back(e, slot, turn.back_to, finish))
        return true;
    *finish = RT_FINISH_STOP;
    if (turn.end)
        return true;
    *finish = RT_FINISH_LENGTH;
    for (uint32_t i = 0; i < turn.forced_count && s->n_gen < s->limit; i++) {
        const uint32_t n = s->n_gen++;
        s->ids[n] = s->alt[n] = turn.forced[i];
        s->logprob[n] = 0; /* it could not have been another */
        s->margin[n] = INFINITY;
    }
    return s->n_gen == s->limit;
}

static rt_status report(struct rt_engine *e, const struct rt_engine_calls *calls,
                        uint32_t slot, enum rt_finish finish)
{
    const struct slot *s = &e->slots[slot];
    assert(s->active && s->n_gen <= s->limit);
    struct rt_answer answer = so_far(s);
    answer.finish = finish;
    answer.prefill_us = (int64_t)(s->prefill_ns / 1e3);
    answer.decode_us = (int64_t)(s->decode_ns / 1e3);
    engine_slot_end(e, slot);
    return calls->done(calls->user, &answer);
}

static void count_step(struct rt_engine *e, const struct step *step, uint32_t rows_padded)
{
    struct rt_engine_stats *stats = &e->stats;
    assert(step->rows > 0 && step->rows <= rows_padded);
    stats->steps++;
    stats->rows += step->rows;
    stats->rows_padded += rows_padded;
    stats->tokens += step->heads;
    stats->flops += model_forward_flops(e->model, e->adapter, step->rows,
                                        step->keys / step->rows, step->heads);
}

static rt_status run_step(struct rt_engine *e, const struct rt_engine_calls *calls)
{
    rt_status st;
    const uint64_t start = rt_time_ns();
    struct step step;
    TRY(engine_schedule(e, &step));
    assert(step.rows > 0);
    uint32_t b = 0;
    while (e->buckets[b].rows < step.rows || e->buckets[b].head_rows < step.heads ||
           e->buckets[b].may_round != step.may_round)
        b++;
    assert(b < e->bucket_count);
    if (e->buckets[b].stale) {
        TRY(engine_record(e, &e->buckets[b]));
        e->stats.recorded++;
    }
    engine_fill_padding(e, &step, &e->buckets[b]);
    TRY(rt_submit(e->model->dev, e->buckets[b].list));
    TRY(rt_wait(e->model->dev));

    const double ns_per_row = (double)(rt_time_ns() - start) / step.rows;
    count_step(e, &step, e->buckets[b].rows);
    for (uint32_t i = 0; i < e->options.slots; i++) {
        struct slot *s = &e->slots[i];
        if (!s->active || s->step_rows == 0)
            continue;
        *(s->step_prompt ? &s->prefill_ns : &s->decode_ns) += ns_per_row * s->step_rows;
        enum rt_finish finish;
        if (s->head_row != NO_INDEX &&
            (take_token(e, s, &finish) || take_turn(e, calls, i, &finish)))
            TRY(report(e, calls, i, finish));
    }
    return RT_OK;

fail:
    return st;
}

static rt_status begin_request(struct rt_engine *e, const struct rt_engine_calls *calls,
                               uint32_t slot, const struct rt_request *request)
{
    struct slot *s = &e->slots[slot];
    if (request->n_prompt == 0 || request->n_prompt >= e->options.context)
        return rt_fail(rt_device_ctx(e->model->dev), RT_ERR_USAGE,
                       "a prompt of %u tokens leaves no room in a context of %u",
                       request->n_prompt, e->options.context);
    assert(request->assumed < request->n_prompt);
    const uint32_t room = e->options.context - request->n_prompt;
    s->request = *request;
    s->n_gen = s->step_rows = 0;
    s->limit = request->max_new < room ? request->max_new : room;
    s->prefill_ns = s->decode_ns = 0;
    engine_slot_begin(e, slot);
    enum rt_finish finish;
    return take_turn(e, calls, slot, &finish) ? report(e, calls, slot, finish) : RT_OK;
}

/* Fills free slots from the caller. */
static rt_status admit(struct rt_engine *e, const struct rt_engine_calls *calls,
                       bool *drained)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < e->options.slots && !*drained; i++) {
        struct rt_request request = { 0 };
        if (e->slots[i].active)
            continue;
        *drained = !calls->next(calls->user, &request);
        if (!*drained)
            TRY(begin_request(e, calls, i, &request));
    }

fail:
    return st;
}

static rt_status run_all(struct rt_engine *e, const struct rt_engine_calls *calls)
{
    rt_status st;
    bool drained = false;
    for (;;) {
        TRY(admit(e, calls, &drained));
        if (e->active == 0 && drained)
            return RT_OK;
        if (e->active == 0)
            continue; /* all ended before their first step */
        if (calls->go_on && !calls->go_on(calls->user))
            return rt_fail(rt_device_ctx(e->model->dev), RT_ERR_INTERRUPTED,
                           "stopped between two steps; finished answers are kept");
        TRY(run_step(e, calls));
    }

fail:
    return st;
}

rt_status rt_engine_run(struct rt_engine *e, const struct rt_engine_calls *calls)
{
    const uint64_t start = rt_time_ns();
    if (e->adapter && e->adapter->trainable)
        pages_forget(e->pages);       /* it may have learned since */
    e->pages_most = e->options.pages; /* there may be memory again */
    const rt_status st = run_all(e, calls);
    while (e->active > 0)
        engine_slot_end(e, e->order[e->active - 1]);
    if (st != RT_OK && st != RT_ERR_INTERRUPTED)
        pages_forget(e->pages); /* the last step may not have filled what it published */
    e->stats.wall_seconds += (double)(rt_time_ns() - start) * 1e-9;
    return st;
}

void rt_engine_stats_get(const struct rt_engine *e, struct rt_engine_stats *out)
{
    *out = e->stats;
}

/* pipeline/run/measure.c
 * All answers of one variant to one split, in memory for the stages that follow. */
#include "pipeline/run/answers.h"

#include "pipeline/data/problem_index.h"
#include "store/queries.h"

#include <stdio.h>
#include <string.h>

void pipe_answers_deinit(struct pipe_answers *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        rt_free(a->items[i].text);
        rt_free(a->items[i].ids);
        rt_free(a->items[i].logprob);
        rt_free(a->items[i].margin);
    }
    rt_free(a->items);
    *a = (struct pipe_answers){ 0 };
}

static void *copy_of(struct rt_ctx *ctx, const void *data, size_t size)
{
    void *copy = rt_alloc(ctx, size, 1);
    if (copy && data)
        memcpy(copy, data, size);
    return copy;
}

struct reading {
    struct pipe_session *session;
    struct pipe_index index;
    struct pipe_answers *out;
};

static rt_status read_answer(void *user, const struct store_answer *a)
{
    struct reading *r = user;
    struct rt_ctx *ctx = r->session->ctx;
    const uint32_t p = pipe_index_find(&r->index, a->problem_id);
    if (p == UINT32_MAX || a->sample > 0)
        return RT_OK;
    struct pipe_answer *to = &r->out->items[p];
    to->text = rt_strdup(ctx, a->output);
    to->ids = copy_of(ctx, a->ids, a->n_gen * sizeof *a->ids);
    to->logprob = copy_of(ctx, a->logprob, a->n_gen * sizeof *a->logprob);
    to->margin = copy_of(ctx, a->margin, a->n_gen * sizeof *a->margin);
    to->n = a->n_gen;
    to->correct = a->correct;
    to->extract_ok = a->extract_ok;
    to->truncated = a->finish == PIPE_FINISH_LENGTH;
    to->in_form = pipe_answer_in_form(r->session->format, a->output, a->extract_ok);
    if (!to->text || !to->ids || !to->logprob || !to->margin)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to keep an answer");
    return RT_OK;
}

static rt_status read_thrown(void *user, const struct pipe_metric *m)
{
    struct reading *r = user;
    if (m->step >= 0 && m->step < r->out->count)
        r->out->items[m->step].thrown = (uint32_t)m->value;
    return RT_OK;
}

static void count_up(struct pipe_answers *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        struct pipe_form form;
        pipe_form_of(a->items[i].ids, a->items[i].n,
                     a->items[i].truncated ? PIPE_FINISH_LENGTH : PIPE_FINISH_STOP,
                     &form);
        a->correct += a->items[i].correct;
        a->truncated += a->items[i].truncated;
        a->unparsed += !a->items[i].extract_ok;
        a->degenerate += pipe_form_degenerate(&form);
    }
}

rt_status pipe_measure(struct pipe_session *session, const struct pipe_variant *v,
                       const struct pipe_bench *bench, struct pipe_answers *out)
{
    rt_status st;
    const uint32_t n = bench->set.count;
    const struct pipe_wanted all = pipe_wanted_all();
    struct reading r = { .session = session, .out = out };
    uint32_t made;
    *out = (struct pipe_answers){ .count = n };
    out->items = rt_alloc(session->ctx, n, sizeof *out->items);
    if (!out->items)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory for %u problems", n);
    TRY(pipe_answers_make(session, v, bench, &all, out->run_id, &made));
    TRY(pipe_index_init(session->ctx, &bench->set, &r.index));
    TRY(store_each_answer(session->store, out->run_id, read_answer, &r));
    TRY(store_each_metric(session->store, out->run_id, "thrown_tokens", read_thrown, &r));
    count_up(out);
    pipe_say(session->host, "%s %-*s %u/%u right (%.2f %%), %u truncated, %u unparsed%s",
             bench->split, 27 - (int)strlen(bench->split), v->row.label, out->correct, n,
             100.0 * out->correct / (n ? n : 1), out->truncated, out->unparsed,
             made ? "" : "  [from before]");

fail:
    pipe_index_deinit(&r.index);
    return st;
}

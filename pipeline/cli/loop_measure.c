/* pipeline/cli/loop_measure.c
 * Answers of one variant to one split. What the store has is read back; the rest is
 * generated, and saved between two steps of the engine, so that a kill loses at most the
 * answers of the step in flight. */
#include "pipeline/cli/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct measuring {
    struct loop *loop;
    const struct loop_bench *bench;
    struct loop_answers *out;
    uint32_t *todo, todo_count, next; /* problem indices */
    uint32_t **prompts;               /* by problem, null: not encoded yet */
    uint32_t done, total, correct;
    bool open; /* a transaction is open */
    rt_status status;
    struct rt_engine *engine;
    struct loop_costs costs;
    uint64_t started;
    const char *label;
};

void loop_answers_deinit(struct loop_answers *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        rt_free(a->items[i].text);
        rt_free(a->items[i].ids);
        rt_free(a->items[i].logprob);
        rt_free(a->items[i].margin);
    }
    rt_free(a->items);
    *a = (struct loop_answers){ 0 };
}

static void *copy_of(struct rt_ctx *ctx, const void *data, size_t size)
{
    void *copy = rt_alloc(ctx, size, 1);
    if (copy && data)
        memcpy(copy, data, size);
    return copy;
}

static rt_status keep_answer(struct rt_ctx *ctx, struct loop_answer *to, const char *text,
                             uint32_t n, const uint32_t *ids, const float *logprob,
                             const float *margin, const struct pipe_score *score,
                             enum pipe_finish finish)
{
    to->text = rt_strdup(ctx, text);
    to->ids = copy_of(ctx, ids, n * sizeof *ids);
    to->logprob = copy_of(ctx, logprob, n * sizeof *logprob);
    to->margin = copy_of(ctx, margin, n * sizeof *margin);
    to->n = n;
    to->correct = score->correct;
    to->extract_ok = score->extract_ok;
    to->truncated = finish == PIPE_FINISH_LENGTH;
    if (!to->text || !to->ids || !to->logprob || !to->margin)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to keep an answer");
    return RT_OK;
}

/* Index of a problem by id, through a sorted table. */
struct by_id {
    const char *id;
    uint32_t index;
};

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const struct by_id *)a)->id, ((const struct by_id *)b)->id);
}

struct reading {
    struct measuring *m;
    struct by_id *table;
};

static rt_status read_answer(void *user, const struct store_answer *a)
{
    struct reading *r = user;
    const struct by_id key = { .id = a->problem_id };
    const struct by_id *found =
        bsearch(&key, r->table, r->m->bench->set.count, sizeof key, compare_ids);
    if (!found)
        return RT_OK;
    const struct pipe_score score = { .correct = a->correct,
                                      .extract_ok = a->extract_ok };
    r->m->done++;
    return keep_answer(r->m->loop->ctx, &r->m->out->items[found->index], a->output,
                       a->n_gen, a->ids, a->logprob, a->margin, &score, a->finish);
}

static rt_status read_finished(struct measuring *m)
{
    rt_status st;
    const uint32_t n = m->bench->set.count;
    struct by_id *table = rt_alloc(m->loop->ctx, n, sizeof *table);
    if (!table)
        return rt_fail(m->loop->ctx, RT_ERR_HOST_MEMORY, "no memory for %u problems", n);
    for (uint32_t i = 0; i < n; i++)
        table[i] = (struct by_id){ m->bench->set.items[i].id, i };
    qsort(table, n, sizeof *table, compare_ids);
    struct reading reading = { m, table };
    st = store_each_answer(m->loop->store, m->out->run_id, read_answer, &reading);
    rt_free(table);
    for (uint32_t i = 0; i < n && st == RT_OK; i++)
        if (!m->out->items[i].text)
            m->todo[m->todo_count++] = i;
    return st;
}

void loop_token_ends(struct loop *loop, const uint32_t *ids, uint32_t n, uint32_t *ends)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        char *text = NULL;
        uint32_t size = 0;
        if (loop_decode(loop, &ids[i], 1, &text, &size) == RT_OK)
            at += size;
        rt_free(text);
        ends[i] = at;
    }
}

static rt_status save(struct measuring *m, uint32_t problem,
                      const struct pipe_generation *g, const struct pipe_score *score)
{
    rt_status st;
    struct pipe_step steps[PIPE_STEPS_MAX];
    uint32_t ends[LOOP_CONTEXT];
    const uint32_t n =
        g->error ? 0 : m->loop->format->split(g->output, steps, PIPE_STEPS_MAX);
    loop_token_ends(m->loop, g->trace.ids, g->trace.n, ends);
    pipe_steps_map_tokens(steps, n, ends, g->trace.n);
    if (!m->open)
        TRY(store_begin(m->loop->store));
    m->open = true;
    TRY(store_put_generation(m->loop->store, m->out->run_id, g, score, steps, n));
    TRY(keep_answer(m->loop->ctx, &m->out->items[problem], g->output, g->trace.n,
                    g->trace.ids, g->trace.logprob, g->trace.margin, score, g->finish));
    m->done++;
    m->correct += score->correct;
    return RT_OK;

fail:
    return st;
}

/* A prompt that does not fit is a row with an error; the run goes on. */
static rt_status save_too_long(struct measuring *m, uint32_t problem, uint32_t n_prompt)
{
    const struct pipe_score score = { .grader = m->loop->format->grader,
                                      .reason = "prompt too long" };
    const struct pipe_generation g = {
        .problem_id = m->bench->set.items[problem].id,
        .prompt_hash = m->loop->format_hash,
        .output = "",
        .finish = PIPE_FINISH_ERROR,
        .n_prompt = n_prompt,
        .prefill_us = -1,
        .decode_us = -1,
        .error = "the prompt is longer than the context",
    };
    rt_log(
        m->loop->ctx, RT_LOG_WARNING,
        "problem '%s': a prompt of %u tokens leaves no room for an answer in the context "
        "of %d; recorded as an error",
        g.problem_id, n_prompt, LOOP_CONTEXT);
    return save(m, problem, &g, &score);
}

static bool next_request(void *user, struct rt_request *out)
{
    struct measuring *m = user;
    while (m->status == RT_OK && m->next < m->todo_count) {
        const uint32_t p = m->todo[m->next++];
        uint32_t n = 0;
        m->status = loop_prompt(m->loop, m->bench->set.items[p].question, NULL,
                                &m->prompts[p], &n);
        if (m->status != RT_OK)
            return false;
        if (n + m->loop->format->new_tokens_max > LOOP_CONTEXT) {
            m->status = save_too_long(m, p, n);
            continue;
        }
        *out = (struct rt_request){ .key = p,
                                    .prompt = m->prompts[p],
                                    .n_prompt = n,
                                    .max_new = m->loop->format->new_tokens_max };
        return true;
    }
    return false;
}

static rt_status take_answer(void *user, const struct rt_answer *a)
{
    struct measuring *m = user;
    const uint32_t p = (uint32_t)a->key;
    char *text = NULL, extracted[PIPE_EXTRACT_MAX];
    uint32_t size;
    struct pipe_score score;
    rt_status st = loop_decode(m->loop, a->ids, a->n_gen, &text, &size);
    if (st != RT_OK)
        return st;
    const enum pipe_finish finish =
        a->finish == RT_FINISH_STOP ? PIPE_FINISH_STOP : PIPE_FINISH_LENGTH;
    pipe_grade(m->loop->format, text, finish, m->bench->set.items[p].answer, extracted,
               &score);
    const struct pipe_generation g = {
        .problem_id = m->bench->set.items[p].id,
        .prompt_hash = m->loop->format_hash,
        .output = text,
        .finish = finish,
        .n_gen = a->n_gen,
        .prefill_us = a->prefill_us,
        .decode_us = a->decode_us,
        .trace = { a->n_gen, a->ids, a->logprob, a->margin, a->alt },
    };
    st = save(m, p, &g, &score);
    rt_free(text);
    rt_free(m->prompts[p]);
    m->prompts[p] = NULL;
    return st;
}

/* Answers become durable together with what they cost. */
static rt_status commit(struct measuring *m)
{
    struct rt_engine_stats stats;
    rt_engine_stats_get(m->engine, &stats);
    m->open = false;
    const rt_status st = loop_costs_save(m->loop, &m->costs, m->out->run_id, stats.flops,
                                         (double)stats.tokens);
    return st == RT_OK ? store_commit(m->loop->store) : st;
}

/* Between steps: what is finished becomes durable, then it is reported. */
static bool go_on(void *user)
{
    struct measuring *m = user;
    char extra[64];
    if (m->open)
        m->status = commit(m);
    snprintf(extra, sizeof extra, "%u right in this run", m->correct);
    cli_progress(m->loop->cli, m->label, m->done, m->total, m->started, extra);
    return m->status == RT_OK && !cli_stopping();
}

static rt_status generate(struct measuring *m, const struct loop_variant *v)
{
    rt_status st;
    struct rt_engine_options options = { .context = LOOP_CONTEXT };
    loop_stop_ids(m->loop, v->model, &options);
    const struct rt_engine_calls calls = { next_request, take_answer, go_on, NULL, m };
    TRY(rt_engine_create(v->model, v->adapter, &options, &m->engine));
    loop_costs_start(m->loop, &m->costs);
    st = rt_engine_run(m->engine, &calls);
    if (st == RT_ERR_INTERRUPTED && m->status != RT_OK)
        st = m->status;
    else if (st == RT_ERR_INTERRUPTED)
        st = cli_stop_status(m->loop->ctx);
    if (st == RT_OK)
        st = m->status;
    if (m->open) {
        if (st == RT_OK || st == RT_ERR_INTERRUPTED || st == RT_ERR_TIME_LIMIT) {
            char kept[1024];
            snprintf(kept, sizeof kept, "%s", m->loop->ctx->message);
            const rt_status saved = commit(m);
            st = st == RT_OK ? saved : st;
            if (st != saved || saved == RT_OK)
                snprintf(m->loop->ctx->message, sizeof kept, "%s", kept);
        }
    }

fail:
    rt_engine_destroy(&m->engine);
    return st;
}

static void count_up(struct loop_answers *a)
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

rt_status loop_measure(struct loop *loop, const struct loop_variant *v,
                       const struct loop_bench *bench, struct loop_answers *out)
{
    rt_status st;
    char config[256], label[64];
    const uint32_t n = bench->set.count;
    struct measuring m = { .loop = loop,
                           .bench = bench,
                           .out = out,
                           .total = n,
                           .started = rt_time_ns(),
                           .label = label };
    *out = (struct loop_answers){ .count = n };
    snprintf(label, sizeof label, "%s %s", bench->split, v->row.label);
    snprintf(config, sizeof config,
             "{\"format\":\"%s\",\"format_hash\":\"%s\",\"decoding\":\"greedy\","
             "\"context\":%d}",
             loop->format->name, loop->format_hash, LOOP_CONTEXT);
    struct store_run run = { .campaign_id = loop->campaign_id,
                             .kind = "eval",
                             .variant_id = v->row.id,
                             .benchmark_id = bench->id,
                             .env_id = loop->env_id,
                             .seed = loop->seed,
                             .config = config };
    out->items = rt_alloc(loop->ctx, n, sizeof *out->items);
    m.todo = rt_alloc(loop->ctx, n, sizeof *m.todo);
    m.prompts = rt_alloc(loop->ctx, n, sizeof *m.prompts);
    if (!out->items || !m.todo || !m.prompts) {
        st = rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "no memory for %u problems", n);
        goto fail;
    }
    TRY(store_run_open(loop->store, &run));
    snprintf(out->run_id, STORE_ID, "%s", run.id);
    TRY(read_finished(&m));
    if (m.todo_count)
        TRY(generate(&m, v));
    TRY(store_run_close(loop->store, run.id, "done", 0, NULL));
    count_up(out);
    cli_say(loop->cli, "%-28s %u/%u right (%.2f %%), %u truncated, %u unparsed%s", label,
            out->correct, n, 100.0 * out->correct / (n ? n : 1), out->truncated,
            out->unparsed, m.todo_count == 0 ? "  [from before]" : "");
    st = RT_OK;

fail:
    if (st != RT_OK) {
        char kept[1024];
        snprintf(kept, sizeof kept, "%s", loop->ctx->message);
        store_rollback(loop->store);
        if (out->run_id[0] &&
            store_run_close(loop->store, out->run_id, "interrupted", 1, kept) != RT_OK)
            rt_log(loop->ctx, RT_LOG_WARNING, "%s", loop->ctx->message);
        snprintf(loop->ctx->message, sizeof kept, "%s", kept);
    }
    for (uint32_t i = 0; m.prompts && i < n; i++)
        rt_free(m.prompts[i]);
    rt_free(m.prompts);
    rt_free(m.todo);
    return st;
}

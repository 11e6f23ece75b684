/* pipeline/run/answers.c
 * Answers of one variant to one list of problems. What the results file has is left alone;
 * the rest is claimed, made, and saved between two steps of the engine, so that a kill
 * loses at most the answers of the step in flight, and several processes share the work. */
#include "pipeline/run/answers_impl.h"

#include "pipeline/grade/grade.h"
#include "pipeline/stats/statistics.h"
#include "runtime/base/os.h"
#include "runtime/engine/engine.h"
#include "store/queries.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 300 };

/* ---- what there is ---- */

struct reading {
    struct generating *g;
    struct pipe_index index;
};

static rt_status read_done(void *user, const struct store_done *row)
{
    struct reading *r = user;
    struct generating *g = r->g;
    const uint32_t p = pipe_index_find(&r->index, row->problem_id);
    const uint32_t sample = row->sample;
    if (p >= g->problems || sample >= g->ask->samples)
        return RT_OK;
    bool *done = &g->done[(size_t)p * g->ask->samples + sample];
    if (!*done) {
        g->done_count++;
        g->correct += row->correct;
        g->mine_done += pipe_is_mine(g->ask, p);
    }
    *done = true;
    return RT_OK;
}

/* Marks what is done by now, and lists what is left of this shard. */
static rt_status list_left(struct generating *g)
{
    rt_status st;
    struct reading r = { .g = g };
    TRY(pipe_index_init(g->session->ctx, &g->bench->set, &r.index));
    TRY(store_each_done(g->session->store, g->attempt.run_id, read_done, &r));
    g->left = g->next = 0;
    for (uint32_t p = 0; p < g->problems; p++)
        for (uint32_t k = 0; pipe_is_mine(g->ask, p) && k < g->ask->samples; k++)
            if (!g->done[(size_t)p * g->ask->samples + k])
                g->tasks[g->left++] = (struct pipe_task){ p, k };

fail:
    pipe_index_deinit(&r.index);
    return st;
}

/* ---- making answers ---- */

static rt_status begin(struct generating *g)
{
    if (g->open)
        return RT_OK;
    const rt_status st = store_begin(g->session->store);
    g->open = st == RT_OK;
    return st;
}

static bool out_of_time(const struct generating *g)
{
    return g->ask->deadline_ns && rt_time_ns() >= g->ask->deadline_ns;
}

static bool stopping(const struct generating *g)
{
    return pipe_stopping(g->session->host) || out_of_time(g);
}

/* Room that a prompt must leave: the whole cap, or half of a short context. */
static uint32_t room_needed(const struct generating *g)
{
    const uint32_t half = g->context / 2;
    return g->session->new_tokens_max < half ? g->session->new_tokens_max : half;
}

static rt_status save(struct generating *g, const struct pipe_task *task,
                      const struct pipe_generation *generation,
                      const struct pipe_score *score, uint32_t thrown)
{
    rt_status st;
    struct pipe_step steps[PIPE_STEPS_MAX];
    const struct pipe_trace *trace = &generation->trace;
    const struct pipe_prompt_format *f = g->session->format;
    const uint32_t n = generation->error
                           ? 0
                           : f->dialect->split(generation->output, steps, PIPE_STEPS_MAX);
    TRY(pipe_token_ends(g->session, trace->ids, trace->n, g->ends));
    pipe_steps_map_tokens(steps, n, g->ends, trace->n);
    TRY(begin(g));
    TRY(store_put_generation(g->session->store, g->attempt.run_id, generation, score,
                             steps, n));
    if (thrown)
        TRY(store_put_metric(g->session->store, g->attempt.run_id, "thrown_tokens",
                             task->problem, thrown));
    g->done[(size_t)task->problem * g->ask->samples + task->sample] = true;
    g->mine_done++;
    g->done_count++;
    g->made++;
    g->correct += score->correct;

fail:
    return st;
}

/* The problem or sample of a key, and back. */
static uint64_t key_of(const struct generating *g, struct pipe_task task)
{
    assert(task.problem < g->problems && task.sample < g->ask->samples);
    return (uint64_t)task.problem * g->ask->samples + task.sample;
}

static struct pipe_task task_of(const struct generating *g, uint64_t key)
{
    return (struct pipe_task){ (uint32_t)(key / g->ask->samples),
                               (uint32_t)(key % g->ask->samples) };
}

/* A prompt that does not fit is a row with an error; the run goes on. */
static rt_status save_too_long(struct generating *g, const struct pipe_task *task,
                               uint32_t n_prompt)
{
    const struct pipe_score score = { .grader = g->session->format->grader,
                                      .reason = "prompt too long" };
    const struct pipe_generation generation = {
        .problem_id = g->bench->set.items[task->problem].id,
        .sample = task->sample,
        .prompt_hash = g->session->format_hash,
        .output = "",
        .finish = PIPE_FINISH_ERROR,
        .n_prompt = n_prompt,
        .prefill_us = -1,
        .decode_us = -1,
        .error = "the prompt is longer than the context",
    };
    rt_log(
        g->session->ctx, RT_LOG_WARNING,
        "problem '%s': a prompt of %u tokens leaves no room for an answer in the context "
        "of %u; recorded as an error",
        generation.problem_id, n_prompt, g->context);
    return save(g, task, &generation, &score, 0);
}

/* Claims the next task that is nobody's. */
static rt_status next_question(void *user, struct pipe_asked *out, bool *got)
{
    rt_status st = RT_OK;
    struct generating *g = user;
    *got = false;
    while (g->next < g->left && !stopping(g)) {
        const struct pipe_task task = g->tasks[g->next++];
        const struct pipe_problem *problem = &g->bench->set.items[task.problem];
        TRY(begin(g));
        TRY(store_claim(g->session->store, &g->attempt, problem->id, task.sample, got));
        if (!*got)
            continue;
        *out = (struct pipe_asked){ .key = key_of(g, task),
                                    .problem = problem,
                                    .sample = task.sample };
        return RT_OK;
    }

fail:
    return st;
}

static rt_status take_reply(void *user, const struct pipe_reply *a)
{
    struct generating *g = user;
    const struct pipe_task task = task_of(g, a->key);
    const struct pipe_problem *problem = &g->bench->set.items[task.problem];
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score score;
    if (a->too_long)
        return save_too_long(g, &task, a->n_prompt);
    if (!pipe_grade_thought(g->session->format, g->session->prompt.thinks, a->text,
                            a->finish, &score))
        pipe_grade(g->session->grader, g->session->format, a->text, a->finish,
                   problem->answer, extracted, &score);
    const struct pipe_generation generation = {
        .problem_id = problem->id,
        .sample = task.sample,
        .prompt_hash = g->session->format_hash,
        .output = a->text,
        .finish = a->finish,
        .segmenter = g->session->format->dialect->segmenter,
        .n_prompt = a->n_prompt,
        .n_gen = a->n_gen,
        .prefill_us = a->prefill_us,
        .decode_us = a->decode_us,
        .trace = { a->n_gen, a->ids, a->logprob, a->margin, a->alt },
    };
    return save(g, &task, &generation, &score, a->thrown);
}

/* Answers become durable together with what they cost. */
static rt_status commit(struct generating *g)
{
    rt_status st;
    struct rt_engine_stats stats;
    assert(g->open && g->engine);
    rt_engine_stats_get(g->engine, &stats);
    TRY(pipe_costs_save(g->session, &g->costs, g->attempt.run_id, stats.flops,
                        (double)stats.tokens));
    TRY(store_commit(g->session->store));
    g->open = false;

fail:
    return st;
}

static rt_status beat(struct generating *g)
{
    rt_status st;
    if (rt_time_unix_ms() - g->attempt.beat_ms < STORE_BEAT_MS)
        return RT_OK;
    TRY(begin(g));
    TRY(store_attempt_beat(g->session->store, &g->attempt));

fail:
    return st;
}

/* The most that is left at the pace of the tokens so far: every answer as long as it may
 * be. Known before the first answer is complete. */
static double most_left(const struct generating *g, double tokens, double seconds)
{
    const double wanted =
        (double)(g->mine_total - g->mine_done) * g->session->new_tokens_max;
    return tokens > 0 ? wanted * seconds / tokens : 0;
}

static void tell(struct generating *g)
{
    char extra[768], right[64] = ""; /* room for two numbers of any size */
    struct rt_engine_stats stats;
    const struct pipe_interval w = pipe_wilson(g->correct, g->done_count);
    const double seconds = (double)(rt_time_ns() - g->started) * 1e-9;
    rt_engine_stats_get(g->engine, &stats);
    const double tokens = (double)stats.tokens;
    if (g->done_count)
        snprintf(right, sizeof right, "acc %.1f %% (%.1f to %.1f)  ",
                 100.0 * g->correct / g->done_count, 100 * w.low, 100 * w.high);
    snprintf(extra, sizeof extra, "%s%.0f tokens, %.1f per s%s", right, tokens,
             seconds > 0 ? tokens / seconds : 0.0,
             stopping(g) ? "  stopping after these answers (again: at once)" : "");
    const struct pipe_progress now = { .what = g->label,
                                       .done = g->mine_done,
                                       .total = g->mine_total,
                                       .started_ns = g->started,
                                       .left_seconds = most_left(g, tokens, seconds),
                                       .extra = extra };
    pipe_progress(g->session->host, &now);
}

/* Between steps: what is finished becomes durable, then it is reported. */
static rt_status between(void *user)
{
    rt_status st;
    struct generating *g = user;
    TRY(beat(g));
    if (g->open)
        TRY(commit(g));
    tell(g);

fail:
    return st;
}

/* One engine run over what is left now. */
static rt_status run_engine(struct generating *g, const struct pipe_variant *v)
{
    const struct pipe_asker asker = { .model = v->model,
                                      .adapter = v->adapter,
                                      .temperature = g->ask->temperature,
                                      .top_p = g->ask->top_p,
                                      .rescues = g->rescues,
                                      .slots = g->ask->slots,
                                      .room = room_needed(g),
                                      .engine = &g->engine,
                                      .next = next_question,
                                      .take = take_reply,
                                      .between = between,
                                      .user = g };
    const rt_status st = pipe_ask(g->session, &asker);
    return st == RT_OK && g->open ? commit(g) : st;
}

/* Others hold the rest: look again in a moment, and take what they leave. */
static rt_status wait_for_others(struct generating *g)
{
    rt_status st;
    os_sleep_ms(WAIT_MS);
    TRY(begin(g));
    TRY(store_attempts_reap(g->session->store, g->attempt.run_id));
    TRY(beat(g));
    TRY(commit(g));
    tell(g);

fail:
    return st;
}

/* ---- the whole ---- */

static rt_status work(struct generating *g, const struct pipe_variant *v)
{
    rt_status st;
    pipe_costs_start(g->session, &g->costs);
    for (;;) {
        TRY(run_engine(g, v));
        if (stopping(g))
            break;
        TRY(list_left(g));
        if (g->left == 0)
            return RT_OK;
        TRY(wait_for_others(g));
        TRY(list_left(g));
    }
    TRY(list_left(g));
    if (g->left > 0)
        TRY(pipe_stop_status(g->session->host, g->session->ctx));
    if (g->left > 0)
        st = rt_fail(g->session->ctx, RT_ERR_TIME_LIMIT,
                     "the time limit is reached with %u answers left; finished work is "
                     "saved, run the same command to go on",
                     g->left);

fail:
    return st;
}

/* Takes over what runs like this one have, and lists what is left. Tokens thrown away stand
 * beside an answer, not with it, so answers with rescues are made anew. */
static rt_status reuse(struct generating *g)
{
    rt_status st;
    bool some = false, got = false;
    uint32_t taken = 0;
    TRY(list_left(g));
    if (g->left > 0 && !g->rescues)
        TRY(store_can_reuse(g->session->store, g->attempt.run_id, &some));
    if (!some)
        return RT_OK;
    TRY(begin(g));
    for (uint32_t i = 0; i < g->left; i++) {
        const struct pipe_task task = g->tasks[i];
        TRY(store_reuse_answer(g->session->store, g->attempt.run_id,
                               g->bench->set.items[task.problem].id, task.sample, &got));
        taken += got;
    }
    TRY(store_commit(g->session->store));
    g->open = false;
    if (taken)
        rt_log(g->session->ctx, RT_LOG_INFO,
               "%s: %u answers are there from runs of the same model and settings",
               g->label, taken);
    return list_left(g);

fail:
    return st;
}

static rt_status open_run(struct generating *g, const struct pipe_variant *v)
{
    rt_status st;
    char config[384], decoding[96] = "\"greedy\"", rescue[24] = "";
    const struct pipe_session *session = g->session;
    if (g->ask->temperature > 0)
        snprintf(decoding, sizeof decoding, "{\"temperature\":%.6g,\"top_p\":%.6g}",
                 (double)g->ask->temperature, (double)g->ask->top_p);
    if (g->rescues) /* runs without it are those of earlier builds */
        snprintf(rescue, sizeof rescue, ",\"rescue\":%u", g->rescues);
    snprintf(config, sizeof config,
             "{\"format\":\"%s\",\"format_hash\":\"%s\",\"decoding\":%s%s,"
             "\"context\":%u,\"new_tokens_max\":%u}",
             session->format->name, session->format_hash, decoding, rescue, g->context,
             session->new_tokens_max);
    struct store_run run = { .campaign_id = session->campaign_id,
                             .kind = "eval",
                             .variant_id = v->row.id,
                             .benchmark_id = g->bench->id,
                             .env_id = session->env_id,
                             .grader = session->format->grader,
                             .seed = session->seed,
                             .config = config };
    TRY(begin(g));
    TRY(store_run_open(session->store, &run));
    snprintf(g->attempt.run_id, STORE_ID, "%s", run.id);
    TRY(store_put_metric(session->store, run.id, "wanted", 0, (double)g->total));
    TRY(store_commit(session->store));
    g->open = false;
    return reuse(g);

fail:
    return st;
}

static rt_status open_attempt(struct generating *g)
{
    rt_status st;
    char run_id[STORE_ID];
    snprintf(run_id, sizeof run_id, "%s", g->attempt.run_id);
    TRY(begin(g));
    TRY(store_attempt_open(g->session->store, run_id, g->session->env_id, &g->attempt));
    TRY(store_commit(g->session->store));
    g->open = false;

fail:
    return st;
}

/* The message of `st` survives. */
static rt_status close_attempt(struct generating *g, rt_status st)
{
    char kept[1024];
    struct rt_ctx *ctx = g->session->ctx;
    snprintf(kept, sizeof kept, "%s", ctx->message);
    store_rollback(g->session->store);
    const bool done = st == RT_OK && g->done_count == g->total;
    rt_status closed = store_begin(g->session->store);
    if (closed == RT_OK)
        closed = store_attempt_close(g->session->store, &g->attempt,
                                     done ? "done" : "interrupted", rt_exit_code(st),
                                     st == RT_OK ? NULL : kept);
    if (closed == RT_OK)
        closed = store_commit(g->session->store);
    if (closed != RT_OK)
        store_rollback(g->session->store);
    if (st == RT_OK)
        return closed;
    snprintf(ctx->message, sizeof kept, "%s", kept);
    return st;
}

static rt_status allocate(struct generating *g)
{
    struct rt_ctx *ctx = g->session->ctx;
    g->done = rt_alloc(ctx, g->total, sizeof *g->done);
    g->tasks = rt_alloc(ctx, g->total, sizeof *g->tasks);
    g->ends = rt_alloc(ctx, g->context, sizeof *g->ends);
    return g->done && g->tasks && g->ends
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %zu answers", g->total);
}

static void deinit(struct generating *g)
{
    rt_engine_destroy(&g->engine);
    rt_free(g->done);
    rt_free(g->tasks);
    rt_free(g->ends);
}

rt_status pipe_answers_make(struct pipe_session *session, const struct pipe_variant *v,
                            const struct pipe_bench *bench, const struct pipe_wanted *ask,
                            char *run_id, uint32_t *made)
{
    rt_status st;
    struct generating g = { .session = session, .bench = bench, .ask = ask };
    *made = 0;
    g.started = rt_time_ns();
    g.context = pipe_session_context(session, v->model);
    g.rescues = v->rescues;
    g.problems = ask->limit < bench->set.count ? ask->limit : bench->set.count;
    g.total = (size_t)g.problems * ask->samples;
    for (uint32_t p = 0; p < g.problems; p++)
        g.mine_total += pipe_is_mine(ask, p) ? ask->samples : 0;
    snprintf(g.label, sizeof g.label, "%.30s %.30s", bench->split, v->row.label);
    TRY(allocate(&g));
    TRY(open_run(&g, v));
    snprintf(run_id, STORE_ID, "%s", g.attempt.run_id);
    if (g.left > 0) {
        TRY(open_attempt(&g));
        st = close_attempt(&g, work(&g, v));
        *made = g.made;
    } else if (g.done_count == g.total) {
        TRY(store_run_close(session->store, run_id, "done", 0, NULL));
    } else { /* of this shard nothing is left: the run says that others go on */
        TRY(open_attempt(&g));
        st = close_attempt(&g, RT_OK);
    }

fail:
    if (st != RT_OK)
        store_rollback(session->store);
    deinit(&g);
    return st;
}

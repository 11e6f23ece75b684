/* pipeline/run/choice.c
 * Every letter is scored as the text that follows the question. */
#include "pipeline/run/choice.h"

#include "pipeline/data/data_choice.h"
#include "pipeline/data/data_file.h"
#include "pipeline/run/problem_source.h"
#include "pipeline/run/work.h"
#include "runtime/observe/score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT_MAX = 2048, BATCH = 16 }; /* BATCH: questions that share a commit */

struct choosing {
    struct pipe_session *session;       /* borrowed */
    const struct pipe_problem_set *set; /* borrowed */
    const char *split;
    struct rt_scorer *scorer;
    struct store_run run;
    char benchmark[STORE_ID];
    bool *done;
    uint8_t mask[CONTEXT_MAX];
    uint32_t context, right, errors, fresh;
};

/* log p of " X" after the prompt; *fits false: the question is longer than the context. */
static rt_status score_letter(struct choosing *c, const char *prompt, char letter,
                              double *out, bool *fits)
{
    rt_status st;
    float logprob[CONTEXT_MAX];
    uint32_t *ids = NULL, *head = NULL, n, n_head;
    struct text_tokenizer *tok = c->session->tok;
    char *text = rt_format(c->session->ctx, "%s %c", prompt, letter);
    if (!text)
        return rt_fail(c->session->ctx, RT_ERR_HOST_MEMORY, "no memory for a question");
    TRY(text_encode_prompt(tok, prompt, strlen(prompt), false, &head, &n_head));
    TRY(text_encode_prompt(tok, text, strlen(text), false, &ids, &n));
    *fits = n <= c->context;
    if (!*fits)
        goto fail;
    /* Counted from where the letter's ids part from the prompt's. */
    uint32_t same = 0;
    while (same < n_head && same < n && ids[same] == head[same])
        same++;
    for (uint32_t i = 0; i < n; i++)
        c->mask[i] = i >= same;
    const struct train_sequence sequence = { .ids = ids, .mask = c->mask, .n = n };
    const struct score_out scores = { .logprob = logprob };
    TRY(rt_scorer_run(c->scorer, &sequence, 1, &scores));
    *out = 0;
    for (uint32_t i = 0; i < n - same; i++)
        *out += (double)logprob[i];

fail:
    rt_free(ids);
    rt_free(head);
    rt_free(text);
    return st;
}

static rt_status put_answer(struct choosing *c, const struct pipe_problem *p, char best,
                            const char *reason)
{
    char output[3] = { ' ', best, '\0' }, letter[2] = { best, '\0' };
    const bool error = best == '\0';
    const struct pipe_score score = { .grader = "choice",
                                      .extracted = error ? NULL : letter,
                                      .extract_ok = !error,
                                      .correct = !error && p->answer[0] == best,
                                      .reason = reason };
    const struct pipe_generation g = {
        .problem_id = p->id,
        .prompt_hash = "choice",
        .output = error ? "" : output,
        .finish = error ? PIPE_FINISH_ERROR : PIPE_FINISH_STOP,
        .prefill_us = -1,
        .decode_us = -1,
        .error = error ? "the question is longer than the context" : NULL,
    };
    c->right += score.correct;
    c->errors += error;
    return store_put_generation(c->session->store, c->run.id, &g, &score, NULL, 0);
}

static rt_status answer(struct choosing *c, const struct pipe_problem *p)
{
    rt_status st = RT_OK;
    char reason[256] = "log p";
    char best = '\0';
    double best_log = -INFINITY;
    bool fits = true;
    const long choices = strtol(p->level, NULL, 10);
    char *prompt = rt_format(c->session->ctx, "%s\nAnswer:", p->question);
    if (!prompt)
        return rt_fail(c->session->ctx, RT_ERR_HOST_MEMORY, "no memory for a question");
    for (int i = 0; i < choices && fits; i++) {
        double value = 0;
        const char letter = (char)('A' + i);
        TRY(score_letter(c, prompt, letter, &value, &fits));
        snprintf(reason + strlen(reason), sizeof reason - strlen(reason), " %c %.3f",
                 letter, value);
        if (fits && value > best_log) {
            best_log = value;
            best = letter;
        }
    }
    TRY(put_answer(c, p, fits ? best : '\0', fits ? reason : "too long"));

fail:
    rt_free(prompt);
    return st;
}

/* ---- the whole ---- */

static rt_status mark_done(void *user, const struct store_answer *a)
{
    struct choosing *c = user;
    const char *slash = strrchr(a->problem_id, '/');
    const unsigned long i = slash ? strtoul(slash + 1, NULL, 10) : 0;
    if (i < c->set->count && !c->done[i]) {
        c->done[i] = true;
        c->right += a->correct;
        c->errors += a->finish == PIPE_FINISH_ERROR;
    }
    return RT_OK;
}

static rt_status open_run(struct choosing *c, const struct pipe_variant *v)
{
    rt_status st;
    char config[96];
    struct store *s = c->session->store;
    snprintf(config, sizeof config, "{\"format\":\"choice\",\"context\":%u}", c->context);
    TRY(store_begin(s));
    TRY(store_put_benchmark(s, c->set->name, c->split, c->set->items, c->set->count,
                            c->benchmark));
    c->run = (struct store_run){ .campaign_id = c->session->campaign_id,
                                 .kind = "eval",
                                 .variant_id = v->row.id,
                                 .benchmark_id = c->benchmark,
                                 .env_id = c->session->env_id,
                                 .grader = "choice",
                                 .config = config };
    TRY(store_run_open(s, &c->run));
    TRY(store_commit(s));
    c->run.config = NULL;
    TRY(pipe_work_begin(c->session, c->run.id));
    TRY(store_each_answer(s, c->run.id, mark_done, c));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static rt_status answer_all(struct choosing *c, uint32_t count)
{
    rt_status st = RT_OK;
    const uint64_t started = rt_time_ns();
    for (uint32_t first = 0; first < count; first += BATCH) {
        TRY(store_begin(c->session->store));
        for (uint32_t i = first; i < count && i < first + BATCH; i++) {
            if (c->done[i])
                continue;
            TRY(answer(c, &c->set->items[i]));
            c->fresh++;
        }
        TRY(store_attempt_beat(c->session->store, &c->session->attempt));
        TRY(store_commit(c->session->store));
        const struct pipe_progress now = {
            .what = "choice", .done = first, .total = count, .started_ns = started
        };
        pipe_progress(c->session->host, &now);
        if (pipe_stopping(c->session->host) && first + BATCH < count)
            return pipe_stop_status(c->session->host, c->session->ctx);
    }
    TRY(store_begin(c->session->store));
    TRY(pipe_work_commit(c->session));
    return RT_OK;

fail:
    store_rollback(c->session->store);
    return st;
}

static rt_status open_scorer(struct choosing *c, const struct pipe_variant *v)
{
    const uint32_t most = rt_model_positions(v->model);
    c->context = most < CONTEXT_MAX ? most : CONTEXT_MAX;
    return rt_scorer_create(v->model, v->adapter, NULL, c->context, &c->scorer);
}

rt_status pipe_choice_read(struct rt_ctx *ctx, const char *path,
                           struct pipe_problem_set *out)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    TRY(pipe_data_file_read(ctx, path, &file));
    TRY(pipe_choice_parse(ctx, path, pipe_list_name(path), file.text, file.size, out));

fail:
    pipe_data_file_deinit(&file);
    return st;
}

rt_status pipe_choice_run(struct pipe_session *session,
                          const struct pipe_choice_options *o,
                          struct pipe_choice_result *out)
{
    rt_status st;
    const uint32_t n = o->limit < o->set->count ? o->limit : o->set->count;
    struct choosing *c = rt_alloc(session->ctx, 1, sizeof *c);
    *out = (struct pipe_choice_result){ 0 };
    if (!c)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory");
    c->session = session;
    c->set = o->set;
    c->split = o->split;
    c->done = rt_alloc(session->ctx, c->set->count, sizeof *c->done);
    if (!c->done) {
        st = rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory for %u questions",
                     c->set->count);
        goto fail;
    }
    TRY(open_scorer(c, o->variant));
    TRY(open_run(c, o->variant));
    TRY(answer_all(c, n));
    *out = (struct pipe_choice_result){
        .n = n, .right = c->right, .errors = c->errors, .fresh = c->fresh
    };
    snprintf(out->run_id, sizeof out->run_id, "%s", c->run.id);

fail:
    if (st != RT_OK)
        pipe_work_stopped(session, st);
    rt_scorer_destroy(&c->scorer);
    rt_free(c->done);
    rt_free(c);
    return st;
}

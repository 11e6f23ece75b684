/* pipeline/cli/cmd_choice.c
 * choice: multiple-choice questions, answered by the choice whose letter the model finds
 * most likely after "Answer:". Nothing is generated; answers are rows like any other, so
 * that compare pairs them. */
#include "pipeline/cli/cli.h"
#include "pipeline/cli/cli_session.h"
#include "pipeline/cli/loop_work.h"
#include "runtime/train/score.h"
#include "pipeline/cli/problem_source.h"

#include "pipeline/data/data_choice.h"
#include "pipeline/data/data_file.h"
#include "pipeline/statistics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT_MAX = 2048, BATCH = 16 }; /* BATCH: questions that share a commit */

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "role", "NAME", "full, quant, restored or control (default full)" },
    { "csv", "FILE", "question, choices, letter a line, as MMLU has it (.gz too)" },
    { "limit", "N", "only the first N questions" },
    { NULL, NULL, NULL },
};

struct choosing {
    struct cli *cli;
    struct loop loop;
    struct pipe_problem_set set;
    struct rt_model *model;
    struct rt_adapter *adapter;
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
    char *text = rt_format(c->loop.ctx, "%s %c", prompt, letter);
    if (!text)
        return rt_fail(c->loop.ctx, RT_ERR_HOST_MEMORY, "no memory for a question");
    TRY(text_encode(c->loop.tok, prompt, strlen(prompt), false, &head, &n_head));
    TRY(text_encode(c->loop.tok, text, strlen(text), false, &ids, &n));
    const uint32_t bos = text_bos_id(c->loop.tok), lead = bos != UINT32_MAX;
    *fits = n + lead <= c->context;
    if (!*fits)
        goto fail;
    if (lead) {
        uint32_t *longer = rt_resize(c->loop.ctx, ids, n, n + 1u, sizeof *ids);
        if (!longer) {
            st = rt_fail(c->loop.ctx, RT_ERR_HOST_MEMORY, "no memory for a question");
            goto fail;
        }
        ids = longer;
        memmove(ids + 1, ids, n * sizeof *ids);
        ids[0] = bos;
    }
    /* Counted from where the letter's ids part from the prompt's. */
    uint32_t same = 0;
    while (same < n_head && same < n && ids[same + lead] == head[same])
        same++;
    for (uint32_t i = 0; i < n + lead; i++)
        c->mask[i] = i >= same + lead;
    const struct train_sequence sequence = { .ids = ids, .mask = c->mask, .n = n + lead };
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
    return store_put_generation(c->loop.store, c->run.id, &g, &score, NULL, 0);
}

static rt_status answer(struct choosing *c, const struct pipe_problem *p)
{
    rt_status st = RT_OK;
    char reason[256] = "log p";
    char best = '\0';
    double best_log = -INFINITY;
    bool fits = true;
    const long choices = strtol(p->level, NULL, 10);
    char *prompt = rt_format(c->loop.ctx, "%s\nAnswer:", p->question);
    if (!prompt)
        return rt_fail(c->loop.ctx, RT_ERR_HOST_MEMORY, "no memory for a question");
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
    if (i < c->set.count && !c->done[i]) {
        c->done[i] = true;
        c->right += a->correct;
        c->errors += a->finish == PIPE_FINISH_ERROR;
    }
    return RT_OK;
}

static rt_status open_run(struct choosing *c, const struct loop_variant *v)
{
    rt_status st;
    char config[96];
    struct store *s = c->loop.store;
    snprintf(config, sizeof config, "{\"format\":\"choice\",\"context\":%u}", c->context);
    TRY(store_begin(s));
    TRY(store_put_benchmark(s, c->set.name, "measure", c->set.items, c->set.count,
                            c->benchmark));
    c->run = (struct store_run){ .campaign_id = c->loop.campaign_id,
                                 .kind = "eval",
                                 .variant_id = v->row.id,
                                 .benchmark_id = c->benchmark,
                                 .env_id = c->loop.env_id,
                                 .grader = "choice",
                                 .config = config };
    TRY(store_run_open(s, &c->run));
    TRY(store_commit(s));
    c->run.config = NULL;
    TRY(loop_work_begin(&c->loop, c->run.id));
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
        TRY(store_begin(c->loop.store));
        for (uint32_t i = first; i < count && i < first + BATCH; i++) {
            if (c->done[i])
                continue;
            TRY(answer(c, &c->set.items[i]));
            c->fresh++;
        }
        TRY(store_attempt_beat(c->loop.store, &c->loop.attempt));
        TRY(store_commit(c->loop.store));
        const struct pipe_progress now = {
            .what = "choice", .done = first, .total = count, .started_ns = started
        };
        cli_progress(c->cli, &now);
        if (cli_stopping() && first + BATCH < count)
            return cli_stop_status(c->loop.ctx);
    }
    TRY(store_begin(c->loop.store));
    TRY(loop_work_done(&c->loop));
    TRY(store_commit(c->loop.store));
    return RT_OK;

fail:
    store_rollback(c->loop.store);
    return st;
}

static rt_status read_questions(struct choosing *c, struct cli *cli, const char *path)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    TRY(pipe_data_file_read(&cli->ctx, path, &file));
    TRY(pipe_choice_parse(&cli->ctx, path, pipe_list_name(path), file.text, file.size,
                          &c->set));
    c->done = rt_alloc(&cli->ctx, c->set.count, sizeof *c->done);
    if (!c->done)
        st = rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for %u questions",
                     c->set.count);

fail:
    pipe_data_file_deinit(&file);
    return st;
}

static rt_status load(struct choosing *c, const char *model, struct loop_variant *v)
{
    rt_status st;
    struct cli *cli = c->cli;
    const char *adapter = cli_value(cli, "adapter", NULL);
    const char *role = cli_value(cli, "role", adapter ? "restored" : "full");
    TRY(loop_model_load(&c->loop, model, &c->model));
    if (adapter)
        TRY(rt_adapter_load(c->model, adapter, &c->adapter));
    c->context = c->model->positions < CONTEXT_MAX ? c->model->positions : CONTEXT_MAX;
    TRY(rt_scorer_create(c->model, c->adapter, NULL, c->context, &c->scorer));
    TRY(loop_variant_put(&c->loop, c->model, c->adapter, model, role, role, NULL, v));

fail:
    return st;
}

static void tell(const struct choosing *c, const struct loop_variant *v, uint32_t n)
{
    const struct pipe_interval w = pipe_wilson(c->right, n);
    if (cli_flag(c->cli, "json"))
        printf("{\"right\":%u,\"n\":%u,\"low\":%.6f,\"high\":%.6f,\"errors\":%u,"
               "\"run\":\"%s\"}\n",
               c->right, n, w.low, w.high, c->errors, c->run.id);
    else
        printf("%s, %s: %u of %u right: %.2f %% (95 %% %.2f to %.2f)%s\n", c->set.name,
               v->row.label, c->right, n, 100.0 * c->right / n, 100 * w.low, 100 * w.high,
               c->fresh ? "" : "  [from before]");
}

static rt_status choice(struct cli *cli)
{
    rt_status st;
    int64_t limit;
    struct loop_variant v;
    const char *model = cli_value(cli, "model", NULL);
    const char *path = cli_value(cli, "csv", NULL);
    if (!model || !path)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "choice needs --model DIR and --csv FILE");
    struct choosing *c = rt_alloc(&cli->ctx, 1, sizeof *c);
    if (!c)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory");
    TRY(cli_number(cli, "limit", UINT32_MAX, 1, UINT32_MAX, &limit));
    TRY(read_questions(c, cli, path));
    c->cli = cli;
    TRY(cli_session_open(cli, model, NULL, "eval", "{}", &c->loop));
    TRY(load(c, model, &v));
    TRY(open_run(c, &v));
    const uint32_t n = limit < c->set.count ? (uint32_t)limit : c->set.count;
    TRY(answer_all(c, n));
    tell(c, &v, n);

fail:
    if (st != RT_OK)
        loop_work_stopped(&c->loop, st);
    rt_scorer_destroy(&c->scorer);
    rt_adapter_destroy(&c->adapter);
    rt_model_destroy(&c->model);
    pipe_problems_deinit(&c->set);
    rt_free(c->done);
    loop_close(&c->loop);
    rt_free(c);
    return st;
}

const struct cli_command cli_choice = { "choice",
                                        "multiple choice by the likelier letter",
                                        "--model DIR --csv FILE", options, choice };

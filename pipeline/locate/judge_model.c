/* pipeline/locate/judge_model.c
 * Solutions with a yes behind every step, read once by a model. */
#include "pipeline/locate/judge_model.h"

#include "pipeline/host.h"
#include "pipeline/locate/judge_store.h"
#include "pipeline/prompt/prompt_format.h"
#include "pipeline/run/sequences.h"
#include "pipeline/run/work.h"
#include "runtime/observe/score.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char YES[] = " yes";
const char pipe_judge_question[] = "yes behind each step, 1";

static bool no_answer(const char *output, char *extracted, size_t size, const char **rule)
{
    (void)output;
    (void)extracted;
    (void)size;
    *rule = "the judge writes nothing";
    return false;
}

const struct pipe_prompt_format pipe_format_judge = {
    .name = "judge",
    .summary = "a solution with a verdict behind every step",
    .chat = true,
    .instruction = "You check the solution of a problem step by step. Behind each step "
                   "answer yes if it "
                   "is right. Answer no if it is wrong: a wrong number, a wrong "
                   "operation, or something "
                   "that does not follow.",
    .before = "",
    .after = "",
    .new_tokens_max = 4096,
    .context = 6144,
    .grader = "judge",
    .dialect = &pipe_dialect_lines,
    .extract = no_answer,
};

/* ---- the joint score ---- */

static double log_logistic(double z)
{
    return z > 0 ? -log1p(exp(-z)) : z - log1p(exp(z));
}

void pipe_judge_joint(double *doubts, const uint32_t *steps, uint32_t count, double *none)
{
    double sum = 0, squares = 0;
    uint64_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        n += steps[i];
    for (uint64_t k = 0; k < n; k++)
        sum += doubts[k];
    const double mean = n ? sum / (double)n : 0;
    for (uint64_t k = 0; k < n; k++)
        squares += (doubts[k] - mean) * (doubts[k] - mean);
    const double deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    /* the log odds of one fault per solution */
    const double base = n > count ? log((double)(n - count) / count) : 0;
    for (uint32_t i = 0; i < count; doubts += steps[i++]) {
        double before = 0;
        for (uint32_t k = 0; k < steps[i]; k++) {
            const double z = (deviation > 0 ? (doubts[k] - mean) / deviation : 0) - base;
            doubts[k] = before + log_logistic(z);
            before += log_logistic(-z);
        }
        none[i] = before;
    }
}

/* ---- reading ---- */

struct judging {
    struct pipe_session *session;
    const char *folder;
    struct rt_model *model; /* null: nothing had to be read yet */
    struct pipe_judge_store kept;
    uint32_t found; /* solutions whose readings were kept before */
    const struct pipe_labelled_set *set;
    struct pipe_judgement *out;
};

/* Tokens of one solution, and what each belongs to: a step from 0, or -2 - step: its yes. */
struct marked {
    uint32_t *ids;
    int32_t *of;
    uint32_t n;
};

static rt_status add_text(struct judging *j, struct marked *m, const char *text,
                          size_t size, int32_t of)
{
    struct rt_ctx *ctx = j->session->ctx;
    uint32_t *ids = NULL, n = 0;
    rt_status st = text_encode(j->session->tok, text, size, false, &ids, &n);
    if (st != RT_OK)
        return st;
    uint32_t *all = rt_resize(ctx, m->ids, m->n, m->n + n, sizeof *all);
    if (all)
        m->ids = all;
    int32_t *marks = rt_resize(ctx, m->of, m->n, m->n + n, sizeof *marks);
    if (marks)
        m->of = marks;
    if (!all || !marks) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "judge: no memory");
    } else {
        memcpy(m->ids + m->n, ids, n * sizeof *ids);
        for (uint32_t t = 0; t < n; t++)
            m->of[m->n + t] = of;
        m->n += n;
    }
    rt_free(ids);
    return st;
}

static rt_status mark(struct judging *j, const struct pipe_labelled *item,
                      struct marked *m)
{
    rt_status st = RT_OK;
    char head[32];
    for (uint32_t k = 0; k < item->step_count; k++) {
        uint32_t end = item->steps[k].char_end;
        const uint32_t start = item->steps[k].char_start;
        while (end > start && strchr(" \n\r\t", item->text[end - 1]))
            end--;
        snprintf(head, sizeof head, "Step %u: ", k + 1);
        TRY(add_text(j, m, head, strlen(head), -1));
        TRY(add_text(j, m, item->text + start, end - start, (int32_t)k));
        TRY(add_text(j, m, "\nRight?", 7, -1));
        TRY(add_text(j, m, YES, sizeof YES - 1, -2 - (int32_t)k));
        TRY(add_text(j, m, "\n", 1, -1));
    }

fail:
    return st;
}

static rt_status score(struct judging *j, const struct pipe_labelled *item,
                       const struct marked *m, struct pipe_judgement *out,
                       uint64_t *tokens)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    struct pipe_sequences all = { 0 };
    struct rt_ctx *ctx = j->session->ctx;
    float *margin = rt_alloc(ctx, m->n, sizeof *margin);
    out->first = rt_alloc(ctx, item->step_count, sizeof *out->first);
    out->surprise = rt_alloc(ctx, item->step_count, sizeof *out->surprise);
    if (!margin || !out->first || !out->surprise) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "judge: no memory");
        goto fail;
    }
    TRY(pipe_sequences_init(j->session, 1, &all));
    TRY(pipe_sequences_add(j->session, &all, item->question, NULL, m->ids, m->n));
    TRY(rt_scorer_create(j->model, NULL, NULL, all.list[0].n, &scorer));
    TRY(rt_scorer_run(scorer, all.list, 1, &(struct score_out){ .margin = margin }));
    *tokens += all.list[0].n;
    for (uint32_t t = 0; t < m->n; t++) {
        const float away = -margin[t];
        if (m->of[t] >= 0 && away > out->surprise[m->of[t]])
            out->surprise[m->of[t]] = away;
        if (m->of[t] <= -2) /* the last token of the yes decides */
            out->first[-2 - m->of[t]] = (double)away;
    }

fail:
    rt_scorer_destroy(&scorer);
    pipe_sequences_free(&all);
    rt_free(margin);
    return st;
}

enum { SERIES = 2 };

/* The numbers of a solution that are kept, before they are joined. */
static void series_of(const struct pipe_judgement *out, struct pipe_judge_series *series)
{
    series[0] = (struct pipe_judge_series){ "doubt", out->first };
    series[1] = (struct pipe_judge_series){ "surprise", out->surprise };
}

static rt_status recall(struct judging *j, uint32_t i, uint64_t *tokens, bool *found)
{
    struct pipe_judgement *out = &j->out[i];
    struct pipe_judge_series series[SERIES];
    uint64_t read = 0;
    series_of(out, series);
    const rt_status st =
        pipe_judge_store_get(&j->kept, &j->set->items[i], series, SERIES, &read, found);
    if (st != RT_OK || !*found)
        return st;
    out->first = series[0].values;
    out->surprise = series[1].values;
    *tokens += read;
    j->found++;
    return RT_OK;
}

static rt_status read_one(struct judging *j, uint32_t i, const struct marked *m,
                          uint64_t *tokens)
{
    rt_status st;
    uint64_t read = 0;
    struct pipe_judge_series series[SERIES];
    if (!j->model)
        TRY(pipe_model_load(j->session, j->folder, &j->model));
    TRY(score(j, &j->set->items[i], m, &j->out[i], &read));
    series_of(&j->out[i], series);
    TRY(pipe_judge_store_put(&j->kept, &j->set->items[i], series, SERIES, read));
    *tokens += read;

fail:
    return st;
}

static rt_status judge_one(struct judging *j, uint32_t i, uint64_t *tokens)
{
    struct marked m = { 0 };
    bool found;
    rt_status st = recall(j, i, tokens, &found);
    if (st != RT_OK || found)
        return st;
    st = mark(j, &j->set->items[i], &m);
    if (st == RT_OK && m.n > 0 && m.n + 1024 < j->session->context)
        st = read_one(j, i, &m, tokens);
    rt_free(m.ids);
    rt_free(m.of);
    return st;
}

/* The doubts of all judged solutions in one row, scored and put back. */
static rt_status join(struct judging *j)
{
    struct rt_ctx *ctx = j->session->ctx;
    uint64_t n = 0;
    uint32_t judged = 0;
    for (uint32_t i = 0; i < j->set->count; i++)
        n += j->out[i].first ? j->set->items[i].step_count : 0;
    double *doubts = rt_alloc(ctx, n + 1, sizeof *doubts), *at = doubts;
    uint32_t *steps = rt_alloc(ctx, j->set->count, sizeof *steps);
    double *none = rt_alloc(ctx, j->set->count, sizeof *none);
    if (!doubts || !steps || !none) {
        rt_free(doubts);
        rt_free(none);
        rt_free(steps);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "judge: no memory");
    }
    for (uint32_t i = 0; i < j->set->count; i++)
        if (j->out[i].first) {
            steps[judged] = j->set->items[i].step_count;
            memcpy(at, j->out[i].first, steps[judged] * sizeof *at);
            at += steps[judged++];
        }
    pipe_judge_joint(doubts, steps, judged, none);
    at = doubts;
    judged = 0;
    for (uint32_t i = 0; i < j->set->count; i++)
        if (j->out[i].first) {
            memcpy(j->out[i].first, at, j->set->items[i].step_count * sizeof *at);
            at += j->set->items[i].step_count;
            j->out[i].none = none[judged++];
        }
    rt_free(none);
    rt_free(doubts);
    rt_free(steps);
    return RT_OK;
}

rt_status pipe_judge_set(struct pipe_session *session, const char *model,
                         const struct pipe_labelled_set *set, struct pipe_judgement *out,
                         uint64_t *tokens)
{
    rt_status st;
    struct judging j = { .session = session, .folder = model, .set = set, .out = out };
    const uint64_t started = rt_time_ns();
    *tokens = 0;
    memset(out, 0, set->count * sizeof *out);
    TRY(pipe_judge_store_open(session, model, pipe_judge_question, &j.kept));
    for (uint32_t i = 0; i < set->count; i++) {
        const struct pipe_progress progress = {
            .what = "judge", .done = i, .total = set->count, .started_ns = started
        };
        TRY(pipe_stop_status(session->host, session->ctx));
        TRY(judge_one(&j, i, tokens));
        pipe_progress(session->host, &progress);
    }
    TRY(join(&j));
    TRY(pipe_judge_store_done(&j.kept));
    if (j.found)
        pipe_say(session->host, "judge: %u of %u solutions were read before", j.found,
                 set->count);

fail:
    rt_model_destroy(&j.model);
    if (st != RT_OK) {
        pipe_work_stopped(session, st);
        pipe_judgements_free(out, set->count);
    }
    return st;
}

void pipe_judgements_free(struct pipe_judgement *all, uint32_t count)
{
    for (uint32_t i = 0; all && i < count; i++) {
        rt_free(all[i].first);
        rt_free(all[i].surprise);
        all[i] = (struct pipe_judgement){ 0 };
    }
}

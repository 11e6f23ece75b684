/* pipeline/locate/judge_model.c
 * Solutions read by a model, each kept as soon as it is read, and joined into a score. */
#include "pipeline/locate/judge_model.h"

#include "pipeline/host.h"
#include "pipeline/locate/judge_store.h"
#include "pipeline/run/work.h"
#include "runtime/model/model.h"

#include <math.h>
#include <string.h>

const char pipe_judge_question[] = "number of the first error, 1";

/* ---- the score ---- */

double pipe_judge_joint(double *first, const double *asked, const double *numbers,
                        uint32_t steps)
{
    for (uint32_t k = 0; k < steps; k++)
        first[k] = asked[k] + numbers[k];
    return pipe_log_shares(first, steps);
}

/* ---- reading ---- */

struct judging {
    struct pipe_session *session;
    struct pipe_judge_by by; /* model null: nothing had to be read yet */
    struct rt_model *own;    /* that one, if it was loaded here */
    struct pipe_judge_store kept;
    uint32_t found; /* solutions whose readings were kept before */
    const struct pipe_labelled_set *set;
    struct pipe_judgement *out;
};

/* The numbers of a solution that are kept, before they are joined. */
enum { ASKED, NUMBERS, SURPRISE, SERIES };

static void name_series(struct pipe_judge_series series[SERIES])
{
    static const char *const names[SERIES] = { "asked", "numbers", "surprise" };
    for (int i = 0; i < SERIES; i++)
        series[i] = (struct pipe_judge_series){ .name = names[i] };
}

/* Reads solution i; *tokens 0: it cannot be read. */
static rt_status read_one(struct judging *j, uint32_t i,
                          struct pipe_judge_series series[SERIES], uint64_t *tokens)
{
    rt_status st;
    const struct pipe_labelled *item = &j->set->items[i];
    for (int k = 0; k < SERIES; k++) {
        series[k].values =
            rt_alloc(j->session->ctx, item->step_count + 1u, sizeof(double));
        if (!series[k].values)
            return rt_fail(j->session->ctx, RT_ERR_HOST_MEMORY, "judge: no memory");
    }
    if (!j->by.model) {
        TRY(pipe_model_load(j->session, j->by.folder, &j->own));
        j->by.model = j->own;
    }
    TRY(pipe_judge_read(
        j->session, j->by.model, item,
        &(struct pipe_judge_reading){ .asked = series[ASKED].values,
                                      .numbers = series[NUMBERS].values,
                                      .surprise = series[SURPRISE].values },
        tokens));
    if (*tokens)
        TRY(pipe_judge_store_put(&j->kept, item, series, SERIES, *tokens, *tokens));

fail:
    return st;
}

static rt_status judge_one(struct judging *j, uint32_t i, uint64_t *tokens)
{
    bool found;
    uint64_t read = 0;
    struct pipe_judgement *out = &j->out[i];
    const struct pipe_labelled *item = &j->set->items[i];
    struct pipe_judge_series series[SERIES];
    name_series(series);
    rt_status st = pipe_judge_store_get(&j->kept, item, series, SERIES, &read, &found);
    if (st == RT_OK && !found && item->step_count)
        st = read_one(j, i, series, &read);
    if (st == RT_OK && read) {
        double *asked = series[ASKED].values;
        out->doubt =
            pipe_judge_joint(asked, asked, series[NUMBERS].values, item->step_count);
        out->first = asked;
        out->surprise = series[SURPRISE].values;
        series[ASKED].values = series[SURPRISE].values = NULL;
        j->found += found;
        out->tokens = read;
        *tokens += read;
    }
    for (int k = 0; k < SERIES; k++)
        rt_free(series[k].values);
    return st;
}

/* Doubts above the mean of all that were judged. */
static void centre(struct judging *j)
{
    double sum = 0;
    uint32_t judged = 0;
    for (uint32_t i = 0; i < j->set->count; i++)
        if (j->out[i].first) {
            sum += j->out[i].doubt;
            judged++;
        }
    for (uint32_t i = 0; i < j->set->count; i++)
        if (j->out[i].first)
            j->out[i].doubt -= sum / judged;
}

rt_status pipe_judge_set(struct pipe_session *session, const struct pipe_judge_by *by,
                         const struct pipe_labelled_set *set, bool wrong_only,
                         struct pipe_judgement *out, uint64_t *tokens)
{
    rt_status st;
    struct judging j = { .session = session, .by = *by, .set = set, .out = out };
    const uint64_t started = rt_time_ns();
    *tokens = 0;
    memset(out, 0, set->count * sizeof *out);
    TRY(pipe_judge_store_open(session, by->folder,
                              &(struct pipe_judge_use){
                                  .locator = "judge",
                                  .question = pipe_judge_question,
                              },
                              &j.kept));
    for (uint32_t i = 0; i < set->count; i++) {
        const struct pipe_progress progress = {
            .what = "judge", .done = i, .total = set->count, .started_ns = started
        };
        TRY(pipe_stop_status(session->host, session->ctx));
        if (!wrong_only || set->items[i].final != PIPE_FINAL_RIGHT)
            TRY(judge_one(&j, i, tokens));
        pipe_progress(session->host, &progress);
    }
    centre(&j);
    TRY(pipe_judge_store_done(&j.kept));
    if (j.found)
        pipe_say(session->host, "judge: %u of %u solutions were read before", j.found,
                 set->count);

fail:
    rt_model_destroy(&j.own);
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

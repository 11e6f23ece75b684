/* pipeline/run/calibration_answers.c
 * Calibration on what models answered: the full model itself, asked now, or a stored run. */
#include "pipeline/run/calibration_answers.h"

#include "pipeline/data/data_leak.h"
#include "pipeline/data/problem_index.h"
#include "pipeline/run/answers.h"
#include "pipeline/run/token_weights.h"
#include "store/queries.h"
#include "store/store_data.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- self ---- */

static rt_status add_answers(struct pipe_session *session,
                             const struct pipe_calibration_options *o,
                             const struct pipe_bench *bench, const struct pipe_answers *a,
                             struct pipe_calibration *c)
{
    rt_status st;
    const uint32_t count = a->count < o->items ? a->count : o->items;
    TRY(pipe_sequences_init(session, count ? count : 1, &c->sequences));
    for (uint32_t i = 0; i < count; i++) {
        if (a->items[i].n == 0) { /* no room in the context */
            c->without++;
            continue;
        }
        TRY(pipe_sequences_add(session, &c->sequences, bench->set.items[i].question, NULL,
                               a->items[i].ids, a->items[i].n));
        if (bench->set.items[i].weights)
            TRY(pipe_weights_put_answer(session, bench->set.items[i].weights, NULL, false,
                                        &c->sequences));
    }

fail:
    return st;
}

/* Before the model is asked: answers that it gives have no spans. */
static rt_status check_weights(struct rt_ctx *ctx, const struct pipe_bench *bench)
{
    for (uint32_t i = 0; i < bench->set.count; i++) {
        const struct pipe_text_weights *w = bench->set.items[i].weights;
        if (w && w->refused)
            return rt_fail(ctx, RT_ERR_INPUT, "%s", w->refused);
        if (w && w->count)
            return rt_fail(ctx, RT_ERR_INPUT,
                           "%s: its spans are of the solution, but the model answers; "
                           "give 'weight' alone, or the problems without self:",
                           w->where);
    }
    return RT_OK;
}

rt_status pipe_calibration_of_self(struct pipe_session *session,
                                   const struct pipe_calibration_options *o,
                                   struct rt_model *full, struct pipe_calibration *c)
{
    rt_status st;
    struct pipe_bench bench = { 0 };
    struct pipe_answers answers = { 0 };
    struct pipe_variant v;
    TRY(pipe_bench_open(session, pipe_calibration_self(o->from), "calibrate", &bench));
    if (bench.set.count > o->items) /* no more is asked than is used */
        bench.set.count = o->items;
    TRY(check_weights(session->ctx, &bench));
    TRY(pipe_variant_put(session, full, NULL, o->model, "full", "full", NULL, &v));
    TRY(pipe_measure(session, &v, &bench, &answers));
    TRY(add_answers(session, o, &bench, &answers, c));

fail:
    pipe_answers_deinit(&answers);
    pipe_bench_close(&bench);
    return st;
}

/* ---- run ---- */

enum wanted { ANY, RIGHT, WRONG, LOST, KEPT };

struct selector {
    char run[STORE_ID], other[STORE_ID]; /* ids or labels; other: of LOST and KEPT */
    enum wanted wanted;
    double step; /* what tokens count from the faulty step on; 0: as all */
};

static rt_status read_selector(struct rt_ctx *ctx, const char *from, struct selector *out)
{
    static const struct {
        const char *word;
        enum wanted wanted;
    } words[] = {
        { "right", RIGHT }, { "wrong", WRONG }, { "lost=", LOST }, { "kept=", KEPT }
    };
    char text[3 * STORE_ID], *rest = NULL;
    snprintf(text, sizeof text, "%s", from + strlen("run:"));
    *out = (struct selector){ .wanted = ANY };
    char *step = strstr(text, ",step=");
    if (step) {
        out->step = strtod(step + strlen(",step="), &rest);
        if (*rest || !(out->step > 0 && out->step <= PIPE_WEIGHT_MAX))
            return rt_fail(ctx, RT_ERR_USAGE,
                           "'%s': step=W takes a number above 0, at most %g", from,
                           PIPE_WEIGHT_MAX);
        *step = '\0';
    }
    const char *comma = strchr(text, ',');
    snprintf(out->run, sizeof out->run, "%.*s", (int)(comma ? comma - text : 79), text);
    if (!comma)
        return RT_OK;
    for (size_t i = 0; i < RT_COUNT(words); i++) {
        const size_t n = strlen(words[i].word);
        const bool names = words[i].word[n - 1] == '=';
        if (strncmp(comma + 1, words[i].word, n) != 0 || !names != !comma[1 + n])
            continue;
        out->wanted = words[i].wanted;
        snprintf(out->other, sizeof out->other, "%.79s", comma + 1 + n);
        return RT_OK;
    }
    return rt_fail(ctx, RT_ERR_USAGE,
                   "'%s': behind the run stands right, wrong, lost=RUN or kept=RUN, and "
                   "behind these step=W",
                   from);
}

static rt_status find(struct rt_ctx *ctx, struct store *store, const char *id,
                      struct store_eval_run *out)
{
    const rt_status st = store_find_eval_run(store, id, out);
    if (st == RT_OK && (!id[0] || !out->run_id[0]))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "run:%s: no eval run of that id or label is in the results file; "
                       "see: faultline status",
                       id);
    return st;
}

rt_status pipe_calibration_run_format(struct rt_ctx *ctx, struct store *store,
                                      const char *from, char format[48])
{
    struct selector s;
    struct store_eval_run run;
    rt_status st = read_selector(ctx, from, &s);
    if (st == RT_OK)
        st = find(ctx, store, s.run, &run);
    if (st == RT_OK)
        snprintf(format, 48, "%s", run.format);
    if (st == RT_OK && s.other[0])
        st = find(ctx, store, s.other, &run);
    return st;
}

/* A number for each problem of a run, of its first answer. */
struct by_problem {
    struct rt_ctx *ctx;
    struct pipe_problem_set set; /* ids only */
    struct pipe_index index;
    int32_t *value; /* [set.count] */
    uint32_t capacity;
};

static rt_status put_value(struct by_problem *v, const char *problem_id, int32_t value)
{
    if (v->set.count == v->capacity) {
        const uint32_t more = v->capacity ? 2 * v->capacity : 256;
        struct pipe_problem *items =
            rt_resize(v->ctx, v->set.items, v->capacity, more, sizeof *items);
        int32_t *values = rt_resize(v->ctx, v->value, v->capacity, more, sizeof *values);
        v->set.items = items ? items : v->set.items;
        v->value = values ? values : v->value;
        if (!items || !values)
            return rt_fail(v->ctx, RT_ERR_HOST_MEMORY, "no memory for verdicts");
        v->capacity = more;
    }
    const char *id = pipe_pool_copy(v->ctx, &v->set.pool, problem_id, strlen(problem_id));
    if (!id)
        return rt_fail(v->ctx, RT_ERR_HOST_MEMORY, "no memory for verdicts");
    v->value[v->set.count] = value;
    v->set.items[v->set.count++] = (struct pipe_problem){ .id = id };
    return RT_OK;
}

/* -1: nothing is known of it. */
static int32_t value_of(const struct by_problem *v, const char *problem_id)
{
    const uint32_t at =
        v->set.count ? pipe_index_find(&v->index, problem_id) : UINT32_MAX;
    return at == UINT32_MAX ? -1 : v->value[at];
}

static void deinit_values(struct by_problem *v)
{
    pipe_index_deinit(&v->index);
    pipe_problems_deinit(&v->set);
    rt_free(v->value);
}

static rt_status take_verdict(void *user, const struct store_done *done)
{
    return done->sample > 0 ? RT_OK : put_value(user, done->problem_id, done->correct);
}

/* Whether the other run's answers are right: 1 or 0. */
static rt_status read_verdicts(struct pipe_session *session, const char *id,
                               struct by_problem *v)
{
    rt_status st;
    struct store_eval_run run;
    TRY(find(session->ctx, session->store, id, &run));
    TRY(store_each_done(session->store, run.run_id, take_verdict, v));
    TRY(pipe_index_init(session->ctx, &v->set, &v->index));

fail:
    return st;
}

static rt_status take_fault(void *user, const struct store_fault *fault)
{
    if (fault->sample > 0 || fault->step < 0 || strcmp(fault->review, "rejected") == 0)
        return RT_OK;
    return put_value(user, fault->problem_id, fault->step);
}

/* The step at which each answer of a run goes wrong. */
static rt_status read_steps(struct pipe_session *session, const char *id,
                            struct by_problem *v)
{
    rt_status st;
    char locate[STORE_ID];
    struct store_eval_run run;
    TRY(find(session->ctx, session->store, id, &run));
    TRY(store_find_locate_run(session->store, NULL, run.run_id, locate));
    if (locate[0])
        TRY(store_each_fault(session->store, locate, "verdict", take_fault, v));
    if (v->set.count == 0)
        return rt_fail(
            session->ctx, RT_ERR_USAGE,
            "step=W: no faulty step of answers of '%s' is in the results file; "
            "have them located first, or leave step= out",
            id);
    TRY(pipe_index_init(session->ctx, &v->set, &v->index));

fail:
    return st;
}

/* The answers that are wanted, as problems whose solutions they are. */
struct collecting {
    struct rt_ctx *ctx;
    enum wanted wanted;
    struct by_problem *other;
    struct pipe_problem_set set;
    uint32_t capacity, unfinished;
    bool first; /* answers alone: no other samples */
};

static bool is_wanted(const struct collecting *k, const char *problem_id, bool right)
{
    if (k->wanted == RIGHT || k->wanted == WRONG)
        return right == (k->wanted == RIGHT);
    if (k->wanted == ANY)
        return true;
    return right && value_of(k->other, problem_id) == (k->wanted == KEPT ? 1 : 0);
}

static const char *copy(struct collecting *k, const struct store_row *row, int column)
{
    const char *text = store_row_text(row, column);
    return pipe_pool_copy(k->ctx, &k->set.pool, text, strlen(text));
}

/* Steps that are known of this run are those of first answers: any other gets an id that
 * none is of. */
static const char *copy_id(struct collecting *k, const struct store_row *row)
{
    const int64_t sample = store_row_integer(row, 3);
    if (sample == 0 || k->wanted == LOST || k->wanted == KEPT)
        return copy(k, row, 0);
    return pipe_pool_format(k->ctx, &k->set.pool, "%s, answer %lld",
                            store_row_text(row, 0), (long long)sample + 1);
}

/* Columns: store_export_rows. */
static rt_status take_answer(void *user, const struct store_row *row)
{
    struct collecting *k = user;
    if (!is_wanted(k, store_row_text(row, 0), store_row_integer(row, 10) == 1) ||
        (k->first && store_row_integer(row, 3) > 0))
        return RT_OK;
    if (strcmp(store_row_text(row, 5), "stop") != 0) {
        k->unfinished++;
        return RT_OK;
    }
    if (k->set.count == k->capacity) {
        const uint32_t more = k->capacity ? 2 * k->capacity : 256;
        struct pipe_problem *items =
            rt_resize(k->ctx, k->set.items, k->capacity, more, sizeof *items);
        if (!items)
            return rt_fail(k->ctx, RT_ERR_HOST_MEMORY, "no memory for answers");
        k->set.items = items;
        k->capacity = more;
    }
    struct pipe_problem *p = &k->set.items[k->set.count];
    *p = (struct pipe_problem){ .id = copy_id(k, row),
                                .question = copy(k, row, 1),
                                .answer = copy(k, row, 2),
                                .reference = copy(k, row, 4) };
    if (!p->id || !p->question || !p->answer || !p->reference)
        return rt_fail(k->ctx, RT_ERR_HOST_MEMORY, "no memory for answers");
    k->set.count++;
    return RT_OK;
}

/* What stands in a data set that is for measuring shapes no model. */
struct leaks {
    struct pipe_session *session;
    struct pipe_problem_set *set;
    uint32_t dropped;
};

static rt_status drop_measured(void *user, const struct store_dataset *d)
{
    struct leaks *l = user;
    struct pipe_problem_set measured = { 0 };
    uint32_t dropped = 0;
    if (strcmp(d->use, "measure") != 0)
        return RT_OK;
    rt_status st =
        store_load_dataset(l->session->store, d->name, d->split, &measured, NULL);
    if (st == RT_OK)
        st = pipe_data_drop_leaks(l->session->ctx, l->set, &measured, &dropped);
    l->dropped += dropped;
    pipe_problems_deinit(&measured);
    return st;
}

static rt_status guard(struct pipe_session *session, const char *from,
                       const struct store_eval_run *run, struct pipe_problem_set *set)
{
    struct leaks l = { session, set, 0 };
    const size_t n = strlen(run->bench), m = strlen(":measure");
    const rt_status st = store_each_dataset(session->store, NULL, drop_measured, &l);
    if (l.dropped)
        pipe_say(session->host,
                 "%s: %u answers are to problems that are for measuring and are left out",
                 from, l.dropped);
    else if (n > m && strcmp(run->bench + n - m, ":measure") == 0)
        rt_log(session->ctx, RT_LOG_WARNING,
               "'%s': the problems of '%s' were measured; what is measured on them again "
               "says nothing of others",
               from, run->bench);
    return st;
}

/* The answer that was added last counts `weight` from step `at` on. */
static rt_status weigh_step(struct pipe_session *session, const char *answer, int32_t at,
                            double weight, bool ends, struct pipe_calibration *c)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t count = session->format->dialect->split(answer, steps, PIPE_STEPS_MAX);
    if (at < 0 || count == 0)
        return RT_OK;
    const struct pipe_step *step =
        &steps[(uint32_t)at < count ? (uint32_t)at : count - 1];
    const struct pipe_span span = { step->char_start, (uint32_t)strlen(answer), weight };
    const struct pipe_text_weights weights = {
        .weight = 1, .spans = &span, .count = 1, .where = "a stored answer"
    };
    return pipe_weights_put_answer(session, &weights, answer, ends, &c->sequences);
}

static rt_status add_stored(struct pipe_session *session, const struct selector *s,
                            const struct by_problem *steps, const struct pipe_problem *p,
                            uint32_t end_id, struct pipe_calibration *c)
{
    rt_status st;
    TRY(pipe_sequences_add_text(session, &c->sequences, p->question, NULL, p->reference,
                                end_id));
    if (s->step > 0)
        TRY(weigh_step(session, p->reference, value_of(steps, p->id), s->step,
                       end_id != UINT32_MAX, c));

fail:
    return st;
}

rt_status pipe_calibration_of_run(struct pipe_session *session,
                                  const struct pipe_calibration_options *o,
                                  struct rt_model *full, struct pipe_calibration *c)
{
    rt_status st;
    struct selector s;
    struct store_eval_run run;
    struct by_problem other = { .ctx = session->ctx }, steps = { .ctx = session->ctx };
    struct collecting k = { .ctx = session->ctx, .other = &other };
    TRY(read_selector(session->ctx, o->from, &s));
    TRY(find(session->ctx, session->store, s.run, &run));
    k.wanted = s.wanted;
    if (s.other[0])
        TRY(read_verdicts(session, s.other, &other));
    if (s.step > 0)
        TRY(read_steps(session, s.other[0] ? s.other : s.run, &steps));
    TRY(store_export_rows(session->store, run.run_id, take_answer, &k));
    if (!o->measuring)
        TRY(guard(session, o->from, &run, &k.set));
    c->without = k.unfinished;
    const uint32_t count = k.set.count < o->items ? k.set.count : o->items;
    TRY(pipe_sequences_init(session, count ? count : 1, &c->sequences));
    for (uint32_t i = 0; i < count; i++)
        TRY(add_stored(session, &s, &steps, &k.set.items[i], pipe_end_id(session, full),
                       c));

fail:
    deinit_values(&other);
    deinit_values(&steps);
    pipe_problems_deinit(&k.set);
    return st;
}

rt_status pipe_calibration_run_problems(struct pipe_session *session, const char *from,
                                        uint32_t limit, struct pipe_problem_set *out)
{
    rt_status st;
    struct selector s;
    struct store_eval_run run;
    struct by_problem other = { .ctx = session->ctx };
    struct collecting k = { .ctx = session->ctx, .other = &other, .first = true };
    TRY(read_selector(session->ctx, from, &s));
    TRY(find(session->ctx, session->store, s.run, &run));
    k.wanted = s.wanted;
    if (s.other[0])
        TRY(read_verdicts(session, s.other, &other));
    TRY(store_export_rows(session->store, run.run_id, take_answer, &k));
    if (k.set.count > limit)
        k.set.count = limit;

fail:
    deinit_values(&other);
    *out = k.set;
    return st;
}

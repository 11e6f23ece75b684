/* pipeline/run/calibration_answers.c
 * Calibration on what models answered: the full model itself, asked now, or a stored run. */
#include "pipeline/run/calibration_answers.h"

#include "pipeline/data/data_leak.h"
#include "pipeline/data/problem_index.h"
#include "pipeline/run/answers.h"
#include "store/queries.h"
#include "store/store_data.h"

#include <assert.h>
#include <stdio.h>
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
    }

fail:
    return st;
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
};

static rt_status read_selector(struct rt_ctx *ctx, const char *from, struct selector *out)
{
    static const struct {
        const char *word;
        enum wanted wanted;
    } words[] = {
        { "right", RIGHT }, { "wrong", WRONG }, { "lost=", LOST }, { "kept=", KEPT }
    };
    const char *id = from + strlen("run:"), *comma = strchr(id, ',');
    *out = (struct selector){ .wanted = ANY };
    snprintf(out->run, sizeof out->run, "%.*s", (int)(comma ? comma - id : 79), id);
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
                   "'%s': behind the run stands right, wrong, lost=RUN or kept=RUN",
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

/* Verdicts of the other run on first answers. */
struct verdicts {
    struct rt_ctx *ctx;
    struct pipe_problem_set set; /* ids only */
    struct pipe_index index;
    bool *right; /* [set.count] */
    uint32_t capacity;
};

static rt_status take_verdict(void *user, const struct store_done *done)
{
    struct verdicts *v = user;
    if (done->sample > 0)
        return RT_OK;
    if (v->set.count == v->capacity) {
        const uint32_t more = v->capacity ? 2 * v->capacity : 256;
        struct pipe_problem *items =
            rt_resize(v->ctx, v->set.items, v->capacity, more, sizeof *items);
        bool *right = rt_resize(v->ctx, v->right, v->capacity, more, sizeof *right);
        v->set.items = items ? items : v->set.items;
        v->right = right ? right : v->right;
        if (!items || !right)
            return rt_fail(v->ctx, RT_ERR_HOST_MEMORY, "no memory for verdicts");
        v->capacity = more;
    }
    const char *id =
        pipe_pool_copy(v->ctx, &v->set.pool, done->problem_id, strlen(done->problem_id));
    if (!id)
        return rt_fail(v->ctx, RT_ERR_HOST_MEMORY, "no memory for verdicts");
    v->right[v->set.count] = done->correct;
    v->set.items[v->set.count++] = (struct pipe_problem){ .id = id };
    return RT_OK;
}

static rt_status read_verdicts(struct pipe_session *session, const char *id,
                               struct verdicts *v)
{
    rt_status st;
    struct store_eval_run run;
    *v = (struct verdicts){ .ctx = session->ctx };
    TRY(find(session->ctx, session->store, id, &run));
    TRY(store_each_done(session->store, run.run_id, take_verdict, v));
    TRY(pipe_index_init(session->ctx, &v->set, &v->index));

fail:
    return st;
}

static void deinit_verdicts(struct verdicts *v)
{
    pipe_index_deinit(&v->index);
    pipe_problems_deinit(&v->set);
    rt_free(v->right);
}

/* The answers that are wanted, as problems whose solutions they are. */
struct collecting {
    struct rt_ctx *ctx;
    enum wanted wanted;
    struct verdicts *other;
    struct pipe_problem_set set;
    uint32_t capacity, unfinished;
};

static bool is_wanted(const struct collecting *k, const char *problem_id, bool right)
{
    if (k->wanted == RIGHT || k->wanted == WRONG)
        return right == (k->wanted == RIGHT);
    if (k->wanted == ANY)
        return true;
    const uint32_t at = pipe_index_find(&k->other->index, problem_id);
    return right && at != UINT32_MAX && k->other->right[at] == (k->wanted == KEPT);
}

static const char *copy(struct collecting *k, const struct store_row *row, int column)
{
    const char *text = store_row_text(row, column);
    return pipe_pool_copy(k->ctx, &k->set.pool, text, strlen(text));
}

/* Columns: store_export_rows. */
static rt_status take_answer(void *user, const struct store_row *row)
{
    struct collecting *k = user;
    if (!is_wanted(k, store_row_text(row, 0), store_row_integer(row, 10) == 1))
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
    *p = (struct pipe_problem){ .id = copy(k, row, 0),
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

rt_status pipe_calibration_of_run(struct pipe_session *session,
                                  const struct pipe_calibration_options *o,
                                  struct rt_model *full, struct pipe_calibration *c)
{
    rt_status st;
    struct selector s;
    struct store_eval_run run;
    struct verdicts other = { 0 };
    struct collecting k = { .ctx = session->ctx, .other = &other };
    TRY(read_selector(session->ctx, o->from, &s));
    TRY(find(session->ctx, session->store, s.run, &run));
    k.wanted = s.wanted;
    if (s.other[0])
        TRY(read_verdicts(session, s.other, &other));
    TRY(store_export_rows(session->store, run.run_id, take_answer, &k));
    if (!o->measuring)
        TRY(guard(session, o->from, &run, &k.set));
    c->without = k.unfinished;
    const uint32_t count = k.set.count < o->items ? k.set.count : o->items;
    TRY(pipe_sequences_init(session, count ? count : 1, &c->sequences));
    for (uint32_t i = 0; i < count; i++)
        TRY(pipe_sequences_add_text(session, &c->sequences, k.set.items[i].question, NULL,
                                    k.set.items[i].reference,
                                    pipe_end_id(session, full)));

fail:
    deinit_verdicts(&other);
    pipe_problems_deinit(&k.set);
    return st;
}

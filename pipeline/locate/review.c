/* pipeline/locate/review.c
 * Questions about verdicts, votes on them, and what the votes decide. */
#include "pipeline/locate/review.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "runtime/base/json.h"
#include "runtime/base/text_pool.h"
#include "runtime/base/text_set.h"
#include "store/store_review.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where the text of a step ends, blanks at its end aside. */
static uint32_t step_end(const struct store_review_step *s)
{
    uint32_t end = s->char_end;
    while (end > s->char_start && strchr(" \n\r\t", s->output[end - 1]))
        end--;
    return end;
}

static bool step_fits(const struct store_review_step *s)
{
    return s->char_start <= s->char_end && s->char_end <= strlen(s->output);
}

static rt_status bad_steps(struct rt_ctx *ctx, const struct store_review_step *s)
{
    return rt_fail(ctx, RT_ERR_INPUT, "fault '%.80s': its steps do not fit its answer",
                   s->fault_id);
}

/* ---- questions ---- */

struct asking {
    struct rt_ctx *ctx;
    bool blind;
    pipe_line_fn *fn;
    void *user;
    json_t *open; /* the object whose steps are still coming */
};

static rt_status close_question(struct asking *a)
{
    if (!a->open)
        return RT_OK;
    char *line = fmt_json_dumps(a->open, JSON_COMPACT | JSON_REAL_PRECISION(4));
    json_decref(a->open);
    a->open = NULL;
    if (!line)
        return rt_fail(a->ctx, RT_ERR_HOST_MEMORY, "review: no memory");
    const rt_status st = a->fn(a->user, line);
    rt_free(line);
    return st;
}

static rt_status take_question(void *user, const struct store_review_step *s)
{
    rt_status st;
    struct asking *a = user;
    const char *of = a->open ? pipe_json_text(json_object_get(a->open, "fault")) : NULL;
    if (!of || strcmp(of, s->fault_id) != 0) {
        TRY(close_question(a));
        a->open = json_pack("{s:s, s:s, s:s, s:[]}", "fault", s->fault_id, "problem_id",
                            s->problem_id, "question", s->question, "steps");
        if (a->open && !a->blind) {
            json_object_set_new(a->open, "step",
                                s->named < 0 ? json_null() : json_integer(s->named));
            json_object_set_new(a->open, "category", json_string(s->category));
            json_object_set_new(a->open, "confidence", json_real(s->confidence));
        }
    }
    if (!a->open || !step_fits(s))
        return bad_steps(a->ctx, s);
    const uint32_t end = step_end(s);
    json_array_append_new(json_object_get(a->open, "steps"),
                          json_stringn(s->output + s->char_start, end - s->char_start));
    return RT_OK;

fail:
    return st;
}

static rt_status find_run(struct rt_ctx *ctx, struct store *store, const char *run,
                          char id[STORE_ID])
{
    const rt_status st = store_find_review_run(store, run, id);
    if (st == RT_OK && !id[0])
        return rt_fail(ctx, RT_ERR_USAGE,
                       "no locate run '%.80s' with verdicts is in the results file; see: "
                       "faultline locate",
                       run);
    return st;
}

rt_status pipe_review_questions(struct rt_ctx *ctx, struct store *store, const char *run,
                                bool blind, pipe_line_fn *fn, void *user)
{
    rt_status st;
    char id[STORE_ID];
    struct asking a = { .ctx = ctx, .blind = blind, .fn = fn, .user = user };
    TRY(find_run(ctx, store, run, id));
    TRY(store_each_review_step(store, id, take_question, &a));
    TRY(close_question(&a));

fail:
    json_decref(a.open);
    return st;
}

/* ---- votes ---- */

struct pipe_review {
    struct rt_ctx *ctx;
    struct store *store;
    char run[STORE_ID];
    struct pipe_pool pool;
    struct pipe_text_set index;
    struct pipe_review_fault *list;
    uint32_t count;
    const char *judges[PIPE_JUDGES_MAX];
    uint32_t judge_count;
};

static rt_status no_memory(const struct pipe_review *v)
{
    return rt_fail(v->ctx, RT_ERR_HOST_MEMORY, "review: no memory");
}

static const char *keep(struct pipe_review *v, const char *text)
{
    return pipe_pool_copy(v->ctx, &v->pool, text, strlen(text));
}

static rt_status add_fault(struct pipe_review *v, const struct store_review_step *s)
{
    struct pipe_review_fault *more =
        rt_resize(v->ctx, v->list, v->count, v->count + 1u, sizeof *more);
    if (!more)
        return no_memory(v);
    v->list = more;
    struct pipe_review_fault *f = &more[v->count];
    *f = (struct pipe_review_fault){ .id = keep(v, s->fault_id),
                                     .gen = keep(v, s->gen_id),
                                     .problem = keep(v, s->problem_id),
                                     .question = keep(v, s->question),
                                     .output = keep(v, s->output),
                                     .category = keep(v, s->category),
                                     .named = s->named,
                                     .confidence = s->confidence };
    if (!f->id || !f->gen || !f->problem || !f->question || !f->output || !f->category)
        return no_memory(v);
    return pipe_text_set_add(v->ctx, &v->index, f->id, v->count++, &(bool){ false },
                             NULL);
}

static rt_status take_step(void *user, const struct store_review_step *s)
{
    rt_status st;
    struct pipe_review *v = user;
    if (!step_fits(s))
        return bad_steps(v->ctx, s);
    if (!v->count || strcmp(v->list[v->count - 1].id, s->fault_id) != 0)
        TRY(add_fault(v, s));
    struct pipe_review_fault *f = &v->list[v->count - 1];
    struct pipe_review_span *more =
        rt_resize(v->ctx, f->steps, f->step_count, f->step_count + 1u, sizeof *more);
    if (!more)
        return no_memory(v);
    f->steps = more;
    more[f->step_count++] = (struct pipe_review_span){ s->char_start, step_end(s) };

fail:
    return st;
}

/* Index of a judge; PIPE_JUDGES_MAX: there are too many. UINT32_MAX: no memory. */
static uint32_t judge_of(struct pipe_review *v, const char *name)
{
    for (uint32_t j = 0; j < v->judge_count; j++)
        if (strcmp(v->judges[j], name) == 0)
            return j;
    if (v->judge_count == PIPE_JUDGES_MAX)
        return PIPE_JUDGES_MAX;
    const char *copy = keep(v, name);
    if (!copy)
        return UINT32_MAX;
    v->judges[v->judge_count] = copy;
    return v->judge_count++;
}

static rt_status take_stored(void *user, const struct store_vote *vote)
{
    uint32_t at;
    struct pipe_review *v = user;
    if (!pipe_text_set_find(&v->index, vote->fault_id, &at))
        return RT_OK;
    struct pipe_review_fault *f = &v->list[at];
    const uint32_t j = judge_of(v, vote->judge);
    if (j == UINT32_MAX)
        return no_memory(v);
    /* A merge of files can bring more judges than fit; steps never change. */
    if (j < PIPE_JUDGES_MAX && vote->step >= STORE_VOTE_ABSTAINS &&
        vote->step < (int64_t)f->step_count)
        f->votes[j] = vote->step;
    return RT_OK;
}

/* The votes on `count` faults as the results file has them now: others may have voted. */
static rt_status read_stored(struct pipe_review *v, uint32_t first, uint32_t count)
{
    assert(first + count <= v->count);
    for (uint32_t i = first; i < first + count; i++)
        for (int j = 0; j < PIPE_JUDGES_MAX; j++)
            v->list[i].votes[j] = PIPE_VOTE_OPEN;
    return store_each_vote(v->store, v->run, take_stored, v);
}

rt_status pipe_review_open(struct rt_ctx *ctx, struct store *store, const char *run,
                           struct pipe_review **out)
{
    rt_status st;
    *out = NULL;
    struct pipe_review *v = rt_alloc(ctx, 1, sizeof *v);
    if (!v)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "review: no memory");
    v->ctx = ctx;
    v->store = store;
    TRY(find_run(ctx, store, run, v->run));
    TRY(store_each_review_step(store, v->run, take_step, v));
    TRY(read_stored(v, 0, v->count));
    *out = v;
    return RT_OK;

fail:
    pipe_review_close(&v);
    return st;
}

void pipe_review_close(struct pipe_review **pv)
{
    struct pipe_review *v = *pv;
    if (!v)
        return;
    for (uint32_t i = 0; i < v->count; i++)
        rt_free(v->list[i].steps);
    rt_free(v->list);
    pipe_text_set_deinit(&v->index);
    pipe_pool_deinit(&v->pool);
    rt_free(v);
    *pv = NULL;
}

uint32_t pipe_review_count(const struct pipe_review *v)
{
    return v->count;
}

const struct pipe_review_fault *pipe_review_fault_at(const struct pipe_review *v,
                                                     uint32_t index)
{
    assert(index < v->count);
    return &v->list[index];
}

rt_status pipe_review_judge(struct pipe_review *v, const char *name, uint32_t *judge)
{
    *judge = judge_of(v, name);
    if (*judge == UINT32_MAX)
        return no_memory(v);
    if (*judge == PIPE_JUDGES_MAX)
        return rt_fail(v->ctx, RT_ERR_USAGE, "'%.80s' would be judge %d; there can be %d",
                       name, PIPE_JUDGES_MAX + 1, PIPE_JUDGES_MAX);
    return RT_OK;
}

/* The step that most judges name; PIPE_VOTE_ABSTAINS: nobody, or several steps as often. */
static int32_t majority(const struct pipe_review *v, const struct pipe_review_fault *f,
                        bool *tied)
{
    int32_t best = PIPE_VOTE_ABSTAINS;
    uint32_t most = 0;
    *tied = false;
    for (uint32_t j = 0; j < v->judge_count; j++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < v->judge_count; i++)
            n += f->votes[i] == f->votes[j];
        if (f->votes[j] <= PIPE_VOTE_ABSTAINS || n < most)
            continue;
        *tied = n == most && (*tied || f->votes[j] != best);
        most = n;
        best = f->votes[j];
    }
    return *tied ? PIPE_VOTE_ABSTAINS : best;
}

double pipe_kappa(const int32_t *a, const int32_t *b, uint32_t count)
{
    uint32_t n = 0, same = 0;
    double chance = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (a[i] < PIPE_VOTE_NONE_WRONG || b[i] < PIPE_VOTE_NONE_WRONG)
            continue;
        n++;
        same += a[i] == b[i];
        for (uint32_t k = 0; k < count; k++)
            chance += a[k] >= PIPE_VOTE_NONE_WRONG && b[k] >= PIPE_VOTE_NONE_WRONG &&
                      a[i] == b[k];
    }
    if (n == 0)
        return NAN;
    const double expected = chance / ((double)n * n), observed = (double)same / n;
    return expected < 1 ? (observed - expected) / (1 - expected) : NAN;
}

/* Agreement of the judges with each other. */
static rt_status agree(const struct pipe_review *v, const int32_t *decided,
                       struct pipe_review_result *out)
{
    int32_t *all =
        rt_alloc(v->ctx, (size_t)v->count * (PIPE_JUDGES_MAX + 1), sizeof *all);
    double sum = 0;
    uint32_t pairs = 0;
    if (!all)
        return no_memory(v);
    int32_t *named = all + (size_t)v->count * PIPE_JUDGES_MAX;
    for (uint32_t i = 0; i < v->count; i++) {
        named[i] = v->list[i].named;
        for (uint32_t j = 0; j < PIPE_JUDGES_MAX; j++)
            all[(size_t)j * v->count + i] = v->list[i].votes[j];
    }
    for (uint32_t a = 0; a < v->judge_count; a++)
        for (uint32_t b = a + 1; b < v->judge_count; b++) {
            const double kappa = pipe_kappa(all + (size_t)a * v->count,
                                            all + (size_t)b * v->count, v->count);
            if (kappa == kappa) {
                sum += kappa;
                pairs++;
            }
        }
    out->kappa = pairs ? sum / pairs : NAN;
    out->kappa_verdict = pipe_kappa(decided, named, v->count);
    rt_free(all);
    return RT_OK;
}

/* Writes what the votes on a fault decide. */
static rt_status settle(struct pipe_review *v, const struct pipe_review_fault *f)
{
    rt_status st;
    bool tied;
    const int32_t step = majority(v, f, &tied);
    const struct pipe_fault vote = { .locator = "vote",
                                     .step = step,
                                     .token = -1,
                                     .category = PIPE_CAT_UNCLASSIFIED,
                                     .evidence = "{}" };
    if (step == PIPE_VOTE_ABSTAINS)
        return store_drop_majority(v->store, v->run, f->gen, f->id);
    TRY(store_put_fault(v->store, v->run, f->gen, &vote));
    TRY(store_put_review(v->store, f->id, step == f->named ? "confirmed" : "rejected",
                         "vote"));

fail:
    return st;
}

static rt_status put_vote(struct pipe_review *v, const struct pipe_review_fault *f,
                          uint32_t judge)
{
    const struct store_vote vote = { f->id, v->judges[judge], f->votes[judge] };
    return f->votes[judge] == PIPE_VOTE_OPEN
               ? store_drop_vote(v->store, f->id, v->judges[judge])
               : store_put_vote(v->store, &vote);
}

rt_status pipe_review_vote(struct pipe_review *v, uint32_t index, uint32_t judge,
                           int32_t step)
{
    rt_status st;
    assert(index < v->count);
    assert(judge < v->judge_count);
    struct pipe_review_fault *f = &v->list[index];
    const int32_t before = f->votes[judge];
    assert(step >= PIPE_VOTE_OPEN && step < (int64_t)f->step_count);
    f->votes[judge] = step;
    TRY(store_begin(v->store));
    TRY(put_vote(v, f, judge));
    TRY(read_stored(v, index, 1));
    TRY(settle(v, f));
    TRY(store_commit(v->store));
    return RT_OK;

fail:
    f->votes[judge] = before;
    store_rollback(v->store);
    return st;
}

rt_status pipe_review_agreement(const struct pipe_review *v,
                                struct pipe_review_result *out)
{
    *out = (struct pipe_review_result){
        .faults = v->count, .judges = v->judge_count, .kappa = NAN, .kappa_verdict = NAN
    };
    int32_t *decided = rt_alloc(v->ctx, v->count, sizeof *decided);
    if (!decided)
        return no_memory(v);
    for (uint32_t i = 0; i < v->count; i++) {
        bool tied;
        decided[i] = majority(v, &v->list[i], &tied);
        out->tied += tied;
        if (decided[i] == PIPE_VOTE_ABSTAINS)
            continue;
        out->voted++;
        out->confirmed += decided[i] == v->list[i].named;
        out->rejected += decided[i] != v->list[i].named;
    }
    const rt_status st = agree(v, decided, out);
    rt_free(decided);
    return st;
}

/* ---- votes of files ---- */

static rt_status take_vote(void *user, const struct pipe_row *row)
{
    struct pipe_review *v = user;
    uint32_t at;
    const char *fault = pipe_json_text(json_object_get(row->fields, "fault"));
    const char *name = pipe_json_text(json_object_get(row->fields, "judge"));
    const json_t *step = json_object_get(row->fields, "step");
    if (!fault || !name || !*name || !(json_is_integer(step) || json_is_null(step)))
        return rt_fail(
            v->ctx, RT_ERR_INPUT,
            "'%s' %s %u: fault and judge (texts) and step (a number from 0, -1 "
            "or null) are needed",
            row->file, row->unit, row->at);
    if (!pipe_text_set_find(&v->index, fault, &at))
        return rt_fail(v->ctx, RT_ERR_INPUT,
                       "'%s' %s %u: the locate run has no fault '%.80s'", row->file,
                       row->unit, row->at, fault);
    struct pipe_review_fault *f = &v->list[at];
    const uint32_t j = judge_of(v, name);
    if (j == UINT32_MAX)
        return no_memory(v);
    if (j == PIPE_JUDGES_MAX || (f->read >> j & 1))
        return rt_fail(
            v->ctx, RT_ERR_INPUT, "'%s' %s %u: %s", row->file, row->unit, row->at,
            j == PIPE_JUDGES_MAX ? "more than 16 judges"
                                 : "this judge has voted on this fault before");
    if (json_is_integer(step) &&
        (json_integer_value(step) < -1 || json_integer_value(step) >= f->step_count))
        return rt_fail(v->ctx, RT_ERR_INPUT, "'%s' %s %u: the answer has steps 0 to %u",
                       row->file, row->unit, row->at, f->step_count - 1);
    f->read |= 1u << j;
    f->votes[j] =
        json_is_null(step) ? PIPE_VOTE_ABSTAINS : (int32_t)json_integer_value(step);
    return RT_OK;
}

static rt_status put_read(struct pipe_review *v)
{
    rt_status st;
    TRY(store_begin(v->store));
    for (uint32_t i = 0; i < v->count; i++) {
        const struct pipe_review_fault *f = &v->list[i];
        for (uint32_t j = 0; j < v->judge_count; j++)
            if (f->read >> j & 1)
                TRY(put_vote(v, f, j));
    }
    TRY(read_stored(v, 0, v->count));
    for (uint32_t i = 0; i < v->count; i++)
        if (v->list[i].read)
            TRY(settle(v, &v->list[i]));
    TRY(store_commit(v->store));
    return RT_OK;

fail:
    store_rollback(v->store);
    return st;
}

static rt_status read_votes(struct pipe_review *v, const char *path)
{
    struct pipe_data_file file = { 0 };
    rt_status st = pipe_data_file_read(v->ctx, path, &file);
    const struct pipe_rows_text in = { .name = path,
                                       .text = file.text,
                                       .size = file.size };
    if (st == RT_OK)
        st = pipe_rows_json(v->ctx, &in, take_vote, v);
    pipe_data_file_deinit(&file);
    return st;
}

rt_status pipe_review_votes(struct rt_ctx *ctx, struct store *store, const char *run,
                            const char *const *paths, uint32_t count,
                            struct pipe_review_result *out)
{
    rt_status st;
    struct pipe_review *v = NULL;
    *out = (struct pipe_review_result){ .kappa = NAN, .kappa_verdict = NAN };
    TRY(pipe_review_open(ctx, store, run, &v));
    for (uint32_t i = 0; i < count; i++)
        TRY(read_votes(v, paths[i]));
    TRY(put_read(v));
    TRY(pipe_review_agreement(v, out));

fail:
    pipe_review_close(&v);
    return st;
}

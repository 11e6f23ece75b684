/* pipeline/locate/review.c
 * Questions about verdicts, votes on them, and what the votes decide. */
#include "pipeline/locate/review.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "runtime/base/json.h"
#include "runtime/base/text_pool.h"
#include "runtime/base/text_set.h"
#include "store/store_review.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ABSTAINS = -2 };

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
    const size_t size = strlen(s->output);
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
    if (!a->open || s->char_end > size || s->char_start > s->char_end)
        return rt_fail(a->ctx, RT_ERR_INPUT,
                       "fault '%.80s': its steps do not fit its answer", s->fault_id);
    uint32_t end = s->char_end;
    while (end > s->char_start && strchr(" \n\r\t", s->output[end - 1]))
        end--;
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

struct fault {
    const char *id, *gen;
    int32_t named;
    uint32_t steps;
    int32_t votes[PIPE_JUDGES_MAX];
};

struct voting {
    struct rt_ctx *ctx;
    struct pipe_pool pool;
    struct pipe_text_set index;
    struct fault *list;
    uint32_t count;
    const char *judges[PIPE_JUDGES_MAX];
    uint32_t judge_count;
};

static rt_status no_memory(struct voting *v)
{
    return rt_fail(v->ctx, RT_ERR_HOST_MEMORY, "review: no memory");
}

static rt_status take_fault(void *user, const struct store_review_step *s)
{
    struct voting *v = user;
    if (v->count && strcmp(v->list[v->count - 1].id, s->fault_id) == 0) {
        v->list[v->count - 1].steps++;
        return RT_OK;
    }
    struct fault *more =
        rt_resize(v->ctx, v->list, v->count, v->count + 1u, sizeof *more);
    if (!more)
        return no_memory(v);
    v->list = more;
    struct fault *f = &more[v->count];
    *f = (struct fault){
        .id = pipe_pool_copy(v->ctx, &v->pool, s->fault_id, strlen(s->fault_id)),
        .gen = pipe_pool_copy(v->ctx, &v->pool, s->gen_id, strlen(s->gen_id)),
        .named = s->named,
        .steps = 1
    };
    for (int j = 0; j < PIPE_JUDGES_MAX; j++)
        f->votes[j] = ABSTAINS;
    if (!f->id || !f->gen)
        return no_memory(v);
    return pipe_text_set_add(v->ctx, &v->index, f->id, v->count++, &(bool){ false },
                             NULL);
}

/* Index of a judge; PIPE_JUDGES_MAX: there are too many. UINT32_MAX: no memory. */
static uint32_t judge_of(struct voting *v, const char *name)
{
    for (uint32_t j = 0; j < v->judge_count; j++)
        if (strcmp(v->judges[j], name) == 0)
            return j;
    if (v->judge_count == PIPE_JUDGES_MAX)
        return PIPE_JUDGES_MAX;
    const char *copy = pipe_pool_copy(v->ctx, &v->pool, name, strlen(name));
    if (!copy)
        return UINT32_MAX;
    v->judges[v->judge_count] = copy;
    return v->judge_count++;
}

static rt_status take_vote(void *user, const struct pipe_row *row)
{
    struct voting *v = user;
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
    struct fault *f = &v->list[at];
    const uint32_t j = judge_of(v, name);
    if (j == UINT32_MAX)
        return no_memory(v);
    if (j == PIPE_JUDGES_MAX || f->votes[j] != ABSTAINS)
        return rt_fail(
            v->ctx, RT_ERR_INPUT, "'%s' %s %u: %s", row->file, row->unit, row->at,
            j == PIPE_JUDGES_MAX ? "more than 16 judges"
                                 : "this judge has voted on this fault before");
    if (json_is_null(step))
        return RT_OK;
    if (json_integer_value(step) < -1 || json_integer_value(step) >= f->steps)
        return rt_fail(v->ctx, RT_ERR_INPUT, "'%s' %s %u: the answer has steps 0 to %u",
                       row->file, row->unit, row->at, f->steps - 1);
    f->votes[j] = (int32_t)json_integer_value(step);
    return RT_OK;
}

/* The step that most judges name; ABSTAINS: nobody, or several steps as often. */
static int32_t majority(const struct voting *v, const struct fault *f, bool *tied)
{
    int32_t best = ABSTAINS;
    uint32_t most = 0;
    *tied = false;
    for (uint32_t j = 0; j < v->judge_count; j++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < v->judge_count; i++)
            n += f->votes[i] == f->votes[j];
        if (f->votes[j] == ABSTAINS || n < most)
            continue;
        *tied = n == most && (*tied || f->votes[j] != best);
        most = n;
        best = f->votes[j];
    }
    return *tied ? ABSTAINS : best;
}

double pipe_kappa(const int32_t *a, const int32_t *b, uint32_t count)
{
    uint32_t n = 0, same = 0;
    double chance = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (a[i] == ABSTAINS || b[i] == ABSTAINS)
            continue;
        n++;
        same += a[i] == b[i];
        for (uint32_t k = 0; k < count; k++)
            chance += a[k] != ABSTAINS && b[k] != ABSTAINS && a[i] == b[k];
    }
    if (n == 0)
        return NAN;
    const double expected = chance / ((double)n * n), observed = (double)same / n;
    return expected < 1 ? (observed - expected) / (1 - expected) : NAN;
}

/* Agreement of the judges with each other. */
static rt_status agree(struct voting *v, const int32_t *decided,
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

static rt_status put_votes(struct voting *v, struct store *store, const char *run,
                           const int32_t *decided, struct pipe_review_result *out)
{
    rt_status st;
    TRY(store_begin(store));
    for (uint32_t i = 0; i < v->count; i++) {
        const struct fault *f = &v->list[i];
        const struct pipe_fault vote = { .locator = "vote",
                                         .step = decided[i],
                                         .token = -1,
                                         .category = PIPE_CAT_UNCLASSIFIED,
                                         .evidence = "{}" };
        if (decided[i] == ABSTAINS)
            continue;
        const bool same = decided[i] == f->named;
        out->voted++;
        out->confirmed += same;
        out->rejected += !same;
        TRY(store_put_fault(store, run, f->gen, &vote));
        TRY(store_put_review(store, f->id, same ? "confirmed" : "rejected", "vote"));
    }
    TRY(store_commit(store));
    return RT_OK;

fail:
    store_rollback(store);
    return st;
}

static rt_status read_votes(struct voting *v, const char *path)
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
    char id[STORE_ID];
    struct voting v = { .ctx = ctx };
    int32_t *decided = NULL;
    *out = (struct pipe_review_result){ .kappa = NAN, .kappa_verdict = NAN };
    TRY(find_run(ctx, store, run, id));
    TRY(store_each_review_step(store, id, take_fault, &v));
    for (uint32_t i = 0; i < count; i++)
        TRY(read_votes(&v, paths[i]));
    decided = rt_alloc(ctx, v.count, sizeof *decided);
    if (!decided) {
        st = no_memory(&v);
        goto fail;
    }
    for (uint32_t i = 0; i < v.count; i++) {
        bool tied;
        decided[i] = majority(&v, &v.list[i], &tied);
        out->tied += tied;
    }
    out->faults = v.count;
    out->judges = v.judge_count;
    TRY(agree(&v, decided, out));
    TRY(put_votes(&v, store, id, decided, out));

fail:
    rt_free(decided);
    rt_free(v.list);
    pipe_text_set_deinit(&v.index);
    pipe_pool_deinit(&v.pool);
    return st;
}

/* pipeline/locate/weights_fit.c
 * Evidence files, and Newton's method on the likelihood of a conditional logit. */
#include "pipeline/locate/weights_fit.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "runtime/base/json.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

enum { ROUNDS_MAX = 50, GENERATORS_MAX = 16, COUNTS = 200 };

/* 1 / (3 nats)^2: of the prior. */
#define PRIOR (1.0 / 9.0)

const char *pipe_said_name(int locator)
{
    static const char *const names[PIPE_SAID] = { "check",      "rollout",  "twin",
                                                  "judge",      "handover", "twin-back",
                                                  "substitute", "mend",     "contrast" };
    return names[locator];
}

/* ---- files ---- */

static int32_t judged(const struct pipe_testimony *t)
{
    return t->judge ? (int32_t)pipe_largest(t->judge, t->step_count) : -1;
}

rt_status pipe_case_line(struct rt_ctx *ctx, const char *set, uint32_t truth,
                         const struct pipe_testimony *t, char **out)
{
    json_t *steps = json_array();
    for (uint32_t k = 0; k < t->step_count; k++) {
        double signs[PIPE_SIGNS];
        json_t *one = json_array();
        pipe_signs_of(t, k, signs);
        for (int s = 0; s < PIPE_SIGNS; s++)
            json_array_append_new(one, json_real(signs[s]));
        json_array_append_new(steps, one);
    }
    json_t *all = json_pack("{s:s, s:i, s:[i,i,i,i,i,i,i,i,i], s:o}", "set", set, "truth",
                            (int)truth, "said", (int)(t->check ? t->check->step : -1),
                            (int)(t->rollout ? t->rollout->step : -1), (int)t->twin,
                            (int)judged(t), (int)t->handover - 1, (int)t->twin_back - 1,
                            (int)t->substitute - 1, (int)t->mend - 1,
                            (int)(t->contrast ? t->contrast->step : -1), "signs", steps);
    json_t *unsure = t->unsure ? json_array() : NULL;
    for (uint32_t k = 0; unsure && k < t->step_count; k++)
        json_array_append_new(unsure, json_real(t->unsure[k]));
    if (all && unsure)
        json_object_set(all, "unsure", unsure);
    json_decref(unsure);
    *out = all ? fmt_json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    return *out ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "evidence: no memory");
}

struct reading {
    struct rt_ctx *ctx;
    struct pipe_cases *cases;
};

static rt_status bad(struct reading *r, const struct pipe_row *row)
{
    return rt_fail(
        r->ctx, RT_ERR_INPUT,
        "'%s' %s %u: no evidence of this program: set, truth, said and %d signs "
        "per step are needed; see: faultline locate --evidence",
        row->file, row->unit, row->at, PIPE_SIGNS);
}

static rt_status take_signs(struct reading *r, const struct pipe_row *row,
                            struct pipe_case *c)
{
    const json_t *steps = json_object_get(row->fields, "signs");
    c->step_count = (uint32_t)json_array_size(steps);
    if (c->step_count == 0 || c->step_count > PIPE_STEPS_MAX || c->truth >= c->step_count)
        return bad(r, row);
    double *signs = pipe_pool_take(r->ctx, &r->cases->pool,
                                   (size_t)c->step_count * PIPE_SIGNS, sizeof *signs);
    if (!signs)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "evidence: no memory");
    for (uint32_t k = 0; k < c->step_count; k++) {
        const json_t *one = json_array_get(steps, k);
        if (json_array_size(one) != PIPE_SIGNS)
            return bad(r, row);
        for (size_t s = 0; s < PIPE_SIGNS; s++) {
            const json_t *value = json_array_get(one, s);
            if (!json_is_number(value) || !(fabs(json_number_value(value)) < 1e6))
                return bad(r, row);
            signs[k * PIPE_SIGNS + s] = json_number_value(value);
        }
    }
    c->signs = signs;
    return RT_OK;
}

/* None is none. */
static rt_status take_unsure(struct reading *r, const struct pipe_row *row,
                             struct pipe_case *c)
{
    const json_t *list = json_object_get(row->fields, "unsure");
    if (!list)
        return RT_OK;
    if (json_array_size(list) != c->step_count)
        return bad(r, row);
    double *unsure =
        pipe_pool_take(r->ctx, &r->cases->pool, c->step_count, sizeof *unsure);
    if (!unsure)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "evidence: no memory");
    for (uint32_t k = 0; k < c->step_count; k++) {
        const double value = json_number_value(json_array_get(list, k));
        if (!(value >= 0 && value <= 1))
            return bad(r, row);
        unsure[k] = value;
    }
    c->unsure = unsure;
    return RT_OK;
}

static rt_status take_row(void *user, const struct pipe_row *row)
{
    rt_status st;
    struct reading *r = user;
    struct pipe_case c = { 0 };
    const char *set = pipe_json_text(json_object_get(row->fields, "set"));
    const json_t *truth = json_object_get(row->fields, "truth");
    const json_t *said = json_object_get(row->fields, "said");
    if (!set || !json_is_integer(truth) || json_integer_value(truth) < 0 ||
        json_integer_value(truth) >= PIPE_STEPS_MAX || json_array_size(said) != PIPE_SAID)
        return bad(r, row);
    c.set = pipe_pool_copy(r->ctx, &r->cases->pool, set, strlen(set));
    c.truth = (uint32_t)json_integer_value(truth);
    for (size_t i = 0; i < PIPE_SAID; i++)
        c.said[i] = (int32_t)json_integer_value(json_array_get(said, i));
    TRY(take_signs(r, row, &c));
    TRY(take_unsure(r, row, &c));
    struct pipe_case *more = rt_resize(r->ctx, r->cases->items, r->cases->count,
                                       r->cases->count + 1u, sizeof *more);
    if (!more || !c.set)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "evidence: no memory");
    r->cases->items = more;
    more[r->cases->count++] = c;
    return RT_OK;

fail:
    return st;
}

rt_status pipe_cases_read(struct rt_ctx *ctx, const char *path, struct pipe_cases *cases)
{
    struct pipe_data_file file = { 0 };
    struct reading r = { ctx, cases };
    rt_status st = pipe_data_file_read(ctx, path, &file);
    const struct pipe_rows_text in = { .name = path,
                                       .text = file.text,
                                       .size = file.size };
    if (st == RT_OK)
        st = pipe_rows_json(ctx, &in, take_row, &r);
    pipe_data_file_deinit(&file);
    return st;
}

void pipe_cases_deinit(struct pipe_cases *cases)
{
    rt_free(cases->items);
    pipe_pool_deinit(&cases->pool);
    *cases = (struct pipe_cases){ 0 };
}

/* ---- the fit ---- */

static void probabilities(const struct pipe_case *c, const double *weights, double *p)
{
    double most = -INFINITY, total = 0;
    for (uint32_t k = 0; k < c->step_count; k++) {
        p[k] = 0;
        for (int s = 0; s < PIPE_SIGNS; s++)
            p[k] += weights[s] * c->signs[k * PIPE_SIGNS + (uint32_t)s];
        most = p[k] > most ? p[k] : most;
    }
    for (uint32_t k = 0; k < c->step_count; k++)
        total += p[k] = exp(p[k] - most);
    for (uint32_t k = 0; k < c->step_count; k++)
        p[k] /= total;
}

/* As pipe_named_by: mend has a voice where it has a sign. */
static uint32_t named_by(const struct pipe_case *c, uint32_t k)
{
    static const int voices[] = { PIPE_SAID_CHECK, PIPE_SAID_ROLLOUT, PIPE_SAID_TWIN,
                                  PIPE_SAID_CONTRAST };
    const double *signs = c->signs + (size_t)k * PIPE_SIGNS;
    uint32_t count = signs[PIPE_SIGN_mend_operator] + signs[PIPE_SIGN_mend_operand] > 0;
    for (size_t i = 0; i < RT_COUNT(voices); i++)
        count += c->said[voices[i]] == (int32_t)k;
    return count;
}

int32_t pipe_case_step(const struct pipe_case *c, const double *weights,
                       double *probability, uint32_t *by)
{
    double p[PIPE_STEPS_MAX];
    uint32_t names[PIPE_STEPS_MAX];
    bool spoken = false;
    for (int i = 0; i < PIPE_SAID; i++)
        spoken |= c->said[i] >= 0;
    probabilities(c, weights, p);
    for (uint32_t k = 0; k < c->step_count; k++)
        names[k] = named_by(c, k);
    const uint32_t best = pipe_choose(names, p, c->step_count);
    *probability = p[best];
    *by = names[best];
    return spoken ? (int32_t)best : -1;
}

struct system {
    double gradient[PIPE_SIGNS];
    double curvature[PIPE_SIGNS][PIPE_SIGNS];
};

static void add_case(const struct pipe_case *c, const double *weights, double counts,
                     struct system *out)
{
    double p[PIPE_STEPS_MAX], mean[PIPE_SIGNS] = { 0 };
    probabilities(c, weights, p);
    for (uint32_t k = 0; k < c->step_count; k++)
        for (int s = 0; s < PIPE_SIGNS; s++)
            mean[s] += p[k] * c->signs[k * PIPE_SIGNS + (uint32_t)s];
    for (int s = 0; s < PIPE_SIGNS; s++)
        out->gradient[s] +=
            counts * (c->signs[c->truth * PIPE_SIGNS + (uint32_t)s] - mean[s]);
    for (uint32_t k = 0; k < c->step_count; k++)
        for (int s = 0; s < PIPE_SIGNS; s++) {
            const double away = c->signs[k * PIPE_SIGNS + (uint32_t)s] - mean[s];
            for (int t = 0; away != 0 && t < PIPE_SIGNS; t++)
                out->curvature[s][t] +=
                    counts * p[k] * away *
                    (c->signs[k * PIPE_SIGNS + (uint32_t)t] - mean[t]);
        }
}

/* Solves curvature * step = gradient by elimination; the prior makes it positive definite. */
static void solve(struct system *m, double step[PIPE_SIGNS])
{
    for (int i = 0; i < PIPE_SIGNS; i++) {
        assert(m->curvature[i][i] > 0);
        for (int r = i + 1; r < PIPE_SIGNS; r++) {
            const double by = m->curvature[r][i] / m->curvature[i][i];
            for (int c = i; c < PIPE_SIGNS; c++)
                m->curvature[r][c] -= by * m->curvature[i][c];
            m->gradient[r] -= by * m->gradient[i];
        }
    }
    for (int i = PIPE_SIGNS - 1; i >= 0; i--) {
        step[i] = m->gradient[i];
        for (int c = i + 1; c < PIPE_SIGNS; c++)
            step[i] -= m->curvature[i][c] * step[c];
        step[i] /= m->curvature[i][i];
    }
}

/* The cases of a fit by generator. */
struct fitting {
    const struct pipe_cases *cases;
    const char *but;
    const char *generator[GENERATORS_MAX]; /* a set of it, borrowed */
    uint32_t size[GENERATORS_MAX], count;
};

/* "injected_demo-rtn3/text" is of generator "demo". */
const char *pipe_generator_of(const char *set, size_t *size)
{
    static const char injected[] = "injected_";
    const char *at = strncmp(set, injected, sizeof injected - 1) == 0
                         ? set + sizeof injected - 1
                         : set;
    *size = strcspn(at, "-/");
    return at;
}

bool pipe_same_generator(const char *a, const char *b)
{
    size_t n, m;
    const char *x = pipe_generator_of(a, &n), *y = pipe_generator_of(b, &m);
    return n == m && strncmp(x, y, n) == 0;
}

/* GENERATORS_MAX: left out, or one too many. */
static uint32_t index_of(const struct fitting *f, const char *set)
{
    uint32_t g = 0;
    if (f->but && pipe_same_generator(set, f->but))
        return GENERATORS_MAX;
    while (g < f->count && !pipe_same_generator(f->generator[g], set))
        g++;
    return g;
}

static rt_status list_generators(struct rt_ctx *ctx, struct fitting *f)
{
    for (uint32_t i = 0; i < f->cases->count; i++) {
        const uint32_t g = index_of(f, f->cases->items[i].set);
        if (g == GENERATORS_MAX)
            continue;
        if (g == f->count && f->count == GENERATORS_MAX - 1)
            return rt_fail(ctx, RT_ERR_INPUT, "evidence of more than %d generators",
                           GENERATORS_MAX - 1);
        if (g == f->count)
            f->generator[f->count++] = f->cases->items[i].set;
        f->size[g]++;
    }
    return f->count ? RT_OK
                    : rt_fail(ctx, RT_ERR_INPUT, "no evidence to fit weights on is left");
}

/* Sums over the cases at these weights; each generator counts as COUNTS of them. */
static void sum_cases(const struct fitting *f, const double *weights, struct system *out)
{
    *out = (struct system){ .gradient = { 0 } };
    for (uint32_t i = 0; i < f->cases->count; i++) {
        const struct pipe_case *c = &f->cases->items[i];
        const uint32_t g = index_of(f, c->set);
        if (g < GENERATORS_MAX)
            add_case(c, weights, (double)COUNTS / f->size[g], out);
    }
}

/* Newton's method from `weights` on. */
static void fit_equally(const struct fitting *f, double weights[PIPE_SIGNS])
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct system m;
        double step[PIPE_SIGNS], longest = 0;
        sum_cases(f, weights, &m);
        for (int s = 0; s < PIPE_SIGNS; s++) {
            m.gradient[s] -= PRIOR * (weights[s] - (s == PIPE_SIGN_judge));
            m.curvature[s][s] += PRIOR;
        }
        solve(&m, step);
        for (int s = 0; s < PIPE_SIGNS; s++)
            longest = fabs(step[s]) > longest ? fabs(step[s]) : longest;
        const double by = longest > 1 ? 1 / longest : 1; /* no step beyond one nat */
        for (int s = 0; s < PIPE_SIGNS; s++)
            weights[s] += by * step[s];
        if (longest < 1e-9)
            break;
    }
}

rt_status pipe_weights_fit(struct rt_ctx *ctx, const struct pipe_cases *cases,
                           const char *but, double weights[PIPE_SIGNS])
{
    rt_status st;
    struct fitting f = { .cases = cases, .but = but };
    memset(weights, 0, PIPE_SIGNS * sizeof *weights);
    TRY(list_generators(ctx, &f));
    fit_equally(&f, weights);

fail:
    return st;
}

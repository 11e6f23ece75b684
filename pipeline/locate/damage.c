/* pipeline/locate/damage.c
 * Counts over answers that are there, and their rows. */
#include "pipeline/locate/damage.h"

#include "pipeline/locate/locate_rules.h"
#include "pipeline/prompt/prompt_format.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static enum pipe_finish finish_of(const struct pipe_answer *a)
{
    return a->truncated ? PIPE_FINISH_LENGTH : PIPE_FINISH_STOP;
}

static bool loops(const struct pipe_answer *a)
{
    struct pipe_form form;
    pipe_form_of(a->ids, a->n, finish_of(a), &form);
    return pipe_form_degenerate(&form);
}

static bool ends_properly(const struct pipe_answer *a)
{
    return pipe_answer_ends(a->ids, a->n, finish_of(a), a->extract_ok);
}

/* ---- where answers part ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lower median; NaN of nothing. */
static double median(double *values, uint32_t n)
{
    if (n == 0)
        return NAN;
    qsort(values, n, sizeof *values, by_value);
    return values[(n - 1) / 2];
}

static void add_margin(double *values, uint32_t *n, const struct pipe_answer *a,
                       uint32_t at)
{
    if (at < a->n && isfinite(a->margin[at]))
        values[(*n)++] = (double)a->margin[at];
}

static rt_status find_partings(struct rt_ctx *ctx, const struct pipe_answers *f,
                               const struct pipe_answers *a, struct pipe_damage *d)
{
    uint32_t own = 0, full = 0;
    double *values = rt_alloc(ctx, 3 * (size_t)a->count + 1, sizeof *values);
    if (!values)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "damage: no memory");
    double *margins = values + a->count, *margins_full = margins + a->count;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct pipe_answer *x = &f->items[i], *y = &a->items[i];
        const int32_t at = pipe_first_difference(x->ids, x->n, y->ids, y->n);
        if (at < 0 || x->n == 0 || y->n == 0)
            continue;
        values[d->differing++] = at + 1;
        add_margin(margins, &own, y, (uint32_t)at);
        add_margin(margins_full, &full, x, (uint32_t)at);
    }
    d->first_token = median(values, d->differing);
    d->margin = median(margins, own);
    d->margin_full = median(margins_full, full);
    rt_free(values);
    return RT_OK;
}

/* ---- counts ---- */

static void count_gain(const struct pipe_answers *q, const struct pipe_answers *a,
                       struct pipe_damage *d)
{
    for (uint32_t i = 0; q && i < a->count; i++) {
        const int32_t more = (int32_t)a->items[i].correct - (int32_t)q->items[i].correct;
        d->gain += more;
        if (ends_properly(&a->items[i]) && ends_properly(&q->items[i]))
            d->gain_ended += more;
    }
}

rt_status pipe_damage_of(struct rt_ctx *ctx, const struct pipe_answers *f,
                         const struct pipe_answers *q, const struct pipe_answers *a,
                         struct pipe_damage *out)
{
    double tokens = 0, tokens_full = 0, thrown = 0;
    assert(f->count == a->count && (!q || q->count == a->count));
    *out = (struct pipe_damage){ .problems = a->count };
    for (uint32_t i = 0; i < a->count; i++) {
        const struct pipe_answer *x = &a->items[i];
        tokens += x->n;
        thrown += x->thrown;
        out->rescued += x->thrown > 0;
        tokens_full += f->items[i].n;
        out->loops += loops(x);
        out->no_answer += !x->extract_ok;
        out->went_on += x->extract_ok && x->truncated;
        out->early_end += !x->extract_ok && !x->truncated && x->n > 0;
        out->in_form += x->in_form;
    }
    out->length_ratio = tokens_full > 0 ? tokens / tokens_full : NAN;
    out->tokens_each = a->count ? (tokens + thrown) / a->count : NAN;
    count_gain(q, a, out);
    return find_partings(ctx, f, a, out);
}

bool pipe_damage_by_ending(const struct pipe_damage *d)
{
    return pipe_gain_by_ending(d->gain, d->gain_ended);
}

/* ---- rows ---- */

static rt_status put_numbers(struct store *s, const char *run,
                             const struct pipe_damage *d, bool against_quant)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "length_ratio", d->length_ratio },
        { "tokens_each", d->tokens_each },
        { "rescued", d->rescued },
        { "loops", d->loops },
        { "no_answer", d->no_answer },
        { "went_on", d->went_on },
        { "early_end", d->early_end },
        { "in_form", d->in_form },
        { "differing", d->differing },
        { "differing_token", d->first_token },
        { "differing_margin", d->margin },
        { "differing_margin_full", d->margin_full },
        { "gain", against_quant ? (double)d->gain : (double)NAN },
        { "gain_ended", against_quant ? (double)d->gain_ended : (double)NAN },
        { "gain_by_ending",
          against_quant ? (double)pipe_damage_by_ending(d) : (double)NAN },
    };
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(numbers) && st == RT_OK; i++)
        if (isfinite(numbers[i].value))
            st = store_put_metric(s, run, numbers[i].name, 0, numbers[i].value);
    return st;
}

rt_status pipe_damage_save(struct pipe_session *session, const struct pipe_answers *f,
                           const struct pipe_answers *q, const struct pipe_answers *a)
{
    rt_status st;
    struct pipe_damage d;
    TRY(pipe_damage_of(session->ctx, f, q, a, &d));
    TRY(store_begin(session->store));
    TRY(put_numbers(session->store, a->run_id, &d, q != NULL));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    store_rollback(session->store);
    return st;
}

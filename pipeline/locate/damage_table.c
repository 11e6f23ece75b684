/* pipeline/locate/damage_table.c
 * Reads full's answers to all lists, then variant by variant: answers, counts, divergence. */
#include "pipeline/locate/damage_table.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct tabling {
    struct pipe_session *session;
    const struct pipe_damage_plan *plan;
    struct pipe_damage_row *rows;
    uint32_t base; /* the variant that is full */
    struct pipe_variant full;
    struct pipe_answers answers[PIPE_DAMAGE_LISTS_MAX]; /* full's */
};

static rt_status find_base(struct rt_ctx *ctx, const struct pipe_damage_plan *plan,
                           uint32_t *base)
{
    for (*base = 0; *base < plan->variant_count; ++*base)
        if (strcmp(plan->variants[*base].role, "full") == 0)
            break;
    if (*base < plan->variant_count && plan->variant_count > 1)
        return RT_OK;
    return rt_fail(ctx, RT_ERR_USAGE,
                   "--damage holds variants against full: give --variant full=DIR and at "
                   "least one other");
}

rt_status pipe_damage_check(struct rt_ctx *ctx, const struct pipe_damage_plan *plan)
{
    uint32_t base;
    return find_base(ctx, plan, &base);
}

static rt_status load(struct tabling *t, uint32_t v, struct pipe_variant *out)
{
    rt_status st;
    const struct pipe_variant_spec *spec = &t->plan->variants[v];
    TRY(pipe_session_use(t->session, spec->folder, t->plan->formats[0]));
    TRY(pipe_variant_load(t->session, spec->folder,
                          spec->adapter[0] ? spec->adapter : NULL, spec->label,
                          spec->role, out));
    out->rescues = t->plan->rescues;

fail:
    return st;
}

/* ---- a row ---- */

static rt_status pair_up(struct rt_ctx *ctx, const struct pipe_answers *f,
                         const struct pipe_answers *a, struct pipe_paired *out)
{
    bool *right = rt_alloc(ctx, 2 * (size_t)a->count + 1, sizeof *right);
    if (!right)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "damage: no memory");
    for (uint32_t i = 0; i < a->count; i++) {
        right[i] = f->items[i].correct;
        right[a->count + i] = a->items[i].correct;
    }
    pipe_paired_compare(right, right + a->count, a->count, out);
    rt_free(right);
    return RT_OK;
}

/* Of full itself `a` is `f`. */
static rt_status fill_row(struct tabling *t, const struct pipe_variant *v,
                          const struct pipe_answers *f, const struct pipe_answers *a,
                          struct pipe_damage_row *row)
{
    rt_status st;
    snprintf(row->label, sizeof row->label, "%.63s", v->row.label);
    snprintf(row->run, sizeof row->run, "%s", a->run_id);
    row->bits = v->row.bits_per_weight;
    row->problems = a->count;
    row->right = a->correct;
    row->interval = pipe_wilson(a->correct, a->count);
    row->p_holm = NAN;
    TRY(pipe_damage_of(t->session->ctx, f, NULL, a, &row->damage));
    TRY(pipe_damage_save(t->session, f, NULL, a));
    if (a != f)
        TRY(pair_up(t->session->ctx, f, a, &row->paired));

fail:
    return st;
}

static rt_status add_full(struct tabling *t)
{
    rt_status st;
    TRY(load(t, t->base, &t->full));
    for (uint32_t b = 0; b < t->plan->bench_count; b++) {
        struct pipe_answers *f = &t->answers[b];
        TRY(pipe_session_use(t->session, t->plan->variants[t->base].folder,
                             t->plan->formats[b]));
        TRY(pipe_measure(t->session, &t->full, &t->plan->benches[b], f));
        TRY(fill_row(t, &t->full, f, f, &t->rows[b * t->plan->variant_count + t->base]));
    }

fail:
    return st;
}

static rt_status add_variant(struct tabling *t, uint32_t v)
{
    rt_status st;
    struct pipe_variant variant = { 0 };
    struct pipe_answers a = { 0 };
    TRY(load(t, v, &variant));
    for (uint32_t b = 0; b < t->plan->bench_count; b++) {
        const struct pipe_bench *bench = &t->plan->benches[b];
        struct pipe_damage_row *row = &t->rows[b * t->plan->variant_count + v];
        pipe_answers_deinit(&a);
        TRY(pipe_session_use(t->session, t->plan->variants[v].folder,
                             t->plan->formats[b]));
        TRY(pipe_measure(t->session, &variant, bench, &a));
        TRY(fill_row(t, &variant, &t->answers[b], &a, row));
        TRY(pipe_divergence(t->session, &t->full, &variant, bench, &t->answers[b],
                            a.run_id, &row->diverged));
    }

fail:
    pipe_answers_deinit(&a);
    pipe_variant_close(&variant);
    return st;
}

static rt_status adjust(struct tabling *t, struct pipe_damage_row *rows)
{
    double p[PIPE_DAMAGE_VARIANTS_MAX];
    uint32_t n = 0;
    for (uint32_t v = 0; v < t->plan->variant_count; v++)
        if (v != t->base)
            p[n++] = rows[v].paired.p_exact;
    const rt_status st = pipe_holm(t->session->ctx, p, n, p);
    n = 0;
    for (uint32_t v = 0; v < t->plan->variant_count; v++)
        if (v != t->base)
            rows[v].p_holm = p[n++];
    return st;
}

rt_status pipe_damage_table(struct pipe_session *session,
                            const struct pipe_damage_plan *plan,
                            struct pipe_damage_row *rows)
{
    rt_status st;
    struct tabling t = { .session = session, .plan = plan, .rows = rows };
    assert(plan->variant_count <= PIPE_DAMAGE_VARIANTS_MAX &&
           plan->bench_count <= PIPE_DAMAGE_LISTS_MAX);
    TRY(find_base(session->ctx, plan, &t.base));
    TRY(add_full(&t));
    for (uint32_t v = 0; v < plan->variant_count; v++)
        if (v != t.base)
            TRY(add_variant(&t, v));
    for (uint32_t b = 0; b < plan->bench_count; b++)
        TRY(adjust(&t, rows + (size_t)b * plan->variant_count));

fail:
    for (uint32_t b = 0; b < PIPE_DAMAGE_LISTS_MAX; b++)
        pipe_answers_deinit(&t.answers[b]);
    pipe_variant_close(&t.full);
    return st;
}

/* pipeline/run/compare_runs.c
 * Finds the runs of full, quantized and restored, freezes their comparison, and computes
 * its numbers. */
#include "pipeline/run/compare_runs.h"

#include "pipeline/run/compare_endings.h"
#include "store/queries.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const pipe_side_names[PIPE_SIDES] = { "full", "quant", "restored" };

bool pipe_comparison_several(const struct pipe_comparison *c)
{
    return c->n > c->problems;
}

/* ---- which runs ---- */

struct finding {
    struct rt_ctx *ctx;
    struct store *store;
    const struct pipe_compare_ask *ask;
    char campaign[STORE_ID];
    struct pipe_comparisons *list;
};

static rt_status take_side(void *user, const struct store_row *row)
{
    struct pipe_comparison *c = user;
    struct pipe_side *s = &c->sides[c->found];
    snprintf(s->run, sizeof s->run, "%s", store_row_text(row, 0));
    snprintf(s->label, sizeof s->label, "%.63s", store_row_text(row, 1));
    s->bits = store_row_number(row, 2);
    snprintf(c->benchmark, sizeof c->benchmark, "%s", store_row_text(row, 3));
    snprintf(c->name, sizeof c->name, "%.63s", store_row_text(row, 4));
    snprintf(c->grader, sizeof c->grader, "%.63s", store_row_text(row, 5));
    return RT_OK;
}

/* The finished run of a variant: by label, arm or id, else the first of the role. */
static rt_status find_side(const struct finding *f, struct pipe_comparison *c, int side)
{
    const char *role = pipe_side_names[side], *wanted = f->ask->wanted[side];
    c->sides[c->found].run[0] = '\0';
    const rt_status st = store_side_run_rows(f->store, c->campaign, f->ask->split, wanted,
                                             role, c->benchmark, take_side, c);
    if (st != RT_OK)
        return st;
    if (c->sides[c->found].run[0]) {
        c->found++;
        return RT_OK;
    }
    if (!wanted[0] && side == 2)
        return RT_OK;
    return rt_fail(f->ctx, RT_ERR_USAGE,
                   "no finished run of %s '%.60s' on the split '%.40s' is in the results "
                   "file; see: faultline status",
                   wanted[0] ? "variant" : "role", wanted[0] ? wanted : role,
                   f->ask->split);
}

static rt_status find_campaign(struct finding *f)
{
    if (f->ask->campaign) {
        snprintf(f->campaign, sizeof f->campaign, "%.79s", f->ask->campaign);
        return RT_OK;
    }
    const rt_status st = store_newest_campaign(f->store, f->campaign);
    if (st == RT_OK && !f->campaign[0])
        return rt_fail(
            f->ctx, RT_ERR_USAGE,
            "the results file holds no campaign yet; run restore or demo first");
    return st;
}

static rt_status take_bench(void *user, const struct store_row *row)
{
    struct pipe_comparisons *list = user;
    if (list->count < PIPE_COMPARISONS_MAX)
        snprintf(list->items[list->count++].benchmark, STORE_ID, "%s",
                 store_row_text(row, 0));
    return RT_OK;
}

/* Lists that at least two variants have answered. */
static rt_status find_benches(struct finding *f)
{
    const char *name = f->ask->bench, *split = f->ask->split;
    const rt_status st =
        store_compared_rows(f->store, f->campaign, split, name, take_bench, f->list);
    if (st == RT_OK && f->list->count == 0 && name[0])
        return rt_fail(f->ctx, RT_ERR_USAGE,
                       "no two variants have finished '%.60s' on the split '%.40s'; see: "
                       "faultline status",
                       name, split);
    if (f->list->count == 0)
        f->list->count = 1; /* finding the sides says what is missing */
    return st;
}

/* A list on which full or quant is missing is left out where there are others. */
static rt_status find_sides(struct finding *f)
{
    rt_status st = RT_OK;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->list->count; i++) {
        struct pipe_comparison *c = &f->list->items[i];
        snprintf(c->campaign, sizeof c->campaign, "%s", f->campaign);
        st = RT_OK;
        for (int side = 0; side < PIPE_SIDES && st == RT_OK; side++)
            st = find_side(f, c, side);
        if (st == RT_OK)
            f->list->items[kept++] = *c;
        else if (st != RT_ERR_USAGE)
            return st;
    }
    if (kept == 0)
        return st;
    f->list->count = kept;
    return RT_OK;
}

rt_status pipe_compare_find(struct rt_ctx *ctx, struct store *store,
                            const struct pipe_compare_ask *ask,
                            struct pipe_comparisons *out)
{
    rt_status st;
    struct finding f = { .ctx = ctx, .store = store, .ask = ask, .list = out };
    *out = (struct pipe_comparisons){ 0 };
    out->items = rt_alloc(ctx, PIPE_COMPARISONS_MAX, sizeof *out->items);
    if (!out->items)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
    TRY(find_campaign(&f));
    TRY(find_benches(&f));
    TRY(find_sides(&f));

fail:
    return st;
}

void pipe_comparisons_deinit(struct pipe_comparisons *list)
{
    for (uint32_t i = 0; list->items && i < PIPE_COMPARISONS_MAX; i++) {
        pipe_parts_deinit(&list->items[i].parts);
        for (int k = 0; k < PIPE_SIDES; k++) {
            rt_free(list->items[i].right[k]);
            rt_free(list->items[i].share[k]);
        }
    }
    rt_free(list->items);
    *list = (struct pipe_comparisons){ 0 };
}

/* ---- pairs ---- */

struct pairing {
    struct pipe_comparison *c;
    uint32_t capacity;   /* pairs */
    uint32_t of_problem; /* pairs of the problem being read */
    char problem[160];   /* that is */
};

/* Rows come by problem: a share is a mean over its pairs. */
static rt_status take_pair(void *user, const struct store_row *row)
{
    struct pairing *p = user;
    struct pipe_comparison *c = p->c;
    if (c->n == p->capacity)
        return RT_OK;
    if (c->n == 0 || strcmp(p->problem, store_row_text(row, PIPE_SIDES)) != 0) {
        snprintf(p->problem, sizeof p->problem, "%s", store_row_text(row, PIPE_SIDES));
        c->problems++;
        p->of_problem = 0;
        pipe_parts_add(&c->parts, p->problem);
    }
    p->of_problem++;
    for (int i = 0; i < c->found; i++) {
        const bool right = store_row_integer(row, i) != 0;
        double *share = &c->share[i][c->problems - 1];
        c->right[i][c->n] = right;
        *share += (right - *share) / p->of_problem;
    }
    c->n++;
    return RT_OK;
}

/* Freezes the comparison and reads its pairs. */
static rt_status freeze(struct rt_ctx *ctx, struct store *store,
                        struct pipe_comparison *c)
{
    rt_status st;
    int64_t pairs = 0;
    struct pairing p = { .c = c };
    const char *restored = c->found == PIPE_SIDES ? c->sides[2].run : NULL;
    TRY(store_begin(store));
    TRY(store_put_comparison(store, c->campaign, c->benchmark, c->grader, c->sides[0].run,
                             c->sides[1].run, restored, c->id));
    TRY(store_commit(store));
    TRY(store_count_pairs(store, c->id, &pairs));
    p.capacity = (uint32_t)pairs;
    if (p.capacity == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "the runs have no graded problem in common");
    for (int i = 0; i < PIPE_SIDES; i++) {
        c->right[i] = rt_alloc(ctx, p.capacity, sizeof **c->right);
        c->share[i] = rt_alloc(ctx, p.capacity, sizeof **c->share);
        if (!c->right[i] || !c->share[i])
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
    }
    TRY(pipe_parts_init(ctx, p.capacity, &c->parts));
    TRY(store_pair_rows(store, c->id, take_pair, &p));
    pipe_parts_end(&c->parts);
    if (pipe_comparison_several(c))
        c->parts.count = 0;
    return RT_OK;

fail:
    store_rollback(store);
    return st;
}

/* ---- numbers ---- */

static rt_status compare_sides(struct rt_ctx *ctx, struct pipe_comparison *c, int base,
                               struct pipe_paired *out)
{
    pipe_paired_compare(c->right[base], c->right[base + 1], c->n, out);
    if (!pipe_comparison_several(c))
        return RT_OK;
    out->p_exact = out->p_mid = NAN;
    return pipe_bootstrap_difference(ctx, c->share[base], c->share[base + 1], c->problems,
                                     PIPE_BOOTSTRAP_DRAWS, PIPE_STATS_SEED,
                                     &out->difference, &out->interval);
}

static void pool(struct pipe_comparison *c, int base, struct pipe_pooled *out)
{
    if (c->parts.count)
        pipe_parts_pool(&c->parts, c->right[base], c->right[base + 1], PIPE_PARTS_DRAWS,
                        PIPE_STATS_SEED, out);
}

static rt_status compute(struct rt_ctx *ctx, struct pipe_comparison *c)
{
    rt_status st;
    c->loss_holm = c->gain_holm = NAN;
    TRY(compare_sides(ctx, c, 0, &c->loss));
    pool(c, 0, &c->loss_mean);
    if (c->found < PIPE_SIDES)
        return RT_OK;
    TRY(compare_sides(ctx, c, 1, &c->gain));
    pool(c, 1, &c->gain_mean);
    for (uint32_t i = 0; i < c->n; i++)
        c->recovered_problems += c->right[0][i] && !c->right[1][i] && c->right[2][i];
    TRY(pipe_bootstrap_recovery(ctx, c->share[0], c->share[1], c->share[2], c->problems,
                                PIPE_BOOTSTRAP_DRAWS, PIPE_STATS_SEED, &c->recovery));

fail:
    return st;
}

/* Over the benchmarks of one command. */
static rt_status adjust(struct rt_ctx *ctx, struct pipe_comparison *list, uint32_t count,
                        bool gain)
{
    double p[PIPE_COMPARISONS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!pipe_comparison_several(&list[i]) && (!gain || list[i].found == PIPE_SIDES))
            p[n++] = gain ? list[i].gain.p_exact : list[i].loss.p_exact;
    if (n < 2)
        return RT_OK;
    const rt_status st = pipe_holm(ctx, p, n, p);
    n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!pipe_comparison_several(&list[i]) && (!gain || list[i].found == PIPE_SIDES))
            *(gain ? &list[i].gain_holm : &list[i].loss_holm) = p[n++];
    return st;
}

rt_status pipe_compare_compute(struct rt_ctx *ctx, struct store *store,
                               struct pipe_comparisons *list)
{
    rt_status st;
    assert(list->count <= PIPE_COMPARISONS_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(freeze(ctx, store, &list->items[i]));
        TRY(compute(ctx, &list->items[i]));
        if (list->items[i].found == PIPE_SIDES)
            TRY(pipe_compare_endings(ctx, store, &list->items[i]));
    }
    TRY(adjust(ctx, list->items, list->count, false));
    TRY(adjust(ctx, list->items, list->count, true));

fail:
    return st;
}

uint32_t pipe_comparison_numbers(const struct pipe_comparison *c,
                                 struct pipe_number out[PIPE_NUMBERS_MAX])
{
    const bool all = c->found == PIPE_SIDES, parts = c->parts.count > 0;
    const double n = c->n, lost = c->loss.lost;
    uint32_t k = 0;
    out[k++] = (struct pipe_number){ "n", n };
    out[k++] = (struct pipe_number){ "full", c->loss.right_base / n };
    out[k++] = (struct pipe_number){ "quant", c->loss.right_other / n };
    out[k++] = (struct pipe_number){ "lost", lost };
    out[k++] = (struct pipe_number){ "gained", c->loss.gained };
    out[k++] = (struct pipe_number){ "loss", -c->loss.difference };
    out[k++] = (struct pipe_number){ "loss_low", -c->loss.interval.high };
    out[k++] = (struct pipe_number){ "loss_high", -c->loss.interval.low };
    out[k++] = (struct pipe_number){ "loss_p", c->loss.p_exact };
    out[k++] = (struct pipe_number){ "loss_mid_p", c->loss.p_mid };
    out[k++] = (struct pipe_number){ "loss_holm_p", c->loss_holm };
    out[k++] = (struct pipe_number){ "problems", c->problems };
    out[k++] =
        (struct pipe_number){ "loss_mean", parts ? -c->loss_mean.difference : NAN };
    out[k++] = (struct pipe_number){ "loss_mean_p", parts ? c->loss_mean.p : NAN };
    if (!all)
        return k;
    out[k++] = (struct pipe_number){ "restored", c->gain.right_other / n };
    out[k++] = (struct pipe_number){ "fixed", c->gain.gained };
    out[k++] = (struct pipe_number){ "broken", c->gain.lost };
    out[k++] = (struct pipe_number){ "gain", c->gain.difference };
    out[k++] = (struct pipe_number){ "gain_low", c->gain.interval.low };
    out[k++] = (struct pipe_number){ "gain_high", c->gain.interval.high };
    out[k++] = (struct pipe_number){ "gain_p", c->gain.p_exact };
    out[k++] = (struct pipe_number){ "gain_mid_p", c->gain.p_mid };
    out[k++] = (struct pipe_number){ "gain_holm_p", c->gain_holm };
    out[k++] = (struct pipe_number){ "recovered", c->recovery.share };
    out[k++] = (struct pipe_number){ "recovered_low", c->recovery.share_interval.low };
    out[k++] = (struct pipe_number){ "recovered_high", c->recovery.share_interval.high };
    out[k++] = (struct pipe_number){ "recovered_problems",
                                     lost > 0 ? c->recovered_problems / lost : NAN };
    out[k++] = (struct pipe_number){ "bits", c->sides[2].bits };
    out[k++] = (struct pipe_number){ "gain_mean", parts ? c->gain_mean.difference : NAN };
    out[k++] = (struct pipe_number){ "gain_mean_p", parts ? c->gain_mean.p : NAN };
    const struct pipe_endings *e = &c->endings;
    out[k++] = (struct pipe_number){ "gain_ended", e->known ? e->gain_ended / n : NAN };
    out[k++] = (struct pipe_number){ "gain_by_ending", e->known ? e->marked : NAN };
    assert(k <= PIPE_NUMBERS_MAX);
    return k;
}

rt_status pipe_comparison_gate(struct rt_ctx *ctx, const struct pipe_comparison *c,
                               const char *text)
{
    struct pipe_number numbers[PIPE_NUMBERS_MAX];
    const uint32_t count = pipe_comparison_numbers(c, numbers);
    const size_t length = strcspn(text, "<> =");
    const char *op = text + length + strspn(text + length, " ");
    const bool less = *op == '<', equal = (*op == '<' || *op == '>') && op[1] == '=';
    const char *from = op + 1 + equal;
    char *end = NULL;
    const double limit = *op == '<' || *op == '>' ? strtod(from, &end) : 0;
    if (!end || end == from || *end || isnan(limit))
        return rt_fail(
            ctx, RT_ERR_USAGE,
            "--fail-if \"%.60s\": write a name, one of < <= > >= and a number, "
            "as in \"recovered<0.5\"",
            text);
    for (uint32_t i = 0; i < count; i++) {
        const double v = numbers[i].value;
        if (strlen(numbers[i].name) != length ||
            strncmp(numbers[i].name, text, length) != 0)
            continue;
        const bool fires = isnan(v) || (less ? v < limit : v > limit) ||
                           (equal && !(v < limit) && !(v > limit));
        return fires ? rt_fail(ctx, RT_ERR_GATE, "gate: %s is %.6g, and %.60s fails it",
                               numbers[i].name, v, text)
                     : RT_OK;
    }
    return rt_fail(ctx, RT_ERR_USAGE,
                   "--fail-if \"%.60s\": no such number here; compare --json lists them",
                   text);
}

/* pipeline/restore/restore_results.c
 * What came out, as numbers. */
#include "pipeline/restore/restore_impl.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static rt_status no_memory(struct restoring *r)
{
    return rt_fail(r->session->ctx, RT_ERR_HOST_MEMORY, "results: no memory");
}

static double *accuracies(struct rt_ctx *ctx, const struct pipe_answers *a)
{
    double *out = rt_alloc(ctx, a->count, sizeof *out);
    for (uint32_t i = 0; out && i < a->count; i++)
        out[i] = a->items[i].correct;
    return out;
}

rt_status restore_result_get(struct restoring *r, struct restore_result *out)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = r->session->ctx;
    bool *full = rt_alloc(ctx, r->f.count, sizeof *full);
    bool *quant = rt_alloc(ctx, r->f.count, sizeof *quant);
    *out = (struct restore_result){ .problems = r->f.count,
                                    .full_right = r->f.correct,
                                    .quant_right = r->q.correct,
                                    .quant_bits_per_weight =
                                        r->quant_row.row.bits_per_weight,
                                    .arms = r->arm_count };
    if (!full || !quant)
        st = no_memory(r);
    for (uint32_t i = 0; st == RT_OK && i < r->f.count; i++) {
        full[i] = r->f.items[i].correct;
        quant[i] = r->q.items[i].correct;
    }
    if (st == RT_OK)
        pipe_paired_compare(full, quant, r->f.count, &out->quant);
    rt_free(full);
    rt_free(quant);
    return st;
}

/* ---- the line of plain models ---- */

static bool is_plain(const struct restore_arm *arm)
{
    return !arm->recipe;
}

/* Answers and variant of plain model i; quant is the first. */
static const struct pipe_answers *plain_of(const struct restoring *r, int32_t i,
                                           const struct pipe_variant **variant)
{
    int32_t at = 1;
    assert(i >= 0);
    *variant = &r->quant_row;
    if (i == 0)
        return &r->q;
    for (uint32_t a = 0; a < r->arm_count; a++)
        if (is_plain(&r->arms[a]) && at++ == i) {
            *variant = &r->arms[a].variant;
            return &r->arms[a].answers;
        }
    return NULL;
}

const char *restore_plain_name(const struct restoring *r, int32_t i)
{
    const struct pipe_variant *v;
    return plain_of(r, i, &v) ? v->row.label : "";
}

void restore_plain_get(const struct restoring *r, int32_t i, double *right, double *bits)
{
    const struct pipe_variant *v;
    const struct pipe_answers *a = plain_of(r, i, &v);
    *right = a && a->count ? (double)a->correct / a->count : 0;
    *bits = v->row.bits_per_weight;
}

static void fill_right(const struct pipe_answers *a, uint8_t *out)
{
    for (uint32_t i = 0; i < a->count; i++)
        out[i] = a->items[i].correct;
}

static rt_status compare_line(struct restoring *r, const struct restore_arm *arm,
                              struct pipe_line *out)
{
    rt_status st;
    const uint32_t n = r->q.count;
    struct pipe_line_model plain[RESTORE_ARMS_MAX + 1], repair;
    const struct pipe_variant *v;
    const struct pipe_answers *a;
    uint8_t *right =
        rt_alloc(r->session->ctx, (size_t)(RESTORE_ARMS_MAX + 2) * (n + 1u), 1);
    uint32_t count = 0;
    if (!right)
        return no_memory(r);
    for (; (a = plain_of(r, (int32_t)count, &v)) != NULL; count++) {
        fill_right(a, right + (size_t)count * n);
        plain[count] =
            (struct pipe_line_model){ v->row.bits_per_weight, right + (size_t)count * n };
    }
    fill_right(&arm->answers, right + (size_t)count * n);
    repair = (struct pipe_line_model){ arm->variant.row.bits_per_weight,
                                       right + (size_t)count * n };
    st = pipe_line_compare(r->session->ctx, plain, count, &repair, n, out);
    rt_free(right);
    return st;
}

rt_status restore_arm_result_get(struct restoring *r, uint32_t i,
                                 struct restore_arm_result *out)
{
    rt_status st;
    struct rt_ctx *ctx = r->session->ctx;
    assert(i < r->arm_count);
    struct restore_arm *arm = &r->arms[i];
    *out = arm->result;
    if (out->name)
        return RT_OK;
    double *f = accuracies(ctx, &r->f), *q = accuracies(ctx, &r->q),
           *a = accuracies(ctx, &arm->answers);
    *out = (struct restore_arm_result){ .name = arm->name,
                                        .right = arm->answers.correct,
                                        .bits_per_weight =
                                            arm->variant.row.bits_per_weight };
    if (!f || !q || !a) {
        st = no_memory(r);
        goto fail;
    }
    for (uint32_t k = 0; k < r->q.count; k++) {
        out->fixed += a[k] > q[k];
        out->broken += a[k] < q[k];
    }
    out->plain = is_plain(arm);
    out->repair = !out->plain && strcmp(arm->recipe->role, "restored") == 0;
    if (out->repair)
        TRY(compare_line(r, arm, &out->line));
    out->p = pipe_mcnemar_exact(out->broken, out->fixed);
    TRY(pipe_bootstrap_recovery(ctx, f, q, a, r->q.count, PIPE_BOOTSTRAP_DRAWS,
                                PIPE_STATS_SEED, &out->recovery));
    arm->result = *out;

fail:
    rt_free(f);
    rt_free(q);
    rt_free(a);
    return st;
}

rt_status restore_parts_get(struct restoring *r, struct pipe_parts *out)
{
    const rt_status st = pipe_parts_init(r->session->ctx, r->f.count, out);
    if (st != RT_OK)
        return st;
    assert(r->f.count == r->measure.set.count);
    for (uint32_t i = 0; i < r->f.count; i++)
        pipe_parts_add(out, r->measure.set.items[i].id);
    pipe_parts_end(out);
    return RT_OK;
}

rt_status restore_part_row_get(struct restoring *r, const struct pipe_parts *parts,
                               uint32_t row, struct restore_part_row *out)
{
    struct rt_ctx *ctx = r->session->ctx;
    const struct pipe_answers *own = row == RESTORE_ROW_FULL    ? &r->f
                                     : row == RESTORE_ROW_QUANT ? &r->q
                                                                : NULL;
    assert(row < RESTORE_ROW_ARMS + r->arm_count);
    if (!own)
        own = &r->arms[row - RESTORE_ROW_ARMS].answers;
    const struct pipe_answers *other = row > RESTORE_ROW_QUANT ? &r->q : &r->f;
    *out = (struct restore_part_row){ 0 };
    bool *x = rt_alloc(ctx, parts->n + 1, sizeof *x);
    bool *base = rt_alloc(ctx, parts->n + 1, sizeof *base);
    if (x && base) {
        for (uint32_t i = 0; i < parts->n; i++) {
            x[i] = own->items[i].correct;
            base[i] = other->items[i].correct;
        }
        for (uint32_t k = 0; k < parts->count; k++)
            out->right[k] = pipe_parts_right(parts, k, x);
        if (parts->count)
            pipe_parts_pool(parts, base, x, PIPE_PARTS_DRAWS, PIPE_STATS_SEED,
                            &out->mean);
    }
    const bool done = x && base;
    rt_free(x);
    rt_free(base);
    return done ? RT_OK : no_memory(r);
}

rt_status restore_seeds_get(struct restoring *r, uint32_t first,
                            struct restore_seeds *out, bool *found)
{
    rt_status st;
    struct restore_arm_result arm;
    const uint32_t problems = r->f.count;
    *found = false;
    TRY(restore_arm_result_get(r, first, &arm));
    *out = (struct restore_seeds){ .name = arm.name, .low = 100 };
    out->length = (uint32_t)strcspn(arm.name, "@");
    for (uint32_t i = 0; i < r->arm_count; i++) {
        TRY(restore_arm_result_get(r, i, &arm));
        if (strcspn(arm.name, "@") != out->length ||
            strncmp(arm.name, out->name, out->length) != 0)
            continue;
        if (i < first) /* counted already */
            return RT_OK;
        const double one = problems ? 100.0 * arm.right / problems : 0;
        out->low = fmin(out->low, one);
        out->high = fmax(out->high, one);
        out->right += one;
        out->recovered += arm.recovery.share;
        out->count++;
    }
    out->right /= out->count;
    out->recovered /= out->count;
    *found = out->count > 1;

fail:
    return st;
}

/* pipeline/restore/restore_results.c
 * What came out, as numbers. */
#include "pipeline/restore/restore_impl.h"

#include <assert.h>

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

rt_status restore_arm_result_get(struct restoring *r, uint32_t i,
                                 struct restore_arm_result *out)
{
    rt_status st;
    struct rt_ctx *ctx = r->session->ctx;
    assert(i < r->arm_count);
    const struct restore_arm *arm = &r->arms[i];
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
    out->p = pipe_mcnemar_exact(out->broken, out->fixed);
    TRY(pipe_bootstrap_recovery(ctx, f, q, a, r->q.count, 2000, r->session->seed,
                                &out->recovery));

fail:
    rt_free(f);
    rt_free(q);
    rt_free(a);
    return st;
}

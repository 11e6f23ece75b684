/* pipeline/run/tally.c
 * Counts stored answers. */
#include "pipeline/run/tally.h"

#include "pipeline/data/problem_index.h"
#include "store/queries.h"

#include <string.h>

struct counting {
    struct pipe_tally *out;
    uint32_t problems; /* within the limit */
    struct pipe_index index;
    uint32_t *asked, *solved; /* by problem */
};

static rt_status count_answer(void *user, const struct store_answer *a)
{
    struct counting *c = user;
    struct pipe_tally *t = c->out;
    struct pipe_form form;
    const uint32_t p = pipe_index_find(&c->index, a->problem_id);
    if (p >= c->problems || a->sample >= t->samples)
        return RT_OK;
    pipe_form_of(a->ids, a->n_gen, a->finish, &form);
    t->answers++;
    t->right += a->correct;
    t->truncated += a->finish == PIPE_FINISH_LENGTH;
    t->errors += a->finish == PIPE_FINISH_ERROR;
    t->unparsed += !a->extract_ok;
    t->undecided += pipe_is_undecided(a->reason);
    t->degenerate += pipe_form_degenerate(&form);
    t->tokens += a->n_gen;
    c->asked[p]++;
    c->solved[p] += a->correct;
    return RT_OK;
}

static rt_status count_thrown(void *user, const struct pipe_metric *m)
{
    struct counting *c = user;
    if (m->step >= c->problems)
        return RT_OK;
    c->out->rescued++;
    c->out->thrown += (uint64_t)m->value;
    return RT_OK;
}

/* Mean over problems of pass@k, of those with that many samples. */
static double mean_pass(const struct counting *c, uint32_t k, double *scratch,
                        double *error)
{
    double mean;
    uint32_t n = 0;
    for (uint32_t p = 0; p < c->problems; p++)
        if (c->asked[p] >= k)
            scratch[n++] = pipe_pass_at_k(c->asked[p], c->solved[p], k);
    pipe_mean_error(scratch, n, &mean, error);
    return mean;
}

rt_status pipe_tally_answers(struct pipe_session *session, const struct pipe_bench *bench,
                             const struct pipe_wanted *ask, const char *run_id,
                             struct pipe_tally *out)
{
    rt_status st;
    struct rt_ctx *ctx = session->ctx;
    const uint32_t n = ask->limit < bench->set.count ? ask->limit : bench->set.count;
    struct counting c = { .out = out,
                          .problems = n,
                          .asked = rt_alloc(ctx, n, sizeof *c.asked),
                          .solved = rt_alloc(ctx, n, sizeof *c.solved) };
    double *scratch = rt_alloc(ctx, n, sizeof *scratch);
    *out = (struct pipe_tally){ .samples = ask->samples };
    if (!scratch || !c.asked || !c.solved) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to count answers");
        goto fail;
    }
    TRY(pipe_index_init(ctx, &bench->set, &c.index));
    TRY(store_each_answer(session->store, run_id, count_answer, &c));
    TRY(store_each_metric(session->store, run_id, "thrown_tokens", count_thrown, &c));
    out->interval = pipe_wilson(out->right, out->answers);
    out->average = mean_pass(&c, 1, scratch, &out->average_error);
    out->pass = mean_pass(&c, out->samples, scratch, &out->pass_error);

fail:
    pipe_index_deinit(&c.index);
    rt_free(scratch);
    rt_free(c.asked);
    rt_free(c.solved);
    return st;
}

/* pipeline/locate/locate_stored.c
 * Reads the wrong answers of a run, asks the check of its dialect and what would mend them, and
 * writes what these name as faults. */
#include "pipeline/locate/locate_stored.h"

#include "pipeline/locate/evidence.h"
#include "pipeline/prompt/mend.h"
#include "pipeline/prompt/prompt_format.h"
#include "runtime/base/text_pool.h"
#include "store/queries.h"

#include <stdio.h>
#include <string.h>

struct finding {
    struct finding *next;
    const char *gen_id, *evidence; /* in the pool */
    struct pipe_fault fault, mend, verdict;
};

struct locating_stored {
    struct rt_ctx *ctx;
    struct store *store;
    const struct pipe_prompt_format *format;
    struct store_eval_run run;
    char locate[STORE_ID];
    struct pipe_pool pool;
    struct finding *first, **last;
    uint32_t wrong, named;
};

static rt_status take_answer(void *user, const struct store_wrong *a)
{
    struct locating_stored *l = user;
    struct finding *f = pipe_pool_take(l->ctx, &l->pool, 1, sizeof *f);
    struct pipe_checked c;
    struct pipe_mended m;
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t n = l->format->dialect->split(a->output, steps, PIPE_STEPS_MAX);
    l->format->dialect->check(l->format->dialect, a->question, a->output, &c);
    pipe_mend(l->ctx, a->question, a->output, steps, n, a->answer, &m);
    const struct pipe_testimony t = { .step_count = n,
                                      .check = &c,
                                      .mend = (uint32_t)(m.step + 1),
                                      .mend_sign = m.sign != 0,
                                      .twin = -1 };
    if (f) {
        f->gen_id = pipe_pool_copy(l->ctx, &l->pool, a->gen_id, strlen(a->gen_id));
        f->evidence = pipe_pool_copy(l->ctx, &l->pool, c.evidence, strlen(c.evidence));
        f->fault = (struct pipe_fault){ .locator = "check",
                                        .step = c.step,
                                        .token = -1,
                                        .category = c.category,
                                        .confidence = pipe_probability(&t, c.step) };
        f->mend = (struct pipe_fault){ .locator = "mend",
                                       .step = m.step,
                                       .token = -1,
                                       .category = PIPE_CAT_METHOD_PROCEDURE,
                                       .confidence = pipe_probability(&t, m.step),
                                       .evidence = "{}" };
        const bool by_mend = m.step >= 0 && m.step != c.step;
        pipe_verdict(&t, &f->fault, NULL,
                     by_mend ? PIPE_CAT_METHOD_PROCEDURE : PIPE_CAT_NONE, &f->verdict);
    }
    if (!f || !f->gen_id || !f->evidence)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no memory to locate");
    *l->last = f;
    l->last = &f->next;
    l->wrong++;
    l->named += f->verdict.step >= 0;
    return RT_OK;
}

static rt_status save(struct locating_stored *l)
{
    rt_status st;
    char config[160];
    snprintf(config, sizeof config, "{\"answers\":\"%s\",\"locators\":\"check,mend\"}",
             l->run.run_id);
    struct store_run run = { .campaign_id =
                                 l->run.campaign_id[0] ? l->run.campaign_id : NULL,
                             .kind = "locate",
                             .variant_id = l->run.variant_id,
                             .benchmark_id = l->run.benchmark_id,
                             .config = config };
    TRY(store_begin(l->store));
    TRY(store_run_open(l->store, &run));
    snprintf(l->locate, STORE_ID, "%s", run.id);
    for (struct finding *f = l->first; f; f = f->next) {
        f->fault.evidence = f->evidence;
        TRY(store_put_fault(l->store, run.id, f->gen_id, &f->fault));
        if (f->mend.step >= 0)
            TRY(store_put_fault(l->store, run.id, f->gen_id, &f->mend));
        TRY(store_put_fault(l->store, run.id, f->gen_id, &f->verdict));
    }
    TRY(store_run_close(l->store, run.id, "done", 0, NULL));
    TRY(store_commit(l->store));
    return RT_OK;

fail:
    store_rollback(l->store);
    return st;
}

rt_status pipe_locate_stored(struct rt_ctx *ctx, struct store *store, const char *run,
                             struct pipe_stored_faults *out)
{
    rt_status st;
    struct locating_stored l = { .ctx = ctx, .store = store, .last = &l.first };
    *out = (struct pipe_stored_faults){ .wrong = 0 };
    TRY(store_find_eval_run(store, run, &l.run));
    l.format = pipe_prompt_format_find(l.run.format);
    if (!l.run.run_id[0] || !l.format || !l.format->dialect->check)
        return rt_fail(ctx, RT_ERR_USAGE,
                       l.run.run_id[0]
                           ? "the run '%.80s' has answers of no format whose steps can "
                             "be checked"
                           : "no eval run '%.80s' is in the results file; see: "
                             "faultline status",
                       run);
    TRY(store_each_wrong(store, l.run.run_id, take_answer, &l));
    TRY(save(&l));
    out->wrong = l.wrong;
    out->named = l.named;
    snprintf(out->run_id, STORE_ID, "%s", l.locate);
    snprintf(out->label, sizeof out->label, "%s", l.run.label);
    snprintf(out->segmenter, sizeof out->segmenter, "%s", l.format->dialect->segmenter);

fail:
    pipe_pool_deinit(&l.pool);
    return st;
}

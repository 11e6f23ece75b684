/* pipeline/run/blame_mend.c
 * What parts in full precision are worth in answers: problems that quantization lost are
 * answered again with one part back, and those it has right, so that a part that only moves
 * answers about is seen as such. Every answer is a row of an eval run of its own: full's and
 * the quantized model's are taken from where they are stored. */
#include "pipeline/run/blame_impl.h"

#include "pipeline/run/answers.h"
#include "pipeline/run/calibration_answers.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct mending {
    struct blaming *b;
    struct pipe_bench bench;
    bool *lost; /* of the problems that are tried: first of all problems, then of these */
};

/* The problems of the text, at most so many. */
static rt_status open_problems(struct mending *m)
{
    rt_status st;
    const struct blaming *b = m->b;
    struct pipe_session *session = b->session;
    const char *from = b->o->text.from, *self = pipe_calibration_self(from);
    const uint32_t limit = b->o->mend_problems;
    if (pipe_calibration_kind_of(from) != PIPE_CALIBRATION_RUN) {
        TRY(pipe_bench_open(session, self ? self : from, "blame", &m->bench));
        if (m->bench.set.count > limit)
            m->bench.set.count = limit;
        return RT_OK;
    }
    m->bench.split = "blame";
    snprintf(m->bench.name, sizeof m->bench.name, "%.150s", from);
    TRY(pipe_calibration_run_problems(session, from, limit, &m->bench.set));
    TRY(store_begin(session->store));
    TRY(store_put_benchmark(session->store, m->bench.name, m->bench.split,
                            m->bench.set.items, m->bench.set.count, m->bench.id));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    store_rollback(session->store);
    return st;
}

/* Leaves the problems that full has right and the quantized model wrong, and those that the
 * quantized model has right. */
static rt_status choose_problems(struct mending *m)
{
    rt_status st;
    struct blaming *b = m->b;
    struct pipe_variant full;
    struct pipe_problem_set *set = &m->bench.set;
    struct pipe_answers of_full = { 0 }, of_quant = { 0 };
    uint32_t n = 0;
    TRY(pipe_variant_put(b->session, b->full, NULL, b->o->full, "full", "full", NULL,
                         &full));
    TRY(pipe_measure(b->session, &full, &m->bench, &of_full));
    TRY(pipe_measure(b->session, &b->quant, &m->bench, &of_quant));
    b->out->answered = set->count;
    for (uint32_t i = 0; i < set->count; i++) {
        const bool kept = of_quant.items[i].correct;
        if (!kept && !of_full.items[i].correct)
            continue;
        b->out->lost += !kept;
        b->out->kept += kept;
        m->lost[n] = !kept;
        set->items[n++] = set->items[i];
    }
    set->count = n;

fail:
    pipe_answers_deinit(&of_full);
    pipe_answers_deinit(&of_quant);
    return st;
}

static rt_status save(const struct mending *m, const struct pipe_blame_part *p)
{
    rt_status st;
    const struct blaming *b = m->b;
    struct store *s = b->session->store;
    const int64_t step = pipe_blame_step(&p->place);
    TRY(store_begin(s));
    TRY(store_put_metric(s, b->run_id, "blame_lost", 0, b->out->lost));
    TRY(store_put_metric(s, b->run_id, "blame_kept", 0, b->out->kept));
    TRY(store_put_metric(s, b->run_id, "blame_mended", step, p->mended));
    TRY(store_put_metric(s, b->run_id, "blame_broken", step, p->broken));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static rt_status try_part(struct mending *m, struct pipe_blame_part *p)
{
    rt_status st;
    struct blaming *b = m->b;
    struct rt_model *hybrid = NULL;
    struct pipe_variant variant;
    struct pipe_answers answers = { 0 };
    TRY(pipe_blame_hybrid(b, p, &hybrid));
    TRY(pipe_variant_put_hybrid(b->session, hybrid, &b->quant, rt_model_hash(b->full),
                                p->name, &variant));
    TRY(pipe_measure(b->session, &variant, &m->bench, &answers));
    for (uint32_t i = 0; i < answers.count; i++) {
        p->mended += m->lost[i] && answers.items[i].correct;
        p->broken += !m->lost[i] && !answers.items[i].correct;
    }
    p->asked = true;
    TRY(save(m, p));

fail:
    pipe_answers_deinit(&answers);
    rt_model_hybrid_destroy(&hybrid);
    return st;
}

/* The part with the largest gain that was not tried yet; NULL: there is none that helps. */
static struct pipe_blame_part *worst_left(struct pipe_blame *all)
{
    struct pipe_blame_part *worst = NULL;
    for (uint32_t i = 0; i < all->count; i++) {
        struct pipe_blame_part *p = &all->parts[i];
        const bool one =
            p->place.level == PIPE_BLAME_LAYER || p->place.level == PIPE_BLAME_MATRIX;
        if (one && !p->asked && p->gain > 0 && (!worst || p->gain > worst->gain))
            worst = p;
    }
    return worst;
}

rt_status pipe_blame_mend(struct blaming *b)
{
    rt_status st = RT_OK;
    struct mending m = { .b = b };
    struct pipe_blame_part *worst;
    if (b->o->mend == 0)
        return RT_OK;
    TRY(open_problems(&m));
    m.lost = rt_alloc(b->session->ctx, m.bench.set.count, sizeof *m.lost);
    if (!m.lost) {
        st = rt_fail(b->session->ctx, RT_ERR_HOST_MEMORY, "blame: no host memory");
        goto fail;
    }
    TRY(choose_problems(&m));
    for (uint32_t k = 0; k < b->o->mend && b->out->lost && (worst = worst_left(b->out));
         k++)
        TRY(try_part(&m, worst));

fail:
    rt_free(m.lost);
    pipe_bench_close(&m.bench);
    return st;
}

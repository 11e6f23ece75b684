/* pipeline/locate/locate.c
 * The first faulty step of every lost problem: `check` tests what each step claims, `twin`
 * reads full's margins along the answer, `rollout` searches with full's continuations. The
 * verdict weighs all of them (evidence.h). `gold` judges, and is never part of a verdict. */
#include "pipeline/locate/locate_impl.h"

#include "runtime/engine/engine.h"
#include "store/queries.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static rt_status no_memory(const struct locating *l)
{
    return rt_fail(l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
}

/* Per step: how unsure the model was that gave the answer. */
static rt_status find_unsure(struct locating *l, struct locate_search *s)
{
    if (!s->margin)
        return RT_OK;
    s->unsure = rt_alloc(l->session->ctx, s->step_count, sizeof *s->unsure);
    if (!s->unsure)
        return no_memory(l);
    for (uint32_t k = 0; k < s->step_count; k++)
        for (uint32_t t = s->steps[k].tok_start; t < s->steps[k].tok_end && t < s->n;
             t++) {
            const double unsure = pipe_unsure((double)s->margin[t]);
            if (unsure > s->unsure[k])
                s->unsure[k] = unsure;
        }
    return RT_OK;
}

rt_status locate_search_init(struct locating *l, struct locate_search *s,
                             const char *reader)
{
    struct rt_ctx *ctx = l->session->ctx;
    struct pipe_step steps[PIPE_STEPS_MAX];
    const struct pipe_dialect *dialect = l->session->format->dialect;
    uint32_t *ends = rt_alloc(ctx, s->n, sizeof *ends);
    s->step_count = dialect->split(s->text, steps, PIPE_STEPS_MAX);
    s->steps = rt_alloc(ctx, s->step_count, sizeof *s->steps);
    s->known = rt_alloc(ctx, s->step_count + 1u, sizeof *s->known);
    s->twin = s->handover = s->twin_back = s->substitute = s->judge_step = -1;
    if (!ends || !s->steps || !s->known) {
        rt_free(ends);
        return no_memory(l);
    }
    const rt_status st = pipe_token_ends(l->session, s->ids, s->n, ends);
    if (st != RT_OK) {
        rt_free(ends);
        return st;
    }
    pipe_steps_map_tokens(steps, s->step_count, ends, s->n);
    memcpy(s->steps, steps, s->step_count * sizeof *steps);
    rt_free(ends);
    s->known[0] = (struct locate_known){ .done = UINT32_MAX, /* its own answer */
                                         .can = !l->mirror,
                                         .greedy_right = !l->mirror,
                                         .text_right = !l->mirror,
                                         .text = rt_strdup(ctx, reader) };
    s->check = (struct pipe_checked){ .step = -1, .evidence = "{}" };
    s->mended = (struct pipe_mended){ .step = -1 };
    s->contrast = (struct pipe_contrasted){ .step = -1 };
    if (!l->mirror)
        pipe_mend(ctx, l->bench->set.items[s->problem].question, s->text, s->steps,
                  s->step_count, l->bench->set.items[s->problem].answer, &s->mended);
    if (dialect->check && !l->mirror)
        dialect->check(dialect, l->bench->set.items[s->problem].question, s->text,
                       &s->check);
    return s->known[0].text ? find_unsure(l, s) : no_memory(l);
}

void locate_free(struct locating *l)
{
    for (uint32_t i = 0; l->list && i < l->count; i++) {
        for (uint32_t k = 0; l->list[i].known && k <= l->list[i].step_count; k++)
            rt_free(l->list[i].known[k].text);
        rt_free(l->list[i].known);
        rt_free(l->list[i].steps);
        rt_free(l->list[i].unsure);
        rt_free(l->list[i].judge);
    }
    rt_free(l->list);
    l->list = NULL;
    locate_close_engines(l);
}

void locate_close_engines(struct locating *l)
{
    for (size_t i = 0; i < RT_COUNT(l->engine); i++)
        rt_engine_destroy(&l->engine[i]);
}

/* What full would have written instead, with the steps before: the category is read off
 * the difference. */
static rt_status by_difference(struct locating *l, const struct locate_search *s,
                               int32_t step, enum pipe_category *out)
{
    *out = PIPE_CAT_UNCLASSIFIED;
    const struct pipe_dialect *dialect = l->session->format->dialect;
    if (!dialect->category || step < 0 || (uint32_t)step >= s->step_count ||
        !s->known[step].text)
        return RT_OK;
    char *whole = rt_format(l->session->ctx, "%.*s%s", (int)s->steps[step].char_start,
                            s->text, s->known[step].text);
    if (!whole)
        return no_memory(l);
    *out = dialect->category(s->text, (uint32_t)step, whole);
    rt_free(whole);
    return RT_OK;
}

static struct pipe_fault fault_of_check(const struct locate_search *s)
{
    const struct pipe_testimony alone = { .step_count = s->step_count,
                                          .check = &s->check,
                                          .twin = -1 };
    return (struct pipe_fault){ .locator = "check",
                                .step = s->check.step,
                                .token = -1,
                                .category = s->check.category,
                                .confidence = pipe_probability(&alone, s->check.step),
                                .evidence = s->check.evidence };
}

/* In the mirror `handover`, whose steps are those of full's answer. */
struct pipe_fault locate_fault_of_search(const struct locate_search *s,
                                         const char *locator, char *evidence, size_t size)
{
    const struct pipe_testimony alone = { .step_count = s->step_count,
                                          .rollout = &s->rollout,
                                          .twin = -1 };
    assert(s->rollout.asked <= s->step_count);
    snprintf(evidence, size, "{\"asked\":%u,\"monotone\":%s,\"lost_from_start\":%s}",
             s->rollout.asked, s->rollout.monotone ? "true" : "false",
             s->rollout.lost_from_start ? "true" : "false");
    return (struct pipe_fault){ .locator = locator,
                                .step = s->rollout.step,
                                .token = -1,
                                .category = PIPE_CAT_UNCLASSIFIED,
                                .confidence = pipe_probability(&alone, s->rollout.step),
                                .evidence = evidence };
}

struct pipe_fault locate_fault_of_twin(const struct locate_search *s, const char *locator,
                                       char *evidence, size_t size)
{
    const struct pipe_testimony alone = { .step_count = s->step_count,
                                          .twin = s->twin,
                                          .twin_sure =
                                              s->suspect.full_margin >= PIPE_TWIN_SURE };
    char margin[32] = "null"; /* of a forced token, which no model chose: infinite */
    if (isfinite(s->suspect.quant_margin))
        snprintf(margin, sizeof margin, "%.4f", (double)s->suspect.quant_margin);
    snprintf(evidence, size, "{\"full_margin\":%.4f,\"quant_margin\":%s}",
             (double)s->suspect.full_margin, margin);
    return (struct pipe_fault){ .locator = locator,
                                .step = s->twin,
                                .token = s->twin < 0 ? -1 : (int32_t)s->suspect.token,
                                .category = PIPE_CAT_UNCLASSIFIED,
                                .confidence = pipe_probability(&alone, s->twin),
                                .evidence = evidence };
}

struct pipe_testimony locate_testimony(const struct locate_search *s)
{
    return (struct pipe_testimony){ .step_count = s->step_count,
                                    .check = &s->check,
                                    .contrast = &s->contrast,
                                    .rollout = &s->rollout,
                                    .twin = s->twin,
                                    .twin_sure = s->suspect.full_margin >= PIPE_TWIN_SURE,
                                    .mend = (uint32_t)(s->mended.step + 1),
                                    .mend_sign = s->mended.sign != 0,
                                    .unsure = s->unsure,
                                    .judge = s->judge,
                                    .handover = (uint32_t)(s->handover + 1),
                                    .twin_back = (uint32_t)(s->twin_back + 1),
                                    .substitute = (uint32_t)(s->substitute + 1) };
}

static rt_status contrast(struct locating *l, struct locate_search *s)
{
    uint32_t count = 0;
    struct pipe_right_text *right =
        rt_alloc(l->session->ctx, s->step_count + 1u, sizeof *right);
    if (!right)
        return no_memory(l);
    for (uint32_t k = 0; k < s->step_count; k++)
        if (s->known[k].text && s->known[k].text_right)
            right[count++] = (struct pipe_right_text){ s->known[k].text, k };
    const rt_status st =
        pipe_contrast(l->session->ctx, l->bench->set.items[s->problem].question, s->text,
                      s->steps, s->step_count, right, count, &s->contrast);
    rt_free(right);
    return st;
}

/* An injected fault is not compared: it was made from full's answer. */
rt_status locate_contrasts(struct locating *l)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++)
        if (l->list[i].gen[0])
            st = contrast(l, &l->list[i]);
    return st;
}

rt_status locate_verdicts(struct locating *l)
{
    rt_status st = RT_OK;
    char evidence[128];
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++) {
        struct locate_search *s = &l->list[i];
        enum pipe_category category;
        const struct pipe_testimony t = locate_testimony(s);
        const struct pipe_fault check = fault_of_check(s);
        const struct pipe_fault twin =
            locate_fault_of_twin(s, "twin", evidence, sizeof evidence);
        pipe_verdict(&t, &check, &twin, PIPE_CAT_NONE, &s->verdict);
        st = by_difference(l, s, s->verdict.step, &category);
        if (category == PIPE_CAT_UNCLASSIFIED && s->verdict.step == s->mended.step)
            category = PIPE_CAT_METHOD_PROCEDURE; /* another operator or operand */
        pipe_verdict(&t, &check, &twin, category, &s->verdict);
    }
    return st;
}

/* ---- the lost problems of a split ---- */

static rt_status judge_gold(struct locating *l, struct locate_search *s)
{
    rt_status st;
    int32_t own;
    const struct pipe_dialect *dialect = l->session->format->dialect;
    const struct pipe_problem *problem = &l->bench->set.items[s->problem];
    s->truth = -1;
    if (!dialect->gold)
        return RT_OK;
    TRY(dialect->gold(l->session->ctx, problem, s->text, &s->truth));
    TRY(dialect->gold(l->session->ctx, problem, s->known[0].text, &own));
    s->shared = own >= 0;

fail:
    return st;
}

static bool is_lost(const struct pipe_answers *f, const struct pipe_answers *q,
                    uint32_t i)
{
    return f->items[i].correct && !q->items[i].correct;
}

static rt_status list_lost(struct locating *l, const struct pipe_answers *f,
                           const struct pipe_answers *q)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < q->count; i++)
        l->count += is_lost(f, q, i);
    l->list = rt_alloc(l->session->ctx, l->count, sizeof *l->list);
    if (!l->list)
        return no_memory(l);
    for (uint32_t i = 0, at = 0; i < q->count && st == RT_OK; i++) {
        if (!is_lost(f, q, i))
            continue;
        struct locate_search *s = &l->list[at++];
        *s = (struct locate_search){ .problem = i,
                                     .text = q->items[i].text,
                                     .ids = q->items[i].ids,
                                     .margin = q->items[i].margin,
                                     .n = q->items[i].n };
        store_gen_id(q->run_id, l->bench->set.items[i].id, 0, s->gen);
        st = locate_search_init(l, s, f->items[i].text);
        if (st == RT_OK)
            st = judge_gold(l, s);
    }
    return st;
}

static rt_status put_mended(struct locating *l, const struct locate_search *s)
{
    char evidence[64];
    const struct pipe_testimony alone = { .step_count = s->step_count,
                                          .twin = -1,
                                          .mend = (uint32_t)(s->mended.step + 1),
                                          .mend_sign = s->mended.sign != 0 };
    const struct pipe_fault f = { .locator = "mend",
                                  .step = s->mended.step,
                                  .token = -1,
                                  .category = PIPE_CAT_METHOD_PROCEDURE,
                                  .confidence = pipe_probability(&alone, s->mended.step),
                                  .evidence = evidence };
    snprintf(evidence, sizeof evidence, "{\"at\":[%u,%u]}", s->mended.at, s->mended.end);
    return store_put_fault(l->session->store, l->run_id, s->gen, &f);
}

static rt_status put_contrast(struct locating *l, const struct locate_search *s)
{
    const struct pipe_testimony alone = { .step_count = s->step_count,
                                          .twin = -1,
                                          .contrast = &s->contrast };
    const struct pipe_fault f = {
        .locator = "contrast",
        .step = s->contrast.step,
        .token = -1,
        .category = PIPE_CAT_UNCLASSIFIED,
        .confidence = pipe_probability(&alone, s->contrast.step),
        .evidence = s->contrast.end ? "{\"new\":false}" : "{\"new\":true}"
    };
    return store_put_fault(l->session->store, l->run_id, s->gen, &f);
}

static rt_status put_rows(struct locating *l, const struct locate_search *s)
{
    rt_status st;
    char evidence[128];
    struct store *store = l->session->store;
    const struct pipe_fault check = fault_of_check(s);
    const struct pipe_fault twin =
        locate_fault_of_twin(s, "twin", evidence, sizeof evidence);
    const struct pipe_fault gold = { "gold", s->truth, -1, PIPE_CAT_UNCLASSIFIED,
                                     1.0,    "{}" };
    if (check.step >= 0)
        TRY(store_put_fault(store, l->run_id, s->gen, &check));
    if (s->mended.step >= 0)
        TRY(put_mended(l, s));
    if (s->contrast.step >= 0)
        TRY(put_contrast(l, s));
    if (s->judge)
        TRY(locate_put_judge(l, s));
    TRY(locate_put_search(l, s));
    TRY(store_put_fault(store, l->run_id, s->gen, &twin));
    TRY(store_put_fault(store, l->run_id, s->gen, &s->verdict));
    if (s->truth >= 0)
        TRY(store_put_fault(store, l->run_id, s->gen, &gold));
    return RT_OK;

fail:
    return st;
}

static rt_status save(struct locating *l, const struct pipe_bench *bench)
{
    rt_status st;
    TRY(store_begin(l->session->store));
    for (uint32_t i = 0; i < l->count; i++)
        TRY(put_rows(l, &l->list[i]));
    if (l->back)
        TRY(locate_put_handover(l->back));
    if (l->more & PIPE_LOCATE_SUBSTITUTE)
        TRY(locate_put_substitutes(l));
    if (l->more & PIPE_LOCATE_FORCED)
        TRY(locate_put_forced(l));
    TRY(locate_judge(l, "", bench->split));
    TRY(pipe_work_commit(l->session));
    return RT_OK;

fail:
    store_rollback(l->session->store);
    return st;
}

static rt_status open_run(struct locating *l, const char *variant_id, const char *config)
{
    struct store_run run = { .campaign_id = l->session->campaign_id,
                             .kind = "locate",
                             .variant_id = variant_id,
                             .benchmark_id = l->bench->id,
                             .env_id = l->session->env_id,
                             .seed = l->session->seed,
                             .config = config };
    const rt_status st = store_run_open(l->session->store, &run);
    snprintf(l->run_id, sizeof l->run_id, "%s", run.id);
    return st;
}

/* The search, from the answers to the rows. A substitution asks at the verdict of the others. */
static rt_status search(struct locating *l, const struct pipe_variant *quant,
                        const struct pipe_answers *f, const struct pipe_answers *q)
{
    rt_status st;
    struct locating back = { .count = 0 };
    TRY(list_lost(l, f, q));
    if (l->more & PIPE_LOCATE_JUDGE)
        TRY(locate_judgements(l));
    TRY(pipe_work_begin(l->session, l->run_id));
    TRY(locate_twins(l));
    TRY(locate_rollouts(l));
    locate_tell_rates(l);
    locate_close_engines(l); /* quant needs the memory */
    TRY(locate_contrasts(l));
    if (l->more & PIPE_LOCATE_HANDOVER)
        TRY(locate_handover(l, quant, f, &back));
    TRY(locate_verdicts(l));
    if (l->more & PIPE_LOCATE_SUBSTITUTE) {
        TRY(locate_substitutes(l, quant));
        TRY(locate_verdicts(l));
    }
    if (l->more & PIPE_LOCATE_FORCED)
        TRY(locate_forced(l, quant));
    TRY(save(l, l->bench));

fail:
    if (st != RT_OK)
        pipe_work_stopped(l->session, st);
    locate_free(&back);
    return st;
}

/* What may be asked, in the order of the names, so that a run is found again. */
static const struct {
    const char *name;
    uint32_t more; /* 0: always asked */
} known_locators[] = { { "check", 0 },
                       { "contrast", 0 },
                       { "forced", PIPE_LOCATE_FORCED },
                       { "handover", PIPE_LOCATE_HANDOVER },
                       { "judge", PIPE_LOCATE_JUDGE },
                       { "mend", 0 },
                       { "rollout", 0 },
                       { "substitute", PIPE_LOCATE_SUBSTITUTE },
                       { "twin", 0 },
                       { "twin-back", PIPE_LOCATE_HANDOVER } };

static void names_of(uint32_t more, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < RT_COUNT(known_locators) && n < size; i++)
        if (!known_locators[i].more || known_locators[i].more & more)
            n += (size_t)snprintf(out + n, size - n, "%s\"%s\"", n ? "," : "",
                                  known_locators[i].name);
    assert(n < size);
}

rt_status pipe_locators_read(struct rt_ctx *ctx, const char *list, uint32_t *more)
{
    *more = 0;
    for (const char *at = list; *at;) {
        const size_t n = strcspn(at, ",");
        size_t i = 0;
        while (i < RT_COUNT(known_locators) &&
               (strlen(known_locators[i].name) != n ||
                strncmp(known_locators[i].name, at, n) != 0))
            i++;
        if (i == RT_COUNT(known_locators))
            return rt_fail(ctx, RT_ERR_USAGE,
                           "there is no locator '%.*s'; there are check, mend, contrast, "
                           "twin and rollout, "
                           "which are always asked, handover, substitute, forced and "
                           "judge",
                           n < 40 ? (int)n : 40, at);
        *more |= known_locators[i].more;
        at += n + (at[n] == ',');
    }
    return RT_OK;
}

rt_status pipe_locate(struct pipe_session *session, const struct pipe_variant *full,
                      const struct pipe_variant *quant, const struct pipe_bench *bench,
                      const struct pipe_answers *f, const struct pipe_answers *q,
                      const struct pipe_locate_options *options, char run_id[STORE_ID])
{
    rt_status st;
    char config[480], names[120], forced[48];
    bool done;
    struct locating l = { .session = session,
                          .bench = bench,
                          .reader = full,
                          .locator = "rollout",
                          .samples = options->samples,
                          .more = options->more,
                          .forced_most = options->forced_most };
    names_of(l.more, names, sizeof names);
    locate_forced_config(&l, forced, sizeof forced);
    snprintf(config, sizeof config,
             "{\"locators\":[%s],\"samples\":%u%s,\"full_run\":\"%s\",\"quant_run\":"
             "\"%s\"}",
             names, l.samples, forced, f->run_id, q->run_id);
    TRY(open_run(&l, quant->row.id, config));
    snprintf(run_id, STORE_ID, "%s", l.run_id);
    TRY(store_run_is_done(session->store, l.run_id, &done));
    if (done)
        pipe_say(session->host, "locate %-21s done [from before]", bench->split);
    else
        TRY(search(&l, quant, f, q));

fail:
    locate_free(&l);
    return st;
}

/* ---- injected faults ---- */

/* Alters right answers, kinds in turns, until `want` are there. */
static rt_status list_injected(struct locating *l, const struct pipe_answers *f,
                               uint32_t want, struct pipe_pool *pool)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->session->ctx;
    const uint32_t end_id = pipe_end_id(l->session, l->reader->model);
    const struct pipe_dialect *dialect = l->session->format->dialect;
    if (!dialect->inject)
        return rt_fail(
            ctx, RT_ERR_USAGE,
            "no faults can be injected into answers of format '%s': nothing is "
            "known of how its steps hang together",
            l->session->format->name);
    l->list = rt_alloc(ctx, want, sizeof *l->list);
    if (!l->list)
        return no_memory(l);
    assert(dialect->inject_kinds > 0);
    for (uint32_t i = 0; i < f->count && l->count < want && st == RT_OK; i++) {
        struct pipe_injected x = { 0 };
        uint32_t *ids = NULL, n = 0;
        if (!f->items[i].correct)
            continue;
        TRY(dialect->inject(ctx, pool, dialect, l->bench->set.items[i].question,
                            f->items[i].text,
                            (enum pipe_inject_kind)(l->count % dialect->inject_kinds),
                            l->session->seed, i, &x));
        if (!x.output)
            continue;
        TRY(text_encode(l->session->tok, x.output, strlen(x.output), false, &ids, &n));
        uint32_t *kept = pipe_pool_take(ctx, pool, n + 1u, sizeof *kept);
        if (kept)
            memcpy(kept, ids, n * sizeof *ids);
        rt_free(ids);
        if (!kept)
            return no_memory(l);
        if (end_id != UINT32_MAX)
            kept[n++] = end_id;
        struct locate_search *s = &l->list[l->count++];
        *s = (struct locate_search){
            .problem = i, .text = x.output, .ids = kept, .n = n, .truth = x.step
        };
        st = locate_search_init(l, s, f->items[i].text);
    }

fail:
    return st;
}

rt_status pipe_locate_injected(struct pipe_session *session,
                               const struct pipe_variant *full,
                               const struct pipe_bench *bench,
                               const struct pipe_answers *f, uint32_t count,
                               const struct pipe_locate_options *options)
{
    rt_status st;
    char config[224];
    struct pipe_pool pool = { 0 };
    struct locating l = { .session = session,
                          .bench = bench,
                          .reader = full,
                          .locator = "rollout",
                          .samples = options->samples,
                          .more = options->more & PIPE_LOCATE_JUDGE };
    snprintf(config, sizeof config,
             "{\"injected\":%u,\"samples\":%u,\"full_run\":\"%s\"%s}", count, l.samples,
             f->run_id, l.more ? ",\"judge\":true" : "");
    TRY(list_injected(&l, f, count, &pool));
    TRY(open_run(&l, full->row.id, config));
    if (l.more)
        TRY(locate_judgements(&l));
    TRY(pipe_work_begin(session, l.run_id));
    TRY(locate_twins(&l));
    TRY(locate_rollouts(&l));
    TRY(locate_contrasts(&l));
    TRY(locate_verdicts(&l));
    TRY(store_begin(session->store));
    TRY(locate_judge(&l, "injected_", "injected faults"));
    TRY(pipe_work_commit(session));

fail:
    if (st != RT_OK)
        pipe_work_stopped(session, st);
    locate_free(&l);
    pipe_pool_deinit(&pool);
    return st;
}

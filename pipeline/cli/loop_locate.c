/* pipeline/cli/loop_locate.c
 * The first faulty step of every lost problem: `check` tests what each step claims,
 * `rollout` bisects with full-precision continuations, `twin` reads full's margins along
 * quant's answer. The verdict is check's where it fires, else rollout's, else twin's.
 * `gold` judges, and is never part of a verdict. */
#include "pipeline/cli/loop.h"

#include "pipeline/locate_check.h"
#include "pipeline/locate_gold.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A lost problem under search: full can finish from prefix(low), not from prefix(high). */
struct search {
    uint32_t problem;
    struct pipe_step steps[PIPE_STEPS_MAX];
    uint32_t step_count;
    uint32_t low, high, asked;
    char *from_low; /* full's continuation of prefix(low) */
    int32_t twin_step, twin_token;
    double twin_margin; /* of full for its own choice there, nats */
    struct pipe_check check;
};

/* The step a search blames and who says so. */
static int32_t verdict_of(const struct search *s, const char **by)
{
    const bool rolled = s->step_count != 0;
    *by = s->check.step >= 0 ? "check" : rolled ? "rollout" : "twin";
    return s->check.step >= 0 ? s->check.step : rolled ? (int32_t)s->low : s->twin_step;
}

struct locating {
    struct loop *loop;
    const struct loop_bench *bench;
    const struct loop_answers *f, *q;
    struct search *list;
    uint32_t count;
    char run_id[STORE_ID];
    const struct loop_variant *full, *quant;
};

static char *prefix_of(struct rt_ctx *ctx, const char *text, const struct search *s,
                       uint32_t k)
{
    const uint32_t size =
        k < s->step_count ? s->steps[k].char_start : (uint32_t)strlen(text);
    return rt_format(ctx, "%.*s", (int)size, text);
}

/* One round: every search that is not settled asks about its middle prefix. */
static rt_status ask_round(struct locating *l, uint32_t *open)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->loop->ctx;
    struct loop_job *jobs = rt_alloc(ctx, l->count, sizeof *jobs);
    *open = 0;
    if (!jobs)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    for (uint32_t i = 0; i < l->count; i++) {
        struct search *s = &l->list[i];
        if (s->high - s->low <= 1)
            continue;
        s->asked = (s->low + s->high) / 2;
        char *prefix = prefix_of(ctx, l->q->items[s->problem].text, s, s->asked);
        st = prefix ? loop_prompt(l->loop, l->bench->set.items[s->problem].question,
                                  prefix, &jobs[i].prompt, &jobs[i].n_prompt)
                    : rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
        rt_free(prefix);
        TRY(st);
        ++*open;
    }
    if (*open)
        TRY(loop_continue(l->loop, l->full->model, NULL, jobs, l->count,
                          "locate rollout"));
    for (uint32_t i = 0; i < l->count; i++) {
        struct search *s = &l->list[i];
        if (s->high - s->low <= 1)
            continue;
        char extracted[PIPE_EXTRACT_MAX];
        struct pipe_score score = { 0 };
        if (jobs[i].text)
            pipe_grade(l->loop->format, jobs[i].text, jobs[i].finish,
                       l->bench->set.items[s->problem].answer, extracted, &score);
        if (score.correct) {
            s->low = s->asked;
            rt_free(s->from_low);
            s->from_low = jobs[i].text;
            jobs[i].text = NULL;
        } else {
            s->high = s->asked;
        }
    }

fail:
    loop_jobs_free(jobs, l->count);
    return st;
}

/* Teacher-forces full along quant's answers, a batch at a time: the first token where
 * full would have said something else. */
static rt_status find_twins(struct locating *l)
{
    enum { BATCH = 8 };
    rt_status st;
    struct rt_ctx *ctx = l->loop->ctx;
    struct rt_scorer *scorer = NULL;
    uint32_t *ids[BATCH] = { 0 };
    static const uint32_t rows = BATCH * LOOP_CONTEXT;
    float *margin = rt_alloc(ctx, rows, sizeof *margin);
    uint32_t *best = rt_alloc(ctx, rows, sizeof *best);
    uint8_t *mask = rt_alloc(ctx, rows, 1);
    if (!margin || !best || !mask) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
        goto fail;
    }
    TRY(rt_scorer_create(l->full->model, NULL, NULL, rows, &scorer));
    for (uint32_t first = 0; first < l->count; first += BATCH) {
        struct train_sequence batch[BATCH];
        const uint32_t n = l->count - first < BATCH ? l->count - first : BATCH;
        memset(mask, 0, rows);
        for (uint32_t i = 0; i < n; i++) {
            const struct search *s = &l->list[first + i];
            const struct loop_answer *a = &l->q->items[s->problem];
            uint32_t np;
            TRY(loop_prompt(l->loop, l->bench->set.items[s->problem].question, NULL,
                            &ids[i], &np));
            uint32_t *all = rt_resize(ctx, ids[i], np, np + a->n, sizeof *all);
            if (!all) {
                st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
                goto fail;
            }
            ids[i] = all;
            memcpy(all + np, a->ids, a->n * sizeof *all);
            memset(mask + i * LOOP_CONTEXT + np, 1, a->n);
            batch[i] = (struct train_sequence){ .ids = all,
                                                .mask = mask + i * LOOP_CONTEXT,
                                                .n = np + a->n };
        }
        const struct score_out out = { .margin = margin, .best = best };
        TRY(rt_scorer_run(scorer, batch, n, &out));
        for (uint32_t i = 0, at = 0; i < n; i++) {
            struct search *s = &l->list[first + i];
            const struct loop_answer *a = &l->q->items[s->problem];
            s->twin_token = s->twin_step = -1;
            for (uint32_t t = 0; t < a->n && s->twin_token < 0; t++)
                if (best[at + t] != a->ids[t]) {
                    s->twin_token = (int32_t)t;
                    s->twin_margin = -(double)margin[at + t];
                }
            at += a->n;
            rt_free(ids[i]);
            ids[i] = NULL;
        }
    }

fail:
    for (int i = 0; i < BATCH; i++)
        rt_free(ids[i]);
    rt_free(margin);
    rt_free(best);
    rt_free(mask);
    rt_scorer_destroy(&scorer);
    return st;
}

/* Byte offset of token t of an answer. */
static uint32_t offset_of(struct loop *loop, const struct loop_answer *a, int32_t t)
{
    char *text = NULL;
    size_t size = 0;
    if (text_decode(loop->tok, a->ids, (uint32_t)t, true, &text, &size) != RT_OK)
        size = 0;
    rt_free(text);
    return (uint32_t)size;
}

static void place_twin(struct locating *l, struct search *s)
{
    if (s->twin_token < 0)
        return;
    const uint32_t at = offset_of(l->loop, &l->q->items[s->problem], s->twin_token);
    for (uint32_t k = 0; k < s->step_count; k++)
        if (at >= s->steps[k].char_start)
            s->twin_step = (int32_t)k;
}

/* Length of the first line of text, its line end included. */
static size_t first_line(const char *text)
{
    const size_t n = strcspn(text, "\n");
    return text[n] ? n + 1 : n;
}

/* By the two models' steps: same expression, other result: computation; else method. */
static enum pipe_category category_of(const char *rejected, const char *chosen)
{
    const char *r = strrchr(rejected, '='), *c = chosen ? strrchr(chosen, '=') : NULL;
    if (strncmp(rejected, "#### ", 5) == 0)
        return chosen && strncmp(chosen, "#### ", 5) == 0 ? PIPE_CAT_TRANSFER
                                                          : PIPE_CAT_METHOD_PROCEDURE;
    if (!r || !c)
        return PIPE_CAT_UNCLASSIFIED;
    if (r - rejected == c - chosen &&
        strncmp(rejected, chosen, (size_t)(r - rejected)) == 0)
        return PIPE_CAT_EXECUTION_COMPUTATION;
    return PIPE_CAT_METHOD_FORMULA;
}

static rt_status make_fault(struct locating *l, struct search *s, struct loop_fault *out)
{
    struct rt_ctx *ctx = l->loop->ctx;
    const char *text = l->q->items[s->problem].text;
    const struct pipe_problem *problem = &l->bench->set.items[s->problem];
    struct pipe_gold_fault gold = { .step = -1 };
    *out = (struct loop_fault){ .problem = s->problem, .step = -1, .gold = -1 };
    if (problem->program_count) {
        const rt_status st = pipe_locate_gold(ctx, problem, text, &gold);
        if (st != RT_OK)
            return st;
        out->gold = gold.step;
    }
    out->step = s->step_count ? (int32_t)s->low : -1;
    if (out->step < 0)
        return RT_OK;
    const struct pipe_step *step = &s->steps[s->low];
    const char *continuation = s->low == 0 ? l->f->items[s->problem].text : s->from_low;
    out->prefix = prefix_of(ctx, text, s, s->low);
    out->rejected = rt_format(ctx, "%.*s", (int)(step->char_end - step->char_start),
                              text + step->char_start);
    if (continuation)
        out->chosen = rt_format(ctx, "%.*s", (int)first_line(continuation), continuation);
    if (!out->prefix || !out->rejected || (continuation && !out->chosen))
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    out->rejected_last = s->low + 1 == s->step_count;
    out->category = category_of(out->rejected, out->chosen);
    if (out->chosen && strcmp(out->chosen, out->rejected) == 0) {
        rt_free(out->chosen); /* nothing to prefer */
        out->chosen = NULL;
    }
    return RT_OK;
}

static rt_status put_rows(struct locating *l, const struct search *s,
                          const struct loop_fault *f)
{
    rt_status st;
    char gen[STORE_ID], evidence[160];
    struct store *store = l->loop->store;
    store_gen_id(l->q->run_id, l->bench->set.items[s->problem].id, 0, gen);
    const struct pipe_fault rollout = {
        "rollout",   f->step, -1,
        f->category, 0.9,     "{\"rule\":\"greedy continuation of the full model\"}"
    };
    snprintf(evidence, sizeof evidence, "{\"full_margin\":%.4f}", s->twin_margin);
    const struct pipe_fault twin = { "twin",        s->twin_step,
                                     s->twin_token, PIPE_CAT_UNCLASSIFIED,
                                     0.5,           evidence };
    const char *by;
    char said[48];
    const int32_t step = verdict_of(s, &by);
    snprintf(said, sizeof said, "{\"by\":\"%s\"}", by);
    const struct pipe_fault check = {
        "check",           s->check.step,       -1,
        s->check.category, s->check.confidence, s->check.evidence
    };
    const struct pipe_fault verdict = { "verdict",
                                        step,
                                        s->twin_step == step ? s->twin_token : -1,
                                        step == f->step ? f->category : s->check.category,
                                        by[0] == 'c' ? s->check.confidence : 0.9,
                                        said };
    if (s->check.step >= 0)
        TRY(store_put_fault(store, l->run_id, gen, &check));
    const struct pipe_fault gold = {
        "gold", f->gold, -1, PIPE_CAT_UNCLASSIFIED, 1.0, "{}"
    };
    TRY(store_put_fault(store, l->run_id, gen, &rollout));
    TRY(store_put_fault(store, l->run_id, gen, &twin));
    TRY(store_put_fault(store, l->run_id, gen, &verdict));
    if (f->gold >= 0)
        TRY(store_put_fault(store, l->run_id, gen, &gold));
    if (s->from_low) {
        const struct pipe_rollout r = { .step = s->low ? s->low - 1 : 0,
                                        .output = s->from_low,
                                        .correct = true };
        TRY(store_put_rollout(store, gen, "rollout", l->full->row.id, &r));
    }
    return RT_OK;

fail:
    return st;
}

/* How often each locator names the judge's step. */
static rt_status judge(struct locating *l, const struct loop_faults *faults)
{
    static const char *const names[] = { "check", "rollout", "twin", "verdict" };
    uint32_t judged = 0, said[4] = { 0 }, right[4] = { 0 };
    for (uint32_t i = 0; i < faults->count; i++) {
        const struct search *s = &l->list[i];
        const int32_t gold = faults->items[i].gold;
        const char *by;
        const int32_t steps[4] = { s->check.step, faults->items[i].step, s->twin_step,
                                   verdict_of(s, &by) };
        if (gold < 0)
            continue;
        judged++;
        for (int k = 0; k < 4; k++) {
            said[k] += steps[k] >= 0;
            right[k] += steps[k] == gold;
        }
    }
    rt_status st = store_put_metric(l->loop->store, l->run_id, "judged", 0, judged);
    for (int k = 0; k < 4 && st == RT_OK; k++) {
        char name[32];
        snprintf(name, sizeof name, "%s_said", names[k]);
        st = store_put_metric(l->loop->store, l->run_id, name, 0, said[k]);
        snprintf(name, sizeof name, "%s_right", names[k]);
        if (st == RT_OK)
            st = store_put_metric(l->loop->store, l->run_id, name, 0, right[k]);
    }
    cli_say(l->loop->cli,
            "%-28s %u lost problems; the gold step is named by check %u of %u, "
            "rollout %u of %u, twin %u of %u, the verdict %u of %u",
            "locate", faults->count, right[0], said[0], right[1], said[1], right[2],
            said[2], right[3], said[3]);
    return st;
}

static rt_status search_all(struct locating *l)
{
    rt_status st = RT_OK;
    uint32_t open = 1;
    for (uint32_t i = 0; i < l->count; i++) {
        struct search *s = &l->list[i];
        s->step_count = l->loop->format->split(l->q->items[s->problem].text, s->steps,
                                               PIPE_STEPS_MAX);
        s->high = s->step_count;
        s->twin_step = s->twin_token = -1;
        pipe_locate_check(l->bench->set.items[s->problem].question,
                          l->q->items[s->problem].text, &s->check);
    }
    while (open && st == RT_OK)
        st = ask_round(l, &open);
    if (st == RT_OK && l->count)
        st = find_twins(l);
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++)
        place_twin(l, &l->list[i]);
    return st;
}

static rt_status save_all(struct locating *l, struct loop_faults *out)
{
    rt_status st;
    TRY(store_begin(l->loop->store));
    for (uint32_t i = 0; i < l->count; i++)
        TRY(put_rows(l, &l->list[i], &out->items[i]));
    TRY(judge(l, out));
    TRY(store_run_close(l->loop->store, l->run_id, "done", 0, NULL));
    TRY(store_commit(l->loop->store));
    return RT_OK;

fail:
    store_rollback(l->loop->store);
    return st;
}

rt_status loop_locate(struct loop *loop, const struct loop_variant *full,
                      const struct loop_variant *quant, const struct loop_bench *bench,
                      const struct loop_answers *f, const struct loop_answers *q,
                      struct loop_faults *out)
{
    rt_status st;
    struct locating l = {
        .loop = loop, .bench = bench, .f = f, .q = q, .full = full, .quant = quant
    };
    struct store_run run = { .campaign_id = loop->campaign_id,
                             .kind = "locate",
                             .variant_id = quant->row.id,
                             .benchmark_id = bench->id,
                             .env_id = loop->env_id,
                             .seed = loop->seed,
                             .config =
                                 "{\"locators\":[\"check\",\"rollout\",\"twin\"]}" };
    *out = (struct loop_faults){ 0 };
    for (uint32_t i = 0; i < q->count; i++)
        l.count += f->items[i].correct && !q->items[i].correct && q->items[i].n > 0;
    l.list = rt_alloc(loop->ctx, l.count, sizeof *l.list);
    out->items = rt_alloc(loop->ctx, l.count, sizeof *out->items);
    if (!l.list || !out->items) {
        st = rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
        goto fail;
    }
    for (uint32_t i = 0, at = 0; i < q->count; i++)
        if (f->items[i].correct && !q->items[i].correct && q->items[i].n > 0)
            l.list[at++].problem = i;
    TRY(store_run_open(loop->store, &run));
    snprintf(l.run_id, STORE_ID, "%s", run.id);
    TRY(search_all(&l));
    out->count = l.count;
    for (uint32_t i = 0; i < l.count; i++)
        TRY(make_fault(&l, &l.list[i], &out->items[i]));
    TRY(save_all(&l, out));

fail:
    for (uint32_t i = 0; l.list && i < l.count; i++)
        rt_free(l.list[i].from_low);
    rt_free(l.list);
    return st;
}

void loop_faults_deinit(struct loop_faults *faults)
{
    for (uint32_t i = 0; i < faults->count; i++) {
        rt_free(faults->items[i].prefix);
        rt_free(faults->items[i].rejected);
        rt_free(faults->items[i].chosen);
    }
    rt_free(faults->items);
    *faults = (struct loop_faults){ 0 };
}

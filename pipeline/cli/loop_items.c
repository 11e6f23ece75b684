/* pipeline/cli/loop_items.c
 * From faults and answers to token sequences. */
#include "pipeline/cli/loop_items.h"

#include <stdio.h>
#include <string.h>

struct making {
    struct loop *loop;
    const struct loop_material *m;
    const struct loop_recipe *recipe;
    struct loop_sequences *out;
    struct pipe_item *rows;
    uint32_t row_count;
};

void loop_items_free(struct loop_sequences *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        rt_free((void *)(uintptr_t)s->list[i].ids);
        rt_free((void *)(uintptr_t)s->list[i].mask);
        rt_free((void *)(uintptr_t)s->list[i].ref);
    }
    rt_free(s->list);
    *s = (struct loop_sequences){ 0 };
}

static rt_status no_memory(struct making *k)
{
    return rt_fail(k->loop->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
}

/* Appends prompt ids (owned) + tail ids as a sequence whose tail counts. */
static rt_status add_sequence(struct making *k, uint32_t *prompt, uint32_t n_prompt,
                              const uint32_t *tail, uint32_t n_tail)
{
    struct rt_ctx *ctx = k->loop->ctx;
    const uint32_t n = n_prompt + n_tail;
    uint32_t *ids = rt_resize(ctx, prompt, n_prompt, n, sizeof *ids);
    uint8_t *mask = rt_alloc(ctx, n, 1);
    float *ref = rt_alloc(ctx, n, sizeof *ref);
    if (!ids || !mask || !ref) {
        rt_free(ids ? ids : prompt);
        rt_free(mask);
        rt_free(ref);
        return no_memory(k);
    }
    memcpy(ids + n_prompt, tail, n_tail * sizeof *ids);
    memset(mask + n_prompt, 1, n_tail);
    k->out->list[k->out->count++] =
        (struct train_sequence){ .ids = ids, .mask = mask, .n = n, .ref = ref };
    return RT_OK;
}

/* A step as text after a prefix, with the stop token where it ends the answer. */
static rt_status add_step(struct making *k, const char *question, const char *prefix,
                          const char *step)
{
    rt_status st;
    uint32_t *prompt = NULL, *tail = NULL, n_prompt, n_tail;
    TRY(loop_prompt(k->loop, question, prefix, &prompt, &n_prompt));
    TRY(text_encode(k->loop->tok, step, strlen(step), false, &tail, &n_tail));
    if (!strchr(step, '\n')) {
        uint32_t *more = rt_resize(k->loop->ctx, tail, n_tail, n_tail + 1u, sizeof *more);
        if (!more) {
            st = no_memory(k);
            goto fail;
        }
        tail = more;
        tail[n_tail++] = k->loop->stop_id;
    }
    st = add_sequence(k, prompt, n_prompt, tail, n_tail);
    prompt = NULL;

fail:
    rt_free(prompt);
    rt_free(tail);
    return st;
}

static rt_status add_trace(struct making *k, uint32_t problem)
{
    uint32_t *prompt, n_prompt;
    const struct pipe_problem *p = &k->m->mine->set.items[problem];
    const struct loop_answer *a = &k->m->f->items[problem];
    rt_status st = loop_prompt(k->loop, p->question, NULL, &prompt, &n_prompt);
    if (st != RT_OK)
        return st;
    k->rows[k->row_count++] = (struct pipe_item){ .problem_id = p->id,
                                                  .prompt = "",
                                                  .chosen = a->text,
                                                  .source = "full's whole trace" };
    return add_sequence(k, prompt, n_prompt, a->ids, a->n);
}

static rt_status add_pair(struct making *k, const struct loop_fault *f,
                          const char *prefix, const char *chosen, const char *rejected,
                          bool swapped)
{
    const struct pipe_problem *p = &k->m->mine->set.items[f->problem];
    k->rows[k->row_count++] = (struct pipe_item){
        .problem_id = p->id,
        .prompt = prefix,
        .chosen = swapped ? rejected : chosen,
        .rejected = swapped ? chosen : rejected,
        .category = f->category,
        .step = f->step,
        .source = "full's continuation",
    };
    const rt_status st = add_step(k, p->question, prefix, swapped ? rejected : chosen);
    return st == RT_OK ? add_step(k, p->question, prefix, swapped ? chosen : rejected)
                       : st;
}

/* Problems of the mine split that serve, in the seed's order. */
static rt_status make_traces(struct making *k)
{
    rt_status st = RT_OK;
    const uint32_t n = k->m->mine->set.count;
    uint32_t *order = rt_alloc(k->loop->ctx, n, sizeof *order);
    if (!order)
        return no_memory(k);
    train_order(k->loop->seed, 1000, n, order);
    for (uint32_t i = 0; i < n && k->row_count < k->m->items_max && st == RT_OK; i++) {
        const struct loop_answer *f = &k->m->f->items[order[i]],
                                 *q = &k->m->q->items[order[i]];
        if (f->correct && (k->recipe->items == LOOP_ITEMS_RANDOM || !q->correct))
            st = add_trace(k, order[i]);
    }
    rt_free(order);
    return st;
}

static rt_status make_pairs(struct making *k)
{
    rt_status st = RT_OK;
    const uint32_t n = k->m->faults->count;
    uint32_t *order = rt_alloc(k->loop->ctx, n, sizeof *order);
    if (!order)
        return no_memory(k);
    train_order(k->loop->seed, 1001, n, order);
    for (uint32_t i = 0; i < n && k->row_count < k->m->items_max && st == RT_OK; i++) {
        const struct loop_fault *f = &k->m->faults->items[order[i]];
        const bool swapped = k->recipe->items == LOOP_ITEMS_SHUFFLED &&
                             (train_word(k->loop->seed, order[i], 1u << 31) & 1);
        if (f->chosen)
            st = add_pair(k, f, f->prefix, f->chosen, f->rejected, swapped);
    }
    rt_free(order);
    return st;
}

/* One other step of each lost answer, drawn at random: quant's own line against what
 * full would have said after the same prefix. The texts live only as long as this runs,
 * so these items are kept as tokens and not as rows. */
static rt_status make_other_pairs(struct making *k)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = k->loop->ctx;
    const uint32_t n = k->m->faults->count;
    struct loop_job *jobs = rt_alloc(ctx, n, sizeof *jobs);
    struct pipe_step steps[PIPE_STEPS_MAX];
    char **prefix = rt_alloc(ctx, n, sizeof *prefix),
         **own = rt_alloc(ctx, n, sizeof *own);
    if (!jobs || !prefix || !own) {
        st = no_memory(k);
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct loop_fault *f = &k->m->faults->items[i];
        const char *text = k->m->q->items[f->problem].text;
        const uint32_t count = k->loop->format->split(text, steps, PIPE_STEPS_MAX);
        if (count < 2 || f->step < 0)
            continue;
        uint32_t j = train_word(k->loop->seed, i, 1u << 30) % (count - 1);
        j += j >= (uint32_t)f->step;
        prefix[i] = rt_format(ctx, "%.*s", (int)steps[j].char_start, text);
        own[i] = rt_format(ctx, "%.*s", (int)(steps[j].char_end - steps[j].char_start),
                           text + steps[j].char_start);
        if (!prefix[i] || !own[i]) {
            st = no_memory(k);
            goto fail;
        }
        TRY(loop_prompt(k->loop, k->m->mine->set.items[f->problem].question, prefix[i],
                        &jobs[i].prompt, &jobs[i].n_prompt));
    }
    TRY(loop_continue(k->loop, k->m->full->model, NULL, jobs, n, "other steps"));
    for (uint32_t i = 0; i < n && k->row_count < k->m->items_max; i++) {
        if (!jobs[i].text)
            continue;
        const size_t end = strcspn(jobs[i].text, "\n");
        if (jobs[i].text[end])
            jobs[i].text[end + 1] = '\0';
        if (strcmp(jobs[i].text, own[i]) != 0)
            TRY(add_pair(k, &k->m->faults->items[i], prefix[i], jobs[i].text, own[i],
                         false));
    }

fail:
    for (uint32_t i = 0; prefix && own && i < n; i++) {
        rt_free(prefix[i]);
        rt_free(own[i]);
    }
    rt_free(prefix);
    rt_free(own);
    loop_jobs_free(jobs, n);
    return st;
}

rt_status loop_items_make(struct loop *loop, const struct loop_material *material,
                          const struct loop_recipe *recipe, const char *run_id,
                          struct loop_sequences *out)
{
    rt_status st;
    struct making k = { .loop = loop, .m = material, .recipe = recipe, .out = out };
    *out = (struct loop_sequences){ .per_item = recipe->loss == TRAIN_DPO ? 2 : 1 };
    out->list = rt_alloc(loop->ctx, 2u * material->items_max, sizeof *out->list);
    k.rows = rt_alloc(loop->ctx, material->items_max, sizeof *k.rows);
    if (!out->list || !k.rows) {
        st = no_memory(&k);
        goto fail;
    }
    if (recipe->items == LOOP_ITEMS_PAIRS_OTHER)
        TRY(make_other_pairs(&k));
    else if (recipe->loss == TRAIN_DPO)
        TRY(make_pairs(&k));
    else
        TRY(make_traces(&k));
    if (k.row_count == 0) {
        st = rt_fail(loop->ctx, RT_ERR_USAGE,
                     "recipe '%s' finds nothing to train on: the mined split has no lost "
                     "problem that serves",
                     recipe->name);
        goto fail;
    }
    if (recipe->items != LOOP_ITEMS_PAIRS_OTHER) {
        TRY(store_begin(loop->store));
        TRY(store_put_items(loop->store, run_id,
                            recipe->loss == TRAIN_DPO   ? "dpo"
                            : recipe->loss == TRAIN_SFT ? "sft"
                                                        : "kl",
                            "{}", k.rows, k.row_count));
        TRY(store_commit(loop->store));
    }

fail:
    if (st != RT_OK)
        store_rollback(loop->store);
    rt_free(k.rows);
    return st;
}

/* pipeline/locate/faults_read.c
 * The verdicts of a locate run as curation needs them, read back from rows, so that another
 * process, another day, or a person's review stands between locating and training. */
#include "pipeline/locate/locate_impl.h"

#include "pipeline/data/problem_index.h"
#include "store/queries.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A located problem under way. */
struct entry {
    bool there;
    struct pipe_located located;
    char gen[STORE_ID];
    struct locate_known known; /* what full writes after the steps before the fault */
};

struct reading {
    struct pipe_session *session;
    struct pipe_index index;
    struct entry *entries; /* one per problem of the split */
    uint32_t count;
    struct entry **sorted; /* those that are there, by gen */
    uint32_t there;
};

static rt_status no_memory(struct pipe_session *session)
{
    return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "faults: no memory");
}

static rt_status take_fault(void *user, const struct store_fault *f)
{
    struct reading *r = user;
    const uint32_t p = pipe_index_find(&r->index, f->problem_id);
    if (p >= r->count || f->sample > 0 || strcmp(f->review, "rejected") == 0)
        return RT_OK;
    struct entry *e = &r->entries[p];
    e->there = true;
    e->located =
        (struct pipe_located){ .problem = p, .step = f->step, .category = f->category };
    snprintf(e->located.fault_id, STORE_ID, "%s", f->fault_id);
    snprintf(e->gen, STORE_ID, "%s", f->gen_id);
    return RT_OK;
}

static int by_gen(const void *a, const void *b)
{
    return strcmp((*(const struct entry *const *)a)->gen,
                  (*(const struct entry *const *)b)->gen);
}

static rt_status take_rollout(void *user, const struct store_rollout *row)
{
    struct reading *r = user;
    struct entry key, *at = &key;
    snprintf(key.gen, sizeof key.gen, "%s", row->gen_id);
    struct entry **found = bsearch(&at, r->sorted, r->there, sizeof *r->sorted, by_gen);
    if (!found || row->step + 1 != (*found)->located.step)
        return RT_OK;
    char *text = rt_strdup(r->session->ctx, row->output);
    if (!text)
        return no_memory(r->session);
    locate_learn(&(*found)->known, row->sample, row->correct, &text);
    rt_free(text);
    return RT_OK;
}

static rt_status sort(struct reading *r)
{
    r->sorted = rt_alloc(r->session->ctx, r->count, sizeof(struct entry *));
    if (!r->sorted)
        return no_memory(r->session);
    for (uint32_t p = 0; p < r->count; p++)
        if (r->entries[p].there)
            r->sorted[r->there++] = &r->entries[p];
    qsort(r->sorted, r->there, sizeof *r->sorted, by_gen);
    return RT_OK;
}

/* Before the first step, what full writes is its own right answer. */
static rt_status give(struct reading *r, const struct pipe_answers *f,
                      struct pipe_faults *out)
{
    out->items = rt_alloc(r->session->ctx, r->there, sizeof *out->items);
    if (!out->items)
        return no_memory(r->session);
    for (uint32_t p = 0; p < r->count; p++) {
        struct entry *e = &r->entries[p];
        if (!e->there)
            continue;
        struct pipe_located *to = &out->items[out->count++];
        *to = e->located;
        if (to->step == 0) {
            to->verified = f->items[p].correct;
            to->continuation = rt_strdup(r->session->ctx, f->items[p].text);
            if (!to->continuation)
                return no_memory(r->session);
            continue;
        }
        to->verified = e->known.can;
        to->continuation = e->known.text;
        e->known.text = NULL;
    }
    return RT_OK;
}

rt_status pipe_faults_read(struct pipe_session *session, const struct pipe_bench *bench,
                           const struct pipe_answers *f, const char *locate_run,
                           struct pipe_faults *out)
{
    rt_status st;
    struct reading r = { .session = session, .count = bench->set.count };
    assert(f->count == bench->set.count && locate_run[0]);
    *out = (struct pipe_faults){ 0 };
    r.entries = rt_alloc(session->ctx, r.count, sizeof *r.entries);
    if (!r.entries)
        return no_memory(session);
    TRY(pipe_index_init(session->ctx, &bench->set, &r.index));
    TRY(store_each_fault(session->store, locate_run, "verdict", take_fault, &r));
    TRY(sort(&r));
    TRY(store_each_rollout(session->store, locate_run, "rollout", take_rollout, &r));
    TRY(give(&r, f, out));

fail:
    if (st != RT_OK)
        pipe_faults_deinit(out);
    for (uint32_t p = 0; p < r.count; p++)
        rt_free(r.entries[p].known.text);
    pipe_index_deinit(&r.index);
    rt_free(r.sorted);
    rt_free(r.entries);
    return st;
}

void pipe_faults_deinit(struct pipe_faults *faults)
{
    for (uint32_t i = 0; i < faults->count; i++)
        rt_free(faults->items[i].continuation);
    rt_free(faults->items);
    *faults = (struct pipe_faults){ 0 };
}

/* pipeline/restore/training_items.c
 * What a recipe trains on, and what is said where that is nothing. */
#include "pipeline/restore/training_impl.h"

#include "store/queries.h"

#include <stdio.h>

/* How many tokens of the items count more. Steps are not equally long, so a recipe and its
 * control may differ in it. */
static void say_heavy(const struct training *t)
{
    uint64_t heavy = 0, all = 0;
    for (uint32_t i = 0; i < t->items.count; i++) {
        const struct train_sequence *s = &t->items.list[i];
        for (uint32_t k = 0; s->weight && k < s->n; k++)
            heavy += s->weight[k] > 1;
        all += s->n;
    }
    if (heavy)
        pipe_say(t->session->host, "train %-22s %llu of %llu tokens count %d times",
                 t->recipe->name, (unsigned long long)heavy, (unsigned long long)all,
                 PIPE_STEP_WEIGHT);
}

/* Whether a recipe is made of items. */
static bool takes_items(const struct pipe_restore_recipe *recipe)
{
    return recipe->train || recipe->again;
}

rt_status restore_make_items(struct training *t)
{
    rt_status st = RT_OK;
    struct pipe_item_set set = { 0 };
    if (!takes_items(t->recipe))
        return RT_OK;
    TRY(pipe_item_set_make(t->session, t->m, t->recipe->items, &set));
    TRY(pipe_item_set_store(t->session, &set, t->recipe->loss, t->run_id));
    t->nothing = set.curated.count == 0;
    if (t->nothing)
        goto fail;
    TRY(pipe_item_set_sequences(t->session, pipe_end_id(t->session, t->model), t->m, &set,
                                &t->items));
    t->item_count = t->items.count / t->items.per_item;
    say_heavy(t);

fail:
    pipe_item_set_deinit(&set);
    return st;
}

static rt_status take_count(void *user, const struct pipe_metric *metric)
{
    *(double *)user = metric->value;
    return RT_OK;
}

rt_status restore_ask_done(struct training *t, bool *done)
{
    rt_status st;
    double items = -1;
    TRY(store_run_is_done(t->session->store, t->run_id, done));
    if (*done && takes_items(t->recipe))
        TRY(store_each_metric(t->session->store, t->run_id, "items", take_count, &items));
    t->nothing = items == 0;

fail:
    return st;
}

void restore_tell_nothing(const struct pipe_material *m, struct pipe_trained *out)
{
    out->nothing = true;
    if (m->f->correct == 0)
        snprintf(out->why, sizeof out->why, "full solves none of the %u mined problems",
                 m->mine->set.count);
    else if (m->faults->count == 0)
        snprintf(out->why, sizeof out->why,
                 "none of the %u mined problems is lost, so it has nothing to train on",
                 m->mine->set.count);
    else
        snprintf(out->why, sizeof out->why,
                 "none of the mined problems, of which %u are lost, serves as an item",
                 m->faults->count);
}

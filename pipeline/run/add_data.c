/* pipeline/run/add_data.c
 * Data sets into the store, and the overlap of a training set with measuring ones. */
#include "pipeline/run/add_data.h"

#include "pipeline/data/data_leak.h"

#include <string.h>

static void describe(const struct pipe_dataset *data, const char *licence,
                     struct store_dataset *out)
{
    const struct pipe_benchmark *facts = data->facts;
    const bool train =
        facts ? facts->use == PIPE_DATA_TRAIN : strncmp(data->split, "train", 5) == 0;
    *out = (struct store_dataset){
        .name = data->name,
        .split = data->split,
        .source_hash = data->source,
        .bytes = data->bytes,
        .path = data->path,
        .licence = licence ? licence
                   : facts ? facts->licence
                           : "not stated",
        .origin = facts ? facts->origin : "own",
        .use = train ? "train" : "measure",
        .published = data->published,
        .count = data->set.count,
    };
}

rt_status pipe_data_add(struct store *store, const struct pipe_dataset *data,
                        uint32_t count, const char *licence, struct store_dataset *rows,
                        bool *added)
{
    rt_status st;
    TRY(store_begin(store));
    for (uint32_t i = 0; i < count; i++) {
        describe(&data[i], licence, &rows[i]);
        TRY(store_put_dataset(store, &rows[i], data[i].set.items, &added[i]));
    }
    TRY(store_commit(store));
    return RT_OK;

fail:
    store_rollback(store);
    return st;
}

struct overlaps {
    struct rt_ctx *ctx;
    struct store *store;
    const struct store_dataset *train;
    pipe_overlap_fn *fn;
    void *user;
};

static rt_status find_overlap(void *user, const struct store_dataset *measured)
{
    rt_status st;
    const struct overlaps *o = user;
    struct pipe_problem_set a = { 0 }, b = { 0 };
    uint32_t dropped;
    if (strcmp(measured->use, "measure") != 0)
        return RT_OK;
    TRY(store_load_dataset(o->store, o->train->name, o->train->split, &a, NULL));
    TRY(store_load_dataset(o->store, measured->name, measured->split, &b, NULL));
    TRY(pipe_data_drop_leaks(o->ctx, &a, &b, &dropped));
    if (dropped)
        o->fn(o->user, measured, dropped);

fail:
    pipe_problems_deinit(&a);
    pipe_problems_deinit(&b);
    return st;
}

rt_status pipe_data_overlaps(struct rt_ctx *ctx, struct store *store,
                             const struct store_dataset *train, pipe_overlap_fn *fn,
                             void *user)
{
    struct overlaps o = { ctx, store, train, fn, user };
    if (strcmp(train->use, "train") != 0)
        return RT_OK;
    return store_each_dataset(store, NULL, find_overlap, &o);
}

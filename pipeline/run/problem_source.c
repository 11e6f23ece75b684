/* pipeline/run/problem_source.c
 * Opens problems by what the user types: a file, a part of it, or a part of a stored
 * data set. */
#include "pipeline/run/problem_source.h"

#include "pipeline/data/data_leak.h"
#include "pipeline/data/data_spec.h"
#include "runtime/base/file.h"
#include "store/store_data.h"

#include <string.h>

struct guard {
    struct rt_ctx *ctx;
    const struct pipe_host *host;
    struct store *store;
    struct pipe_problem_set *train;
    const char *spec, *name; /* of the data set that is trained on */
    bool sibling;            /* a measuring split of the same name was looked at */
};

static rt_status drop_those_of(void *user, const struct store_dataset *d)
{
    struct guard *g = user;
    struct pipe_problem_set measured;
    uint32_t dropped = 0;
    if (strcmp(d->use, "measure") != 0)
        return RT_OK;
    g->sibling = g->sibling || strcmp(d->name, g->name) == 0;
    rt_status st = store_load_dataset(g->store, d->name, d->split, &measured, NULL);
    if (st == RT_OK)
        st = pipe_data_drop_leaks(g->ctx, g->train, &measured, &dropped);
    if (dropped)
        pipe_say(g->host, "%s: %u problems also stand in %s:%s and are left out", g->spec,
                 dropped, d->name, d->split);
    pipe_problems_deinit(&measured);
    return st;
}

/* A training set keeps nothing that is measured anywhere. */
static rt_status guard_training(struct guard *g, const struct store_dataset *d)
{
    struct rt_ctx *ctx = g->ctx;
    if (strcmp(d->use, "train") != 0)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "%s:%s is for measuring only, an adapter must not see it; use a "
                       "training split",
                       d->name, d->split);
    const rt_status st = store_each_dataset(g->store, NULL, drop_those_of, g);
    if (st != RT_OK)
        return st;
    if (!g->sibling)
        rt_log(ctx, RT_LOG_WARNING,
               "%s: no measuring split of %s is in the results file, so problems that "
               "stand in both cannot be left out; faultline data add %s --from PATH",
               g->spec, g->name, g->name);
    if (g->train->count == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "%s: every problem of it is measured too",
                       g->spec);
    return RT_OK;
}

static rt_status open_dataset(struct rt_ctx *ctx, const struct pipe_host *host,
                              struct store *store, const char *text,
                              const struct pipe_data_spec *spec,
                              enum pipe_problem_use use, struct pipe_problem_set *out)
{
    rt_status st;
    struct store_dataset d;
    TRY(store_load_dataset(store, spec->name, spec->split, out, &d));
    TRY(pipe_data_select(ctx, spec, out));
    const uint32_t unanswered = pipe_data_drop_unanswered(out);
    if (unanswered) {
        pipe_say(host, "%s: %u problems without an answer are left out", text,
                 unanswered);
        TRY(pipe_problems_rehash(ctx, out));
    }
    out->name = pipe_pool_copy(ctx, &out->pool, text, strlen(text));
    if (!out->name) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", text);
        goto fail;
    }
    struct guard g = { ctx, host, store, out, text, spec->name, false };
    if (use == PIPE_FOR_TRAINING)
        TRY(guard_training(&g, &d));
    return RT_OK;

fail:
    pipe_problems_deinit(out);
    return st;
}

rt_status pipe_problems_open(struct rt_ctx *ctx, const struct pipe_host *host,
                             struct store *store, const char *text,
                             enum pipe_problem_use use, struct pipe_problem_set *out,
                             bool *from_store)
{
    struct pipe_data_spec spec;
    rt_status bad;
    *out = (struct pipe_problem_set){ 0 };
    const bool named = !fmt_exists(text) && pipe_data_spec_parse(ctx, text, &spec, &bad);
    if (from_store)
        *from_store = named;
    if (!named && !fmt_exists(text) && !strpbrk(text, "/.:["))
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "cannot read '%s': there is no such file; a data set is named with "
            "its split, as in %s:test (see: faultline data ls)",
            text, text);
    if (!named)
        return pipe_problems_read(ctx, text, out);
    return bad != RT_OK ? bad : open_dataset(ctx, host, store, text, &spec, use, out);
}

const char *pipe_list_name(const char *text)
{
    const char *slash = strrchr(text, '/');
    return slash ? slash + 1 : text;
}

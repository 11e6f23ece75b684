/* pipeline/run/problem_source.c
 * Opens problems by what the user types: a file, a part of it, a part of a stored data
 * set, or several of these as one list. */
#include "pipeline/run/problem_source.h"

#include "pipeline/data/data_leak.h"
#include "pipeline/data/data_spec.h"
#include "runtime/base/file.h"
#include "runtime/base/text_set.h"
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

/* One file or data set. */
static rt_status open_one(struct rt_ctx *ctx, const struct pipe_host *host,
                          struct store *store, const char *text,
                          enum pipe_problem_use use, struct pipe_problem_set *out)
{
    rt_status st, bad = RT_OK;
    struct pipe_data_spec spec;
    const bool named = !fmt_exists(text) && pipe_data_spec_parse(ctx, text, &spec, &bad);
    if (!named && !fmt_exists(text) && !strpbrk(text, "/.:["))
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "cannot read '%s': there is no such file; a data set is named with "
            "its split, as in %s:test (see: faultline data ls)",
            text, text);
    if (!named)
        TRY(pipe_problems_read(ctx, text, out));
    else if (bad != RT_OK)
        return bad;
    else
        TRY(open_dataset(ctx, host, store, text, &spec, use, out));
    const char *label = named ? text : pipe_list_name(text);
    out->label = pipe_pool_copy(ctx, &out->pool, label, strlen(label));
    if (out->label)
        return RT_OK;
    st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", text);

fail:
    pipe_problems_deinit(out);
    return st;
}

/* Several lists behind each other, if no file is called so, with or without a range. */
static bool is_joined(const char *text)
{
    char path[4096];
    const char *range = strrchr(text, '[');
    if (!strchr(text, ',') || fmt_exists(text))
        return false;
    if (!range || text[strlen(text) - 1] != ']')
        return true;
    const size_t length = (size_t)(range - text);
    if (length >= sizeof path)
        return true;
    memcpy(path, text, length);
    path[length] = '\0';
    return !fmt_exists(path);
}

/* Appends `part`, which is empty then. */
static rt_status join(struct rt_ctx *ctx, const char *text, struct pipe_text_set *ids,
                      struct pipe_problem_set *part, struct pipe_problem_set *out)
{
    rt_status st;
    bool is_new;
    const uint32_t count = out->count + part->count;
    struct pipe_problem *items = rt_alloc(ctx, count, sizeof *items);
    const char *label =
        out->label ? pipe_pool_format(ctx, &out->pool, "%s,%s", out->label, part->label)
                   : pipe_pool_format(ctx, &out->pool, "%s", part->label);
    if (!items || !label) {
        rt_free(items);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", text);
    }
    if (out->count)
        memcpy(items, out->items, out->count * sizeof *items);
    memcpy(items + out->count, part->items, part->count * sizeof *items);
    rt_free(out->items);
    out->items = items;
    for (uint32_t i = out->count; i < count; i++) {
        TRY(pipe_text_set_add(ctx, ids, items[i].id, i, &is_new, NULL));
        if (!is_new)
            return rt_fail(ctx, RT_ERR_USAGE,
                           "'%s': the problem '%.80s' stands in two of these lists; name "
                           "each list once, and give problems of files different ids",
                           text, items[i].id);
    }
    pipe_pool_join(&out->pool, &part->pool);
    out->label = label;
    out->count = count;
    return RT_OK;

fail:
    return st;
}

static rt_status open_joined(struct rt_ctx *ctx, const struct pipe_host *host,
                             struct store *store, const char *text,
                             enum pipe_problem_use use, struct pipe_problem_set *out)
{
    rt_status st;
    struct pipe_text_set ids = { 0 };
    struct pipe_problem_set part = { 0 };
    for (const char *at = text;; at++) {
        const size_t length = strcspn(at, ",");
        const char *one = pipe_pool_copy(ctx, &out->pool, at, length);
        if (!one) {
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", text);
            goto fail;
        }
        if (length == 0) {
            st = rt_fail(ctx, RT_ERR_USAGE,
                         "'%s': a list's name is missing beside a comma", text);
            goto fail;
        }
        TRY(open_one(ctx, host, store, one, use, &part));
        TRY(join(ctx, text, &ids, &part, out));
        pipe_problems_deinit(&part);
        at += length;
        if (!*at)
            break;
    }
    out->name = pipe_pool_copy(ctx, &out->pool, text, strlen(text));
    if (!out->name) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", text);
        goto fail;
    }
    TRY(pipe_problems_rehash(ctx, out));
    pipe_text_set_deinit(&ids);
    return RT_OK;

fail:
    pipe_text_set_deinit(&ids);
    pipe_problems_deinit(&part);
    pipe_problems_deinit(out);
    return st;
}

rt_status pipe_problems_open(struct rt_ctx *ctx, const struct pipe_host *host,
                             struct store *store, const char *text,
                             enum pipe_problem_use use, struct pipe_problem_set *out)
{
    *out = (struct pipe_problem_set){ 0 };
    return is_joined(text) ? open_joined(ctx, host, store, text, use, out)
                           : open_one(ctx, host, store, text, use, out);
}

const char *pipe_list_name(const char *text)
{
    const char *slash = strrchr(text, '/');
    return slash ? slash + 1 : text;
}

/* store/store_data.c
 * Adds data sets to the results file, lists them, and reads their problems back. */
#include "store/store_data.h"

#include "store/store_impl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

struct each {
    store_dataset_fn *fn;
    void *user;
};

static rt_status on_dataset(void *user, const struct store_row *row)
{
    const struct each *e = user;
    struct store_dataset d = {
        .name = store_row_text(row, 1),
        .split = store_row_text(row, 2),
        .count = (uint32_t)store_row_integer(row, 3),
        .licence = store_row_text(row, 4),
        .source_hash = store_row_text(row, 5),
        .bytes = store_row_integer(row, 6),
        .path = store_row_text(row, 7),
        .origin = store_row_text(row, 8),
        .use = store_row_text(row, 9),
        .published = store_row_integer(row, 10) != 0,
    };
    snprintf(d.id, sizeof d.id, "%s", store_row_text(row, 0));
    return e->fn(e->user, &d);
}

rt_status store_each_dataset(struct store *s, const char *name, store_dataset_fn *fn,
                             void *user)
{
    struct each e = { fn, user };
    return store_query(s,
                       "SELECT b.benchmark_id, b.name, b.split, b.n_problems, b.license, "
                       "json_extract(a.meta,'$.sha256'), a.bytes, a.path_hint, a.origin, "
                       "json_extract(a.meta,'$.use'), json_extract(a.meta,'$.published') "
                       "FROM benchmark b JOIN artifact a ON a.artifact_id=b.source_id "
                       "WHERE ?1='' OR b.name=?1 ORDER BY b.name, b.split",
                       (const char *const[]){ name ? name : "", NULL }, on_dataset, &e);
}

struct load {
    struct rt_ctx *ctx;
    struct pipe_problem_set *set;
    const char *split;
    uint32_t capacity;
    struct store_dataset found; /* name null: not found */
    char listed[160];           /* what there is, for a message */
};

static const char *keep(struct load *l, const char *text, bool null)
{
    return null ? NULL : pipe_pool_copy(l->ctx, &l->set->pool, text, strlen(text));
}

static rt_status on_found(void *user, const struct store_dataset *d)
{
    struct load *l = user;
    const size_t used = strlen(l->listed);
    snprintf(l->listed + used, sizeof l->listed - used, "%s%s", used ? ", " : "",
             d->split);
    if (strcmp(d->split, l->split) != 0)
        return RT_OK;
    l->found = *d;
    l->found.name = keep(l, d->name, false);
    l->found.split = keep(l, d->split, false);
    l->found.source_hash = keep(l, d->source_hash, false);
    l->found.path = keep(l, d->path, false);
    l->found.licence = keep(l, d->licence, false);
    l->found.origin = keep(l, d->origin, false);
    l->found.use = keep(l, d->use, false);
    const bool good = l->found.name && l->found.split && l->found.source_hash &&
                      l->found.path && l->found.licence && l->found.origin &&
                      l->found.use;
    return good ? RT_OK : rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no memory for a data set");
}

static rt_status on_problem(void *user, const struct store_row *row)
{
    struct load *l = user;
    struct pipe_problem_set *set = l->set;
    if (set->count == l->capacity)
        return rt_fail(l->ctx, RT_ERR_STORE,
                       "the data set '%s:%s' holds more problems than it says",
                       l->found.name, l->found.split);
    struct pipe_problem *p = &set->items[set->count];
    p->id = keep(l, store_row_text(row, 0), false);
    p->question = keep(l, store_row_text(row, 1), false);
    p->answer = keep(l, store_row_text(row, 2), false);
    p->reference = keep(l, store_row_text(row, 3), store_row_null(row, 3));
    p->subject = keep(l, store_row_text(row, 4), store_row_null(row, 4));
    p->level = keep(l, store_row_text(row, 5), store_row_null(row, 5));
    if (!p->id || !p->question || !p->answer)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no memory for a problem");
    set->count++;
    return RT_OK;
}

rt_status store_load_dataset(struct store *s, const char *name, const char *split,
                             struct pipe_problem_set *set, struct store_dataset *d)
{
    rt_status st;
    *set = (struct pipe_problem_set){ 0 };
    struct load l = { .ctx = s->ctx, .set = set, .split = split };
    TRY(store_each_dataset(s, name, on_found, &l));
    if (!l.found.name) {
        st = rt_fail(s->ctx, RT_ERR_INPUT,
                     "'%s' holds no data set %s:%s%s%s; add it: faultline data add %s "
                     "--from PATH",
                     s->path, name, split, l.listed[0] ? ", of that name there is " : "",
                     l.listed, name);
        goto fail;
    }
    l.capacity = l.found.count;
    set->items = rt_alloc(s->ctx, l.capacity, sizeof *set->items);
    set->name = pipe_pool_format(s->ctx, &set->pool, "%s:%s", name, split);
    if (!set->items || !set->name) {
        st = rt_fail(s->ctx, RT_ERR_HOST_MEMORY, "no memory for %u problems", l.capacity);
        goto fail;
    }
    TRY(store_query(s,
                    "SELECT problem_id, question, answer, reference, subject, level FROM "
                    "problem WHERE benchmark_id=?1 ORDER BY ordinal",
                    (const char *const[]){ l.found.id, NULL }, on_problem, &l));
    TRY(pipe_problems_rehash(s->ctx, set));
    if (d)
        *d = l.found;
    return RT_OK;

fail:
    pipe_problems_deinit(set);
    return st;
}

/* ---- writing ---- */

static rt_status put_source(struct store *s, const struct store_dataset *d,
                            char source_id[STORE_ID])
{
    /* The same file may be added under two names with other facts: an artifact each. */
    store_hash(source_id, "dataset", d->name, d->split, d->source_hash, NULL);
    json_t *meta = json_pack("{s:s, s:s, s:b}", "sha256", d->source_hash, "use", d->use,
                             "published", (int)d->published);
    char *text = meta ? json_dumps(meta, JSON_COMPACT) : NULL;
    rt_status st;
    if (text)
        st = store_run_sql(s,
                           "INSERT INTO artifact(artifact_id,kind,bytes,path_hint,origin,"
                           "license,meta) VALUES(?,'dataset',?,?,?,?,?) "
                           "ON CONFLICT(artifact_id) DO NOTHING",
                           "titttt", source_id, d->bytes, d->path, d->origin, d->licence,
                           text);
    else
        st = rt_fail(s->ctx, RT_ERR_HOST_MEMORY, "no memory for a data set");
    json_decref(meta);
    free(text); /* lint: jansson's own */
    return st;
}

static rt_status on_count(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

struct other {
    const char *split;
    char id[STORE_ID];
};

static rt_status on_other(void *user, const struct store_dataset *d)
{
    struct other *o = user;
    if (strcmp(d->split, o->split) == 0)
        snprintf(o->id, sizeof o->id, "%s", d->id);
    return RT_OK;
}

rt_status store_put_dataset(struct store *s, struct store_dataset *d,
                            const struct pipe_problem *problems, bool *added)
{
    rt_status st;
    char source_id[STORE_ID];
    int64_t stored = 0;
    struct other other = { .split = d->split };
    *added = false;
    TRY(store_each_dataset(s, d->name, on_other, &other));
    store_benchmark_id(d->name, d->split, problems, d->count, d->id);
    if (other.id[0] && strcmp(other.id, d->id) != 0)
        return rt_fail(s->ctx, RT_ERR_INPUT,
                       "%s:%s is in '%s' already with other problems (%.23s..., now "
                       "%.23s...); answers refer to them: use another name or another "
                       "--store",
                       d->name, d->split, s->path, other.id, d->id);
    if (other.id[0])
        return RT_OK;
    TRY(store_put_benchmark(s, d->name, d->split, problems, d->count, d->id));
    TRY(put_source(s, d, source_id));
    TRY(store_run_sql(s,
                      "UPDATE benchmark SET source_id=?2, license=?3 WHERE "
                      "benchmark_id=?1",
                      "ttt", d->id, source_id, d->licence));
    TRY(store_query(s, "SELECT count(*) FROM problem WHERE benchmark_id=?1",
                    (const char *const[]){ d->id, NULL }, on_count, &stored));
    if (stored != d->count)
        return rt_fail(
            s->ctx, RT_ERR_INPUT,
            "%s:%s: %lld of its ids stand for problems of another benchmark in "
            "'%s'; use another name",
            d->name, d->split, (long long)(d->count - stored), s->path);
    *added = true;
    return RT_OK;

fail:
    return st;
}

/* ---- prompts ---- */

rt_status store_put_prompt(struct store *s, const char *id, const char *name,
                           const char *text)
{
    return store_run_sql(s,
                         "INSERT INTO artifact(artifact_id,kind,bytes,meta) "
                         "VALUES(?1,'prompt',?2,json_object('name',?3,'text',?4)) "
                         "ON CONFLICT(artifact_id) DO NOTHING",
                         "titt", id, (int64_t)strlen(text), name, text);
}

struct prompt {
    struct rt_ctx *ctx;
    char *text;
};

static rt_status take_prompt(void *user, const struct store_row *row)
{
    struct prompt *p = user;
    p->text = rt_strdup(p->ctx, store_row_text(row, 0));
    return p->text ? RT_OK
                   : rt_fail(p->ctx, RT_ERR_HOST_MEMORY, "no memory for a prompt");
}

rt_status store_prompt_text(struct store *s, const char *id, char **text)
{
    struct prompt p = { .ctx = s->ctx };
    const rt_status st = store_query(s,
                                     "SELECT json_extract(meta,'$.text') FROM artifact "
                                     "WHERE artifact_id=?1 AND kind='prompt'",
                                     (const char *const[]){ id, NULL }, take_prompt, &p);
    *text = p.text;
    return st;
}

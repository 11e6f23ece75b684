/* pipeline/exchange/import_match.c
 * Finds the known problem of each imported answer: by question, else by id, else by
 * place. */
#include "pipeline/exchange/import_match.h"

#include "runtime/base/text_set.h"

#include <assert.h>
#include <string.h>

#define NOBODY UINT32_MAX

struct matching {
    struct rt_ctx *ctx;
    const struct pipe_problem_set *set;
    struct pipe_pool pool;
    const char **normal;             /* [set count] normalised questions, in the pool */
    struct pipe_text_set questions;  /* normalised -> place, or of the first of several */
    bool *shared;                    /* [set count]: another has the same question */
    struct pipe_text_set ids, tails; /* whole id; what is behind its last '/' */
};

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to find the problems");
}

static const char *normalised(struct matching *m, const char *text)
{
    char *out = pipe_pool_take(m->ctx, &m->pool, strlen(text) + 1, 1);
    if (out)
        (void)pipe_text_normalise(text, out);
    return out;
}

static rt_status index_problems(struct matching *m)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < m->set->count; i++) {
        const struct pipe_problem *p = &m->set->items[i];
        const char *slash = strrchr(p->id, '/');
        uint32_t before;
        bool is_new;
        m->normal[i] = normalised(m, p->question);
        if (!m->normal[i])
            return no_memory(m->ctx);
        TRY(pipe_text_set_add(m->ctx, &m->questions, m->normal[i], i, &is_new, &before));
        if (!is_new)
            m->shared[i] = m->shared[before] = true;
        TRY(pipe_text_set_add(m->ctx, &m->ids, p->id, i, &is_new, &before));
        TRY(pipe_text_set_add(m->ctx, &m->tails, slash ? slash + 1 : p->id, i, &is_new,
                              &before));
    }

fail:
    return st;
}

static rt_status find(struct matching *m, const struct pipe_import_answer *a,
                      uint32_t *place)
{
    const char *question = a->question ? normalised(m, a->question) : NULL;
    *place = NOBODY;
    if (a->question && !question)
        return no_memory(m->ctx);
    if (question && pipe_text_set_find(&m->questions, question, place) &&
        !m->shared[*place])
        return RT_OK;
    *place = NOBODY;
    const char *slash = a->id ? strrchr(a->id, '/') : NULL;
    if (!a->id || (!pipe_text_set_find(&m->ids, a->id, place) &&
                   !pipe_text_set_find(&m->tails, slash ? slash + 1 : a->id, place)))
        return RT_OK;
    assert(*place < m->set->count);
    if (question && !strstr(question, m->normal[*place]))
        *place = NOBODY; /* the same id in another list */
    return RT_OK;
}

static rt_status find_all(struct matching *m, const char *name,
                          const struct pipe_import *import, uint32_t *places)
{
    rt_status st = RT_OK;
    uint32_t unknown = 0, first = 0;
    for (uint32_t i = 0; i < import->count; i++) {
        TRY(find(m, &import->answers[i], &places[i]));
        if (places[i] == NOBODY && unknown++ == 0)
            first = i;
    }
    const struct pipe_import_answer *a = &import->answers[first];
    if (unknown)
        return rt_fail(
            m->ctx, RT_ERR_INPUT,
            "'%s': %u of %u answers are to no problem of '%s', the first to "
            "'%.80s' (number %u of the file); name the right list with --bench",
            name, unknown, import->count, m->set->name, a->id ? a->id : a->question,
            a->at);

fail:
    return st;
}

/* Two texts of the file may mean one problem. */
static rt_status check_twice(struct matching *m, const char *name,
                             const struct pipe_import *import, const uint32_t *places)
{
    rt_status st = RT_OK;
    struct pipe_text_set set = { 0 };
    for (uint32_t i = 0; i < import->count; i++) {
        uint32_t before = 0;
        bool is_new = true;
        assert(places[i] < m->set->count); /* find_all */
        const char *key = pipe_pool_format(m->ctx, &m->pool, "%u %u", places[i],
                                           import->answers[i].sample);
        if (!key) {
            st = no_memory(m->ctx);
            goto fail;
        }
        TRY(pipe_text_set_add(m->ctx, &set, key, i, &is_new, &before));
        if (!is_new) {
            st =
                rt_fail(m->ctx, RT_ERR_INPUT,
                        "'%s': two answers of sample %u to '%.80s', numbers %u and %u of "
                        "the file",
                        name, import->answers[i].sample, m->set->items[places[i]].id,
                        import->answers[before].at, import->answers[i].at);
            goto fail;
        }
    }

fail:
    pipe_text_set_deinit(&set);
    return st;
}

rt_status pipe_import_match(struct rt_ctx *ctx, const char *name,
                            const struct pipe_import *import,
                            const struct pipe_problem_set *set, uint32_t *places)
{
    rt_status st;
    struct matching m = { .ctx = ctx, .set = set };
    m.normal = rt_alloc(ctx, set->count, sizeof *m.normal);
    m.shared = rt_alloc(ctx, set->count, sizeof *m.shared);
    if (!m.normal || !m.shared) {
        st = no_memory(ctx);
        goto fail;
    }
    TRY(index_problems(&m));
    TRY(find_all(&m, name, import, places));
    TRY(check_twice(&m, name, import, places));

fail:
    pipe_text_set_deinit(&m.questions);
    pipe_text_set_deinit(&m.ids);
    pipe_text_set_deinit(&m.tails);
    pipe_pool_deinit(&m.pool);
    rt_free(m.normal);
    rt_free(m.shared);
    return st;
}

/* pipeline/exchange/import_match.c
 * Finds the known problem of each imported answer: by question, else by id. */
#include "pipeline/exchange/import_match.h"

#include "pipeline/exchange/import_fold.h"
#include "runtime/base/text_set.h"

#include <assert.h>
#include <string.h>

#define NOBODY UINT32_MAX

/* Questions in one form: text -> place, or of the first of several. */
struct questions {
    struct pipe_text_set places;
    bool *shared; /* [set count]: another problem has the same text */
};

struct matching {
    struct rt_ctx *ctx;
    const struct pipe_problem_set *set;
    struct pipe_pool pool;           /* what lasts: problems */
    struct pipe_pool scratch;        /* of one answer */
    const char **folded;             /* [set count], in the pool */
    struct questions exact, alike;   /* as they stand; folded */
    struct pipe_text_set ids, tails; /* whole id; what is behind its last '/' */
};

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to find the problems");
}

static const char *fold(struct matching *m, struct pipe_pool *pool, const char *text)
{
    char *out = pipe_pool_take(m->ctx, pool, IMPORT_FOLD_FACTOR * strlen(text) + 1, 1);
    if (out)
        (void)import_fold(text, out);
    return out;
}

/* Without white space at its ends, which one file has and another lacks. */
static const char *trimmed(struct matching *m, struct pipe_pool *pool, const char *text)
{
    text += strspn(text, " \t\r\n");
    size_t n = strlen(text);
    while (n && strchr(" \t\r\n", text[n - 1]))
        n--;
    return pipe_pool_copy(m->ctx, pool, text, n);
}

static rt_status add_question(struct matching *m, struct questions *q, const char *text,
                              uint32_t place)
{
    bool is_new;
    uint32_t before;
    const rt_status st =
        pipe_text_set_add(m->ctx, &q->places, text, place, &is_new, &before);
    if (st == RT_OK && !is_new)
        q->shared[place] = q->shared[before] = true;
    return st;
}

static rt_status index_problems(struct matching *m)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < m->set->count; i++) {
        const struct pipe_problem *p = &m->set->items[i];
        const char *slash = strrchr(p->id, '/');
        uint32_t before;
        bool is_new;
        const char *exact = trimmed(m, &m->pool, p->question);
        m->folded[i] = fold(m, &m->pool, p->question);
        if (!exact || !m->folded[i])
            return no_memory(m->ctx);
        TRY(add_question(m, &m->exact, exact, i));
        TRY(add_question(m, &m->alike, m->folded[i], i));
        TRY(pipe_text_set_add(m->ctx, &m->ids, p->id, i, &is_new, &before));
        TRY(pipe_text_set_add(m->ctx, &m->tails, slash ? slash + 1 : p->id, i, &is_new,
                              &before));
    }

fail:
    return st;
}

/* ---- a question within a prompt ---- */

static bool ends_word(char c)
{
    return c == '\0' || strchr(" \t\r\n\"'`;:?$", c) != NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether a character at the edge of a question could be continued by its neighbour: a
 * letter, a digit, a sign. */
static bool is_open(char c)
{
    return !ends_word(c) && c != '.' && c != ',';
}

/* The question stands in the prompt and neither of its ends goes on there: "7-4" is not
 * in "7-41", "x" not in "x^2". */
static bool holds(const char *prompt, const char *question)
{
    const size_t n = strlen(question);
    for (const char *at = prompt; n && (at = strstr(at, question)); at++) {
        const char after = at[n], before = at > prompt ? at[-1] : '\0';
        const bool point = (after == '.' || after == ',') && !is_digit(at[n + 1]);
        const bool opened = before && strchr("([.,", before) && !is_digit(*at);
        if ((!is_open(question[n - 1]) || ends_word(after) || point) &&
            (!is_open(*question) || ends_word(before) || opened))
            return true;
    }
    return false;
}

/* ---- finding ---- */

static bool find_id(const struct matching *m, const char *id, uint32_t *place)
{
    const char *slash = strrchr(id, '/');
    return pipe_text_set_find(&m->ids, id, place) ||
           pipe_text_set_find(&m->tails, slash ? slash + 1 : id, place);
}

/* By the question alone: as it stands, else folded. Identical questions are told apart by
 * the id, not by what is alike. */
static bool find_by_question(const struct matching *m, const char *exact,
                             const char *folded, uint32_t *place)
{
    if (pipe_text_set_find(&m->exact.places, exact, place))
        return !m->exact.shared[*place];
    return pipe_text_set_find(&m->alike.places, folded, place) &&
           !m->alike.shared[*place];
}

static rt_status find(struct matching *m, const struct pipe_import_answer *a,
                      uint32_t *place)
{
    const char *exact = NULL, *folded = NULL;
    pipe_pool_deinit(&m->scratch);
    if (a->question) {
        exact = trimmed(m, &m->scratch, a->question);
        folded = fold(m, &m->scratch, a->question);
        if (!exact || !folded)
            return no_memory(m->ctx);
        if (find_by_question(m, exact, folded, place))
            return RT_OK;
    }
    if (!a->id || !find_id(m, a->id, place)) {
        *place = NOBODY;
        return RT_OK;
    }
    assert(*place < m->set->count);
    if (folded && !holds(a->question, m->set->items[*place].question) &&
        !holds(folded, m->folded[*place]))
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
    m.folded = rt_alloc(ctx, set->count, sizeof *m.folded);
    m.exact.shared = rt_alloc(ctx, set->count, sizeof *m.exact.shared);
    m.alike.shared = rt_alloc(ctx, set->count, sizeof *m.alike.shared);
    if (!m.folded || !m.exact.shared || !m.alike.shared) {
        st = no_memory(ctx);
        goto fail;
    }
    TRY(index_problems(&m));
    TRY(find_all(&m, name, import, places));
    TRY(check_twice(&m, name, import, places));

fail:
    pipe_text_set_deinit(&m.exact.places);
    pipe_text_set_deinit(&m.alike.places);
    pipe_text_set_deinit(&m.ids);
    pipe_text_set_deinit(&m.tails);
    pipe_pool_deinit(&m.pool);
    pipe_pool_deinit(&m.scratch);
    rt_free(m.folded);
    rt_free(m.exact.shared);
    rt_free(m.alike.shared);
    return st;
}

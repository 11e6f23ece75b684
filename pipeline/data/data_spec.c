/* pipeline/data/data_spec.c
 * Parses "NAME:SPLIT", "[from:to]" and "@ids.txt", and picks those problems of a list. */
#include "pipeline/data/data_spec.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_recipe.h"
#include "runtime/base/text_set.h"

#include <assert.h>
#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Bytes of a name at the start of text. */
static size_t name_length(const char *text)
{
    size_t n = 0;
    if (!is_letter(text[0]))
        return 0;
    while (is_letter(text[n]) || (text[n] && strchr("._-", text[n])))
        n++;
    return n;
}

bool pipe_data_name_good(const char *name)
{
    const size_t n = name_length(name);
    return n > 0 && n < PIPE_SPEC_NAME && name[n] == '\0';
}

/* Digits to a number; true if there was at least one and it fits. */
static bool read_bound(const char **text, uint32_t *out)
{
    uint64_t value = 0;
    const char *start = *text;
    while (**text >= '0' && **text <= '9' && value < UINT32_MAX)
        value = value * 10 + (uint64_t)(*(*text)++ - '0');
    *out = (uint32_t)value;
    return *text > start && value < UINT32_MAX;
}

bool pipe_range_read(const char *at, uint32_t *from, uint32_t *to)
{
    *from = 0;
    *to = UINT32_MAX;
    bool good = *at == ':' || read_bound(&at, from);
    good = good && *at++ == ':';
    good = good && (*at == ']' || read_bound(&at, to));
    return good && at[0] == ']' && at[1] == '\0' && *from < *to;
}

rt_status pipe_spec_split(struct rt_ctx *ctx, const char *spec, char *path, size_t size,
                          uint32_t *from, uint32_t *to)
{
    size_t length = strlen(spec);
    const char *open = strrchr(spec, '[');
    *from = 0;
    *to = UINT32_MAX;
    if (open && spec[length - 1] == ']') {
        if (!pipe_range_read(open + 1, from, to))
            return rt_fail(ctx, RT_ERR_USAGE,
                           "'%s': a range is written [from:to], from 0, with from < to",
                           spec);
        length = (size_t)(open - spec);
    }
    if (length >= size)
        return rt_fail(ctx, RT_ERR_USAGE, "'%.200s...' is too long for a path", spec);
    memcpy(path, spec, length);
    path[length] = '\0';
    return RT_OK;
}

bool pipe_data_spec_parse(struct rt_ctx *ctx, const char *text,
                          struct pipe_data_spec *out, rt_status *problem)
{
    *out = (struct pipe_data_spec){ .to = UINT32_MAX };
    *problem = RT_OK;
    const size_t name = name_length(text);
    if (name == 0 || name >= PIPE_SPEC_NAME || text[name] != ':')
        return false;
    const char *split = text + name + 1;
    const size_t length = name_length(split);
    const char *rest = split + length;
    if (length == 0 || length >= PIPE_SPEC_NAME ||
        (*rest && *rest != '[' && *rest != '@'))
        return false;
    memcpy(out->name, text, name);
    memcpy(out->split, split, length);
    if (*rest == '@' && rest[1])
        out->ids = rest + 1;
    else if (*rest == '@' ||
             (*rest == '[' && !pipe_range_read(rest + 1, &out->from, &out->to)))
        *problem = rt_fail(ctx, RT_ERR_USAGE,
                           "'%.200s': a part is written [from:to], from 0, with from < "
                           "to, or @FILE with an id a line",
                           text);
    return true;
}

struct picking {
    struct rt_ctx *ctx;
    const struct pipe_data_spec *spec;
    struct pipe_problem_set *set;
    struct pipe_text_set places; /* id -> place */
    struct pipe_pool scratch;
    uint32_t *taken;            /* line that took a problem, 0: none */
    struct pipe_problem *items; /* picked */
    uint32_t count, line;
};

static rt_status pick(struct picking *p, const char *text, size_t length)
{
    uint32_t place;
    const char *own = pipe_pool_copy(p->ctx, &p->scratch, text, length);
    const char *id =
        own ? pipe_data_id(p->ctx, &p->scratch, p->spec->name, p->spec->split, own, 0)
            : NULL;
    if (!id)
        return rt_fail(p->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", p->spec->ids);
    if (!pipe_text_set_find(&p->places, own, &place) &&
        !pipe_text_set_find(&p->places, id, &place))
        return rt_fail(p->ctx, RT_ERR_INPUT, "'%s' line %u: %s:%s has no problem '%.80s'",
                       p->spec->ids, p->line, p->spec->name, p->spec->split, own);
    assert(place < p->set->count && p->line > 0);
    if (p->taken[place])
        return rt_fail(p->ctx, RT_ERR_INPUT,
                       "'%s' line %u: '%.80s' stands in line %u already", p->spec->ids,
                       p->line, own, p->taken[place]);
    p->taken[place] = p->line;
    assert(p->count < p->set->count); /* each is taken once */
    p->items[p->count++] = p->set->items[place];
    return RT_OK;
}

static rt_status pick_lines(struct picking *p, const char *text)
{
    while (*text) {
        const size_t line = strcspn(text, "\r\n");
        const char *start = text;
        size_t length = strcspn(text, "\r\n#");
        p->line++;
        while (length && strchr(" \t\r", *start)) {
            start++;
            length--;
        }
        while (length && strchr(" \t\r", start[length - 1]))
            length--;
        if (length) {
            const rt_status st = pick(p, start, length);
            if (st != RT_OK)
                return st;
        }
        text += line;
        text += strncmp(text, "\r\n", 2) == 0 ? 2 : *text ? 1 : 0;
    }
    return p->count
               ? RT_OK
               : rt_fail(p->ctx, RT_ERR_INPUT, "'%s' names no problem", p->spec->ids);
}

static rt_status select_ids(struct rt_ctx *ctx, const struct pipe_data_spec *spec,
                            struct pipe_problem_set *set)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    struct picking p = { .ctx = ctx, .spec = spec, .set = set };
    TRY(pipe_data_file_read(ctx, spec->ids, &file));
    p.taken = rt_alloc(ctx, set->count, sizeof *p.taken);
    p.items = rt_alloc(ctx, set->count, sizeof *p.items);
    if (!p.taken || !p.items) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", spec->ids);
        goto fail;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        bool is_new;
        TRY(pipe_text_set_add(ctx, &p.places, set->items[i].id, i, &is_new, NULL));
    }
    TRY(pick_lines(&p, file.text));
    rt_free(set->items);
    set->items = p.items;
    set->count = p.count;
    p.items = NULL;
    st = RT_OK;

fail:
    rt_free(p.taken);
    rt_free(p.items);
    pipe_pool_deinit(&p.scratch);
    pipe_text_set_deinit(&p.places);
    pipe_data_file_deinit(&file);
    return st;
}

rt_status pipe_data_select(struct rt_ctx *ctx, const struct pipe_data_spec *spec,
                           struct pipe_problem_set *set)
{
    if (spec->ids) {
        const rt_status st = select_ids(ctx, spec, set);
        return st == RT_OK ? pipe_problems_rehash(ctx, set) : st;
    }
    const uint32_t to = spec->to == UINT32_MAX ? set->count : spec->to;
    if (spec->from >= set->count || to > set->count)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "%s:%s: the range reaches beyond its %u problems", spec->name,
                       spec->split, set->count);
    memmove(set->items, set->items + spec->from, (to - spec->from) * sizeof *set->items);
    set->count = to - spec->from;
    return pipe_problems_rehash(ctx, set);
}

uint32_t pipe_data_drop_unanswered(struct pipe_problem_set *set)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->items[i].answer[0])
            set->items[kept++] = set->items[i];
    const uint32_t dropped = set->count - kept;
    set->count = kept;
    return dropped;
}

/* pipeline/data/near_copy.c
 * Questions by their numbers and answer, and of those that agree in both the share of words
 * that they have in common. */
#include "pipeline/data/near_copy.h"

#include "runtime/base/text_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A question that was added. */
struct entry {
    uint64_t *words; /* hashes, sorted; in the pool */
    uint32_t count, value;
    uint32_t next; /* index + 1 of the one before with the same key; 0: none */
};

struct pipe_near_set {
    struct rt_ctx *ctx;
    struct pipe_pool pool;
    struct pipe_text_set newest; /* by key: a place in `head` */
    struct entry *entries;
    uint32_t *head; /* per key: index + 1 of the newest entry */
    uint32_t count, capacity, keys;
};

/* What is asked of a question. */
struct view {
    const char *key; /* numbers and answer; null: too few numbers */
    uint64_t *words;
    uint32_t count;
};

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to look for near copies");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (uint8_t)c >= 0x80;
}

static uint8_t lower(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* A comma between digits with three behind it. */
static bool is_thousands(const char *at)
{
    return at[0] == ',' && is_digit(at[1]) && is_digit(at[2]) && is_digit(at[3]) &&
           !is_digit(at[4]);
}

/* Copies the number that begins here without commas and the zeros that change nothing;
 * returns the bytes that it takes. */
static size_t read_number(const char *text, char *out)
{
    size_t at = 0, n = 0;
    bool fraction = false;
    for (;; at++) {
        const bool comma = !fraction && is_thousands(text + at);
        const bool point = !fraction && text[at] == '.' && is_digit(text[at + 1]);
        if (!is_digit(text[at]) && !comma && !point)
            break;
        fraction = fraction || point;
        if (text[at] == '0' && n == 0 && is_digit(text[at + 1]))
            continue;
        if (!comma)
            out[n++] = text[at];
    }
    while (fraction && out[n - 1] == '0')
        n--;
    if (fraction && out[n - 1] == '.')
        n--;
    out[n] = '\0';
    return at;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The numbers of a text, each with an end; null without memory. */
static const char **numbers_of(struct pipe_near_set *s, const char *text, uint32_t *count)
{
    const size_t size = strlen(text) + 1;
    const char **list = pipe_pool_take(s->ctx, &s->pool, size / 2 + 1, sizeof *list);
    char *room = pipe_pool_take(s->ctx, &s->pool, 2 * size, 1);
    *count = 0;
    if (!list || !room)
        return NULL;
    for (size_t at = 0; text[at];) {
        if (!is_digit(text[at])) {
            at++;
            continue;
        }
        list[(*count)++] = room;
        at += read_number(text + at, room);
        room += strlen(room) + 1;
    }
    return list;
}

/* Numbers behind each other; null without memory. */
static char *joined(struct pipe_near_set *s, const char *const *numbers, uint32_t count)
{
    size_t size = 1, n = 0;
    for (uint32_t i = 0; i < count; i++)
        size += strlen(numbers[i]) + 1;
    char *out = pipe_pool_take(s->ctx, &s->pool, size, 1);
    for (uint32_t i = 0; out && i < count; i++) {
        const size_t length = strlen(numbers[i]);
        memcpy(out + n, numbers[i], length);
        out[n + length] = ' ';
        n += length + 1;
    }
    return out;
}

static const char *answer_form(struct pipe_near_set *s, const char *answer)
{
    uint32_t count;
    const char **numbers = numbers_of(s, answer, &count);
    if (!numbers)
        return NULL;
    if (count)
        return joined(s, numbers, count);
    char *form = pipe_pool_take(s->ctx, &s->pool, strlen(answer) + 1, 1);
    if (form)
        pipe_text_normalise(answer, form);
    return form;
}

static rt_status read_words(struct pipe_near_set *s, const char *text, struct view *v)
{
    v->words = pipe_pool_take(s->ctx, &s->pool, strlen(text) / 2 + 1, sizeof *v->words);
    if (!v->words)
        return no_memory(s->ctx);
    for (size_t at = 0; text[at];) {
        uint64_t hash = 14695981039346656037u; /* FNV-1a */
        const size_t from = at;
        for (; is_letter(text[at]); at++)
            hash = (hash ^ lower(text[at])) * 1099511628211u;
        if (at > from)
            v->words[v->count++] = hash;
        else
            at++;
    }
    assert(v->count <= strlen(text) / 2 + 1);
    qsort(v->words, v->count, sizeof *v->words, by_value);
    return RT_OK;
}

static rt_status look(struct pipe_near_set *s, const char *question, const char *answer,
                      struct view *v)
{
    uint32_t count;
    *v = (struct view){ .key = NULL };
    const char **numbers = numbers_of(s, question, &count);
    if (!numbers)
        return no_memory(s->ctx);
    if (count < PIPE_NEAR_NUMBERS)
        return RT_OK;
    qsort(numbers, count, sizeof *numbers, by_text);
    const char *list = joined(s, numbers, count), *form = answer_form(s, answer);
    v->key =
        list && form ? pipe_pool_format(s->ctx, &s->pool, "%s= %s", list, form) : NULL;
    return v->key ? read_words(s, question, v) : no_memory(s->ctx);
}

/* Words that both have over words that either has. */
static double share(const struct view *a, const struct entry *b)
{
    uint32_t i = 0, k = 0, both = 0;
    while (i < a->count && k < b->count) {
        const uint64_t x = a->words[i], y = b->words[k];
        both += x == y;
        i += x <= y;
        k += y <= x;
    }
    const uint32_t either = a->count + b->count - both;
    return either ? (double)both / either : 1;
}

rt_status pipe_near_create(struct rt_ctx *ctx, struct pipe_near_set **out)
{
    struct pipe_near_set *s = rt_alloc(ctx, 1, sizeof *s);
    *out = s;
    if (!s)
        return no_memory(ctx);
    s->ctx = ctx;
    return RT_OK;
}

void pipe_near_destroy(struct pipe_near_set **set)
{
    struct pipe_near_set *s = *set;
    if (!s)
        return;
    pipe_text_set_deinit(&s->newest);
    pipe_pool_deinit(&s->pool);
    rt_free(s->entries);
    rt_free(s->head);
    rt_free(s);
    *set = NULL;
}

static rt_status grow(struct pipe_near_set *s)
{
    const uint32_t more = s->capacity ? 2 * s->capacity : 64;
    struct entry *entries =
        rt_resize(s->ctx, s->entries, s->capacity, more, sizeof *entries);
    if (!entries)
        return no_memory(s->ctx);
    s->entries = entries;
    uint32_t *head = rt_resize(s->ctx, s->head, s->capacity, more, sizeof *head);
    if (!head)
        return no_memory(s->ctx);
    s->head = head;
    s->capacity = more;
    return RT_OK;
}

rt_status pipe_near_add(struct pipe_near_set *s, const char *question, const char *answer,
                        uint32_t value)
{
    rt_status st;
    struct view v;
    bool is_new;
    uint32_t at = s->keys;
    TRY(look(s, question, answer, &v));
    if (!v.key)
        return RT_OK;
    if (s->count == s->capacity)
        TRY(grow(s));
    TRY(pipe_text_set_add(s->ctx, &s->newest, v.key, s->keys, &is_new, &at));
    if (is_new)
        s->head[s->keys++] = 0;
    s->entries[s->count] = (struct entry){ v.words, v.count, value, s->head[at] };
    s->head[at] = ++s->count;
    return RT_OK;

fail:
    return st;
}

rt_status pipe_near_find(struct pipe_near_set *s, const char *question,
                         const char *answer, bool *found, uint32_t *value)
{
    struct view v;
    uint32_t at;
    *found = false;
    const rt_status st = look(s, question, answer, &v);
    if (st != RT_OK || !v.key || !pipe_text_set_find(&s->newest, v.key, &at))
        return st;
    for (uint32_t i = s->head[at]; i; i = s->entries[i - 1].next)
        if (share(&v, &s->entries[i - 1]) >= PIPE_NEAR_SHARE) {
            *found = true; /* the oldest of them stays */
            if (value)
                *value = s->entries[i - 1].value;
        }
    return RT_OK;
}

rt_status pipe_problems_near(struct rt_ctx *ctx, const struct pipe_problem_set *a,
                             const struct pipe_problem_set *b, struct pipe_leak *out)
{
    rt_status st;
    struct pipe_near_set *known = NULL;
    *out = (struct pipe_leak){ 0 };
    TRY(pipe_near_create(ctx, &known));
    for (uint32_t i = 0; i < b->count; i++)
        TRY(pipe_near_add(known, b->items[i].question, b->items[i].answer, i));
    for (uint32_t i = 0; i < a->count; i++) {
        bool found;
        uint32_t at = 0;
        TRY(pipe_near_find(known, a->items[i].question, a->items[i].answer, &found, &at));
        if (found && out->count++ == 0) {
            out->a = i;
            out->b = at;
        }
    }

fail:
    pipe_near_destroy(&known);
    return st;
}

/* runtime/engine/pages.c
 * Pages of the KV cache: taken, shared, published under their tokens, found again,
 * given back. */
#include "runtime/engine/pages.h"

#include <assert.h>
#include <string.h>

struct page {
    uint64_t id, parent; /* id 0: not published */
    uint32_t references;
    uint32_t before, after; /* in the list of unreferenced pages */
    uint32_t same_hash;     /* next published page of the bucket, PAGES_NONE: last */
    bool proven;            /* it was found since it was published */
    uint32_t tokens[PAGES_TOKENS];
};

/* Unreferenced pages are a ring through `idle`, which is item [most]: those of no use
 * first, then published ones, the longest unused first. */
struct pages {
    uint32_t count, most, free;
    uint32_t *bucket, mask; /* first published page of a hash */
    uint64_t last_id;
    struct page item[];
};

static void unlink_idle(struct pages *p, uint32_t page)
{
    assert(page < p->count && p->free > 0);
    assert(p->item[page].references <= 1); /* pages_find counts itself first */
    struct page *i = &p->item[page];
    p->item[i->before].after = i->after;
    p->item[i->after].before = i->before;
    p->free--;
}

static void link_idle(struct pages *p, uint32_t page, uint32_t before)
{
    assert(page < p->count && (before < p->count || before == p->most));
    assert(p->free < p->count);
    assert(p->item[page].references == 0);
    struct page *i = &p->item[page];
    i->before = before;
    i->after = p->item[before].after;
    p->item[i->after].before = page;
    p->item[before].after = page;
    p->free++;
}

rt_status pages_create(struct rt_ctx *ctx, uint32_t count, uint32_t most,
                       struct pages **out)
{
    uint32_t buckets = 64;
    assert(count <= most);
    while (buckets < 2 * most && buckets < 1u << 31)
        buckets *= 2;
    struct pages *p =
        rt_alloc(ctx, 1, sizeof *p + ((size_t)most + 1) * sizeof(struct page));
    uint32_t *bucket = rt_alloc(ctx, buckets, sizeof *bucket);
    *out = p;
    if (!p || !bucket) {
        rt_free(p);
        rt_free(bucket);
        *out = NULL;
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "engine: no host memory for %u pages",
                       most);
    }
    memset(bucket, 0xff, buckets * sizeof *bucket);
    p->most = most;
    p->bucket = bucket;
    p->mask = buckets - 1;
    p->item[most].before = p->item[most].after = most;
    pages_grow(p, count);
    return RT_OK;
}

void pages_destroy(struct pages **pages)
{
    if (*pages)
        rt_free((*pages)->bucket);
    rt_free(*pages);
    *pages = NULL;
}

uint32_t pages_count(const struct pages *p)
{
    return p->count;
}

void pages_grow(struct pages *p, uint32_t count)
{
    assert(count >= p->count && count <= p->most);
    uint32_t last = p->most; /* of the new ones, which come before all others */
    for (uint32_t i = p->count; i < count; i++) {
        p->count++;
        link_idle(p, i, last);
        last = i;
    }
}

uint32_t pages_free(const struct pages *p)
{
    return p->free;
}

uint64_t pages_id(const struct pages *p, uint32_t page)
{
    assert(page < p->count);
    return p->item[page].id;
}

/* FNV-1a over words, then the finalizer of MurmurHash3 to spread it over the low bits. */
static uint32_t *bucket_of(const struct pages *p, uint64_t parent, const uint32_t *tokens)
{
    uint64_t h = 0xcbf29ce484222325u ^ parent;
    for (uint32_t i = 0; i < PAGES_TOKENS; i++)
        h = (h ^ tokens[i]) * 0x100000001b3u;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    return &p->bucket[(h ^ h >> 33) & p->mask];
}

static uint32_t find(const struct pages *p, uint64_t parent, const uint32_t *tokens)
{
    uint32_t at = *bucket_of(p, parent, tokens);
    while (at != PAGES_NONE &&
           (p->item[at].parent != parent ||
            memcmp(p->item[at].tokens, tokens, sizeof p->item[at].tokens) != 0))
        at = p->item[at].same_hash;
    return at;
}

static void unpublish(struct pages *p, uint32_t page)
{
    struct page *i = &p->item[page];
    if (i->id == 0)
        return;
    uint32_t *link = bucket_of(p, i->parent, i->tokens);
    while (*link != page) {
        assert(*link != PAGES_NONE); /* a published page is in its bucket */
        link = &p->item[*link].same_hash;
    }
    *link = i->same_hash;
    i->id = 0;
    i->proven = false;
}

uint32_t pages_take(struct pages *p)
{
    const uint32_t page = p->item[p->most].after;
    if (page == p->most)
        return PAGES_NONE;
    unlink_idle(p, page);
    unpublish(p, page);
    assert(p->item[page].references == 0);
    p->item[page].references = 1;
    return page;
}

bool pages_next_is_proven(const struct pages *p)
{
    const uint32_t page = p->item[p->most].after;
    return page != p->most && p->item[page].proven;
}

void pages_release(struct pages *p, uint32_t page)
{
    struct page *i = &p->item[page];
    assert(page < p->count && i->references > 0);
    if (--i->references > 0)
        return;
    link_idle(p, page, i->id ? p->item[p->most].before : p->most);
}

uint32_t pages_find(struct pages *p, uint64_t parent, const uint32_t *tokens)
{
    const uint32_t page = find(p, parent, tokens);
    if (page == PAGES_NONE)
        return page;
    p->item[page].proven = true;
    if (p->item[page].references++ == 0)
        unlink_idle(p, page);
    return page;
}

uint64_t pages_publish(struct pages *p, uint32_t page, uint64_t parent,
                       const uint32_t *tokens)
{
    struct page *i = &p->item[page];
    assert(page < p->count && i->references > 0 && i->id == 0);
    const uint32_t other = find(p, parent, tokens);
    if (other != PAGES_NONE)
        return p->item[other].id;
    i->id = ++p->last_id;
    i->parent = parent;
    memcpy(i->tokens, tokens, sizeof i->tokens);
    uint32_t *link = bucket_of(p, parent, tokens);
    i->same_hash = *link;
    *link = page;
    return i->id;
}

void pages_forget(struct pages *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        unpublish(p, i);
}

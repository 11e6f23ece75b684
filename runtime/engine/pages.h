/* runtime/engine/pages.h
 * Which page of the KV cache holds what. A page is PAGES_TOKENS tokens of one sequence; it
 * has as many references as sequences that read it. A full page can be published: then a
 * sequence that begins with the same tokens finds it and reads it too, also after all who
 * used it have ended, until the page is taken for something else: the one longest unused
 * first. What a page holds is named by an id, and by its own tokens and the id of the page
 * before it; ids are never given twice, so equal ids mean equal tokens from the start on,
 * and tokens are compared, not only their hash.
 * Host memory only: it knows nothing of devices. After the prefix caches of vLLM (blocks
 * by hash of their chain) and SGLang (a tree of prefixes, least recently used leaves go). */
#ifndef RUNTIME_ENGINE_PAGES_H
#define RUNTIME_ENGINE_PAGES_H

#include "runtime/base/rt.h"

enum { PAGES_TOKENS = 16 };
#define PAGES_NONE UINT32_MAX

struct pages;

/* `count` pages, > 0, of no content, of up to `most` that there may be. */
RT_CHECKED rt_status pages_create(struct rt_ctx *ctx, uint32_t count, uint32_t most,
                                  struct pages **out);
void pages_destroy(struct pages **pages);
uint32_t pages_count(const struct pages *p);
/* There are `count` pages from now on, at least those there are and at most `most`; the new
 * ones are of no content. */
void pages_grow(struct pages *p, uint32_t count);
/* Pages without a reference: that many calls of pages_take will succeed. */
uint32_t pages_free(const struct pages *p);
/* A page of no content with one reference; PAGES_NONE: all are in use. */
uint32_t pages_take(struct pages *p);
/* Whether the page that pages_take would give holds what was found before: who begins alike
 * may come again, so another page is better taken where there can be one. */
bool pages_next_is_proven(const struct pages *p);
/* Gives one reference back. Of a sequence's pages the last one goes first: what follows
 * something is of no use without it. */
void pages_release(struct pages *p, uint32_t page);
/* The page with these tokens after page `parent` (an id; 0: at the start), with one more
 * reference; PAGES_NONE: there is none. */
uint32_t pages_find(struct pages *p, uint64_t parent, const uint32_t *tokens);
/* Says what a referenced page holds and returns its id; or the id of another page that
 * holds the same, then this one stays private. */
uint64_t pages_publish(struct pages *p, uint32_t page, uint64_t parent,
                       const uint32_t *tokens);
uint64_t pages_id(const struct pages *p, uint32_t page); /* 0: not published */
/* No page can be found any more. */
void pages_forget(struct pages *p);

#endif

/* The pages of the KV cache: who shares what, which are taken first, what is found after
 * a page was taken again; then at random against a plain model of the same thing. */
#include "runtime/engine/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t *tokens_of(uint32_t n)
{
    static uint32_t tokens[PAGES_TOKENS];
    for (uint32_t i = 0; i < PAGES_TOKENS; i++)
        tokens[i] = n + (i == PAGES_TOKENS - 1 ? n : 0);
    return tokens;
}

static struct pages *make(uint32_t count)
{
    struct rt_ctx ctx = { 0 };
    struct pages *p = NULL;
    assert_int_equal(pages_create(&ctx, count, count, &p), RT_OK);
    assert_int_equal(pages_free(p), count);
    return p;
}

static void a_prefix_is_found_and_shared(void **state)
{
    (void)state;
    struct pages *p = make(4);
    const uint32_t a = pages_take(p), b = pages_take(p);
    const uint64_t first = pages_publish(p, a, 0, tokens_of(1));
    const uint64_t second = pages_publish(p, b, first, tokens_of(2));
    assert_true(first && second && first != second);
    assert_int_equal(pages_id(p, a), first);
    assert_int_equal(pages_find(p, 0, tokens_of(1)), a);
    assert_int_equal(pages_find(p, first, tokens_of(2)), b);
    /* The same tokens elsewhere, or others here, are something else. */
    assert_int_equal(pages_find(p, 0, tokens_of(2)), PAGES_NONE);
    assert_int_equal(pages_find(p, second, tokens_of(2)), PAGES_NONE);
    assert_int_equal(pages_find(p, first, tokens_of(3)), PAGES_NONE);
    pages_release(p, a);
    assert_int_equal(pages_free(p), 2); /* one reference of a is left */
    pages_release(p, a);
    assert_int_equal(pages_free(p), 3);
    /* Found again after all references are gone. */
    assert_int_equal(pages_find(p, 0, tokens_of(1)), a);
    assert_int_equal(pages_free(p), 2);
    pages_destroy(&p);
}

static void an_equal_page_stays_private(void **state)
{
    (void)state;
    struct pages *p = make(3);
    const uint32_t a = pages_take(p), b = pages_take(p);
    const uint64_t id = pages_publish(p, a, 0, tokens_of(1));
    assert_int_equal(pages_publish(p, b, 0, tokens_of(1)), id);
    assert_int_equal(pages_id(p, b), 0);
    pages_release(p, b);
    assert_int_equal(pages_take(p), b); /* of no use: first */
    pages_destroy(&p);
}

static void the_longest_unused_goes_first(void **state)
{
    (void)state;
    struct pages *p = make(3);
    uint64_t id = 0;
    uint32_t at[3];
    for (uint32_t i = 0; i < 3; i++) {
        at[i] = pages_take(p);
        id = pages_publish(p, at[i], id, tokens_of(i));
    }
    assert_int_equal(pages_take(p), PAGES_NONE);
    for (uint32_t i = 3; i-- > 0;)
        pages_release(p, at[i]);
    assert_int_equal(pages_take(p), at[2]); /* the end of the sequence */
    assert_int_equal(pages_id(p, at[2]), 0);
    assert_int_equal(pages_find(p, 0, tokens_of(0)), at[0]);
    pages_release(p, at[0]); /* used just now */
    assert_int_equal(pages_take(p), at[1]);
    assert_int_equal(pages_find(p, 0, tokens_of(0)), at[0]);
    pages_release(p, at[0]);
    pages_forget(p);
    assert_int_equal(pages_find(p, 0, tokens_of(0)), PAGES_NONE);
    assert_int_equal(pages_free(p), 1);
    pages_destroy(&p);
}

static void new_pages_are_taken_before_what_may_be_found(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pages *p = NULL;
    assert_int_equal(pages_create(&ctx, 2, 5, &p), RT_OK);
    assert_int_equal(pages_count(p), 2);
    const uint32_t a = pages_take(p), b = pages_take(p);
    const uint64_t first = pages_publish(p, a, 0, tokens_of(1));
    pages_publish(p, b, first, tokens_of(2));
    assert_int_equal(pages_take(p), PAGES_NONE);
    assert_false(pages_next_is_proven(p)); /* there is no next */
    pages_release(p, b);
    assert_false(pages_next_is_proven(p)); /* nobody has looked for it */
    assert_int_equal(pages_find(p, first, tokens_of(2)), b);
    pages_release(p, b);
    assert_true(pages_next_is_proven(p));
    pages_grow(p, 4);
    assert_int_equal(pages_count(p), 4);
    assert_int_equal(pages_free(p), 3);
    assert_false(pages_next_is_proven(p));
    assert_int_equal(pages_take(p), 2);
    assert_int_equal(pages_take(p), 3);
    assert_true(pages_next_is_proven(p));
    assert_int_equal(pages_take(p), b);
    assert_int_equal(pages_take(p), PAGES_NONE);
    pages_release(p, b); /* what it held is forgotten */
    assert_false(pages_next_is_proven(p));
    pages_grow(p, 4); /* none more */
    pages_grow(p, 5);
    assert_int_equal(pages_take(p), 4);
    pages_destroy(&p);
}

static void no_memory_is_a_status(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        struct pages *p = NULL;
        assert_int_equal(pages_create(&ctx, 5, 9, &p), RT_ERR_HOST_MEMORY);
        assert_null(p);
    }
}

enum { PAGES = 23, SEQUENCES = 6, LENGTH = 8, ROUNDS = 200000 };

/* A sequence of pages as the engine keeps it. */
struct sequence {
    uint32_t n, page[LENGTH], content[LENGTH]; /* what page i must hold */
    uint64_t chain;
};

static uint32_t random_below(uint32_t n)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

static void check(const struct pages *p, const struct sequence *all, const uint32_t *held,
                  const uint32_t *chain_hash)
{
    bool used[PAGES] = { false };
    uint32_t count = 0;
    for (uint32_t s = 0; s < SEQUENCES; s++)
        for (uint32_t i = 0, hash = 7; i < all[s].n; i++) {
            hash = hash * 31 + all[s].content[i];
            const uint32_t page = all[s].page[i];
            assert_true(page < PAGES);
            /* What is read is what was written, from the start on. */
            assert_int_equal(held[page], all[s].content[i]);
            assert_int_equal(chain_hash[page], hash);
            count += !used[page];
            used[page] = true;
        }
    assert_int_equal(pages_free(p), PAGES - count);
}

static void grow(struct pages *p, struct sequence *s, uint32_t *held,
                 uint32_t *chain_hash)
{
    const uint32_t content = random_below(3);
    uint32_t page = pages_find(p, s->chain, tokens_of(content)), hash = 7;
    s->content[s->n] = content;
    for (uint32_t i = 0; i <= s->n; i++)
        hash = hash * 31 + s->content[i];
    if (page == PAGES_NONE) {
        page = pages_take(p);
        if (page == PAGES_NONE)
            return;
        held[page] = content; /* overwrites */
        chain_hash[page] = hash;
        s->chain = pages_publish(p, page, s->chain, tokens_of(content));
    } else {
        s->chain = pages_id(p, page);
    }
    s->page[s->n++] = page;
}

static void at_random_nobody_reads_what_is_not_theirs(void **state)
{
    (void)state;
    struct pages *p = make(PAGES);
    struct sequence all[SEQUENCES] = { 0 };
    uint32_t held[PAGES] = { 0 }, chain_hash[PAGES] = { 0 };
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct sequence *s = &all[random_below(SEQUENCES)];
        if (s->n < LENGTH && random_below(4) > 0) {
            grow(p, s, held, chain_hash);
        } else if (random_below(3) == 0) {
            while (s->n > 0)
                pages_release(p, s->page[--s->n]);
            s->chain = 0;
        } else if (random_below(500) == 0) {
            pages_forget(p);
            for (uint32_t i = 0; i < SEQUENCES; i++) /* ids are gone: all end */
                while (all[i].n > 0)
                    pages_release(p, all[i].page[--all[i].n]);
            for (uint32_t i = 0; i < SEQUENCES; i++)
                all[i].chain = 0;
        }
        check(p, all, held, chain_hash);
    }
    pages_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_is_found_and_shared),
        cmocka_unit_test(an_equal_page_stays_private),
        cmocka_unit_test(the_longest_unused_goes_first),
        cmocka_unit_test(new_pages_are_taken_before_what_may_be_found),
        cmocka_unit_test(no_memory_is_a_status),
        cmocka_unit_test(at_random_nobody_reads_what_is_not_theirs),
    };
    return cmocka_run_group_tests_name("pages of the KV cache", tests, NULL, NULL);
}

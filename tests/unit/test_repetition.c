/* Texts that repeat themselves: the detector that reads token by token says what a slow one
 * says of every beginning of random texts; what stands there first is named rightly. */
#include "pipeline/prompt/repetition.h"
#include "pipeline/run/rescue.h"
#include "runtime/base/philox.h"
#include "runtime/engine/engine.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXTS = 400, LONG = 300 };

static uint32_t word(uint32_t text, uint32_t at, uint32_t what)
{
    return philox_word(text, at, what, 0, 7, 11);
}

/* ---- slow, from the definition ---- */

static bool is_cycle(const uint32_t *ids, uint32_t n, uint32_t period)
{
    if (n < PIPE_REPEATED * period)
        return false;
    const uint32_t *end = ids + n - PIPE_REPEATED * period;
    for (uint32_t i = 0; i + period < PIPE_REPEATED * period; i++)
        if (end[i] != end[i + period])
            return false;
    return true;
}

static uint32_t slow_period(const uint32_t *ids, uint32_t n)
{
    for (uint32_t p = PIPE_CYCLE_MIN; p <= PIPE_CYCLE_MAX; p++)
        if (is_cycle(ids, n, p))
            return p;
    return 0;
}

/* The repetition begins where the text stops being equal to itself a period later. */
static struct pipe_token_range slow_first(const uint32_t *ids, uint32_t n,
                                          uint32_t period)
{
    uint32_t from = n;
    while (from > period && ids[from - 1] == ids[from - 1 - period])
        from--;
    return (struct pipe_token_range){ from, from + period };
}

/* A token of one byte is that byte; 0 is a line end. */
static char byte_of(uint32_t id)
{
    return id == 0 ? '\n' : (char)('a' + id % 26);
}

/* Whether the line that ends with token n - 1 stands there for the 4th time, and its second
 * time; lines are from `starts` on. */
static bool slow_line(const uint32_t *ids, uint32_t n, struct pipe_token_range *second)
{
    uint32_t times = 0, from = n - 1;
    if (ids[n - 1] != 0)
        return false;
    while (from > 0 && ids[from - 1] != 0)
        from--;
    const uint32_t size = n - from;
    if (size < PIPE_CYCLE_MIN)
        return false;
    for (uint32_t at = 0; at + size <= n; at++) {
        if ((at > 0 && ids[at - 1] != 0) ||
            memcmp(ids + at, ids + from, size * sizeof *ids) != 0)
            continue;
        if (++times == 2)
            *second = (struct pipe_token_range){ at, at + size };
    }
    return times >= PIPE_REPEATED;
}

/* ---- random texts ---- */

/* Few different tokens, and pieces that are copied from before, so that cycles and lines of
 * every kind come about. */
static void make_text(uint32_t t, uint32_t *ids)
{
    const uint32_t kinds = 2 + word(t, 0, 1) % 6;
    for (uint32_t i = 0; i < LONG;) {
        const uint32_t r = word(t, i, 2);
        if (i < 2 || r % 3 == 0) {
            ids[i] = word(t, i, 3) % kinds;
            i++;
            continue;
        }
        const uint32_t back = 1 + word(t, i, 4) % (i < 60 ? i : 60);
        for (uint32_t k = 1 + word(t, i, 5) % 200; k > 0 && i < LONG; k--, i++)
            ids[i] = ids[i - back];
    }
}

static void random_texts_are_read_as_slowly(void **state)
{
    (void)state;
    static uint32_t ids[LONG];
    uint32_t cycles = 0, lines = 0;
    for (uint32_t t = 0; t < TEXTS; t++) {
        struct pipe_repetition r = { 0 };
        struct pipe_token_range first, expected = { 0, 0 };
        make_text(t, ids);
        for (uint32_t n = 1; n <= LONG; n++) {
            const char byte = byte_of(ids[n - 1]);
            pipe_repetition_feed(&r, ids, &byte, 1);
            const uint32_t period = slow_period(ids, n);
            if (pipe_repetition_period(&r) != period)
                fail_msg("text %u, %u tokens: period %u, slowly %u", t, n,
                         pipe_repetition_period(&r), period);
            const bool line = slow_line(ids, n, &expected);
            if (period)
                expected = slow_first(ids, n, period);
            if (pipe_repetition_found(&r, &first) != (period || line))
                fail_msg("text %u, %u tokens: found %d", t, n, !(period || line));
            if ((period || line) &&
                (first.from != expected.from || first.to != expected.to))
                fail_msg("text %u, %u tokens: first repetition %u to %u, slowly %u to %u",
                         t, n, first.from, first.to, expected.from, expected.to);
            cycles += period > 0;
            lines += line && !period;
        }
    }
    printf("    %u beginnings end with a cycle, %u more with a line\n", cycles, lines);
    assert_true(cycles > 1000 && lines > 100);
}

static void lines_are_compared_by_bytes(void **state)
{
    (void)state;
    static const char *const pieces[] = { "So ", "x is ", "5.\n" };
    static uint32_t ids[1000];
    struct pipe_repetition r = { 0 };
    struct pipe_token_range first;
    uint32_t n = 0;
    /* The same line, other lines of other lengths between. */
    for (uint32_t times = 0; times < PIPE_REPEATED; times++) {
        assert_false(pipe_repetition_found(&r, &first));
        for (uint32_t i = 0; i < RT_COUNT(pieces); i++) {
            ids[n++] = 1000 + times * 10 + i; /* tokens may be others */
            pipe_repetition_feed(&r, ids, pieces[i], strlen(pieces[i]));
        }
        for (uint32_t i = 0; times + 1 < PIPE_REPEATED && i < 5 + 7 * times; i++) {
            const char other[] = { (char)('a' + i), (char)('a' + times), '\n' };
            ids[n++] = 2000 + times * 100 + i;
            pipe_repetition_feed(&r, ids, other, 2);
            ids[n++] = 1;
            pipe_repetition_feed(&r, ids, other + 2, 1);
        }
    }
    assert_true(pipe_repetition_found(&r, &first));
    assert_int_equal(first.from, 3 + 2 * 5);
    assert_int_equal(first.to, 6 + 2 * 5);
    /* A short line says nothing: two tokens. */
    r = (struct pipe_repetition){ 0 };
    for (n = 0; n < 40; n++) {
        ids[n] = n;
        pipe_repetition_feed(&r, ids, n % 2 ? "\n" : "OK", n % 2 ? 1 : 2);
        assert_false(pipe_repetition_found(&r, &first));
    }
}

/* ---- where an answer is taken back to ---- */

static void the_least_sure_token_is_replaced_once(void **state)
{
    (void)state;
    enum { N = 24, ROUND = 6 };
    uint32_t ids[N], alt[N], to = 0;
    float margin[N], logprob[N];
    char path[1024];
    struct rt_ctx ctx;
    struct text_tokenizer *tok = NULL;
    struct pipe_rescue r = { .left = 2 };
    struct rt_answer a = { .ids = ids, .alt = alt, .margin = margin, .logprob = logprob };
    test_ctx(&ctx);
    test_path(path, sizeof path, "pipeline/demo");
    assert_int_equal(text_tokenizer_load(&ctx, path, &tok), RT_OK);
    for (uint32_t i = 0; i < N; i++) {
        ids[i] = 40 + i % ROUND;
        alt[i] = 90;
        margin[i] = i == 2 ? 0.1f : i == 8 ? 1 : i == 10 ? 2 : i == 9 ? INFINITY : 5;
        logprob[i] = -1;
    }
    for (a.n_gen = 1; a.n_gen < N; a.n_gen++)
        assert_false(pipe_rescue_feed(&r, tok, &a, &to));
    assert_true(pipe_rescue_feed(&r, tok, &a, &to)); /* not 2: the first time is kept */
    assert_int_equal(to, 8);
    assert_int_equal(r.made, 1);
    assert_int_equal(r.thrown, N - 8);
    /* The same again: what was replaced, or forced, stays. */
    margin[8] = -1;
    for (a.n_gen = 9; a.n_gen < N; a.n_gen++)
        assert_false(pipe_rescue_feed(&r, tok, &a, &to));
    assert_true(pipe_rescue_feed(&r, tok, &a, &to));
    assert_int_equal(to, 10);
    assert_int_equal(r.thrown, N - 8 + N - 10);
    for (a.n_gen = 11; a.n_gen <= N; a.n_gen++)
        assert_false(pipe_rescue_feed(&r, tok, &a, &to)); /* none is left */
    text_tokenizer_destroy(&tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_texts_are_read_as_slowly),
        cmocka_unit_test(lines_are_compared_by_bytes),
        cmocka_unit_test(the_least_sure_token_is_replaced_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

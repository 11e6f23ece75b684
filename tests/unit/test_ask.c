/* The sampling key of a question: a function of problem, kept steps and sample only, and
 * for whole answers that of version 1, so that drawn answers of old files come again. */
#include "pipeline/run/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static uint64_t draw(const char *id, uint32_t kept, uint32_t sample)
{
    const struct pipe_problem problem = { .id = id };
    const struct pipe_asked asked = { .problem = &problem,
                                      .kept = kept,
                                      .sample = sample };
    return pipe_draw(&asked);
}

/* Computed outside this program: the first 8 bytes of SHA-256 over id, 0, sample, 0. */
static void whole_answers_have_the_key_of_version_1(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        uint32_t sample;
        uint64_t key;
    } cases[] = {
        { "demo-measure-0000", 0, UINT64_C(0x214f71f093827b0b) },
        { "demo-measure-0000", 1, UINT64_C(0x0d190c084db39ecf) },
        { "demo-measure-0001", 0, UINT64_C(0xd9295ac601818613) },
        { "p", 4095, UINT64_C(0x64c4e3577bed7936) },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const uint64_t key = draw(cases[i].id, 0, cases[i].sample);
        if (key != cases[i].key)
            fail_msg("'%s' sample %u: %016llx", cases[i].id, cases[i].sample,
                     (unsigned long long)key);
    }
    /* Of continuations, since version 2. */
    assert_true(draw("demo-mine-0007", 2, 1) == UINT64_C(0xd709fff5328aa744));
}

/* What says where an answer goes, or what it begins with, is no part of the key. */
static void nothing_else_counts(void **state)
{
    (void)state;
    const struct pipe_problem bare = { .id = "p7" };
    const struct pipe_problem full = { .id = "p7",
                                       .question = "How many?",
                                       .answer = "3",
                                       .reference = "1+2=3",
                                       .subject = "counting",
                                       .level = "1" };
    const struct pipe_asked a = { .problem = &bare, .kept = 2, .sample = 3 };
    const struct pipe_asked b = {
        .key = 99, .problem = &full, .given = "x: 1+2=3\n", .kept = 2, .sample = 3
    };
    assert_true(pipe_draw(&a) == pipe_draw(&b));
}

enum { PROBLEMS = 40, KEPT = 13, SAMPLES = 17, KEYS = PROBLEMS * KEPT * SAMPLES };

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Also 1 after 11 and 11 after 1, and ids that end in digits. */
static void keys_differ(void **state)
{
    (void)state;
    static uint64_t keys[KEYS];
    size_t n = 0;
    char id[16];
    for (uint32_t p = 0; p < PROBLEMS; p++) {
        snprintf(id, sizeof id, "p%u", p);
        for (uint32_t kept = 0; kept < KEPT; kept++)
            for (uint32_t sample = 0; sample < SAMPLES; sample++)
                keys[n++] = draw(id, kept, sample);
    }
    assert_int_equal(n, KEYS);
    qsort(keys, KEYS, sizeof *keys, compare);
    for (size_t i = 1; i < KEYS; i++)
        assert_true(keys[i - 1] != keys[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_answers_have_the_key_of_version_1),
        cmocka_unit_test(nothing_else_counts),
        cmocka_unit_test(keys_differ),
    };
    return cmocka_run_group_tests_name("sampling keys", tests, NULL, NULL);
}

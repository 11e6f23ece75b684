/* Random words: the published vector of Philox, and the word of ones only that a case of
 * `sample` (runtime/op/op_cases_loss.c) is about. */
#include "runtime/op/op_cases.h"
#include "runtime/base/philox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* kat_vectors of Random123, philox4x32 with ten rounds. */
static void words_are_the_published_ones(void **state)
{
    (void)state;
    const uint32_t ones = 0xffffffffu;
    assert_int_equal(philox_word(0, 0, 0, 0, 0, 0), 0x6627e8d5u);
    assert_int_equal(philox_word(ones, ones, ones, ones, ones, ones), 0x408f276du);
}

/* Among all words of the case there is one of ones only. */
static void a_case_of_sample_has_a_word_of_ones(void **state)
{
    (void)state;
    uint32_t found = 0;
    struct rt_op_case c;
    for (uint32_t i = 0; rt_op_case_get(i, &c); i++) {
        const struct sample_push *p = &c.push.sample;
        if (c.op != RT_OP_sample || strcmp(c.what, "a random word of ones only") != 0)
            continue;
        uint32_t meta[4 * 64];
        assert_true(p->rows <= 64);
        rt_op_case_fill(&c, 1, i, meta);
        for (uint32_t r = 0; r < p->rows; r++)
            for (uint32_t v = 0; v < p->vocab; v++)
                found += philox_word(v, meta[4 * r + 2], meta[4 * r], meta[4 * r + 1],
                                     p->seed_low, p->seed_high) == 0xffffffffu;
    }
    assert_int_equal(found, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_the_published_ones),
        cmocka_unit_test(a_case_of_sample_has_a_word_of_ones),
    };
    return cmocka_run_group_tests_name("random words", tests, NULL, NULL);
}

/* Random words: the published vector of Philox, and the word of ones only that two cases of
 * `sample` (runtime/op/op_cases_loss.c) are about. */
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

/* Words of ones only of a case of `sample`, and the place of the last. */
static uint32_t words_of_ones(const struct rt_op_case *c, uint32_t *row, uint32_t *id)
{
    const struct sample_push *p = &c->push.sample;
    uint32_t found = 0, meta[4 * 64];
    assert_true(p->rows <= 64);
    rt_op_case_fill(c, 1, 1, meta);
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t v = 0; v < p->vocab; v++)
            if (philox_word(v, meta[4 * r + 2], meta[4 * r], meta[4 * r + 1], p->seed_low,
                            p->seed_high) == 0xffffffffu) {
                found++;
                *row = r;
                *id = v;
            }
    return found;
}

/* Each of the two cases has one such word, where the cases say that it is. */
static void cases_of_sample_have_a_word_of_ones(void **state)
{
    (void)state;
    static const char what[] = "a random word of ones only";
    uint32_t cases = 0, row = 0, id = 0;
    struct rt_op_case c;
    for (uint32_t i = 0; rt_op_case_get(i, &c); i++) {
        if (c.op != RT_OP_sample || strncmp(c.what, what, sizeof what - 1) != 0)
            continue;
        cases++;
        assert_int_equal(words_of_ones(&c, &row, &id), 1);
        assert_int_equal(row, 12);
        assert_int_equal(id, 96);
    }
    assert_int_equal(cases, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_the_published_ones),
        cmocka_unit_test(cases_of_sample_have_a_word_of_ones),
    };
    return cmocka_run_group_tests_name("random words", tests, NULL, NULL);
}

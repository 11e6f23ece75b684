/* Near copies: the same problem in other words is found, another problem is not, and
 * problems of few numbers never are. */
#include "pipeline/data/near_copy.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const char kiosk[] =
    "Nadia runs a kiosk. On Monday she sells 35 papers at $1,200 per hundred and 14 maps "
    "for $3.50 each. How many dollars does Nadia take in 6 such days?";

static bool is_near(const char *question, const char *answer)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_near_set *set;
    bool found;
    uint32_t value = 0;
    assert_int_equal(pipe_near_create(&ctx, &set), RT_OK);
    assert_int_equal(pipe_near_add(set, "12 and 3 and 4 and 5", "24", 3), RT_OK);
    assert_int_equal(pipe_near_add(set, kiosk, "2,814", 7), RT_OK);
    assert_int_equal(pipe_near_find(set, question, answer, &found, &value), RT_OK);
    pipe_near_destroy(&set);
    assert_true(!found || value == 7);
    return found;
}

static void the_same_problem_in_other_words_is_found(void **state)
{
    (void)state;
    assert_true(is_near(kiosk, "2814"));
    assert_true(is_near(kiosk, "2814.0"));
    /* Other words and order, another writing of the numbers. */
    assert_true(is_near("At her kiosk, Nadia sells 14 maps for $3.5 each on Monday, and "
                        "35 papers at 1200 dollars per hundred. In 6 such days, how many "
                        "dollars does she take?",
                        "2814"));
}

static void another_problem_is_not(void **state)
{
    (void)state;
    char other[256];
    snprintf(other, sizeof other, "%s", kiosk);
    *strstr(other, "35") = '4'; /* another number */
    assert_false(is_near(other, "2814"));
    assert_false(is_near(kiosk, "2815"));
    assert_false(is_near(kiosk, "a lot"));
    /* The same numbers and answer, another story. */
    assert_false(
        is_near("A train of 35 cars leaves at 6 with 1200 tons of coal. Every 14 "
                "km it loses 3.5 tons. What is left at the border?",
                "2814"));
    assert_false(is_near("", "2814"));
    assert_false(is_near("35 1200 14 3.5 6", "2814")); /* shares no word */
}

static void few_numbers_say_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_near_set *set;
    bool found;
    static const char short_one[] =
        "Ben has 3 pens and 4 cups. He buys 2 more. How many?";
    assert_int_equal(pipe_near_create(&ctx, &set), RT_OK);
    assert_int_equal(pipe_near_add(set, short_one, "9", 0), RT_OK);
    assert_int_equal(pipe_near_find(set, short_one, "9", &found, NULL), RT_OK);
    assert_false(found); /* the same text is found by pipe_problems_leak */
    pipe_near_destroy(&set);
}

/* Many, so that the set grows; the first of several is named. */
static void all_of_a_list_are_found(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_near_set *set;
    char text[128];
    assert_int_equal(pipe_near_create(&ctx, &set), RT_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "Add %u and %u and 7 and %u to it.", i % 500,
                 2 * i % 1000, 3 * (i % 500));
        assert_int_equal(pipe_near_add(set, text, "1", i), RT_OK);
    }
    for (uint32_t i = 0; i < 500; i++) {
        bool found;
        uint32_t value;
        snprintf(text, sizeof text, "To it add 7, %u and %u and %u.", 3 * i, i,
                 2 * i % 1000);
        assert_int_equal(pipe_near_find(set, text, "1", &found, &value), RT_OK);
        assert_true(found && value == i);
    }
    pipe_near_destroy(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_problem_in_other_words_is_found),
        cmocka_unit_test(another_problem_is_not),
        cmocka_unit_test(few_numbers_say_nothing),
        cmocka_unit_test(all_of_a_list_are_found),
    };
    return cmocka_run_group_tests_name("near copies", tests, NULL, NULL);
}

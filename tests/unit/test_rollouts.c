/* What is known of full's continuations after some steps does not depend on the order in
 * which they come: a search that was killed and goes on keeps the same text. */
#include "pipeline/locate/locate_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { SAMPLES = 5, ORDERS = 120 }; /* the greedy one, 0, and four drawn ones */

static struct rt_ctx ctx;

static void learn(struct locate_known *known, uint32_t sample, bool right)
{
    char *text = rt_format(&ctx, "text %u", sample);
    assert_non_null(text);
    locate_learn(known, sample, right, &text);
    rt_free(text); /* null where it was taken */
}

/* Whose text is to be kept of the samples in `seen`. */
static uint32_t wanted_of(uint32_t seen, uint32_t rights)
{
    const uint32_t from = seen & rights ? seen & rights : seen;
    uint32_t sample = 0;
    while (!(from >> sample & 1))
        sample++;
    return sample;
}

static void expect(const struct locate_known *known, uint32_t seen, uint32_t rights)
{
    char text[16];
    const uint32_t wanted = wanted_of(seen, rights);
    snprintf(text, sizeof text, "text %u", wanted);
    assert_int_equal(known->done, seen);
    assert_int_equal(known->sample, wanted);
    assert_string_equal(known->text, text);
    assert_int_equal(known->can, (seen & rights) != 0);
    assert_int_equal(known->greedy_right, (seen & rights & 1) != 0);
    assert_int_equal(known->text_right, known->can);
}

/* Order number `i` of 5! = 120: the digits of i say which of the samples left comes next. */
static void order_of(uint32_t i, uint32_t order[SAMPLES])
{
    uint32_t left[SAMPLES] = { 0, 1, 2, 3, 4 };
    for (uint32_t n = SAMPLES; n > 0; n--) {
        const uint32_t pick = i % n;
        order[SAMPLES - n] = left[pick];
        for (uint32_t k = pick; k + 1 < n; k++)
            left[k] = left[k + 1];
        i /= n;
    }
}

static void learn_in_order(const uint32_t order[SAMPLES], uint32_t rights)
{
    struct locate_known known = { 0 };
    uint32_t seen = 0;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        seen |= 1u << order[i];
        learn(&known, order[i], rights >> order[i] & 1);
        expect(&known, seen, rights);
    }
    rt_free(known.text);
}

/* Every order, every choice of right samples; also after a part of them, which is what a
 * killed search has. */
static void the_order_of_samples_changes_nothing(void **state)
{
    (void)state;
    uint32_t order[SAMPLES];
    for (uint32_t i = 0; i < ORDERS; i++) {
        order_of(i, order);
        for (uint32_t rights = 0; rights < 1u << SAMPLES; rights++)
            learn_in_order(order, rights);
    }
}

/* A row that is read twice, by a search that goes on and by its own reply. */
static void a_sample_may_come_twice(void **state)
{
    (void)state;
    struct locate_known known = { 0 };
    for (int i = 0; i < 2; i++) {
        learn(&known, 2, true);
        learn(&known, 1, false);
        learn(&known, 0, false);
        expect(&known, 7, 1u << 2);
    }
    rt_free(known.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_samples_changes_nothing),
        cmocka_unit_test(a_sample_may_come_twice),
    };
    return cmocka_run_group_tests_name("rollouts", tests, NULL, NULL);
}

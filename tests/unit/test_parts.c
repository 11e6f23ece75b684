/* Lists from several data sets: which problem is of which, and the permutation test. */
#include "pipeline/stats/parts.h"
#include "pipeline/stats/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct rt_ctx ctx;

static void add_all(struct pipe_parts *parts, const char *const *ids, uint32_t n)
{
    assert_int_equal(pipe_parts_init(&ctx, n, parts), RT_OK);
    for (uint32_t i = 0; i < n; i++)
        pipe_parts_add(parts, ids[i]);
    pipe_parts_end(parts);
}

static void parts_are_named_by_ids(void **state)
{
    (void)state;
    struct pipe_parts parts;
    static const char *const ids[] = { "gsm8k/test/0", "svamp/test/chal-7",
                                       "gsm8k/test/9", "math/test/algebra/12" };
    static const bool right[] = { true, true, true, false };
    add_all(&parts, ids, 4);
    assert_int_equal(parts.count, 3);
    assert_string_equal(parts.items[0].name, "gsm8k:test");
    assert_string_equal(parts.items[2].name, "math:test");
    assert_int_equal(parts.items[0].n, 2);
    assert_int_equal(pipe_parts_right(&parts, 0, right), 2);
    assert_int_equal(pipe_parts_right(&parts, 2, right), 0);
    pipe_parts_deinit(&parts);
    pipe_parts_deinit(&parts); /* accepts one that is zero */
}

/* One data set, an id of a file among them, too many data sets. */
static void nothing_to_tell_apart(void **state)
{
    (void)state;
    struct pipe_parts parts;
    char text[40][32];
    const char *many[40];
    static const char *const one[] = { "gsm8k/test/0", "gsm8k/test/1" };
    static const char *const file[] = { "gsm8k/test/0", "p17", "svamp/test/1" };
    static const char *const odd[] = { "/test/0", "a//b", "a/b/", "a/b" };
    add_all(&parts, one, 2);
    assert_int_equal(parts.count, 0);
    pipe_parts_deinit(&parts);
    add_all(&parts, file, 3);
    assert_int_equal(parts.count, 0);
    pipe_parts_deinit(&parts);
    for (int i = 0; i < 4; i++) {
        add_all(&parts, odd + i, 1);
        assert_int_equal(parts.count, 0);
        pipe_parts_deinit(&parts);
    }
    for (uint32_t i = 0; i < 40; i++) {
        snprintf(text[i], sizeof text[i], "set%u/test/1", i);
        many[i] = text[i];
    }
    add_all(&parts, many, 40);
    assert_int_equal(parts.count, 0);
    pipe_parts_deinit(&parts);
    add_all(&parts, many, PIPE_PARTS_MAX);
    assert_int_equal(parts.count, PIPE_PARTS_MAX);
    pipe_parts_deinit(&parts);
}

/* Two parts of 4 and 8 problems; base has all right, other what `wrong` leaves. */
static void fill(struct pipe_parts *parts, bool *base, bool *other, uint32_t wrong4,
                 uint32_t wrong8)
{
    assert_int_equal(pipe_parts_init(&ctx, 12, parts), RT_OK);
    for (uint32_t i = 0; i < 12; i++) {
        pipe_parts_add(parts, i < 4 ? "a/test/1" : "b/test/1");
        base[i] = true;
        other[i] = i < 4 ? i >= wrong4 : i - 4 >= wrong8;
    }
    pipe_parts_end(parts);
}

/* Against all assignments of signs, counted out. */
static void p_is_that_of_all_permutations(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    bool base[12], other[12];
    for (uint32_t a = 0; a <= 4; a++)
        for (uint32_t b = 0; b <= 8; b += 2) {
            struct pipe_parts parts;
            struct pipe_pooled pooled;
            uint32_t far = 0;
            fill(&parts, base, other, a, b);
            pipe_parts_pool(&parts, base, other, DRAWS, 7, &pooled);
            const double sum = a / 4.0 + b / 8.0;
            assert_true(fabs(pooled.difference + sum / 2) < 1e-12);
            for (uint32_t bits = 0; bits < 1u << (a + b); bits++) {
                double x = 0;
                for (uint32_t k = 0; k < a + b; k++)
                    x += (bits >> k & 1 ? 1 : -1) / (k < a ? 4.0 : 8.0);
                far += fabs(x) >= sum - 1e-9;
            }
            const double exact = (double)far / (1u << (a + b));
            const double error = sqrt(exact * (1 - exact) / DRAWS);
            assert_true(fabs(pooled.p - exact) <= 4 * error + 1e-4);
            pipe_parts_deinit(&parts);
        }
}

/* Parts of one size: the sum is the pooled one, so p is McNemar's. */
static void parts_of_one_size_give_mcnemar(void **state)
{
    (void)state;
    enum { N = 200 };
    bool base[N], other[N];
    struct pipe_parts parts;
    struct pipe_pooled pooled, again;
    uint32_t lost = 0, gained = 0;
    assert_int_equal(pipe_parts_init(&ctx, N, &parts), RT_OK);
    for (uint32_t i = 0; i < N; i++) {
        pipe_parts_add(&parts, i % 2 ? "a/test/1" : "b/test/1");
        base[i] = i % 3 != 0;
        other[i] = i % 7 != 0 && i % 3 != 0;
        if (i % 33 == 0)
            other[i] = true;
        lost += base[i] && !other[i];
        gained += !base[i] && other[i];
    }
    pipe_parts_end(&parts);
    pipe_parts_pool(&parts, base, other, 100000, 1, &pooled);
    pipe_parts_pool(&parts, base, other, 100000, 1, &again);
    const double exact = pipe_mcnemar_exact(lost, gained);
    assert_true(exact > 0.0005 && exact < 0.05);
    assert_true(fabs(pooled.p - exact) < 4 * sqrt(exact / 100000) + 1e-5);
    assert_true(pooled.p == again.p);
    assert_true(fabs(pooled.difference - ((double)gained - lost) / N) < 1e-12);
    pipe_parts_deinit(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_named_by_ids),
        cmocka_unit_test(nothing_to_tell_apart),
        cmocka_unit_test(p_is_that_of_all_permutations),
        cmocka_unit_test(parts_of_one_size_give_mcnemar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

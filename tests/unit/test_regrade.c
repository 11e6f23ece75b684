/* Stored answers graded again: what differs is told and replaced, a dry run changes nothing,
 * and answers of formats that are not known stay as they are. */
#include "pipeline/run/regrade.h"
#include "tests/support/answered.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct rt_ctx ctx;

/* The verdict on sample 0 of p1 becomes one that the grader would not give. */
static void falsify(struct test_answered *a, const char *run)
{
    char gen[STORE_ID];
    const struct pipe_score wrong = { "demo", "9", true, false, "by hand" };
    store_gen_id(run, "p1", 0, gen);
    assert_int_equal(store_begin(a->store), RT_OK);
    assert_int_equal(store_put_score(a->store, gen, &wrong), RT_OK);
    assert_int_equal(store_commit(a->store), RT_OK);
}

static void take(void *user, const struct pipe_regraded *c)
{
    (*(unsigned *)user)++;
    assert_string_equal(c->problem_id, "p1");
    assert_string_equal(c->label, "full");
    assert_false(c->was_correct);
    assert_string_equal(c->was_extracted, "9");
    assert_true(c->now->correct);
    assert_string_equal(c->now->extracted, "7");
}

static void verdicts_are_put_right(void **state)
{
    (void)state;
    char run[STORE_ID];
    unsigned told = 0;
    struct test_answered a;
    struct pipe_regrade_result n;
    struct pipe_regrade_options o = { .run = "", .dry = true, .fn = take, .user = &told };
    test_answered_init(&a, &ctx, test_folder_file(&test_scratch, "a.db"));
    test_answered_list(&a, "two", 2);
    test_answered_run(&a, "quant", "quant", "10", 1, run);
    test_answered_run(&a, "full", "full", "11", 1, run);
    assert_int_equal(pipe_regrade(&ctx, a.store, &o, &n), RT_OK);
    assert_int_equal(n.answers, 4);
    assert_int_equal(n.to_right + n.to_wrong + n.unknown + told, 0);
    falsify(&a, run);
    for (int i = 0; i < 3; i++) { /* dry, dry again, then for good */
        o.dry = i < 2;
        assert_int_equal(pipe_regrade(&ctx, a.store, &o, &n), RT_OK);
        assert_int_equal(n.to_right, 1);
        assert_int_equal(n.to_wrong, 0);
        assert_int_equal(told, i + 1);
    }
    assert_int_equal(pipe_regrade(&ctx, a.store, &o, &n), RT_OK);
    assert_int_equal(n.to_right + n.to_wrong + n.other, 0);
    o.run = "quant";
    assert_int_equal(pipe_regrade(&ctx, a.store, &o, &n), RT_OK);
    assert_int_equal(n.answers, 2);
    o.run = "nobody";
    test_refused(&ctx, pipe_regrade(&ctx, a.store, &o, &n), RT_ERR_USAGE, "nobody", NULL);
    test_answered_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(verdicts_are_put_right) };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}

/* Data sets in the results file: added whole or not at all, never changed, read back as
 * they were. */
#include "store/store_data.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const struct pipe_problem problems[] = {
    { .id = "own/test/0", .question = "one?", .answer = "1", .reference = "it is 1" },
    { .id = "own/test/1", .question = "two?", .answer = "2", .level = "easy" },
    { .id = "own/test/2", .question = "three?", .answer = "3", .subject = "Algebra" },
};
static const struct store_dataset facts = { .name = "own",
                                            .split = "test",
                                            .source_hash = "00ff",
                                            .bytes = 5,
                                            .path = "own.jsonl",
                                            .licence = "MIT",
                                            .origin = "own",
                                            .use = "measure",
                                            .published = true,
                                            .count = 3 };

static struct store *open_store(struct rt_ctx *ctx)
{
    struct store *s = NULL;
    if (store_open(ctx, test_folder_file(&test_scratch, "s.db"), STORE_WRITE, &s) !=
        RT_OK)
        fail_msg("%s", ctx->message);
    return s;
}

static rt_status put(struct store *s, const struct store_dataset *what,
                     const struct pipe_problem *list, bool *added)
{
    struct store_dataset d = *what;
    assert_int_equal(store_begin(s), RT_OK);
    rt_status st = store_put_dataset(s, &d, list, added);
    if (st == RT_OK)
        st = store_commit(s);
    else
        store_rollback(s);
    return st;
}

static rt_status count_one(void *user, const struct store_dataset *d)
{
    (void)d;
    (*(uint32_t *)user)++;
    return RT_OK;
}

static uint32_t count_sets(struct store *s)
{
    uint32_t count = 0;
    assert_int_equal(store_each_dataset(s, NULL, count_one, &count), RT_OK);
    return count;
}

static void a_set_comes_back_as_it_was(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    struct pipe_problem_set set;
    struct store_dataset d;
    bool added;
    assert_int_equal(put(s, &facts, problems, &added), RT_OK);
    assert_true(added);
    assert_int_equal(put(s, &facts, problems, &added), RT_OK);
    assert_false(added);
    assert_int_equal(store_load_dataset(s, "own", "test", &set, &d), RT_OK);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.items[0].reference, "it is 1");
    assert_null(set.items[0].level);
    assert_string_equal(set.items[1].level, "easy");
    assert_string_equal(set.items[2].subject, "Algebra");
    assert_string_equal(d.licence, "MIT");
    assert_string_equal(d.source_hash, "00ff");
    assert_string_equal(d.use, "measure");
    assert_true(d.published && d.bytes == 5);
    pipe_problems_deinit(&set);
    test_refused(&ctx, store_load_dataset(s, "own", "train", &set, NULL), RT_ERR_INPUT,
                 "own:train", "there is test", "data add own", NULL);
    assert_int_equal(set.count, 0);
    store_close(&s);
}

static void another_set_of_that_name_changes_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    struct pipe_problem_set set;
    struct pipe_problem other[3];
    bool added;
    memcpy(other, problems, sizeof other);
    other[2].answer = "4";
    assert_int_equal(put(s, &facts, problems, &added), RT_OK);
    test_refused(&ctx, put(s, &facts, other, &added), RT_ERR_INPUT, "own:test", "already",
                 "another name", NULL);
    assert_false(added);
    assert_int_equal(store_load_dataset(s, "own", "test", &set, NULL), RT_OK);
    assert_string_equal(set.items[2].answer, "3");
    pipe_problems_deinit(&set);
    /* ids that stand for the problems of another set */
    struct store_dataset second = facts;
    second.name = "second";
    test_refused(&ctx, put(s, &second, problems, &added), RT_ERR_INPUT, "second:test",
                 "3 of its ids", NULL);
    assert_int_equal(count_sets(s), 1);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_set_comes_back_as_it_was, test_scratch_set_up,
                                        test_scratch_tear_down),
        cmocka_unit_test_setup_teardown(another_set_of_that_name_changes_nothing,
                                        test_scratch_set_up, test_scratch_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

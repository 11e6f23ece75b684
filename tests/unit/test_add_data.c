/* Data sets into the store: what is known of them, all or none, and which problems of a
 * training set also stand in a measuring one. */
#include "pipeline/run/add_data.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct rt_ctx ctx;

static void add(struct store *store, const char *name, const char *split,
                const char *text, const char *licence, struct store_dataset *row,
                bool *added)
{
    uint32_t count = 0;
    struct pipe_dataset data[PIPE_DATASET_SPLITS_MAX];
    char file[80];
    snprintf(file, sizeof file, "%s-%s.jsonl", name, split);
    const char *path = test_folder_file(&test_scratch, file);
    const struct pipe_dataset_ask ask = { .name = name, .path = path, .split = split };
    test_file_write(path, text, strlen(text));
    if (pipe_dataset_read(&ctx, &ask, data, &count) != RT_OK ||
        pipe_data_add(store, data, count, licence, row, added) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(count, 1);
    pipe_dataset_deinit(&data[0]);
}

static void take(void *user, const struct store_dataset *measured, uint32_t dropped)
{
    char *told = user;
    snprintf(told, 80, "%s:%s %u", measured->name, measured->split, dropped);
}

#define ROW(id, question) \
    "{\"id\":\"" id "\",\"question\":\"" question "\",\"answer\":\"1\"}\n"

static void a_set_is_known_and_its_overlap_found(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct store_dataset row;
    bool added;
    char told[80] = "";
    assert_int_equal(
        store_open(&ctx, test_folder_file(&test_scratch, "a.db"), STORE_WRITE, &store),
        RT_OK);
    add(store, "mine", "train", ROW("a", "One?") ROW("b", "Two?") ROW("c", "Three?"),
        NULL, &row, &added);
    assert_true(added);
    assert_string_equal(row.use, "train");
    assert_string_equal(row.licence, "not stated");
    assert_string_equal(row.origin, "own");
    assert_false(row.published);
    assert_int_equal(row.count, 3);
    add(store, "mine", "train", ROW("a", "One?") ROW("b", "Two?") ROW("c", "Three?"),
        NULL, &row, &added);
    assert_false(added);
    const struct store_dataset train = { .name = "mine",
                                         .split = "train",
                                         .use = "train" };
    assert_int_equal(pipe_data_overlaps(&ctx, store, &train, take, told), RT_OK);
    assert_string_equal(told, ""); /* nothing is for measuring yet */
    add(store, "other", "test", ROW("d", "Four?") ROW("e", "two") ROW("f", "ONE ?"),
        "MIT", &row, &added);
    assert_string_equal(row.use, "measure");
    assert_string_equal(row.licence, "MIT");
    assert_int_equal(pipe_data_overlaps(&ctx, store, &train, take, told), RT_OK);
    assert_string_equal(told, "other:test 2");
    told[0] = '\0';
    const struct store_dataset test = { .name = "other",
                                        .split = "test",
                                        .use = "measure" };
    assert_int_equal(pipe_data_overlaps(&ctx, store, &test, take, told), RT_OK);
    assert_string_equal(told, "");
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        a_set_is_known_and_its_overlap_found) };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}

/* Problems by what the user types: files, data sets, and several of these as one list. */
#include "pipeline/run/add_data.h"
#include "pipeline/run/problem_source.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define ROW(id, question) \
    "{\"id\":\"" id "\",\"question\":\"" question "\",\"answer\":\"1\"}\n"

static struct rt_ctx ctx;
static struct store *store;

static const char *file(const char *name, const char *text)
{
    const char *path = test_folder_file(&test_scratch, name);
    test_file_write(path, text, strlen(text));
    return path;
}

static void add(const char *name, const char *split, const char *text)
{
    bool added;
    uint32_t count = 0;
    struct store_dataset row;
    struct pipe_dataset data[PIPE_DATASET_SPLITS_MAX];
    char own[80];
    snprintf(own, sizeof own, "%s-%s.jsonl", name, split);
    const struct pipe_dataset_ask ask = { .name = name,
                                          .path = file(own, text),
                                          .split = split };
    assert_int_equal(pipe_dataset_read(&ctx, &ask, data, &count), RT_OK);
    assert_int_equal(pipe_data_add(store, data, count, NULL, &row, &added), RT_OK);
    pipe_dataset_deinit(&data[0]);
}

static int begin(void **state)
{
    (void)state;
    if (store_open(&ctx, test_folder_file(&test_scratch, "a.db"), STORE_WRITE, &store) !=
        RT_OK)
        return -1;
    add("one", "test", ROW("a", "Uno?") ROW("b", "Due?") ROW("c", "Tre?"));
    add("two", "test", ROW("a", "Quattro?") ROW("d", "Cinque?"));
    add("three", "train", ROW("x", "Uno?") ROW("y", "Sei?"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_close(&store);
    return 0;
}

static rt_status open_list(const char *spec, enum pipe_problem_use use,
                           struct pipe_problem_set *set)
{
    return pipe_problems_open(&ctx, NULL, store, spec, use, set);
}

static void data_sets_follow_each_other(void **state)
{
    (void)state;
    struct pipe_problem_set set;
    assert_int_equal(open_list("two:test,one:test[1:3]", PIPE_FOR_MEASURING, &set),
                     RT_OK);
    assert_int_equal(set.count, 4);
    assert_string_equal(set.items[0].id, "two/test/a");
    assert_string_equal(set.items[2].id, "one/test/b");
    assert_string_equal(set.items[3].question, "Tre?");
    assert_string_equal(set.name, "two:test,one:test[1:3]");
    assert_string_equal(set.label, "two:test,one:test[1:3]");
    char hash[sizeof set.hash];
    memcpy(hash, set.hash, sizeof hash);
    assert_int_equal(pipe_problems_rehash(&ctx, &set), RT_OK);
    assert_string_equal(set.hash, hash);
    pipe_problems_deinit(&set);
}

static void files_and_data_sets_mix(void **state)
{
    (void)state;
    struct pipe_problem_set set;
    char spec[512];
    snprintf(spec, sizeof spec, "%s[0:1],one:test",
             file("p.jsonl", ROW("p1", "Otto?") ROW("p2", "Nove?")));
    assert_int_equal(open_list(spec, PIPE_FOR_MEASURING, &set), RT_OK);
    assert_int_equal(set.count, 4);
    assert_string_equal(set.items[0].id, "p1");
    assert_string_equal(set.label, "p.jsonl[0:1],one:test");
    pipe_problems_deinit(&set);
}

/* A file whose name has a comma is that file, with and without a part. */
static void a_comma_in_a_file_name(void **state)
{
    (void)state;
    struct pipe_problem_set set;
    char spec[512];
    const char *path = file("a,b.jsonl", ROW("p1", "Otto?") ROW("p2", "Nove?"));
    assert_int_equal(open_list(path, PIPE_FOR_MEASURING, &set), RT_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.label, "a,b.jsonl");
    pipe_problems_deinit(&set);
    snprintf(spec, sizeof spec, "%s[1:2]", path);
    assert_int_equal(open_list(spec, PIPE_FOR_MEASURING, &set), RT_OK);
    assert_int_equal(set.count, 1);
    pipe_problems_deinit(&set);
}

/* Each part is guarded: what is measured anywhere is left out, measuring sets are refused. */
static void parts_for_training_are_guarded(void **state)
{
    (void)state;
    struct pipe_problem_set set;
    char spec[512];
    snprintf(spec, sizeof spec, "%s,three:train", file("q.jsonl", ROW("q", "Dieci?")));
    assert_int_equal(open_list(spec, PIPE_FOR_TRAINING, &set), RT_OK);
    assert_int_equal(set.count, 2); /* "Uno?" is in one:test */
    assert_string_equal(set.items[1].id, "three/train/y");
    pipe_problems_deinit(&set);
    assert_int_equal(open_list("three:train,one:test", PIPE_FOR_TRAINING, &set),
                     RT_ERR_USAGE);
    assert_non_null(strstr(ctx.message, "one:test is for measuring only"));
    assert_int_equal(set.count, 0);
}

static void bad_lists_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *says;
        rt_status status;
    } bad[] = {
        { "one:test,one:test", "stands in two of these lists", RT_ERR_USAGE },
        { "one:test[0:2],one:test[1:3]", "'one/test/b' stands in two", RT_ERR_USAGE },
        { "one:test,", "missing beside a comma", RT_ERR_USAGE },
        { ",one:test", "missing beside a comma", RT_ERR_USAGE },
        { "one:test,,two:test", "missing beside a comma", RT_ERR_USAGE },
        { "one:test,nothing", "there is no such file", RT_ERR_INPUT },
        { "one:test,two:test[5:9]", "beyond its 2 problems", RT_ERR_USAGE },
        { "one:test,two:train", "two:train", RT_ERR_INPUT },
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        struct pipe_problem_set set;
        assert_int_equal(open_list(bad[i].spec, PIPE_FOR_MEASURING, &set), bad[i].status);
        if (!strstr(ctx.message, bad[i].says))
            fail_msg("%s: %s", bad[i].spec, ctx.message);
        assert_null(set.items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(data_sets_follow_each_other, begin, end),
        cmocka_unit_test_setup_teardown(files_and_data_sets_mix, begin, end),
        cmocka_unit_test_setup_teardown(a_comma_in_a_file_name, begin, end),
        cmocka_unit_test_setup_teardown(parts_for_training_are_guarded, begin, end),
        cmocka_unit_test_setup_teardown(bad_lists_are_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}

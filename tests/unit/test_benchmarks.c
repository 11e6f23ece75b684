/* The published data sets, where ../shared/data lies beside the source: every one is
 * recognised in every packing, with the count and the answers that are known. */
#include "pipeline/data/data_file.h"
#include "pipeline/data/data_leak.h"
#include "pipeline/data/data_set.h"
#include "pipeline/data/data_spec.h"
#include "pipeline/data/near_copy.h"
#include "runtime/base/file.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static char shared[1024];

static void read_sets(const char *name, const char *folder, struct pipe_dataset *out,
                      uint32_t *count)
{
    struct rt_ctx ctx = { 0 };
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", shared, folder);
    const struct pipe_dataset_ask ask = { .name = name, .path = path };
    if (pipe_dataset_read(&ctx, &ask, out, count) != RT_OK)
        fail_msg("%s", ctx.message);
}

static void drop_sets(struct pipe_dataset *sets, uint32_t count)
{
    while (count > 0)
        pipe_dataset_deinit(&sets[--count]);
}

static void every_published_set_is_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *name, *folder;
        uint32_t splits;
    } rows[] = {
        { "gsm8k", "gsm8k", 3 },           { "math", "math", 2 },
        { "math500", "math", 1 },          { "aime24", "aime", 1 },
        { "aime25", "aime", 1 },           { "amc23", "amc23", 1 },
        { "svamp", "svamp", 1 },           { "asdiv", "asdiv", 1 },
        { "multiarith", "multiarith", 1 }, { "gsm-hard", "gsm-hard", 1 },
    };
    unsigned wrong = 0;
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct pipe_dataset sets[PIPE_DATASET_SPLITS_MAX];
        uint32_t count;
        read_sets(rows[i].name, rows[i].folder, sets, &count);
        assert_int_equal(count, rows[i].splits);
        for (uint32_t k = 0; k < count; k++) {
            const struct pipe_dataset *d = &sets[k];
            assert_true(d->published);
            assert_int_equal(d->set.count, d->facts->count);
            if (strcmp(d->content, d->facts->content) != 0 && ++wrong)
                print_error("%s:%s content %s\n", d->name, d->split, d->content);
        }
        drop_sets(sets, count);
    }
    assert_int_equal(wrong, 0);
}

/* Our gold is the field "answer" that was extracted for the shared copy, spaces at the
 * ends aside. */
static void boxed_answers_are_those_known(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset sets[PIPE_DATASET_SPLITS_MAX];
    uint32_t count, compared = 0;
    read_sets("math", "math", sets, &count);
    for (uint32_t k = 0; k < count; k++) {
        struct pipe_data_file file;
        assert_int_equal(pipe_data_file_read(&ctx, sets[k].path, &file), RT_OK);
        const char *at = file.text;
        for (uint32_t i = 0; i < sets[k].set.count; i++) {
            const size_t length = strcspn(at, "\n");
            json_t *row = json_loadb(at, length, 0, NULL);
            const char *answer = json_string_value(json_object_get(row, "answer"));
            char *known = rt_alloc(&ctx, strlen(answer) + 1, 1);
            pipe_gold_extract(PIPE_GOLD_PLAIN, answer, known);
            assert_string_equal(sets[k].set.items[i].answer, known);
            rt_free(known);
            json_decref(row);
            at += length + 1;
            compared++;
        }
        pipe_data_file_deinit(&file);
    }
    assert_int_equal(compared, 12500);
    drop_sets(sets, count);
}

static void training_drops_what_is_measured(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset sets[PIPE_DATASET_SPLITS_MAX], gsm[PIPE_DATASET_SPLITS_MAX];
    uint32_t count, dropped;
    read_sets("math", "math", sets, &count);
    /* 11 test problems stand in train; two of them are one problem there */
    assert_int_equal(pipe_data_drop_leaks(&ctx, &sets[0].set, &sets[1].set, &dropped),
                     RT_OK);
    assert_int_equal(dropped, 10);
    assert_int_equal(sets[0].set.count, 7490);
    assert_int_equal(pipe_data_drop_leaks(&ctx, &sets[0].set, &sets[1].set, &dropped),
                     RT_OK);
    assert_int_equal(dropped, 0);
    assert_int_equal(pipe_data_drop_unanswered(&sets[0].set), 2); /* an empty box */
    drop_sets(sets, count);
    read_sets("math", "math", sets, &count);
    assert_int_equal(pipe_data_drop_leaks(&ctx, &sets[1].set, &sets[0].set, &dropped),
                     RT_OK);
    assert_int_equal(dropped, 11);
    drop_sets(sets, count);
    read_sets("gsm8k", "gsm8k", gsm, &count);
    assert_int_equal(pipe_data_drop_leaks(&ctx, &gsm[0].set, &gsm[1].set, &dropped),
                     RT_OK);
    assert_int_equal(dropped, 0);
    drop_sets(gsm, count);
}

static void a_test_file_cannot_be_added_as_training(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset sets[PIPE_DATASET_SPLITS_MAX];
    char path[1200];
    uint32_t count;
    snprintf(path, sizeof path, "%s/gsm8k/test.jsonl", shared);
    const struct pipe_dataset_ask ask = {
        .name = "gsm8k", .path = path, .split = "train", .accept = true
    };
    test_refused(&ctx, pipe_dataset_read(&ctx, &ask, sets, &count), RT_ERR_INPUT,
                 "gsm8k:test, not gsm8k:train", NULL);
}

/* MATH as it was first published: a folder a subject, a file a problem. */
static void math_as_folders_is_the_same_data(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    char path[1200], folder[1200];
    struct pipe_data_file file;
    snprintf(path, sizeof path, "%s/math/test.jsonl.gz", shared);
    assert_int_equal(pipe_data_file_read(&ctx, path, &file), RT_OK);
    struct test_folder root;
    test_folder_init(&root);
    for (const char *at = file.text; *at; at += strcspn(at, "\n") + 1) {
        json_t *row = json_loadb(at, strcspn(at, "\n"), 0, NULL);
        const char *id = json_string_value(json_object_get(row, "unique_id"));
        snprintf(path, sizeof path, "%s/%s", root.path, id);
        snprintf(folder, sizeof folder, "%s", path);
        *strrchr(folder, '/') = '\0';
        assert_int_equal(fmt_make_folder(&ctx, folder), RT_OK);
        json_object_del(row, "unique_id");
        json_object_del(row, "answer");
        json_object_del(row, "math500");
        assert_int_equal(json_dump_file(row, path, 0), 0);
        json_decref(row);
    }
    pipe_data_file_deinit(&file);
    struct pipe_dataset sets[PIPE_DATASET_SPLITS_MAX];
    uint32_t count;
    const struct pipe_dataset_ask ask = { .name = "math", .path = root.path };
    if (pipe_dataset_read(&ctx, &ask, sets, &count) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(count, 1);
    assert_int_equal(sets[0].set.count, 5000);
    assert_true(sets[0].published);
    assert_string_equal(sets[0].content, sets[0].facts->content);
    assert_string_equal(sets[0].set.items[0].id, "math/test/algebra/1");
    drop_sets(sets, count);
    test_folder_deinit(&root);
}

/* Published sets are other problems than each other: what the rule of near copies finds
 * between them is a false alarm, but in ASDiv and MultiArith and in the parts of MATH, which
 * share problems. */
static void near_copies_between_sets_are_rare(void **state)
{
    (void)state;
    static const struct {
        const char *train, *measured;
        uint32_t split, most; /* of `measured`; near copies */
    } rows[] = {
        { "gsm8k", "gsm8k", 1, 0 },      { "gsm8k", "svamp", 0, 0 },
        { "gsm8k", "multiarith", 0, 0 }, { "asdiv", "gsm8k", 1, 0 },
        { "asdiv", "svamp", 0, 0 },      { "asdiv", "multiarith", 0, 1 },
        { "multiarith", "svamp", 0, 0 }, { "math", "math", 1, 20 },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_dataset a[PIPE_DATASET_SPLITS_MAX], b[PIPE_DATASET_SPLITS_MAX];
        struct pipe_leak near, same;
        uint32_t na, nb;
        read_sets(rows[i].train, rows[i].train, a, &na);
        read_sets(rows[i].measured, rows[i].measured, b, &nb);
        assert_true(rows[i].split < nb);
        const struct pipe_problem_set *of_b = &b[rows[i].split].set;
        assert_int_equal(pipe_problems_near(&ctx, &a[0].set, of_b, &near), RT_OK);
        assert_int_equal(pipe_problems_leak(&ctx, &a[0].set, of_b, &same), RT_OK);
        printf("    %s (%u) and %s (%u): %u near copies, %u with the same text\n",
               a[0].set.name, a[0].set.count, of_b->name, of_b->count, near.count,
               same.count);
        assert_true(near.count <= rows[i].most);
        drop_sets(a, na);
        drop_sets(b, nb);
    }
}

int main(void)
{
    snprintf(shared, sizeof shared, "%s/../shared/data", TEST_SOURCE_DIR);
    if (!fmt_exists(shared)) /* a work tree lies a folder deeper */
        snprintf(shared, sizeof shared, "%s/../../shared/data", TEST_SOURCE_DIR);
    if (!fmt_exists(shared)) {
        printf(
            "skipped: no ../shared/data beside the source (the published data sets are "
            "not part of it)\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_published_set_is_recognised),
        cmocka_unit_test(boxed_answers_are_those_known),
        cmocka_unit_test(training_drops_what_is_measured),
        cmocka_unit_test(near_copies_between_sets_are_rare),
        cmocka_unit_test(a_test_file_cannot_be_added_as_training),
        cmocka_unit_test(math_as_folders_is_the_same_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A file of answers becomes a run, and a run a file: what goes out comes back as the same
 * answers, a second import adds nothing, and a file that is refused leaves nothing. */
#include "pipeline/exchange/export_run.h"
#include "pipeline/exchange/import_run.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct test_folder folder;
static struct rt_ctx ctx;
static struct store *store;

static int make_folder(void **state)
{
    (void)state;
    test_folder_init(&folder);
    test_folder_fill(&folder, "tests/golden/exchange");
    const char *path = test_folder_file(&folder, "a.db");
    return store_open(&ctx, path, STORE_WRITE, &store) == RT_OK ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    store_close(&store);
    test_folder_deinit(&folder);
    return 0;
}

static rt_status import(const char *name, const char *role,
                        struct pipe_import_result *out)
{
    const char *problems = test_folder_file(&folder, "problems.jsonl");
    const char *path = test_folder_file(&folder, name);
    const struct pipe_import_options o = {
        .path = path,
        .kind = PIPE_IMPORT_AUTO,
        .bench = problems,
        .format = pipe_prompt_format_find("gsm8k-8shot-cot"),
        .role = role,
    };
    const rt_status st = pipe_import_run(&ctx, NULL, store, &o, out);
    if (st == RT_OK)
        assert_string_equal(out->bench, problems + strlen(folder.path) + 1);
    return st;
}

static void what_goes_out_comes_back(void **state)
{
    (void)state;
    struct pipe_import_result first, again, back;
    struct store_eval_run of;
    uint32_t answers;
    if (import("own_words.json", "quant", &first) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(first.import.count, 8);
    assert_int_equal(first.added, 8);
    assert_true(first.run[0] && first.right > 0 && first.right <= 8);
    assert_string_equal(first.label, "mockllm/model");
    assert_int_equal(import("own_words.json", "quant", &again), RT_OK);
    assert_int_equal(again.added, 0);
    assert_string_equal(again.run, first.run);
    const char *path = test_folder_file(&folder, "out.jsonl");
    if (pipe_export_run(&ctx, store, first.label, path, PIPE_EXPORT_JSONL, &of,
                        &answers) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_string_equal(of.run_id, first.run);
    assert_int_equal(answers, 8);
    assert_int_equal(import("out.jsonl", "control", &back), RT_OK);
    assert_int_equal(back.import.count, 8);
    assert_int_equal(back.right, first.right);
    assert_int_equal(back.unparsed, first.unparsed);
    assert_string_not_equal(back.run, first.run);
    pipe_import_result_deinit(&first);
    pipe_import_result_deinit(&again);
    pipe_import_result_deinit(&back);
}

static void what_is_refused_leaves_nothing(void **state)
{
    (void)state;
    struct pipe_import_result r;
    struct store_eval_run of;
    uint32_t answers;
    test_refused(&ctx, import("own_words.json", "nobody", &r), RT_ERR_USAGE, "nobody",
                 NULL);
    pipe_import_result_deinit(&r);
    test_refused(&ctx, import("none.json", "full", &r), RT_ERR_INPUT, "none.json", NULL);
    pipe_import_result_deinit(&r);
    const char *other = test_folder_file(&folder, "other.jsonl");
    const char *line = "{\"id\":\"not-there\",\"output\":\"1\"}\n";
    test_file_write(other, line, strlen(line));
    test_refused(&ctx, import("other.jsonl", "restored", &r), RT_ERR_INPUT, NULL);
    pipe_import_result_deinit(&r);
    test_refused(&ctx,
                 pipe_export_run(&ctx, store, "restored",
                                 test_folder_file(&folder, "e.jsonl"), PIPE_EXPORT_JSONL,
                                 &of, &answers),
                 RT_ERR_USAGE, "no eval run of restored", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_out_comes_back),
        cmocka_unit_test(what_is_refused_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

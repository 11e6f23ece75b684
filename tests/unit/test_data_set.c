/* Readers of data sets on small files written here: every format, and every way in which
 * a file can be wrong. */
#include "pipeline/data/data_leak.h"
#include "pipeline/data/data_set.h"
#include "pipeline/data/data_spec.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static rt_status read_as(struct rt_ctx *ctx, const char *file, const char *format,
                         const void *text, size_t size, struct pipe_dataset *out)
{
    struct pipe_dataset sets[PIPE_DATASET_SPLITS_MAX];
    uint32_t count;
    const char *path = test_folder_file(&test_scratch, file);
    test_file_write(path, text, size);
    const struct pipe_dataset_ask ask = { .name = "own", .path = path, .format = format };
    const rt_status st = pipe_dataset_read(ctx, &ask, sets, &count);
    assert_int_equal(count, st == RT_OK ? 1 : 0);
    if (st == RT_OK)
        *out = sets[0];
    return st;
}

/* The first problem of a file of that format. */
static void reads(const char *file, const char *format, const char *text, const char *id,
                  const char *question, const char *answer)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset d;
    if (read_as(&ctx, file, format, text, strlen(text), &d) != RT_OK)
        fail_msg("%s: %s", format ? format : file, ctx.message);
    assert_string_equal(d.set.items[0].id, id);
    assert_string_equal(d.set.items[0].question, question);
    assert_string_equal(d.set.items[0].answer, answer);
    assert_false(d.published);
    pipe_dataset_deinit(&d);
}

static void every_format_is_read(void **state)
{
    (void)state;
    reads(
        "train.jsonl", "gsm8k",
        "{\"question\": \"Two and two?\", \"answer\": \"2+2=<<2+2=4>>4\\n#### 1,234\"}\n",
        "own/train/0", "Two and two?", "1234");
    reads(
        "a.jsonl", "math",
        "{\"unique_id\":\"test/algebra/7.json\",\"problem\":\"x?\",\"level\":\"Level 1\","
        "\"type\":\"Algebra\",\"solution\":\"\\\\boxed{1}, so \\\\fbox{ \\\\frac{1}{2} "
        "}.\"}",
        "own/test/algebra/7", "x?", "\\frac{1}{2}");
    reads("a.jsonl", "math500",
          "{\"unique_id\":\"test/a/1.json\",\"problem\":\"x?\",\"solution\":\"s\","
          "\"answer\":\"\\\\pi\"}",
          "own/test/a/1", "x?", "\\pi");
    reads("a.jsonl", "aime",
          "{\"id\":\"a-0\",\"problem\":\"x?\",\"expected_answer\":\"70\"}",
          "own/test/a-0", "x?", "70");
    reads("a.jsonl", "amc23", "{\"id\":3,\"problem\":\"x?\",\"answer\":27.0}",
          "own/test/3", "x?", "27");
    reads("a.json", "svamp",
          "[\n {\"ID\":\"c-1\",\"Body\":\"A has 3. "
          "\",\"Question\":\"And?\",\"Answer\":-1.5}]",
          "own/test/c-1", "A has 3. And?", "-1.5");
    reads("a.xml", "asdiv",
          "<?xml version=\"1.0\"?>\n<C><S><Problem ID=\"n1\" Grade=\"1\"><Body>A &amp; "
          "B.</Body>\n<Question>How many?</Question><Answer>9 (years old); 7 (years)"
          "</Answer></Problem></S></C>",
          "own/test/n1", "A & B. How many?", "9; 7");
    reads("a.jsonl", "input-target", "{\"input\":\"x?\",\"target\":1e22}", "own/test/0",
          "x?", "1e+22");
    reads(
        "a.csv", NULL,
        "id,question,answer\r\nq1,\"two\nlines, \"\"quoted\"\"\",  5 \r\n\r\nq2,b,6\r\n",
        "own/test/q1", "two\nlines, \"quoted\"", "5");
    reads("a.csv", NULL, "id,question,answer\rq1,two,5\r\rq2,b,6\r", "own/test/q1", "two",
          "5");
    reads("a.jsonl", NULL,
          "{\"question\":\"x?\",\"answer\":36893488147419103232}\r{\"question\":\"y?\","
          "\"answer\":1}\r",
          "own/test/0", "x?", "36893488147419103232");
    reads("a.jsonl", NULL, "\xef\xbb\xbf{\"question\":\"x?\",\"answer\":\"y\"}\n",
          "own/test/0", "x?", "y");
}

static void gold_is_the_last_that_balances(void **state)
{
    (void)state;
    static const struct {
        enum pipe_gold_rule rule;
        const char *text, *gold; /* null: none */
    } rows[] = {
        { PIPE_GOLD_BOXED, "\\boxed{a{b}c} then \\boxed{open", "a{b}c" },
        { PIPE_GOLD_BOXED, "$\\boxed 7$", "7" },
        { PIPE_GOLD_BOXED, "\\boxed{\\{1,2\\}}", "\\{1,2\\}" },
        { PIPE_GOLD_BOXED, "\\boxed{}", "" },
        { PIPE_GOLD_BOXED, "\\boxed", NULL },
        { PIPE_GOLD_BOXED, "no box", NULL },
        { PIPE_GOLD_BOXED, "", NULL },
        { PIPE_GOLD_HASHES, "#### 1\n#### -2,500\n", "-2500" },
        { PIPE_GOLD_HASHES, "####", NULL },
        { PIPE_GOLD_HASHES, "42", NULL },
        { PIPE_GOLD_UNIT, "14  (seats)", "14" },
        { PIPE_GOLD_UNIT, "(nothing)", NULL },
        { PIPE_GOLD_UNIT, "3:4", "3:4" },
        { PIPE_GOLD_PLAIN, " x ", "x" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        char out[64];
        const bool there = pipe_gold_extract(rows[i].rule, rows[i].text, out);
        if (there != (rows[i].gold != NULL) || (there && strcmp(out, rows[i].gold) != 0))
            fail_msg("'%s': '%s'", rows[i].text, out);
    }
}

static void refuses(const char *file, const char *format, const char *text, size_t size,
                    const char *first, const char *second)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset d;
    const rt_status st = read_as(&ctx, file, format, text, size, &d);
    test_refused(&ctx, st, RT_ERR_INPUT, file, first, second, NULL);
}
#define REFUSES(file, format, text, first, second) \
    refuses(file, format, text, sizeof(text) - 1, first, second)

static void bad_files_are_refused_with_their_place(void **state)
{
    (void)state;
    const char good[] = "{\"question\":\"x?\",\"answer\":\"y\"}\n";
    REFUSES("a.jsonl", NULL, "", "no problem", "");
    REFUSES("a.jsonl", NULL, "{\"question\":\"x?\",\"answer\":\"y\"}\n{\"question\":,}\n",
            "line 2, column 13", "not JSON");
    REFUSES("a.jsonl", NULL, "\n{\"question\":\"x?\",\"ans", "line 2, column",
            "not JSON");
    REFUSES("a.jsonl", NULL, "17\n", "line 1", "not a JSON object");
    REFUSES("a.json", NULL, "[{\"question\":\"x?\",\"answer\":\"y\"}, 5]", "item 2",
            "not a JSON object");
    REFUSES("a.jsonl", NULL, "{\"question\":\"x?\"}", "line 1", "'answer' is missing");
    REFUSES("a.jsonl", NULL, "{\"question\":\"x?\",\"answer\":\" \"}", "line 1",
            "'answer' is empty");
    REFUSES("a.jsonl", NULL, "{\"question\":\"x?\",\"answer\":true}", "'answer'",
            "must be text");
    REFUSES("a.jsonl", NULL, "{\"answer\":\"x?\"}", "'question' is missing", "");
    REFUSES("a.jsonl", "gsm8k", "{\"question\":\"x?\",\"answer\":\"y\"}", "line 1",
            "####");
    REFUSES("a.jsonl", "math", "{\"problem\":\"x?\",\"solution\":\"\\\\boxed{\"}",
            "'solution'", "balance");
    REFUSES("a.jsonl", NULL,
            "{\"id\":\"q\",\"question\":\"x?\",\"answer\":\"y\"}\n\n"
            "{\"id\":\"q\",\"question\":\"z?\",\"answer\":\"y\"}\n",
            "line 3: id 'q'", "line 1");
    REFUSES("a.jsonl", NULL, "{\"question\":\"x?\",\n \"a\xe9\"", "line 2, column 4",
            "UTF-8");
    REFUSES("a.jsonl", NULL, "\xff\xfe{\0", "UTF-16", "iconv -f UTF-16 -t UTF-8");
    REFUSES("a.jsonl", NULL, "\xfe\xff\0{", "UTF-16", "iconv -f UTF-16 -t UTF-8");
    REFUSES("a.jsonl", NULL, "\xff\xfe\0\0{\0\0", "UTF-32", "iconv -f UTF-32 -t UTF-8");
    REFUSES("a.jsonl", NULL, "\0\0\xfe\xff\0\0\0{", "UTF-32", "iconv -f UTF-32 -t");
    REFUSES("a.csv", NULL, "q\0,\0a\0\n\0", "UTF-16", "iconv -f UTF-16LE -t UTF-8");
    REFUSES("a.csv", NULL, "\0q\0,\0a\0\n", "UTF-16", "iconv -f UTF-16BE -t UTF-8");
    REFUSES("a.csv", NULL, "q\0\0\0,\0\0\0", "UTF-32", "iconv -f UTF-32LE -t UTF-8");
    REFUSES("a.csv", NULL, "\0\0\0q\0\0\0,", "UTF-32", "iconv -f UTF-32BE -t UTF-8");
    REFUSES("a.jsonl", NULL, "{\"question\":\"x?\",\"answer\":NaN}", "'answer' is NaN",
            "line 1");
    REFUSES("a.jsonl", NULL, "{\0}", "line 1, column 2", "zero byte");
    REFUSES("a.csv", NULL, "question,answer\nx,1\ny\n", "line 3: 1 field", "2 columns");
    REFUSES("a.csv", NULL, "question,answer\nx,1,2\n", "line 2: 3 fields", "2 columns");
    REFUSES("a.csv", NULL, "question,answer\nx,\"1\n\n", "line 2", "never closed");
    REFUSES("a.csv", NULL, "question,answer\nx,\"1\"2\n", "line 2", "closing quote");
    REFUSES("a.csv", NULL, "question,answer\nx,1\"\n", "line 2", "a quote within");
    REFUSES("a.csv", NULL, "answer,answer\nx,1\n", "two columns", "'answer'");
    REFUSES("a.csv", NULL, "question,\nx,1\n", "without a name", "line 1");
    REFUSES("a.csv", NULL, "question,answer\nx,\n", "line 2", "'answer' is empty");
    REFUSES("a.xml", "asdiv", "<C><Problem ID='1'><Body>x</Body></C>", "line 1, column",
            "not XML");
    REFUSES("a.xml", "asdiv", "<C><Problem ID='1'><Body>x</Body></Problem></C>",
            "'Question' is missing", "line 1");
    REFUSES("a.xml", "asdiv", "<!DOCTYPE x [<!ENTITY a 'b'>]><C/>", "document type", "");
    REFUSES("a.xml", "asdiv", "<C><Problem><Body>x</Body><Body>y</Body></Problem></C>",
            "twice", "'Body'");
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset d;
    test_refused(&ctx, read_as(&ctx, "a.jsonl", "nonsense", good, sizeof good - 1, &d),
                 RT_ERR_USAGE, "'nonsense'", NULL);
}

static void packed_files_are_unpacked_or_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset plain, packed;
    const char text[] = "{\"question\":\"x?\",\"answer\":\"y\"}\n";
    const char *path = test_folder_file(&test_scratch, "b.jsonl.gz");
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzwrite(file, text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(gzclose(file), Z_OK);
    size_t size;
    char *bytes = test_file_read(path, &size);
    assert_int_equal(read_as(&ctx, "b.jsonl", NULL, text, sizeof text - 1, &plain),
                     RT_OK);
    assert_int_equal(read_as(&ctx, "b.jsonl.gz", NULL, bytes, size, &packed), RT_OK);
    assert_string_equal(plain.source, packed.source);
    assert_string_equal(plain.content, packed.content);
    pipe_dataset_deinit(&plain);
    pipe_dataset_deinit(&packed);
    for (size_t cut = 3; cut < size; cut += 7)
        refuses("c.jsonl.gz", NULL, bytes, cut, "gzip", "");
    bytes[size / 2] = (char)(bytes[size / 2] ^ 0x55);
    test_refused(&ctx, read_as(&ctx, "c.jsonl.gz", NULL, bytes, size, &packed),
                 RT_ERR_INPUT, "c.jsonl.gz", NULL);
    free(bytes);
}

static void what_is_not_the_published_data_needs_consent(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_dataset sets[PIPE_DATASET_SPLITS_MAX];
    uint32_t count;
    const char text[] = "{\"question\":\"x?\",\"answer\":\"#### 5\"}\n";
    const char *path = test_folder_file(&test_scratch, "test.jsonl");
    test_file_write(path, text, sizeof text - 1);
    struct pipe_dataset_ask ask = { .name = "gsm8k", .path = path };
    test_refused(&ctx, pipe_dataset_read(&ctx, &ask, sets, &count), RT_ERR_INPUT,
                 "gsm8k:test", "1 problems, that one 1319", "--accept", NULL);
    assert_int_equal(count, 0);
    ask.accept = true;
    assert_int_equal(pipe_dataset_read(&ctx, &ask, sets, &count), RT_OK);
    assert_false(sets[0].published);
    assert_string_equal(sets[0].split, "test");
    pipe_dataset_deinit(&sets[0]);
    path = test_folder_file(&test_scratch, "other.jsonl");
    test_file_write(path, text, sizeof text - 1);
    ask.path = path;
    test_refused(&ctx, pipe_dataset_read(&ctx, &ask, sets, &count), RT_ERR_USAGE,
                 "--split", NULL);
    ask.path = test_scratch.path;
    ask.name = "svamp";
    test_refused(&ctx, pipe_dataset_read(&ctx, &ask, sets, &count), RT_ERR_INPUT, "svamp",
                 "no file", NULL);
}

static void make_set(struct rt_ctx *ctx, struct pipe_problem_set *set)
{
    const char text[] = "{\"id\":\"own/test/0\",\"question\":\"a+b\",\"answer\":\"1\"}\n"
                        "{\"id\":\"own/test/1\",\"question\":\"c\",\"answer\":\"2\"}\n"
                        "{\"id\":\"own/test/2\",\"question\":\"d\",\"answer\":\"3\"}\n";
    assert_int_equal(
        pipe_problems_parse(ctx, "own", text, sizeof text - 1, 0, UINT32_MAX, set),
        RT_OK);
}

static rt_status select_part(struct rt_ctx *ctx, const char *text,
                             struct pipe_problem_set *set)
{
    struct pipe_data_spec spec;
    rt_status bad;
    assert_true(pipe_data_spec_parse(ctx, text, &spec, &bad));
    if (bad != RT_OK)
        return bad;
    make_set(ctx, set);
    return pipe_data_select(ctx, &spec, set);
}

static void parts_are_ranges_and_id_lists(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set = { 0 };
    struct pipe_data_spec spec;
    rt_status bad;
    static const char *const paths[] = {
        "mine.jsonl", "mine.jsonl[0:5]", "a/b:c", ":x", "a:", "", "C:\\x", "a:b/c"
    };
    for (size_t i = 0; i < RT_COUNT(paths); i++)
        assert_false(pipe_data_spec_parse(&ctx, paths[i], &spec, &bad));
    assert_int_equal(select_part(&ctx, "own:test[1:]", &set), RT_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.items[0].id, "own/test/1");
    pipe_problems_deinit(&set);
    static const char *const wrong[] = { "own:test[2:1]", "own:test[x]", "own:test[0:1",
                                         "own:test@" };
    for (size_t i = 0; i < RT_COUNT(wrong); i++)
        assert_int_equal(select_part(&ctx, wrong[i], &set), RT_ERR_USAGE);
    assert_int_equal(select_part(&ctx, "own:test[0:4]", &set), RT_ERR_USAGE);
    pipe_problems_deinit(&set);
    static const struct {
        const char *text;
        rt_status st;
        const char *says;
    } lists[] = {
        { "# mine\n2\n\nown/test/0 # first\n", RT_OK, "" },
        { "7\n", RT_ERR_INPUT, "line 1: own:test has no problem '7'" },
        { "1\nown/test/1\n", RT_ERR_INPUT, "line 2: 'own/test/1' stands in line 1" },
        { "# nothing\n", RT_ERR_INPUT, "names no problem" },
    };
    for (size_t i = 0; i < RT_COUNT(lists); i++) {
        char text[TEST_PATH_MAX + 16];
        const char *path = test_folder_file(&test_scratch, "ids.txt");
        test_file_write(path, lists[i].text, strlen(lists[i].text));
        snprintf(text, sizeof text, "own:test@%s", path);
        const rt_status st = select_part(&ctx, text, &set);
        if (st == RT_OK)
            assert_string_equal(set.items[0].id, "own/test/2");
        test_refused(&ctx, st, lists[i].st, lists[i].says, NULL);
        pipe_problems_deinit(&set);
    }
}

static void leaks_are_found_whatever_stands_between_letters(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set train, measured;
    uint32_t dropped;
    const char text[] = "{\"id\":\"m\",\"question\":\"A B!\",\"answer\":\"1\"}\n";
    make_set(&ctx, &train);
    assert_int_equal(
        pipe_problems_parse(&ctx, "m", text, sizeof text - 1, 0, UINT32_MAX, &measured),
        RT_OK);
    assert_int_equal(pipe_data_drop_leaks(&ctx, &train, &measured, &dropped), RT_OK);
    assert_int_equal(dropped, 1);
    assert_string_equal(train.items[0].id, "own/test/1");
    pipe_problems_deinit(&train);
    pipe_problems_deinit(&measured);
}

static void no_memory_is_a_message_not_a_crash(void **state)
{
    (void)state;
    const char text[] = "question,answer\nx,1\ny,2\n";
    for (uint64_t at = 1; at < 60; at++) {
        struct rt_ctx ctx = { .alloc_fail_at = at };
        struct pipe_dataset d;
        const rt_status st = read_as(&ctx, "m.csv", NULL, text, sizeof text - 1, &d);
        if (st == RT_OK) {
            pipe_dataset_deinit(&d);
            assert_true(at > 5); /* the failing allocations were reached before */
            return;
        }
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
    }
    fail_msg("never enough memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_read),
        cmocka_unit_test(gold_is_the_last_that_balances),
        cmocka_unit_test(bad_files_are_refused_with_their_place),
        cmocka_unit_test(packed_files_are_unpacked_or_refused),
        cmocka_unit_test(what_is_not_the_published_data_needs_consent),
        cmocka_unit_test(parts_are_ranges_and_id_lists),
        cmocka_unit_test(leaks_are_found_whatever_stands_between_letters),
        cmocka_unit_test(no_memory_is_a_message_not_a_crash),
    };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}

/* The problem reader: what it keeps, what it refuses and where it says the fault is. */
#include "pipeline/data/problems.h"
#include "runtime/base/text_set.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const char *const LINE_A =
    "{\"id\":\"a\",\"question\":\"Ana has 2 boxes.\",\"answer\":\"4\",\"solution\":"
    "\"x: 2*2=4\\n#### 4\",\"steps\":[{\"label\":\"x\",\"expr\":\"2*2\",\"value\":4}],"
    "\"skills\":[\"mul\",\"unit\"]}\n";
static const char *const LINE_B =
    "{\"id\":\"b\",\"question\":\"Ben  has 3 pens?\",\"answer\":7}\n";

static rt_status parse(struct rt_ctx *ctx, const char *text, struct pipe_problem_set *set)
{
    return pipe_problems_parse(ctx, "p.jsonl", text, strlen(text), 0, UINT32_MAX, set);
}

static void keeps_fields_and_order(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    char text[1024];
    snprintf(text, sizeof text, "%s\n%s", LINE_A, LINE_B);
    assert_int_equal(parse(&ctx, text, &set), RT_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.items[0].id, "a");
    assert_string_equal(set.items[0].subject, "mul+unit");
    assert_string_equal(set.items[0].level, "1");
    assert_string_equal(set.items[0].reference, "x: 2*2=4\n#### 4");
    assert_int_equal(set.items[0].program_count, 1);
    assert_string_equal(set.items[0].program[0].expr, "2*2");
    assert_int_equal(set.items[0].program[0].value, 4);
    assert_string_equal(set.items[1].answer, "7");
    assert_null(set.items[1].program);
    assert_null(set.items[1].subject);
    assert_ptr_equal(pipe_problems_find(&set, "b"), &set.items[1]);
    assert_null(pipe_problems_find(&set, "c"));
    pipe_problems_deinit(&set);
}

static void refuses(const char *text, const char *part)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    assert_int_equal(parse(&ctx, text, &set), RT_ERR_INPUT);
    if (!strstr(ctx.message, part) || !strstr(ctx.message, "p.jsonl"))
        fail_msg("'%s' does not name the file and '%s'", ctx.message, part);
    assert_int_equal(set.count, 0);
    assert_null(set.items);
}

static void names_line_and_column_of_what_it_refuses(void **state)
{
    (void)state;
    refuses("", "no problem");
    refuses("\n  \n", "no problem");
    refuses("{\"id\":\"a\",\"question\":\"q\",\"answer\":\"1\"}\n{\"id\":",
            "line 2, column");
    refuses("{\"id\":\"a\" \"question\"}", "line 1, column 20");
    refuses("[1]", "item 1: not a JSON object");
    refuses("1", "line 1: not a JSON object");
    refuses("{\"id\":\"a\",\"question\":\"q\",\"answer\":NaN}", "'answer' is NaN");
    refuses("{\"id\":NaN,\"question\":\"q\",\"answer\":\"1\"}", "'id' is NaN");
    refuses("\xff\xfe{", "UTF-16");
    refuses("{\"id\":\"a\",\"answer\":\"1\"}", "'question' is missing");
    refuses("{\"id\":\"a\",\"question\":\" \",\"answer\":\"1\"}", "'question' is empty");
    refuses("{\"id\":3,\"question\":\"q\",\"answer\":\"1\"}", "'id' must be text");
    refuses("{\"id\":\"a\",\"question\":\"q\",\"answer\":\"1\",\"steps\":3}", "'steps'");
    refuses("{\"id\":\"a\",\"question\":\"q\",\"answer\":\"1\",\"steps\":[3]}",
            "'value'");
    refuses("{\"id\":\"a\",\"question\":\"q\",\"answer\":\"1\",\"skills\":[3]}",
            "'skills'");
    refuses("{\"id\":\"a\",\"question\":\"q\",\"answer\":\"1\"}\n\n"
            "{\"id\":\"a\",\"question\":\"r\",\"answer\":\"1\"}",
            "line 3: id 'a' was used in line 1");
    refuses("{\"id\":\"a\xff\",\"question\":\"q\",\"answer\":\"1\"}", "line 1");
}

/* A list, a mark at the start, numbers of any length. */
static void other_layouts_give_the_same_set(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[{\"id\":\"b\",\"question\":\"q\",\"answer\":100000000000000000000}]",
        "\xef\xbb\xbf{\"id\":\"b\",\"question\":\"q\",\"answer\":100000000000000000000,"
        "\"extra\":NaN}\r",
    };
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_problem_set set;
        if (parse(&ctx, texts[i], &set) != RT_OK)
            fail_msg("text %zu: %s", i, ctx.message);
        assert_int_equal(set.count, 1);
        assert_string_equal(set.items[0].answer, "100000000000000000000");
        pipe_problems_deinit(&set);
    }
}

static void a_written_set_reads_back_the_same(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set, again;
    char text[1024];
    snprintf(text, sizeof text, "%s%s", LINE_A, LINE_B);
    assert_int_equal(parse(&ctx, text, &set), RT_OK);
    char buffer[2048] = "";
    FILE *file = fmemopen(buffer, sizeof buffer, "w");
    assert_non_null(file);
    assert_int_equal(pipe_problems_write(&ctx, &set, file), RT_OK);
    fclose(file);
    assert_int_equal(parse(&ctx, buffer, &again), RT_OK);
    assert_string_equal(set.hash, again.hash);
    assert_string_equal(again.items[0].subject, "mul+unit");
    assert_string_equal(again.items[0].reference, set.items[0].reference);
    assert_string_equal(again.items[0].level, "1");
    pipe_problems_deinit(&set);
    pipe_problems_deinit(&again);
}

static void hash_sees_content_not_layout(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set a, b, c;
    assert_int_equal(parse(&ctx, LINE_B, &a), RT_OK);
    assert_int_equal(parse(&ctx,
                           "{ \"answer\": \"7\", \"question\": \"ben has 3 pens\", "
                           "\"id\": \"b\" }",
                           &b),
                     RT_OK);
    assert_int_equal(
        parse(&ctx, "{\"id\":\"b\",\"question\":\"Ben has 4 pens?\",\"answer\":7}", &c),
        RT_OK);
    assert_string_equal(a.hash, b.hash);
    assert_string_not_equal(a.hash, c.hash);
    pipe_problems_deinit(&a);
    pipe_problems_deinit(&b);
    pipe_problems_deinit(&c);
}

static void splits_are_ranges_of_the_bundled_files(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set all, part, measure;
    char path[1024], spec[1100];
    assert_int_equal(
        pipe_problems_read(
            &ctx, test_path(path, sizeof path, "pipeline/demo/validate.jsonl"), &all),
        RT_OK);
    assert_int_equal(all.count, 500);
    snprintf(spec, sizeof spec, "%s[100:150]", path);
    assert_int_equal(pipe_problems_read(&ctx, spec, &part), RT_OK);
    assert_int_equal(part.count, 50);
    assert_string_equal(part.items[0].id, all.items[100].id);
    struct pipe_leak leak;
    assert_int_equal(pipe_problems_leak(&ctx, &part, &all, &leak), RT_OK);
    assert_int_equal(leak.count, 50);
    assert_int_equal(leak.b, 100);
    pipe_problems_deinit(&part);
    assert_int_equal(
        pipe_problems_read(
            &ctx, test_path(path, sizeof path, "pipeline/demo/measure.jsonl"), &measure),
        RT_OK);
    assert_int_equal(pipe_problems_leak(&ctx, &measure, &all, &leak), RT_OK);
    assert_int_equal(leak.count, 0);
    pipe_problems_deinit(&measure);
    pipe_problems_deinit(&all);
    const char *const wrong[] = { "[0:501]", "[500:]", "[5:5]",
                                  "[x:3]",   "[3]",    "[99999999999:]" };
    test_path(path, sizeof path, "pipeline/demo/validate.jsonl");
    for (size_t i = 0; i < RT_COUNT(wrong); i++) {
        snprintf(spec, sizeof spec, "%s%s", path, wrong[i]);
        assert_int_equal(pipe_problems_read(&ctx, spec, &part), RT_ERR_USAGE);
    }
    assert_int_equal(pipe_problems_read(&ctx, "no such file.jsonl", &part), RT_ERR_INPUT);
}

/* Another wording under the id of a data set is the same problem; ids of files are each
 * file's own. */
static void ids_count_within_a_data_set(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        uint32_t count;
    } rows[] = {
        { "gsm8k/test/17", "gsm8k/test/17", 1 },
        { "gsm8k/test/17", "gsm8k/test/18", 0 },
        { "gsm8k/test/17", "svamp/test/17", 0 },
        { "17", "17", 0 },
        { "a/b", "a/b", 0 },
        { "/b/c", "/b/c", 0 },
        { "a/b/", "a/b/", 0 },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_problem_set sets[2];
        struct pipe_leak leak;
        for (int k = 0; k < 2; k++) {
            char line[128];
            const int n =
                snprintf(line, sizeof line,
                         "{\"id\":\"%s\",\"question\":\"%s?\",\"answer\":\"1\"}",
                         k ? rows[i].b : rows[i].a, k ? "One" : "Two");
            assert_int_equal(
                pipe_problems_parse(&ctx, "x", line, (size_t)n, 0, UINT32_MAX, &sets[k]),
                RT_OK);
        }
        assert_int_equal(pipe_problems_leak(&ctx, &sets[0], &sets[1], &leak), RT_OK);
        assert_int_equal(leak.count, rows[i].count);
        pipe_problems_deinit(&sets[0]);
        pipe_problems_deinit(&sets[1]);
    }
}

static void normal_form_drops_case_and_marks(void **state)
{
    (void)state;
    char out[64];
    assert_int_equal(pipe_text_normalise("  A-b,  C?", out), 5);
    assert_string_equal(out, "a b c");
    assert_int_equal(pipe_text_normalise("...", out), 0);
    pipe_text_normalise("1/2 of", out);
    assert_string_equal(out, "1 2 of");
}

static void every_failing_allocation_ends_clean(void **state)
{
    (void)state;
    char text[1024];
    snprintf(text, sizeof text, "%s%s", LINE_A, LINE_B);
    rt_status st = RT_ERR_HOST_MEMORY;
    uint64_t n = 1;
    for (; st != RT_OK && n < 100; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        struct pipe_problem_set set;
        st = parse(&ctx, text, &set);
        if (st != RT_OK)
            assert_int_equal(st, RT_ERR_HOST_MEMORY);
        pipe_problems_deinit(&set);
    }
    assert_true(n > 3 && st == RT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_fields_and_order),
        cmocka_unit_test(names_line_and_column_of_what_it_refuses),
        cmocka_unit_test(other_layouts_give_the_same_set),
        cmocka_unit_test(a_written_set_reads_back_the_same),
        cmocka_unit_test(hash_sees_content_not_layout),
        cmocka_unit_test(splits_are_ranges_of_the_bundled_files),
        cmocka_unit_test(ids_count_within_a_data_set),
        cmocka_unit_test(normal_form_drops_case_and_marks),
        cmocka_unit_test(every_failing_allocation_ends_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

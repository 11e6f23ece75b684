/* Plan files: what is written is read; the last line that fits counts; every line that is
 * no line is refused by its number; a plan that fits no model is too. */
#include "runtime/quant/width_plan.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct test_folder folder;

static rt_status read_text(struct rt_ctx *ctx, const char *text, struct quant_plan *plan)
{
    const char *path = test_folder_file(&folder, "plan");
    test_file_write(path, text, strlen(text));
    return quant_plan_read(ctx, path, plan);
}

static void the_last_line_that_fits_counts(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct quant_plan plan, again;
    assert_int_equal(read_text(&ctx,
                               "# widths\n\nmodel.layers.*.mlp.* = int3\r\n"
                               "  model.layers.0.mlp.up_proj.weight int8 # top\n"
                               "*.[qk]_proj\tint2",
                               &plan),
                     RT_OK);
    assert_int_equal(plan.count, 3);
    assert_int_equal(quant_plan_bits(&plan, "model.layers.0.mlp.up_proj", 4), 8);
    assert_int_equal(quant_plan_bits(&plan, "model.layers.1.mlp.up_proj", 4), 3);
    assert_int_equal(quant_plan_bits(&plan, "model.layers.1.self_attn.k_proj", 4), 2);
    assert_int_equal(quant_plan_bits(&plan, "model.layers.1.self_attn.v_proj", 4), 4);
    assert_int_equal(quant_plan_check(&ctx, &plan, 1), RT_OK);
    const char *copy = test_folder_file(&folder, "copy");
    assert_int_equal(quant_plan_write(&ctx, copy, &plan, "two\nlines"), RT_OK);
    assert_int_equal(quant_plan_read(&ctx, copy, &again), RT_OK);
    assert_int_equal(again.count, plan.count);
    for (uint32_t i = 0; i < plan.count; i++) {
        assert_string_equal(again.rows[i].pattern, plan.rows[i].pattern);
        assert_int_equal(again.rows[i].bits, plan.rows[i].bits);
    }
    assert_int_equal(again.rows[0].line, 3);
    quant_plan_deinit(&plan);
    quant_plan_deinit(&again);
}

static void keep_line(void *user, enum rt_log_level level, const char *line)
{
    assert_int_equal(level, RT_LOG_WARNING);
    snprintf(user, 512, "%.500s", line);
}

static void a_plan_without_lines_is_warned_of(void **state)
{
    (void)state;
    char line[512] = "";
    struct rt_ctx ctx = { .log = keep_line, .log_user = line };
    struct quant_plan plan;
    assert_int_equal(read_text(&ctx, "a int3", &plan), RT_OK);
    assert_string_equal(line, "");
    quant_plan_deinit(&plan);
    static const char *const empty[] = { "", "# widths\n\n" };
    for (size_t i = 0; i < RT_COUNT(empty); i++) {
        line[0] = '\0';
        assert_int_equal(read_text(&ctx, empty[i], &plan), RT_OK);
        assert_int_equal(plan.count, 0);
        assert_non_null(strstr(line, "names no tensor"));
    }
}

static void bad_plans_are_refused(void **state)
{
    (void)state;
    char longer[700];
    struct rt_ctx ctx = { 0 };
    struct quant_plan plan;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const struct {
        const char *text, *says;
    } cases[] = {
        { "a int3\nb", "line 2: it has no type" },
        { "a int5", "line 1: the type 'int5' is not known" },
        { "a int3 b", "line 1: it has a third word" },
        { longer, "line 1: it has more than 511 bytes" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++)
        test_refused(&ctx, read_text(&ctx, cases[i].text, &plan), RT_ERR_INPUT,
                     cases[i].says, NULL);
    test_file_write(test_folder_file(&folder, "plan"), "a\0b", 3);
    test_refused(&ctx, quant_plan_read(&ctx, test_folder_file(&folder, "plan"), &plan),
                 RT_ERR_INPUT, "is no plan", NULL);
    assert_int_equal(read_text(&ctx, "\nmodel.layers.4.mlp.up_proj int3", &plan), RT_OK);
    test_refused(&ctx, quant_plan_check(&ctx, &plan, 4), RT_ERR_INPUT, "line 2",
                 "4 layers", NULL);
    quant_plan_deinit(&plan);
    assert_int_equal(quant_plan_read(&ctx, "no/plan", &plan), RT_ERR_INPUT);
}

static int begin(void **state)
{
    (void)state;
    test_folder_init(&folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_line_that_fits_counts),
        cmocka_unit_test(a_plan_without_lines_is_warned_of),
        cmocka_unit_test(bad_plans_are_refused),
    };
    return cmocka_run_group_tests_name("quant_plan", tests, begin, end);
}

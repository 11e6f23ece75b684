/* Comparisons of stored runs: which runs are taken, what is paired, p-values over several
 * lists, and conditions of a gate. */
#include "pipeline/run/compare_runs.h"
#include "store/report/report.h"
#include "store/store_impl.h"
#include "tests/support/answered.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rt_ctx ctx;
static struct test_answered a;
static unsigned files;
static const struct pipe_compare_ask all = { .split = "measure",
                                             .bench = "",
                                             .wanted = { "", "", "" } };

static int begin(void **state)
{
    (void)state;
    char name[16];
    snprintf(name, sizeof name, "%u.db", files++);
    test_answered_init(&a, &ctx, test_folder_file(&test_scratch, name));
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_answered_deinit(&a);
    return 0;
}

static void compare(const struct pipe_compare_ask *ask, struct pipe_comparisons *list)
{
    if (pipe_compare_find(&ctx, a.store, ask, list) != RT_OK ||
        pipe_compare_compute(&ctx, a.store, list) != RT_OK)
        fail_msg("%s", ctx.message);
}

static double number(const struct pipe_comparison *c, const char *name)
{
    struct pipe_number numbers[PIPE_NUMBERS_MAX];
    const uint32_t count = pipe_comparison_numbers(c, numbers);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(numbers[i].name, name) == 0)
            return numbers[i].value;
    return -1000;
}

static void pairs_are_counted(void **state)
{
    (void)state;
    char run[3][STORE_ID];
    struct pipe_comparisons list;
    test_answered_list(&a, "ten", 10);
    test_answered_run(&a, "full", "full", "1111111100", 1, run[0]);
    test_answered_run(&a, "quant", "quant", "1111000010", 1, run[1]);
    test_answered_run(&a, "restored", "refine", "1111110000", 1, run[2]);
    compare(&all, &list);
    assert_int_equal(list.count, 1);
    const struct pipe_comparison *c = &list.items[0];
    assert_string_equal(c->name, "ten:measure");
    assert_int_equal(c->found, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(c->sides[i].run, run[i]);
    assert_int_equal(c->n, 10);
    assert_false(pipe_comparison_several(c));
    assert_true(number(c, "lost") == 4 && number(c, "gained") == 1);
    assert_true(number(c, "fixed") == 2 && number(c, "broken") == 1);
    assert_true(fabs(number(c, "loss") - 0.3) < 1e-12);
    assert_true(fabs(number(c, "gain") - 0.1) < 1e-12);
    assert_true(fabs(number(c, "recovered") - 1.0 / 3) < 1e-12);
    assert_true(number(c, "recovered_problems") == 0.5);    /* 2 of the 4 lost */
    assert_true(fabs(number(c, "loss_p") - 0.375) < 1e-12); /* 2 (1 + 5) / 2^5 */
    assert_true(isnan(number(c, "loss_holm_p"))); /* one list: nothing to adjust */
    assert_true(number(c, "bits") == 3.25);
    pipe_comparisons_deinit(&list);
    pipe_comparisons_deinit(&list); /* accepts one that is zero */
}

/* A row of the page's table by data set: shares of both, and the mean's difference. */
static void page_has(const char *text, const char *label, const char *numbers)
{
    char row[256];
    snprintf(row, sizeof row, "%s</th>%s</td>", label, numbers);
    if (!strstr(text, row))
        fail_msg("the page lacks '%s'", row);
}

static void check_page(void)
{
    size_t size;
    const char *path = test_folder_file(&test_scratch, "page.html");
    if (report_write(a.store, &ctx, NULL, path) != RT_OK)
        fail_msg("%s", ctx.message);
    char *text = test_file_read(path, &size);
    assert_non_null(strstr(text, "set0:test, 6</th><th class=\"n\">set1:test, 5</th>"));
    page_has(text, "full", "<td class=\"n\">100.0</td><td class=\"n\">100.0</td><td>");
    page_has(text, "quant",
             "<td class=\"n\">100.0</td><td class=\"n\">0.0</td><td class=\"n\">"
             "\xe2\x88\x92"
             "50.0");
    page_has(text, "refine",
             "<td class=\"n\">100.0</td><td class=\"n\">40.0</td><td "
             "class=\"n\">+20.0");
    free(text);
}

/* A list of two data sets: each by itself, and the mean that counts both alike. */
static void data_sets_of_a_list_are_told_apart(void **state)
{
    (void)state;
    char run[STORE_ID];
    struct pipe_comparisons list;
    a.sets = 2;
    test_answered_list(&a, "both", 11);
    test_answered_run(&a, "full", "full", "11111111111", 1, run);
    test_answered_run(&a, "quant", "quant", "10101010101", 1, run);
    test_answered_run(&a, "restored", "refine", "10111110101", 1, run);
    compare(&all, &list);
    const struct pipe_comparison *c = &list.items[0];
    assert_int_equal(c->parts.count, 2);
    assert_string_equal(c->parts.items[0].name, "set0:test");
    assert_int_equal(c->parts.items[0].n, 6);
    assert_int_equal(pipe_parts_right(&c->parts, 0, c->right[1]), 6);
    assert_int_equal(pipe_parts_right(&c->parts, 1, c->right[1]), 0);
    assert_int_equal(pipe_parts_right(&c->parts, 1, c->right[2]), 2);
    assert_true(fabs(number(c, "loss_mean") - 0.5) < 1e-12);
    assert_true(fabs(number(c, "gain_mean") - 0.2) < 1e-12);
    assert_true(fabs(number(c, "loss_mean_p") - 2.0 / 32) < 0.01); /* 5 flips, one way */
    pipe_comparisons_deinit(&list);
    check_page();

    test_answered_list(&a, "several", 4); /* answers of a problem are not pairs alone */
    test_answered_run(&a, "full", "full", "11111111", 2, run);
    test_answered_run(&a, "quant", "quant", "11011000", 2, run);
    compare(&(struct pipe_compare_ask){ .split = "measure",
                                        .bench = "several",
                                        .wanted = { "", "", "" } },
            &list);
    assert_int_equal(list.items[0].parts.count, 0);
    assert_true(isnan(number(&list.items[0], "loss_mean_p")));
    pipe_comparisons_deinit(&list);
}

/* Answers of eight tokens; `ends`: 0 cut at the limit, 1 by itself, 2 in a loop. */
static void set_endings(const char *run, const char *ends)
{
    char sql[512], trace[] = "000102030405060708090a0b";
    for (uint32_t i = 0; ends[i]; i++) {
        char *error = NULL;
        const bool loops = ends[i] == '2';
        char ids[12 * 8 + 1] = "";
        for (uint32_t t = 0; t < 12; t++)
            snprintf(ids + 8 * t, sizeof ids - 8 * t, "%.2s000000",
                     trace + 2 * (loops ? t % 3 : t));
        snprintf(sql, sizeof sql,
                 "UPDATE generation SET finish='%s', n_gen=12 WHERE run_id='%s' AND "
                 "problem_id=(SELECT problem_id FROM generation WHERE run_id='%s' ORDER "
                 "BY problem_id LIMIT 1 OFFSET %u)",
                 ends[i] == '0' ? "length" : "stop", run, run, i);
        if (sqlite3_exec(a.store->db, sql, NULL, NULL, &error) != SQLITE_OK)
            fail_msg("%s", error);
        snprintf(sql, sizeof sql,
                 "INSERT OR REPLACE INTO token_trace(gen_id,codec,n,ids) SELECT "
                 "gen_id,'raw',12,x'%s' FROM generation WHERE run_id='%s' ORDER BY "
                 "problem_id LIMIT 1 OFFSET %u",
                 ids, run, i);
        if (sqlite3_exec(a.store->db, sql, NULL, NULL, &error) != SQLITE_OK)
            fail_msg("%s", error);
    }
}

static void expect_marked_gain(void)
{
    char run[3][STORE_ID];
    struct pipe_comparisons list;
    test_answered_list(&a, "six", 6);
    test_answered_run(&a, "full", "full", "111111", 1, run[0]);
    test_answered_run(&a, "quant", "quant", "100000", 1, run[1]);
    test_answered_run(&a, "restored", "refine", "111110", 1, run[2]);
    compare(&all, &list);
    assert_true(isnan(number(&list.items[0], "gain_by_ending"))); /* without tokens */
    assert_false(list.items[0].endings.marked);
    pipe_comparisons_deinit(&list);
    set_endings(run[1], "110110");
    set_endings(run[2], "111111");
    compare(&all, &list);
    assert_int_equal(list.items[0].endings.gain, 4);
    assert_int_equal(list.items[0].endings.gain_ended, 3);
    assert_true(number(&list.items[0], "gain_by_ending") == 0);
    assert_true(number(&list.items[0], "gain_ended") == 0.5);
    pipe_comparisons_deinit(&list);
    set_endings(run[1], "110120"); /* another one repeats itself */
    compare(&all, &list);
    assert_int_equal(list.items[0].endings.gain_ended, 2);
    assert_true(list.items[0].endings.marked);
    assert_true(number(&list.items[0], "gain_by_ending") == 1);
    pipe_comparisons_deinit(&list);
}

static void a_gain_of_endings_is_marked(void **state)
{
    (void)state;
    expect_marked_gain();
}

/* The pairs of problems whose ids differ in their last byte alone. */
static void ids_of_any_length_are_told_apart(void **state)
{
    (void)state;
    a.long_ids = true;
    expect_marked_gain();
}

static void p_values_of_several_lists_are_adjusted(void **state)
{
    (void)state;
    char run[STORE_ID];
    struct pipe_comparisons list;
    test_answered_list(&a, "one", 6);
    test_answered_run(&a, "full", "full", "111111", 1, run);
    test_answered_run(&a, "quant", "quant", "000000", 1, run);
    test_answered_list(&a, "two", 5);
    test_answered_run(&a, "full", "full", "11111", 1, run);
    test_answered_run(&a, "quant", "quant", "01111", 1, run);
    test_answered_list(&a, "three", 4); /* no quant: left out */
    test_answered_run(&a, "full", "full", "1111", 1, run);
    test_answered_run(&a, "restored", "refine", "1111", 1, run);
    compare(&all, &list);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].found, 2);
    assert_true(number(&list.items[0], "restored") == -1000);
    assert_true(fabs(number(&list.items[0], "loss_p") - 0.03125) < 1e-12); /* 2 / 2^6 */
    assert_true(fabs(number(&list.items[0], "loss_holm_p") - 0.0625) < 1e-12);
    assert_true(number(&list.items[1], "loss_holm_p") == 1);
    pipe_comparisons_deinit(&list);
}

static void several_answers_of_a_problem_are_one_unit(void **state)
{
    (void)state;
    char run[STORE_ID];
    struct pipe_comparisons list;
    test_answered_list(&a, "four", 4);
    test_answered_run(&a, "full", "full", "11111111", 2, run);
    test_answered_run(&a, "quant", "quant", "11011000", 2, run);
    compare(&all, &list);
    const struct pipe_comparison *c = &list.items[0];
    assert_true(pipe_comparison_several(c));
    assert_int_equal(c->n, 8);
    assert_int_equal(c->problems, 4);
    const double shares[] = { 1, 0.5, 0.5, 0 };
    for (int i = 0; i < 4; i++)
        assert_true(c->share[1][i] == shares[i]);
    assert_true(isnan(number(c, "loss_p")) && isnan(number(c, "loss_mid_p")));
    assert_true(fabs(number(c, "loss") - 0.5) < 1e-12);
    pipe_comparisons_deinit(&list);
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    char run[STORE_ID];
    struct pipe_comparisons list;
    struct pipe_compare_ask ask = all;
    test_answered_list(&a, "two", 2);
    test_answered_run(&a, "full", "full", "11", 1, run);
    test_refused(&ctx, pipe_compare_find(&ctx, a.store, &ask, &list), RT_ERR_USAGE,
                 "no finished run of role 'quant'", NULL);
    pipe_comparisons_deinit(&list);
    test_answered_run(&a, "quant", "quant", "10", 1, run);
    ask.wanted[2] = "nobody";
    test_refused(&ctx, pipe_compare_find(&ctx, a.store, &ask, &list), RT_ERR_USAGE,
                 "variant 'nobody'", NULL);
    pipe_comparisons_deinit(&list);
    ask = all;
    ask.bench = "nothing";
    test_refused(&ctx, pipe_compare_find(&ctx, a.store, &ask, &list), RT_ERR_USAGE,
                 "'nothing'", NULL);
    pipe_comparisons_deinit(&list);
    /* A label goes before the role: the sides may be turned round. */
    ask = all;
    ask.wanted[0] = "quant";
    ask.wanted[1] = "full";
    compare(&ask, &list);
    assert_true(number(&list.items[0], "gained") == 1);
    pipe_comparisons_deinit(&list);
}

static void a_gate_fails_if_its_condition_holds(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        rt_status status;
    } cases[] = {
        { "lost<1", RT_OK },          { "lost<=1", RT_ERR_GATE },
        { "lost >= 1", RT_ERR_GATE }, { "lost>1", RT_OK },
        { "gain<0", RT_ERR_USAGE },   { "los<1", RT_ERR_USAGE },
        { "lost", RT_ERR_USAGE },     { "lost=1", RT_ERR_USAGE },
        { "lost<", RT_ERR_USAGE },    { "lost<1x", RT_ERR_USAGE },
        { "lost<nan", RT_ERR_USAGE }, { "", RT_ERR_USAGE },
        { "loss_p>2", RT_ERR_GATE }, /* undefined: several answers of a problem */
    };
    char run[STORE_ID];
    struct pipe_comparisons list;
    test_answered_list(&a, "two", 2);
    test_answered_run(&a, "full", "full", "1111", 2, run);
    test_answered_run(&a, "quant", "quant", "1011", 2, run);
    compare(&all, &list);
    for (size_t i = 0; i < RT_COUNT(cases); i++)
        if (pipe_comparison_gate(&ctx, &list.items[0], cases[i].condition) !=
            cases[i].status)
            fail_msg("\"%s\" is not judged right", cases[i].condition);
    pipe_comparisons_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pairs_are_counted, begin, end),
        cmocka_unit_test_setup_teardown(a_gain_of_endings_is_marked, begin, end),
        cmocka_unit_test_setup_teardown(ids_of_any_length_are_told_apart, begin, end),
        cmocka_unit_test_setup_teardown(p_values_of_several_lists_are_adjusted, begin,
                                        end),
        cmocka_unit_test_setup_teardown(data_sets_of_a_list_are_told_apart, begin, end),
        cmocka_unit_test_setup_teardown(several_answers_of_a_problem_are_one_unit, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_is_missing_is_said, begin, end),
        cmocka_unit_test_setup_teardown(a_gate_fails_if_its_condition_holds, begin, end),
    };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}

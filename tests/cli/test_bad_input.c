/* What is not a model and bad: no device, broken problem files, results files that cannot
 * be used, outputs that cannot be written. One line that names the file, the reason and
 * what to do, the documented exit code, and nothing half-written. */
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_place place;
static struct test_program waiting; /* for locked.db */
static sqlite3 *holder;             /* of its lock */

/* ---- devices ---- */

static void fake_loader(void)
{
    test_file_write(test_folder_file(&place.other, "libvulkan.so.1"), "no library\n", 11);
    test_file_write(test_folder_file(&place.other, "libvulkan.so"), "no library\n", 11);
}

static void missing_devices_are_said(void **state)
{
    (void)state;
    char no_loader[160];
    snprintf(no_loader, sizeof no_loader, "LD_LIBRARY_PATH=%s", place.other.path);
    const struct test_case cases[] = {
        { "no Vulkan loader", fake_loader, "tool logits --ids 1 --out x.f32 --model @T",
          3, "no Vulkan loader|libvulkan.so.1|mesa-vulkan-drivers|--device ref",
          no_loader },
        { "no Vulkan driver", NULL, "tool logits --ids 1 --out x.f32 --model @T", 3,
          "found no driver|mesa-vulkan-drivers|--device ref", NULL },
        { "an unknown device", NULL,
          "tool logits --ids 1 --out x.f32 --model @T --device moon", 3,
          "'moon'|there are: ref|faultline doctor", NULL },
        { "an unknown device in the environment", NULL,
          "eval --store results.db --model @D --problems @D/measure.jsonl[0:1]", 3,
          "'moon'|there are: ", "FAULTLINE_DEVICE=moon" },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

/* ---- problems ---- */

static void write_problems(const char *text)
{
    test_file_write(test_folder_file(&place.run, "problems.jsonl"), text, strlen(text));
}
#define PROBLEM(id) \
    "{\"id\":\"" id "\",\"question\":\"Leo has 2 eggs.\",\"answer\":\"2\"}\n"
static void line_broken(void)
{
    write_problems(PROBLEM("a")
                       PROBLEM("b") "{\"id\":\"c\",\"question\":\n" PROBLEM("d"));
}
static void question_missing(void)
{
    write_problems(PROBLEM("a") "{\"id\":\"b\",\"answer\":\"2\"}\n");
}
static void id_twice(void)
{
    write_problems(PROBLEM("a") PROBLEM("b") PROBLEM("a"));
}
static void no_problem(void)
{
    write_problems("\n\n");
}
static void one_problem(void)
{
    write_problems(PROBLEM("a"));
}

#define EVAL "eval --device ref --store results.db --progress none --model @D "

static void problem_files_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no problem file", NULL, EVAL "--problems nothing.jsonl", 4,
          "nothing.jsonl|No such file", NULL },
        { "a folder", NULL, EVAL "--problems @D", 4, "pipeline/demo|it is not a file",
          NULL },
        { "a broken line", line_broken, EVAL "--problems @P", 4,
          "problems.jsonl' line 3|not JSON", NULL },
        { "a missing field", question_missing, EVAL "--problems @P", 4,
          "problems.jsonl' line 2|'question'|is missing", NULL },
        { "an id twice", id_twice, EVAL "--problems @P", 4,
          "problems.jsonl' line 3|'a'|line 1|must be unique", NULL },
        { "an empty file", no_problem, EVAL "--problems @P", 4,
          "problems.jsonl' holds no problem", NULL },
        { "a range beyond the file", one_problem, EVAL "--problems @P[0:2]", 2,
          "problems.jsonl[0:2]|beyond its 1 problems", NULL },
        { "a range backwards", one_problem, EVAL "--problems @P[1:0]", 2,
          "problems.jsonl[1:0]|[from:to]", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

/* ---- records to grade ---- */

#define GOOD_RECORD "{\"gold\":\"5\",\"pred\":\"5\"}\n"
static void record_broken(void)
{
    write_problems(GOOD_RECORD "{\"gold\":\"5\",\"pred\":\n");
}
static void record_without_gold(void)
{
    write_problems(GOOD_RECORD "{\"pred\":\"5\"}\n");
}
static void record_of_numbers(void)
{
    write_problems("{\"gold\":\"5\",\"pred\":5}\n");
}
static void record_without_style(void)
{
    write_problems(GOOD_RECORD "{\"gold\":\"5\",\"text\":\"#### 5\"}\n");
}
static void record_of_a_kind(void)
{
    write_problems("{\"gold\":\"5\",\"pred\":\"5\",\"kind\":\"song\"}\n");
}
static void record_no_utf8(void)
{
    write_problems(GOOD_RECORD "{\"gold\":\"\xff\",\"pred\":\"5\"}\n");
}
static void record_of_odd_places(void)
{
    write_problems("{\"gold\":\"0.3\",\"pred\":\"1/3\",\"precision\":\"2\"}\n");
}

static void records_to_grade_are_refused_whole(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no file of records", NULL, "grade --jsonl nothing.jsonl", 4,
          "nothing.jsonl|No such file", NULL },
        { "a broken record", record_broken, "grade --jsonl @P", 4,
          "problems.jsonl' line 2|column|not JSON", NULL },
        { "a record without gold", record_without_gold, "grade --jsonl @P", 4,
          "problems.jsonl' line 2|'gold'|missing", NULL },
        { "an answer that is no text", record_of_numbers, "grade --jsonl @P", 4,
          "problems.jsonl' line 1|'pred'|no text", NULL },
        { "a text without a style", record_without_style, "grade --jsonl @P", 4,
          "problems.jsonl' line 2|style", NULL },
        { "an unknown kind", record_of_a_kind, "grade --jsonl @P", 4,
          "problems.jsonl' line 1|'song'", NULL },
        { "another encoding", record_no_utf8, "grade --jsonl @P", 4,
          "problems.jsonl|line 2|UTF-8", NULL },
        { "places that are no number", record_of_odd_places, "grade --jsonl @P", 4,
          "problems.jsonl' line 1|'precision'", NULL },
        { "an unknown style", record_of_numbers, "grade --jsonl @P --style prose", 2,
          "'prose'", NULL },
        { "an unknown rule", record_of_numbers, "grade --jsonl @P --without colour", 2,
          "'colour'|--policies", NULL },
        { "nothing to grade", NULL, "grade", 2, "--jsonl", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

/* From a pipe, with characters that valid JSON can say and no text can hold. */
static void odd_characters_do_not_stop_a_file(void **state)
{
    (void)state;
    struct test_program p;
    const struct test_run run = {
        .folder = place.run.path,
        .args = "grade --jsonl -",
        .input = GOOD_RECORD "{\"gold\":\"5\",\"pred\":\"5\\u0000\\ud800\"}\n",
        .variables = place.variables,
    };
    test_program_run(&run, &p);
    assert_int_equal(p.code, 0);
    assert_non_null(strstr(p.err, "2 records: 1 correct"));
    assert_non_null(strstr(p.out, "5\xef\xbf\xbd\xef\xbf\xbd"));
    test_program_deinit(&p);
}

static void a_prompt_that_is_too_long_is_recorded(void **state)
{
    (void)state;
    struct test_program p;
    char text[8000] = PROBLEM("a") "{\"id\":\"long\",\"question\":\"";
    test_place_renew(&place.run);
    for (int i = 0; i < 100; i++)
        strncat(text, "Leo has 20 eggs. ", sizeof text - strlen(text) - 1);
    strncat(text, "\",\"answer\":\"2\"}\n" PROBLEM("b"), sizeof text - strlen(text) - 1);
    write_problems(text);
    for (int again = 0; again < 2; again++) { /* the second time, all is from before */
        test_expect_success(&place, EVAL "--problems @P --json", &p);
        json_t *result = json_loads(p.out, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(result, "n")), 3);
        json_decref(result);
        if (!again && (!strstr(p.err, "'long'") || !strstr(p.err, "context of 256")))
            fail_msg("the problem is not named: %s", p.err);
        test_program_deinit(&p);
    }
    test_expect_success(&place,
                        "sql --store results.db 'SELECT problem_id, finish, error FROM "
                        "generation WHERE finish=\"error\" OR error IS NOT NULL'",
                        &p);
    assert_string_equal(p.out, "problem_id\tfinish\terror\nlong\terror\t"
                               "the prompt is longer than the context\n");
    test_program_deinit(&p);
    test_expect_success(
        &place, "sql --store results.db 'SELECT count(*) AS n FROM generation'", &p);
    assert_string_equal(p.out, "n\n3\n");
    test_program_deinit(&p);
}

/* ---- results files ---- */

static void change_store(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
static const char *results(void)
{
    return test_folder_file(&place.run, "results.db");
}
static void copy_store(void)
{
    size_t size;
    char *data = test_file_read(test_folder_file(&place.other, "made.db"), &size);
    test_file_write(results(), data, size);
    free(data);
}
static void store_newer(void)
{
    copy_store();
    change_store(results(), "PRAGMA user_version=99");
}
static void store_read_only(void)
{
    copy_store();
    assert_int_equal(chmod(results(), 0444), 0);
}
static void store_of_others(void)
{
    change_store(results(), "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
}
static void store_garbage(void)
{
    static const char text[] = "This is a letter, not a database. It is long enough to "
                               "be taken for one: longer than the hundred bytes of a "
                               "header of SQLite.";
    test_file_write(results(), text, sizeof text);
}
static void store_cut(void)
{
    copy_store();
    assert_int_equal(truncate(results(), 20000), 0);
}

#define STORED EVAL "--problems @D/measure.jsonl[0:1]"

static void results_files_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "a newer version", store_newer, STORED, 7,
          "results.db' is of version 99|knows 2|newer faultline", NULL },
        { "a newer version, only read", store_newer, "status --store results.db", 7,
          "results.db' is of version 99|newer faultline", NULL },
        { "a read-only file", store_read_only, STORED, 7,
          "results.db|readonly|can be written", NULL },
        { "a database of others", store_of_others, STORED, 7,
          "results.db' is a database of another program|another --store", NULL },
        { "no database", store_garbage, STORED, 7,
          "results.db|not a database|another --store", NULL },
        { "no database, only read", store_garbage, "report --store results.db", 7,
          "results.db|not a database|another --store", NULL },
        { "a damaged database", store_cut, STORED, 7,
          "results.db|malformed|another --store", NULL },
        { "no folder", NULL, EVAL "--problems @D/measure.jsonl[0:1] --store no/r.db", 7,
          "'no/r.db'|folder can be written", NULL },
        { "no file to read", NULL, "status --store nothing.db", 7,
          "'nothing.db'|No such file|--store", NULL },
        { "no file to read, from the environment", NULL, "show a", 7,
          "'nothing.db'|No such file", "FAULTLINE_STORE=nothing.db" },
        { "a problem that is not there", copy_store, "show --store results.db moon", 2,
          "'moon'|faultline sql", NULL },
        { "a query that does not fit", copy_store,
          "sql --store results.db 'SELECT moon FROM problem'", 2,
          "results.db|no such column: moon|faultline help sql", NULL },
        { "a query that writes", copy_store,
          "sql --store results.db 'DELETE FROM problem'", 2,
          "only one statement that reads", NULL },
        { "nothing to compare", copy_store, "compare --store results.db", 2,
          "no finished run|quant|faultline status", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

/* A file may not grow, as where the disk is full or a quota is reached: when the results
 * file is made, and when an answer is saved. The same command goes on when there is room. */
static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    static const char two[] = EVAL "--problems @D/measure.jsonl[0:2] --json";
    static const char words[] = "results.db|disk may be full|same command again";
    struct test_program p;
    test_place_renew(&place.run);
    test_place_run(&place, two, &(struct test_run){ .file_bytes = 60000 }, &p);
    test_expect_refusal("the file cannot be made", &p, 7, words);
    test_program_deinit(&p);
    test_expect_success(&place, STORED, &p);
    test_program_deinit(&p);
    test_place_run(&place, two, &(struct test_run){ .file_bytes = 20000 }, &p);
    test_expect_refusal("an answer cannot be saved", &p, 7, words);
    test_program_deinit(&p);
    test_expect_success(&place, two, &p);
    json_t *result = json_loads(p.out, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(result, "n")), 2);
    json_decref(result);
    test_program_deinit(&p);
    test_expect_success(&place, "sql --store results.db 'PRAGMA integrity_check'", &p);
    assert_string_equal(p.out, "integrity_check\nok\n");
    test_program_deinit(&p);
}

/* ---- calibration ---- */

static void text_empty(void)
{
    test_file_write(test_folder_file(&place.run, "problems.jsonl.txt"), "", 0);
}
static void text_of_one_token(void)
{
    test_file_write(test_folder_file(&place.run, "problems.jsonl.txt"), "7", 1);
}

#define QUANTIZE                                                                    \
    "quantize --device ref --store results.db --progress none --model @D --bits 4 " \
    "--out q --method gptq "

static void calibration_is_checked(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "a method that needs text", NULL, QUANTIZE, 2, "gptq|needs --calib", NULL },
        { "an unknown method", NULL, "quantize --model @D --out q --method awk", 2,
          "--method awk|rtn, gptq, awq", NULL },
        { "an unknown order", NULL, QUANTIZE "--calib problems.jsonl.txt --order up", 2,
          "--order up|activation or natural", NULL },
        { "no such text", NULL, QUANTIZE "--calib none.txt", 4, "none.txt|No such file",
          NULL },
        { "an empty text", text_empty, QUANTIZE "--calib problems.jsonl.txt", 4,
          "problems.jsonl.txt|0 tokens|at least 64", NULL },
        { "a text of one token", text_of_one_token, QUANTIZE "--calib problems.jsonl.txt",
          4, "problems.jsonl.txt|1 token of|in 1 sequence,|at least 64", NULL },
        { "problems without solutions", one_problem, QUANTIZE "--calib @P", 4,
          "problems.jsonl|none of its 1 problems has a solution|.txt", NULL },
        { "an option of another method", NULL,
          "quantize --model @D --out q --method rtn --damping 0.1", 2,
          "--damping is of --method gptq|rtn", NULL },
        { "an option of calibration", NULL, "quantize --model @D --out q --calib-items 3",
          2, "--calib-items needs --calib", NULL },
        { "a format for a text", NULL, QUANTIZE "--calib c.txt --format demo", 2,
          "--format is of problems|'c.txt' is a text", NULL },
        { "another way to choose", NULL, QUANTIZE "--calib c.txt --select best", 2,
          "--select best: kl or none", NULL },
        { "a choice without text", NULL,
          "quantize --model @D --out q --method rtn --select kl", 2,
          "--select kl needs --calib", NULL },
        { "a text for no choice", NULL,
          QUANTIZE "--calib c.txt --select none --select-text d.txt", 2,
          "--select-text has no part", NULL },
        { "a choice on what calibrates", NULL,
          QUANTIZE
          "--calib @D/calibrate.jsonl[0:2] --select-text @D/calibrate.jsonl[0:2]",
          4, "--select-text is the calibration text", NULL },
        { "nothing to hold out", NULL,
          QUANTIZE "--calib @D/calibrate.jsonl[0:1] --select kl", 4,
          "one sequence|--select-text T or --select none", NULL },
        { "windows beyond the context", text_of_one_token,
          QUANTIZE "--calib problems.jsonl.txt --calib-length 100000", 2,
          "--calib-length 100000|context of ", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

/* What a small run says, as text and as JSON; the folder answers as a quantized model. */
static void a_calibrated_folder_is_made(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_expect_success(&place,
                        QUANTIZE "--calib @D/calibrate.jsonl --calib-items 4 --select "
                                 "none --json",
                        &p);
    json_t *result = json_loads(p.out, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(result, "list")), 28);
    assert_int_equal(json_integer_value(json_object_get(result, "not_better")), 0);
    assert_true(json_real_value(json_object_get(result, "objective")) <
                0.7 * json_real_value(json_object_get(result, "objective_rtn")));
    json_decref(result);
    test_program_deinit(&p);
    test_expect_success(&place,
                        "eval --device ref --store results.db --progress none "
                        "--model q --role quant --problems @D/measure.jsonl[0:1]",
                        &p);
    test_program_deinit(&p);
}

static double member(const json_t *v, const char *key)
{
    return json_number_value(json_object_get(v, key));
}

/* The nearest of two candidates stays, alone, and the comparison knows how it was made. */
static void the_nearest_candidate_is_kept(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_expect_success(&place,
                        QUANTIZE "--calib @D/calibrate.jsonl[0:3] --order natural "
                                 "--damping 0.01 --bits 2 --json",
                        &p);
    json_t *result = json_loads(p.out, 0, NULL);
    const json_t *select = json_object_get(result, "select"),
                 *list = json_object_get(select, "candidates");
    assert_int_equal(json_array_size(list), 2);
    assert_true(member(select, "held_out") == 1 && member(select, "calibrate") == 2);
    const size_t chosen = (size_t)member(select, "chosen");
    const json_t *best = json_array_get(list, chosen),
                 *other = json_array_get(list, 1 - chosen);
    assert_true(member(best, "kl") <= member(other, "kl"));
    assert_true(member(best, "behind") == 0 && member(other, "behind") >= 0);
    assert_true(member(best, "objective") == member(result, "objective"));
    test_program_deinit(&p);
    assert_true(access(test_folder_file(&place.run, "q.try-1"), F_OK) != 0);
    assert_true(access(test_folder_file(&place.run, "q.try-2"), F_OK) != 0);
    test_expect_success(&place,
                        "quantize --compare q --model @D --device ref --store results.db "
                        "--progress none --text @D/validate.jsonl[0:1] --json",
                        &p);
    json_t *compared = json_loads(p.out, 0, NULL);
    const json_t *row = json_array_get(json_object_get(compared, "variants"), 1);
    assert_int_equal(json_array_size(json_object_get(row, "layers")), 28);
    assert_true(fabs(member(row, "layer_error") / member(result, "objective") - 1) <
                1e-6);
    assert_true(member(row, "made_seconds") > 0 && member(row, "kl") > 0);
    test_program_deinit(&p);
    json_decref(compared);
    json_decref(result);
}

static void outputs_that_cannot_be_written_are_said(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "logits to a full device", NULL,
          "tool logits --device ref --ids 1 --model @T -o /dev/full", 1,
          "'/dev/full'|No space left", NULL },
        { "logits to no folder", NULL,
          "tool logits --device ref --ids 1 --model @T -o no/x.f32", 1,
          "no/x.f32|No such file", NULL },
        { "quantize to no folder that can be made", NULL,
          "quantize --bits 4 --model @T --out @M/config.json/q", 1,
          "/model/config.json|Not a directory", NULL },
        { "a report to no folder", copy_store,
          "report --store results.db --out no/report.html", 1,
          "no/report.html|No such file", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
    struct test_program p;
    test_place_renew(&place.run);
    test_place_run(&place, "help", &(struct test_run){ .output = "/dev/full" }, &p);
    test_expect_refusal("help to a full device", &p, 1, "output|No space left");
    test_program_deinit(&p);
}

/* Begun in set_up, because it takes the ten seconds that the store waits. */
static void a_locked_file_is_said(void **state)
{
    (void)state;
    test_program_wait(&waiting);
    test_expect_refusal("locked", &waiting, 7,
                        "locked.db|locked|another process|try again");
    test_program_deinit(&waiting);
}

static void lock_and_start(void)
{
    static char line[TEST_LINE_MAX];
    assert_int_equal(sqlite3_open(test_folder_file(&place.other, "locked.db"), &holder),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    test_place_expand(
        &place,
        "eval --device ref --store @O/locked.db --progress none --model @D --problems "
        "@D/measure.jsonl[0:1]",
        line);
    test_program_start(&(struct test_run){ .folder = place.other.path,
                                           .args = line,
                                           .variables = place.variables },
                       &waiting);
}

static int set_up(void **state)
{
    (void)state;
    struct test_program p;
    char command[256];
    test_place_init(&place);
    test_expect_success(&place,
                        "eval --device ref --store @O/made.db --progress none --model @D "
                        "--problems @D/measure.jsonl[0:1]",
                        &p);
    test_program_deinit(&p);
    snprintf(command, sizeof command, "cp '%s/made.db' '%s/locked.db'", place.other.path,
             place.other.path);
    assert_int_equal(system(command), 0);
    lock_and_start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sqlite3_close(holder);
    test_place_deinit(&place);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_devices_are_said),
        cmocka_unit_test(problem_files_are_refused),
        cmocka_unit_test(records_to_grade_are_refused_whole),
        cmocka_unit_test(odd_characters_do_not_stop_a_file),
        cmocka_unit_test(a_prompt_that_is_too_long_is_recorded),
        cmocka_unit_test(results_files_are_refused),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(calibration_is_checked),
        cmocka_unit_test(a_calibrated_folder_is_made),
        cmocka_unit_test(the_nearest_candidate_is_kept),
        cmocka_unit_test(outputs_that_cannot_be_written_are_said),
        cmocka_unit_test(a_locked_file_is_said),
    };
    return cmocka_run_group_tests_name("bad input", tests, set_up, tear_down);
}

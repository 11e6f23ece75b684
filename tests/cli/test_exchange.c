/* import and export as a user runs them: files of lm-evaluation-harness and Inspect become
 * runs that compare, show, grade and report work on; every kind of bad input is refused
 * with code 4 and nothing is half added. */
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_place place;

static long number(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    const char *path = test_folder_file(&place.run, "results.db");
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const long value = (long)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static void run_well(const char *args, char **out)
{
    struct test_program p;
    test_expect_success(&place, args, &p);
    if (out)
        *out = strdup(p.out);
    test_program_deinit(&p);
}

static void fill(void)
{
    test_place_renew(&place.run);
    test_folder_fill(&place.run, "tests/golden/exchange");
}

#define OWN " --bench problems.jsonl --format gsm8k-8shot-cot --store results.db "

static void imported_answers_are_like_any_other(void **state)
{
    (void)state;
    char *out;
    fill();
    run_well("import samples_own_words.jsonl --role full --label harness" OWN, &out);
    assert_non_null(strstr(out, "8 answers (lm-eval), 8 new"));
    free(out);
    run_well("import own_words.eval --role quant" OWN, NULL);
    /* The same again adds nothing; the same log as JSON is another file. */
    run_well("import own_words.eval --role quant" OWN, &out);
    assert_non_null(strstr(out, "8 answers (inspect), 0 new"));
    free(out);
    assert_int_equal(number("SELECT count(*) FROM generation"), 16);
    assert_int_equal(number("SELECT count(*) FROM run_artifact JOIN artifact "
                            "USING(artifact_id) WHERE kind='log' AND direction='in'"),
                     2);
    assert_int_equal(number("SELECT count(*) FROM artifact WHERE "
                            "json_extract(meta,'$.model')='mockllm/model' AND "
                            "origin='inspect_ai 0.3.285'"),
                     1);
    assert_true(number("SELECT count(*) FROM step") >= 16);
    run_well("show own-0 --store results.db", &out);
    assert_true(strstr(out, "harness") && strstr(out, "mockllm/model"));
    free(out);
    run_well("compare --store results.db --json", &out);
    assert_true(strstr(out, "\"n\":8") && strstr(out, "\"problems\":4") &&
                strstr(out, "\"full_label\":\"harness\""));
    free(out);
    run_well("grade --store results.db", &out);
    assert_string_equal(out, "");
    free(out);
    run_well("locate --run mockllm/model --store results.db", &out);
    /* "20/5=5" is false; it was said twice, both times to another question. */
    assert_true(strstr(out, "20/5=5") && strstr(out, "execution/computation"));
    free(out);
    assert_int_equal(number("SELECT count(*) FROM fault WHERE locator='verdict'"),
                     number("SELECT count(*) FROM v_outcome JOIN variant "
                            "USING(variant_id) WHERE label='mockllm/model' AND "
                            "correct=0"));
    run_well("report --store results.db -o page.html", NULL);
    run_well("status --store results.db", NULL);
}

static void what_is_exported_comes_back(void **state)
{
    (void)state;
    static const char *const kinds[] = { "jsonl", "lm-eval", "inspect", "inspect-eval" };
    fill();
    run_well("import own_words.eval --role full --label first" OWN, NULL);
    for (size_t i = 0; i < RT_COUNT(kinds); i++) {
        char args[256];
        snprintf(args, sizeof args, "export --run first --store results.db --as %s -o %s",
                 kinds[i], kinds[i]);
        run_well(args, NULL);
        snprintf(args, sizeof args, "import %s --role quant --label %s" OWN, kinds[i],
                 kinds[i]);
        run_well(args, NULL);
    }
    /* Every answer of every copy equals the first's, with the same verdict. */
    assert_int_equal(
        number("SELECT count(*) FROM generation g JOIN score s USING(gen_id) JOIN run r "
               "USING(run_id) JOIN variant v USING(variant_id) JOIN (SELECT problem_id, "
               "sample, output, correct, extracted FROM generation JOIN score "
               "USING(gen_id) JOIN run USING(run_id) JOIN variant w USING(variant_id) "
               "WHERE w.label='first') f USING(problem_id, sample) WHERE "
               "v.label<>'first' AND g.output=f.output AND s.correct=f.correct AND "
               "s.extracted IS f.extracted"),
        4 * 8);
    run_well("export --run first --store results.db --as csv -o table.csv", NULL);
    size_t size;
    char *csv = test_file_read(test_folder_file(&place.run, "table.csv"), &size);
    assert_int_equal(strncmp(csv, "id,sample,question,answer,output", 32), 0);
    free(csv);
}

/* The harness ran the demo model through transformers: its answers are those of our own
 * engine word for word, faults and all. The random model says nothing that can be read. */
static void the_harness_and_our_engine_agree(void **state)
{
    (void)state;
    char *out;
    fill();
#define BY_HARNESS " --bench harness_problems.jsonl --store results.db "
    run_well("import samples_gsm8k_demo.jsonl --label harness" BY_HARNESS, &out);
    assert_non_null(strstr(out, "8 answers (lm-eval), 8 new, 3 right"));
    free(out);
    run_well("import samples_gsm8k_random.jsonl --role control --label noise" BY_HARNESS,
             &out);
    assert_non_null(strstr(out, "8 new, 0 right"));
    assert_non_null(strstr(out, "8 unparsed"));
    free(out);
    run_well("eval --device ref --progress none --model @D --role quant" BY_HARNESS,
             NULL);
    assert_int_equal(
        number(
            "SELECT count(*) FROM generation a JOIN run r USING(run_id) JOIN variant v "
            "USING(variant_id) JOIN generation b USING(problem_id, sample, output) "
            "JOIN run s ON s.run_id=b.run_id JOIN variant w ON "
            "w.variant_id=s.variant_id WHERE v.label='harness' AND w.label='quant'"),
        8);
    run_well("compare --full harness --quant quant --store results.db", &out);
    assert_non_null(strstr(out, "? bits per weight"));
    assert_non_null(strstr(out, "lost by quantizing: 0.0 points"));
    assert_non_null(strstr(out, "0 lost, 0 gained"));
    free(out);
    run_well("locate --run harness --store results.db", &out);
    assert_non_null(strstr(out, "\t0\t5\texecution/computation\t91/3=30\n"));
    free(out);
    /* Out and in again: the same file. */
    static const char *const labels[] = { "harness", "noise" };
    for (size_t i = 0; i < RT_COUNT(labels); i++) {
        char args[256];
        snprintf(args, sizeof args,
                 "export --store results.db --as lm-eval --run %s -o one", labels[i]);
        run_well(args, NULL);
        run_well("import one --label again" BY_HARNESS, NULL);
        run_well("export --store results.db --as lm-eval --run again -o two", NULL);
        size_t a_size, b_size;
        char *a = test_file_read(test_folder_file(&place.run, "one"), &a_size);
        char *b = test_file_read(test_folder_file(&place.run, "two"), &b_size);
        assert_int_equal(a_size, b_size);
        assert_memory_equal(a, b, a_size);
        free(a);
        free(b);
    }
}

/* Places in an answer count bytes; what is shown of it begins and ends there. */
static void the_faulty_step_is_shown_whole(void **state)
{
    (void)state;
    char *out;
    fill();
    static const char line[] =
        "{\"id\":\"own-0\",\"output\":\"So\u2026 \u2018boxes\u2019: 3 * 4 = 13.\\n"
        "#### 13\"}\n";
    test_file_write(test_folder_file(&place.run, "mine.jsonl"), line, sizeof line - 1);
    run_well("import mine.jsonl --label accents" OWN, NULL);
    run_well("locate --run accents --store results.db", &out);
    assert_non_null(strstr(out, "\t3 * 4 = 13\n"));
    free(out);
}

/* ---- refusals ---- */

#define THERE " --bench @O/problems.jsonl --format gsm8k-8shot-cot --store results.db "

static void fill_other(void)
{
    test_place_renew(&place.other);
    test_folder_fill(&place.other, "tests/golden/exchange");
}

static void write(const char *name, const char *text)
{
    test_file_write(test_folder_file(&place.other, name), text, strlen(text));
}
#define KNOWN "{\"id\":\"own-0\",\"output\":\"12\"}\n"
static void line_broken(void)
{
    fill_other();
    write("x.jsonl", KNOWN "{\"id\":\"own-1\",\n");
}
static void wrong_encoding(void)
{
    fill_other();
    write("x.jsonl", KNOWN "{\"id\":\"own-1\",\"output\":\"gr\xfc"
                           "n\"}\n");
}
static void id_twice(void)
{
    fill_other();
    write("x.jsonl", KNOWN "{\"id\":\"own-1\",\"output\":\"4\"}\n" KNOWN);
}
static void answer_missing(void)
{
    fill_other();
    write("x.jsonl", KNOWN "{\"id\":\"own-1\",\"answer\":\"4\"}\n");
}
static void unknown_problem(void)
{
    fill_other();
    write("x.jsonl", KNOWN "{\"id\":\"own-7\",\"output\":\"4\"}\n");
}
#define HARNESS(id, answer, filter)                                   \
    "{\"doc_id\":0,\"doc\":{\"id\":\"" id "\"},\"resps\":[[\"" answer \
    "\"]],\"filter\":\"" filter "\"}\n"
static void filter_lacks(void)
{
    fill_other();
    write("x.jsonl", HARNESS("own-0", "12", "strict") HARNESS("own-1", "4", "flex"));
}
static void filters_differ(void)
{
    fill_other();
    write("x.jsonl", HARNESS("own-0", "12", "strict") HARNESS("own-0", "4", "flex"));
}
static void no_answers(void)
{
    fill_other();
    write("x.jsonl", "\n");
}
static void output_not_a_number(void)
{
    fill_other();
    write("x.jsonl", KNOWN "{\"id\":\"own-1\",\"output\":NaN,\"score\":NaN}\n");
}
static void utf_16(void)
{
    static const char text[] = "\xff\xfe{\0\"\0i\0d\0\"\0:\0001\0}\0\n";
    fill_other();
    test_file_write(test_folder_file(&place.other, "x.jsonl"), text, sizeof text);
}
static void other_question(void)
{
    fill_other();
    write("problems.jsonl", "[{\"id\":\"u1\",\"question\":\"Compute $7+4$.\","
                            "\"answer\":11}]");
    write("x.jsonl", "[{\"id\":\"u1\",\"question\":\"Compute $7-4$.\","
                     "\"output\":\"3\"}]");
}
static void archive_cut(void)
{
    fill_other();
    size_t size;
    const char *path = test_folder_file(&place.other, "own_words.eval");
    char *bytes = test_file_read(path, &size);
    test_file_write(test_folder_file(&place.other, "x.jsonl"), bytes, size / 2);
    free(bytes);
}

static void bad_imports_add_nothing(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "a broken line", line_broken, "import @O/x.jsonl" THERE, 4,
          "x.jsonl' line 2, column|not JSON", NULL },
        { "Latin-1", wrong_encoding, "import @O/x.jsonl" THERE, 4,
          "x.jsonl' line 2, column|not UTF-8", NULL },
        { "UTF-16", utf_16, "import @O/x.jsonl" THERE, 4,
          "x.jsonl' line 1|the text is UTF-16, not UTF-8|iconv -f UTF-16 -t UTF-8",
          NULL },
        { "an answer that is no number", output_not_a_number, "import @O/x.jsonl" THERE,
          4, "x.jsonl' line 2: 'output' is NaN; a text is needed", NULL },
        { "a question with another sign", other_question, "import @O/x.jsonl" THERE, 4,
          "1 of 1 answers are to no problem|'u1'", NULL },
        { "an answer twice", id_twice, "import @O/x.jsonl" THERE, 4,
          "own-0' is there twice|1 and 3", NULL },
        { "no output", answer_missing, "import @O/x.jsonl" THERE, 4,
          "line 2|'output' is missing", NULL },
        { "an unknown problem", unknown_problem, "import @O/x.jsonl" THERE, 4,
          "1 of 2 answers are to no problem|'own-7'|--bench", NULL },
        { "an empty file", no_answers, "import @O/x.jsonl" THERE, 4, "holds no answer",
          NULL },
        { "half an archive", archive_cut, "import @O/x.jsonl" THERE, 4,
          "not a zip archive", NULL },
        { "no file", fill_other, "import @O/nothing.jsonl" THERE, 4,
          "nothing.jsonl|No such file", NULL },
        { "no such kind", fill_other, "import @O/own_words.eval --as helm" THERE, 2,
          "helm|lm-eval, inspect or jsonl", NULL },
        { "an archive as lines", fill_other, "import @O/own_words.eval --as jsonl" THERE,
          4, "is a zip archive, not jsonl", NULL },
        { "no such format", fill_other,
          "import @O/own_words.eval --bench @O/problems.jsonl --format x --store "
          "results.db",
          2, "no format 'x'", NULL },
        { "no problems", fill_other, "import @O/own_words.eval --store results.db", 2,
          "--bench", NULL },
        { "a filter lacks a document", filter_lacks, "import @O/x.jsonl" THERE, 4,
          "'strict' lacks 1 of the documents|own-1|--filter NAME", NULL },
        { "filters with other answers", filters_differ, "import @O/x.jsonl" THERE, 4,
          "'own-0' has other answers|'flex' (line 2)|'strict' (line 1)", NULL },
        { "no such filter", fill_other,
          "import @O/samples_own_words.jsonl --filter x" THERE, 4,
          "no answer of the filter x", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
    /* Half of a file is never added. */
    test_place_renew(&place.run);
    unknown_problem();
    struct test_program p;
    test_place_run(&place, "import @O/x.jsonl" THERE, &(struct test_run){ 0 }, &p);
    assert_int_equal(p.code, 4);
    test_program_deinit(&p);
    assert_int_equal(number("SELECT (SELECT count(*) FROM generation)+(SELECT count(*) "
                            "FROM run)+(SELECT count(*) FROM variant)+(SELECT count(*) "
                            "FROM benchmark)+(SELECT count(*) FROM artifact)"),
                     0);
}

/* The user chose: what is left out is said, and is no error. */
static void a_chosen_filter_leaves_documents_out(void **state)
{
    (void)state;
    test_place_renew(&place.run);
    filter_lacks();
    struct test_program p;
    test_expect_success(&place, "import @O/x.jsonl --filter flex" THERE, &p);
    assert_non_null(strstr(p.err, "several filters (strict, flex); those of 'flex'"));
    assert_non_null(strstr(p.err, "documents left out that it lacks: 1\n"));
    test_program_deinit(&p);
    assert_int_equal(number("SELECT count(*) FROM generation"), 1);
}

/* An id that stands for another problem: earlier answers refer to that. */
static void an_id_keeps_its_problem(void **state)
{
    (void)state;
    struct test_program p;
    fill();
    run_well("import own_words.eval" OWN, NULL);
    test_file_replace(test_folder_file(&place.run, "problems.jsonl"),
                      "\"answer\": \"19\"", "\"answer\": \"20\"");
    test_place_run(&place, "import own_words.json --label other" OWN,
                   &(struct test_run){ 0 }, &p);
    test_expect_refusal("an id of another problem", &p, 4, "'own-2' stands for another");
    test_program_deinit(&p);
    assert_int_equal(number("SELECT count(*) FROM variant"), 1);
    assert_int_equal(number("SELECT count(*) FROM benchmark"), 1);
}

static void exports_are_refused_well(void **state)
{
    (void)state;
    struct test_program p;
    fill();
    run_well("import own_words.eval" OWN, NULL);
    static const struct {
        const char *args;
        int code;
        const char *words;
    } rows[] = {
        { "export --store results.db", 2, "-o FILE" },
        { "export --store results.db --as x -o y", 2, "jsonl, csv, lm-eval" },
        { "export --store results.db --run nobody -o y", 2, "nobody|faultline status" },
        { "grade --store results.db --run nobody", 2, "nobody|faultline status" },
        { "grade --store results.db --run nobody --dry-run", 2, "nobody" },
        { "export --store results.db -o no/folder/y", 1,
          "no/folder/y' cannot be written" },
        { "export --store results.db --as inspect-eval -o no/folder/y", 1,
          "no/folder/y' cannot be written" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        test_place_run(&place, rows[i].args, &(struct test_run){ 0 }, &p);
        test_expect_refusal(rows[i].args, &p, rows[i].code, rows[i].words);
        test_program_deinit(&p);
    }
}

#define EVAL "eval --device ref --store results.db --progress none --model @D "
#define ONE "--problems @D/measure.jsonl[0:1] "

static void no_template(void)
{
    assert_int_equal(remove(test_folder_file(&place.model, "tokenizer_config.json")), 0);
}

static void eval_says_what_it_needs(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no such format", NULL, EVAL ONE "--format x", 2,
          "no format 'x'|gsm8k-8shot-cot, math-4shot-minerva, chat-boxed", NULL },
        { "a format without its examples", NULL, EVAL ONE "--format gsm8k-8shot-cot", 4,
          "gsm8k-cot-8shot|--examples FILE", NULL },
        { "examples of another kind", fill_other,
          EVAL ONE "--format gsm8k-8shot-cot --examples @O/problems.jsonl", 4,
          "problems.jsonl' line 1|'set'", NULL },
        { "a chat with a model without a template", no_template,
          "eval --device ref --store results.db --progress none --model @M " ONE
          "--format chat-boxed",
          4, "has no chat template|--chat-format NAME|chatml", NULL },
        { "a chat date that is none", NULL,
          EVAL ONE "--format chat-boxed --chat-date today", 2,
          "chat date 'today'|2024-07-26", NULL },
        { "no such chat format", NULL, EVAL ONE "--format chat-boxed --chat-format x", 2,
          "chat format 'x'", NULL },
        { "samples of a greedy answer", NULL, EVAL ONE "--samples 4", 2,
          "all the same|--temp", NULL },
        { "a bad shard", NULL, EVAL ONE "--shard 3/2", 2, "--shard 3/2|m/n", NULL },
        { "a shard of none", NULL, EVAL ONE "--shard 0/2", 2, "--shard 0/2", NULL },
        { "a bad time", NULL, EVAL ONE "--time-limit soon", 2, "--time-limit soon|1h30m",
          NULL },
        { "a bad temperature", NULL, EVAL ONE "--temp hot", 2, "--temp hot", NULL },
        { "no such role", NULL, EVAL ONE "--variant best=@D", 2, "--role best", NULL },
        { "an adapter as full", NULL, EVAL ONE "--variant full=@D+@A", 2,
          "--role full|with --adapter", NULL },
        { "no such model", NULL,
          "eval --device ref --store results.db --variant full=nothing " ONE, 4,
          "nothing", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imported_answers_are_like_any_other),
        cmocka_unit_test(what_is_exported_comes_back),
        cmocka_unit_test(the_harness_and_our_engine_agree),
        cmocka_unit_test(the_faulty_step_is_shown_whole),
        cmocka_unit_test(bad_imports_add_nothing),
        cmocka_unit_test(a_chosen_filter_leaves_documents_out),
        cmocka_unit_test(an_id_keeps_its_problem),
        cmocka_unit_test(exports_are_refused_well),
        cmocka_unit_test(eval_says_what_it_needs),
    };
    return test_place_group("exchange", &place, tests, RT_COUNT(tests));
}

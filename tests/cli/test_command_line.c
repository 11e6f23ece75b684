/* The command line: usage errors, help of everything, JSON that parses, progress as
 * asked for, output that nobody reads, Ctrl-C, and the tools for checks by others. */
#include "tests/support/devices.h"
#include "tests/support/loop.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct test_place place;

#define EVAL "eval --device ref --model @D --problems @D/measure.jsonl"

static void wrong_usage_is_exit_code_2(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "an unknown command", NULL, "moon", 2, "no command 'moon'|faultline help",
          NULL },
        { "two letters swapped", NULL, "evla", 2, "did you mean eval", NULL },
        { "a letter too few", NULL, "quantze --bits 3", 2, "did you mean quantize",
          NULL },
        { "an option for a command", NULL, "--bits 3", 2, "no command '--bits'", NULL },
        { "an unknown option", NULL, "quantize --modle x", 2,
          "no option --modle|did you mean --model|faultline help quantize", NULL },
        { "an unknown short option", NULL, "eval -x", 2, "no option -x|faultline help",
          NULL },
        { "an argument too many", NULL, "quantize --model @T --bits 3 --out q more", 2,
          "'quantize' takes no argument 'more'|faultline help quantize", NULL },
        { "a missing value", NULL, "quantize --model", 2, "--model needs a value (DIR)",
          NULL },
        { "a value too many", NULL, "devices --json=1", 2, "--json takes no value",
          NULL },
        { "a missing option", NULL, "quantize --bits 4", 2,
          "--model DIR and --out DIR|faultline help quantize", NULL },
        { "a number out of range", NULL, "quantize --bits 33 --model @T --out q", 2,
          "--bits 33|from 2 to 8", NULL },
        { "a number between", NULL, "quantize --bits 5 --model @T --out q", 2,
          "2, 3, 4 or 8", NULL },
        { "a form that nothing is kept in", NULL,
          "quantize --bits 4 --keep f64 --model @T --out q", 2, "--keep f64|f16 or f32",
          NULL },
        { "no number", NULL, "quantize --bits three --model @T --out q", 2,
          "--bits three|a whole number", NULL },
        { "a negative seed", NULL, EVAL " --seed -1", 2, "--seed -1|from 0", NULL },
        { "a group that is no multiple", NULL,
          "quantize --bits 4 --group 33 --model @T --out q", 2, "--group 33|32", NULL },
        { "groups that are too small", NULL,
          "quantize --bits 4 --group 8 --model @T --out q", 2, "--group 8|16", NULL },
        { "an unknown method", NULL, "quantize --method awk --model @T --out q", 2,
          "awk|rtn, gptq, awq", NULL },
        { "an unknown progress", NULL, EVAL " --progress maybe", 2,
          "--progress maybe|auto, plain, json or none", NULL },
        { "products of no kind", NULL,
          "tool logits --products f8 --model @T --ids 1 -o x.f32", 2,
          "--products is auto, f32, f16 or int8, not 'f8'", NULL },
        { "a cache of no kind", NULL, "tool logits --kv f8 --model @T --ids 1 -o x.f32",
          2, "--kv is auto, f32 or f16, not 'f8'", NULL },
        { "a tune that is neither", NULL,
          "tool logits --tune perhaps --model @T --ids 1 -o x.f32", 2,
          "--tune is on or off, not 'perhaps'", NULL },
        { "a family that is none", NULL,
          "tool logits --family big --model @T --ids 1 -o x.f32", 2,
          "--family is auto, lanes or tiled, not 'big'", NULL },
        { "a role that is none", NULL, EVAL " --role king", 2,
          "--role king|full, quant, restored or control", NULL },
        { "a role without its adapter", NULL, EVAL " --role full --adapter @A", 2,
          "--role full|restored or control", NULL },
        { "no tool", NULL, "tool", 2, "logits, tokenize or dequant", NULL },
        { "an unknown tool", NULL, "tool moon", 2, "no tool 'moon'", NULL },
        { "ids that are none", NULL,
          "tool logits --device ref --model @T --ids 1,x -o x.f32", 2,
          "--ids 1,x|whole numbers with commas", NULL },
        { "an id beyond the model", NULL,
          "tool logits --device ref --model @T --ids 1,331 -o x.f32", 2,
          "no id 331|0 to 330", NULL },
        { "an unknown topic", NULL, "help moon", 2, "no command or topic 'moon'", NULL },
        { "a topic misspelt", NULL, "help exit-code", 2, "did you mean exit-codes",
          NULL },
        { "no query", NULL, "sql", 2, "one statement", NULL },
        { "no problem to show", NULL, "show", 2, "the id of one problem", NULL },
        { "a learning rate beyond", NULL, "restore --lr 3 --full x", 2, "--lr 3", NULL },
        { "a recipe that is none", NULL, "train --recipe moon", 2, "no recipe 'moon'",
          NULL },
        { "a dry run without its model", NULL,
          "train --dry-run --device ref --recipe sft", 2, "--quant DIR", NULL },
        { "a dry run without its teacher", NULL,
          "train --dry-run --device ref --quant @T --recipe adapter", 2,
          "has a teacher|--full DIR", NULL },
        { "a dry run of scales", NULL, "train --dry-run --device ref --quant @T", 2,
          "trains scales|--recipe", NULL },
        { "a dry run that trains nothing", NULL,
          "train --dry-run --device ref --quant @T --recipe lowrank", 2,
          "'lowrank' does not train", NULL },
        { "a chain without its problems", NULL, "locate --full @D", 2,
          "--mine, --validate and --measure", NULL },
        { "a measured problem among the mined", NULL,
          "locate --device ref --store results.db --work @O/work --full @D --mine "
          "@D/measure.jsonl[0:2] --validate @D/validate.jsonl[0:2] --measure "
          "@D/measure.jsonl[1:3]",
          2, "demo-measure-0001|in-sample", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

static void everything_has_help(void **state)
{
    (void)state;
    static const char *const names[] = {
#define COMMAND(name) #name,
#include "pipeline/cli/commands.def"
#undef COMMAND
        "exit-codes",
        "environment",
    };
    enum { COMMANDS = RT_COUNT(names) - 2 };
    struct test_program all, p;
    test_expect_success(&place, "help", &all);
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        char args[64], heading[64], name[32];
        snprintf(name, sizeof name, "%s", names[i]);
        if (strchr(name, '_')) /* a name in C */
            *strchr(name, '_') = '-';
        snprintf(args, sizeof args, "help %s", name);
        snprintf(heading, sizeof heading, "faultline %s", name);
        test_expect_success(&place, args, &p);
        if (strlen(p.out) < 100 || p.err[0] || !strstr(all.out, name))
            fail_msg("'%s' does not explain: %s%s", args, p.out, p.err);
        char *text = strdup(p.out);
        test_program_deinit(&p);
        if (i < COMMANDS) {
            assert_true(strncmp(text, heading, strlen(heading)) == 0);
            snprintf(args, sizeof args, "%s --help", name);
            test_expect_success(&place, args, &p);
            assert_string_equal(p.out, text);
            test_program_deinit(&p);
        }
        free(text);
    }
    test_program_deinit(&all);
    test_expect_success(&place, "help environment", &p);
    assert_non_null(strstr(p.out, "FAULTLINE_DEMO"));
    test_program_deinit(&p);
}

/* ---- output for programs ---- */

static json_t *parsed(const char *args)
{
    struct test_program p;
    json_error_t error;
    test_expect_success(&place, args, &p);
    json_t *value = json_loads(p.out, JSON_ALLOW_NUL, &error);
    if (!value)
        fail_msg("'%s' does not print JSON: %s: %s", args, error.text, p.out);
    test_program_deinit(&p);
    return value;
}

/* A value that must be there. */
static const json_t *field(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        fail_msg("there is no '%s'", key);
    return value;
}

/* Two variants measured on two problems in results.db. */
static void measure_two(void)
{
    struct test_program p;
    test_place_renew(&place.run);
    test_expect_success(&place, "quantize --model @D --bits 2 --out q2", &p);
    test_program_deinit(&p);
    json_t *full = parsed(EVAL "[0:2] --store results.db --json -q");
    assert_int_equal(json_integer_value(field(full, "n")), 2);
    json_decref(full);
    json_decref(parsed("eval --device ref --model q2 --role quant --store results.db "
                       "--json -q --problems @D/measure.jsonl[0:2]"));
}

static void results_for_programs_are_json(void **state)
{
    (void)state;
    measure_two();
    json_t *v = parsed("devices --json");
    const json_t *last = json_array_get(v, json_array_size(v) - 1);
    assert_string_equal(json_string_value(field(last, "name")), "ref");
    json_decref(v);
    v = parsed("doctor --device ref --json");
    assert_true(json_array_size(field(v, "findings")) > 3);
    assert_string_equal(json_string_value(field(v, "chosen")), "ref");
    json_decref(v);
    v = parsed("status --json --store results.db");
    assert_int_equal(json_array_size(v), 2);
    assert_int_equal(json_integer_value(field(json_array_get(v, 1), "done")), 2);
    assert_string_equal(json_string_value(field(json_array_get(v, 1), "status")), "done");
    json_decref(v);
    v = parsed("compare --json --store results.db");
    assert_int_equal(json_integer_value(field(v, "n")), 2);
    assert_true(json_is_number(field(v, "loss_p")));
    json_decref(v);
    v = parsed("sql --json --store results.db 'SELECT 1 AS i, 1.5 AS x, NULL AS n, "
               "\"a\nb\" AS t, \"a\"||CAST(substr(CAST(char(233) AS BLOB),1,1) AS TEXT) "
               "AS bad'");
    const json_t *row = json_array_get(v, 0);
    assert_true(json_is_integer(field(row, "i")) && json_is_real(field(row, "x")));
    assert_true(json_is_null(field(row, "n")));
    assert_string_equal(json_string_value(field(row, "t")), "a\nb");
    assert_string_equal(json_string_value(field(row, "bad")), "a\xef\xbf\xbd");
    json_decref(v);
    v = parsed("sql --json --store results.db 'SELECT 1 WHERE 0'");
    assert_int_equal(json_array_size(v), 0);
    json_decref(v);
}

/* Blobs and texts are whole, and no key stands twice. */
static void query_results_are_whole(void **state)
{
    (void)state;
    static const char query[] =
        "'SELECT CAST(char(20,8,0,0,106,21) AS BLOB) AS b, zeroblob(0) AS e, "
        "\"a\"||char(0)||\"b\" AS t, 1 AS a, 2 AS a, 3 AS a_2, 4 AS a'";
    static const char *const names[] = { "a", "a_3", "a_2", "a_4" };
    char args[512];
    struct test_program p;
    test_place_renew(&place.run);
    test_folder_fill(&place.run, "tests/golden/exchange");
    test_expect_success(
        &place,
        "import own_words.eval --bench problems.jsonl --role full --format "
        "gsm8k-8shot-cot --store results.db",
        &p);
    test_program_deinit(&p);
    snprintf(args, sizeof args, "sql --json --store results.db %s", query);
    json_t *v = parsed(args);
    const json_t *row = json_array_get(v, 0);
    assert_string_equal(json_string_value(field(row, "b")), "140800006A15");
    assert_string_equal(json_string_value(field(row, "e")), "");
    assert_int_equal(json_string_length(field(row, "t")), 3);
    assert_memory_equal(json_string_value(field(row, "t")), "a\0b", 3);
    static const int values[] = { 1, 2, 3, 4 };
    for (size_t i = 0; i < RT_COUNT(names); i++)
        assert_int_equal(json_integer_value(field(row, names[i])), values[i]);
    json_decref(v);
    snprintf(args, sizeof args, "sql --store results.db %s", query);
    test_expect_success(&place, args, &p);
    assert_string_equal(p.out, "b\te\tt\ta\ta_3\ta_2\ta_4\n"
                               "140800006A15\t\ta\\0b\t1\t2\t3\t4\n");
    test_program_deinit(&p);
}

static void locate_prints_json(void **state)
{
    (void)state;
    test_place_renew(&place.run);
    json_t *v = parsed("locate --device ref --json -q --store results.db --work work "
                       "--full @D --bits 2 --mine @D/mine.jsonl[0:6] --validate "
                       "@D/validate.jsonl[0:1] --measure @D/measure.jsonl[0:1]");
    assert_true(json_array_size(v) > 0);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *row = json_array_get(v, i);
        assert_non_null(strstr(json_string_value(field(row, "problem_id")), "demo-mine"));
        assert_true(json_is_integer(field(row, "step")) ||
                    json_is_null(field(row, "step")));
        assert_string_not_equal(json_string_value(field(row, "locator")), "gold");
    }
    json_decref(v);
}

static void gates_are_exit_code_6(void **state)
{
    (void)state;
    struct test_program p;
    measure_two();
    test_expect_success(&place, "compare --store results.db --fail-if n<2", &p);
    test_program_deinit(&p);
    test_place_run(&place, "compare --store results.db --fail-if n>1",
                   &(struct test_run){ 0 }, &p);
    assert_int_equal(p.code, 6);
    assert_non_null(strstr(p.err, "gate: n is 2"));
    test_program_deinit(&p);
}

static void progress_is_as_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        bool plain, json;
    } cases[] = {
        { "--progress plain", true, false },          { "--progress json", false, true },
        { "--progress auto", true, false }, /* not on a terminal */
        { "--progress none", false, false },          { "-q", false, false },
        { "--quiet --progress plain", false, false },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char args[512];
        struct test_program p;
        test_place_renew(&place.run);
        snprintf(args, sizeof args, EVAL "[0:1] --store results.db --no-color %s",
                 cases[i].option);
        test_expect_success(&place, args, &p);
        const bool json = strstr(p.err, "{\"what\":\"measure full\",\"done\":0") != NULL;
        const bool plain = strstr(p.err, " 0/1 ") != NULL;
        if (plain != cases[i].plain || json != cases[i].json || strchr(p.err, '\x1b') ||
            (cases[i].option[1] == 'q' && p.err[0]))
            fail_msg("%s: %s", cases[i].option, p.err);
        assert_non_null(strstr(p.out, "1 of 1 right"));
        test_program_deinit(&p);
    }
}

/* ---- ends ---- */

static void stop_and_go_on(int signal_number, int code)
{
    enum { PROBLEMS = 32, WAIT_MAX = 3000 };
    const struct timespec pause = { 0, 10000000 };
    struct test_program p;
    char line[TEST_LINE_MAX], store[TEST_PATH_MAX];
    test_place_renew(&place.run);
    snprintf(store, sizeof store, "%s", test_folder_file(&place.run, "results.db"));
    test_place_expand(&place, EVAL "[0:32] --slots 4 --store results.db --progress none",
                      line);
    test_program_start(&(struct test_run){ .folder = place.run.path,
                                           .args = line,
                                           .variables = place.variables },
                       &p);
    for (int i = 0; i < WAIT_MAX && test_answers_in(store) == 0; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(kill(p.pid, signal_number), 0);
    test_program_wait(&p);
    test_expect_refusal("stopped", &p, code, "finished work is saved|same command");
    test_program_deinit(&p);
    const int saved = test_answers_in(store);
    assert_true(saved > 0 && saved < PROBLEMS);
    test_expect_success(&place, EVAL "[0:32] --store results.db --json -q", &p);
    json_t *v = json_loads(p.out, 0, NULL);
    assert_int_equal(json_integer_value(field(v, "n")), PROBLEMS);
    assert_int_equal(test_answers_in(store), PROBLEMS);
    json_decref(v);
    test_program_deinit(&p);
}

static void a_stopped_run_goes_on(void **state)
{
    (void)state;
    stop_and_go_on(SIGINT, 130);
    stop_and_go_on(SIGTERM, 5);
}

#define MANY_ROWS                                                                    \
    "'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<100000) " \
    "SELECT x FROM c'"

static void nobody_need_read_the_output(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "help",
        "--version",
        "devices",
        EVAL "[0:1] --store results.db --progress plain",
        "sql --store results.db " MANY_ROWS,
    };
    test_place_renew(&place.run);
    for (size_t i = 0; i < RT_COUNT(lines); i++) {
        struct test_program p;
        test_place_run(&place, lines[i], &(struct test_run){ .closed_output = true }, &p);
        if (p.code != 0)
            fail_msg("'%s' ends with %d", lines[i], p.code);
        test_program_deinit(&p);
    }
    assert_int_equal(test_answers_in(test_folder_file(&place.run, "results.db")), 1);
}

/* ---- tools ---- */

static void logits_are_raw_floats(void **state)
{
    (void)state;
    enum { VOCAB = 331, IDS_MAX = 1024 };
    static const struct {
        const char *folder, *option;
    } cases[] = {
        { "tests/golden/models/qwen2-tiny", "" },
        { "tests/golden/lora/qwen2-tiny/plain", " --adapter @A" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char path[1024], args[IDS_MAX];
        struct test_program p;
        test_place_renew(&place.run);
        snprintf(args, sizeof args, "%s/golden.json", cases[i].folder);
        json_t *golden = json_load_file(test_path(path, sizeof path, args), 0, NULL);
        const json_t *sequences = field(golden, "sequences");
        const json_t *ids = NULL;
        for (size_t k = 0; k < json_array_size(sequences); k++) {
            const json_t *sequence = json_array_get(sequences, k);
            if (strcmp(json_string_value(field(sequence, "name")), "t17") == 0)
                ids = field(sequence, "ids");
        }
        const size_t n = json_array_size(ids);
        snprintf(args, sizeof args,
                 "tool logits --device ref --model @T%s -o x.f32 --ids ",
                 cases[i].option);
        for (size_t k = 0; k < n; k++)
            snprintf(args + strlen(args), sizeof args - strlen(args), k ? ",%d" : "%d",
                     (int)json_integer_value(json_array_get(ids, k)));
        test_expect_success(&place, args, &p);
        assert_string_equal(p.out, "");
        test_program_deinit(&p);
        size_t size;
        char *got = test_file_read(test_folder_file(&place.run, "x.f32"), &size);
        assert_int_equal(size, n * VOCAB * 4);
        snprintf(args, sizeof args, "%s/logits_t17.f32", cases[i].folder);
        float *expected = test_floats(test_path(path, sizeof path, args), n * VOCAB);
        assert_true(test_max_difference((const float *)(const void *)got, expected,
                                        n * VOCAB) <= 1e-3);
        free(expected);
        free(got);
        json_decref(golden);
    }
}

static void tokenize(const char *option, const char *input, struct test_program *p)
{
    char args[64];
    snprintf(args, sizeof args, "tool tokenize --model @T%s", option);
    test_place_run(&place, args, &(struct test_run){ .input = input }, p);
}

static void lines_become_ids_and_come_back(void **state)
{
    (void)state;
    static const char text[] = "hello world\n\ntwo  spaces, \xc3\xa9 and 12\n"
                               "<|im_end|> is one id\n\"quotes\" \\ \ttab\n";
    struct test_program ids, back;
    tokenize("", text, &ids);
    assert_int_equal(ids.code, 0);
    assert_non_null(strstr(ids.out, "]\n[]\n[")); /* the empty line */
    assert_non_null(strstr(ids.out, "\n[330,"));
    tokenize(" --decode", ids.out, &back);
    assert_int_equal(back.code, 0);
    assert_string_equal(back.out, text);
    test_program_deinit(&ids);
    test_program_deinit(&back);
    static const struct {
        const char *input, *words;
    } cases[] = {
        { "[1,2\n", "standard input, line 1|not a JSON array" },
        { "{\"a\":1}\n", "standard input, line 1|not a JSON array" },
        { "[-1]\n", "standard input, line 1|element 1|no id" },
        { "[1,\"a\"]\n", "standard input, line 1|element 2|no id" },
        { "[4294967296]\n", "standard input, line 1|element 1|no id" },
        { "[1,4000000]\n", "standard input, line 1|no id 4000000" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        tokenize(" --decode", cases[i].input, &back);
        test_expect_refusal(cases[i].input, &back, 4, cases[i].words);
        test_program_deinit(&back);
    }
}

/* The program finds the model that was installed with it, wherever the tree is now. */
static void an_installed_tree_may_be_moved(void **state)
{
    (void)state;
    const char *kept = getenv("FAULTLINE_BUILD");
    const char *from = kept ? kept : TEST_BUILD_DIR;
    char command[2048], bin[128];
    struct test_program p;
    test_place_renew(&place.run);
    snprintf(bin, sizeof bin, "%s/bin", place.other.path);
    snprintf(
        command, sizeof command,
        "cd '%s' && mkdir -p bin share/faultline/demo && cp '%s/faultline' bin && cp "
        "%s/pipeline/demo/*.json* share/faultline/demo",
        place.other.path, from, TEST_SOURCE_DIR);
    assert_int_equal(system(command), 0);
    char *again = kept ? strdup(kept) : NULL;
    setenv("FAULTLINE_BUILD", bin, 1);
    test_expect_success(&place, "demo --problems 3", &p);
    const char *second = strchr(p.out, '\n');
    assert_true(second && strstr(second, "\"question\""));
    test_program_deinit(&p);
    /* Damage there shows that it was that folder and not the source tree's. */
    test_file_write(test_folder_file(&place.other, "share/faultline/demo/mine.jsonl"),
                    "no problem\n", 11);
    test_place_run(&place, "demo --problems 3", &(struct test_run){ 0 }, &p);
    if (again)
        setenv("FAULTLINE_BUILD", again, 1);
    else
        unsetenv("FAULTLINE_BUILD");
    free(again);
    test_expect_refusal("the moved tree", &p, 4,
                        "/other/share/faultline/demo/mine.jsonl");
    test_program_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_exit_code_2),
        cmocka_unit_test(everything_has_help),
        cmocka_unit_test(results_for_programs_are_json),
        cmocka_unit_test(query_results_are_whole),
        cmocka_unit_test(locate_prints_json),
        cmocka_unit_test(gates_are_exit_code_6),
        cmocka_unit_test(progress_is_as_asked_for),
        cmocka_unit_test(a_stopped_run_goes_on),
        cmocka_unit_test(nobody_need_read_the_output),
        cmocka_unit_test(logits_are_raw_floats),
        cmocka_unit_test(lines_become_ids_and_come_back),
        cmocka_unit_test(an_installed_tree_may_be_moved),
    };
    return test_place_group("the command line", &place, tests, RT_COUNT(tests));
}

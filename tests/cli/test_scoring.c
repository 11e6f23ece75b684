/* perplexity and choice against sums over the logits that `tool logits` writes, and their
 * bad input: one line, code 4, nothing half added. */
#include "tests/support/devices.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 331, TOKENS_MAX = 256 };

static struct test_place place;

static void write_other(const char *name, const char *text)
{
    test_file_write(test_folder_file(&place.other, name), text, strlen(text));
}

static json_t *run_json(const char *args)
{
    struct test_program p;
    test_expect_success(&place, args, &p);
    json_t *v = json_loads(p.out, 0, NULL);
    if (!v)
        fail_msg("%s: '%s' is no JSON", args, p.out);
    test_program_deinit(&p);
    return v;
}

static double number(const json_t *v, const char *key)
{
    const json_t *n = json_object_get(v, key);
    if (!json_is_number(n))
        fail_msg("no number '%s'", key);
    return json_number_value(n);
}

/* Ids of a text, through the program. */
static uint32_t ids_of(const char *text, uint32_t *ids)
{
    struct test_program p;
    json_t *string = json_string(text);
    char *line = json_dumps(string, JSON_ENCODE_ANY);
    test_place_run(&place, "tool tokenize --json --model @T",
                   &(struct test_run){ .input = line }, &p);
    json_t *list = json_loads(p.out, 0, NULL);
    assert_int_equal(p.code, 0);
    const uint32_t n = (uint32_t)json_array_size(list);
    assert_true(n > 0 && n <= TOKENS_MAX);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    test_program_deinit(&p);
    json_decref(list);
    json_decref(string);
    free(line);
    return n;
}

/* -sum of log p of tokens `from` to the end, given all before. */
static double surprise(const uint32_t *ids, uint32_t n, uint32_t from)
{
    char args[2048] = "tool logits --device ref --model @T -o logits.f32 --ids ";
    struct test_program p;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        snprintf(args + strlen(args), sizeof args - strlen(args), "%s%u", i ? "," : "",
                 ids[i]);
    test_expect_success(&place, args, &p);
    test_program_deinit(&p);
    float *logits =
        test_floats(test_folder_file(&place.run, "logits.f32"), (size_t)n * VOCAB);
    for (uint32_t t = from; t < n; t++) {
        const float *row = logits + (size_t)(t - 1) * VOCAB;
        double all = 0;
        for (int i = 0; i < VOCAB; i++)
            all += exp((double)row[i]);
        sum -= (double)row[ids[t]] - log(all);
    }
    free(logits);
    return sum;
}

#define TEXT "Ana has 3 boxes with 4 pens in each box. How many pens does Ana have?\n"

static void perplexity_is_that_of_the_logits(void **state)
{
    (void)state;
    uint32_t ids[TOKENS_MAX];
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    write_other("text.txt", TEXT);
    const uint32_t n = ids_of(TEXT, ids);
    json_t *v = run_json("perplexity --device ref --model @T --text @O/text.txt --store "
                         "results.db --json");
    const double expected = surprise(ids, n, 1) / (n - 1);
    assert_int_equal((int)number(v, "tokens"), n - 1);
    assert_true(fabs(number(v, "nll") - expected) < 1e-4);
    assert_true(fabs(number(v, "perplexity") - exp(expected)) < 1e-3 * exp(expected));
    assert_true(fabs(number(v, "bits_per_byte") -
                     expected * (n - 1) / log(2) / (double)strlen(TEXT)) < 1e-4);
    json_decref(v);
    /* Windows: each token once, with what its window holds before it. */
    enum { CONTEXT = 24, STRIDE = 10 };
    double sum = 0;
    uint32_t from = 1;
    for (uint32_t start = 0; from < n; start += STRIDE) {
        const uint32_t end = start + CONTEXT < n ? start + CONTEXT : n;
        sum += surprise(ids + start, end - start, from - start);
        from = end;
    }
    v = run_json("perplexity --device ref --model @T --text @O/text.txt --store "
                 "results.db --json --context 24 --stride 10 --base @T");
    assert_true(fabs(number(v, "nll") - sum / (n - 1)) < 1e-4);
    assert_true(fabs(number(v, "kl")) < 1e-6 && number(v, "same_top") == 1);
    json_decref(v);
}

/* A model beside itself: no divergence, the perplexity of `perplexity`; rows are kept. */
static void a_comparison_is_perplexity_and_more(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    write_other("text.txt", TEXT);
    json_t *v = run_json("perplexity --device ref --model @T --text @O/text.txt --store "
                         "results.db --json --context 24 --stride 10");
    json_t *c =
        run_json("quantize --compare @T --device ref --model @T --text "
                 "@O/text.txt --store results.db --json --context 24 --stride 10");
    const json_t *rows = json_object_get(c, "variants");
    assert_int_equal(json_array_size(rows), 2);
    const json_t *row = json_array_get(rows, 1), *worst = json_object_get(row, "worst");
    assert_true(fabs(number(row, "perplexity") / number(v, "perplexity") - 1) < 1e-6);
    assert_true(number(row, "kl") >= 0 && number(row, "kl") < 1e-6);
    assert_true(number(row, "same_top") == 1 && number(row, "perplexity_ratio") == 1);
    assert_true(number(row, "bits") == 32 && number(row, "bits_all") == 32);
    assert_int_equal(json_array_size(worst), (size_t)number(v, "tokens"));
    assert_true(json_is_string(json_object_get(json_array_get(worst, 0), "before")));
    json_decref(v);
    json_decref(c);
    test_expect_success(&place,
                        "sql --store results.db 'SELECT count(*) FROM metric WHERE "
                        "step=1'",
                        &p);
    assert_non_null(strstr(p.out, "\n6\n"));
    test_program_deinit(&p);
}

static uint32_t folders_of_plans(void)
{
    uint32_t count = 0;
    DIR *dir = opendir(place.run.path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += strstr(e->d_name, ".plan") != NULL;
    closedir(dir);
    return count;
}

#define COMPARE "quantize --device ref --model @T --store results.db --compare "

/* What a plan would give is what its folder gives, and no folder stays. */
static void a_plan_is_measured_and_not_kept(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    write_other("text.txt", TEXT);
    write_other("plan", "*.mlp.* int2\n");
    test_expect_success(&place,
                        "quantize --model @T --plan @O/plan --bits 3 --group 16 --asym "
                        "--out @O/q",
                        &p);
    test_program_deinit(&p);
    json_t *c = run_json(COMPARE "@O/q,plan:@O/plan --bits 3 --group 16 --asym --text "
                                 "@O/text.txt --json --context 24");
    const json_t *rows = json_object_get(c, "variants");
    assert_int_equal(json_array_size(rows), 3);
    const json_t *folder = json_array_get(rows, 1), *plan = json_array_get(rows, 2);
    assert_true(number(folder, "kl") > 0 && number(folder, "kl") == number(plan, "kl"));
    assert_true(number(folder, "bits_all") == number(plan, "bits_all"));
    const char *path = json_string_value(json_object_get(plan, "variant"));
    assert_true(path && strncmp(path, "plan:", 5) == 0);
    json_decref(c);
    assert_int_equal(folders_of_plans(), 0);
}

/* Where a plan's folder cannot be made, what is there of it goes, and nothing says that a later
 * command continues with it. */
static void a_plan_that_fails_leaves_nothing(void **state)
{
    (void)state;
    static const char compare[] = "quantize --device ref --model @D --store results.db "
                                  "--compare plan:@O/plan --bits 8 --text @O/text.txt "
                                  "--context 24";
    struct test_program p;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    write_other("text.txt", "Mona has 31 apples and buys 12 apples. Noah finds 5 coins. "
                            "Mona has 31 apples and buys 12 apples. ");
    write_other("plan", "*.mlp.* int8\n");
    /* more than a layer or the results file, less than the folder's tensors */
    test_place_run(&place, compare, &(struct test_run){ .file_bytes = 500000 }, &p);
    if (p.code == 0 || !strstr(p.err, "/whole/model.safetensors"))
        fail_msg("code %d: %s", p.code, p.err);
    if (strstr(p.err, "continues") || strstr(p.err, "kept"))
        fail_msg("it says: %s", p.err);
    test_program_deinit(&p);
    assert_int_equal(folders_of_plans(), 0);
    test_expect_success(&place, compare, &p);
    test_program_deinit(&p);
    assert_int_equal(folders_of_plans(), 0);
}

/* Weights of the results file that lie nowhere. */
static int weights_without_path(void)
{
    struct test_program p;
    test_expect_success(
        &place,
        "sql --store results.db 'SELECT count(*)-count(path_hint) AS n FROM "
        "artifact WHERE kind=char(119,101,105,103,104,116,115)'",
        &p);
    const char *line = strchr(p.out, '\n');
    assert_non_null(line);
    const int n = (int)strtol(line + 1, NULL, 10);
    test_program_deinit(&p);
    return n;
}

/* The folder of a plan is gone; a folder with the same weights is where they are. */
static void a_plan_has_no_path(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    write_other("text.txt", TEXT);
    write_other("plan", "* int3\n");
    json_decref(
        run_json(COMPARE "plan:@O/plan --bits 3 --text @O/text.txt --json --context 24"));
    assert_int_equal(weights_without_path(), 1);
    test_expect_success(&place, "quantize --model @T --bits 3 --plan @O/plan --out @O/q",
                        &p);
    test_program_deinit(&p);
    json_decref(run_json(COMPARE "@O/q --text @O/text.txt --json --context 24"));
    assert_int_equal(weights_without_path(), 0);
}

#define QUESTION "\"Ana has 2, and 2 more\",2,\"4, or so\",6,B\n"
#define PROMPT "Ana has 2, and 2 more\nA. 2\nB. 4, or so\nC. 6\nAnswer:"

static void a_choice_is_the_likelier_letter(void **state)
{
    (void)state;
    uint32_t head[TOKENS_MAX], ids[TOKENS_MAX];
    char text[128], best = 'A';
    double least = INFINITY;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    write_other("mc.csv", "q,a,b,c,answer\n" QUESTION "\"Is it?\",yes,no,never,A\n");
    const uint32_t n_head = ids_of(PROMPT, head);
    for (char letter = 'A'; letter <= 'C'; letter++) {
        snprintf(text, sizeof text, "%s %c", PROMPT, letter);
        const uint32_t n = ids_of(text, ids);
        assert_memory_equal(ids, head, n_head * sizeof *ids);
        const double s = surprise(ids, n, n_head);
        if (s < least) {
            least = s;
            best = letter;
        }
    }
    json_t *v = run_json("choice --device ref --model @T --csv @O/mc.csv --store "
                         "results.db --json");
    assert_int_equal((int)number(v, "n"), 2);
    json_decref(v);
    struct test_program p;
    char expected[64];
    test_expect_success(&place,
                        "sql --store results.db 'SELECT extracted, correct FROM score "
                        "JOIN generation USING(gen_id) ORDER BY problem_id LIMIT 1'",
                        &p);
    snprintf(expected, sizeof expected, "extracted\tcorrect\n%c\t%d\n", best,
             best == 'B');
    assert_string_equal(p.out, expected);
    test_program_deinit(&p);
    /* Again: all is from before. */
    test_expect_success(
        &place, "choice --device ref --model @T --csv @O/mc.csv --store results.db", &p);
    assert_non_null(strstr(p.out, "[from before]"));
    test_program_deinit(&p);
}

/* ---- refusals ---- */

static void begin(void)
{
    test_place_renew(&place.other);
}
static void other_plan(void)
{
    begin();
    write_other("x.txt", TEXT);
    write_other("plan", "model.layers.99.mlp.* int3\n");
}
static void short_text(void)
{
    begin();
    write_other("x", "a");
}
static void a_text(void)
{
    begin();
    write_other("x.txt", TEXT);
}
static void latin1(void)
{
    begin();
    write_other("x", "one\ngr\xfcn\n");
}
static void ragged(void)
{
    begin();
    write_other("x", QUESTION "\"Is it?\",yes,no,A\n");
}
static void no_letter(void)
{
    begin();
    write_other("x", QUESTION "\"Is it?\",yes,no,never,D\n");
}
static void one_choice(void)
{
    begin();
    write_other("x", "\"Is it?\",yes,A\n");
}
static void open_quote(void)
{
    begin();
    write_other("x", QUESTION "\"Is it?,yes,no,never,A\n");
}
static void nothing(void)
{
    begin();
    write_other("x", "\n");
}

#define PERPLEXITY "perplexity --device ref --model @T --store results.db --text @O/x "
#define CHOICE "choice --device ref --model @T --store results.db --csv @O/x "

static void bad_texts_and_tables_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no text", begin, PERPLEXITY, 4, "/x|No such file", NULL },
        { "a text of one token", short_text, PERPLEXITY, 4, "too short: 1 tokens", NULL },
        { "Latin-1", latin1, PERPLEXITY, 4, "line 2, column 3|not UTF-8", NULL },
        { "a window beyond the model", latin1, PERPLEXITY "--context 100000", 4,
          "not UTF-8", NULL },
        { "nothing to compare on", begin, COMPARE "@T", 2, "--text T", NULL },
        { "an empty name", begin, COMPARE "@T, --text @O/x", 2, "1 to 64 folders", NULL },
        { "a folder to write", begin, COMPARE "@T --out q --text @O/x", 2,
          "keeps nothing, so --out", NULL },
        { "bits of no plan", begin, COMPARE "@T --bits 3 --text @O/x", 2,
          "--bits is of plan:FILE", NULL },
        { "no plan", a_text, COMPARE "plan:@O/none --text @O/x.txt", 4,
          "none|No such file", NULL },
        { "a plan of another model", other_plan, COMPARE "plan:@O/plan --text @O/x.txt",
          4, "plan|line 1", NULL },
        { "no text to compare on", begin, COMPARE "@T --text @O/x.txt", 4,
          "x.txt|No such file", NULL },
        { "no variant", a_text, COMPARE "@T,@O/none --text @O/x.txt", 4, "none", NULL },
        { "no file", begin, CHOICE, 4, "/x|No such file", NULL },
        { "a ragged row", ragged, CHOICE, 4, "line 2|4 fields where the first line has 5",
          NULL },
        { "a letter of no choice", no_letter, CHOICE, 4,
          "line 2|not the letter of a choice", NULL },
        { "one choice", one_choice, CHOICE, 4, "line 1|2 to 10 choices", NULL },
        { "an open quote", open_quote, CHOICE, 4, "line 2|never closed", NULL },
        { "an empty table", nothing, CHOICE, 4, "holds no question", NULL },
        { "no model", begin, "choice --csv x", 2, "--model DIR and --csv", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perplexity_is_that_of_the_logits),
        cmocka_unit_test(a_comparison_is_perplexity_and_more),
        cmocka_unit_test(a_plan_is_measured_and_not_kept),
        cmocka_unit_test(a_plan_that_fails_leaves_nothing),
        cmocka_unit_test(a_plan_has_no_path),
        cmocka_unit_test(a_choice_is_the_likelier_letter),
        cmocka_unit_test(bad_texts_and_tables_are_refused),
    };
    return test_place_group("scoring", &place, tests, RT_COUNT(tests));
}

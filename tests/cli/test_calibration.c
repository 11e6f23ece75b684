/* Calibration on answers: those that the full model gives to a list, and those of a stored
 * run, all or by verdict; what cannot be is refused in one line. */
#include "tests/support/files.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_place place;

#define QUANTIZE                                                                    \
    "quantize --device ref --store results.db --progress none --model @D --bits 4 " \
    "--method rtn --search --select none --json --force --out q --calib "

/* Tokens that were calibrated on. */
static int tokens_of(const char *calib)
{
    char args[512];
    struct test_program p;
    snprintf(args, sizeof args, QUANTIZE "%s", calib);
    test_expect_success(&place, args, &p);
    json_t *result = json_loads(p.out, 0, NULL);
    const int tokens = (int)json_integer_value(json_object_get(result, "tokens"));
    json_decref(result);
    test_program_deinit(&p);
    assert_true(tokens > 0);
    return tokens;
}

static void expect_query(const char *sql, const char *expected)
{
    char args[512];
    struct test_program p;
    snprintf(args, sizeof args, "sql --store results.db '%s'", sql);
    test_expect_success(&place, args, &p);
    if (!strstr(p.out, expected))
        fail_msg("'%s' is not in '%s'", expected, p.out);
    test_program_deinit(&p);
}

/* Asked once, then from the results file; the run of these answers is the same text. */
static void the_models_own_answers_calibrate(void **state)
{
    (void)state;
    test_place_renew(&place.run);
    const int self = tokens_of("self:@D/mine.jsonl[0:2]");
    assert_int_equal(tokens_of("run:full"), self);
    expect_query("SELECT count(*) FROM generation", "\n2\n");
    expect_query("SELECT count(*) AS n FROM artifact WHERE kind=char(100,97,116,97,115,"
                 "101,116)",
                 "\n1\n");
    expect_query("SELECT count(*) FROM run_artifact WHERE direction=char(105,110)",
                 "\n1\n");
    const int right = tokens_of("run:full,right");
    assert_true(right <= self);
    assert_int_equal(tokens_of("run:full,kept=full"), right);
}

/* One problem of the bundled model, with fields behind it. */
static size_t problem(char *out, size_t size, uint32_t i, const char *fields)
{
    static const char *const parts[][3] = {
        { "Iris has 11 pens. Hugo has 40 more pens than Iris. How many do they have?",
          "Hugo: 11+40=51\\nTotal: 11+51=62\\n#### 62", "62" },
        { "Omar has 20 shells. Omar gives 5 shells to Ruth. How many has Omar?",
          "Omar: 20-5=15\\n#### 15", "15" },
        { "Ruth has 7 coins. Ruth finds 5 coins. How many coins does Ruth have?",
          "Ruth: 7+5=12\\n#### 12", "12" },
    };
    return (size_t)snprintf(out, size,
                            "{\"id\":\"p%u%zu\",\"question\":\"%s\",\"solution\":\"%s\","
                            "\"answer\":\"%s\"%s}\n",
                            i, strlen(fields), parts[i % 3][0], parts[i % 3][1],
                            parts[i % 3][2], fields);
}

static void write_problems(const char *name, const char *fields, bool twice, bool left)
{
    char text[2048];
    size_t at = problem(text, sizeof text, 0, "");
    at += problem(text + at, sizeof text - at, 1, "");
    if (left)
        at += problem(text + at, sizeof text - at, 2, fields);
    if (twice)
        at += problem(text + at, sizeof text - at, 5, fields);
    test_file_write(test_folder_file(&place.other, name), text, at);
}

#define SEARCHED "rtn --search"

/* The error of layers, and the weights of the folder, of the caller. */
static double error_on(const char *method, const char *name, char **weights, size_t *size)
{
    char args[512];
    struct test_program p;
    snprintf(
        args, sizeof args,
        "quantize --device ref --store results.db --progress none --model @D --bits 3 "
        "--method %s --select none --json --force --out q --calib @O/%s",
        method, name);
    test_expect_success(&place, args, &p);
    json_t *result = json_loads(p.out, 0, NULL);
    const double error = json_number_value(json_object_get(result, "objective"));
    json_decref(result);
    test_program_deinit(&p);
    *weights = test_file_read(test_folder_file(&place.run, "q/model.safetensors"), size);
    return error;
}

static void expect_equal_on(const char *method, const char *a, const char *b,
                            double within)
{
    char *of_a, *of_b;
    size_t size_a, size_b;
    const double error_a = error_on(method, a, &of_a, &size_a);
    const double error_b = error_on(method, b, &of_b, &size_b);
    assert_true(error_a > 0 && fabs(error_a / error_b - 1) <= within);
    if (within == 0) {
        assert_int_equal(size_a, size_b);
        assert_memory_equal(of_a, of_b, size_a);
    }
    free(of_a);
    free(of_b);
}

/* Weight 2 is the problem twice but for rounding; 0 leaves it out and 1 is nothing, byte for
 * byte. */
static void weights_are_counts(void **state)
{
    (void)state;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    write_problems("weight.jsonl", ",\"weight\":2", false, true);
    write_problems("twice.jsonl", "", true, true);
    expect_equal_on(SEARCHED, "weight.jsonl", "twice.jsonl", 1e-5);
    expect_equal_on("awq", "weight.jsonl", "twice.jsonl", 1e-2); /* ranges may differ */
    expect_query("SELECT meta FROM artifact WHERE path_hint LIKE char(37)||char(119,101,"
                 "105,103,104,116,46)||char(37)",
                 "\"weighted\":1,\"weight\":");
    write_problems("zero.jsonl", ",\"weight\":0", false, true);
    write_problems("left.jsonl", "", false, false);
    expect_equal_on(SEARCHED, "zero.jsonl", "left.jsonl", 0);
    expect_equal_on("awq", "zero.jsonl", "left.jsonl", 0);
    write_problems("plain.jsonl", "", false, true);
    write_problems("span.jsonl", ",\"spans\":[[0,4,0],[6,9,5]]", false, true);
    char *a, *b;
    size_t size;
    assert_true(error_on(SEARCHED, "span.jsonl", &a, &size) !=
                error_on(SEARCHED, "plain.jsonl", &b, &size));
    free(a);
    free(b);
}

/* Texts of a list, one of them weighted away. */
static void texts_calibrate(void **state)
{
    (void)state;
    static const char words[] =
        "{\"text\":\"Iris has 11 pens and 40 shells. Hugo has 7, and Ruth has 9 more "
        "than Hugo has.\"}\n"
        "{\"text\":\"Omar has 5 coins.\",\"weight\":0}\n"
        "{\"text\":\"Ruth finds 5 coins and 8 stones. Ruth gives 3 "
        "stones to Omar. How many has Ruth? How many stones has Omar, if he had "
        "12?\",\"weight\":3}\n";
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "words.jsonl"), words,
                    sizeof words - 1);
    const int all = tokens_of("@O/words.jsonl --calib-length 512");
    assert_true(all > 64);
    const int cut = tokens_of("@O/words.jsonl --calib-length 32");
    assert_true(cut <= all && cut > all - 6);
}

#define WORDS                                                                            \
    "Ana has 3 boxes with 4 pens in each box. How many pens does Ana have? She has 12. " \
    "Ben takes 5 of them and gives 2 back. How many pens does Ana have then? She has 9."
#define TINY                                                                          \
    "quantize --device ref --store results.db --progress none --model @T --group 32 " \
    "--method gptq --select none --calib @O/words.txt --calib-length 64 --json "

static double bits_of(const char *args)
{
    struct test_program p;
    test_expect_success(&place, args, &p);
    json_t *result = json_loads(p.out, 0, NULL);
    const double bits = json_number_value(json_object_get(result, "bits_per_weight"));
    json_decref(result);
    test_program_deinit(&p);
    return bits;
}

/* A plan within the budget; the folder is what the plan alone gives. */
static void a_budget_is_a_plan(void **state)
{
    (void)state;
    size_t a_size, b_size;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "words.txt"), WORDS, strlen(WORDS));
    const double bits = bits_of(TINY "--out q --budget 4.2");
    assert_true(bits > 3.5 && bits <= 4.2);
    assert_true(bits_of(TINY "--out p --bits 8 --plan q.plan") == bits);
    char *a =
        test_file_read(test_folder_file(&place.run, "q/model.safetensors"), &a_size);
    char *b =
        test_file_read(test_folder_file(&place.run, "p/model.safetensors"), &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
}

/* The dry run counts the widths of a plan as quantize does. */
static void a_dry_run_knows_a_plan(void **state)
{
    (void)state;
    static const char plan[] = "*.down_proj int8\n";
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "plan"), plan, sizeof plan - 1);
    test_file_write(test_folder_file(&place.other, "words.txt"), WORDS, strlen(WORDS));
    const double whole = bits_of(TINY "--out q --dry-run");
    const double planned = bits_of(TINY "--out q --dry-run --plan @O/plan");
    assert_true(planned > whole + 0.5 && planned < whole + 4);
    assert_true(fabs(bits_of(TINY "--out r --plan @O/plan") / planned - 1) < 0.01);
}

static json_t *json_of(const char *args)
{
    struct test_program p;
    test_expect_success(&place, args, &p);
    json_t *result = json_loads(p.out, 0, NULL);
    test_program_deinit(&p);
    assert_non_null(result);
    return result;
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

#define SEEN                                                                       \
    "quantize --device ref --store results.db --progress none --model @T --calib " \
    "@O/words.txt --calib-length 64 --json "

/* One pass serves commands of all methods: what they write is what they write alone. */
static void commands_share_a_pass(void **state)
{
    (void)state;
    static const char *const how[] = { "--select none --method gptq --bits 3",
                                       "--select none --method awq --group 32",
                                       "--select none --method smoothquant",
                                       "--select none --method gguf --type Q4_0" };
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "words.txt"), WORDS, strlen(WORDS));
    struct stat first = { 0 };
    for (size_t i = 0; i < RT_COUNT(how); i++) {
        char args[512], a[1200], b[1200];
        const char *file = i < 3 ? "/model.safetensors" : "";
        for (int seen = 0; seen < 2; seen++) {
            snprintf(args, sizeof args, SEEN "%s --out %c%zu%s", how[i], 'a' + seen, i,
                     seen ? " --seen seen" : "");
            json_decref(json_of(args));
        }
        snprintf(args, sizeof args, "a%zu%s", i, file);
        snprintf(a, sizeof a, "%s", test_folder_file(&place.run, args));
        snprintf(args, sizeof args, "b%zu%s", i, file);
        snprintf(b, sizeof b, "%s", test_folder_file(&place.run, args));
        assert_true(test_file_same(a, b));
        struct stat now;
        assert_int_equal(
            stat(test_folder_file(&place.run, "seen/group-0000.safetensors"), &now), 0);
        if (i > 0) /* no later command made it anew */
            assert_true(now.st_ino == first.st_ino &&
                        now.st_mtim.tv_nsec == first.st_mtim.tv_nsec);
        first = now;
    }
}

/* A folder of unfinished work, or anybody's with a job.json, loses nothing. */
static void a_foreign_folder_is_left_alone(void **state)
{
    (void)state;
    static const char job[] = "{\"key\":\"0123\",\"process\":0}\n", layer[] = "layer";
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "words.txt"), WORDS, strlen(WORDS));
    for (int k = 0; k < 3; k++) { /* a job; with a layer; sums without a job */
        char path[2][1200];
        const char *const names[] = { "s/job.json", k < 2 ? "s/layer-0000.safetensors"
                                                          : "s/group-0000.safetensors" };
        struct test_program p;
        for (int i = 0; i < 2; i++)
            snprintf(path[i], sizeof path[i], "%s",
                     test_folder_file(&place.run, names[i]));
        test_place_renew(&place.run);
        mkdir(test_folder_file(&place.run, "s"), 0777);
        if (k < 2)
            test_file_write(path[0], job, sizeof job - 1);
        if (k > 0)
            test_file_write(path[1], layer, sizeof layer - 1);
        const struct test_run how = { 0 };
        test_place_run(&place, SEEN "--select none --method awq --out q --seen s", &how,
                       &p);
        test_expect_refusal("a foreign folder", &p, 2,
                            "is no folder of what a calibration pass saw");
        test_program_deinit(&p);
        struct stat info;
        assert_true(k == 2 ||
                    (stat(path[0], &info) == 0 && info.st_size == sizeof job - 1));
        assert_true(stat(path[1], &info) == 0 ? k > 0 : k == 0);
    }
}

#define CHOSEN                                                                       \
    "quantize --device ref --store results.db --progress none --model @T --json %s " \
    "--calib @O/words.txt --calib-length 64 "

static void expect_same_weights(const char *a, const char *b)
{
    char path[2][1200];
    for (int i = 0; i < 2; i++)
        snprintf(path[i], sizeof *path, "%s/%s/model.safetensors", place.run.path,
                 i ? b : a);
    assert_true(test_file_same(path[0], path[1]));
}

/* The folder that is chosen is that of its options: of SmoothQuant, and of layers that see
 * the ones before them quantized. */
static void a_choice_is_a_folder_of_its_options(void **state)
{
    (void)state;
    static const char other[] =
        "Zoe has 7 bags with 5 coins in each bag. How many coins does Zoe have? She has "
        "35. Max takes 9 of them and gives 4 back. How many coins does Zoe have now?";
    static const char *const how[] = { "--method smoothquant --bits 8",
                                       "--method gptq --bits 3 --group 32 --search "
                                       "--true-sequential" };
    char args[512];
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "words.txt"), WORDS, strlen(WORDS));
    test_file_write(test_folder_file(&place.other, "other.txt"), other, strlen(other));
    for (int i = 0; i < 2; i++) {
        snprintf(args, sizeof args,
                 CHOSEN "--select kl --select-text @O/other.txt --out q%d", how[i], i);
        json_t *made = json_of(args), *select = json_object_get(made, "select");
        const json_t *list = json_object_get(select, "candidates");
        assert_int_equal(json_array_size(list), 3);
        const json_t *best = json_array_get(
            list, (size_t)json_integer_value(json_object_get(select, "chosen")));
        const char *name = json_string_value(json_object_get(best, "name"));
        snprintf(args, sizeof args, CHOSEN "--select none --out p%d --order %s --%s",
                 how[i], i, strstr(name, "natural") ? "natural" : "activation",
                 strstr(name, "damping "));
        json_decref(json_of(args));
        json_decref(made);
    }
    expect_same_weights("q0", "p0");
    expect_same_weights("q1", "p1");
}

/* A layer that runs again has no head, which is no fault of the model. */
static void layers_alone_are_read_quietly(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    test_folder_fill(&place.other, "tests/golden/models/qwen2-tiny");
    test_file_replace(test_folder_file(&place.other, "config.json"),
                      "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    test_file_write(test_folder_file(&place.other, "words.txt"), WORDS, strlen(WORDS));
    test_expect_success(
        &place,
        "quantize --device ref --store results.db --model @O --method gptq "
        "--bits 3 --group 32 --out q --true-sequential --select none "
        "--calib @O/words.txt --calib-length 64 --progress none",
        &p);
    assert_non_null(strstr(p.err, "has no head")); /* the model itself */
    assert_null(strstr(p.err, "trial' has no head"));
    test_program_deinit(&p);
}

#define GGUF "quantize --device ref --store results.db --progress none --model @T --json "

/* What is said of a GGUF file and of a budget before the work holds after it. */
static void a_dry_run_knows_files_and_budgets(void **state)
{
    (void)state;
    static const char *const how[] = {
        "--type Q8_0", "--type Q4_K_M --plain", "--calib @O/words.txt --calib-length 64",
        "--calib @O/words.txt --calib-length 64 --rounding nearest",
        "--calib @O/words.txt --calib-length 64 --select none"
    };
    static const double candidates[] = { 1, 1, 5, 2, 1 };
    test_place_renew(&place.run);
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "words.txt"), WORDS, strlen(WORDS));
    for (size_t i = 0; i < RT_COUNT(how); i++) {
        char args[512];
        size_t size;
        snprintf(args, sizeof args, GGUF "--method gguf --dry-run %s", how[i]);
        json_t *said = json_of(args);
        assert_true(access(test_folder_file(&place.run, "q.gguf"), F_OK) != 0 || i > 0);
        snprintf(args, sizeof args, GGUF "--method gguf --force --out q.gguf %s", how[i]);
        json_t *made = json_of(args);
        free(test_file_read(test_folder_file(&place.run, "q.gguf"), &size));
        assert_true(number(said, "bytes") == (double)size);
        assert_true(number(said, "bits_per_weight") == number(made, "bits_per_weight"));
        assert_true(number(said, "host_bytes") > 0 && number(said, "source_bytes") > 0);
        assert_true((i >= 2) == (number(said, "device_bytes") > 0));
        const double count = number(said, "candidates");
        assert_true(count == candidates[i]);
        assert_true((count > 1) ==
                    (number(said, "compared_bytes") > number(said, "device_bytes")));
        assert_true((count > 1) == (number(said, "seen_bytes") > 0));
        const json_t *select = json_object_get(made, "select");
        assert_int_equal(json_array_size(json_object_get(select, "candidates")),
                         count > 1 ? (size_t)count : 0);
        json_decref(said);
        json_decref(made);
    }
    json_t *said = json_of(TINY "--budget 4.2 --dry-run");
    assert_true(number(said, "bits_per_weight") == 4.2);
    assert_true(number(json_object_get(said, "seconds"), "widths") > 0);
    const double bytes = number(said, "bytes");
    json_decref(said);
    said = json_of(TINY "--bits 4 --dry-run"); /* 5 bits with scales of groups of 32 */
    assert_true(bytes < number(said, "bytes"));
    json_decref(said);
    said = json_of(TINY "--budget 12 --dry-run"); /* codes of 8 bits are the widest */
    assert_true(number(said, "bits_per_weight") > 8);
    assert_true(number(said, "bits_per_weight") <= bits_of(TINY "--bits 8 --dry-run"));
    json_decref(said);
}

static void bad_span(void)
{
    test_place_renew(&place.other);
    write_problems("span.jsonl", ",\"spans\":[[0,4,1],[3,9,1]]", false, true);
    write_problems("nan.jsonl", ",\"weight\":NaN", false, true);
}

static void one_answered(void)
{
    struct test_program p;
    test_expect_success(&place,
                        "eval --device ref --store results.db --progress none --model @D "
                        "--problems @D/mine.jsonl[0:1]",
                        &p);
    test_program_deinit(&p);
}

static void what_cannot_calibrate_is_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "a budget without text", NULL, "quantize --model @T --out q --budget 3", 2,
          "--budget needs --calib", NULL },
        { "a budget and a width", NULL,
          "quantize --model @T --out q --budget 3 --bits 3 --calib x.txt", 2,
          "--budget chooses the widths, --bits", NULL },
        { "a budget for awq", NULL,
          "quantize --model @T --out q --budget 3 --method awq --calib x.txt", 2,
          "which awq cannot", NULL },
        { "a budget for smoothquant", NULL,
          "quantize --model @T --out q --budget 3 --method smoothquant --calib x.txt", 2,
          "which smoothquant cannot", NULL },
        { "a budget for activations of 8 bits", NULL,
          "quantize --model @T --out q --activations static --budget 5 --calib x.txt", 2,
          "--budget chooses widths", NULL },
        { "float inputs of float inputs", NULL,
          "quantize --model @T --out q --bits 8 --float-inputs 2 --calib x.txt", 2,
          "--float-inputs is for activations of 8 bits", NULL },
        { "float inputs without text", NULL,
          "quantize --model @T --out q --activations dynamic --float-inputs 2", 2,
          "--float-inputs needs --calib", NULL },
        { "a negative cost", NULL,
          "quantize --model @T --out q --method smoothquant --float-inputs -1 --calib "
          "x.txt",
          2, "--float-inputs -1", NULL },
        { "no such rounding", NULL,
          "quantize --model @T --out q --method smoothquant --rounding up --calib x.txt",
          2, "--rounding up: gptq or nearest", NULL },
        { "the rounding of another method", NULL,
          "quantize --model @T --out q --method awq --rounding nearest --calib x.txt", 2,
          "--rounding is of --method smoothquant and gguf, not of awq", NULL },
        { "the rounding of a file without text", NULL,
          "quantize --model @T --out q.gguf --method gguf --rounding gptq", 2,
          "--rounding needs --calib", NULL },
        { "the order of what has none", NULL,
          "quantize --model @T --out q.gguf --method gguf --rounding nearest --order "
          "natural --calib x.txt",
          2, "--order is of|gguf --rounding nearest", NULL },
        { "an order of nothing", NULL,
          "quantize --model @T --out q --method smoothquant --rounding nearest --order "
          "natural --calib x.txt",
          2, "--order is of --method gptq, smoothquant and gguf|nearest", NULL },
        { "nothing to choose among", NULL,
          "quantize --model @T --out q --method smoothquant --rounding nearest --select "
          "kl --calib x.txt",
          2, "--select kl|nothing open", NULL },
        { "a budget for layers in sequence", NULL,
          "quantize --device ref --store results.db --model @T --out q --true-sequential "
          "--budget 4 --calib @D/mine.jsonl[0:4] --format demo",
          2, "--true-sequential holds one layer", NULL },
        { "a dry run of a budget that buys nothing", NULL,
          "quantize --device ref --store results.db --progress none --model @D --method "
          "rtn --calib @D/mine.jsonl[0:4] --out q --budget 1 --dry-run",
          2, "--budget 1:|at 2 bits", NULL },
        { "what no pass saw", NULL, "quantize --model @T --out q --bits 4 --seen s", 2,
          "--seen needs --calib", NULL },
        { "what no pass is to see", NULL,
          "quantize --model @T --out q --calib x.txt --dry-run --seen s", 2,
          "--dry-run makes no model|--seen", NULL },
        { "a folder of something else", NULL,
          QUANTIZE "@D/mine.jsonl[0:4] --format demo --seen @T", 2,
          "is no folder of what a calibration pass saw", NULL },
        { "what a pass saw of other layers each time", NULL,
          QUANTIZE "@D/mine.jsonl[0:4] --format demo --true-sequential --seen s", 2,
          "--true-sequential sees other inputs", NULL },
        { "a dry run that writes", NULL,
          "quantize --model @T --method gguf --dry-run --write-plan p", 2,
          "--dry-run writes nothing|--write-plan", NULL },
        { "a text that nothing is compared on", NULL,
          "quantize --model @T --out q --text x.txt", 2, "--text is of --compare", NULL },
        { "a way to make what is there", NULL,
          "quantize --model @T --compare q --text x.txt --true-sequential", 2,
          "--true-sequential has no place", NULL },
        { "no list to answer", NULL, QUANTIZE "self:none.jsonl", 4,
          "none.jsonl|No such file", NULL },
        { "no such run", one_answered, QUANTIZE "run:other", 2,
          "run:other|no eval run|faultline status", NULL },
        { "no such condition", one_answered, QUANTIZE "run:full,best", 2,
          "run:full,best|lost=RUN", NULL },
        { "spans that overlap", bad_span, QUANTIZE "@O/span.jsonl", 4,
          "span.jsonl' line 3|span 2 begins before", NULL },
        { "a weight that is none", bad_span, QUANTIZE "@O/nan.jsonl", 4,
          "nan.jsonl' line 3|'weight' must be a number", NULL },
        { "spans of what the model answers", bad_span, QUANTIZE "self:@O/span.jsonl", 4,
          "span.jsonl' line 3|spans", NULL },
        { "no step", one_answered, QUANTIZE "run:full,step=0", 2, "step=W takes a number",
          NULL },
        { "no faulty step is known", one_answered, QUANTIZE "run:full,step=4", 2,
          "step=W|no faulty step", NULL },
        { "no other run", one_answered, QUANTIZE "run:full,lost=none", 2, "run:none",
          NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_models_own_answers_calibrate),
        cmocka_unit_test(weights_are_counts),
        cmocka_unit_test(texts_calibrate),
        cmocka_unit_test(a_budget_is_a_plan),
        cmocka_unit_test(a_choice_is_a_folder_of_its_options),
        cmocka_unit_test(layers_alone_are_read_quietly),
        cmocka_unit_test(a_dry_run_knows_a_plan),
        cmocka_unit_test(commands_share_a_pass),
        cmocka_unit_test(a_foreign_folder_is_left_alone),
        cmocka_unit_test(a_dry_run_knows_files_and_budgets),
        cmocka_unit_test(what_cannot_calibrate_is_refused),
    };
    return test_place_group("calibration", &place, tests, RT_COUNT(tests));
}

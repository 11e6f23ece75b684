/* `faultline quantize --method gguf` and `export-lora` as a user runs them: the file runs,
 * options that do not belong together are refused, a full disk leaves nothing behind. */
#include "runtime/base/os.h"
#include "tests/support/files.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GGUF "quantize --method gguf --model @T --progress none "

static struct test_place place;

static int set_up(void **state)
{
    (void)state;
    static const char text[] = "blk.77.attn_q.weight Q8_0\n";
    test_place_init(&place);
    test_place_renew(&place.other);
    test_file_write(test_folder_file(&place.other, "bad.txt"), text, strlen(text));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_place_deinit(&place);
    return 0;
}

static void a_file_is_written_and_runs(void **state)
{
    (void)state;
    struct test_program p;
    test_expect_success(&place, GGUF "--type Q4_K_M --out m.gguf", &p);
    assert_non_null(strstr(p.out, "bits per weight"));
    assert_non_null(strstr(p.out, "instead of Q4_K")); /* rows of 64 */
    test_program_deinit(&p);
    test_expect_success(
        &place, "tool logits --device ref --model m.gguf --ids 1,2,3 -o x.f32", &p);
    test_program_deinit(&p);
    test_expect_success(&place, GGUF "--type Q8_0 --write-plan plan.txt", &p);
    test_program_deinit(&p);
    test_expect_success(&place, GGUF "--plan plan.txt --out n.gguf --json", &p);
    assert_non_null(strstr(p.out, "\"type\":\"Q8_0\",\"wanted\":\"Q8_0\""));
    test_program_deinit(&p);
    test_expect_success(&place,
                        "export-lora --model m.gguf --adapter @A --gguf "
                        "lora.gguf",
                        &p);
    assert_non_null(strstr(p.out, "alpha"));
    test_program_deinit(&p);
}

/* Percentages in the line of a table. */
static int percents(const char *table, const char *begin)
{
    int n = 0;
    const char *line = strstr(table, begin);
    assert_non_null(line);
    for (line++; *line && *line != '\n'; line++)
        n += *line == '%';
    return n;
}

/* Calibration text gives weights, and the same file twice; the same weights whatever rounds
 * by them. */
static void calibration_gives_weights(void **state)
{
    (void)state;
    struct test_program p;
    char text[4096] = "";
    size_t n, m;
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "Line %d of a text about nothing in particular, number %d.\n", i, i * i);
    test_file_write(test_folder_file(&place.run, "text.txt"), text, strlen(text));
    static const char *const outs[] = { "a.gguf", "b.gguf", "near.gguf" };
    char *files[2];
    for (int i = 0; i < 3; i++) {
        char args[256];
        snprintf(args, sizeof args,
                 GGUF "--type Q4_0 --device ref --calib text.txt --calib-length 32 "
                      "--select none --imatrix-out i%d.gguf --out %s%s",
                 i, outs[i], i == 2 ? " --rounding nearest" : "");
        test_expect_success(&place, args, &p);
        assert_non_null(strstr(p.out, i == 2 ? "weighted error" : "error of outputs"));
        test_program_deinit(&p);
    }
    files[0] = test_file_read(test_folder_file(&place.run, "a.gguf"), &n);
    files[1] = test_file_read(test_folder_file(&place.run, "b.gguf"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(files[0], files[1], n);
    free(files[1]);
    test_expect_success(&place, GGUF "--type Q4_0 --imatrix i0.gguf --out c.gguf", &p);
    test_program_deinit(&p);
    char path[3][1200];
    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "%s",
                 test_folder_file(&place.run,
                                  (const char *[]){ "i0.gguf", "i2.gguf", "a.gguf" }[i]));
    test_expect_success(&place,
                        "quantize --compare a.gguf,near.gguf,c.gguf --model @T "
                        "--device ref --progress none --text text.txt",
                        &p);
    /* The same first choice; of rtn too, where it is known how the file was made. */
    assert_int_equal(percents(p.out, "\na.gguf"), 2);
    assert_int_equal(percents(p.out, "\nnear.gguf"), 1);
    assert_int_equal(percents(p.out, "\nc.gguf"), 1);
    test_program_deinit(&p);
    assert_true(test_file_same(path[0], path[1]));
    assert_false(test_file_same(path[2], test_folder_file(&place.run, "near.gguf")));
    free(files[0]);
}

/* What a candidate's name says, as options. */
static const char *options_of(const char *name)
{
    static char text[120];
    const char *damping = strstr(name, "damping ");
    if (damping)
        snprintf(text, sizeof text, " --order %s --%s",
                 strstr(name, "natural") ? "natural" : "activation", damping);
    else
        snprintf(text, sizeof text, " --rounding nearest");
    if (strstr(name, "not searched"))
        snprintf(text + strlen(text), sizeof text - strlen(text), " --plain");
    return text;
}

/* Of candidates on other text the nearest becomes the file, and nothing else stays; it is the
 * file of its options, and the importance is that of all. */
static void the_chosen_file_is_that_of_its_options(void **state)
{
    (void)state;
    static const char calib[] =
        GGUF "--type Q4_0 --device ref --calib @O/a.txt --calib-length 32 --json ";
    char text[2][2048] = { "", "" }, args[400];
    struct test_program p;
    test_place_renew(&place.run);
    for (int i = 0; i < 40; i++)
        snprintf(text[i % 2] + strlen(text[i % 2]), sizeof *text - strlen(text[i % 2]),
                 "Line %d of a text about nothing in particular, number %d.\n", i, i * i);
    test_file_write(test_folder_file(&place.other, "a.txt"), text[0], strlen(text[0]));
    test_file_write(test_folder_file(&place.other, "b.txt"), text[1], strlen(text[1]));
    snprintf(args, sizeof args,
             "%s--select-text @O/b.txt --imatrix-out i.gguf --out q.gguf", calib);
    test_expect_success(&place, args, &p);
    json_t *made = json_loads(p.out, 0, NULL), *select = json_object_get(made, "select");
    test_program_deinit(&p);
    const json_t *list = json_object_get(select, "candidates");
    assert_int_equal(json_array_size(list), 5);
    const json_t *best = json_array_get(
        list, (size_t)json_integer_value(json_object_get(select, "chosen")));
    snprintf(args, sizeof args, "%s--select none --imatrix-out j.gguf --out r.gguf%s",
             calib, options_of(json_string_value(json_object_get(best, "name"))));
    test_expect_success(&place, args, &p);
    test_program_deinit(&p);
    json_decref(made);
    static const char *const same[][2] = { { "q.gguf", "r.gguf" },
                                           { "i.gguf", "j.gguf" } };
    for (int i = 0; i < 2; i++) {
        char path[1200];
        snprintf(path, sizeof path, "%s", test_folder_file(&place.run, same[i][0]));
        assert_true(test_file_same(path, test_folder_file(&place.run, same[i][1])));
    }
    for (int i = 1; i <= 5; i++) {
        static const char *const ends[] = { "", ".json", ".part", ".state" };
        for (size_t k = 0; k < RT_COUNT(ends); k++) {
            snprintf(args, sizeof args, "q.gguf.try-%d%s", i, ends[k]);
            assert_true(access(test_folder_file(&place.run, args), F_OK) != 0);
        }
    }
}

/* Without text no results file is made, but one that is named has how the model was made:
 * a comparison then knows its time and memory. */
static void a_named_results_file_knows_how(void **state)
{
    (void)state;
    static const char text[] = "A text of some words, and some more words, and the end.";
    struct test_program p;
    test_place_renew(&place.run);
    test_file_write(test_folder_file(&place.run, "text.txt"), text, strlen(text));
    test_expect_success(&place, "quantize --model @T --bits 4 --out quiet", &p);
    test_program_deinit(&p);
    test_expect_success(&place, GGUF "--type Q4_0 --out quiet.gguf", &p);
    test_program_deinit(&p);
    assert_false(os_exists(test_folder_file(&place.run, "faultline.db")));
    test_expect_success(
        &place, "quantize --model @T --bits 4 --search --store made.db --out q", &p);
    assert_non_null(strstr(p.out, "not known without inputs (--calib)"));
    test_program_deinit(&p);
    test_expect_success(&place, GGUF "--type Q4_K_M --store made.db --out q.gguf", &p);
    test_program_deinit(&p);
    test_expect_success(&place,
                        "quantize --compare q,q.gguf,quiet --model @T --device ref "
                        "--store made.db --progress none --text text.txt --json",
                        &p);
    json_t *all = json_loads(p.out, 0, NULL);
    const json_t *variants = json_object_get(all, "variants");
    assert_int_equal(json_array_size(variants), 4); /* the full model first */
    for (size_t i = 1; i < 4; i++) {
        const json_t *v = json_array_get(variants, i);
        const bool known = i < 3;
        assert_int_equal(json_number_value(json_object_get(v, "made_seconds")) > 0,
                         known);
        assert_int_equal(json_number_value(json_object_get(v, "made_peak_bytes")) > 0,
                         known);
        assert_int_equal(json_array_size(json_object_get(v, "layers")), 0);
    }
    json_decref(all);
    test_program_deinit(&p);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    const struct test_case cases[] = {
        { "a type that is none", NULL, GGUF "--type Q9_K --out x.gguf", 2, "Q9_K|Q4_K_M",
          NULL },
        { "no file", NULL, "quantize --method gguf --model @T", 2, "--out FILE.gguf",
          NULL },
        { "bits", NULL, GGUF "--bits 4 --out x.gguf", 2, "--type", NULL },
        { "a type for another method", NULL, "quantize --model @T --out y --type Q4_K", 2,
          "--method gguf", NULL },
        { "a tensor that is none", NULL, GGUF "--plan @O/bad.txt --out x.gguf", 4,
          "bad.txt|line 1|blk.77.attn_q.weight", NULL },
        { "no importance matrix", NULL, GGUF "--imatrix @O/bad.txt --out x.gguf", 4,
          "bad.txt", NULL },
        { "a rounding of no codes", NULL,
          GGUF "--write-plan p --calib text.txt --order natural", 2,
          "--write-plan|leave --order away", NULL },
        { "a choice of no codes", NULL,
          GGUF "--write-plan p --calib text.txt --select kl", 2,
          "--write-plan|leave --select away", NULL },
        { "a choice of floats", NULL,
          GGUF "--type F16 --out x.gguf --calib text.txt --select kl", 2,
          "--select kl|nothing open", NULL },
        { "a choice where all is said", NULL,
          GGUF "--plain --rounding nearest --out x.gguf --calib text.txt --select kl", 2,
          "--select kl|nothing open", NULL },
        { "a choice without text", NULL, GGUF "--out x.gguf --select-text t.txt", 2,
          "--select-text needs --calib", NULL },
        { "an imatrix without text", NULL, GGUF "--imatrix-out i.gguf --out x.gguf", 2,
          "--calib", NULL },
        { "an adapter that is none", NULL,
          "export-lora --model @T --adapter @D --gguf l.gguf", 4, "adapter_config",
          NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    struct test_program p;
    test_place_renew(&place.run);
    test_place_run(&place, GGUF "--type F32 --out full.gguf",
                   &(struct test_run){ .file_bytes = 100000 }, &p);
    assert_int_equal(p.code, 1);
    assert_non_null(strstr(p.err, "cannot write"));
    test_program_deinit(&p);
    FILE *whole = fopen(test_folder_file(&place.run, "full.gguf"), "rb");
    FILE *part = fopen(test_folder_file(&place.run, "full.gguf.part"), "rb");
    assert_null(whole);
    assert_null(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_written_and_runs),
        cmocka_unit_test(calibration_gives_weights),
        cmocka_unit_test(the_chosen_file_is_that_of_its_options),
        cmocka_unit_test(a_named_results_file_knows_how),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

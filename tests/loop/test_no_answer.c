/* Bad input of restore: a quantized model that answers nothing, and one whose context is
 * too short for the questions. The problems count as lost, and the chain continues. */
#include "runtime/format/safetensors.h"
#include "tests/support/files.h"
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEMO TEST_SOURCE_DIR "/pipeline/demo"

enum { PROMPT_END = 573, ANSWER_END = 574 }; /* the demo's tokens */

static bool ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* Where the values of a tensor are in the file's bytes. */
static float *values_of(const struct fmt_safetensors *file, char *bytes,
                        const struct fmt_tensor *t)
{
    assert_int_equal(t->dtype, FMT_F32);
    return (float *)(void *)(bytes + (t->data - (const uint8_t *)file->maps[0].data));
}

/* Layers that add nothing, and an end token that looks like the end of a prompt: after any
 * prompt the answer ends at once. */
static void silence(const char *path)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    size_t size;
    char *bytes = test_file_read(path, &size);
    assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
    for (uint32_t i = 0; i < file.count; i++) {
        const struct fmt_tensor *t = &file.tensors[i];
        float *x = values_of(&file, bytes, t);
        if (ends_with(t->name, "o_proj.weight") || ends_with(t->name, "down_proj.weight"))
            memset(x, 0, t->size);
        if (strcmp(t->name, "model.norm.weight") == 0)
            for (uint64_t k = 0; k < t->count; k++)
                x[k] = 1;
        if (strcmp(t->name, "model.embed_tokens.weight") == 0)
            for (uint64_t k = 0; k < t->shape[1]; k++)
                x[ANSWER_END * t->shape[1] + k] = 10 * x[PROMPT_END * t->shape[1] + k];
    }
    fmt_safetensors_close(&file);
    test_file_write(path, bytes, size);
    free(bytes);
}

static void line_of(char *line, size_t size, const char *quant, const char *options)
{
    snprintf(line, size,
             "restore --device llvmpipe --tune off --progress none --full " DEMO
             " --quant %s --mine '" DEMO "/mine.jsonl[0:16]' --validate '" DEMO
             "/validate.jsonl[0:1]' --measure '" DEMO
             "/measure.jsonl[0:4]' --work work --store loop.db --out loop.html %s "
             ">loop.out 2>loop.err",
             quant, options);
}

static double lost_by_category(const char *category)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM fault JOIN run USING(run_id) JOIN benchmark "
             "USING(benchmark_id) WHERE locator='verdict' AND split='mine' AND category "
             "LIKE '%s' AND (category<>'degenerate' OR step_idx IS NULL AND "
             "json_extract(evidence,'$.rule')='no answer')",
             category);
    return test_number_of("loop.db", sql);
}

static double full_right(void)
{
    return test_number_of("loop.db",
                          "SELECT count(*) FROM v_verdict JOIN generation USING(gen_id) "
                          "JOIN run USING(run_id) JOIN variant USING(variant_id) JOIN "
                          "benchmark USING(benchmark_id) WHERE role='full' AND "
                          "split='mine' AND correct=1");
}

static void empty_answers_are_lost(void **state)
{
    (void)state;
    char line[3000];
    struct test_folder mute;
    test_folder_init(&mute);
    test_folder_fill(&mute, "pipeline/demo");
    silence(test_folder_file(&mute, "model.safetensors"));
    test_loop_enter("mute");
    line_of(line, sizeof line, mute.path,
            "--recipes kl,dpo --locators handover,substitute");
    test_loop_run_well(line);
    assert_true(full_right() > 0 && lost_by_category("degenerate") == full_right());
    assert_true(lost_by_category("%") == full_right());
    assert_int_equal(
        system("grep -q 'quant answers nothing: all of its answers to 16' loop.err && "
               "grep -q 'without a step: no answer' loop.err && "
               "grep -q 'dpo is left out: none of the mined problems' loop.err && "
               "grep -q 'degenerate' loop.html"),
        0);
    /* Whole answers of full are trained on. */
    assert_true(test_number_of("loop.db",
                               "SELECT count(*) FROM bullet_item WHERE excluded IS "
                               "NULL") == full_right());
    test_loop_enter("");
    test_folder_deinit(&mute);
}

/* No token at all: the question does not fit. */
static void questions_without_room_are_lost(void **state)
{
    (void)state;
    char line[3000];
    struct test_folder narrow;
    test_folder_init(&narrow);
    test_folder_fill(&narrow, "pipeline/demo");
    test_file_replace(test_folder_file(&narrow, "config.json"), ": 512", ": 32");
    test_loop_enter("narrow");
    line_of(line, sizeof line, narrow.path, "--recipes plain-4-row --method rtn");
    test_loop_run_well(line);
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM generation WHERE "
                                          "finish='error' AND n_gen=0") > 0);
    assert_true(lost_by_category("degenerate") > 0);
    assert_int_equal(system("grep -q 'quant: not measured, its context of 32 ' loop.err"),
                     0);
    test_loop_enter("");
    test_folder_deinit(&narrow);
}

/* One mined problem is measured in other words, another is like a measured one and has few
 * numbers: items are made of the second only. */
static void near_copies_are_no_items(void **state)
{
    (void)state;
    static const char mined[] =
        "{\"id\":\"a\",\"question\":\"Pia buys 3 coins at 10 dollars each. Pia buys 11 "
        "shells at 19 dollars each. Pia pays with 500 dollars. How much change does Pia "
        "get?\",\"answer\":\"261\"}\n"
        "{\"id\":\"b\",\"question\":\"Dan has 26 pens. Ben has half as many pens as Dan. "
        "How many pens does Ben have?\",\"answer\":\"13\"}\n";
    static const char measured[] =
        "{\"id\":\"c\",\"question\":\"Pia buys 11 shells at 19 dollars each and 3 coins "
        "at "
        "10 dollars each. Pia pays with 500 dollars. How much change does Pia get?\","
        "\"answer\":\"261\"}\n"
        "{\"id\":\"d\",\"question\":\"Eva has 26 pens. Leo has half as many pens as Eva. "
        "How many pens does Leo have?\",\"answer\":\"13\"}\n";
    char line[2048];
    struct test_folder mute;
    test_folder_init(&mute);
    test_folder_fill(&mute, "pipeline/demo");
    silence(test_folder_file(&mute, "model.safetensors"));
    test_loop_enter("near");
    test_file_write("mined.jsonl", mined, sizeof mined - 1);
    test_file_write("measured.jsonl", measured, sizeof measured - 1);
    snprintf(line, sizeof line,
             "curate --kind kl --device ref --progress none --full " DEMO
             " --quant %s --mine mined.jsonl --measure measured.jsonl --validate '" DEMO
             "/validate.jsonl[0:1]' --work work --store loop.db --out items.jsonl "
             ">loop.out 2>loop.err",
             mute.path);
    test_loop_run_well(line);
    assert_int_equal(
        system(
            "grep -q \"1 mined problems are near copies of measured ones (the first: "
            "'a' of 'c')\" loop.err && grep -q '1 items of 2 candidates' loop.err && "
            "grep -q '1 not used: a near copy of a question in a measured' loop.err && "
            "grep -q '\"problem_id\": \"b\"' items.jsonl"),
        0);
    test_loop_enter("");
    test_folder_deinit(&mute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_answers_are_lost),
        cmocka_unit_test(questions_without_room_are_lost),
        cmocka_unit_test(near_copies_are_no_items),
    };
    return cmocka_run_group_tests_name("no answer", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

/* A GGUF file in every command that takes a model folder: the demo model as one file and
 * in parts gives the answers of the folder, and the whole chain runs on it. */
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_folder.h"
#include "tests/support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_folder scratch;
static char whole[512], first_part[512];

static int set_up(void **state)
{
    (void)state;
    struct test_device devices[16];
    (void)test_devices(devices, 16); /* points the loader at the software devices */
    test_folder_init(&scratch);
    test_gguf_of_folder("pipeline/demo", "qwen2", 1, test_folder_file(&scratch, "whole"),
                        whole);
    test_gguf_of_folder("pipeline/demo", "qwen2", 2, test_folder_file(&scratch, "parts"),
                        first_part);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_folder_deinit(&scratch);
    return 0;
}

/* Its standard output, free() it; the exit code must be `code`. */
static char *run(int code, const char *format, ...)
{
    char args[4096];
    struct test_program p;
    va_list list;
    va_start(list, format);
    vsnprintf(args, sizeof args, format, list);
    va_end(list);
    const struct test_run r = { .folder = scratch.path, .args = args };
    test_program_run(&r, &p);
    if (p.code != code)
        fail_msg("'%s' ends with %d: %s", args, p.code, p.err);
    char *out = strdup(p.out);
    test_program_deinit(&p);
    return out;
}

static void run_good(const char *format, const char *model, const char *problems)
{
    char args[4096];
    snprintf(args, sizeof args, format, model, problems, problems, problems);
    free(run(0, "%s", args));
}

static char *problems(const char *list, const char *range)
{
    static char path[3][1200];
    static int next;
    char *p = path[next++ % 3];
    snprintf(p, sizeof *path, "%s/pipeline/demo/%s.jsonl[%s]", TEST_SOURCE_DIR, list,
             range);
    return p;
}

static void answers_are_those_of_the_folder(void **state)
{
    (void)state;
    char demo[1024];
    const char *const models[] = { test_path(demo, sizeof demo, "pipeline/demo"), whole,
                                   first_part };
    char *answers[3], *quants[3];
    for (int i = 0; i < 3; i++) {
        free(run(0,
                 "eval --model '%s' --problems '%s' --device llvmpipe --tune off "
                 "--progress none -q --store e%d.db",
                 models[i], problems("measure", "0:8"), i));
        answers[i] = run(0,
                         "sql --store e%d.db 'SELECT problem_id, output FROM generation "
                         "ORDER BY problem_id'",
                         i);
        quants[i] =
            run(0, "sql --store e%d.db --json 'SELECT quant, arch FROM variant'", i);
    }
    assert_true(strlen(answers[0]) > 500);
    for (int i = 1; i < 3; i++) {
        assert_string_equal(answers[i], answers[0]);
        assert_string_equal(quants[i], quants[0]); /* floats: null */
    }
    for (int i = 0; i < 3; i++) {
        free(answers[i]);
        free(quants[i]);
    }
}

static void a_file_says_how_it_is_quantized(void **state)
{
    (void)state;
    char path[1024];
    test_path(path, sizeof path, "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf");
    free(run(0,
             "eval --model '%s' --problems '%s' --format chat-boxed --chat-format plain "
             "--max-new 4 --device ref --progress none -q --store q.db",
             path, problems("measure", "0:1")));
    char *out = run(0, "sql --store q.db --json 'SELECT quant FROM variant'");
    assert_non_null(strstr(out, "Q4_0, Q8_0"));
    free(out);
}

static void small_commands_take_a_file(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "model show '%s' --device ref",
        "generate --model '%s' --device ref --n 4 --prompt 1+1",
        "tool logits --model '%s' --device ref --ids 1,2,3 -o logits.f32",
        "tool dequant --model '%s' --tensor model.norm.weight -o w.f32",
        "perplexity --model '%s' --device ref --text text",
        "bench --suite decode --case 'decode, batch 1' --passes 1 --seconds 0.02 "
        "--tune off "
        "--device llvmpipe --progress none --store b.db --model '%s'",
        "quantize --model '%s' --bits 3 --force --out q3",
    };
    test_file_write(test_folder_file(&scratch, "text"), "one and two are three", 21);
    for (size_t i = 0; i < RT_COUNT(lines); i++)
        for (int split = 0; split < 2; split++)
            run_good(lines[i], split ? first_part : whole, "");
}

static void the_chain_runs_on_a_file(void **state)
{
    (void)state;
    static const char common[] =
        "--full '%s' --method rtn --bits 3 --mine '%s' --validate '%s' --measure '%s' "
        "--items 4 "
        "--epochs 1 --device llvmpipe --tune off --progress none -q --store chain.db "
        "--work work";
    static const char *const lines[] = {
        "locate ",
        "curate --kind dpo --out items.jsonl ",
        "train --recipe default ",
        "restore --recipes default --nearest off --out report.html ",
    };
    for (size_t i = 0; i < RT_COUNT(lines); i++) {
        char format[512], args[4096];
        snprintf(format, sizeof format, "%s%s", lines[i], common);
        snprintf(args, sizeof args, "%s", format);
        free(run(0, format, first_part, problems("mine", "0:96"),
                 problems("validate", "0:8"), problems("measure", "0:16")));
    }
    size_t size;
    char *report = test_file_read(test_folder_file(&scratch, "report.html"), &size);
    assert_true(size > 10000);
    free(report);
    char *rows = run(0, "sql --store chain.db --json 'SELECT label, quant FROM variant "
                        "ORDER BY label'");
    assert_non_null(strstr(rows, "rtn 3 bit per row"));
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_folder),
        cmocka_unit_test(a_file_says_how_it_is_quantized),
        cmocka_unit_test(small_commands_take_a_file),
        cmocka_unit_test(the_chain_runs_on_a_file),
    };
    return cmocka_run_group_tests_name("GGUF in commands", tests, set_up, tear_down);
}

/* bench/gpu.sh runs unattended on a machine that nobody watches: after every part, and
 * however it ends, what was done is in its folder as JSON. Its programs are made up here, so
 * that each failure comes when it is asked for. */
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 1, NO_DEVICE = 3, NOT_WRITABLE = 4, TOLD_TO_END = 143, KILLED = 137 };

static struct test_folder folder;

/* What every program of the folder is. FAULT: none (no device), hang (a part), some. */
static const char program[] =
    "#!/bin/sh\n"
    "case \"$*\" in\n"
    "'devices --json')\n"
    "    [ \"$FAULT\" = none ] && echo '[]' && exit\n"
    "    echo 'warning: \"no one\" reads this' >&2\n"
    "    echo '[{\"name\": \"cpu-0\",'; echo '\"driver\": \"d\", \"software\": true,'\n"
    "    echo '\"usable\": true},'; echo '{\"name\": \"gpu-0\",'\n"
    "    echo '\"description\": \"made up\",'; echo '\"driver\": \"9.9\",'\n"
    "    echo '\"software\": false,'; echo '\"usable\": true}]' ;;\n"
    "sql*) echo '[{\"kept\": 1}]' ;;\n"
    "*'/model_tiny.gguf.new tiny') echo weights >\"$1\" ;;\n"
    "bench*)\n"
    "    for a; do [ \"$before\" = --store ] && echo db >\"$a\" && store=$a; before=$a; "
    "done\n"
    "    case \"$FAULT $*\" in\n"
    "    'hang '*'suite prefill'*) sleep 60 ;;\n"
    "    'some '*'suite prefill'*) echo '[{\"cut'; printf 'error: caf\\303' >&2; exit 6 "
    ";;\n"
    "    'some '*'suite context'*) [ -e \"$store.lost\" ] || {\n"
    "        : >\"$store.lost\"; echo 'error: it was lost in matmul' >&2; exit 8; } ;;\n"
    "    'some '*'suite train'*) echo 'nothing to report'; exit ;;\n"
    "    esac\n"
    "    echo 'warning: after it' >&2; echo '[{\"value\": 1}]' ;;\n"
    "esac\n";

static const char *in_folder(const char *name)
{
    return test_folder_file(&folder, name);
}

static int begin(void **state)
{
    static const char *const names[] = { "bin/faultline", "bin/test_tune",
                                         "bin/random_gguf" };
    (void)state;
    test_folder_init(&folder);
    mkdir(in_folder("bin"), 0777);
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        test_file_write(in_folder(names[i]), program, sizeof program - 1);
        chmod(in_folder(names[i]), 0777);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return 0;
}

/* Its exit code; `after` is shell text that follows it. */
static int run(const char *fault, const char *programs, const char *arguments,
               const char *after)
{
    char command[2000];
    snprintf(command, sizeof command,
             "cd %s; unset DEVICE; FAULT=%s BUILD=%s/%s SIZE=tiny LARGE=none "
             "TESTS='test_tune test_none' sh %s/bench/gpu.sh %s >said 2>&1 %s",
             folder.path, fault, folder.path, programs, TEST_SOURCE_DIR, arguments,
             after);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The file gpu.json; fails if any file that is named as JSON is none. */
static json_t *results(void)
{
    json_t *result = NULL;
    glob_t found;
    char pattern[TEST_PATH_MAX];
    snprintf(pattern, sizeof pattern, "%s/out/*.json", folder.path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        json_error_t error;
        json_t *file = json_load_file(found.gl_pathv[i], JSON_DECODE_ANY, &error);
        if (!file)
            fail_msg("%s: %s", found.gl_pathv[i], error.text);
        if (strstr(found.gl_pathv[i], "/gpu.json"))
            result = file;
        else
            json_decref(file);
    }
    globfree(&found);
    assert_non_null(result);
    return result;
}

static const json_t *part_of(const json_t *results, const char *name)
{
    size_t i;
    const json_t *part;
    json_array_foreach(json_object_get(results, "parts"), i,
                       part) if (strcmp(json_string_value(json_object_get(part, "part")),
                                        name) == 0) return part;
    return NULL;
}

/* words: what must be in what it says. */
static void assert_part(const json_t *results, const char *name, const char *verdict,
                        const char *words)
{
    const json_t *part = part_of(results, name);
    assert_non_null(part);
    assert_string_equal(json_string_value(json_object_get(part, "verdict")), verdict);
    const char *said = json_string_value(json_object_get(part, "words"));
    if (!strstr(said, words))
        fail_msg("%s: '%s' says nothing of '%s'", name, said, words);
}

static bool exists(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

static void a_whole_run_and_one_after_it(void **state)
{
    (void)state;
    assert_int_equal(run("no", "bin", "out 600", ""), 0);
    json_t *r = results();
    assert_true(json_is_true(json_object_get(r, "finished")));
    assert_string_equal(json_string_value(json_object_get(r, "device")), "gpu-0");
    assert_string_equal(json_string_value(json_object_get(r, "description")),
                        "made up, 9.9");
    assert_part(r, "test_tune", "passed", "");
    assert_part(r, "test_none", "skipped", "not built");
    assert_part(r, "train_tiny", "passed", "");
    json_decref(r);
    assert_true(exists("out/prefill_tiny.json"));
    assert_false(exists("out/model_tiny.gguf"));

    /* What a run finds in its folder is kept apart; a program that is no longer there. */
    assert_int_equal(run("no", "none", "out 600", ""), FAILED);
    r = results();
    assert_part(r, "programs", "failed", "/none/faultline");
    json_decref(r);
    assert_false(exists("out/prefill_tiny.json"));
    assert_true(exists("out/earlier-1/gpu.json"));
    assert_true(exists("out/earlier-1/prefill_tiny.json"));
}

static void parts_that_fail(void **state)
{
    (void)state;
    assert_int_equal(run("some", "bin", "out 600", ""), FAILED);
    json_t *r = results();
    assert_part(r, "prefill_tiny", "failed", "exit 6: error: caf");
    assert_part(r, "context_tiny", "passed", "device lost, tried 2 times");
    assert_part(r, "train_tiny", "passed", "");
    assert_true(json_is_true(json_object_get(r, "finished")));
    json_decref(r);
    /* Half a file is replaced by what the store has; text is no results. */
    size_t size;
    char *kept = test_file_read(in_folder("out/prefill_tiny.json"), &size);
    assert_string_equal(kept, "[{\"kept\": 1}]\n");
    free(kept);
    assert_true(exists("out/context_tiny.json"));
    assert_false(exists("out/train_tiny.json"));
}

/* On a loaded machine it may be over before the part that hangs begins, or even its model
 * is there. */
static void the_time_is_over(void **state)
{
    (void)state;
    const int code = run("hang", "bin", "out 10", "");
    json_t *r = results();
    assert_true(json_is_true(json_object_get(r, "finished")));
    if (code != 0)
        assert_part(r, "prefill_tiny", "timeout", "");
    if (part_of(r, "train_tiny"))
        assert_part(r, "train_tiny", "skipped", "no time left");
    else
        assert_part(r, "model_tiny", "skipped", "no time left");
    json_decref(r);
}

static void ended_while_a_part_runs(void **state)
{
    static const char after[] = "& n=0; while [ $n -lt 3000 ] && [ ! -e "
                                "out/prefill_tiny.json.new ]; do sleep 0.1; "
                                "n=$((n + 1)); done; kill -%s $!; wait $!";
    char text[300];
    (void)state;
    snprintf(text, sizeof text, after, "TERM");
    assert_int_equal(run("hang", "bin", "out 600", text), TOLD_TO_END);
    json_t *r = results();
    assert_part(r, "tune_tiny", "passed", "");
    assert_part(r, "prefill_tiny", "cut", "told to end");
    assert_null(part_of(r, "train_tiny"));
    assert_true(json_is_false(json_object_get(r, "finished")));
    json_decref(r);
    assert_true(exists("out/tune_tiny.json"));
    assert_false(exists("out/model_tiny.gguf"));

    snprintf(text, sizeof text, after, "KILL");
    assert_int_equal(run("hang", "bin", "out 600", text), KILLED);
    r = results();
    assert_part(r, "tune_tiny", "passed", "");
    assert_true(json_is_false(json_object_get(r, "finished")));
    json_decref(r);
}

static void what_cannot_begin(void **state)
{
    (void)state;
    assert_int_equal(run("none", "bin", "out 600", ""), NO_DEVICE);
    json_t *r = results();
    assert_part(r, "devices", "failed", "no Vulkan device");
    json_decref(r);
    assert_int_equal(run("no", "bin", "bin/faultline/out 600", ""), NOT_WRITABLE);
    assert_int_equal(run("no", "bin", "out soon", ""), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_run_and_one_after_it),
        TEST(parts_that_fail),
        TEST(the_time_is_over),
        TEST(ended_while_a_part_runs),
        TEST(what_cannot_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

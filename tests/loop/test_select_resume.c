/* `quantize --select kl` that is killed within a candidate or between two continues: what
 * was made is not made again, and the folder and the numbers are those of a command that
 * was not killed. Another text starts anew. */
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/loop.h"

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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *line(const char *out, int problems)
{
    static char text[4096];
    char demo[512];
    test_path(demo, sizeof demo, "pipeline/demo");
    snprintf(
        text, sizeof text,
        "quantize --device ref --store results.db --progress none --model %s --bits 2 "
        "--group 32 --asym --method gptq --calib '%s/calibrate.jsonl[0:%d]' --json "
        "--out %s >%s.json 2>loop.err",
        demo, demo, problems, out, out);
    return text;
}

/* Without what is another each time: seconds, and the name. */
static json_t *result_of(const char *path)
{
    size_t i;
    json_t *candidate, *all = json_load_file(path, 0, NULL);
    if (!all) {
        test_loop_show_error();
        fail_msg("'%s' is no JSON", path);
    }
    json_object_del(all, "seconds");
    json_object_del(all, "out");
    json_t *select = json_object_get(all, "select");
    json_array_foreach(json_object_get(select, "candidates"), i, candidate)
        json_object_del(candidate, "seconds");
    assert_int_equal(i, 4);
    return all;
}

/* Whether a candidate's file says that it was measured. */
static bool is_measured(const char *path)
{
    json_t *state = json_load_file(path, 0, NULL);
    const bool measured = json_is_true(json_object_get(state, "measured"));
    json_decref(state);
    return measured;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Kills the command as soon as `reached` says so of `path`. */
static void kill_when(bool (*reached)(const char *path), const char *path)
{
    const struct timespec wait = { 0, 2000000 };
    const pid_t pid = test_loop_start(line("cut", 8));
    int status = 0;
    while (!reached(path) && waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&wait, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_false(is_there("cut"));
    assert_true(reached(path));
}

/* When the file was last written, nanoseconds. */
static int64_t made_at(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
}

static void a_killed_choice_continues(void **state)
{
    (void)state;
    test_loop_run_well(line("whole", 8));
    kill_when(is_there, "cut.try-1.part/layer-0000.safetensors"); /* within the first */
    kill_when(is_there, "cut.try-1.json");                        /* made, not measured */
    kill_when(is_measured, "cut.try-1.json");
    const int64_t first = made_at("cut.try-1/model.safetensors");
    kill_when(is_there, "cut.try-2.part/layer-0001.safetensors");
    kill_when(is_measured, "cut.try-3.json");
    assert_true(made_at("cut.try-1/model.safetensors") == first);
    test_loop_run_well(line("cut", 8));
    assert_true(test_file_same("whole/model.safetensors", "cut/model.safetensors"));
    assert_true(test_file_same("whole/config.json", "cut/config.json"));
    json_t *a = result_of("whole.json"), *b = result_of("cut.json");
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    for (int i = 1; i <= 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "cut.try-%d", i);
        assert_false(is_there(path));
        snprintf(path, sizeof path, "cut.try-%d.json", i);
        assert_false(is_there(path));
        snprintf(path, sizeof path, "cut.try-%d.part", i);
        assert_false(is_there(path));
    }
}

/* A candidate of other text is no candidate of this one. */
static void another_text_starts_anew(void **state)
{
    (void)state;
    const struct timespec wait = { 0, 2000000 };
    int status = 0;
    test_loop_run_well(line("nine", 9));
    const pid_t pid = test_loop_start(line("mixed", 8));
    while (!is_measured("mixed.try-1.json") && waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&wait, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(is_measured("mixed.try-1.json"));
    test_loop_run_well(line("mixed", 9));
    assert_true(test_file_same("nine/model.safetensors", "mixed/model.safetensors"));
    json_t *a = result_of("nine.json"), *b = result_of("mixed.json");
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_choice_continues),
        cmocka_unit_test(another_text_starts_anew),
    };
    return cmocka_run_group_tests_name("select resume", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

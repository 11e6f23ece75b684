/* `quantize --select kl` that is killed within a candidate or between two continues: what
 * was made is not made again, and the folder and the numbers are those of a command that
 * was not killed. Another text starts anew. So it is with GGUF files. */
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

#define FOLDER "--bits 2 --group 32 --asym --method gptq"

static const char *line(const char *what, const char *out, int problems)
{
    static char text[4096];
    char demo[512];
    test_path(demo, sizeof demo, "pipeline/demo");
    snprintf(text, sizeof text,
             "quantize --device ref --store results.db --progress none --model %s %s "
             "--calib '%s/calibrate.jsonl[0:%d]' --json --out %s >%s.json 2>loop.err",
             demo, what, demo, problems, out, out);
    return text;
}

/* Without what is another each time: seconds, and the name. */
static json_t *result_of(const char *path, size_t candidates)
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
    assert_int_equal(i, candidates);
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
static void kill_when(const char *what, const char *out,
                      bool (*reached)(const char *path), const char *path)
{
    const struct timespec wait = { 0, 2000000 };
    const pid_t pid = test_loop_start(line(what, out, 8));
    int status = 0;
    while (!reached(path) && waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&wait, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_false(is_there(out));
    assert_true(reached(path));
}

/* When the file was last written, nanoseconds. */
static int64_t made_at(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
}

static void expect_same_results(const char *a_path, const char *b_path, size_t candidates)
{
    json_t *a = result_of(a_path, candidates), *b = result_of(b_path, candidates);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
}

static void expect_no_candidates(const char *out, int candidates)
{
    static const char *const ends[] = { "", ".json", ".part", ".state" };
    char seen[64];
    snprintf(seen, sizeof seen, "%s.seen", out);
    assert_false(is_there(seen));
    for (int i = 0; i < candidates * 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s.try-%d%s", out, i / 4 + 1, ends[i % 4]);
        assert_false(is_there(path));
    }
}

static void a_killed_choice_continues(void **state)
{
    (void)state;
    test_loop_run_well(line(FOLDER, "whole", 8));
    /* within the first; made, not measured */
    kill_when(FOLDER, "cut", is_there, "cut.try-1.part/layer-0000.safetensors");
    kill_when(FOLDER, "cut", is_there, "cut.try-1.json");
    kill_when(FOLDER, "cut", is_measured, "cut.try-1.json");
    const int64_t first = made_at("cut.try-1/model.safetensors");
    kill_when(FOLDER, "cut", is_there, "cut.try-2.part/layer-0000.safetensors");
    kill_when(FOLDER, "cut", is_measured, "cut.try-3.json");
    assert_true(made_at("cut.try-1/model.safetensors") == first);
    test_loop_run_well(line(FOLDER, "cut", 8));
    assert_true(test_file_same("whole/model.safetensors", "cut/model.safetensors"));
    assert_true(test_file_same("whole/config.json", "cut/config.json"));
    expect_same_results("whole.json", "cut.json", 4);
    expect_no_candidates("cut", 4);
}

static void a_killed_choice_of_files_continues(void **state)
{
    (void)state;
    static const char file[] = "--method gguf --type Q4_0";
    test_loop_run_well(line(file, "whole.gguf", 8));
    kill_when(file, "cut.gguf", is_there, "cut.gguf.try-1.state/layer-0000.safetensors");
    kill_when(file, "cut.gguf", is_there, "cut.gguf.try-1.json");
    kill_when(file, "cut.gguf", is_measured, "cut.gguf.try-1.json");
    const int64_t first = made_at("cut.gguf.try-1");
    kill_when(file, "cut.gguf", is_there, "cut.gguf.try-2.state/layer-0000.safetensors");
    kill_when(file, "cut.gguf", is_measured, "cut.gguf.try-4.json");
    kill_when(file, "cut.gguf", is_there, "cut.gguf.try-5.part");
    assert_true(made_at("cut.gguf.try-1") == first);
    test_loop_run_well(line(file, "cut.gguf", 8));
    assert_true(test_file_same("whole.gguf", "cut.gguf"));
    expect_same_results("whole.gguf.json", "cut.gguf.json", 5);
    expect_no_candidates("cut.gguf", 5);
}

/* Two candidates of one pass are what commands make that choose nothing: of 8 problems, 7
 * calibrate. */
static void candidates_are_what_single_commands_make(void **state)
{
    (void)state;
    test_loop_run_well(line(FOLDER " --select none", "single", 7));
    test_loop_run_well(line(FOLDER " --search --select none", "searched", 7));
    kill_when(FOLDER, "few", is_measured, "few.try-2.json");
    assert_true(is_there("few.seen/group-0000.safetensors"));
    assert_true(
        test_file_same("single/model.safetensors", "few.try-1/model.safetensors"));
    assert_true(
        test_file_same("searched/model.safetensors", "few.try-2/model.safetensors"));
}

/* A candidate of other text is no candidate of this one. */
static void another_text_starts_anew(void **state)
{
    (void)state;
    const struct timespec wait = { 0, 2000000 };
    int status = 0;
    test_loop_run_well(line(FOLDER, "nine", 9));
    const pid_t pid = test_loop_start(line(FOLDER, "mixed", 8));
    while (!is_measured("mixed.try-1.json") && waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&wait, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(is_measured("mixed.try-1.json"));
    test_loop_run_well(line(FOLDER, "mixed", 9));
    assert_true(test_file_same("nine/model.safetensors", "mixed/model.safetensors"));
    expect_same_results("nine.json", "mixed.json", 4);
}

/* Another command for the same folder ends, and takes nothing from the first. */
static void a_second_command_leaves_them(void **state)
{
    (void)state;
    const struct timespec wait = { 0, 2000000 };
    int status = 0;
    const pid_t pid = test_loop_start(line(FOLDER, "both", 8));
    while (!is_there("both.try-2.part/layer-0000.safetensors") &&
           waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&wait, NULL);
    kill(-pid, SIGSTOP);
    const int code = test_loop_run(line(FOLDER, "both", 8));
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_equal(code, 2);
    assert_true(is_measured("both.try-1.json"));
    assert_true(is_there("both.try-1/model.safetensors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_choice_continues),
        cmocka_unit_test(a_killed_choice_of_files_continues),
        cmocka_unit_test(candidates_are_what_single_commands_make),
        cmocka_unit_test(another_text_starts_anew),
        cmocka_unit_test(a_second_command_leaves_them),
    };
    return cmocka_run_group_tests_name("select resume", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

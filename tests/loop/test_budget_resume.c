/* `quantize --budget` that is killed at any moment continues: widths that were made and
 * sensitivities that were measured are taken over, and the folder, the plan and the numbers are
 * those of a command that was not killed. Another text starts anew; a second command for the
 * same folder is refused. */
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NONE "--select none"

static const char *line(const char *what, const char *out, int problems)
{
    static char text[4096];
    char demo[512];
    test_path(demo, sizeof demo, "pipeline/demo");
    snprintf(
        text, sizeof text,
        "quantize --device ref --store results.db --progress none --model %s "
        "--budget 4.1 --method gptq --group 32 %s --calib '%s/calibrate.jsonl[0:%d]' "
        "--json --out %s >%s.json 2>loop.err",
        demo, what, demo, problems, out, out);
    return text;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Groups that a width's file says are measured; -1: it is not there. */
static int measured_in(const char *path)
{
    json_t *state = json_load_file(path, 0, NULL);
    const json_t *kl = json_object_get(state, "kl");
    const int count = json_is_array(kl) ? (int)json_array_size(kl) : -1;
    json_decref(state);
    return count;
}

static bool has_begun_to_measure(const char *path)
{
    return measured_in(path) >= 2;
}

/* Kills the command as soon as `reached` says so of `path`. */
static void kill_when(const char *what, const char *out, int problems,
                      bool (*reached)(const char *path), const char *path)
{
    const struct timespec wait = { 0, 2000000 };
    const pid_t pid = test_loop_start(line(what, out, problems));
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

/* Removes what is another each time: seconds, and the name. */
static void strip(json_t *value)
{
    size_t i;
    void *next;
    const char *key;
    json_t *part;
    json_object_del(value, "seconds");
    json_object_del(value, "out");
    json_object_foreach_safe(value, next, key, part) strip(part);
    json_array_foreach(value, i, part) strip(part);
}

/* Matrices by name: those of a layer that an earlier command made come in another order. */
static void name_matrices(json_t *all)
{
    size_t i;
    json_t *matrix, *named = json_object();
    json_array_foreach(json_object_get(all, "list"), i, matrix) json_object_set(
        named, json_string_value(json_object_get(matrix, "name")), matrix);
    assert_int_equal(json_object_size(named), 28);
    json_object_set_new(all, "list", named);
}

static json_t *result_of(const char *path)
{
    json_t *all = json_load_file(path, 0, NULL);
    if (!all) {
        test_loop_show_error();
        fail_msg("'%s' is no JSON", path);
    }
    strip(all);
    name_matrices(all);
    return all;
}

static void expect_file(const char *a, const char *b, const char *what)
{
    char a_path[64], b_path[64];
    snprintf(a_path, sizeof a_path, "%s%s", a, what);
    snprintf(b_path, sizeof b_path, "%s%s", b, what);
    assert_true(test_file_same(a_path, b_path));
}

/* `out` is what `whole` is, and nothing else lies beside it. */
static void expect_same(const char *whole, const char *out)
{
    char a_path[64], b_path[64];
    expect_file(whole, out, "/model.safetensors");
    expect_file(whole, out, "/config.json");
    expect_file(whole, out, ".plan");
    snprintf(a_path, sizeof a_path, "%s.json", whole);
    snprintf(b_path, sizeof b_path, "%s.json", out);
    json_t *a = result_of(a_path), *b = result_of(b_path);
    if (!json_equal(a, b))
        fail_msg("'%s' and '%s' differ", a_path, b_path);
    json_decref(a);
    json_decref(b);
    const struct dirent *entry;
    const size_t length = strlen(out);
    DIR *here = opendir(".");
    while ((entry = readdir(here))) {
        const char *rest = entry->d_name + length;
        if (strncmp(entry->d_name, out, length) == 0 && *rest &&
            strcmp(rest, ".plan") != 0 && strcmp(rest, ".json") != 0)
            fail_msg("'%s' is left", entry->d_name);
    }
    closedir(here);
}

static void a_killed_budget_continues(void **state)
{
    (void)state;
    test_loop_run_well(line(NONE, "whole", 2));
    kill_when(NONE, "cut", 2, is_there, "cut.widths/group-0001.safetensors");
    kill_when(NONE, "cut", 2, is_there, "cut.width-2.part/layer-0000.safetensors");
    const int64_t layer = made_at("cut.width-2.part/layer-0000.safetensors");
    kill_when(NONE, "cut", 2, is_there, "cut.width-2.part/layer-0001.safetensors");
    assert_true(made_at("cut.width-2.part/layer-0000.safetensors") == layer);
    kill_when(NONE, "cut", 2, has_begun_to_measure, "cut.width-2.json");
    const int before = measured_in("cut.width-2.json");
    kill_when(NONE, "cut", 2, is_there, "cut.width-3.part/layer-0000.safetensors");
    assert_true(measured_in("cut.width-2.json") > before);
    assert_false(is_there("cut.width-2")); /* all is known of it */
    const int64_t known = made_at("cut.width-2.json");
    kill_when(NONE, "cut", 2, is_there, "cut.width-4.json");
    kill_when(NONE, "cut", 2, is_there, "cut.width-8.part/layer-0000.safetensors");
    kill_when(NONE, "cut", 2, is_there, "cut.part/layer-0000.safetensors");
    kill_when(NONE, "once", 2, is_there, "once.part/layer-0000.safetensors");
    expect_file("once", "cut", ".width-2.json"); /* bit for bit */
    expect_file("once", "cut", ".width-3.json");
    expect_file("once", "cut", ".width-4.json");
    expect_file("once", "cut", ".width-8.json");
    assert_true(made_at("cut.width-2.json") == known);
    const int64_t last = made_at("cut.width-8.json");
    kill_when(NONE, "cut", 2, is_there, "cut.part/layer-0001.safetensors");
    assert_true(made_at("cut.width-8.json") == last);
    test_loop_run_well(line(NONE, "cut", 2));
    expect_same("whole", "cut");
}

/* A folder whose groups are being measured is not made again. */
static void a_width_is_measured_further(void **state)
{
    (void)state;
    static const char all[] = "--sensitivity all --select none";
    kill_when(all, "parts", 2, has_begun_to_measure, "parts.width-3.json");
    const int64_t made = made_at("parts.width-3/model.safetensors");
    const int64_t first = made_at("parts.width-2.json");
    const int before = measured_in("parts.width-3.json");
    const struct timespec wait = { 0, 2000000 };
    const pid_t pid = test_loop_start(line(all, "parts", 2));
    int status = 0;
    while (measured_in("parts.width-3.json") <= before &&
           waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&wait, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(measured_in("parts.width-3.json") > before);
    if (is_there("parts.width-3/model.safetensors"))
        assert_true(made_at("parts.width-3/model.safetensors") == made);
    assert_true(made_at("parts.width-2.json") == first);
    /* what was measured at 3 bits is not used where it was not asked for */
    test_loop_run_well(line(NONE, "some", 2));
    test_loop_run_well(line(NONE, "parts", 2));
    expect_same("some", "parts");
}

/* What was found out on other text is none of this one. Candidates are chosen with it. */
static void another_text_starts_anew(void **state)
{
    (void)state;
    test_loop_run_well(line("", "three", 3));
    kill_when("", "mixed", 2, has_begun_to_measure, "mixed.width-2.json");
    kill_when("", "mixed", 3, is_there, "mixed.try-2.part/layer-0000.safetensors");
    test_loop_run_well(line("", "mixed", 3));
    expect_same("three", "mixed");
}

/* Another command for the same folder ends, and takes nothing from the first. */
static void a_second_command_leaves_them(void **state)
{
    (void)state;
    static const char *const moments[] = { "both.width-3.part/layer-0000.safetensors",
                                           "both.part/layer-0000.safetensors" };
    const struct timespec wait = { 0, 2000000 };
    for (int i = 0; i < 2; i++) {
        int status = 0;
        const pid_t pid = test_loop_start(line(NONE, "both", 2));
        while (!is_there(moments[i]) && waitpid(pid, &status, WNOHANG) == 0)
            nanosleep(&wait, NULL);
        kill(-pid, SIGSTOP);
        const int code = test_loop_run(line(NONE, "both", 2));
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        assert_int_equal(code, 2);
        assert_true(is_there(moments[i]));
        assert_true(measured_in("both.width-2.json") > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_budget_continues),
        cmocka_unit_test(a_width_is_measured_further),
        cmocka_unit_test(another_text_starts_anew),
        cmocka_unit_test(a_second_command_leaves_them),
    };
    return cmocka_run_group_tests_name("budget resume", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

/* What the product asks of the operating system, and the errno that it leaves. */
#include "runtime/base/os.h"
#include "runtime/base/rt.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void names_have_a_kind(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_init(&folder);
    const char *file = test_folder_file(&folder, "file");
    const char *link = test_folder_file(&folder, "link");
    test_file_write(file, "abc", 3);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(os_kind_of(file), OS_KIND_FILE);
    assert_int_equal(os_kind_of(link), OS_KIND_FILE);
    assert_int_equal(os_kind_of(folder.path), OS_KIND_FOLDER);
    assert_int_equal(os_kind_of("/dev/null"), OS_KIND_OTHER);
    assert_int_equal(os_kind_of(test_folder_file(&folder, "none")), OS_KIND_NONE);
    assert_true(os_exists(file) && os_writable(file) && os_same(file, link));
    assert_false(os_same(file, folder.path));
    errno = 0;
    assert_false(os_exists(test_folder_file(&folder, "none")));
    assert_int_equal(errno, ENOENT);
    test_folder_deinit(&folder);
}

static void folders_are_made_listed_and_removed(void **state)
{
    (void)state;
    struct test_folder folder;
    int seen = 0, all = 0;
    test_folder_init(&folder);
    const char *sub = test_folder_file(&folder, "sub");
    assert_true(os_make_folder(sub));
    assert_true(os_make_folder(sub)); /* it is there */
    struct os_folder *names = os_folder_open(folder.path);
    assert_non_null(names);
    for (const char *name; (name = os_folder_next(names)); all++)
        seen += strcmp(name, "sub") == 0;
    os_folder_close(names);
    assert_int_equal(seen, 1);
    assert_int_equal(all, 3); /* ".", ".." */
    assert_false(os_remove_folder(folder.path));
    assert_true(os_remove_folder(sub));
    assert_null(os_folder_open(sub));
    assert_int_equal(errno, ENOENT);
    assert_false(os_make_folder(test_folder_file(&folder, "no/sub")));
    uint64_t bytes;
    assert_true(os_disk_available(folder.path, &bytes));
    assert_false(os_disk_available(sub, &bytes));
    test_folder_deinit(&folder);
}

static void contents_are_mapped_and_synced(void **state)
{
    (void)state;
    struct test_folder folder;
    struct os_info info;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "file");
    const char *pipe = test_folder_file(&folder, "pipe");
    test_file_write(path, "abc", 3);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    const int file = os_open(path, &info);
    assert_true(file >= 0 && info.kind == OS_KIND_FILE && info.size == 3);
    const char *data = os_map(file, info.size);
    errno = EDOM;
    os_close(file);
    assert_int_equal(errno, EDOM);
    assert_memory_equal(data, "abc", 3);
    os_unmap(data, info.size);
    const int other = os_open(pipe, &info); /* does not wait for a writer */
    assert_true(other >= 0 && info.kind == OS_KIND_OTHER);
    os_close(other);
    assert_true(os_sync_file(path) && os_sync_folder(folder.path));
    remove(path);
    assert_false(os_sync_file(path));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(os_open(path, &info), -1);
    assert_int_equal(errno, ENOENT);
    test_folder_deinit(&folder);
}

static void lines_of_any_length(void **state)
{
    (void)state;
    struct test_folder folder;
    struct os_line line = { .text = NULL };
    char text[5000];
    memset(text, 'x', sizeof text);
    text[0] = text[4000] = '\n';
    text[2] = '\0';
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "lines");
    test_file_write(path, text, sizeof text);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_false(os_is_terminal(file));
    assert_true(os_line_read(file, &line) && line.size == 1);
    assert_true(os_line_read(file, &line) && line.size == 4000 && line.text[1] == '\0');
    assert_true(os_line_read(file, &line) && line.size == 999 && line.text[999] == '\0');
    assert_false(os_line_read(file, &line));
    os_line_deinit(&line);
    fclose(file);
    test_folder_deinit(&folder);
}

static void texts(void **state)
{
    (void)state;
    char list[] = ",a,,bc", *rest = NULL;
    assert_string_equal(os_token(list, ",", &rest), "a");
    assert_string_equal(os_token(NULL, ",", &rest), "bc");
    assert_null(os_token(NULL, ",", &rest));
    assert_true(os_same_caseless("Answer", "aNSWERs", 6));
    assert_false(os_same_caseless("Answer", "aNSWERs", 7));
    assert_int_equal(os_length("abc", 2), 2);
    assert_int_equal(os_length("abc", 9), 3);
    assert_true(os_pattern_fits("op/*", "op/add"));
    assert_false(os_pattern_fits("op/*", "top/add"));
}

static void time_and_machine(void **state)
{
    (void)state;
    struct tm t;
    struct os_system system;
    char path[512], space[64], cpu[224];
    assert_true(os_utc(951782400, &t)); /* 29 February 2000 */
    assert_true(t.tm_year == 100 && t.tm_mon == 1 && t.tm_mday == 29);
    assert_false(os_utc(INT64_MAX, &t));
    const uint64_t before = os_clock_ns();
    os_sleep_ms(2);
    assert_true(os_clock_ns() - before >= 2000000);
    os_system_read(&system);
    assert_true(system.name[0] && system.host[0] && system.release[0]);
    os_cpu_name(cpu, sizeof cpu);
    assert_true(cpu[0] && os_cpu_cores() > 0 && os_cpu_mhz() >= 0);
    assert_true(os_memory_available() <= os_memory_bytes());
    assert_true(os_program_path(path, sizeof path));
    assert_non_null(strstr(path, "/test_os"));
    os_process_space(space, sizeof space);
    assert_true(space[0] == '\0' || strncmp(space, "pid:", 4) == 0);
}

static void processes_that_are_gone(void **state)
{
    (void)state;
    assert_false(os_process_gone(os_process_id()));
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(os_process_gone(child));
}

/* In a process of its own: what it ends with, by these signals in turn. */
static int end_by(int first, int second)
{
    int how = 0;
    const pid_t child = fork();
    if (child == 0) {
        os_stop_signals(77);
        raise(SIGPIPE);
        if (first)
            raise(first);
        if (second)
            raise(second);
        _exit((int)os_stop_asked());
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static void signals_are_kept(void **state)
{
    (void)state;
    assert_int_equal(end_by(0, 0), OS_STOP_NONE);
    assert_int_equal(end_by(SIGINT, 0), OS_STOP_INTERRUPT);
    assert_int_equal(end_by(SIGTERM, 0), OS_STOP_TERMINATE);
    assert_int_equal(end_by(SIGINT, SIGTERM), OS_STOP_TERMINATE);
    assert_int_equal(end_by(SIGINT, SIGINT), 77);
    assert_int_equal(end_by(SIGTERM, SIGINT), 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_a_kind),
        cmocka_unit_test(folders_are_made_listed_and_removed),
        cmocka_unit_test(contents_are_mapped_and_synced),
        cmocka_unit_test(lines_of_any_length),
        cmocka_unit_test(texts),
        cmocka_unit_test(time_and_machine),
        cmocka_unit_test(processes_that_are_gone),
        cmocka_unit_test(signals_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The limits that every test runs under: tests/limit.c ends what takes too much CPU time or
 * too long, says which of the two it was, and hands every other exit code on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Runs `limit args` and returns its exit code; `out`: what it printed. */
static int run(const char *args, char *out, size_t size)
{
    char command[1024];
    snprintf(command, sizeof command, "'%s/limit' %s 2>&1", TEST_BUILD_DIR, args);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    const size_t n = fread(out, 1, size - 1, pipe);
    out[n] = '\0';
    const int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void cpu_time_is_limited(void **state)
{
    (void)state;
    char out[512];
    assert_int_equal(run("1 60 /bin/sh -c 'while :; do :; done'", out, sizeof out),
                     128 + SIGXCPU);
    assert_non_null(strstr(out, "the CPU limit of 1 s ended /bin/sh"));
}

static void time_is_limited(void **state)
{
    (void)state;
    char out[512];
    assert_int_equal(run("60 1 /bin/sh -c 'sleep 30; :'", out, sizeof out),
                     128 + SIGKILL);
    assert_non_null(strstr(out, "the WALL limit of 1 s ended /bin/sh"));
}

static void other_ends_are_handed_on(void **state)
{
    (void)state;
    char out[512];
    assert_int_equal(run("9 9 /bin/sh -c 'exit 77'", out, sizeof out), 77);
    assert_string_equal(out, "");
    assert_int_equal(run("9 9 /bin/sh -c 'kill -SEGV $$'", out, sizeof out),
                     128 + SIGSEGV);
    assert_non_null(strstr(out, "signal 11 ended"));
    assert_int_equal(run("9 9 /nonexistent", out, sizeof out), 127);
    assert_int_equal(run("0 9 /bin/true", out, sizeof out), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_time_is_limited),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(other_ends_are_handed_on),
    };
    return cmocka_run_group_tests_name("limits of tests", tests, NULL, NULL);
}

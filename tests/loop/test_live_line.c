/* What eval says while it works, before the first answer is complete: tokens, their rate
 * and the time that is left at most; and never the same line twice. */
#include "tests/support/files.h"
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { PACE_MS = 10, PATIENCE = 6000 };

#define PROBLEMS "24"
#define EVAL                                                                 \
    "eval --device ref --tune off --progress plain --store live.db --model " \
    "'" TEST_SOURCE_DIR "/pipeline/demo' --problems '" TEST_SOURCE_DIR       \
    "/pipeline/demo/measure.jsonl' --limit " PROBLEMS " "

static void pause_ms(long ms)
{
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };
    nanosleep(&pause, NULL);
}

static size_t lines_in(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Waits until the program has said that many lines. */
static void await(size_t lines)
{
    for (int i = 0; i < PATIENCE; i++) {
        size_t size;
        char *text = test_file_read("loop.err", &size);
        const bool there = lines_in(text) >= lines;
        free(text);
        if (there)
            return;
        pause_ms(PACE_MS);
    }
    fail_msg("no %zu lines came", lines);
}

/* Lines come every 5 s: between the first two of them the program sleeps. */
static void two_lines_are_said(void)
{
    int status;
    fclose(fopen("loop.err", "w"));
    const pid_t child = test_loop_start(EVAL ">loop.out 2>loop.err");
    await(1);
    kill(child, SIGSTOP);
    pause_ms(5200);
    kill(child, SIGCONT);
    await(2);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void check_line(const char *line, bool first)
{
    unsigned done, tokens;
    double rate;
    const char *at = strstr(line, " tokens, ");
    if (!at || sscanf(line, "measure full %u/" PROBLEMS " ", &done) != 1)
        fail_msg("'%s' does not tell answers and tokens", line);
    while (at > line && at[-1] != ' ')
        at--;
    if (sscanf(at, "%u tokens, %lf per s", &tokens, &rate) != 2 ||
        !strstr(line, " per s"))
        fail_msg("'%s' does not tell tokens and their rate", line);
    if (!first && (tokens == 0 || rate <= 0 || !strstr(line, "  left ")))
        fail_msg("'%s' does not tell what is left", line);
}

static void the_live_line_tells_tokens(void **state)
{
    (void)state;
    char before[512] = "", line[512];
    two_lines_are_said();
    FILE *file = fopen("loop.err", "r");
    assert_non_null(file);
    size_t n = 0;
    for (; fgets(line, sizeof line, file) && strchr(line, '\n'); n++) {
        printf("    %s", line);
        check_line(line, n == 0);
        assert_string_not_equal(line, before);
        memcpy(before, line, sizeof line);
    }
    fclose(file);
    assert_true(n >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_live_line_tells_tokens),
    };
    return cmocka_run_group_tests_name("live line", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

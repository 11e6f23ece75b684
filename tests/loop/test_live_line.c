/* What commands say while they work, and never the same line twice. eval, before the first
 * answer is complete: tokens, their rate and the time that is left at most. quantize: the
 * layer at work, the error of the matrix before, the time that is left. */
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
#include <sys/wait.h>
#include <time.h>

enum { PACE_MS = 10, PATIENCE = 6000 };

#define PROBLEMS "24"
#define EVAL                                                                 \
    "eval --device ref --tune off --progress plain --store live.db --model " \
    "'" TEST_SOURCE_DIR "/pipeline/demo' --problems '" TEST_SOURCE_DIR       \
    "/pipeline/demo/measure.jsonl' --limit " PROBLEMS " "

#define QUANTIZE                                                                        \
    "quantize --device ref --tune off --store live.db --model '" TEST_SOURCE_DIR        \
    "/pipeline/demo' --calib '" TEST_SOURCE_DIR "/pipeline/demo/calibrate.jsonl[0:8]' " \
    "--select none --force --out quantized --bits 3 --method gptq "

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
static void two_lines_are_said(const char *command)
{
    int status;
    fclose(fopen("loop.err", "w"));
    const pid_t child = test_loop_start(command);
    await(1);
    kill(child, SIGSTOP);
    pause_ms(5200);
    kill(child, SIGCONT);
    await(2);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void check_eval(const char *line, bool first)
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

static void check_lines(const char *command, void (*check)(const char *, bool))
{
    char before[512] = "", line[512];
    two_lines_are_said(command);
    FILE *file = fopen("loop.err", "r");
    assert_non_null(file);
    size_t n = 0;
    for (; fgets(line, sizeof line, file) && strchr(line, '\n'); n++) {
        printf("    %s", line);
        check(line, n == 0);
        assert_string_not_equal(line, before);
        memcpy(before, line, sizeof line);
    }
    fclose(file);
    assert_true(n >= 2);
}

static void eval_tells_tokens(void **state)
{
    (void)state;
    check_lines(EVAL ">loop.out 2>loop.err", check_eval);
}

/* "at layer 1: model.layers.0.mlp.down_proj 0.5 of 0.75". */
static void check_note(const char *at, bool first)
{
    unsigned layer, of;
    double error, rtn;
    char matrix[64];
    if (!at || sscanf(at, "at layer %u", &layer) != 1 || layer > 3)
        fail_msg("no layer at work is told");
    if (!first && (sscanf(at, "at layer %u: model.layers.%u.%63s %lf of %lf", &layer, &of,
                          matrix, &error, &rtn) != 5 ||
                   of > layer || !(error < rtn)))
        fail_msg("'%s' does not tell a matrix and its errors", at);
}

static void check_quantize(const char *line, bool first)
{
    unsigned done, total;
    if (sscanf(line, "quantize %u/%u ", &done, &total) != 2 || done >= total)
        fail_msg("'%s' does not tell steps", line);
    if (!first && (!strstr(line, "  left ") || strstr(line, "left 0 s")))
        fail_msg("'%s' does not tell what is left", line);
    check_note(strstr(line, "at layer "), first);
}

static void check_quantize_json(const char *line, bool first)
{
    json_t *all = json_loads(line, 0, NULL);
    assert_non_null(all);
    assert_string_equal(json_string_value(json_object_get(all, "what")), "quantize");
    check_note(json_string_value(json_object_get(all, "note")), first);
    if (!first)
        assert_true(json_is_number(json_object_get(all, "left_seconds")));
    json_decref(all);
}

static void quantize_tells_layer_and_error(void **state)
{
    (void)state;
    check_lines(QUANTIZE "--progress plain >loop.out 2>loop.err", check_quantize);
    check_lines(QUANTIZE "--progress json >loop.out 2>loop.err", check_quantize_json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eval_tells_tokens),
        cmocka_unit_test(quantize_tells_layer_and_error),
    };
    return cmocka_run_group_tests_name("live line", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

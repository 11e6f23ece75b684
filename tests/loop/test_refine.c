/* `refine` as a user runs it: killed at any step it goes on to the same bytes, only the
 * scales of the folder change, and what it cannot refine is refused in words. */
#include "tests/support/devices.h"
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
#include <unistd.h>

static char demo[512];

/* A command line of the program that begins with these words; static. */
static const char *line(const char *words)
{
    static char text[4096];
    snprintf(text, sizeof text, "%s --device ref --progress none >loop.out 2>loop.err",
             words);
    return text;
}

static const char *refine(const char *model, const char *out)
{
    static char words[2048];
    snprintf(words, sizeof words,
             "refine --full %s --model %s --out %s --on text.txt --length 16 --items 4 "
             "--batch 1 --epochs 1 --checkpoint 0",
             demo, model, out);
    return line(words);
}

static void quantize(void)
{
    static const char text[] =
        "Tom has 3 apples and buys 4 more. He gives 2 of them to Ann, who has 5 pears. "
        "How many apples has Tom now, and how many fruits have both of them together? "
        "A shop sells 12 pens for 6 coins each and 7 books for 11 coins each.";
    char words[2048];
    if (access("q.gguf", F_OK) == 0)
        return;
    test_file_write("text.txt", text, sizeof text - 1);
    snprintf(words, sizeof words, "quantize --model %s --out q --bits 3", demo);
    assert_int_equal(test_loop_run(line(words)), 0);
    test_file_write("plan", "*.attn_[qkv].weight Q4_0\n", 25);
    snprintf(words, sizeof words,
             "quantize --model %s --out q.gguf --method gguf --type Q4_1 --plan plan "
             "--plain",
             demo);
    assert_int_equal(test_loop_run(line(words)), 0);
}

/* `model` refined at once to `whole`, and to `cut` in two goes. */
static void kill_one(const char *model, const char *whole, const char *cut)
{
    int status;
    char state[64];
    snprintf(state, sizeof state, "%s.refine.json", cut);
    if (test_loop_run(refine(model, whole)) != 0) {
        test_loop_show_error();
        fail();
    }
    const pid_t pid = test_loop_start(refine(model, cut));
    while (access(state, F_OK) != 0 && waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_not_equal(access(cut, F_OK), 0);
    assert_int_equal(test_loop_run(refine(model, cut)), 0);
    assert_int_not_equal(access(state, F_OK), 0);
}

static void a_killed_run_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    quantize();
    kill_one("q", "whole", "cut");
    assert_true(test_file_same("whole/model.safetensors", "cut/model.safetensors"));
    assert_true(test_file_same("q/config.json", "cut/config.json"));
    assert_false(test_file_same("q/model.safetensors", "cut/model.safetensors"));
}

static void a_killed_run_of_a_gguf_file_too(void **state)
{
    (void)state;
    quantize();
    kill_one("q.gguf", "whole.gguf", "cut.gguf");
    assert_true(test_file_same("whole.gguf", "cut.gguf"));
    assert_false(test_file_same("q.gguf", "cut.gguf"));
}

static void expect(const char *command, int code, const char *words)
{
    size_t size;
    assert_int_equal(test_loop_run(command), code);
    char *said = test_file_read("loop.err", &size);
    if (!strstr(said, words))
        fail_msg("'%s' does not say '%s'", said, words);
    free(said);
}

/* --zeros would have no effect on this model. */
static void expect_no_zeros(const char *model)
{
    char words[4200];
    snprintf(words, sizeof words, "%s --zeros", refine(model, "y"));
    expect(words, 2, "has no whole zero points");
}

static void what_cannot_be_refined_is_refused(void **state)
{
    (void)state;
    char words[2048];
    quantize();
    expect(refine("q", "q"), 2, "is the model that is read");
    expect(refine("q", "whole"), 2, "exists already");
    expect(line("refine --full x --model q --out y"), 2, "--on P");
    snprintf(words, sizeof words,
             "refine --full %s --model %s --out y --on text.txt --length 16", demo, demo);
    expect(line(words), 4, "has no packed weight");
    expect(refine("q.gguf", "q.gguf"), 2, "is the model that is read");
    expect(refine("q.gguf", "whole.gguf"), 2, "exists already");
    expect_no_zeros("q"); /* symmetric */
    expect_no_zeros("q.gguf");
}

int main(void)
{
    test_path(demo, sizeof demo, "pipeline/demo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_run_goes_on_to_the_same_bytes),
        cmocka_unit_test(a_killed_run_of_a_gguf_file_too),
        cmocka_unit_test(what_cannot_be_refined_is_refused),
    };
    return cmocka_run_group_tests_name("refine", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

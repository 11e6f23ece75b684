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

static const char *refine(const char *out, const char *more)
{
    static char words[2048];
    snprintf(words, sizeof words,
             "refine --full %s --model q --out %s --on text.txt --length 16 --items 4 "
             "--batch 1 --epochs 1 --checkpoint 0 %s",
             demo, out, more);
    return line(words);
}

static void quantize(void)
{
    static const char text[] =
        "Tom has 3 apples and buys 4 more. He gives 2 of them to Ann, who has 5 pears. "
        "How many apples has Tom now, and how many fruits have both of them together? "
        "A shop sells 12 pens for 6 coins each and 7 books for 11 coins each.";
    char words[2048];
    if (access("q/config.json", F_OK) == 0)
        return;
    test_file_write("text.txt", text, sizeof text - 1);
    snprintf(words, sizeof words, "quantize --model %s --out q --bits 3", demo);
    assert_int_equal(test_loop_run(line(words)), 0);
}

static bool same_files(const char *a, const char *b)
{
    size_t na, nb;
    char *x = test_file_read(a, &na), *y = test_file_read(b, &nb);
    const bool same = na == nb && memcmp(x, y, na) == 0;
    free(x);
    free(y);
    return same;
}

static void a_killed_run_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    int status;
    quantize();
    if (test_loop_run(refine("whole", "")) != 0) {
        test_loop_show_error();
        fail();
    }
    const pid_t pid = test_loop_start(refine("cut", ""));
    while (access("cut.refine.json", F_OK) != 0 && waitpid(pid, &status, WNOHANG) == 0)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_not_equal(access("cut", F_OK), 0);
    assert_int_equal(test_loop_run(refine("cut", "")), 0);
    assert_true(same_files("whole/model.safetensors", "cut/model.safetensors"));
    assert_true(same_files("q/config.json", "cut/config.json"));
    assert_false(same_files("q/model.safetensors", "cut/model.safetensors"));
    assert_int_not_equal(access("cut.refine.json", F_OK), 0);
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

static void what_cannot_be_refined_is_refused(void **state)
{
    (void)state;
    char words[2048];
    quantize();
    expect(refine("q", ""), 2, "is the model that is read");
    expect(refine("whole", ""), 2, "exists already");
    expect(line("refine --full x --model q --out y"), 2, "--on P");
    snprintf(words, sizeof words,
             "refine --full %s --model %s --out y --on text.txt --length 16", demo, demo);
    expect(line(words), 4, "has no packed weight");
}

int main(void)
{
    test_path(demo, sizeof demo, "pipeline/demo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_run_goes_on_to_the_same_bytes),
        cmocka_unit_test(what_cannot_be_refined_is_refused),
    };
    return cmocka_run_group_tests_name("refine", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

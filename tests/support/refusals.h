/* tests/support/refusals.h
 * Cases of bad input against the built program: how the damage is made, what is run, and
 * what the one line on stderr must say. */
#ifndef TESTS_SUPPORT_REFUSALS_H
#define TESTS_SUPPORT_REFUSALS_H

#include "tests/support/files.h"
#include "tests/support/program.h"

struct CMUnitTest; /* cmocka.h */

enum { TEST_LINE_MAX = 4096 };

/* Folders in one scratch folder. */
struct test_place {
    struct test_folder scratch;
    struct test_folder model; /* before each case a fresh copy of a tiny model */
    struct test_folder run;   /* where the program runs, empty before each case */
    struct test_folder other; /* what is made once */
    char variables[256]; /* set in every run: no Vulkan driver, so that ref is left */
};

void test_place_init(struct test_place *place);
void test_place_deinit(struct test_place *place);
/* Runs the tests of a program that share one place, made before and removed after them;
 * for its main(). */
int test_place_group(const char *name, struct test_place *place,
                     const struct CMUnitTest *tests, size_t count);
/* Makes one of its folders, or empties it. */
void test_place_renew(struct test_folder *folder);
/* Words of a command line: @M the model folder, @O other, @T the tiny model in the tree,
 * @A its adapter, @D the demo model, @P the problem file in `run`. */
void test_place_expand(const struct test_place *place, const char *args,
                       char line[TEST_LINE_MAX]);
/* Runs the program in `run`; of `how`, folder and args are filled. */
void test_place_run(const struct test_place *place, const char *args,
                    const struct test_run *how, struct test_program *p);
void test_expect_success(const struct test_place *place, const char *args,
                         struct test_program *p);
/* Fails unless the program ended with `code`, wrote nothing to stdout and one error line
 * (and at most a second one that says what to type) with all of `words`. */
void test_expect_refusal(const char *what, const struct test_program *p, int code,
                         const char *words);

struct test_case {
    const char *what;
    void (*damage)(void); /* null: nothing is prepared */
    const char *args;
    int code;
    const char *words;     /* in the message, with | between them */
    const char *variables; /* null: none */
};

/* Each must be refused as it says, must leave nothing behind but a results file, and
 * must not change one that was there. */
void test_cases_run(struct test_place *place, const struct test_case *cases,
                    size_t count);

/* Overwrites `count` bytes of a tensor, from its byte `at` on, in a safetensors file of the
 * model folder. */
void test_place_poke(const struct test_place *place, const char *file, const char *tensor,
                     size_t at, const void *bytes, size_t count);

#endif

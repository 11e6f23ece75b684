/* tests/support/program.h
 * Runs the built program as a user does and keeps what it says. FAULTLINE_BUILD names
 * another build folder than the test's own (build/asan, to look for crashes). */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct test_run {
    const char *folder;    /* where it runs */
    const char *args;      /* words with single spaces; '...' keeps spaces together */
    const char *input;     /* on standard input, null: nothing */
    const char *variables; /* "NAME=VALUE NAME=VALUE" set for it, null: none */
    uint64_t file_bytes;   /* no file may grow beyond, 0: no limit */
    bool no_override;      /* take away root's right to write what is read-only */
    bool closed_output;    /* nobody reads stdout and stderr */
    const char *output;    /* stdout goes to this file, null: kept */
};

/* A started program; out and err are filled by test_program_wait. */
struct test_program {
    pid_t pid;
    int code; /* 128 + the signal where one ended it */
    char *out, *err;
    int from[2]; /* files that stdout and stderr go to */
};

void test_program_start(const struct test_run *run, struct test_program *p);
/* Waits for the end; free with test_program_deinit. */
void test_program_wait(struct test_program *p);
void test_program_deinit(struct test_program *p);
/* Both in one call. */
void test_program_run(const struct test_run *run, struct test_program *p);

#endif

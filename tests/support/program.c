#include "tests/support/program.h"

#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 64, NO_START = 126 };

/* Cuts a line into words, in place. */
static int split(char *line, char **words, int max)
{
    int n = 0;
    for (char *at = line; *at && n < max - 1; n++) {
        const char end = *at == '\'' ? '\'' : ' ';
        if (end == '\'')
            at++;
        words[n] = at;
        at = strchr(at, end);
        if (!at)
            return n + 1;
        *at++ = '\0';
        if (end == '\'' && *at == ' ')
            at++;
    }
    return n;
}

/* A file without a name that holds `text`, at its start. */
static FILE *scratch(const char *text)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    if (text)
        assert_true(fputs(text, file) >= 0);
    rewind(file);
    return file;
}

static void set_variables(char *text)
{
    char *words[WORDS_MAX] = { 0 };
    const int n = text ? split(text, words, WORDS_MAX) : 0;
    for (int i = 0; i < n; i++) {
        char *value = strchr(words[i], '=');
        *value = '\0';
        setenv(words[i], value + 1, 1);
    }
}

static bool confine(const struct test_run *run)
{
    const struct rlimit limit = { run->file_bytes, run->file_bytes };
    if (run->file_bytes && setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return false;
    if (run->no_override && geteuid() == 0)
        return prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) == 0;
    return true;
}

/* In the child: never returns. */
static void become(const struct test_run *run, int in, const int out[2])
{
    char program[1024], *words[WORDS_MAX] = { program }, *args = strdup(run->args);
    snprintf(program, sizeof program, "%s/faultline",
             getenv("FAULTLINE_BUILD") ? getenv("FAULTLINE_BUILD") : TEST_BUILD_DIR);
    split(args, words + 1, WORDS_MAX - 1);
    set_variables(run->variables ? strdup(run->variables) : NULL);
    if (chdir(run->folder) != 0 || dup2(in, 0) < 0 || dup2(out[0], 1) < 0 ||
        dup2(out[1], 2) < 0 || !confine(run))
        _exit(NO_START);
    const int file = run->output ? open(run->output, O_WRONLY) : 1;
    if (file < 0 || dup2(file, 1) < 0)
        _exit(NO_START);
    execv(program, words);
    _exit(NO_START);
}

void test_program_start(const struct test_run *run, struct test_program *p)
{
    *p = (struct test_program){ 0 };
    int deaf[2];
    FILE *in = scratch(run->input), *out = scratch(NULL), *err = scratch(NULL);
    assert_int_equal(pipe(deaf), 0);
    close(deaf[0]);
    p->from[0] = dup(fileno(out));
    p->from[1] = dup(fileno(err));
    assert_true(p->from[0] >= 0 && p->from[1] >= 0);
    const int ends[2] = { run->closed_output ? deaf[1] : p->from[0],
                          run->closed_output ? deaf[1] : p->from[1] };
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0)
        become(run, fileno(in), ends);
    close(deaf[1]);
    fclose(in);
    fclose(out);
    fclose(err);
}

static char *read_all(int fd)
{
    const off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size >= 0);
    char *text = calloc((size_t)size + 1, 1);
    assert_non_null(text);
    assert_true(pread(fd, text, (size_t)size, 0) == size);
    close(fd);
    return text;
}

void test_program_wait(struct test_program *p)
{
    int status = 0;
    while (waitpid(p->pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    p->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    p->out = read_all(p->from[0]);
    p->err = read_all(p->from[1]);
    if (p->code == NO_START)
        fail_msg("the program could not be started: is it built?");
}

void test_program_deinit(struct test_program *p)
{
    free(p->out);
    free(p->err);
    *p = (struct test_program){ 0 };
}

void test_program_run(const struct test_run *run, struct test_program *p)
{
    test_program_start(run, p);
    test_program_wait(p);
}

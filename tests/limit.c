/* tests/limit.c
 * Runs a test under two limits and says which one ended it.
 *   limit CPU_SECONDS WALL_SECONDS PROGRAM [ARGUMENT...]
 * The first is CPU time of one process, all its threads together; a program that the test
 * starts counts for itself. It does not depend on what else the machine does, so it is the
 * one that finds a test that runs away. The second ends a test that waits for ever; then
 * all that the test started and left in its process group ends with it.
 * Exit code: the program's; 128 + the signal's number if one ended it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { USAGE = 2, GRACE_S = 5 }; /* between SIGXCPU and SIGKILL */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static long seconds(const char *text)
{
    char *end;
    const long value = strtol(text, &end, 10);
    return *end == '\0' && value > 0 ? value : 0;
}

static pid_t start(long cpu_s, char **program, const sigset_t *mask)
{
    const pid_t child = fork();
    if (child != 0)
        return child;
    const struct rlimit limit = { (rlim_t)cpu_s, (rlim_t)cpu_s + GRACE_S };
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (setrlimit(RLIMIT_CPU, &limit) == 0)
        execv(program[0], program);
    perror(program[0]);
    _exit(127);
}

/* Waits until the child ends. True: the wall limit ended it. */
static int wait_for(pid_t child, double end_s, const sigset_t *awaited, int *status)
{
    int late = 0;
    while (waitpid(child, status, WNOHANG) == 0) {
        const double left = end_s - now_s();
        if (left <= 0 && !late) {
            late = 1;
            kill(-child, SIGKILL);
        }
        /* Not longer than a second: a signal that is pending once stands for two. */
        const struct timespec pause = { left > 1 ? 1 : 0, left > 1 ? 0 : 100000000 };
        const int signal = sigtimedwait(awaited, NULL, &pause);
        if (signal == SIGINT || signal == SIGTERM)
            kill(-child, signal);
    }
    return late;
}

int main(int argc, char **argv)
{
    const long cpu_s = argc > 3 ? seconds(argv[1]) : 0;
    const long wall_s = argc > 3 ? seconds(argv[2]) : 0;
    if (!cpu_s || !wall_s) {
        fprintf(stderr, "usage: limit CPU_SECONDS WALL_SECONDS PROGRAM [ARGUMENT...]\n");
        return USAGE;
    }
    sigset_t awaited, before;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGCHLD);
    sigaddset(&awaited, SIGINT);
    sigaddset(&awaited, SIGTERM);
    sigprocmask(SIG_BLOCK, &awaited, &before);

    int status = 0;
    const pid_t child = start(cpu_s, argv + 3, &before);
    if (child < 0) {
        perror("limit: fork");
        return 1;
    }
    setpgid(child, child); /* both sides: whoever comes first */
    const int late = wait_for(child, now_s() + (double)wall_s, &awaited, &status);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    const int signal = WTERMSIG(status);
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    const long used_s = (long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    if (late)
        fprintf(stderr, "limit: the WALL limit of %ld s ended %s\n", wall_s, argv[3]);
    else if (signal == SIGXCPU || (signal == SIGKILL && used_s >= cpu_s))
        fprintf(stderr, "limit: the CPU limit of %ld s ended %s\n", cpu_s, argv[3]);
    else
        fprintf(stderr, "limit: signal %d ended %s\n", signal, argv[3]);
    return 128 + signal;
}

/* pipeline/cli/main.c
 * Finds the command, parses, runs, turns its status into a message and an exit code. */
#include "pipeline/cli/cli.h"

#include "runtime/base/blas.h"
#include "runtime/base/os.h"
#include "runtime/base/version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reader that leaves early must not end a run between two results, nor a file that may
 * not grow; the second Ctrl-C ends it at once. */
void cli_signals(void)
{
    os_stop_signals(rt_exit_code(RT_ERR_INTERRUPTED));
}

bool cli_stopping(void)
{
    return os_stop_asked() != OS_STOP_NONE;
}

rt_status cli_stop_reason(void)
{
    switch (os_stop_asked()) {
    case OS_STOP_INTERRUPT:
        return RT_ERR_INTERRUPTED;
    case OS_STOP_TERMINATE:
        return RT_ERR_TIME_LIMIT;
    case OS_STOP_NONE:
        break;
    }
    return RT_OK;
}

static void print_log(void *user, enum rt_log_level level, const char *line)
{
    const struct cli *cli = user;
    const enum rt_log_level most = cli->verbosity < 0    ? RT_LOG_ERROR
                                   : cli->verbosity == 0 ? RT_LOG_WARNING
                                   : cli->verbosity == 1 ? RT_LOG_INFO
                                                         : RT_LOG_TRACE;
    static const char *const names[] = { "error", "warning", "info", "trace" };
    if (level <= most)
        fprintf(stderr, "%s: %s\n", names[level], line);
}

static int unknown_command(const char *name)
{
    const char *meant = cli_similar_command(name);
    fprintf(stderr,
            "error[E%02d]: there is no command '%.60s'%s%s\n  try:  faultline help\n",
            (int)RT_ERR_USAGE, name, meant ? ", did you mean " : "", meant ? meant : "");
    return rt_exit_code(RT_ERR_USAGE);
}

static void print_error(const struct cli *cli, rt_status st)
{
    char buffer[96];
    const char *hint = cli_hint(st, cli->command->name, buffer, sizeof buffer);
    fprintf(stderr, "error[E%02d]: %s\n", (int)st, cli->ctx.message);
    if (hint && !strstr(cli->ctx.message, "faultline "))
        fprintf(stderr, "  try:  %s\n", hint);
}

static rt_status set_progress(struct cli *cli)
{
    const char *how = cli_value(cli, "progress", "auto");
    const bool automatic = strcmp(how, "auto") == 0, plain = strcmp(how, "plain") == 0,
               json = strcmp(how, "json") == 0, none = strcmp(how, "none") == 0;
    if (!automatic && !plain && !json && !none)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--progress %.20s: auto, plain, json or none is needed", how);
    cli->progress_off = none || cli->verbosity < 0;
    cli->progress_json = json;
    cli->progress_terminal = automatic && os_is_terminal(stderr);
    return RT_OK;
}

/* The last of the output. A reader that has seen enough (`| head`) is no failure. */
static rt_status finish_output(struct rt_ctx *ctx)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || os_is_reader_gone(errno))
        return RT_OK;
    return rt_fail(ctx, RT_ERR_IO, "cannot write the output: %s",
                   errno ? strerror(errno) : "the disk may be full");
}

static void print_version(void)
{
    printf("faultline %s", rt_version);
    if (rt_commit[0])
        printf(" (%s%s)", rt_commit, rt_commit_changed ? ", changed" : "");
    printf("\n");
}

/* Commands that multiply matrices on the host. A library that does not know the processor
 * is told which kernels fit, which it reads before main only. */
static void start_blas(const char *name, char **argv)
{
    static const char *const names[] = { "quantize", "restore", "train", "demo" };
    const char *core = NULL;
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            core = rt_blas_better_core();
    if (core)
        os_restart(argv, RT_BLAS_VARIABLE, core);
}

int main(int argc, char **argv)
{
    struct cli cli = { .argc = argc, .argv = argv };
    const char *name = argc > 1 ? argv[1] : "help";
    start_blas(name, argv);
    cli_signals();
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0) {
        print_version();
        return rt_exit_code(finish_output(&cli.ctx));
    }
    for (int i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0)
            cli.command = cli_commands[i];
    if (!cli.command)
        return unknown_command(name);
    cli.ctx.log = print_log;
    cli.ctx.log_user = &cli;
    rt_status st = cli_parse(&cli, argc > 2 ? argc - 2 : 0, argv + 2);
    const bool explain = st == RT_OK && cli_flag(&cli, "help");
    if (explain)
        cli_print_help(cli.command);
    if (st == RT_OK)
        st = set_progress(&cli);
    if (st == RT_OK && !explain)
        st = cli.command->run(&cli);
    cli_progress_end(&cli);
    if (st == RT_OK)
        st = finish_output(&cli.ctx);
    if (st != RT_OK)
        print_error(&cli, st);
    free(cli.argv_json); /* lint: jansson's own */
    rt_free(cli.cache_dir);
    return rt_exit_code(st);
}

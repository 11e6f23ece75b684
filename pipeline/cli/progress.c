/* pipeline/cli/progress.c
 * What a user sees while work goes on: message lines and one live line, and the host that
 * stages call for them. */
#include "pipeline/cli/cli.h"

#include "runtime/base/json_put.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PAUSE_TERMINAL_NS = 200000000 };
#define PAUSE_LINES_NS UINT64_C(5000000000)

void cli_say(struct cli *cli, const char *fmt, ...)
{
    if (cli->verbosity < 0)
        return;
    cli_progress_end(cli);
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_progress_end(struct cli *cli)
{
    if (cli->progress_terminal && cli->progress_line[0])
        fprintf(stderr, "\r\033[K");
    cli->progress_line[0] = '\0';
}

static bool is_due(const struct cli *cli, const struct pipe_progress *p, uint64_t now)
{
    const uint64_t pause = cli->progress_terminal ? PAUSE_TERMINAL_NS : PAUSE_LINES_NS;
    const bool over = p->done >= p->total;
    if (cli->progress_off || (now - cli->progress_at < pause && !over))
        return false;
    return cli->progress_terminal || !over; /* a result line follows */
}

/* Seconds as "1:02:03 h", "2:03 min" or "40 s". */
static void print_time(double seconds, char *out, size_t size)
{
    const uint64_t s = seconds < 1e9 ? (uint64_t)seconds : 1000000000;
    if (s >= 3600)
        snprintf(out, size, "%llu:%02llu:%02llu h", (unsigned long long)(s / 3600),
                 (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60));
    else if (s >= 60)
        snprintf(out, size, "%llu:%02llu min", (unsigned long long)(s / 60),
                 (unsigned long long)(s % 60));
    else
        snprintf(out, size, "%llu s", (unsigned long long)s);
}

/* The rate is that of this run: what was found done tells nothing about it. NaN: unknown. */
static double rate_of(struct cli *cli, const struct pipe_progress *p, double seconds)
{
    const uint64_t base = cli->progress_base;
    return p->done > base && seconds > 0 ? (double)(p->done - base) / seconds : NAN;
}

static void print_json(const struct pipe_progress *p, double seconds, double left)
{
    char text[32] = "null";
    if (isfinite(left))
        snprintf(text, sizeof text, "%.0f", left);
    fprintf(stderr,
            "{\"what\":\"%s\",\"done\":%llu,\"total\":%llu,\"seconds\":%.1f,"
            "\"left_seconds\":%s,\"note\":",
            p->what, (unsigned long long)p->done, (unsigned long long)p->total, seconds,
            text);
    rt_json_text(stderr, p->extra ? p->extra : "");
    fputs("}\n", stderr);
}

void cli_progress(struct cli *cli, const struct pipe_progress *p)
{
    const uint64_t now = rt_time_ns();
    char time[40], pace[80] = "", line[sizeof cli->progress_line];
    if (cli->progress_started != p->started_ns) {
        cli->progress_started = p->started_ns;
        cli->progress_base = p->done;
    }
    if (!is_due(cli, p, now))
        return;
    cli->progress_at = now;
    const double seconds = (double)(now - p->started_ns) * 1e-9;
    const double rate = rate_of(cli, p, seconds);
    const double left = (double)(p->total - p->done) / rate;
    if (cli->progress_json) {
        print_json(p, seconds, left);
        return;
    }
    if (isfinite(left)) {
        print_time(left, time, sizeof time);
        snprintf(pace, sizeof pace, "  %.1f/s  left %s", rate, time);
    } else if (p->left_seconds > 0) {
        print_time(p->left_seconds, time, sizeof time);
        snprintf(pace, sizeof pace, "  left at most %s", time);
    }
    snprintf(line, sizeof line, "%-24s %llu/%llu%s  %.120s", p->what,
             (unsigned long long)p->done, (unsigned long long)p->total, pace,
             p->extra ? p->extra : "");
    if (strcmp(line, cli->progress_line) == 0)
        return;
    memcpy(cli->progress_line, line, sizeof line);
    fprintf(stderr, cli->progress_terminal ? "\r\033[K%s" : "%s\n", line);
    fflush(stderr);
}

/* ---- the host of stages ---- */

static rt_status host_stopping(void *user)
{
    (void)user;
    return cli_stop_reason();
}

static void host_say(void *user, const char *line)
{
    cli_say(user, "%s", line);
}

static void host_progress(void *user, const struct pipe_progress *progress)
{
    cli_progress(user, progress);
}

const struct pipe_host *cli_host(struct cli *cli)
{
    cli->host = (struct pipe_host){ host_stopping, host_say, host_progress, cli };
    return &cli->host;
}

/* pipeline/host.c
 * Calls of a host that may lack any of its functions. */
#include "pipeline/host.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 1024 };

bool pipe_stopping(const struct pipe_host *host)
{
    return host && host->stopping && host->stopping(host->user) != RT_OK;
}

rt_status pipe_stop_status(const struct pipe_host *host, struct rt_ctx *ctx)
{
    const rt_status st = host && host->stopping ? host->stopping(host->user) : RT_OK;
    return st == RT_OK ? RT_OK
                       : rt_fail(ctx, st,
                                 "stopped; finished work is saved, run the same command "
                                 "to go on");
}

void pipe_say(const struct pipe_host *host, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    if (!host || !host->say)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    host->say(host->user, line);
}

void pipe_progress(const struct pipe_host *host, const struct pipe_progress *progress)
{
    if (host && host->progress)
        host->progress(host->user, progress);
}

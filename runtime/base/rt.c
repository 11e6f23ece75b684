/* runtime/base/rt.c
 * Messages, counted allocations, clocks and formatted text: what every layer shares. */
#include "runtime/base/rt.h"

#include "runtime/base/os.h"

#undef rt_fail /* what the analyzer sees of it */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rt_status rt_fail(struct rt_ctx *ctx, rt_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(ctx->message, sizeof ctx->message, fmt, args);
    va_end(args);
    return status;
}

void rt_log(struct rt_ctx *ctx, enum rt_log_level level, const char *fmt, ...)
{
    if (!ctx->log)
        return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    ctx->log(ctx->log_user, level, line);
}

/* True where this call is the one a test wants to fail. */
static bool fails_here(struct rt_ctx *ctx)
{
    ctx->alloc_count++;
    return ctx->alloc_fail_at != 0 && ctx->alloc_count == ctx->alloc_fail_at;
}

void *rt_alloc(struct rt_ctx *ctx, size_t count, size_t size)
{
    if (fails_here(ctx))
        return NULL;
    if (count == 0 || size == 0)
        return calloc(1, 1);
    return calloc(count, size);
}

void *rt_resize(struct rt_ctx *ctx, void *old, size_t old_count, size_t count,
                size_t size)
{
    if (fails_here(ctx) || (size != 0 && count > SIZE_MAX / size))
        return NULL;
    const size_t bytes = count * size;
    char *memory = realloc(old, bytes ? bytes : 1);
    if (memory && count > old_count)
        memset(memory + old_count * size, 0, (count - old_count) * size);
    return memory;
}

void rt_free(void *memory)
{
    free(memory);
}

char *rt_strdup(struct rt_ctx *ctx, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = rt_alloc(ctx, size, 1);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

char *rt_format(struct rt_ctx *ctx, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = length < 0 ? NULL : rt_alloc(ctx, (size_t)length + 1, 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    return text;
}

uint64_t rt_time_ns(void)
{
    return os_clock_ns();
}

int64_t rt_time_unix_ms(void)
{
    return os_clock_unix_ms();
}

void rt_cache_write(const char *path, const void *data, size_t size)
{
    char part[1280];
    const int n =
        snprintf(part, sizeof part, "%s.%lld.part", path, (long long)os_process_id());
    FILE *file = n > 0 && (size_t)n < sizeof part ? fopen(part, "wb") : NULL;
    if (!file)
        return;
    const bool wrote = fwrite(data, 1, size, file) == size;
    if (fclose(file) != 0 || !wrote || rename(part, path) != 0)
        remove(part);
}

/* The table of `faultline help exit-codes`; stable. */
int rt_exit_code(rt_status status)
{
    switch (status) {
    case RT_OK:
        return 0;
    case RT_ERR_USAGE:
        return 2;
    case RT_ERR_NO_DEVICE:
        return 3;
    case RT_ERR_INPUT:
        return 4;
    case RT_ERR_TIME_LIMIT:
        return 5;
    case RT_ERR_GATE:
        return 6;
    case RT_ERR_STORE:
        return 7;
    case RT_ERR_DEVICE_LOST:
    case RT_ERR_DEVICE_MEMORY:
        return 8;
    case RT_ERR_INTERRUPTED:
        return 130;
    case RT_ERR_IO:
    case RT_ERR_HOST_MEMORY:
    case RT_ERR_INTERNAL:
        break;
    }
    return 1;
}

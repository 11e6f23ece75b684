/* runtime/base/rt.h
 * What every layer shares: status codes, the context that carries messages and
 * counts allocations, and small helpers. Nothing here knows a device. */
#ifndef RUNTIME_BASE_RT_H
#define RUNTIME_BASE_RT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every function that can fail returns one of these. rt_exit_code says what each is to a
 * shell. */
typedef enum rt_status {
    RT_OK = 0,
    RT_ERR_USAGE,       /* the caller or the user asked for something impossible */
    RT_ERR_NO_DEVICE,   /* no Vulkan loader, no such device, or one that is too small */
    RT_ERR_INPUT,       /* a foreign file is missing, damaged or not what was declared */
    RT_ERR_IO,          /* reading or writing one of our own files failed */
    RT_ERR_STORE,       /* the results file: locked, newer, corrupt, full, read-only */
    RT_ERR_HOST_MEMORY, /* an allocation failed */
    RT_ERR_DEVICE_MEMORY, /* out of device memory; saved work is kept */
    RT_ERR_DEVICE_LOST,   /* the device is gone; saved work is kept */
    RT_ERR_INTERRUPTED,   /* the user pressed Ctrl-C; saved work is kept */
    RT_ERR_TIME_LIMIT,    /* --time-limit reached or SIGTERM: run the command again */
    RT_ERR_GATE,          /* a --fail-if condition holds */
    RT_ERR_INTERNAL,      /* a bug of ours that could be reported instead of asserted */
} rt_status;

/* The exit code of a program that ends with this status: the table of
 * `faultline help exit-codes`; stable. */
int rt_exit_code(rt_status status);

enum rt_log_level { RT_LOG_ERROR, RT_LOG_WARNING, RT_LOG_INFO, RT_LOG_TRACE };

typedef void rt_log_fn(void *user, enum rt_log_level level, const char *line);

/* One context a program (or a test). Plain data; zero is a valid start: silent,
 * no failing allocation. Not shared between threads. */
struct rt_ctx {
    char message[1024];   /* of the last failure: what, which object, why, what to do */
    rt_log_fn *log;       /* null: silent */
    void *log_user;       /* borrowed, handed to log */
    uint64_t alloc_count; /* calls of rt_alloc so far */
    uint64_t
        alloc_fail_at; /* 0: never; n: the n-th rt_alloc from the start returns null */
    const char *cache_dir; /* borrowed: folder of what is kept between runs (hashes of
                              files, pipelines, tune results), NULL: nothing is */
};

/* Checks one call. The function keeps its status in `st`, zeroes every handle
 * it owns before the first TRY, and ends in one `fail:` that frees them all. */
#define TRY(call)        \
    do {                 \
        st = (call);     \
        if (st != RT_OK) \
            goto fail;   \
    } while (0)

#define RT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#define RT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define RT_CHECKED __attribute__((warn_unused_result))
#else
#define RT_PRINTF(fmt, args)
#define RT_CHECKED
#endif

/* Stores the message of a failure and returns `status`, so that the place that
 * knows can write `return rt_fail(ctx, RT_ERR_INPUT, "...", ...)`. */
rt_status rt_fail(struct rt_ctx *ctx, rt_status status, const char *fmt, ...)
    RT_PRINTF(3, 4);
#ifdef __clang_analyzer__ /* it cannot see that the status handed in comes back */
#define rt_fail(ctx, status, ...) ((void)rt_fail(ctx, status, __VA_ARGS__), (status))
#endif

/* One event, one line, object first, numbers with units. */
void rt_log(struct rt_ctx *ctx, enum rt_log_level level, const char *fmt, ...)
    RT_PRINTF(3, 4);

/* The only allocators of the project. Memory is zeroed. Null on failure, on
 * overflow of count * size, and where a test asked for it (the caller turns
 * that into RT_ERR_HOST_MEMORY); count or size 0 gives a valid pointer. */
void *rt_alloc(struct rt_ctx *ctx, size_t count, size_t size);
/* Grows or shrinks memory of rt_alloc; the part beyond old_count is zeroed. On
 * failure null is returned and `old` stays valid. */
void *rt_resize(struct rt_ctx *ctx, void *old, size_t old_count, size_t count,
                size_t size);
void rt_free(void *memory); /* accepts null */
char *rt_strdup(struct rt_ctx *ctx, const char *text);
/* A formatted string in fresh memory (free with rt_free), null on failure. */
char *rt_format(struct rt_ctx *ctx, const char *fmt, ...) RT_PRINTF(2, 3);

/* The next multiple of `multiple` that is not below `value`. */
static inline uint64_t rt_round_up(uint64_t value, uint64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

static inline uint32_t rt_round_up32(uint32_t value, uint32_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* Monotonic time in nanoseconds, and wall-clock time in Unix milliseconds. */
uint64_t rt_time_ns(void);
int64_t rt_time_unix_ms(void);
/* Writes a file of rt_ctx.cache_dir, under a temporary name that is then renamed: several
 * processes may do it at once. That it cannot be written is no failure: it costs the time
 * again. */
void rt_cache_write(const char *path, const void *data, size_t size);

#endif

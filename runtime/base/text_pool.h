/* runtime/base/text_pool.h
 * Owner of many small strings and arrays that live and die together: a list of chunks,
 * freed at once. Zero is a valid start. */
#ifndef RUNTIME_BASE_TEXT_POOL_H
#define RUNTIME_BASE_TEXT_POOL_H

#include "runtime/base/rt.h"

struct pipe_pool {
    struct pipe_pool_chunk *chunks; /* newest first, NULL: empty */
};

/* `count * size` zeroed bytes, aligned for any type; null without memory. */
void *pipe_pool_take(struct rt_ctx *ctx, struct pipe_pool *pool, size_t count,
                     size_t size);
/* A zero-terminated copy of `length` bytes; null without memory. */
const char *pipe_pool_copy(struct rt_ctx *ctx, struct pipe_pool *pool, const char *text,
                           size_t length);
/* A formatted string; null without memory. */
const char *pipe_pool_format(struct rt_ctx *ctx, struct pipe_pool *pool, const char *fmt,
                             ...) RT_PRINTF(3, 4);
/* `into` owns what `from` owned; `from` is empty then. */
void pipe_pool_join(struct pipe_pool *into, struct pipe_pool *from);
void pipe_pool_deinit(struct pipe_pool *pool);

#endif

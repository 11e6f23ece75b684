/* runtime/base/text_pool.c
 * Memory of many small strings that are freed at once: a list of chunks. */
#include "runtime/base/text_pool.h"

#include <stdalign.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16 };

struct pipe_pool_chunk {
    struct pipe_pool_chunk *next;
    size_t used, size; /* bytes of data */
    alignas(max_align_t) unsigned char data[];
};

void *pipe_pool_take(struct rt_ctx *ctx, struct pipe_pool *pool, size_t count,
                     size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size != 0 && count > (SIZE_MAX / 2 - sizeof(struct pipe_pool_chunk)) / size)
        return NULL;
    const size_t bytes = (count * size + align - 1) / align * align;
    struct pipe_pool_chunk *chunk = pool->chunks;
    if (!chunk || chunk->size - chunk->used < bytes) {
        const size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = rt_alloc(ctx, sizeof *chunk + room, 1);
        if (!chunk)
            return NULL;
        chunk->size = room;
        chunk->next = pool->chunks;
        pool->chunks = chunk;
    }
    void *memory = chunk->data + chunk->used;
    chunk->used += bytes;
    return memory;
}

const char *pipe_pool_copy(struct rt_ctx *ctx, struct pipe_pool *pool, const char *text,
                           size_t length)
{
    char *copy = pipe_pool_take(ctx, pool, length + 1, 1);
    if (copy)
        memcpy(copy, text, length); /* the end is there: memory is zeroed */
    return copy;
}

const char *pipe_pool_format(struct rt_ctx *ctx, struct pipe_pool *pool, const char *fmt,
                             ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = length < 0 ? NULL : pipe_pool_take(ctx, pool, (size_t)length + 1, 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    return text;
}

void pipe_pool_join(struct pipe_pool *into, struct pipe_pool *from)
{
    struct pipe_pool_chunk **end =
        &into->chunks; /* its newest chunk has room and stays */
    while (*end)
        end = &(*end)->next;
    *end = from->chunks;
    from->chunks = NULL;
}

void pipe_pool_deinit(struct pipe_pool *pool)
{
    while (pool->chunks) {
        struct pipe_pool_chunk *next = pool->chunks->next;
        rt_free(pool->chunks);
        pool->chunks = next;
    }
}

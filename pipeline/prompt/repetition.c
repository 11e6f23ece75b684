/* pipeline/prompt/repetition.c
 * Cycles by run lengths, one per period; lines by their hash in a small ring. */
#include "pipeline/prompt/repetition.h"

#include <assert.h>

/* FNV-1a, 64 bits. */
#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

static void feed_cycles(struct pipe_repetition *r, const uint32_t *ids)
{
    const uint32_t at = r->tokens;
    for (uint32_t p = PIPE_CYCLE_MIN; p <= PIPE_CYCLE_MAX && p <= at; p++)
        r->same[p] = ids[at] == ids[at - p] ? r->same[p] + 1 : 0;
}

/* The line's row; of one that is not there the oldest is given up. */
static struct pipe_line_seen *row_of(struct pipe_repetition *r, uint64_t hash)
{
    const uint32_t there =
        r->line_count < PIPE_LINES_SEEN ? r->line_count : PIPE_LINES_SEEN;
    for (uint32_t i = 0; i < there; i++)
        if (r->lines[i].hash == hash)
            return &r->lines[i];
    struct pipe_line_seen *row = &r->lines[r->line_count++ % PIPE_LINES_SEEN];
    *row = (struct pipe_line_seen){ .hash = hash };
    return row;
}

/* The line that ends with the token being fed. */
static void end_line(struct pipe_repetition *r)
{
    const struct pipe_token_range here = { r->line_from, r->tokens + 1 };
    assert(here.from < here.to);
    if (here.to - here.from < PIPE_CYCLE_MIN)
        return;
    struct pipe_line_seen *row = row_of(r, r->hash);
    if (++row->count == 2)
        row->second = here;
    if (row->count < PIPE_REPEATED)
        return;
    r->line_found = true;
    r->line_second = row->second;
}

static void feed_lines(struct pipe_repetition *r, const char *bytes, size_t size)
{
    r->line_found = false;
    for (size_t i = 0; i < size; i++) {
        if (r->bytes == 0) {
            r->hash = HASH_START;
            r->line_from = r->tokens;
        }
        if (bytes[i] == '\n' && r->bytes)
            end_line(r);
        r->bytes = bytes[i] == '\n' ? 0 : r->bytes + 1;
        r->hash = (r->hash ^ (uint8_t)bytes[i]) * HASH_PRIME;
    }
}

void pipe_repetition_feed(struct pipe_repetition *r, const uint32_t *ids,
                          const char *bytes, size_t size)
{
    feed_cycles(r, ids);
    feed_lines(r, bytes, size);
    r->tokens++;
}

uint32_t pipe_repetition_period(const struct pipe_repetition *r)
{
    for (uint32_t p = PIPE_CYCLE_MIN; p <= PIPE_CYCLE_MAX; p++)
        if (r->same[p] >= (PIPE_REPEATED - 1) * p)
            return p;
    return 0;
}

bool pipe_repetition_found(const struct pipe_repetition *r,
                           struct pipe_token_range *first)
{
    const uint32_t period = pipe_repetition_period(r);
    *first = r->line_second;
    if (period)
        *first = (struct pipe_token_range){ r->tokens - r->same[period],
                                            r->tokens - r->same[period] + period };
    return period || r->line_found;
}

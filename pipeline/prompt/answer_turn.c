/* pipeline/prompt/answer_turn.c
 * Reads an answer byte by byte: boxes, stop texts, line ends. */
#include "pipeline/prompt/answer_turn.h"

#include <assert.h>
#include <string.h>

static const char box[] = "\\boxed{";

/* Braces of the box that was opened last; an escaped one is text. */
static void read_box(struct pipe_turn *t, char c)
{
    const uint32_t whole = sizeof box - 1;
    if (t->matched < whole) {
        t->matched = c == box[t->matched] ? t->matched + 1 : c == box[0];
        t->depth = t->matched == whole;
        t->escaped = false;
        return;
    }
    if (t->escaped) {
        t->escaped = false;
        return;
    }
    t->escaped = c == '\\';
    t->depth += c == '{';
    t->depth -= c == '}';
    if (t->depth == 0) {
        t->boxed = true;
        t->matched = 0;
    }
}

static void keep_tail(struct pipe_turn *t, const char *bytes, size_t size)
{
    if (size > PIPE_TAIL) {
        bytes += size - PIPE_TAIL;
        size = PIPE_TAIL;
    }
    const size_t kept = t->tail_size + size > PIPE_TAIL ? PIPE_TAIL - size : t->tail_size;
    memmove(t->tail, t->tail + t->tail_size - kept, kept);
    memcpy(t->tail + kept, bytes, size);
    t->tail_size = (uint32_t)(kept + size);
}

static bool holds(const struct pipe_turn *t, const char *stop)
{
    const size_t length = stop ? strlen(stop) : 0;
    assert(length <= PIPE_TAIL / 2);
    for (size_t at = 0; stop && at + length <= t->tail_size; at++)
        if (memcmp(t->tail + at, stop, length) == 0)
            return true;
    return false;
}

/* Whether a stop text lies in the tail: one that ended before the new bytes would have
 * been found before. */
static bool stopped(const struct pipe_prompt_format *format, const struct pipe_turn *t)
{
    bool found = holds(t, t->stop);
    for (int i = 0; i < PIPE_STOPS_MAX; i++)
        found |= holds(t, format->stop_texts[i]);
    return found;
}

bool pipe_turn_needed(const struct pipe_prompt_format *format)
{
    return format->numbered || format->stop_texts[0];
}

enum pipe_turn_act pipe_turn_feed(const struct pipe_prompt_format *format,
                                  struct pipe_turn *t, const char *bytes, size_t size)
{
    for (size_t i = 0; format->numbered && i < size; i++)
        read_box(t, bytes[i]);
    keep_tail(t, bytes, size);
    if (stopped(format, t))
        return PIPE_TURN_END;
    if (!format->numbered || (t->tail_size && t->tail[t->tail_size - 1] != '\n'))
        return PIPE_TURN_ON;
    if (t->boxed || t->step == PIPE_NUMBERED_MAX)
        return PIPE_TURN_END;
    t->step++;
    return PIPE_TURN_STEP;
}

enum pipe_turn_act pipe_turn_start(const struct pipe_prompt_format *format,
                                   struct pipe_turn *t, const char *given)
{
    *t = (struct pipe_turn){ .stop = t->stop };
    enum pipe_turn_act act = pipe_turn_feed(format, t, "", 0);
    for (const char *line = given; line && *line && act != PIPE_TURN_END;) {
        const char *end = strchr(line, '\n');
        const size_t size = end ? (size_t)(end - line) + 1 : strlen(line);
        act =
            pipe_turn_feed(format, t, line, size); /* a line asks for one step at most */
        line += size;
    }
    return act;
}

/* runtime/text/byte_level.h
 * Private to runtime/text: the alphabet of byte-level BPE. Printable Latin-1 bytes stand
 * for themselves; the other 68 bytes are shown as U+0100 and up, in order (GPT-2's
 * table). */
#ifndef RUNTIME_TEXT_BYTE_LEVEL_H
#define RUNTIME_TEXT_BYTE_LEVEL_H

#include "runtime/base/rt.h"

enum { BYTE_LEVEL_END = 256 + 68 }; /* one beyond the last code point that is used */

struct byte_level {
    int16_t byte[BYTE_LEVEL_END]; /* by code point; -1: stands for no byte */
    uint8_t *bytes;               /* of the last text, longer than any so far */
    size_t capacity;
};

/* Writes the character that a byte is shown as (at most 2 bytes); returns its bytes. */
size_t byte_level_put(uint8_t byte, char out[2]);
void byte_level_init(struct byte_level *level);
void byte_level_deinit(struct byte_level *level);
/* Turns shown text into the bytes it stands for, in level->bytes. *good is false if a
 * character stands for none. RT_ERR_HOST_MEMORY. */
RT_CHECKED rt_status byte_level_read(struct byte_level *level, struct rt_ctx *ctx,
                                     const char *text, size_t size, size_t *out_size,
                                     bool *good);

#endif

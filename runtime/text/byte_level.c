/* runtime/text/byte_level.c
 * Maps between bytes and the printable characters that byte-level BPE shows them as. */
#include "runtime/text/byte_level.h"

#include <assert.h>

/* The code point of a byte: bytes that cannot be shown are counted from U+0100. */
static uint32_t code_of(uint32_t byte)
{
    if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
        return byte;
    if (byte < 33)
        return 256 + byte;
    return byte == 173 ? 256 + 67 : 256 + 33 + (byte - 127);
}

size_t byte_level_put(uint8_t byte, char out[2])
{
    const uint32_t c = code_of(byte);
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    return 2;
}

void byte_level_init(struct byte_level *level)
{
    *level = (struct byte_level){ 0 };
    for (int c = 0; c < BYTE_LEVEL_END; c++)
        level->byte[c] = -1;
    for (int16_t byte = 0; byte < 256; byte++) {
        assert(level->byte[code_of((uint32_t)byte)] < 0); /* no character is two bytes */
        level->byte[code_of((uint32_t)byte)] = byte;
    }
}

void byte_level_deinit(struct byte_level *level)
{
    rt_free(level->bytes);
    level->bytes = NULL;
}

rt_status byte_level_read(struct byte_level *level, struct rt_ctx *ctx, const char *text,
                          size_t size, size_t *out_size, bool *good)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + size;
    *out_size = 0;
    *good = false;
    if (size > level->capacity) {
        rt_free(level->bytes);
        level->bytes = rt_alloc(ctx, 2 * size, 1);
        level->capacity = level->bytes ? 2 * size : 0;
        if (!level->bytes)
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    }
    while (p < end) {
        uint32_t c = *p++;
        if (c >= 0x80) { /* all code points of the alphabet have two bytes */
            if ((c & 0xe0) != 0xc0 || p == end || (*p & 0xc0) != 0x80)
                return RT_OK;
            c = (c & 31) << 6 | (*p++ & 63);
        }
        if (c >= BYTE_LEVEL_END || level->byte[c] < 0)
            return RT_OK;
        level->bytes[(*out_size)++] = (uint8_t)level->byte[c];
    }
    assert(*out_size <= level->capacity);
    *good = true;
    return RT_OK;
}

/* runtime/base/utf8.c
 * Decodes UTF-8, repairs it with U+FFFD, and finds where whole characters end. */
#include "runtime/base/utf8.h"

#include <assert.h>
#include <string.h>

size_t utf8_character(const uint8_t *p, size_t left, size_t *bad)
{
    static const struct {
        uint8_t from, to, length, low, high; /* of the second byte */
    } leads[] = {
        { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
        { 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f },
        { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
        { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
    };
    assert(left > 0);
    *bad = 1;
    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < RT_COUNT(leads); i++) {
        if (p[0] < leads[i].from || p[0] > leads[i].to)
            continue;
        size_t n = 1;
        while (n < leads[i].length && n < left) {
            const uint8_t low = n == 1 ? leads[i].low : 0x80;
            const uint8_t high = n == 1 ? leads[i].high : 0xbf;
            if (p[n] < low || p[n] > high)
                break;
            n++;
        }
        *bad = n;
        return n == leads[i].length ? n : 0;
    }
    return 0;
}

char *utf8_repaired(struct rt_ctx *ctx, const char *text, size_t size, size_t *out_size)
{
    char *out = rt_alloc(ctx, UTF8_REPLACEMENT_SIZE * size + 1, 1);
    size_t n = 0, bad;
    for (size_t i = 0; out && i < size;) {
        const size_t good = utf8_character((const uint8_t *)text + i, size - i, &bad);
        memcpy(out + n, good ? text + i : UTF8_REPLACEMENT,
               good ? good : UTF8_REPLACEMENT_SIZE);
        n += good ? good : UTF8_REPLACEMENT_SIZE;
        i += good ? good : bad;
    }
    assert(n <= UTF8_REPLACEMENT_SIZE * size);
    *out_size = n;
    return out;
}

size_t text_whole_characters(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        size_t bad;
        const uint8_t *lead = p + size - back;
        if (*lead < 0xc0 && *lead >= 0x80)
            continue;
        /* Unfinished: no character, and all that is left is the start of one. */
        return utf8_character(lead, back, &bad) == 0 && bad == back && *lead >= 0xc2 &&
                       *lead <= 0xf4
                   ? size - back
                   : size;
    }
    return size;
}

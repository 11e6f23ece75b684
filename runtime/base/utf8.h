/* runtime/base/utf8.h
 * Private to runtime/text: UTF-8 as the WHATWG decoder sees it. */
#ifndef RUNTIME_BASE_UTF8_H
#define RUNTIME_BASE_UTF8_H

#include "runtime/base/rt.h"

/* Bytes of U+FFFD, which stands for what is not UTF-8. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"
enum { UTF8_REPLACEMENT_SIZE = 3 };

/* Length of the character at p, or 0: *bad bytes are then one bad sequence. `left` > 0. */
size_t utf8_character(const uint8_t *p, size_t left, size_t *bad);
/* A copy in fresh memory, zero-terminated, in which every bad sequence is U+FFFD; null
 * without memory. */
char *utf8_repaired(struct rt_ctx *ctx, const char *text, size_t size, size_t *out_size);

#endif

/* runtime/text/tokenizer_unicode.h
 * Private to runtime/text: what tokenizers know of single code points. */
#ifndef RUNTIME_TEXT_TOKENIZER_UNICODE_H
#define RUNTIME_TEXT_TOKENIZER_UNICODE_H

#include "runtime/base/rt.h"

/* The first character of valid UTF-8; returns its bytes. `left` > 0. */
size_t text_character(const char *text, size_t left, uint32_t *c);
/* Writes a code point as UTF-8 (at most 4 bytes); returns its bytes. */
size_t text_put_character(uint32_t c, char *out);
/* An older code point that patterns see in place of this one; most stand for
 * themselves. */
uint32_t text_stand_in(uint32_t c);
/* The same with the tables of Unicode 15.1: what is newer is unassigned. */
uint32_t text_stand_in_of_15(uint32_t c);
/* Whether normalization leaves a code point and its place alone, whatever newer tables
 * say. */
bool text_is_unmoved(uint32_t c);
/* Lower case of a code point but U+0130, which has two. */
uint32_t text_lower(uint32_t c);
/* White_Space of Unicode. */
bool text_is_white(uint32_t c);

#endif

/* runtime/text/jinja_unicode_table.h
 * Private to jinja_unicode.c: facts of characters that utf8proc does not have. Every list
 * is sorted and ends with zeros. */
#ifndef RUNTIME_TEXT_JINJA_UNICODE_TABLE_H
#define RUNTIME_TEXT_JINJA_UNICODE_TABLE_H

#include <stdint.h>

struct jinja_span {
    uint32_t from, to; /* both included */
};

struct jinja_special_case {
    uint32_t c, upper[3], title[3]; /* 0: no further letter */
};

extern const struct jinja_span jinja_digits[], jinja_numerals[];
extern const struct jinja_span jinja_other_lower[], jinja_other_upper[];
extern const struct jinja_special_case jinja_special_cases[];

#endif

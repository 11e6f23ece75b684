/* runtime/base/json.h
 * JSON that others wrote. Python writes NaN, Infinity, -Infinity and whole numbers of any
 * length; RFC 8259 allows reals of any size. None of them stops a read, because most of
 * them stand where nobody looks. Such an odd number becomes a text with a mark in front,
 * so that a place which needs a number refuses it by name. */
#ifndef RUNTIME_BASE_JSON_H
#define RUNTIME_BASE_JSON_H

#include <jansson.h>

#include "runtime/base/rt.h"

/* What the text of an odd number begins with: U+FDD0, which no text may hold. */
#define FMT_JSON_ODD_MARK "\xef\xb7\x90"

/* json_loadb with odd numbers as above; the caller owns the result. `text` needs no zero
 * at its end. Null: not JSON, or no memory; `error` says what and where. */
json_t *fmt_json_parse(struct rt_ctx *ctx, const char *text, size_t size, size_t flags,
                       json_error_t *error);
/* An odd number as the file has it ("NaN", "100000000000000000000"), borrowed from
 * `value`; null: `value` is something else. */
const char *fmt_json_odd(const json_t *value);
/* json_dumps that writes odd numbers as they were read: fresh memory, NULL without any.
 * rt_free frees it. */
char *fmt_json_dumps(const json_t *value, size_t flags);

#endif

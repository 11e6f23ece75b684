/* runtime/base/json_put.h
 * JSON onto a file, piece by piece, for results whose numbers have a stated form ("%.9g"),
 * which jansson does not keep: it writes 1 as 1.0 and 1e-05 as 1e-5. Errors of the file are
 * the caller's to look for (ferror). */
#ifndef RUNTIME_BASE_JSON_PUT_H
#define RUNTIME_BASE_JSON_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A string, quotes and all; of one that is not UTF-8, every byte that is not ASCII becomes
 * U+FFFD. */
void rt_json_text(FILE *out, const char *text);
/* The same of so many bytes, zero bytes among them. */
void rt_json_bytes(FILE *out, const char *text, size_t size);
/* ,"NAME":"TEXT" */
void rt_json_member(FILE *out, const char *name, const char *text);
/* ,"NAME":VALUE with nine significant digits; what is not finite is null. */
void rt_json_number(FILE *out, const char *name, double value);
/* ,"NAME":VALUE */
void rt_json_count(FILE *out, const char *name, uint64_t value);

#endif

/* pipeline/grade/chars.h
 * ASCII characters by kind, whatever the locale of the process is. */
#ifndef PIPELINE_GRADE_CHARS_H
#define PIPELINE_GRADE_CHARS_H

#include <stdbool.h>

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

#endif

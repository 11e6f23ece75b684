/* pipeline/grade/answer_text.h
 * An answer as the lexer wants it: one line of LaTeX in ASCII letters, digits and signs.
 * Signs and Greek letters of Unicode become commands, full-width forms their plain ones,
 * marks of mathematics, spaces and doubled backslashes go; other letters stay, composed
 * (NFC). What stands around the answer goes: white space, $, full stop, equals sign. */
#ifndef PIPELINE_GRADE_ANSWER_TEXT_H
#define PIPELINE_GRADE_ANSWER_TEXT_H

#include "pipeline/grade/grade.h"

/* Writes at most size - 1 bytes and a zero. False: it does not fit. */
bool grade_answer_text(const char *answer, const struct pipe_policies *policies,
                       char *out, uint32_t size, uint32_t *length);

/* The words and signs of a text, without spaces, style, case and punctuation: equal views
 * say the same. [from, to) of a text of grade_answer_text. */
bool grade_view_equal(const char *a, uint32_t a_from, uint32_t a_to, const char *b,
                      uint32_t b_from, uint32_t b_to);
/* Whether the view is this one: letters and digits only, lower case. */
bool grade_view_is(const char *text, uint32_t from, uint32_t to, const char *view);

#endif

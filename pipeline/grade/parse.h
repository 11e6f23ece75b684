/* pipeline/grade/parse.h
 * From the text of an answer to its tree: operator precedence with one explicit stack that
 * holds operators and open brackets alike. */
#ifndef PIPELINE_GRADE_PARSE_H
#define PIPELINE_GRADE_PARSE_H

#include "pipeline/grade/grade.h"
#include "pipeline/grade/tree.h"

/* What can be read in two ways: digits with commas, letters after
 * numbers; with degrees as radians where that rule is switched off. */
enum reading {
    READ_PLAIN,
    READ_COMMA_LIST,
    READ_DECIMAL_COMMA,
    READ_UNITS,
    READ_RADIANS
};

/* Fills `t` from t->text, t->size. What cannot be read gives a root of kind N_BAD. */
void grade_parse_answer(struct tree *t, const struct pipe_policies *policies,
                        enum reading reading);

#endif

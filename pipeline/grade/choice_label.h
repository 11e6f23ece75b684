/* pipeline/grade/choice_label.h
 * Answers that name a choice and its value at once: \textbf{(B)}\ 12. */
#ifndef PIPELINE_GRADE_CHOICE_LABEL_H
#define PIPELINE_GRADE_CHOICE_LABEL_H

#include <stdbool.h>
#include <stddef.h>

/* The letter, A to J, and where the value stands in the text. False: it is no such answer.
 * The label has a bracket or stands in bold or upright type, and the value follows it. */
bool grade_choice_split(const char *text, char *letter, size_t *value_at,
                        size_t *value_size);

#endif

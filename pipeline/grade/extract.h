/* pipeline/grade/extract.h
 * The final answer within a model's output, and which rule found it. Output is cut at the
 * stop strings of common chat formats first, and what stands in <think>...</think> is left
 * out. The rules of each style, tried in order, are a table in extract.c. */
#ifndef PIPELINE_GRADE_EXTRACT_H
#define PIPELINE_GRADE_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>

struct pipe_answer_style;

/* "gsm8k" (####, box, "the answer is", last number), "math" (box, "the answer is", last
 * formula), "aime" (box, "the answer is", last formula), "text" (any of them, for prose),
 * and two that do exactly what lm-evaluation-harness does for gsm8k: "gsm8k-strict",
 * "gsm8k-flexible". Null: no such style. */
const struct pipe_answer_style *pipe_answer_style_find(const char *name);
const struct pipe_answer_style *
pipe_answer_style_at(unsigned i); /* null beyond the last */
const char *pipe_answer_style_name(const struct pipe_answer_style *style);
/* Equality of this style is that of strings (the two harness styles). */
bool pipe_answer_style_literal(const struct pipe_answer_style *style);

/* `extracted` gets a zero-terminated copy; *rule names the rule that fired, or the reason
 * why none did. False: no answer, or one that needs more than `size` bytes. Boxes that
 * stand in one list give the list: "2,3,5". Linear in the length of the text. */
bool pipe_extract(const struct pipe_answer_style *style, const char *output,
                  char *extracted, size_t size, const char **rule);

/* Comparison of the literal styles: strings after the harness's own clean-up (commas,
 * dollar signs, all up to "#### " and a final full stop go; case does not matter). */
bool pipe_literal_equal(const char *gold, const char *extracted);

#endif

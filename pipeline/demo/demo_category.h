/* pipeline/demo/demo_category.h
 * The categories of session.md by rules over two answers in the demo's format. */
#ifndef PIPELINE_DEMO_DEMO_CATEGORY_H
#define PIPELINE_DEMO_DEMO_CATEGORY_H

#include "pipeline/record.h"

/* How step `step` of a wrong answer differs from what the full model says in its place:
 * `full` is the full model's own text from the same prefix on, or its whole answer, of
 * which the line with the same label and operator, or the same place, is compared.
 * Same expression, other value: execution. Other operands or operator: method. A step
 * that the other lacks, or an early end: method/procedure. Same value, other answer:
 * transfer. Unreadable lines: execution/symbolic. Null `full`: unclassified. */
enum pipe_category pipe_demo_category(const char *quant, uint32_t step, const char *full);

#endif

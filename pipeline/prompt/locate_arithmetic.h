/* pipeline/prompt/locate_arithmetic.h
 * The mechanical locator for free text: the first step that states a false equation
 * between numbers. Sums, differences, products, quotients and brackets, with "$", "%",
 * thousands commas, the signs * x × / ÷, and chains (3 * 4 = 12 = 2 * 6); also GSM8K's
 * <<3*4=12>>. A decimal result may be rounded or cut. What can be read as true in any way
 * is not called false; an equation with a letter in it is not read.
 *
 * It sees the answer only. That it names nothing does not mean that the answer is right. */
#ifndef PIPELINE_PROMPT_LOCATE_ARITHMETIC_H
#define PIPELINE_PROMPT_LOCATE_ARITHMETIC_H

#include "pipeline/record.h"

struct pipe_equation {
    int32_t step;              /* that holds it; -1: none is false */
    uint32_t char_start, size; /* bytes of the output */
    double stated, value;      /* right side, and what the left side gives */
};

/* Linear in the length of the text. */
void pipe_locate_arithmetic(const char *output, const struct pipe_step *steps,
                            uint32_t count, struct pipe_equation *out);

#endif

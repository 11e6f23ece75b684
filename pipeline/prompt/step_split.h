/* pipeline/prompt/step_split.h
 * Rules that cut an answer into steps. Steps tile it: step k is [char_start, char_end)
 * with the white space after it, so that prefix(k) is the text before char_start of step k
 * and a model can continue from there. An empty answer has no steps. Each returns the
 * number of steps, at most `max`; the last takes the rest. Linear in the length of the
 * text.
 *
 *   line       non-blank lines (format_demo.h: pipe_demo_split)
 *   sentence   lines, and within them sentences: '.', '!' or '?' and then white space and
 *              no small letter, but not after a title or a single letter ("Mr. ", "A. ")
 *   paragraph  blocks with blank lines between; lines if there is only one block
 *   step       lines that begin with "Step k:" begin a step; text before the first belongs
 *              to it; where no line does, paragraphs */
#ifndef PIPELINE_PROMPT_STEP_SPLIT_H
#define PIPELINE_PROMPT_STEP_SPLIT_H

#include "pipeline/record.h"

uint32_t pipe_split_lines(const char *output, struct pipe_step *steps, uint32_t max);
uint32_t pipe_split_sentences(const char *output, struct pipe_step *steps, uint32_t max);
uint32_t pipe_split_paragraphs(const char *output, struct pipe_step *steps, uint32_t max);
uint32_t pipe_split_marks(const char *output, struct pipe_step *steps, uint32_t max);

#endif

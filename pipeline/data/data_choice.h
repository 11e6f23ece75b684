/* pipeline/data/data_choice.h
 * Multiple-choice questions as MMLU publishes them: CSV without a header line, each
 * record the question, its choices and the letter of the right one. A first record that
 * ends with "answer" is a header line. */
#ifndef PIPELINE_DATA_DATA_CHOICE_H
#define PIPELINE_DATA_DATA_CHOICE_H

#include "pipeline/data/problems.h"

enum { PIPE_CHOICES_MAX = 10 };

/* Problems whose question holds the choices as lines "A. ...", whose answer is the letter,
 * and whose level is the number of choices as text; ids "NAME/0", "NAME/1", ...
 * RT_ERR_INPUT: a broken file, rows of different length, fewer than 2 or more than
 * PIPE_CHOICES_MAX choices, an answer that is no letter of one (file, line). */
RT_CHECKED rt_status pipe_choice_parse(struct rt_ctx *ctx, const char *path,
                                       const char *name, const char *text, size_t size,
                                       struct pipe_problem_set *out);

#endif

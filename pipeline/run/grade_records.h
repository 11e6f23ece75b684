/* pipeline/run/grade_records.h
 * Records of answers, graded for others to check. A record is a JSON object:
 *
 *   gold, pred        two answers; both may be prose if kind is "text" (else "answer")
 *   gold, text, style the answer is found in a text first, by the rules of that style
 *                     (grade/extract.h)
 *   precision         decimal places to which numbers are compared, 0 to 1000; optional
 *
 * Set in it are correct, extracted (null: no answer), rule, verdict ("equal", "different",
 * "undecided"), ms (milliseconds of grading) and, if an answer was found in a text and
 * compared by meaning, compared (the rule that did). */
#ifndef PIPELINE_RUN_GRADE_RECORDS_H
#define PIPELINE_RUN_GRADE_RECORDS_H

#include "pipeline/grade/extract.h"
#include "pipeline/grade/grade.h"

#include <jansson.h>

/* A graded record, borrowed during the call. */
typedef void pipe_graded_fn(void *user, const json_t *record);

struct pipe_grade_records_options {
    const struct pipe_answer_style *style; /* of texts without one; null: they need one */
    const struct pipe_policies *policies;  /* null: the defaults */
    pipe_graded_fn *fn;
    void *user;
};

struct pipe_grade_records_result {
    uint32_t records, correct, undecided;
    uint32_t unanswered; /* texts in which no answer was found */
};

/* Grades the records of a file (JSON Lines or one array; "-": standard input) in their
 * order. All are read before the first is graded: a file is graded whole or not at all.
 * RT_ERR_INPUT names file, line and what is wrong. */
RT_CHECKED rt_status pipe_grade_records(struct rt_ctx *ctx, const char *path,
                                        const struct pipe_grade_records_options *options,
                                        struct pipe_grade_records_result *out);

#endif

/* pipeline/data/near_copy.h
 * Near copies of questions: the same problem in other words. Two questions are near copies
 * if all of this holds:
 *
 *   numbers   both have the same ones, as often, in any order, and at least
 *             PIPE_NEAR_NUMBERS of them: digits, with thousands commas and decimals; 3.50 is
 *             3.5, and 1/6 is two numbers
 *   answer    the same numbers in the same order; without numbers the same normal form
 *             (text_set.h)
 *   words     of all their words (letters, in lower case; bytes of other scripts count as
 *             letters) they share at least PIPE_NEAR_SHARE: those that both have over those
 *             that either has, each counted as often as it stands there
 *
 * Questions of fewer numbers are never near copies: problems of one template with the same
 * three small numbers are common. What it finds and where it errs: docs/data.md. */
#ifndef PIPELINE_DATA_NEAR_COPY_H
#define PIPELINE_DATA_NEAR_COPY_H

#include "pipeline/data/problems.h"

enum { PIPE_NEAR_NUMBERS = 4 };
#define PIPE_NEAR_SHARE 0.4

/* Questions to be held against. Opaque; holds no text of the caller's. */
struct pipe_near_set;

RT_CHECKED rt_status pipe_near_create(struct rt_ctx *ctx, struct pipe_near_set **out);
void pipe_near_destroy(struct pipe_near_set **set);
/* Adds a question; `value` is what pipe_near_find gives for it. */
RT_CHECKED rt_status pipe_near_add(struct pipe_near_set *set, const char *question,
                                   const char *answer, uint32_t value);
/* Whether one of the set is a near copy, or the same; *value (may be null) is that of the
 * first such. */
RT_CHECKED rt_status pipe_near_find(struct pipe_near_set *set, const char *question,
                                    const char *answer, bool *found, uint32_t *value);

/* Problems of `a` that are near copies of one of `b`. */
RT_CHECKED rt_status pipe_problems_near(struct rt_ctx *ctx,
                                        const struct pipe_problem_set *a,
                                        const struct pipe_problem_set *b,
                                        struct pipe_leak *out);

#endif

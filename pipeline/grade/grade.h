/* pipeline/grade/grade.h
 * Whether two final answers mean the same: LaTeX or plain text in, a verdict with the rule
 * that decided out. Three values: what cannot be settled within the limits is undecided,
 * never a guess. Finding the answer in a model's output is extract.h.
 *
 * The order of layers: same text; exact rational numbers; identity test at random points
 * modulo two 61-bit primes, with functions uninterpreted (Schwartz 1980: a wrong "equal"
 * has a chance below 2^-100; "different" is certain for rational functions); certified
 * ball arithmetic (Johansson 2017) with root separation bounds (Burnikel, Fleischer,
 * Mehlhorn, Schirra 2001) for constants. docs/grader.md says more.
 *
 * Bounds: text of at most PIPE_ANSWER_MAX bytes, fixed numbers of nodes, digits and bits;
 * no recursion on the input; a limit of work, counted and not timed, so that a verdict
 * never depends on the machine. All memory is taken when the grader is created, but for the numbers themselves. */
#ifndef PIPELINE_GRADE_GRADE_H
#define PIPELINE_GRADE_GRADE_H

#include "runtime/base/rt.h"

enum { PIPE_ANSWER_MAX = 1 << 16 }; /* bytes; a longer one equals only the same text */

/* Conventions on which graders differ: policies.def. */
enum pipe_policy {
#define POLICY(id, name, text) PIPE_POLICY_##id,
#include "pipeline/grade/policies.def"
#undef POLICY
    PIPE_POLICY_COUNT
};

struct pipe_policies {
    bool off[PIPE_POLICY_COUNT]; /* zero: every rule as stated in policies.def */
};

const char *pipe_policy_name(enum pipe_policy policy);
const char *pipe_policy_text(enum pipe_policy policy); /* what the rule says */
/* Names with commas between; "all". False: `unknown` points at the name that is none. */
bool pipe_policies_switch_off(struct pipe_policies *policies, const char *names,
                              const char **unknown);

enum pipe_verdict { PIPE_VERDICT_DIFFERENT, PIPE_VERDICT_EQUAL, PIPE_VERDICT_UNDECIDED };

struct pipe_grading {
    enum pipe_verdict verdict;
    const char *rule; /* what decided; static: "same text", "number", "set", ... */
};

struct pipe_grader; /* workspace; one a thread */

/* policies null: the defaults. */
RT_CHECKED rt_status pipe_grader_create(struct rt_ctx *ctx,
                                        const struct pipe_policies *policies,
                                        struct pipe_grader **out);
void pipe_grader_destroy(struct pipe_grader **grader); /* null is fine */

/* Bare answers. `places` >= 0: numbers are compared after rounding both to that many
 * decimal places; -1: by the policy. Never fails: what cannot be read is compared as text.
 * Texts are UTF-8 or anything else that ends with a zero. */
void pipe_grader_answers(struct pipe_grader *grader, const char *gold, const char *pred,
                         int places, struct pipe_grading *out);
/* Either may be prose with the answer somewhere in it (extract.h, style "text"). */
void pipe_grader_texts(struct pipe_grader *grader, const char *gold, const char *pred,
                       int places, struct pipe_grading *out);

#endif

/* pipeline/demo/locate_gold.h
 * The judge of locators: replays an answer against the gold program of a generated
 * problem. It knows the truth and is therefore never part of a verdict; it says how
 * often the other locators name the right step.
 *
 * A line is legal if it is a gold step not yet done: same operands, same operator (+ and
 * * commute), same result, and every operand that the question does not state is the
 * result of a step already done. Labels are not compared, order is free beyond that, and
 * steps may be left out. The first line that is not legal is the fault. It is not a
 * general verifier: a right step by another route counts as a fault, so only answers with
 * a wrong final answer should be judged. */
#ifndef PIPELINE_DEMO_LOCATE_GOLD_H
#define PIPELINE_DEMO_LOCATE_GOLD_H

#include "pipeline/record.h"

enum pipe_gold_kind {
    PIPE_GOLD_NONE,       /* every line is legal and the final answer is right */
    PIPE_GOLD_ARITHMETIC, /* a gold step with another result */
    PIPE_GOLD_OPERAND,    /* a readable line that is no gold step */
    PIPE_GOLD_FORMAT,     /* an unreadable line */
    PIPE_GOLD_OTHER,      /* wrong final answer after legal lines, or none at all */
    PIPE_GOLD_KIND_COUNT
};

struct pipe_gold_fault {
    int32_t step; /* -1: no fault */
    enum pipe_gold_kind kind;
};

const char *pipe_gold_kind_name(enum pipe_gold_kind kind);

/* Replays `output`. The problem must have a program of at most 64 readable steps, else
 * RT_ERR_USAGE. */
RT_CHECKED rt_status pipe_locate_gold(struct rt_ctx *ctx,
                                      const struct pipe_problem *problem,
                                      const char *output, struct pipe_gold_fault *out);

#endif

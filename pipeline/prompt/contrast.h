/* pipeline/prompt/contrast.h
 * The locator `contrast`: which step of a wrong answer says what no right answer says? It reads
 * the wrong answer beside right ones of the same problem that a model has written: its own
 * answer, and its continuations of the first steps of the wrong one. Equations are compared
 * after their numbers and signs, so another wording is no difference and another number is one.
 * Of words only those count that the question has too, without the function words of English: if
 * a sentence with a right equation has one of them that the right answer's sentence lacks, and
 * lacks one that it has, the number is given to another owner. No reference solution is read,
 * and no model is asked: the right answers are there when problems are mined and roll-outs are
 * searched. */
#ifndef PIPELINE_PROMPT_CONTRAST_H
#define PIPELINE_PROMPT_CONTRAST_H

#include "pipeline/record.h"

enum pipe_contrast {
    PIPE_CONTRAST_NONE,  /* no number in it to compare */
    PIPE_CONTRAST_SAME,  /* every equation of the step stands in a right answer */
    PIPE_CONTRAST_VALUE, /* every result does, but not every equation */
    PIPE_CONTRAST_OWNER, /* an equation does, but of something else in the question */
    PIPE_CONTRAST_NEW    /* a result stands in none, or an equation is false */
};

/* A right answer, or its part after the first `kept` steps of the wrong one. */
struct pipe_right_text {
    const char *text; /* borrowed */
    uint32_t kept;
};

struct pipe_contrasted {
    /* The first that is new or of another owner; if none is, the last; -1: nothing to compare. */
    int32_t step;
    bool end;                   /* none is, so the last is named */
    uint8_t of[PIPE_STEPS_MAX]; /* per step: enum pipe_contrast */
};

/* Step k is compared with those right texts that keep at most k steps, so that what is written
 * after a fault does not speak for it. A step without an equation is compared by its last
 * number. Work: equations of the steps times those of the right texts. */
RT_CHECKED rt_status pipe_contrast(struct rt_ctx *ctx, const char *question,
                                   const char *output, const struct pipe_step *steps,
                                   uint32_t count, const struct pipe_right_text *right,
                                   uint32_t right_count, struct pipe_contrasted *out);

#endif

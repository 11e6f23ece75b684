/* pipeline/run/calibration.h
 * Text that a quantizer sees the inputs of matrices on: a plain text, cut into windows of
 * equal length, or problems with reference solutions, each a prompt of the session's format
 * with its solution as the answer. */
#ifndef PIPELINE_RUN_CALIBRATION_H
#define PIPELINE_RUN_CALIBRATION_H

#include "pipeline/run/sequences.h"
#include "pipeline/run/session.h"

enum { PIPE_CALIBRATION_LENGTH = 512, PIPE_CALIBRATION_TOKENS_MIN = 64 };

struct pipe_calibration_options {
    /* A .txt file, or problems as pipe_problems_open takes them. */
    const char *from;
    uint32_t length; /* tokens of a window of plain text */
    uint32_t items;  /* windows or problems at most, the first ones */
    /* To measure on, not to shape a model: any text of a target or more, problems that
     * are for measuring too; a window of plain text begins with the token that texts of
     * the model begin with, and counts only what no window before it held. */
    bool measuring;
    uint32_t stride; /* measuring: tokens between the starts of windows */
};

struct pipe_calibration {
    struct pipe_sequences sequences;
    uint64_t tokens, targets;
    uint32_t without;  /* problems that have no solution, left out */
    uint32_t longer;   /* problems longer than the model's context, left out */
    char id[STORE_ID]; /* hash of all tokens: an artifact of kind dataset */
    bool problems;     /* not plain text */
};

/* Whether `from` names a plain text, which needs no prompt format. */
bool pipe_calibration_is_text(const char *from);
/* RT_ERR_INPUT where there is too little text (PIPE_CALIBRATION_TOKENS_MIN; measuring: one
 * target); RT_ERR_USAGE
 * for windows that are longer than the `positions` of the model. Problems without a
 * solution, or longer than that, are left out with a warning. The model's end token
 * `end_id` (UINT32_MAX: none) closes a solution. Free in any case. */
RT_CHECKED rt_status pipe_calibration_read(struct pipe_session *session,
                                           const struct pipe_calibration_options *options,
                                           uint32_t end_id, uint32_t positions,
                                           struct pipe_calibration *out);
void pipe_calibration_deinit(struct pipe_calibration *calibration);

#endif

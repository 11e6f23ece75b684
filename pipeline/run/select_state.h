/* pipeline/run/select_state.h
 * Private to pipeline/run/select*.c: what is known of a candidate, beside it, so
 * that a command that was killed need not make it again.
 *
 *     OUT.try-N        the candidate, as it would be read
 *     OUT.try-N.json   what it was made of (a hash), how its matrices fared, and its KL if it
 *                      was measured; floats as hexadecimal texts, which lose nothing */
#ifndef PIPELINE_RUN_SELECT_STATE_H
#define PIPELINE_RUN_SELECT_STATE_H

#include "pipeline/run/select_kind.h"

enum { PIPE_SELECT_PATH = 4300 };

/* What a candidate and its KL depend on: program, device, model, options, both texts. */
RT_CHECKED rt_status pipe_select_key(const struct pipe_select_job *job,
                                     const struct pipe_sequences *held,
                                     const struct pipe_candidate *candidate,
                                     char key[65]);
struct pipe_select_state {
    const struct pipe_select_kind *kind;
    char key[65];
    bool measured; /* kl .. sums are known */
    double kl, kl_error, same_top;
    double seconds;  /* spent on it so far */
    uint64_t tokens; /* that are compared */
    double *sums;    /* [count] KL of each held-out sequence; of the caller */
    uint32_t count;
};
/* The file beside a candidate, written whole or not at all. */
RT_CHECKED rt_status pipe_select_state_write(struct rt_ctx *ctx, const char *candidate,
                                             const struct pipe_select_state *state,
                                             const struct pipe_select_result *result);
/* *found: the candidate is there, whole, of this key. The result is the caller's to free in
 * any case. */
RT_CHECKED rt_status pipe_select_state_read(struct rt_ctx *ctx, const char *candidate,
                                            struct pipe_select_state *state,
                                            struct pipe_select_result *result,
                                            bool *found);
/* Removes the file, then the candidate. */
void pipe_select_state_remove(const struct pipe_select_kind *kind, const char *candidate);

#endif

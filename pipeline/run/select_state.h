/* pipeline/run/select_state.h
 * Private to pipeline/run/select*.c: what is known of a candidate, beside its folder, so
 * that a command that was killed need not make it again.
 *
 *     OUT.try-N        the folder, as it would be read
 *     OUT.try-N.json   what it was made of (a hash), how its matrices fared, and its KL if it
 *                      was measured; floats as hexadecimal texts, which lose nothing */
#ifndef PIPELINE_RUN_SELECT_STATE_H
#define PIPELINE_RUN_SELECT_STATE_H

#include "pipeline/run/select.h"

enum { PIPE_SELECT_PATH = 4300 };

/* What a candidate and its KL depend on: program, device, model, options, both texts. */
void pipe_select_key(const struct pipe_session *session,
                     const struct pipe_select_from *from,
                     const struct train_sequence *used, uint32_t used_count,
                     const struct pipe_sequences *held,
                     const struct pipe_quantize_options *options, char key[65]);
struct pipe_select_state {
    char key[65];
    bool measured; /* kl .. sums are known */
    double kl, kl_error, same_top;
    double seconds;  /* spent on it so far */
    uint64_t tokens; /* that are compared */
    double *sums;    /* [count] KL of each held-out sequence; of the caller */
    uint32_t count;
};
/* The file of a candidate's folder, written whole or not at all. */
RT_CHECKED rt_status pipe_select_state_write(struct rt_ctx *ctx, const char *folder,
                                             const struct pipe_select_state *state,
                                             const struct pipe_quantized *result);
/* *found: the folder is there, whole, of this key. The result's list is the caller's to
 * free in any case. */
RT_CHECKED rt_status pipe_select_state_read(struct rt_ctx *ctx, const char *folder,
                                            struct pipe_select_state *state,
                                            struct pipe_quantized *result, bool *found);
/* Removes the file, then the folder. */
void pipe_select_state_remove(const char *folder);

#endif

/* pipeline/run/sequences.h
 * Token sequences that are scored or trained on: a prompt as it is asked, and an answer
 * whose tokens are the targets. Of any length. */
#ifndef PIPELINE_RUN_SEQUENCES_H
#define PIPELINE_RUN_SEQUENCES_H

#include "pipeline/run/session.h"
#include "runtime/train/train.h"

struct pipe_sequences {
    struct train_sequence
        *list; /* pair losses: chosen, rejected, chosen, ...; with all that
                                    it points to */
    uint32_t count, capacity;
    uint32_t per_item; /* 1, or 2 for pairs */
};

RT_CHECKED rt_status pipe_sequences_init(struct pipe_session *session, uint32_t capacity,
                                         struct pipe_sequences *out);
void pipe_sequences_free(struct pipe_sequences *s);
/* Keeps the first `count`. */
void pipe_sequences_cut(struct pipe_sequences *s, uint32_t count);
/* Adds the prompt of a question, `given` (null: nothing) as the start of its answer, then
 * the targets: `tail`, which is copied. */
RT_CHECKED rt_status pipe_sequences_add(struct pipe_session *session,
                                        struct pipe_sequences *s, const char *question,
                                        const char *given, const uint32_t *tail,
                                        uint32_t n_tail);
/* Tokens without a prompt, all of them targets; copied. */
RT_CHECKED rt_status pipe_sequences_add_ids(struct pipe_session *session,
                                            struct pipe_sequences *s, const uint32_t *ids,
                                            uint32_t n);
/* Tokens that are only read, then targets; both are copied. */
RT_CHECKED rt_status pipe_sequences_add_after(struct pipe_session *session,
                                              struct pipe_sequences *s,
                                              const uint32_t *given, uint32_t n_given,
                                              const uint32_t *tail, uint32_t n_tail);
/* pipe_sequences_add with text as targets, and end_id behind it unless that is UINT32_MAX. */
RT_CHECKED rt_status pipe_sequences_add_text(struct pipe_session *session,
                                             struct pipe_sequences *s,
                                             const char *question, const char *given,
                                             const char *text, uint32_t end_id);
/* Token rows that a pass over batches needs: enough for the longest sequence, and for
 * several where they are short. */
uint32_t pipe_sequences_rows(const struct pipe_sequences *s);
/* How many sequences from `first` on fit in `rows` rows; *targets gets their targets. */
uint32_t pipe_sequences_batch(const struct pipe_sequences *s, uint32_t first,
                              uint32_t rows, uint32_t *targets);

#endif

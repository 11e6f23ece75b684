/* pipeline/data/problem_index.h
 * Places of problems by id, for many look-ups. */
#ifndef PIPELINE_DATA_PROBLEM_INDEX_H
#define PIPELINE_DATA_PROBLEM_INDEX_H

#include "pipeline/data/problems.h"

struct pipe_index {
    struct pipe_index_entry *entries; /* by id; owned */
    uint32_t count;
};

/* Borrows the ids of the set. */
RT_CHECKED rt_status pipe_index_init(struct rt_ctx *ctx,
                                     const struct pipe_problem_set *set,
                                     struct pipe_index *out);
void pipe_index_deinit(struct pipe_index *index);
/* The place in the set, UINT32_MAX: there is none. */
uint32_t pipe_index_find(const struct pipe_index *index, const char *id);

#endif

/* pipeline/locate/locate_stored.h
 * The first faulty step of wrong answers that are in the results file, told from their text
 * alone by the check of their dialect, whatever engine made them. */
#ifndef PIPELINE_LOCATE_LOCATE_STORED_H
#define PIPELINE_LOCATE_LOCATE_STORED_H

#include "store/store.h"

struct pipe_stored_faults {
    char run_id[STORE_ID]; /* of kind locate */
    char label[80];        /* of the variant that answered */
    char segmenter[32];    /* of the steps that the faults name */
    uint32_t wrong, named; /* wrong answers, and those in which a step is named */
};
/* Writes faults `check`, `mend` (if it names a step) and `verdict` for every wrong answer of the newest eval run of that
 * id or label, without a step where none is named. RT_ERR_USAGE: there is no such run, or
 * nothing is known of its format's steps. The store is open for writing. */
RT_CHECKED rt_status pipe_locate_stored(struct rt_ctx *ctx, struct store *store,
                                        const char *run, struct pipe_stored_faults *out);

#endif

/* store/store_claim.h
 * Several processes at one run. An attempt is one process's work on a run; it claims each
 * answer before it makes it, for STORE_LEASE_MS, and renews what it holds while it lives.
 * A claim that has run out, or whose process is gone, is anybody's. An answer that is
 * there needs no claim: store_put_generation drops it in the same transaction. Work that
 * is saved in one transaction opens and closes its attempt in it. */
#ifndef STORE_STORE_CLAIM_H
#define STORE_STORE_CLAIM_H

#include "store/store.h"

enum { STORE_LEASE_MS = 60000, STORE_BEAT_MS = 5000 };

struct store_attempt {
    char id[STORE_ID], run_id[STORE_ID];
    int64_t beat_ms; /* of the last heartbeat */
};

/* All within a transaction of the caller. */

/* Begins in an environment; also drops claims of processes of this machine that are gone, and marks the run
 * running again where it was done or left. */
RT_CHECKED rt_status store_attempt_open(struct store *store, const char *run_id,
                                        const char *env_id, struct store_attempt *out);
/* Says that it lives and renews its claims; at least every STORE_BEAT_MS. */
RT_CHECKED rt_status store_attempt_beat(struct store *store, struct store_attempt *a);
/* Ends; its claims are dropped. `status` (done, failed, interrupted) becomes that of the
 * run unless another attempt still works on it; done always does. */
RT_CHECKED rt_status store_attempt_close(struct store *store, struct store_attempt *a,
                                         const char *status, int exit_code,
                                         const char *error);
/* Drops claims of processes of this machine that are gone. */
RT_CHECKED rt_status store_attempts_reap(struct store *store, const char *run_id);
/* *got: the answer is this attempt's to make; else it is there or another's. */
RT_CHECKED rt_status store_claim(struct store *store, const struct store_attempt *a,
                                 const char *problem_id, uint32_t sample, bool *got);

#endif

/* pipeline/locate/rollout_labelled.h
 * The locator `rollout` on labelled solutions (labelled.h): a model continues after the first k
 * steps of a solution whose final answer is wrong, the right final answer grades what it
 * writes, and the search of locate_rules.h names the step after which it is lost.
 *
 * The steps are those of the record. They are the beginning of the model's answer, with what
 * stands between the steps of the session's format. Nothing is known of the model, so that the
 * prefix of no step is asked too: where it cannot be finished, no step can be blamed. */
#ifndef PIPELINE_LOCATE_ROLLOUT_LABELLED_H
#define PIPELINE_LOCATE_ROLLOUT_LABELLED_H

#include "pipeline/locate/labelled.h"
#include "pipeline/locate/locate.h"

enum pipe_rolled_state {
    PIPE_ROLLED_ASKED,
    PIPE_ROLLED_RIGHT,    /* the final answer is known to be right: not asked */
    PIPE_ROLLED_NO_ANSWER /* the right final answer is not known: it abstains */
};
/* "asked", "ends right", "no answer". */
const char *pipe_rolled_name(enum pipe_rolled_state state);

/* What roll-outs say of one solution. */
struct pipe_rolled {
    enum pipe_rolled_state state;
    int32_t step;         /* from 0; -1: none */
    bool lost_from_start; /* not even the prefix of no step can be finished */
    uint32_t prefixes;    /* that were asked, now or before */
    uint64_t tokens;      /* that the model wrote after them, now or before */
};

/* out: set->count entries. samples: draws where the greedy continuation fails (docs/locate.md).
 * model: folder or GGUF file of the session, loaded if something must be asked. Each
 * continuation is kept in the session's results file as soon as it is graded, under the
 * solution and the right answer, and is not asked again, with other samples neither. */
RT_CHECKED rt_status pipe_rollout_set(struct pipe_session *session, const char *model,
                                      const struct pipe_labelled_set *set,
                                      uint32_t samples, struct pipe_rolled *out);

#endif

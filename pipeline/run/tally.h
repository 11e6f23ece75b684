/* pipeline/run/tally.h
 * What the stored answers of a run say about a list of problems: counts, and for several
 * answers per problem avg@k and pass@k (the unbiased estimate of Chen et al., arXiv
 * 2107.03374) with standard errors over problems. */
#ifndef PIPELINE_RUN_TALLY_H
#define PIPELINE_RUN_TALLY_H

#include "pipeline/run/answers.h"
#include "pipeline/stats/statistics.h"

struct pipe_tally {
    uint32_t samples; /* answers per problem that were asked for */
    uint32_t answers, right;
    /* Cut at the limit of tokens; without a final answer; compared without a result;
     * repeating themselves; that could not be run. */
    uint32_t truncated, unparsed, undecided, degenerate, errors;
    uint32_t rescued;              /* answers that were taken out of a loop */
    uint64_t tokens, thrown;       /* of the answers; taken back beside these */
    struct pipe_interval interval; /* of right per answers: Wilson, 95 % */
    /* Means over problems that have so many answers, 0 .. 1, and their standard errors. */
    double average, average_error;
    double pass, pass_error; /* pass@samples */
};
/* Counts the answers of the run to the first ask->limit problems of the list, of each the
 * first ask->samples. */
RT_CHECKED rt_status pipe_tally_answers(struct pipe_session *session,
                                        const struct pipe_bench *bench,
                                        const struct pipe_wanted *ask, const char *run_id,
                                        struct pipe_tally *out);

#endif

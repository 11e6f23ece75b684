/* pipeline/run/problem_source.h
 * Problems by what the user types: a file or a split of it ("mine.jsonl[0:500]"), or a
 * part of a data set in the results file ("gsm8k:test[0:200]", "gsm8k:train@ids.txt"), or
 * several of these as one list ("gsm8k:test[0:200],svamp:test"). */
#ifndef PIPELINE_RUN_PROBLEM_SOURCE_H
#define PIPELINE_RUN_PROBLEM_SOURCE_H

#include "pipeline/host.h"
#include "pipeline/data/problems.h"
#include "store/store.h"

enum pipe_problem_use {
    PIPE_FOR_MEASURING,
    PIPE_FOR_TRAINING, /* anything that shapes an adapter, choosing one included */
};

/* A file of that name goes before a data set. For training, a data set that is for
 * measuring is refused (RT_ERR_USAGE), and problems that stand in any measuring set of the
 * results file too are left out, with a line that says how many. Lists behind commas follow
 * each other; an id that two of them have is RT_ERR_USAGE. Sets out->label: of data sets as
 * typed, of files without the folder. On failure the set is empty. */
RT_CHECKED rt_status pipe_problems_open(struct rt_ctx *ctx, const struct pipe_host *host,
                                        struct store *store, const char *spec,
                                        enum pipe_problem_use use,
                                        struct pipe_problem_set *out);

/* How a list that is no data set is called: the file's name without its folder. */
const char *pipe_list_name(const char *text);

#endif

/* pipeline/data/data_spec.h
 * How a part of a data set is named: "gsm8k:test", "gsm8k:train[0:2000]" (half-open, from
 * 0, either bound may be left out), "gsm8k:test@ids.txt" (a file with one id per line, as
 * `faultline data show` prints them or without "NAME/SPLIT/"; '#' starts a comment). */
#ifndef PIPELINE_DATA_DATA_SPEC_H
#define PIPELINE_DATA_DATA_SPEC_H

#include "pipeline/data/problems.h"

enum { PIPE_SPEC_NAME = 64 };

struct pipe_data_spec {
    char name[PIPE_SPEC_NAME], split[PIPE_SPEC_NAME];
    uint32_t from, to; /* to UINT32_MAX: to the end */
    const char *ids;   /* path within the given text, null: none */
};

/* False if `text` is not of that form at all (so: a path). A bad range of one that is:
 * true and *problem is RT_ERR_USAGE with a message. */
bool pipe_data_spec_parse(struct rt_ctx *ctx, const char *text,
                          struct pipe_data_spec *out, rt_status *problem);

/* The rest of a range behind its '[': "from:to]" and no more, either bound may be left out
 * (0, UINT32_MAX). False: it is none, or holds nothing. */
bool pipe_range_read(const char *at, uint32_t *from, uint32_t *to);

/* Splits "path[from:to]" of a file; one without a range, or whose last part is no range, is
 * taken whole (0, UINT32_MAX). RT_ERR_USAGE: a range that is none, a path without room. */
RT_CHECKED rt_status pipe_spec_split(struct rt_ctx *ctx, const char *spec, char *path,
                                     size_t size, uint32_t *from, uint32_t *to);

/* True for what may name a data set or a split: letters, digits, '.', '_' and '-', the
 * first of them a letter or digit, below 64 bytes. */
bool pipe_data_name_good(const char *name);

/* Keeps the part of a whole split that the spec names, in the order of the file or of the
 * id list. RT_ERR_USAGE: a range beyond the end. RT_ERR_INPUT: an id that is not there, or
 * twice (file, line). */
RT_CHECKED rt_status pipe_data_select(struct rt_ctx *ctx,
                                      const struct pipe_data_spec *spec,
                                      struct pipe_problem_set *set);

/* Removes problems whose answer is empty (MATH has one): they can neither be graded nor
 * trained on. Returns how many went; the set's hash is then to be made again. */
uint32_t pipe_data_drop_unanswered(struct pipe_problem_set *set);

#endif

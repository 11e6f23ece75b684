/* pipeline/stats/parts.h
 * A list of problems that comes from several data sets, and two variants compared over it.
 * The id of a problem begins with its data set and split, "gsm8k/test/17" (data_recipe.h).
 *
 * The mean over data sets counts each alike, whatever its size. Its p-value is that of a
 * paired permutation test: under the null hypothesis the two answers to a problem can be
 * exchanged, so every discordant pair flips its sign with probability 1/2 (cf. McNemar's
 * test, which pools the flips of all data sets and counts problems alike; arXiv 2602.10144
 * compares ways to pool). */
#ifndef PIPELINE_STATS_PARTS_H
#define PIPELINE_STATS_PARTS_H

#include "runtime/base/rt.h"

enum {
    PIPE_PARTS_MAX = 16,
    PIPE_PARTS_DRAWS = 20000 /* of every p-value that is shown */
};

struct pipe_part {
    char name[96]; /* "gsm8k:test" */
    uint32_t n;    /* problems */
};

struct pipe_parts {
    struct pipe_part items[PIPE_PARTS_MAX]; /* in the order of the list */
    uint32_t count; /* 0: one data set, none known, or more than PIPE_PARTS_MAX */
    uint8_t *of;    /* part of each problem, owned */
    uint32_t n;     /* problems added */
};

/* Room for `n` problems. Zero is a valid start for pipe_parts_deinit. */
RT_CHECKED rt_status pipe_parts_init(struct rt_ctx *ctx, uint32_t n,
                                     struct pipe_parts *out);
/* Adds the next problem of the list. */
void pipe_parts_add(struct pipe_parts *parts, const char *problem_id);
/* After the last problem: sets count to 0 where there is nothing to tell apart. */
void pipe_parts_end(struct pipe_parts *parts);
void pipe_parts_deinit(struct pipe_parts *parts);

/* Right answers of a part among `right`, one per problem. */
uint32_t pipe_parts_right(const struct pipe_parts *parts, uint32_t part,
                          const bool *right);

struct pipe_pooled {
    double difference; /* mean over parts of the accuracy of other less that of base */
    double p;          /* (1 + draws at least as far from 0) / (1 + draws); two-sided */
};
/* parts->count > 1. Draws depend on the seed alone. */
void pipe_parts_pool(const struct pipe_parts *parts, const bool *base, const bool *other,
                     uint32_t draws, uint64_t seed, struct pipe_pooled *out);

#endif

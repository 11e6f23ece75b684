/* pipeline/demo/generator.h
 * Fresh word problems of the demo's family, with their gold programs: the distribution
 * the demo model was trained on. Three families (things people have, 66 %; purchases, 18
 * %; units, 16 %), 1 to 6 steps, whole numbers from 0 to 999, exact divisions.
 *
 * Random numbers are counter-based: problem i of a seed is the same on every machine, and
 * differs only where an earlier problem or an avoided set already has its question. */
#ifndef PIPELINE_DEMO_GENERATOR_H
#define PIPELINE_DEMO_GENERATOR_H

#include "pipeline/data/problems.h"

/* Generates `count` problems with ids "demo-s<seed>-<number>", no two with the same
 * normalised question and none whose question is in one of `avoid` (may be null). The set
 * is as pipe_problems_read makes it: write it with pipe_problems_write. RT_ERR_USAGE if
 * count is 0 or above 1,000,000. */
RT_CHECKED rt_status pipe_demo_generate(struct rt_ctx *ctx, uint64_t seed, uint32_t count,
                                        const struct pipe_problem_set *const *avoid,
                                        uint32_t avoid_count,
                                        struct pipe_problem_set *out);

/* pipe_demo_generate of problems that none of the splits mine, validate and measure of the
 * bundled `folder` has, so that they can be mined or measured beside it. */
RT_CHECKED rt_status pipe_demo_fresh(struct rt_ctx *ctx, const char *folder,
                                     uint64_t seed, uint32_t count,
                                     struct pipe_problem_set *out);

#endif

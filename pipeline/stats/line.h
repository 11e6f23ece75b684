/* pipeline/stats/line.h
 * The line of plain models: accuracy against bits per weight, straight between neighbours
 * of those plain models that no other one with at most their bits equals. A repair is worth
 * its bits where it lies above that line. */
#ifndef PIPELINE_STATS_LINE_H
#define PIPELINE_STATS_LINE_H

#include "pipeline/stats/statistics.h"

enum { PIPE_LINE_MAX = 64 };

/* A model and its answers to the same problems as those of the others. */
struct pipe_line_model {
    double bits;          /* per weight, everything stored */
    const uint8_t *right; /* borrowed, one per problem: 0 or 1 */
};

struct pipe_line {
    int32_t below,
        above;         /* plain models on either side of the bits asked for; below -1: all
                             take more bits; above -1: the line ends with `below` */
    double share;      /* of `above` in the line there, 0 to 1 */
    double accuracy;   /* of the line there */
    double difference; /* of the repair less the line */
    struct pipe_interval interval; /* paired bootstrap over problems */
    int32_t
        rival; /* the plain model of fewest bits that is as accurate as the repair, -1 */
};

/* Whether the line goes through model `i`: no other takes at most its bits and is as
 * accurate (of equal ones the first counts). */
bool pipe_line_through(const double *bits, const double *accuracy, uint32_t count,
                       uint32_t i);
/* Where the line passes at `bits`: below, above and share, from accuracies. */
void pipe_line_at(const double *bits, const double *accuracy, uint32_t count, double at,
                  struct pipe_line *out);
/* A repair against the line of `count` plain models, at most PIPE_LINE_MAX. Where all plain
 * models take more bits than the repair, difference and interval are NaN. */
RT_CHECKED rt_status pipe_line_compare(struct rt_ctx *ctx,
                                       const struct pipe_line_model *plain,
                                       uint32_t count,
                                       const struct pipe_line_model *repair, uint32_t n,
                                       struct pipe_line *out);

#endif

/* pipeline/restore/train_cost.h
 * What training a recipe's adapter will take on a device, by parts, before anything is
 * loaded. */
#ifndef PIPELINE_RESTORE_TRAIN_COST_H
#define PIPELINE_RESTORE_TRAIN_COST_H

#include "pipeline/restore/training.h"
#include "runtime/train/train_size.h"

#include <stdio.h>

struct pipe_train_cost_options {
    const struct pipe_restore_recipe *recipe;
    const char *quant; /* the model that is repaired: folder or GGUF file */
    const char
        *full;       /* the teacher of KL; NULL otherwise, or where it is not asked for */
    uint32_t rank;   /* of the adapter */
    uint32_t tokens; /* of a batch */
};

enum { PIPE_TRAIN_PARTS = 8 };
struct pipe_train_part {
    const char *name, *what; /* one word; a phrase; static */
    uint64_t bytes;          /* on the device */
};

struct pipe_train_cost {
    struct train_size size;
    struct pipe_train_part parts[PIPE_TRAIN_PARTS]; /* the same with names */
    uint64_t sum;                                   /* of all parts */
    uint64_t device; /* bytes that the device has free; 0: it does not say */
};

/* Reads headers only. RT_ERR_USAGE: a recipe that trains scales, on the full model or not at
 * all, or KL without `full`. */
RT_CHECKED rt_status pipe_train_cost(struct rt_device *dev,
                                     const struct pipe_train_cost_options *options,
                                     struct pipe_train_cost *out);

/* The parts, their sum, what the device has free, target tokens of a chunk of the loss, and
 * whether it fits, as a JSON object in one line. */
void pipe_train_cost_json(FILE *out, const struct pipe_train_cost *cost);

#endif

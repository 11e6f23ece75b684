/* pipeline/run/add_data.h
 * Data sets that were read (pipeline/data/data_set.h) become rows of the results file, and
 * what of a training set also stands in a measuring one. */
#ifndef PIPELINE_RUN_ADD_DATA_H
#define PIPELINE_RUN_ADD_DATA_H

#include "pipeline/data/data_set.h"
#include "store/store_data.h"

/* Adds the splits of one data set, all or none. rows[i] tells what is known of data[i], with
 * strings of `data`; added[i] is false if the same one was there. licence: of a data set that
 * is no known benchmark; null: the benchmark's, or "not stated". A data set of one's own is
 * for training if its split begins with "train". Errors: those of store_put_dataset. */
RT_CHECKED rt_status pipe_data_add(struct store *store, const struct pipe_dataset *data,
                                   uint32_t count, const char *licence,
                                   struct store_dataset *rows, bool *added);

/* `dropped` problems of the training set also stand in `measured`. */
typedef void pipe_overlap_fn(void *user, const struct store_dataset *measured,
                             uint32_t dropped);
/* Each measuring split of the store that shares problems with a split, by name
 * (pipe_data_drop_leaks says when two are the same). None if that split is not for
 * training. */
RT_CHECKED rt_status pipe_data_overlaps(struct rt_ctx *ctx, struct store *store,
                                        const struct store_dataset *train,
                                        pipe_overlap_fn *fn, void *user);

#endif

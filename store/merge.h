/* store/merge.h
 * One results file taken into another: `faultline store merge`. What is equal has the same
 * id in both, so that shards which two hosts made become one run. Rules: docs/store.md. */
#ifndef STORE_MERGE_H
#define STORE_MERGE_H

#include "store/store.h"

/* Rows of the other file, over all tables: new here, here already with the same content,
 * here already with another content of which one was kept by rule. */
struct store_merge_counts {
    int64_t added, same, settled;
};

/* Takes all rows of the results file `path` into `store`, in one transaction of its own. A
 * second time it changes nothing. RT_ERR_STORE where a row of the same id says something
 * else and no rule settles it: then nothing is taken. Claims are not taken: they are
 * promises of processes. */
RT_CHECKED rt_status store_merge(struct store *store, const char *path,
                                 struct store_merge_counts *counts);

#endif

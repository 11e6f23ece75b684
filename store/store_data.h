/* store/store_data.h
 * Data sets in the results file: a row of `benchmark` whose source is an artifact of kind
 * dataset (hash of the file, licence, origin), and its problems. They are added whole and
 * never changed: answers refer to them. */
#ifndef STORE_STORE_DATA_H
#define STORE_STORE_DATA_H

#include "pipeline/data/problems.h"
#include "store/store.h"

struct store_dataset {
    const char *name, *split;
    const char *source_hash;      /* SHA-256 of what was read, hexadecimal */
    int64_t bytes;                /* of it, unpacked */
    const char *path;             /* where it was; may be null */
    const char *licence, *origin; /* may be null */
    const char *use;              /* "train" or "measure" */
    bool published;               /* it is the published data */
    uint32_t count;
    char id[STORE_ID]; /* filled */
};

/* Adds a split, within a transaction of the caller. *added is false where the same one is
 * there already. RT_ERR_INPUT where another one of that name and split is, or where ids
 * already stand for other problems: roll back. Sets d->id. */
RT_CHECKED rt_status store_put_dataset(struct store *store, struct store_dataset *d,
                                       const struct pipe_problem *problems, bool *added);

/* Strings are valid during the call. */
typedef rt_status store_dataset_fn(void *user, const struct store_dataset *d);
/* By name and split; name null: all. */
RT_CHECKED rt_status store_each_dataset(struct store *store, const char *name,
                                        store_dataset_fn *fn, void *user);

/* All problems of a split, in order. RT_ERR_INPUT if it was not added. On failure the set
 * is empty. `d` (may be null): what is known of it, strings in set->pool. */
RT_CHECKED rt_status store_load_dataset(struct store *store, const char *name,
                                        const char *split, struct pipe_problem_set *set,
                                        struct store_dataset *d);

/* Text that stands beside a question in a prompt, an artifact of kind prompt, once by
 * hash. `name` is the format's or the set's. */
RT_CHECKED rt_status store_put_prompt(struct store *store, const char *id,
                                      const char *name, const char *text);
/* *text in fresh memory (rt_free), NULL if none has that id. */
RT_CHECKED rt_status store_prompt_text(struct store *store, const char *id, char **text);

#endif

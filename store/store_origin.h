/* store/store_origin.h
 * Provenance of answers that another program produced: the file they came in (an artifact
 * of kind log), the model it names, and an environment that says so. */
#ifndef STORE_STORE_ORIGIN_H
#define STORE_STORE_ORIGIN_H

#include "store/store.h"

struct store_origin {
    const char *hash; /* SHA-256 of the file, hexadecimal */
    int64_t bytes;
    const char *path;
    const char *kind, *tool, *model, *task, *produced; /* all but kind may be null */
    char file_id[STORE_ID], model_id[STORE_ID], env_id[STORE_ID]; /* filled */
};

/* Within a transaction of the caller. */
RT_CHECKED rt_status store_put_origin(struct store *store, struct store_origin *origin);
#endif

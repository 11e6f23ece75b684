/* store/store_note.h
 * Notes: what somebody says of something, a row of table `annotation`. The thing may have no
 * row of its own, such as a solution of a labelled file: it is known by a hash of what it
 * is. One note per author, thing and tag. */
#ifndef STORE_STORE_NOTE_H
#define STORE_STORE_NOTE_H

#include "store/store.h"

struct store_note_key {
    const char *author;             /* of what a model says: the id of its run */
    const char *target, *target_id; /* the kind of the thing, and which it is */
    const char *tag;                /* what the note is about */
};

/* Within a transaction of the caller. A note that stands there is replaced. */
RT_CHECKED rt_status store_put_note(struct store *store, const struct store_note_key *key,
                                    const char *note);
RT_CHECKED rt_status store_drop_note(struct store *store,
                                     const struct store_note_key *key);
/* *note in fresh memory (rt_free), NULL if there is none. */
RT_CHECKED rt_status store_find_note(struct store *store,
                                     const struct store_note_key *key, char **note);

#endif

/* store/store_note.c
 * Notes, by a hash of who says what of which thing. */
#include "store/store_note.h"

#include "store/store_impl.h"

#include <assert.h>

static void note_id(const struct store_note_key *k, char id[STORE_ID])
{
    assert(k->author[0] && k->target[0] && k->target_id[0] && k->tag[0]);
    store_hash(id, "note", k->author, k->target, k->target_id, k->tag, NULL);
}

rt_status store_put_note(struct store *s, const struct store_note_key *k,
                         const char *note)
{
    char id[STORE_ID];
    note_id(k, id);
    return store_run_sql(
        s,
        "INSERT INTO annotation(annotation_id,target,target_id,tag,note,author,"
        "created_ms) VALUES(?,?,?,?,?,?,?) ON CONFLICT(annotation_id) DO UPDATE SET "
        "note=excluded.note, created_ms=excluded.created_ms WHERE note IS NOT "
        "excluded.note",
        "tttttti", id, k->target, k->target_id, k->tag, note, k->author,
        rt_time_unix_ms());
}

rt_status store_drop_note(struct store *s, const struct store_note_key *k)
{
    char id[STORE_ID];
    note_id(k, id);
    return store_run_sql(s, "DELETE FROM annotation WHERE annotation_id=?1", "t", id);
}

struct found {
    struct rt_ctx *ctx;
    char *note;
};

static rt_status take_note(void *user, const struct store_row *row)
{
    struct found *f = user;
    f->note = rt_strdup(f->ctx, store_row_text(row, 0));
    return f->note ? RT_OK : rt_fail(f->ctx, RT_ERR_HOST_MEMORY, "a note: no memory");
}

rt_status store_find_note(struct store *s, const struct store_note_key *k, char **note)
{
    char id[STORE_ID];
    struct found f = { s->ctx, NULL };
    note_id(k, id);
    const rt_status st = store_query(
        s, "SELECT note FROM annotation WHERE annotation_id=?1 AND note IS NOT NULL",
        (const char *const[]){ id, NULL }, take_note, &f);
    *note = f.note;
    return st;
}

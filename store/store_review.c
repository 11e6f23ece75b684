/* store/store_review.c
 * Reads verdicts with the steps of their answers; reads and writes votes and reviews. A vote is
 * a row of table `annotation`: target `fault`, tag `vote`, author the judge, note the step. */
#include "store/store_review.h"

#include "store/store_impl.h"
#include "store/store_note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    store_review_fn *fn;
    void *user;
};

static rt_status give_step(void *user, const struct store_row *row)
{
    const struct asked *a = user;
    const struct store_review_step step = {
        .fault_id = store_row_text(row, 0),
        .gen_id = store_row_text(row, 1),
        .problem_id = store_row_text(row, 2),
        .question = store_row_text(row, 3),
        .output = store_row_text(row, 4),
        .named = (int32_t)store_row_integer(row, 5),
        .category = store_row_text(row, 6),
        .confidence = store_row_number(row, 7),
        .review = store_row_text(row, 8),
        .index = (uint32_t)store_row_integer(row, 9),
        .char_start = (uint32_t)store_row_integer(row, 10),
        .char_end = (uint32_t)store_row_integer(row, 11),
    };
    return a->fn(a->user, &step);
}

rt_status store_each_review_step(struct store *s, const char *run_id, store_review_fn *fn,
                                 void *user)
{
    struct asked a = { fn, user };
    return store_query(
        s,
        "SELECT f.fault_id, g.gen_id, g.problem_id, p.question, g.output, "
        "coalesce(f.step_idx,-1), coalesce(f.category,''), coalesce(f.confidence,0), "
        "f.review, coalesce(t.idx,0), coalesce(t.char_start,0), "
        "coalesce(t.char_end,length(CAST(g.output AS BLOB))) FROM fault f JOIN "
        "generation g "
        "USING(gen_id) JOIN problem p USING(problem_id) LEFT JOIN step t ON "
        "t.gen_id=g.gen_id AND t.segmenter=(SELECT min(o.segmenter) FROM step o WHERE "
        "o.gen_id=g.gen_id) WHERE f.run_id=?1 AND f.locator='verdict' ORDER BY "
        "g.problem_id, g.gen_id, t.idx",
        (const char *const[]){ run_id, NULL }, give_step, &a);
}

static rt_status take_id(void *user, const struct store_row *row)
{
    snprintf(user, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

rt_status store_find_review_run(struct store *s, const char *id, char run_id[STORE_ID])
{
    run_id[0] = '\0';
    return store_query(s,
                       "SELECT r.run_id FROM run r WHERE r.kind='locate' AND (?1='' OR "
                       "r.run_id=?1) AND EXISTS(SELECT 1 FROM fault f WHERE "
                       "f.run_id=r.run_id AND f.locator='verdict') ORDER BY r.started_ms "
                       "DESC, r.run_id LIMIT 1",
                       (const char *const[]){ id, NULL }, take_id, run_id);
}

rt_status store_put_review(struct store *s, const char *fault_id, const char *review,
                           const char *reviewer)
{
    return store_run_sql(s,
                         "UPDATE fault SET review=?2, reviewer=?3, reviewed_ms=?4 WHERE "
                         "fault_id=?1",
                         "ttti", fault_id, review, reviewer, rt_time_unix_ms());
}

/* ---- votes ---- */

struct voted {
    store_vote_fn *fn;
    void *user;
};

static rt_status give_vote(void *user, const struct store_row *row)
{
    const struct voted *v = user;
    const char *note = store_row_text(row, 2);
    const struct store_vote vote = {
        .fault_id = store_row_text(row, 0),
        .judge = store_row_text(row, 1),
        .step = strcmp(note, "abstains") == 0 ? STORE_VOTE_ABSTAINS
                                              : (int32_t)strtol(note, NULL, 10),
    };
    return v->fn(v->user, &vote);
}

rt_status store_each_vote(struct store *s, const char *run_id, store_vote_fn *fn,
                          void *user)
{
    struct voted v = { fn, user };
    return store_query(
        s,
        "SELECT a.target_id, a.author, a.note FROM fault f JOIN annotation a ON "
        "a.target='fault' AND a.target_id=f.fault_id WHERE f.run_id=?1 AND "
        "f.locator='verdict' AND a.tag='vote' AND a.author IS NOT NULL AND a.note IS "
        "NOT NULL ORDER BY a.target_id, a.author",
        (const char *const[]){ run_id, NULL }, give_vote, &v);
}

static struct store_note_key vote_key(const char *fault_id, const char *judge)
{
    return (struct store_note_key){
        .author = judge, .target = "fault", .target_id = fault_id, .tag = "vote"
    };
}

rt_status store_put_vote(struct store *s, const struct store_vote *vote)
{
    char note[16] = "abstains";
    const struct store_note_key key = vote_key(vote->fault_id, vote->judge);
    if (vote->step != STORE_VOTE_ABSTAINS)
        snprintf(note, sizeof note, "%d", vote->step);
    return store_put_note(s, &key, note);
}

rt_status store_drop_vote(struct store *s, const char *fault_id, const char *judge)
{
    const struct store_note_key key = vote_key(fault_id, judge);
    return store_drop_note(s, &key);
}

rt_status store_drop_majority(struct store *s, const char *run_id, const char *gen_id,
                              const char *fault_id)
{
    rt_status st;
    char id[STORE_ID];
    store_fault_id(run_id, gen_id, "vote", id);
    TRY(store_run_sql(s, "DELETE FROM fault WHERE fault_id=?1", "t", id));
    TRY(store_run_sql(s,
                      "UPDATE fault SET review='auto', reviewer=NULL, reviewed_ms=?2 "
                      "WHERE fault_id=?1 AND reviewer='vote'",
                      "ti", fault_id, rt_time_unix_ms()));

fail:
    return st;
}

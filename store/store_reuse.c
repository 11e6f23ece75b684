/* store/store_reuse.c
 * Answers that a run need not make, because another run made them: of the same weights and
 * adapter, with the same settings, seed and numerics, to the same problem. Such runs differ
 * in what the variant or the list of problems is called, or in the list's other problems. */
#include "store/store_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Runs like run ?1, as r, by another name. */
#define LIKE_RUN                                                                         \
    "run t JOIN variant v ON v.variant_id=t.variant_id JOIN run r ON r.kind='eval' AND " \
    "r.config_hash=t.config_hash AND r.seed=t.seed AND r.numerics=t.numerics AND "       \
    "r.run_id<>t.run_id JOIN variant w ON w.variant_id=r.variant_id AND "                \
    "w.weights_id=v.weights_id AND w.adapter_id IS v.adapter_id "

static rt_status take_one(void *user, const struct store_row *row)
{
    snprintf(user, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

/* The rows of one answer under another id; its times stay those of when it was made. */
static rt_status copy_answer(struct store *s, const char *run_id, const char *from,
                             const char *to)
{
    static const char *const copies[] = {
        "INSERT INTO token_trace(gen_id,codec,n,ids,logprob,margin,alt_id) SELECT "
        "?2,codec,n,ids,logprob,margin,alt_id FROM token_trace WHERE gen_id=?1 ON "
        "CONFLICT(gen_id) DO NOTHING",
        "INSERT INTO score(gen_id,grader,extracted,correct,extract_ok,author,reason,"
        "created_ms) SELECT ?2,grader,extracted,correct,extract_ok,author,reason,"
        "created_ms FROM score WHERE gen_id=?1 ON CONFLICT(gen_id,grader) DO NOTHING",
        "INSERT INTO step(gen_id,segmenter,idx,char_start,char_end,tok_start,tok_end) "
        "SELECT ?2,segmenter,idx,char_start,char_end,tok_start,tok_end FROM step WHERE "
        "gen_id=?1 ON CONFLICT(gen_id,segmenter,idx) DO NOTHING",
    };
    rt_status st;
    TRY(store_run_sql(
        s,
        "INSERT INTO generation(gen_id,run_id,problem_id,sample,prompt_hash,"
        "output,finish,n_prompt,n_gen,prefill_us,decode_us,energy_mj,"
        "created_ms,error) SELECT ?2,?3,problem_id,sample,prompt_hash,"
        "output,finish,n_prompt,n_gen,prefill_us,decode_us,energy_mj,"
        "created_ms,error FROM generation WHERE gen_id=?1 ON "
        "CONFLICT(gen_id) DO NOTHING",
        "ttt", from, to, run_id));
    for (size_t i = 0; i < RT_COUNT(copies); i++)
        TRY(store_run_sql(s, copies[i], "tt", from, to));

fail:
    return st;
}

rt_status store_can_reuse(struct store *s, const char *run_id, bool *out)
{
    char found[STORE_ID] = "";
    const rt_status st =
        store_query(s,
                    "SELECT r.run_id FROM " LIKE_RUN
                    "WHERE t.run_id=?1 AND EXISTS(SELECT 1 FROM generation g WHERE "
                    "g.run_id=r.run_id) LIMIT 1",
                    (const char *const[]){ run_id, NULL }, take_one, found);
    *out = found[0] != '\0';
    return st;
}

rt_status store_reuse_answer(struct store *s, const char *run_id, const char *problem_id,
                             uint32_t sample, bool *out)
{
    rt_status st;
    char number[16], from[STORE_ID] = "", to[STORE_ID];
    assert(run_id[0] && problem_id[0]);
    snprintf(number, sizeof number, "%u", sample);
    *out = false;
    TRY(store_query(
        s,
        "SELECT g.gen_id FROM " LIKE_RUN
        "JOIN generation g ON g.run_id=r.run_id AND g.problem_id=?2 AND "
        "g.sample=CAST(?3 AS INTEGER) WHERE t.run_id=?1 ORDER BY g.created_ms, "
        "g.gen_id LIMIT 1",
        (const char *const[]){ run_id, problem_id, number, NULL }, take_one, from));
    if (!from[0])
        return RT_OK;
    store_gen_id(run_id, problem_id, sample, to);
    TRY(copy_answer(s, run_id, from, to));
    *out = true;

fail:
    return st;
}

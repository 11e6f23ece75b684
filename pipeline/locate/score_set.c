/* pipeline/locate/score_set.c
 * Labelled solutions: the locators asked, and how often they name the labelled step. */
#include "pipeline/locate/score_set.h"

#include "pipeline/locate/weights_fit.h"
#include "pipeline/prompt/mend.h"
#include "runtime/base/philox.h"

#include <stdio.h>
#include <string.h>

const char *pipe_scored_name(uint32_t k)
{
    static const char *const names[PIPE_SCORED_RULES] = {
        "second-step", "check",   "mend",    "judge",
        "surprise",    "rollout", "verdict", "verdict-always"
    };
    return k < PIPE_SCORED_RULES
               ? names[k]
               : pipe_check_rule_name((enum pipe_check_rule)(k - PIPE_SCORED_RULES));
}

const char *pipe_knows_name(enum pipe_knows known)
{
    static const char *const words[PIPE_KNOWS] = { "not known", "known", "given" };
    return words[known];
}

void pipe_score_set_deinit(struct pipe_score_set *s)
{
    for (uint32_t k = 0; k < PIPE_KNOWS * PIPE_SCORED; k++)
        rt_free(s->said[k / PIPE_SCORED][k % PIPE_SCORED]);
    pipe_judgements_free(s->judged, s->set.count);
    rt_free(s->judged);
    rt_free(s->rolled);
    pipe_labelled_deinit(&s->set);
    *s = (struct pipe_score_set){ .name = NULL };
}

void pipe_labelled_draw(struct pipe_labelled_set *set, uint32_t limit, uint64_t seed)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; limit && i < set->count; i++) {
        /* of what is left, as many as are still wanted */
        const uint32_t left = set->count - i, wanted = limit - kept;
        const uint32_t word =
            philox_word(i, 0, 0, 0x6c696d69u, (uint32_t)seed, (uint32_t)(seed >> 32));
        if (kept < limit && ((uint64_t)word * left) >> 32 < wanted)
            set->items[kept++] = set->items[i];
    }
    if (limit)
        set->count = kept;
}

/* ---- asking ---- */

static rt_status put_evidence(struct rt_ctx *ctx, const struct pipe_score_set *s,
                              const struct pipe_labelled *item,
                              const struct pipe_testimony *t, FILE *evidence)
{
    char *line = NULL;
    const char *slash = strrchr(s->name, '/');
    if (!evidence || item->label < 0)
        return RT_OK;
    rt_status st =
        pipe_case_line(ctx, slash ? slash + 1 : s->name, (uint32_t)item->label, t, &line);
    if (st == RT_OK && fprintf(evidence, "%s\n", line) < 0)
        st = rt_fail(ctx, RT_ERR_IO, "the evidence cannot be written");
    rt_free(line);
    return st;
}

/* What models say of record i to a reader. j: the judgement; NULL: it was not read. */
static void say_models(struct pipe_score_set *s, uint32_t i, int known,
                       const struct pipe_judgement *j)
{
    const uint32_t steps = s->set.items[i].step_count;
    const bool given = known == PIPE_KNOWS_ANSWER;
    int32_t **said = s->said[known];
    said[PIPE_SCORED_JUDGE][i] =
        j && (known || j->doubt > 0) ? (int32_t)pipe_largest(j->first, steps) : -1;
    said[PIPE_SCORED_SURPRISE][i] = j ? (int32_t)pipe_largest(j->surprise, steps) : -1;
    said[PIPE_SCORED_ROLLOUT][i] = given && s->rolled ? s->rolled[i].step : -1;
}

static rt_status ask_one(struct rt_ctx *ctx, struct pipe_score_set *s, uint32_t i,
                         const struct pipe_score_calls *calls, FILE *evidence)
{
    const struct pipe_labelled *item = &s->set.items[i];
    const struct pipe_judgement *j =
        s->judged && s->judged[i].first ? &s->judged[i] : NULL;
    struct pipe_checked c;
    struct pipe_mended mended;
    struct pipe_fault verdict;
    double p;
    pipe_locate_check(item->question, item->text, item->steps, item->step_count, &c);
    pipe_mend(ctx, item->question, item->text, item->steps, item->step_count,
              item->answer, &mended);
    struct pipe_testimony t = { .step_count = item->step_count,
                                .check = &c,
                                .twin = -1,
                                .mend_sign = mended.sign != 0,
                                .judge = j ? j->first : NULL };
    for (int known = 0; known < PIPE_KNOWS; known++) {
        const bool given = known == PIPE_KNOWS_ANSWER;
        t.mend = given ? (uint32_t)(mended.step + 1) : 0;
        pipe_verdict(&t, NULL, NULL, PIPE_CAT_NONE, &verdict);
        const bool may = known || c.step >= 0 || (j && j->doubt > 0);
        int32_t **said = s->said[known];
        said[PIPE_SCORED_SECOND_STEP][i] = item->step_count > 1;
        said[PIPE_SCORED_CHECK][i] = c.step;
        said[PIPE_SCORED_MEND][i] = given ? mended.step : -1;
        say_models(s, i, known, j);
        said[PIPE_SCORED_VERDICT][i] = may ? verdict.step : -1;
        said[PIPE_SCORED_VERDICT_ALWAYS][i] = may ? pipe_verdict_step(&t, &p) : -1;
        for (int r = 0; r < PIPE_CHECK_RULE_COUNT; r++)
            said[PIPE_SCORED_RULES + r][i] = (int32_t)c.named[r] - 1;
    }
    if (calls->named && c.step >= 0)
        calls->named(calls->user, i, item, &c);
    return put_evidence(ctx, s, item, &t, evidence);
}

rt_status pipe_score_judge(struct pipe_session *session, const char *model,
                           struct pipe_score_set *s, uint64_t *tokens)
{
    s->judged = rt_alloc(session->ctx, s->set.count, sizeof *s->judged);
    if (!s->judged)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "scoring: no memory");
    return pipe_judge_set(session, &(struct pipe_judge_by){ .folder = model }, &s->set,
                          s->final_known, s->judged, tokens);
}

rt_status pipe_score_rollouts(struct pipe_session *session, const char *model,
                              uint32_t samples, struct pipe_score_set *s)
{
    s->rolled = rt_alloc(session->ctx, s->set.count, sizeof *s->rolled);
    if (!s->rolled)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "scoring: no memory");
    return pipe_rollout_set(session, model, &s->set, samples, s->rolled);
}

rt_status pipe_score_ask(struct rt_ctx *ctx, struct pipe_score_set *s,
                         const struct pipe_score_calls *calls)
{
    rt_status st = RT_OK;
    FILE *evidence = NULL;
    for (uint32_t k = 0; k < PIPE_KNOWS * PIPE_SCORED; k++) {
        int32_t **said = &s->said[k / PIPE_SCORED][k % PIPE_SCORED];
        *said = rt_alloc(ctx, s->set.count, sizeof **said);
        if (!*said)
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "scoring: no memory");
    }
    if (calls->evidence && !(evidence = fopen(calls->evidence, "a")))
        return rt_fail(ctx, RT_ERR_IO, "'%s' cannot be written", calls->evidence);
    for (uint32_t i = 0; i < s->set.count; i++)
        TRY(ask_one(ctx, s, i, calls, evidence));

fail:
    if (evidence && fclose(evidence) != 0 && st == RT_OK)
        st = rt_fail(ctx, RT_ERR_IO, "the evidence cannot be written");
    return st;
}

/* ---- scoring ---- */

/* What the records tell at most. */
static enum pipe_knows most_known(const struct pipe_labelled_set *set)
{
    enum pipe_knows most = PIPE_KNOWS_NOTHING;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->items[i].answer[0])
            return PIPE_KNOWS_ANSWER;
        if (set->items[i].final != PIPE_FINAL_UNKNOWN)
            most = PIPE_KNOWS_FINAL;
    }
    return most;
}

/* Whether a locator says something to this reader, and, of the one that is given the right
 * answer, something else than without it. */
static bool speaks(const struct pipe_score_set *s, uint32_t locator, int known)
{
    const bool given = known == PIPE_KNOWS_ANSWER;
    const int32_t *said = s->said[known][locator];
    const int32_t *without = s->said[PIPE_KNOWS_FINAL][locator];
    bool any = false, other = !given;
    if (locator == PIPE_SCORED_ROLLOUT && s->rolled) /* its cost is shown in any case */
        return given;
    for (uint32_t i = 0; i < s->set.count; i++) {
        any |= (given ? said : without)[i] >= 0;
        other |= said[i] != without[i];
    }
    return any && other;
}

/* What a locator cost in the records of one kind. */
static uint64_t tokens_of(const struct pipe_score_set *s, uint32_t locator,
                          const char *kind)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->set.count; i++) {
        if (kind && strcmp(kind, s->set.items[i].kind) != 0)
            continue;
        if (locator == PIPE_SCORED_JUDGE && s->judged)
            sum += s->judged[i].tokens;
        if (locator == PIPE_SCORED_ROLLOUT && s->rolled)
            sum += s->rolled[i].tokens;
    }
    return sum;
}

static rt_status score_kind(struct rt_ctx *ctx, const struct pipe_score_set *s,
                            const char *kind, pipe_score_row_fn *fn, void *user)
{
    rt_status st = RT_OK;
    const int least = s->final_known ? PIPE_KNOWS_FINAL : PIPE_KNOWS_NOTHING;
    for (uint32_t k = 0; k < PIPE_SCORED; k++)
        for (int known = (int)most_known(&s->set); known >= least; known--) {
            struct pipe_score_row row = { .kind = kind,
                                          .locator = k,
                                          .known = (enum pipe_knows)known,
                                          .tokens = tokens_of(s, k, kind) };
            const struct pipe_locator_score *r = &row.score;
            const struct pipe_locator_asked asked = {
                .said = s->said[known][k],
                .against = s->said[known][PIPE_SCORED_SECOND_STEP],
                .known = known != PIPE_KNOWS_NOTHING,
                .kind = kind,
                .seed = 1
            };
            if (!speaks(s, k, known))
                continue;
            TRY(pipe_locator_score(ctx, &s->set, &asked, &row.score));
            row.wrongly = r->clean - r->kept;
            const uint32_t all = r->named + row.wrongly;
            row.exact = r->faulty ? (double)r->exact / r->faulty : 0.0;
            row.precision = all ? (double)r->exact / all : 0.0;
            fn(user, &row);
        }

fail:
    return st;
}

rt_status pipe_score_each(struct rt_ctx *ctx, const struct pipe_score_set *s, bool kinds,
                          pipe_score_row_fn *fn, void *user)
{
    rt_status st;
    TRY(score_kind(ctx, s, NULL, fn, user));
    for (uint32_t i = 0; kinds && i < s->set.count; i++) {
        bool seen = false;
        for (uint32_t e = 0; e < i && !seen; e++)
            seen = strcmp(s->set.items[e].kind, s->set.items[i].kind) == 0;
        if (!seen)
            TRY(score_kind(ctx, s, s->set.items[i].kind, fn, user));
    }

fail:
    return st;
}

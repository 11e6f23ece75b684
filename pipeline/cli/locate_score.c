/* pipeline/cli/locate_score.c
 * Labelled solutions: the locators asked, and how often they name the labelled step. */
#include "pipeline/cli/locate_score.h"

#include "pipeline/cli/cli_session.h"
#include "pipeline/locate/inject_set.h"
#include "pipeline/locate/judge_model.h"
#include "pipeline/locate/score_labelled.h"
#include "pipeline/locate/weights_fit.h"
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/mend.h"
#include "runtime/base/philox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The baseline; what locates; the verdict, and its most probable step without abstaining; then
 * the rules of the check by themselves. */
enum locator {
    SECOND_STEP,
    CHECK,
    MEND,
    JUDGE,
    SURPRISE,
    VERDICT,
    MOST_PROBABLE,
    RULES,
    LOCATORS = RULES + PIPE_CHECK_RULE_COUNT
};

static const char *locator_name(uint32_t k)
{
    static const char *const names[RULES] = { "second-step",  "check",    "mend",
                                              "judge",        "surprise", "verdict",
                                              "most-probable" };
    return k < RULES ? names[k] : pipe_check_rule_name((enum pipe_check_rule)(k - RULES));
}

/* What a reader knows: nothing, whether the final answer is right, or the right one. */
enum knows { NOT_KNOWN, KNOWN, GIVEN, KNOWS };

/* What was said: of each locator by record, for each kind of reader. */
struct scoring {
    struct cli *cli;
    const char *path;
    struct pipe_labelled_set set;
    struct pipe_judgement *judged; /* by record; NULL: no model was given */
    int32_t *said[KNOWS][LOCATORS];
    FILE *evidence;
};

/* ---- asking ---- */

static uint32_t most(const struct pipe_labelled *item, const struct pipe_judgement *j,
                     bool surprise)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < item->step_count; k++)
        if (surprise ? j->surprise[k] > j->surprise[best] : j->first[k] > j->first[best])
            best = k;
    return best;
}

/* Whether some step is more likely the first wrong one than that none is: the score of "none"
 * is what is left of the last step's. */
static bool doubts(const struct pipe_labelled *item, const struct pipe_judgement *j)
{
    return j->first[most(item, j, false)] > j->none;
}

static rt_status put_evidence(struct scoring *s, const struct pipe_labelled *item,
                              const struct pipe_testimony *t)
{
    char *line = NULL;
    const char *slash = strrchr(s->path, '/');
    if (!s->evidence || item->label < 0)
        return RT_OK;
    rt_status st = pipe_case_line(&s->cli->ctx, slash ? slash + 1 : s->path,
                                  (uint32_t)item->label, t, &line);
    if (st == RT_OK && fprintf(s->evidence, "%s\n", line) < 0)
        st = rt_fail(&s->cli->ctx, RT_ERR_IO, "the evidence cannot be written");
    rt_free(line);
    return st;
}

static rt_status ask_one(struct scoring *s, uint32_t i)
{
    const struct pipe_labelled *item = &s->set.items[i];
    const struct pipe_judgement *j =
        s->judged && s->judged[i].first ? &s->judged[i] : NULL;
    struct pipe_checked c;
    struct pipe_mended mended;
    struct pipe_fault verdict;
    double p;
    pipe_locate_check(item->question, item->text, item->steps, item->step_count, &c);
    pipe_mend(&s->cli->ctx, item->question, item->text, item->steps, item->step_count,
              item->answer, &mended);
    struct pipe_testimony t = { .step_count = item->step_count,
                                .check = &c,
                                .twin = -1,
                                .mend_sign = mended.sign != 0,
                                .judge = j ? j->first : NULL };
    for (int known = 0; known < KNOWS; known++) {
        t.mend = known == GIVEN ? (uint32_t)(mended.step + 1) : 0;
        pipe_verdict(&t, NULL, NULL, PIPE_CAT_NONE, &verdict);
        const bool may = known || c.step >= 0 || (j && doubts(item, j));
        int32_t **said = s->said[known];
        said[SECOND_STEP][i] = item->step_count > 1;
        said[CHECK][i] = c.step;
        said[MEND][i] = known == GIVEN ? mended.step : -1;
        said[JUDGE][i] =
            j && (known || doubts(item, j)) ? (int32_t)most(item, j, false) : -1;
        said[SURPRISE][i] = j ? (int32_t)most(item, j, true) : -1;
        said[VERDICT][i] = may ? verdict.step : -1;
        said[MOST_PROBABLE][i] = may ? pipe_most_probable(&t, pipe_weights, &p) : -1;
        for (int r = 0; r < PIPE_CHECK_RULE_COUNT; r++)
            said[RULES + r][i] = (int32_t)c.named[r] - 1;
    }
    if (s->cli->verbosity > 0 && c.step >= 0)
        cli_say(s->cli, "%s %u: label %d, check %d %s: %.*s", s->path, i, item->label,
                c.step, c.evidence,
                (int)(item->steps[c.step].char_end - item->steps[c.step].char_start),
                item->text + item->steps[c.step].char_start);
    return put_evidence(s, item, &t);
}

static rt_status ask_model(struct scoring *s, const char *model)
{
    rt_status st;
    uint64_t tokens;
    struct pipe_session session = { 0 };
    const uint64_t started = rt_time_ns();
    s->judged = rt_alloc(&s->cli->ctx, s->set.count, sizeof *s->judged);
    if (!s->judged)
        return rt_fail(&s->cli->ctx, RT_ERR_HOST_MEMORY, "scoring: no memory");
    TRY(cli_session_open(s->cli, model, &pipe_format_judge, "locate-score", "{}",
                         &session));
    TRY(pipe_judge_set(&session, model, &s->set, s->judged, &tokens));
    cli_progress_end(s->cli);
    cli_say(s->cli, "%s: %llu tokens read by the judge in %.0f s", s->path,
            (unsigned long long)tokens, (double)(rt_time_ns() - started) * 1e-9);

fail:
    pipe_session_close(&session);
    return st;
}

static rt_status ask(struct scoring *s)
{
    rt_status st;
    const char *model = cli_value(s->cli, "model", NULL);
    const char *evidence = cli_value(s->cli, "evidence", NULL);
    for (uint32_t k = 0; k < KNOWS * LOCATORS; k++) {
        int32_t **said = &s->said[k / LOCATORS][k % LOCATORS];
        *said = rt_alloc(&s->cli->ctx, s->set.count, sizeof **said);
        if (!*said)
            return rt_fail(&s->cli->ctx, RT_ERR_HOST_MEMORY, "scoring: no memory");
    }
    if (model)
        TRY(ask_model(s, model));
    if (evidence && !(s->evidence = fopen(evidence, "a")))
        return rt_fail(&s->cli->ctx, RT_ERR_IO, "'%s' cannot be written", evidence);
    for (uint32_t i = 0; i < s->set.count; i++)
        TRY(ask_one(s, i));
    return RT_OK;

fail:
    return st;
}

/* ---- printing ---- */

static void print_row(const struct scoring *s, uint32_t k, const char *kind,
                      enum knows known, const struct pipe_locator_score *r)
{
    static const char *const words[KNOWS] = { "not known", "known", "given" };
    const uint32_t wrongly = r->clean - r->kept;
    const uint32_t all = r->named + wrongly;
    printf("%s\t%s\t%s\t%s\t%u\t%u\t%u\t%u\t%u\t%u\t%.3f\t[%.3f, %.3f]\t%.3f\t[%.3f, "
           "%.3f]\t%.3f\t[%.3f, %.3f]\t%+.2f\n",
           s->path, kind ? kind : "all", locator_name(k), words[known], r->faulty,
           r->clean, r->named, r->exact, r->near_one, wrongly,
           r->faulty ? (double)r->exact / r->faulty : 0.0, r->exact_interval.low,
           r->exact_interval.high, all ? (double)r->exact / all : 0.0,
           r->precision_interval.low, r->precision_interval.high, r->f1,
           r->f1_interval.low, r->f1_interval.high, r->offset);
}

/* What the records tell at most. */
static enum knows most_known(const struct scoring *s)
{
    enum knows most = NOT_KNOWN;
    for (uint32_t i = 0; i < s->set.count; i++) {
        if (s->set.items[i].answer[0])
            return GIVEN;
        if (s->set.items[i].final != PIPE_FINAL_UNKNOWN)
            most = KNOWN;
    }
    return most;
}

/* All locators that speak, over one kind of records (null: all), for every reader that the
 * records allow. What the right answer adds is shown where it adds something. */
static rt_status print_kind(struct scoring *s, const char *kind)
{
    rt_status st;
    for (uint32_t k = 0; k < LOCATORS; k++)
        for (int known = (int)most_known(s); known >= 0; known--) {
            struct pipe_locator_score r;
            bool any = false, other = known != GIVEN;
            for (uint32_t i = 0; i < s->set.count; i++) {
                any |= s->said[known == GIVEN ? GIVEN : KNOWN][k][i] >= 0;
                other |= s->said[known][k][i] != s->said[KNOWN][k][i];
            }
            if (!any || !other)
                continue;
            TRY(pipe_locator_score_kind(&s->cli->ctx, &s->set, s->said[known][k],
                                        known != NOT_KNOWN, kind, 1, &r));
            print_row(s, k, kind, (enum knows)known, &r);
        }
    return RT_OK;

fail:
    return st;
}

/* With --kinds also each generator, or kind of fault, by itself. */
static rt_status print_scores(struct scoring *s)
{
    rt_status st;
    TRY(print_kind(s, NULL));
    for (uint32_t i = 0; cli_flag(s->cli, "kinds") && i < s->set.count; i++) {
        bool seen = false;
        for (uint32_t e = 0; e < i && !seen; e++)
            seen = strcmp(s->set.items[e].kind, s->set.items[i].kind) == 0;
        if (!seen)
            TRY(print_kind(s, s->set.items[i].kind));
    }
    return RT_OK;

fail:
    return st;
}

/* ---- files ---- */

/* Keeps `limit` records, drawn by the seed, in the order of the file. */
static rt_status draw_records(struct cli *cli, struct pipe_labelled_set *set)
{
    rt_status st;
    int64_t limit, seed;
    uint32_t kept = 0;
    TRY(cli_number(cli, "limit", 0, 1, UINT32_MAX, &limit));
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    for (uint32_t i = 0; limit && i < set->count; i++) {
        /* of what is left, as many as are still wanted */
        const uint32_t left = set->count - i, wanted = (uint32_t)limit - kept;
        const uint32_t word =
            philox_word(i, 0, 0, 0x6c696d69u, (uint32_t)seed, (uint32_t)(seed >> 32));
        if (kept < limit && ((uint64_t)word * left) >> 32 < wanted)
            set->items[kept++] = set->items[i];
    }
    if (limit)
        set->count = kept;
    return RT_OK;

fail:
    return st;
}

static rt_status score_file(struct cli *cli, const char *format, const char *path)
{
    rt_status st;
    struct scoring s = { .cli = cli, .path = path };
    TRY(pipe_labelled_read(&cli->ctx, format, path, &s.set));
    TRY(draw_records(cli, &s.set));
    TRY(ask(&s));
    TRY(print_scores(&s));

fail:
    for (uint32_t k = 0; k < KNOWS * LOCATORS; k++)
        rt_free(s.said[k / LOCATORS][k % LOCATORS]);
    if (s.evidence && fclose(s.evidence) != 0 && st == RT_OK)
        st = rt_fail(&cli->ctx, RT_ERR_IO, "the evidence cannot be written");
    pipe_judgements_free(s.judged, s.set.count);
    rt_free(s.judged);
    pipe_labelled_deinit(&s.set);
    return st;
}

rt_status cli_locate_score(struct cli *cli, const char *format)
{
    rt_status st;
    TRY(pipe_labelled_check_format(&cli->ctx, format));
    if (cli->positional_count == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "locate --score %.40s: a file of labelled solutions is needed",
                       format);
    puts("file\tkind\tlocator\tfinal answer\tfaulty\tclean\tnamed\texact\twithin "
         "one\twrongly\texact accuracy\t95 %\tprecision\t95 %\tF1\t95 %\toffset");
    for (int i = 0; i < cli->positional_count; i++)
        TRY(score_file(cli, format, cli->positional[i]));
    return RT_OK;

fail:
    return st;
}

/* ---- injected faults ---- */

static rt_status write_set(struct cli *cli, const struct pipe_labelled_set *set)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < set->count; i++) {
        char *line = NULL;
        TRY(pipe_labelled_line(&cli->ctx, &set->items[i], &line));
        puts(line);
        rt_free(line);
    }

fail:
    return st;
}

rt_status cli_locate_inject(struct cli *cli, const char *format)
{
    rt_status st;
    int64_t want, seed;
    struct pipe_labelled_set from = { 0 }, made = { 0 };
    TRY(pipe_labelled_check_format(&cli->ctx, format));
    TRY(cli_number(cli, "injected", 500, 1, 100000, &want));
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    if (cli->positional_count != 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "locate --inject %.40s: one file of right solutions is needed",
                       format);
    TRY(pipe_labelled_read(&cli->ctx, format, cli->positional[0], &from));
    TRY(pipe_inject_set(&cli->ctx, &from, (uint32_t)want, (uint64_t)seed, &made));
    cli_say(cli, "%u solutions altered, of %u", made.count, from.count);
    TRY(write_set(cli, &made));

fail:
    pipe_labelled_deinit(&made);
    pipe_labelled_deinit(&from);
    return st;
}

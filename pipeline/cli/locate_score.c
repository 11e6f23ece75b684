/* pipeline/cli/locate_score.c
 * Reads labelled solutions, asks the locators that need no model, and prints how often they
 * name the labelled step. */
#include "pipeline/cli/locate_score.h"

#include "pipeline/locate/inject_set.h"
#include "pipeline/locate/score.h"
#include "pipeline/prompt/locate_check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCATORS = 2 + PIPE_CHECK_RULE_COUNT };

/* Row 0 is the baseline, row 1 the check, the others its rules by themselves. */
static const char *locator_name(uint32_t k)
{
    return k == 0   ? "second-step"
           : k == 1 ? "check"
                    : pipe_check_rule_name((enum pipe_check_rule)(k - 2));
}

struct scoring {
    struct cli *cli;
    const char *path;
    struct pipe_labelled_set set;
    int32_t *said[LOCATORS]; /* by record */
    uint32_t rules[PIPE_CHECK_RULE_COUNT];
};

static rt_status ask(struct scoring *s)
{
    for (uint32_t k = 0; k < LOCATORS; k++) {
        s->said[k] = rt_alloc(&s->cli->ctx, s->set.count, sizeof **s->said);
        if (!s->said[k])
            return rt_fail(&s->cli->ctx, RT_ERR_HOST_MEMORY, "scoring: no memory");
    }
    for (uint32_t i = 0; i < s->set.count; i++) {
        const struct pipe_labelled *item = &s->set.items[i];
        struct pipe_checked c;
        pipe_locate_check(item->question, item->text, item->steps, item->step_count, &c);
        s->said[0][i] = item->step_count > 1;
        s->said[1][i] = c.step;
        for (int r = 0; r < PIPE_CHECK_RULE_COUNT; r++)
            s->said[2 + r][i] = (int32_t)c.named[r] - 1;
        if (s->cli->verbosity > 0 && c.step >= 0)
            cli_say(s->cli, "%s %u label %d named %d %s | %.*s", s->path, i, item->label,
                    c.step, c.evidence,
                    (int)(item->steps[c.step].char_end - item->steps[c.step].char_start),
                    item->text + item->steps[c.step].char_start);
    }
    return RT_OK;
}

static void print_row(const struct scoring *s, uint32_t k, const char *kind, bool known,
                      const struct pipe_locator_score *r)
{
    const uint32_t wrongly = r->clean - r->kept;
    const uint32_t all = r->named + wrongly;
    printf("%s\t%s\t%s\t%s\t%u\t%u\t%u\t%u\t%u\t%u\t%.3f\t[%.3f, %.3f]\t%.3f\t[%.3f, "
           "%.3f]\t%.3f\t[%.3f, %.3f]\n",
           s->path, kind ? kind : "all", locator_name(k), known ? "known" : "not known",
           r->faulty, r->clean, r->named, r->exact, r->near_one, wrongly,
           r->faulty ? (double)r->exact / r->faulty : 0.0, r->exact_interval.low,
           r->exact_interval.high, all ? (double)r->exact / all : 0.0,
           r->precision_interval.low, r->precision_interval.high, r->f1,
           r->f1_interval.low, r->f1_interval.high);
}

/* All locators that speak, over one kind of records (null: all). The final answer may be known
 * or not, where the records tell it. */
static rt_status print_kind(struct scoring *s, const char *kind)
{
    rt_status st;
    bool told = false;
    for (uint32_t i = 0; i < s->set.count; i++)
        told |= s->set.items[i].final == PIPE_FINAL_RIGHT;
    for (uint32_t k = 0; k < LOCATORS; k++) {
        bool any = false;
        for (uint32_t i = 0; i < s->set.count; i++)
            any |= s->said[k][i] >= 0;
        for (int known = told; any && known >= 0; known--) {
            struct pipe_locator_score r;
            TRY(pipe_locator_score_kind(&s->cli->ctx, &s->set, s->said[k], known != 0,
                                        kind, 1, &r));
            print_row(s, k, kind, known != 0, &r);
        }
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

static rt_status score_file(struct cli *cli, const char *format, const char *path)
{
    rt_status st;
    struct scoring s = { .cli = cli, .path = path };
    TRY(pipe_labelled_read(&cli->ctx, format, path, &s.set));
    TRY(ask(&s));
    TRY(print_scores(&s));

fail:
    for (uint32_t k = 0; k < LOCATORS; k++)
        rt_free(s.said[k]);
    pipe_labelled_deinit(&s.set);
    return st;
}

rt_status cli_locate_score(struct cli *cli, const char *format)
{
    rt_status st;
    if (cli->positional_count == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "locate --score %.40s: a file of labelled solutions is needed",
                       format);
    puts("file\tkind\tlocator\tfinal answer\tfaulty\tclean\tnamed\texact\twithin "
         "one\twrongly\texact accuracy\t95 %\tprecision\t95 %\tF1\t95 %");
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

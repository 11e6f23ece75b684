/* pipeline/cli/locate_score.c
 * locate on files: labelled solutions scored or made, and the weights of the verdict. */
#include "pipeline/cli/locate_score.h"

#include "pipeline/cli/cli_session.h"
#include "pipeline/locate/inject_set.h"
#include "pipeline/locate/score_set.h"
#include "pipeline/locate/weights_cross.h"
#include "runtime/base/json_put.h"

#include <stdio.h>
#include <string.h>

/* ---- --score ---- */

struct scoring {
    struct cli *cli;
    const char *path;
};

static void print_table_row(const struct scoring *s, const struct pipe_score_row *row)
{
    const struct pipe_locator_score *r = &row->score;
    printf("%s\t%s\t%s\t%s\t%u\t%u\t%u\t%u\t%u\t%u\t%.3f\t[%.3f, %.3f]\t%.3f\t[%.3f, "
           "%.3f]\t%.3f\t[%.3f, %.3f]\t%+.3f\t[%+.3f, %+.3f]\t%+.2f\t%llu\n",
           s->path, row->kind ? row->kind : "all", pipe_scored_name(row->locator),
           pipe_knows_name(row->known), r->faulty, r->clean, r->named, r->exact,
           r->near_one, row->wrongly, row->exact, r->exact_interval.low,
           r->exact_interval.high, row->precision, r->precision_interval.low,
           r->precision_interval.high, r->f1, r->f1_interval.low, r->f1_interval.high,
           r->more, r->more_interval.low, r->more_interval.high, r->offset,
           (unsigned long long)row->tokens);
}

/* A share or a difference of shares with its interval: NAME, NAME_low, NAME_high. */
static void put_share(const char *name, double value, const struct pipe_interval *i)
{
    char part[48];
    rt_json_number(stdout, name, value);
    snprintf(part, sizeof part, "%s_low", name);
    rt_json_number(stdout, part, i->low);
    snprintf(part, sizeof part, "%s_high", name);
    rt_json_number(stdout, part, i->high);
}

static void print_json_row(const struct scoring *s, const struct pipe_score_row *row)
{
    const struct pipe_locator_score *r = &row->score;
    fputs("{\"file\":", stdout);
    rt_json_text(stdout, s->path);
    rt_json_member(stdout, "kind", row->kind ? row->kind : "all");
    rt_json_member(stdout, "locator", pipe_scored_name(row->locator));
    rt_json_member(stdout, "final_answer", pipe_knows_name(row->known));
    rt_json_count(stdout, "faulty", r->faulty);
    rt_json_count(stdout, "clean", r->clean);
    rt_json_count(stdout, "named", r->named);
    rt_json_count(stdout, "exact", r->exact);
    rt_json_count(stdout, "within_one", r->near_one);
    rt_json_count(stdout, "wrongly", row->wrongly);
    put_share("exact_accuracy", row->exact, &r->exact_interval);
    put_share("precision", row->precision, &r->precision_interval);
    put_share("f1", r->f1, &r->f1_interval);
    put_share("f1_over_second_step", r->more, &r->more_interval);
    rt_json_number(stdout, "offset", r->offset);
    rt_json_count(stdout, "tokens", row->tokens);
    fputs("}\n", stdout);
}

static void print_row(void *user, const struct pipe_score_row *row)
{
    const struct scoring *s = user;
    if (cli_flag(s->cli, "json"))
        print_json_row(s, row);
    else
        print_table_row(s, row);
}

static void say_named(void *user, uint32_t record, const struct pipe_labelled *item,
                      const struct pipe_checked *c)
{
    const struct scoring *s = user;
    const struct pipe_step *step = &item->steps[c->step];
    cli_say(s->cli, "%s %u: label %d, check %d %s: %.*s", s->path, record, item->label,
            c->step, c->evidence, (int)(step->char_end - step->char_start),
            item->text + step->char_start);
}

static rt_status ask_judge(struct cli *cli, const char *model, struct pipe_score_set *set)
{
    rt_status st;
    uint64_t tokens;
    struct pipe_session session = { 0 };
    const uint64_t started = rt_time_ns();
    TRY(cli_session_open(cli, model, &pipe_format_judge, "locate-score", "{}", &session));
    TRY(pipe_score_judge(&session, model, set, &tokens));
    cli_progress_end(cli);
    cli_say(cli, "%s: %llu tokens read by the judging model, %.0f s of work now",
            set->name, (unsigned long long)tokens,
            (double)(rt_time_ns() - started) * 1e-9);

fail:
    cli_session_close(cli, &session);
    return st;
}

/* What the model is asked: to judge, unless --locators says something else. */
struct asked {
    const char *model; /* NULL: none is there */
    bool judge, rollout;
};

static rt_status read_asked(struct cli *cli, struct asked *out)
{
    const char *list = cli_value(cli, "locators", NULL);
    *out = (struct asked){ .model = cli_value(cli, "model", NULL), .judge = !list };
    for (const char *at = list ? list : ""; *at; at += *at == ',') {
        const size_t n = strcspn(at, ",");
        const bool judge = n == 5 && strncmp(at, "judge", n) == 0;
        const bool rollout = n == 7 && strncmp(at, "rollout", n) == 0;
        if (!judge && !rollout)
            return rt_fail(
                &cli->ctx, RT_ERR_USAGE,
                "--score asks the locators judge and rollout beside those that "
                "need no model, not '%.*s'",
                n < 40 ? (int)n : 40, at);
        out->judge |= judge;
        out->rollout |= rollout;
        at += n;
    }
    if (list && !out->model)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--locators %.40s with --score needs --model DIR", list);
    return RT_OK;
}

static rt_status score_file(struct cli *cli, const char *format, const char *path)
{
    rt_status st;
    int64_t limit, seed;
    struct asked asked;
    struct scoring user = { cli, path };
    struct pipe_score_set set = { .name = path,
                                  .final_known = cli_flag(cli, "final-known") };
    const struct pipe_score_calls calls = { .evidence = cli_value(cli, "evidence", NULL),
                                            .named =
                                                cli->verbosity > 0 ? say_named : NULL,
                                            .user = &user };
    TRY(read_asked(cli, &asked));
    TRY(pipe_labelled_read(&cli->ctx, format, path, &set.set));
    TRY(cli_number(cli, "limit", 0, 1, UINT32_MAX, &limit));
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    pipe_labelled_draw(&set.set, (uint32_t)limit, (uint64_t)seed);
    if (asked.model && asked.judge)
        TRY(ask_judge(cli, asked.model, &set));
    if (asked.model && asked.rollout)
        TRY(cli_score_rollouts(cli, asked.model, &set));
    else
        TRY(cli_score_answers(cli, NULL, &set));
    TRY(pipe_score_ask(&cli->ctx, &set, &calls));
    TRY(pipe_score_each(&cli->ctx, &set, cli_flag(cli, "kinds"), print_row, &user));

fail:
    pipe_score_set_deinit(&set);
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
    if (!cli_flag(cli, "json"))
        puts("file\tkind\tlocator\tfinal answer\tfaulty\tclean\tnamed\texact\twithin "
             "one\twrongly\texact accuracy\t95 %\tprecision\t95 %\tF1\t95 %\tF1 over "
             "second-step\t95 %\toffset\ttokens");
    for (int i = 0; i < cli->positional_count; i++)
        TRY(score_file(cli, format, cli->positional[i]));

fail:
    return st;
}

/* ---- --inject ---- */

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
    TRY(pipe_labelled_write(&cli->ctx, &made, stdout));

fail:
    pipe_labelled_deinit(&made);
    pipe_labelled_deinit(&from);
    return st;
}

/* ---- --fit ---- */

static void print_cross(void *user, const struct pipe_cross_row *r)
{
    (void)user;
    fprintf(stderr, "%-28s %-10s %6u %6u %6u   %.3f [%.3f, %.3f]   %.3f [%.3f, %.3f]\n",
            r->set, r->locator, r->total, r->named, r->right, r->precision,
            r->precision_interval.low, r->precision_interval.high, r->recall,
            r->recall_interval.low, r->recall_interval.high);
}

rt_status cli_locate_fit(struct cli *cli)
{
    rt_status st;
    struct pipe_cases cases = { 0 };
    double weights[PIPE_SIGNS], sures[PIPE_SURES];
    if (cli->positional_count == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "locate --fit: files made with --evidence are needed");
    for (int i = 0; i < cli->positional_count; i++)
        TRY(pipe_cases_read(&cli->ctx, cli->positional[i], &cases));
    TRY(pipe_weights_fit(&cli->ctx, &cases, NULL, weights));
    TRY(pipe_sures_fit(&cli->ctx, &cases, NULL, weights, sures));
    TRY(pipe_sures_least(&cli->ctx, &cases, &sures[PIPE_SURE_least]));
    fprintf(stderr, "%-28s %-10s %6s %6s %6s   precision               recall\n", "set",
            "locator", "faults", "named", "right");
    TRY(pipe_weights_cross(&cli->ctx, &cases, weights, sures, print_cross, NULL));
    for (int s = 0; s < PIPE_SIGNS; s++)
        printf("SIGN(%s, %.4f)\n", pipe_sign_name((enum pipe_sign)s), weights[s]);
    for (int s = 0; s < PIPE_SURES; s++)
        printf("SURE(%s, %.4f)\n", pipe_sure_name((enum pipe_sure)s), sures[s]);

fail:
    pipe_cases_deinit(&cases);
    return st;
}

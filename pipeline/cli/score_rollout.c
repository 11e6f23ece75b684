/* pipeline/cli/score_rollout.c
 * locate --score with roll-outs: right final answers joined to records, the model asked, and
 * what each record got and cost. */
#include "pipeline/cli/locate_score.h"

#include "pipeline/cli/cli_session.h"
#include "pipeline/run/eval_spec.h"
#include "pipeline/run/problem_source.h"
#include "runtime/base/json_put.h"

#include <stdio.h>

static rt_status join_from(struct cli *cli, struct store *store,
                           struct pipe_labelled_set *set)
{
    rt_status st;
    uint32_t joined, before = 0;
    struct pipe_problem_set problems = { 0 };
    const char *from = cli_value(cli, "answers", NULL);
    for (uint32_t i = 0; i < set->count; i++)
        before += set->items[i].answer[0] != '\0';
    TRY(pipe_problems_open(&cli->ctx, cli_host(cli), store, from, PIPE_FOR_MEASURING,
                           &problems));
    TRY(pipe_labelled_join(&cli->ctx, set, &problems, &joined));
    cli_say(cli, "%s: the right final answer of %u records, %u of %u have it", from,
            joined, before + joined, set->count);

fail:
    pipe_problems_deinit(&problems);
    return st;
}

rt_status cli_score_answers(struct cli *cli, struct store *open, struct pipe_score_set *s)
{
    rt_status st = RT_OK;
    struct store *store = NULL;
    if (!cli_flag(cli, "answers"))
        return RT_OK;
    if (!open)
        TRY(cli_store_open(cli, STORE_READ, &store));
    TRY(join_from(cli, open ? open : store, &s->set));

fail:
    store_close(&store);
    return st;
}

/* ---- per record ---- */

static void print_json_record(const char *path, const struct pipe_labelled *item,
                              const struct pipe_rolled *r)
{
    fputs("{\"file\":", stdout);
    rt_json_text(stdout, path);
    rt_json_member(stdout, "record", item->id);
    rt_json_member(stdout, "locator", "rollout");
    rt_json_member(stdout, "state", pipe_rolled_name(r->state));
    rt_json_number(stdout, "label", item->label);
    if (r->step >= 0)
        rt_json_count(stdout, "step", (uint64_t)r->step);
    else
        fputs(",\"step\":null", stdout);
    fputs(r->lost_from_start ? ",\"lost_from_start\":true" : ",\"lost_from_start\":false",
          stdout);
    rt_json_count(stdout, "steps", item->step_count);
    rt_json_count(stdout, "prefixes", r->prefixes);
    rt_json_count(stdout, "tokens", r->tokens);
    fputs("}\n", stdout);
}

static void say_record(struct cli *cli, const char *path,
                       const struct pipe_labelled *item, const struct pipe_rolled *r)
{
    char said[80] = "names no step";
    if (r->state == PIPE_ROLLED_RIGHT)
        return;
    if (r->step >= 0)
        snprintf(said, sizeof said, "names step %d", r->step);
    else if (r->state == PIPE_ROLLED_NO_ANSWER)
        snprintf(said, sizeof said, "abstains: the right final answer is not known");
    else if (r->lost_from_start)
        snprintf(said, sizeof said,
                 "abstains: the model does not solve the problem by itself");
    cli_say(cli, "%s %s: label %d, rollout %s; %u prefixes, %llu tokens", path, item->id,
            item->label, said, r->prefixes, (unsigned long long)r->tokens);
}

static void print_records(struct cli *cli, const struct pipe_score_set *s, double seconds)
{
    uint32_t counts[3] = { 0 };
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < s->set.count; i++) {
        counts[s->rolled[i].state]++;
        tokens += s->rolled[i].tokens;
        say_record(cli, s->name, &s->set.items[i], &s->rolled[i]);
        if (cli_flag(cli, "json"))
            print_json_record(s->name, &s->set.items[i], &s->rolled[i]);
    }
    cli_say(cli,
            "%s: %u of %u records asked, %u end right, %u without a right final answer; "
            "%llu tokens written in roll-outs, %.0f s of work now",
            s->name, counts[PIPE_ROLLED_ASKED], s->set.count, counts[PIPE_ROLLED_RIGHT],
            counts[PIPE_ROLLED_NO_ANSWER], (unsigned long long)tokens, seconds);
}

rt_status cli_score_rollouts(struct cli *cli, const char *model, struct pipe_score_set *s)
{
    rt_status st;
    int64_t samples;
    const struct pipe_prompt_format *format;
    struct pipe_session session = { 0 };
    const uint64_t started = rt_time_ns();
    TRY(cli_number(cli, "samples", 0, 0, PIPE_SAMPLES_MAX, &samples));
    TRY(pipe_format_named(&cli->ctx, cli_value(cli, "format", "chat-boxed"), &format));
    TRY(cli_session_open(cli, model, format, "locate-score", "{}", &session));
    TRY(cli_score_answers(cli, session.store, s));
    TRY(pipe_score_rollouts(&session, model, (uint32_t)samples, s));
    cli_progress_end(cli);
    print_records(cli, s, (double)(rt_time_ns() - started) * 1e-9);

fail:
    cli_session_close(cli, &session);
    return st;
}

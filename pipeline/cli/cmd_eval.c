/* pipeline/cli/cmd_eval.c
 * eval: answers of variants to lists of problems, one plan that goes on where it stopped. */
#include "pipeline/cli/cli_session.h"

#include "pipeline/cli/eval_damage.h"
#include "pipeline/run/tally.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "role", "NAME",
      "full, quant, restored or control (default full; with --adapter restored)" },
    { "variant", "[ROLE[:LABEL]=]DIR[+ADAPTER]",
      "the three in one, and what it is called (default: its role); may be given several "
      "times" },
    { "problems", "FILE",
      "FILE[0:500], or a data set: gsm8k:test[0:200]; may be given several times" },
    { "bench", "FILE", "the same" },
    { "format", "NAME",
      "demo, gsm8k-8shot-cot, math-4shot-minerva, chat-boxed, chat-steps or aime "
      "(default: the usual one of the data set, else demo)" },
    { "chat-format", "NAME", "chat format (default: the model's own chat template)" },
    { "chat-date", "YYYY-MM-DD", "the date that chat templates ask for" },
    { "examples", "FILE", "worked examples of a format, once" },
    { "max-new", "N", "tokens of an answer at most (default: the format's)" },
    { "limit", "N", "only the first N problems of each list" },
    { "samples", "K", "answers per problem (needs --temp)" },
    { "temp", "T", "draw at this temperature (default 0: greedy)" },
    { "top-p", "P", "of the drawn ones (default 0.95)" },
    { "rescue", "N",
      "take a greedy answer that repeats itself back to before that, at most N times "
      "(1 to 64; default: never)" },
    { "shard", "M/N", "every N-th problem, from the M-th" },
    { "slots", "N", "requests at once at most (default: what fits, up to 64)" },
    { "damage", NULL,
      "also hold every variant against full: paired test, lengths, endings, loops, KL "
      "and "
      "first differing tokens on whole lists, kept as metrics" },
    { "time-limit", "TIME", "begin nothing after 90s, 15m, 1h30m; ends with code 5" },
    { NULL, NULL, NULL },
};

/* ---- what is asked for: variants x lists of problems x samples ---- */

enum { VARIANTS_MAX = PIPE_DAMAGE_VARIANTS_MAX, BENCHES_MAX = PIPE_DAMAGE_LISTS_MAX };

struct eval_plan {
    struct pipe_variant_spec variants[VARIANTS_MAX];
    uint32_t variant_count;
    const char *benches[BENCHES_MAX]; /* borrowed from the command line */
    uint32_t bench_count;
    const struct pipe_prompt_format *format; /* of --format, null: the usual of each */
    struct pipe_wanted ask;
    uint32_t rescues; /* of every variant; 0: none */
};

/* Room for one more. */
static rt_status add_variant(struct cli *cli, struct eval_plan *plan,
                             struct pipe_variant_spec **out)
{
    if (plan->variant_count == VARIANTS_MAX)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "more than %d variants", VARIANTS_MAX);
    *out = &plan->variants[plan->variant_count++];
    return RT_OK;
}

/* Repeated options, in the order given. */
static rt_status read_lists(struct cli *cli, struct eval_plan *plan)
{
    rt_status st = RT_OK;
    struct pipe_variant_spec *v = NULL;
    const char *model = cli_value(cli, "model", NULL);
    if (model) {
        TRY(add_variant(cli, plan, &v));
        TRY(pipe_variant_spec_make(&cli->ctx, cli_value(cli, "role", ""), model,
                                   cli_value(cli, "adapter", NULL), v));
    }
    for (int i = 0; i < cli->given_count; i++) {
        const char *name = cli->given[i].name, *value = cli->given[i].value;
        if (strcmp(name, "variant") == 0) {
            TRY(add_variant(cli, plan, &v));
            TRY(pipe_variant_spec_parse(&cli->ctx, value, v));
        }
        if (strcmp(name, "bench") != 0 && strcmp(name, "problems") != 0)
            continue;
        if (plan->bench_count == BENCHES_MAX)
            return rt_fail(&cli->ctx, RT_ERR_USAGE, "more than %d lists of problems",
                           BENCHES_MAX);
        plan->benches[plan->bench_count++] = value;
    }
    if (plan->variant_count == 0 || plan->bench_count == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "eval needs --model DIR (or --variant) and --problems FILE (or "
                       "--bench)");

fail:
    return st;
}

static rt_status read_ask(struct cli *cli, struct pipe_wanted *ask)
{
    rt_status st;
    int64_t limit, samples, slots;
    double seconds;
    const char *time = cli_value(cli, "time-limit", NULL);
    *ask = pipe_wanted_all();
    ask->top_p = 0.95f;
    TRY(cli_number(cli, "limit", UINT32_MAX, 1, UINT32_MAX, &limit));
    TRY(cli_number(cli, "samples", 1, 1, 4096, &samples));
    TRY(cli_number(cli, "slots", 0, 1, 64, &slots));
    if (cli_value(cli, "shard", NULL))
        TRY(pipe_shard_parse(&cli->ctx, cli_value(cli, "shard", NULL), ask));
    TRY(cli_real(cli, "temp", 0, 100, &ask->temperature));
    TRY(cli_real(cli, "top-p", 1e-6, 1, &ask->top_p));
    ask->limit = (uint32_t)limit;
    ask->samples = (uint32_t)samples;
    ask->slots = (uint32_t)slots;
    if (samples > 1 && !(ask->temperature > 0))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--samples %lld of the greedy answer are all the same; give "
                       "--temp, as in --temp 0.6",
                       (long long)samples);
    if (time && !pipe_seconds_parse(time, &seconds))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--time-limit %.20s: a time is needed, as in 90s, 15m or 1h30m",
                       time);
    if (time)
        ask->deadline_ns = rt_time_ns() + (uint64_t)(seconds * 1e9);
    return RT_OK;

fail:
    return st;
}

/* What --damage counts is defined for greedy answers to whole lists. */
static rt_status check_damage(struct cli *cli, const struct eval_plan *plan)
{
    static const char *const others[] = { "limit", "shard", "samples", "temp" };
    const struct pipe_damage_plan asked = { .variants = plan->variants,
                                            .variant_count = plan->variant_count };
    if (!cli_flag(cli, "damage"))
        return RT_OK;
    for (size_t i = 0; i < RT_COUNT(others); i++)
        if (cli_flag(cli, others[i]))
            return rt_fail(
                &cli->ctx, RT_ERR_USAGE,
                "--damage needs greedy answers to whole lists; give it without "
                "--%s, and parts of lists as FILE[0:200]",
                others[i]);
    return pipe_damage_check(&cli->ctx, &asked);
}

static rt_status read_plan(struct cli *cli, struct eval_plan *out)
{
    rt_status st;
    *out = (struct eval_plan){ .variant_count = 0 };
    TRY(pipe_format_named(&cli->ctx, cli_value(cli, "format", NULL), &out->format));
    TRY(read_lists(cli, out));
    TRY(read_ask(cli, &out->ask));
    TRY(cli_rescues(cli, out->ask.temperature, &out->rescues));
    TRY(check_damage(cli, out));

fail:
    return st;
}

static const struct pipe_prompt_format *format_of(const struct eval_plan *plan,
                                                  const char *bench)
{
    return plan->format ? plan->format : pipe_format_usual(bench);
}

/* ---- what came out ---- */

static void print_json(const struct pipe_tally *t, const struct pipe_variant *v,
                       const char *bench, const char *run_id)
{
    fputs("{\"variant\":", stdout);
    rt_json_text(stdout, v->row.label);
    rt_json_member(stdout, "bench", bench);
    printf(",\"right\":%u,\"n\":%u,\"low\":%.6f,\"high\":%.6f,\"truncated\":%u,"
           "\"unparsed\":%u,\"undecided\":%u,\"degenerate\":%u,\"errors\":%u,",
           t->right, t->answers, t->interval.low, t->interval.high, t->truncated,
           t->unparsed, t->undecided, t->degenerate, t->errors);
    if (t->samples > 1)
        printf("\"samples\":%u,\"avg\":%.6f,\"avg_error\":%.6f,\"pass_at_k\":%.6f,"
               "\"pass_error\":%.6f,",
               t->samples, t->average, t->average_error, t->pass, t->pass_error);
    if (v->rescues)
        printf("\"rescue\":%u,\"rescued\":%u,\"tokens\":%llu,\"thrown_tokens\":%llu,",
               v->rescues, t->rescued, (unsigned long long)t->tokens,
               (unsigned long long)t->thrown);
    printf("\"run\":\"%s\"}\n", run_id);
}

static void print_words(const struct pipe_tally *t, const struct pipe_variant *v,
                        const char *bench)
{
    printf("%s, %s: ", bench, v->row.label);
    if (t->samples == 1)
        printf("%u of %u right: %.2f %% (95 %% %.2f to %.2f)", t->right, t->answers,
               100.0 * t->right / (t->answers ? t->answers : 1), 100 * t->interval.low,
               100 * t->interval.high);
    else
        printf("avg@%u %.2f %% (standard error over problems %.2f), pass@%u %.2f %% "
               "(%.2f), %u answers",
               t->samples, 100 * t->average, 100 * t->average_error, t->samples,
               100 * t->pass, 100 * t->pass_error, t->answers);
    printf(", %u truncated, %u unparsed, %u degenerate", t->truncated, t->unparsed,
           t->degenerate);
    if (v->rescues)
        printf(", %u taken out of a loop (%llu tokens, and %llu thrown away)", t->rescued,
               (unsigned long long)t->tokens, (unsigned long long)t->thrown);
    if (t->undecided)
        printf(", %u undecided", t->undecided);
    if (t->errors)
        printf(", %u could not be run", t->errors);
    putchar('\n');
}

/* ---- the work ---- */

struct evaluating {
    struct cli *cli;
    struct pipe_session session;
    struct eval_plan plan;
    struct pipe_bench benches[BENCHES_MAX];
    struct pipe_variant variant;
};

/* A model is loaded once for all lists: for the longest context that a format wants. */
static void plan_positions(struct evaluating *e)
{
    struct pipe_session *session = &e->session;
    for (uint32_t i = 0; i < e->plan.bench_count; i++) {
        const struct pipe_prompt_format *f = format_of(&e->plan, e->plan.benches[i]);
        const uint32_t given = session->new_tokens_given;
        const uint32_t context =
            pipe_format_context(f, given ? given : f->new_tokens_max);
        session->positions = context > session->positions ? context : session->positions;
    }
}

/* One variant on all lists. */
static rt_status measure(struct evaluating *e, const struct pipe_variant_spec *v)
{
    rt_status st;
    struct pipe_tally tally;
    const char *const *specs = e->plan.benches;
    pipe_variant_close(&e->variant);
    TRY(pipe_session_use(&e->session, v->folder, format_of(&e->plan, specs[0])));
    TRY(pipe_variant_load(&e->session, v->folder, v->adapter[0] ? v->adapter : NULL,
                          v->label, v->role, &e->variant));
    e->variant.rescues = e->plan.rescues;
    for (uint32_t i = 0; i < e->plan.bench_count; i++) {
        char run_id[STORE_ID] = "";
        uint32_t made;
        TRY(pipe_session_use(&e->session, v->folder, format_of(&e->plan, specs[i])));
        TRY(pipe_answers_make(&e->session, &e->variant, &e->benches[i], &e->plan.ask,
                              run_id, &made));
        TRY(pipe_tally_answers(&e->session, &e->benches[i], &e->plan.ask, run_id,
                               &tally));
        if (cli_flag(e->cli, "json"))
            print_json(&tally, &e->variant, e->benches[i].name, run_id);
        else
            print_words(&tally, &e->variant, e->benches[i].name);
    }

fail:
    return st;
}

/* After all answers are there. */
static rt_status tell_damage(struct evaluating *e)
{
    rt_status st;
    const struct eval_plan *plan = &e->plan;
    const struct pipe_prompt_format *formats[BENCHES_MAX];
    for (uint32_t i = 0; i < plan->bench_count; i++)
        formats[i] = format_of(plan, plan->benches[i]);
    const struct pipe_damage_plan asked = { .variants = plan->variants,
                                            .variant_count = plan->variant_count,
                                            .benches = e->benches,
                                            .formats = formats,
                                            .bench_count = plan->bench_count,
                                            .rescues = plan->rescues };
    struct pipe_damage_row *rows = rt_alloc(
        e->session.ctx, (size_t)plan->variant_count * plan->bench_count, sizeof *rows);
    if (!rows)
        return rt_fail(e->session.ctx, RT_ERR_HOST_MEMORY, "no memory");
    pipe_variant_close(&e->variant);
    TRY(pipe_damage_table(&e->session, &asked, rows));
    for (uint32_t i = 0; i < plan->bench_count; i++)
        cli_print_damage(e->cli, e->benches[i].name,
                         rows + (size_t)i * plan->variant_count, plan->variant_count);

fail:
    rt_free(rows);
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct evaluating *e = rt_alloc(&cli->ctx, 1, sizeof *e);
    if (!e)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory");
    TRY(read_plan(cli, &e->plan));
    e->cli = cli;
    TRY(cli_session_open(cli, e->plan.variants[0].folder,
                         format_of(&e->plan, e->plan.benches[0]), "eval", "{}",
                         &e->session));
    plan_positions(e);
    for (uint32_t i = 0; i < e->plan.bench_count; i++)
        TRY(pipe_bench_open(&e->session, e->plan.benches[i], "measure", &e->benches[i]));
    for (uint32_t i = 0; i < e->plan.variant_count; i++)
        TRY(measure(e, &e->plan.variants[i]));
    if (cli_flag(cli, "damage"))
        TRY(tell_damage(e));

fail:
    pipe_variant_close(&e->variant);
    for (uint32_t i = 0; i < BENCHES_MAX; i++)
        pipe_bench_close(&e->benches[i]);
    cli_session_close(cli, &e->session);
    rt_free(e);
    return st;
}

const struct cli_command cli_eval = { "eval",
                                      "generate and grade answers; resumes by itself",
                                      "--model DIR --problems FILE", options, run };

/* pipeline/cli/cmd_eval.c
 * eval: answers of variants to lists of problems, one plan that goes on where it stopped. */
#include "pipeline/cli/cli_session.h"
#include "pipeline/cli/eval_plan.h"

#include "pipeline/data/problem_index.h"
#include "pipeline/stats/statistics.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "role", "NAME",
      "full, quant, restored or control (default full; with --adapter restored)" },
    { "variant", "[ROLE=]DIR[+ADAPTER]", "the three in one; may be given several times" },
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
    { "samples", "K", "answers a problem (needs --temp)" },
    { "temp", "T", "draw at this temperature (default 0: greedy)" },
    { "top-p", "P", "of the drawn ones (default 0.95)" },
    { "shard", "M/N", "every N-th problem, from the M-th" },
    { "slots", "N", "requests at once at most (default: what fits, up to 64)" },
    { "time-limit", "TIME", "begin nothing after 90s, 15m, 1h30m; ends with code 5" },
    { NULL, NULL, NULL },
};

/* ---- what came out ---- */

struct tally {
    struct rt_ctx *ctx;
    uint32_t problems, samples; /* within the limit */
    struct pipe_index *index;
    uint32_t answers, right, truncated, unparsed, undecided, degenerate, errors;
    uint32_t *asked, *solved; /* by problem */
};

static rt_status count_answer(void *user, const struct store_answer *a)
{
    struct tally *t = user;
    struct pipe_form form;
    const uint32_t p = pipe_index_find(t->index, a->problem_id);
    if (p >= t->problems || a->sample >= t->samples)
        return RT_OK;
    pipe_form_of(a->ids, a->n_gen, a->finish, &form);
    t->answers++;
    t->right += a->correct;
    t->truncated += a->finish == PIPE_FINISH_LENGTH;
    t->errors += a->finish == PIPE_FINISH_ERROR;
    t->unparsed += !a->extract_ok;
    t->undecided += strncmp(a->reason, "undecided", 9) == 0;
    t->degenerate += pipe_form_degenerate(&form);
    t->asked[p]++;
    t->solved[p] += a->correct;
    return RT_OK;
}

/* Mean over problems of pass@k, of those with that many samples. */
static double mean_pass(const struct tally *t, uint32_t k, double *error, double *scratch)
{
    double mean;
    uint32_t n = 0;
    for (uint32_t p = 0; p < t->problems; p++)
        if (t->asked[p] >= k)
            scratch[n++] = pipe_pass_at_k(t->asked[p], t->solved[p], k);
    pipe_mean_error(scratch, n, &mean, error);
    return mean;
}

static void print_json(const struct tally *t, const struct pipe_variant *v,
                       const char *bench, const char *run_id, double *scratch)
{
    double error, pass;
    const struct pipe_interval w = pipe_wilson(t->right, t->answers);
    fputs("{\"variant\":", stdout);
    cli_print_json_text(v->row.label);
    fputs(",\"bench\":", stdout);
    cli_print_json_text(bench);
    const double mean = mean_pass(t, 1, &error, scratch);
    printf(",\"right\":%u,\"n\":%u,\"low\":%.6f,\"high\":%.6f,\"truncated\":%u,"
           "\"unparsed\":%u,\"undecided\":%u,\"degenerate\":%u,\"errors\":%u,",
           t->right, t->answers, w.low, w.high, t->truncated, t->unparsed, t->undecided,
           t->degenerate, t->errors);
    if (t->samples > 1) {
        printf("\"samples\":%u,\"avg\":%.6f,\"avg_error\":%.6f,", t->samples, mean,
               error);
        pass = mean_pass(t, t->samples, &error, scratch);
        printf("\"pass_at_k\":%.6f,\"pass_error\":%.6f,", pass, error);
    }
    printf("\"run\":\"%s\"}\n", run_id);
}

static void print_words(const struct tally *t, const struct pipe_variant *v,
                        const char *bench, double *scratch)
{
    double error;
    const struct pipe_interval w = pipe_wilson(t->right, t->answers);
    printf("%s, %s: ", bench, v->row.label);
    if (t->samples == 1) {
        printf("%u of %u right: %.2f %% (95 %% %.2f to %.2f)", t->right, t->answers,
               100.0 * t->right / (t->answers ? t->answers : 1), 100 * w.low,
               100 * w.high);
    } else {
        const double mean = mean_pass(t, 1, &error, scratch);
        printf("avg@%u %.2f %% (standard error over problems %.2f)", t->samples,
               100 * mean, 100 * error);
        const double pass = mean_pass(t, t->samples, &error, scratch);
        printf(", pass@%u %.2f %% (%.2f), %u answers", t->samples, 100 * pass,
               100 * error, t->answers);
    }
    printf(", %u truncated, %u unparsed, %u degenerate", t->truncated, t->unparsed,
           t->degenerate);
    if (t->undecided)
        printf(", %u undecided", t->undecided);
    if (t->errors)
        printf(", %u could not be run", t->errors);
    putchar('\n');
}

static rt_status tell(struct cli *cli, struct pipe_session *session,
                      const struct pipe_variant *v, const struct pipe_bench *bench,
                      const struct pipe_wanted *ask, const char *run_id)
{
    rt_status st;
    struct pipe_index index = { 0 };
    const uint32_t n = ask->limit < bench->set.count ? ask->limit : bench->set.count;
    struct tally t = {
        .ctx = session->ctx, .problems = n, .samples = ask->samples, .index = &index
    };
    double *scratch = rt_alloc(session->ctx, n, sizeof *scratch);
    t.asked = rt_alloc(session->ctx, n, sizeof *t.asked);
    t.solved = rt_alloc(session->ctx, n, sizeof *t.solved);
    if (!scratch || !t.asked || !t.solved) {
        st = rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory to count answers");
        goto fail;
    }
    TRY(pipe_index_init(session->ctx, &bench->set, &index));
    TRY(store_each_answer(session->store, run_id, count_answer, &t));
    if (cli_flag(cli, "json"))
        print_json(&t, v, bench->name, run_id, scratch);
    else
        print_words(&t, v, bench->name, scratch);

fail:
    pipe_index_deinit(&index);
    rt_free(scratch);
    rt_free(t.asked);
    rt_free(t.solved);
    return st;
}

/* ---- the plan ---- */

struct evaluating {
    struct cli *cli;
    struct pipe_session session;
    struct eval_plan plan;
    struct pipe_bench benches[EVAL_BENCHES_MAX];
    struct pipe_variant variant;
};

/* A model is loaded once for all lists: for the longest context that a format wants. */
static void plan_positions(struct evaluating *e)
{
    struct pipe_session *session = &e->session;
    for (uint32_t i = 0; i < e->plan.bench_count; i++) {
        const struct pipe_prompt_format *f = eval_format(&e->plan, e->plan.benches[i]);
        const uint32_t given = session->new_tokens_given;
        const uint32_t context =
            pipe_format_context(f, given ? given : f->new_tokens_max);
        session->positions = context > session->positions ? context : session->positions;
    }
}

/* One variant on all lists. */
static rt_status measure(struct evaluating *e, const struct eval_variant *v)
{
    rt_status st;
    const char *const *specs = e->plan.benches;
    pipe_variant_close(&e->variant);
    TRY(pipe_session_use(&e->session, v->folder, eval_format(&e->plan, specs[0])));
    TRY(pipe_variant_load(&e->session, v->folder, v->adapter[0] ? v->adapter : NULL,
                          v->role, v->role, &e->variant));
    for (uint32_t i = 0; i < e->plan.bench_count; i++) {
        char run_id[STORE_ID] = "";
        uint32_t made;
        TRY(pipe_session_use(&e->session, v->folder, eval_format(&e->plan, specs[i])));
        TRY(pipe_answers_make(&e->session, &e->variant, &e->benches[i], &e->plan.ask,
                              run_id, &made));
        TRY(tell(e->cli, &e->session, &e->variant, &e->benches[i], &e->plan.ask, run_id));
    }

fail:
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct evaluating *e = rt_alloc(&cli->ctx, 1, sizeof *e);
    if (!e)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory");
    TRY(eval_plan_read(cli, &e->plan));
    e->cli = cli;
    TRY(cli_session_open(cli, e->plan.variants[0].folder,
                         eval_format(&e->plan, e->plan.benches[0]), "eval", "{}",
                         &e->session));
    plan_positions(e);
    for (uint32_t i = 0; i < e->plan.bench_count; i++)
        TRY(pipe_bench_open(&e->session, e->plan.benches[i], "measure", &e->benches[i]));
    for (uint32_t i = 0; i < e->plan.variant_count; i++)
        TRY(measure(e, &e->plan.variants[i]));
    cli_print_profile(cli, e->session.dev);

fail:
    pipe_variant_close(&e->variant);
    for (uint32_t i = 0; i < EVAL_BENCHES_MAX; i++)
        pipe_bench_close(&e->benches[i]);
    pipe_session_close(&e->session);
    rt_free(e);
    return st;
}

const struct cli_command cli_eval = { "eval",
                                      "generate and grade answers; resumes by itself",
                                      "--model DIR --problems FILE", options, run };

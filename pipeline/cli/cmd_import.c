/* pipeline/cli/cmd_import.c
 * import: answers that another program produced become generations like any other, graded
 * here, with their provenance. All of a file or nothing of it. */
#include "pipeline/cli/cli.h"
#include "pipeline/run/eval_spec.h"
#include "pipeline/run/problem_source.h"

#include "pipeline/exchange/import_match.h"
#include "pipeline/grade/grade.h"
#include "pipeline/stats/statistics.h"
#include "store/queries.h"
#include "store/store_claim.h"
#include "store/store_origin.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "bench", "SPEC", "the problems: a problem file or a data set, gsm8k:test" },
    { "role", "NAME", "full, quant, restored or control (default full)" },
    { "label", "NAME", "of the variant (default: the model that the file names)" },
    { "format", "NAME",
      "how answers are cut into steps and graded (default: the usual one of the data "
      "set)" },
    { "as", "KIND", "lm-eval, inspect or jsonl (default: told by the content)" },
    { "filter", "NAME",
      "of lm-eval, whose lines are taken (default: the first of the file)" },
    { NULL, NULL, NULL },
};

struct importer {
    struct cli *cli;
    struct store *store;
    const struct pipe_prompt_format *format;
    struct pipe_problem_set set;
    struct pipe_import import;
    uint32_t *places;
    struct pipe_grader *grader;
    struct store_variant variant;
    struct store_origin origin;
    struct store_run run;
    char benchmark[STORE_ID], campaign[STORE_ID], config[384];
    uint32_t right, unparsed;
    int64_t added;
};

static rt_status put_answer(struct importer *m, const struct pipe_import_answer *a,
                            const struct pipe_problem *problem)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score score;
    const uint32_t n =
        a->error ? 0 : m->format->dialect->split(a->output, steps, PIPE_STEPS_MAX);
    pipe_grade(m->grader, m->format, a->output, a->finish, problem->answer, extracted,
               &score);
    m->right += score.correct;
    m->unparsed += !score.extract_ok;
    const struct pipe_generation g = {
        .problem_id = problem->id,
        .sample = a->sample,
        .prompt_hash = a->prompt_hash ? a->prompt_hash : "imported",
        .output = a->output,
        .finish = a->finish,
        .n_prompt = a->n_prompt,
        .n_gen = a->n_gen,
        .prefill_us = -1,
        .decode_us = -1,
        .error = a->error,
        .segmenter = m->format->dialect->segmenter,
    };
    return store_put_generation(m->store, m->run.id, &g, &score, steps, n);
}

static rt_status put_rows(struct importer *m, const char *bench)
{
    rt_status st;
    int64_t before = 0, after = 0;
    struct store_attempt attempt;
    TRY(store_put_benchmark(m->store, bench, "measure", m->set.items, m->set.count,
                            m->benchmark));
    TRY(store_put_campaign(m->store, "eval", "{}", m->campaign));
    TRY(store_put_origin(m->store, &m->origin));
    m->variant.weights_id = m->origin.model_id;
    TRY(store_put_variant(m->store, &m->variant));
    snprintf(m->config, sizeof m->config,
             "{\"format\":\"%s\",\"decoding\":\"elsewhere\",\"file\":\"%s\"}",
             m->format->name, m->origin.file_id);
    m->run = (struct store_run){ .campaign_id = m->campaign,
                                 .kind = "eval",
                                 .variant_id = m->variant.id,
                                 .benchmark_id = m->benchmark,
                                 .env_id = m->origin.env_id,
                                 .grader = m->format->grader,
                                 .config = m->config };
    TRY(store_run_open(m->store, &m->run));
    TRY(store_put_run_artifact(m->store, m->run.id, m->origin.file_id, "in", "answers"));
    TRY(store_attempt_open(m->store, m->run.id, m->origin.env_id, &attempt));
    TRY(store_count_answers(m->store, m->run.id, &before));
    for (uint32_t i = 0; i < m->import.count; i++)
        TRY(put_answer(m, &m->import.answers[i], &m->set.items[m->places[i]]));
    TRY(store_count_answers(m->store, m->run.id, &after));
    m->added = after - before;
    TRY(store_attempt_close(m->store, &attempt, "done", 0, NULL));

fail:
    return st;
}

static rt_status describe(struct importer *m, const char *path)
{
    const char *role = cli_value(m->cli, "role", "full");
    const char *label = cli_value(m->cli, "label", m->import.model);
    static const char *const roles[] = { "full", "quant", "restored", "control" };
    bool known = false;
    for (size_t i = 0; i < RT_COUNT(roles); i++)
        known |= strcmp(role, roles[i]) == 0;
    if (!known)
        return rt_fail(&m->cli->ctx, RT_ERR_USAGE,
                       "--role %.40s: full, quant, restored or control is needed", role);
    m->variant = (struct store_variant){ .label = label ? label : role,
                                         .role = role,
                                         .arm = label ? label : role,
                                         .arch = "elsewhere" };
    m->origin = (struct store_origin){ .hash = m->import.hash,
                                       .bytes = m->import.bytes,
                                       .path = path,
                                       .kind = pipe_import_kind_name(m->import.kind),
                                       .tool = m->import.tool,
                                       .model = m->import.model,
                                       .task = m->import.task,
                                       .produced = m->import.produced };
    return RT_OK;
}

static void tell(const struct importer *m, const char *bench)
{
    const struct pipe_interval w = pipe_wilson(m->right, m->import.count);
    if (cli_flag(m->cli, "json")) {
        fputs("{\"variant\":", stdout);
        cli_print_json_text(m->variant.label);
        if (m->import.filter) {
            fputs(",\"filter\":", stdout);
            cli_print_json_text(m->import.filter);
        }
        if (m->import.left_out)
            printf(",\"left_out\":%u", m->import.left_out);
        printf(",\"kind\":\"%s\",\"answers\":%u,\"added\":%lld,\"right\":%u,"
               "\"unparsed\":%u,\"run\":\"%s\"}\n",
               m->origin.kind, m->import.count, (long long)m->added, m->right,
               m->unparsed, m->run.id);
        return;
    }
    printf(
        "%s, %s: %u answers (%s), %lld new, %u right: %.2f %% (95 %% %.2f to %.2f), %u "
        "unparsed\n",
        bench, m->variant.label, m->import.count, m->origin.kind, (long long)m->added,
        m->right, 100.0 * m->right / m->import.count, 100 * w.low, 100 * w.high,
        m->unparsed);
}

/* The harness writes every answer once per filter; one record of each is taken. */
static void tell_filter(const struct importer *m)
{
    const struct pipe_import *in = &m->import;
    char left_out[64] = "";
    if (in->left_out)
        snprintf(left_out, sizeof left_out, "; documents left out that it lacks: %u",
                 in->left_out);
    if (in->filter_count > 1)
        cli_say(
            m->cli,
            "the file has answers under several filters (%s, %s%s); those of '%s' were "
            "taken, --filter names another%s",
            in->filters[0], in->filters[1], in->filter_count > 2 ? ", ..." : "",
            in->filter, left_out);
}

static rt_status import_file(struct cli *cli, struct store *store, const char *bench,
                             enum pipe_import_kind kind, const char *path)
{
    rt_status st;
    bool from_store;
    struct importer m = { .cli = cli, .store = store };
    const char *format = cli_value(cli, "format", NULL);
    m.format = format ? pipe_prompt_format_find(format) : pipe_format_usual(bench);
    if (!m.format)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "there is no format '%.40s'; see: faultline help eval", format);
    TRY(pipe_import_read(&cli->ctx, path, kind, cli_value(cli, "filter", NULL),
                         &m.import));
    TRY(describe(&m, path));
    TRY(pipe_problems_open(&cli->ctx, cli_host(cli), store, bench, PIPE_FOR_MEASURING,
                           &m.set, &from_store));
    m.places = rt_alloc(&cli->ctx, m.import.count, sizeof *m.places);
    if (!m.places) {
        st = rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory to import");
        goto fail;
    }
    TRY(pipe_import_match(&cli->ctx, path, &m.import, &m.set, m.places));
    TRY(pipe_grader_create(&cli->ctx, NULL, &m.grader));
    const char *name = from_store ? bench : pipe_list_name(bench);
    TRY(store_begin(store));
    st = put_rows(&m, name);
    if (st == RT_OK)
        st = store_commit(store);
    if (st != RT_OK)
        store_rollback(store);
    TRY(st);
    tell_filter(&m);
    tell(&m, name);

fail:
    pipe_grader_destroy(&m.grader);
    pipe_problems_deinit(&m.set);
    pipe_import_deinit(&m.import);
    rt_free(m.places);
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    const char *bench = cli_value(cli, "bench", NULL);
    const char *as = cli_value(cli, "as", "auto");
    const enum pipe_import_kind kind = pipe_import_kind_of(as);
    if (cli->positional_count == 0 || !bench)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "import needs a FILE of answers and --bench with their problems");
    if (kind == PIPE_IMPORT_KIND_COUNT)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--as %.40s: lm-eval, inspect or jsonl is needed", as);
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    for (int i = 0; i < cli->positional_count; i++)
        TRY(import_file(cli, store, bench, kind, cli->positional[i]));

fail:
    store_close(&store);
    return st;
}

const struct cli_command cli_import = { "import",
                                        "answers of another program, with provenance",
                                        "FILE... --bench SPEC", options, run };

/* pipeline/exchange/import_run.c
 * From a file of answers to rows: read, matched with problems, graded, written. All of a
 * file or nothing of it. */
#include "pipeline/exchange/import_run.h"

#include "pipeline/exchange/import_match.h"
#include "pipeline/grade/grade.h"
#include "pipeline/run/eval_spec.h"
#include "pipeline/run/problem_source.h"
#include "store/queries.h"
#include "store/store_claim.h"
#include "store/store_origin.h"

#include <stdio.h>

struct importer {
    struct rt_ctx *ctx;
    struct store *store;
    const struct pipe_import_options *options;
    struct pipe_problem_set set;
    uint32_t *places;
    struct pipe_grader *grader;
    struct store_variant variant;
    struct store_origin origin;
    struct store_run run;
    char benchmark[STORE_ID], campaign[STORE_ID], config[384];
    struct pipe_import_result *out;
};

static rt_status put_answer(struct importer *m, const struct pipe_import_answer *a,
                            const struct pipe_problem *problem)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score score;
    const uint32_t n =
        a->error ? 0
                 : m->options->format->dialect->split(a->output, steps, PIPE_STEPS_MAX);
    pipe_grade(m->grader, m->options->format, a->output, a->finish, problem->answer,
               extracted, &score);
    m->out->right += score.correct;
    m->out->unparsed += !score.extract_ok;
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
        .segmenter = m->options->format->dialect->segmenter,
    };
    return store_put_generation(m->store, m->run.id, &g, &score, steps, n);
}

static rt_status put_rows(struct importer *m)
{
    rt_status st;
    int64_t before = 0, after = 0;
    struct store_attempt attempt;
    TRY(store_put_benchmark(m->store, m->out->bench, "measure", m->set.items,
                            m->set.count, m->benchmark));
    TRY(store_put_campaign(m->store, "eval", "{}", m->campaign));
    TRY(store_put_origin(m->store, &m->origin));
    m->variant.weights_id = m->origin.model_id;
    TRY(store_put_variant(m->store, &m->variant));
    snprintf(m->config, sizeof m->config,
             "{\"format\":\"%s\",\"decoding\":\"elsewhere\",\"file\":\"%s\"}",
             m->options->format->name, m->origin.file_id);
    m->run = (struct store_run){ .campaign_id = m->campaign,
                                 .kind = "eval",
                                 .variant_id = m->variant.id,
                                 .benchmark_id = m->benchmark,
                                 .env_id = m->origin.env_id,
                                 .grader = m->options->format->grader,
                                 .config = m->config };
    TRY(store_run_open(m->store, &m->run));
    TRY(store_put_run_artifact(m->store, m->run.id, m->origin.file_id, "in", "answers"));
    TRY(store_attempt_open(m->store, m->run.id, m->origin.env_id, &attempt));
    TRY(store_count_answers(m->store, m->run.id, &before));
    for (uint32_t i = 0; i < m->out->import.count; i++)
        TRY(put_answer(m, &m->out->import.answers[i], &m->set.items[m->places[i]]));
    TRY(store_count_answers(m->store, m->run.id, &after));
    m->out->added = after - before;
    TRY(store_attempt_close(m->store, &attempt, "done", 0, NULL));

fail:
    return st;
}

/* RT_ERR_USAGE: no such role. */
static rt_status describe(struct importer *m)
{
    const struct pipe_import *import = &m->out->import;
    const char *role = m->options->role;
    const char *label = m->options->label ? m->options->label : import->model;
    m->variant = (struct store_variant){ .label = label ? label : role,
                                         .role = role,
                                         .arm = label ? label : role,
                                         .arch = "elsewhere" };
    m->origin = (struct store_origin){ .hash = import->hash,
                                       .bytes = import->bytes,
                                       .path = m->options->path,
                                       .kind = pipe_import_kind_name(import->kind),
                                       .tool = import->tool,
                                       .model = import->model,
                                       .task = import->task,
                                       .produced = import->produced };
    return pipe_role_check(m->ctx, role, false);
}

static rt_status put_all(struct importer *m)
{
    rt_status st;
    TRY(store_begin(m->store));
    TRY(put_rows(m));
    TRY(store_commit(m->store));
    return RT_OK;

fail:
    store_rollback(m->store);
    return st;
}

rt_status pipe_import_run(struct rt_ctx *ctx, const struct pipe_host *host,
                          struct store *store, const struct pipe_import_options *options,
                          struct pipe_import_result *out)
{
    rt_status st;
    struct importer m = { .ctx = ctx, .store = store, .options = options, .out = out };
    *out = (struct pipe_import_result){ 0 };
    TRY(pipe_import_read(ctx, options->path, options->kind, options->filter,
                         &out->import));
    TRY(describe(&m));
    TRY(pipe_problems_open(ctx, host, store, options->bench, PIPE_FOR_MEASURING, &m.set));
    m.places = rt_alloc(ctx, out->import.count, sizeof *m.places);
    if (!m.places) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to import");
        goto fail;
    }
    TRY(pipe_import_match(ctx, options->path, &out->import, &m.set, m.places));
    TRY(pipe_grader_create(ctx, NULL, &m.grader));
    snprintf(out->bench, sizeof out->bench, "%s", m.set.label);
    TRY(put_all(&m));
    snprintf(out->label, sizeof out->label, "%s", m.variant.label);
    snprintf(out->run, sizeof out->run, "%s", m.run.id);

fail:
    pipe_grader_destroy(&m.grader);
    pipe_problems_deinit(&m.set);
    rt_free(m.places);
    return st;
}

void pipe_import_result_deinit(struct pipe_import_result *result)
{
    pipe_import_deinit(&result->import);
}

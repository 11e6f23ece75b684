/* pipeline/cli/cmd_quantize.c
 * quantize: a low-bit copy of a model. */
#include "pipeline/cli/quantize_parts.h"
#include "pipeline/run/made.h"
#include "pipeline/run/quantize_json.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file to read" },
    { "out", "DIR", "folder to write; made, with those above it. gguf: a file" },
    { "method", "NAME",
      "rtn (default); gptq, awq and smoothquant, which need --calib; gguf" },
    { "bits", "N", "2, 3, 4 or 8 (default 4; 8 with activations of 8 bits)" },
    { "group", "N|row",
      "codes that share a scale: 16, a multiple of 32, or row (default)" },
    { "asym", NULL, "asymmetric: with zero points" },
    { "search", NULL, "search the range of every group, weighted by --calib if given" },
    { "calib", "P",
      "to see inputs on: text (.txt), texts or problems with solutions (JSON Lines, with "
      "weights), self:PROBLEMS that the model answers, run:ID of the results file "
      "(run:ID,right; ,wrong; ,lost=ID; ,kept=ID; ,step=W)" },
    { "calib-items", "N", "texts of --calib at most (default 512)" },
    { "seen", "DIR",
      "keep there what the pass over --calib saw, or take it from there: one pass for "
      "commands of several methods" },
    { "calib-length", "N", "tokens of a text that a .txt is cut into (default 512)" },
    { "format", "NAME", "prompt format of the problems of --calib" },
    { "chat-format", "NAME", "chat format of that (default: the model's own template)" },
    { "chat-date", "YYYY-MM-DD", "the date that chat templates ask for" },
    { "examples", "FILE", "worked examples of that format, once" },
    { "activations", "HOW",
      "float (default), dynamic (8 bits, a scale per token; default of smoothquant), "
      "static" },
    { "float-inputs", "X",
      "with those: matrices keep float inputs if rounding them costs more than X times "
      "what rounding their weights does (smoothquant: 2, else 0; 0: none)" },
    { "rounding", "NAME",
      "smoothquant, gguf with --calib: weights by gptq (default) or to nearest" },
    { "order", "NAME", "of gptq: columns by activation (default) or natural" },
    { "damping", "X", "of gptq: share of the mean diagonal (default 0.01)" },
    { "true-sequential", NULL,
      "inputs of a layer are those of the quantized ones before" },
    { "keep", "f16|f32",
      "what blocks of a GGUF file become where they are not quantized: f16 (default), or "
      "f32, which is exact" },
    { "type", "NAME", "gguf: Q4_K_M (default), Q8_0, Q6_K, IQ4_XS, Q2_K and others" },
    { "write-plan", "FILE", "gguf: write such a file to edit, and no model" },
    { "imatrix", "FILE", "gguf: importance of columns as llama.cpp has it, for --calib" },
    { "imatrix-out", "FILE", "gguf: write that of --calib, for others" },
    { "plain", NULL, "gguf: round to nearest, without a search" },
    { "dry-run", NULL, "tell bytes, bits, memory and time, and write nothing" },
    { "force", NULL, "replace a folder or file that is there" },
    CLI_PLAN_OPTIONS,
    CLI_SELECT_OPTIONS,
    CLI_COMPARE_OPTIONS,
    { NULL, NULL, NULL },
};

/* What the copy changed of that which it keeps. */
static void print_changes(const struct pipe_quantized *report)
{
    if (report->halved == 0)
        return;
    printf("kept as F16 instead of GGUF blocks: %u tensor%s, ", report->halved,
           report->halved == 1 ? "" : "s");
    if (report->change > 0)
        printf("largest change %.3g, of %.6g in '%s' (--keep f32 is exact)\n",
               report->change, report->changed_value, report->changed);
    else
        printf("no value changed\n");
}

/* Every matrix beside rounding to nearest: a lower number is nearer to the outputs. Those
 * that are no better are always shown, unless all are: the method is rounding to nearest. */
static void print_fared(const struct cli *cli, const struct pipe_quantized *q)
{
    const bool all = cli_flag(cli, "verbose"), some = q->not_better < q->list_count;
    for (uint32_t i = 0; i < q->list_count; i++) {
        const struct pipe_quantized_matrix *m = &q->list[i];
        const bool no_better = pipe_quantized_is_no_better(m);
        if (all || (some && no_better))
            printf("  %-44s %.6g, rtn %.6g%s\n", m->name, m->objective, m->rtn,
                   no_better ? "  no better than rtn" : "");
    }
    printf("time: forward %.1f s, sums of inputs %.1f s, quantizer %.1f s\n", q->forward,
           q->sums, q->method);
    printf(
        "output error on %llu tokens: %.6g, rtn on the same grid %.6g (%.1f %%); %u of "
        "%u matrices no better than rtn\n",
        (unsigned long long)q->tokens, q->objective, q->objective_rtn,
        q->objective_rtn > 0 ? 100 * q->objective / q->objective_rtn : 100.0,
        q->not_better, q->list_count);
}

/* What the numbers leave out. */
static void print_choice(const struct cli *cli, const struct pipe_quantize_cost *c,
                         uint32_t candidates)
{
    const double mib = 1048576;
    if (candidates <= 1)
        return;
    printf("choice   that is one %s (--select none); --select kl makes up to %u%s and "
           "compares them",
           cli_quantize_is_gguf(cli) ? "file" : "folder", candidates,
           c->seen_bytes ? " of one pass" : ", each with a pass of its own,");
    if (c->device_bytes <= c->device_has)
        printf(" in about %.0f s", c->choice);
    if (c->seen_bytes)
        printf(", with %.0f MiB on the disk meanwhile", (double)c->seen_bytes / mib);
    printf(" and the whole model on the device: about %.0f MiB%s\n",
           (double)c->compared_bytes / mib,
           c->compared_bytes > c->device_has ? ", which does not fit it" : "");
}

void cli_quantize_print_cost(const struct cli *cli, const struct pipe_quantize_cost *c,
                             uint32_t candidates)
{
    const double mib = 1048576;
    if (cli_flag(cli, "json")) {
        pipe_quantize_cost_json(stdout, c, candidates);
        return;
    }
    printf(
        "writes   %.1f MiB (the source has %.1f), %.3f bits per quantized weight, %.3f "
        "per weight of the model\n",
        (double)c->out_bytes / mib, (double)c->source_bytes / mib, c->bits, c->bits_all);
    printf("memory   about %.0f MiB on the host", (double)c->host_bytes / mib);
    if (c->device_has)
        printf(", %.0f MiB on the device (%.0f are free)", (double)c->device_bytes / mib,
               (double)c->device_has / mib);
    puts(", beside the mapped files");
    if (c->device_has && c->device_bytes > c->device_has)
        puts("time     unknown: it does not fit the device");
    else if (c->tokens)
        printf("time     about %.0f s on %llu tokens: forward %.0f, sums of inputs %.0f, "
               "quantizer %.0f (an estimate from one pass)\n",
               c->forward + c->sums + c->method, (unsigned long long)c->tokens,
               c->forward, c->sums, c->method);
    else
        printf("time     about %.0f s (an estimate)\n", c->method);
    if (c->widths > 0)
        printf(
            "budget   about %.0f s before that: the model at four widths, and the KL of "
            "each group\n",
            c->widths);
    print_choice(cli, c, candidates);
}

static rt_status read_method(struct cli *cli, struct pipe_quantize_options *q)
{
    bool calibrated;
    char names[80];
    struct cli_rounding rounding = { 0 };
    q->method = cli_value(cli, "method", "rtn");
    if (!pipe_quantize_method(q->method, &calibrated))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--method %s is not known; there are %s, gguf", q->method,
                       pipe_quantize_methods(names, sizeof names));
    if (calibrated && !cli_value(cli, "calib", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--method %s needs --calib P: a text file, or problems with "
                       "solutions",
                       q->method);
    rt_status st = cli_quantize_rounding(cli, q->method, &rounding);
    if (st == RT_OK)
        st = cli_select_check(cli, q->method);
    if (st == RT_OK)
        st = cli_budget_check(cli, q->method);
    if (st != RT_OK)
        return st;
    q->nearest = rounding.nearest;
    q->natural_order = rounding.natural_order;
    q->damping = rounding.damping;
    q->search = cli_flag(cli, "search");
    q->true_sequential = cli_flag(cli, "true-sequential");
    if (q->true_sequential && !cli_value(cli, "calib", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--true-sequential needs --calib P");
    return RT_OK;
}

rt_status cli_quantize_options(struct cli *cli, struct pipe_quantize_options *q)
{
    rt_status st;
    int64_t bits, group = 0;
    const char *group_text = cli_value(cli, "group", "row");
    const char *keep = cli_value(cli, "keep", "f16");
    TRY(read_method(cli, q));
    if (strcmp(keep, "f16") != 0 && strcmp(keep, "f32") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--keep %s: f16 or f32 is possible",
                       keep);
    TRY(cli_quantize_int8(cli, q));
    TRY(cli_number(cli, "bits", q->int8 ? 8 : 4, 2, 8, &bits));
    if (strcmp(group_text, "row") != 0)
        TRY(cli_number(cli, "group", 0, 16, 1 << 20, &group));
    q->bits = (uint32_t)bits;
    q->group = (uint32_t)group;
    q->asymmetric = cli_flag(cli, "asym");
    q->keep_f32 = strcmp(keep, "f32") == 0;
    q->force = cli_flag(cli, "force");
    return RT_OK;

fail:
    return st;
}

static rt_status calibrated(struct cli *cli, const char *model, const char *out,
                            struct pipe_quantize_options *q,
                            struct pipe_selected *selected, struct pipe_quantized *result)
{
    rt_status st;
    struct pipe_session session = { 0 };
    struct pipe_calibrated_options o;
    const struct pipe_prompt_format *format = NULL;
    const char *from = cli_value(cli, "calib", NULL);
    TRY(cli_calibrated_read(cli, q->method, model, out, &o));
    const char *held_out = cli_value(cli, "select-text", from);
    TRY(cli_calibration_format(cli, pipe_calibration_is_text(from) ? held_out : from,
                               &format));
    TRY(cli_session_open(cli, model, format, "eval", "{}", &session));
    if (cli_flag(cli, "dry-run")) {
        struct pipe_quantize_cost cost;
        TRY(pipe_quantize_cost(&cli->ctx, &session, model, q, &o, &cost));
        cli_quantize_print_cost(cli, &cost, pipe_calibrated_candidates(&o));
        goto fail;
    }
    TRY(cli_quantize_calibrated(cli, &session, &o, q, selected, result));

fail:
    cli_session_close(cli, &session);
    return st;
}

/* Saves how it was made if a results file is named. */
static rt_status make_plain(struct cli *cli, const char *model, const char *out,
                            const struct pipe_quantize_options *q,
                            struct pipe_quantized *result)
{
    rt_status st;
    struct store *store = NULL;
    const uint64_t started = rt_time_ns();
    TRY(cli_store_open_named(cli, &store)); /* before the work */
    TRY(pipe_quantize(&cli->ctx, model, out, q, result));
    const struct pipe_made made = { .out = out,
                                    .seconds = (double)(rt_time_ns() - started) / 1e9,
                                    .options = q,
                                    .quantized = result };
    if (store)
        TRY(pipe_made_save_alone(&cli->ctx, store, model, &made));

fail:
    store_close(&store);
    return st;
}

static rt_status plain(struct cli *cli, const char *model, const char *out,
                       const struct pipe_quantize_options *q,
                       struct pipe_quantized *result)
{
    struct pipe_quantize_cost cost;
    if (!cli_flag(cli, "dry-run"))
        return make_plain(cli, model, out, q, result);
    const rt_status st = pipe_quantize_cost(&cli->ctx, NULL, model, q, NULL, &cost);
    if (st == RT_OK)
        cli_quantize_print_cost(cli, &cost, 1);
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct pipe_quantize_options q = { 0 };
    struct pipe_quantized result = { 0 };
    struct pipe_selected selected = { 0 };
    struct quant_plan plan = { .count = 0 };
    const char *model = cli_value(cli, "model", NULL), *out = cli_value(cli, "out", NULL);
    TRY(cli_quantize_used(cli));
    if (cli_value(cli, "compare", NULL))
        return cli_quantize_compare(cli);
    if (cli_quantize_is_gguf(cli))
        return cli_quantize_gguf(cli);
    if (!model || (!out && !cli_flag(cli, "dry-run")))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "quantize needs --model DIR and --out DIR");
    TRY(cli_quantize_options(cli, &q));
    if (cli_value(cli, "plan", NULL)) {
        TRY(quant_plan_read(&cli->ctx, cli_value(cli, "plan", NULL), &plan));
        q.plan = &plan;
    }
    /* Before the work. */
    TRY(pipe_quantize_check(&cli->ctx, model, cli_flag(cli, "dry-run") ? NULL : out, &q));
    TRY(cli_value(cli, "calib", NULL)
            ? calibrated(cli, model, out, &q, &selected, &result)
            : plain(cli, model, out, &q, &result));
    if (cli_flag(cli, "dry-run")) {
        goto fail; /* printed already */
    } else if (cli_flag(cli, "json")) {
        pipe_quantized_json(stdout, out, &result, &selected);
    } else {
        printf("%s: %u matrices, %llu weights, %.3f bits per weight\n", out,
               result.matrices, (unsigned long long)result.weights,
               result.bits_per_weight);
        cli_quantize_print_int8(&q, &result);
        print_changes(&result);
        if (result.list_count)
            print_fared(cli, &result);
        else if (q.search)
            puts("output error beside rtn's: not known without inputs (--calib); the "
                 "search lowers the error of weights");
    }

fail:
    quant_plan_deinit(&plan);
    pipe_quantized_deinit(&result);
    return st;
}

const struct cli_command cli_quantize = { "quantize", "write a low-bit copy of a model",
                                          "--model DIR --bits N --out DIR", options,
                                          run };

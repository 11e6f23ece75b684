/* pipeline/cli/quantize_gguf.c
 * quantize --method gguf. */
#include "pipeline/cli/quantize_parts.h"

#include "pipeline/run/made.h"
#include "pipeline/run/quantize_json.h"

#include <stdio.h>
#include <string.h>

bool cli_quantize_is_gguf(const struct cli *cli)
{
    return strcmp(cli_value(cli, "method", ""), "gguf") == 0;
}

/* Of what is written by its name, for the choice among candidates: there is none of a plan,
 * nor of floats. */
static const char *select_name(const struct pipe_gguf_options *o)
{
    return !o->write_plan && pipe_gguf_has_codes(o) ? "gguf" : "";
}

/* Of --write-plan, which writes nothing else. */
static rt_status check_plan(struct cli *cli, const char *out)
{
    if (out)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--write-plan writes the plan and no model: leave --out away");
    if (cli_quantize_has_rounding(cli))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--write-plan writes no codes: leave --%s away",
                       cli_quantize_has_rounding(cli));
    if (cli_flag(cli, "select") || cli_flag(cli, "select-text"))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--write-plan makes no candidates: leave --%s away",
                       cli_flag(cli, "select") ? "select" : "select-text");
    return RT_OK;
}

static rt_status check(struct cli *cli, const struct pipe_gguf_options *o,
                       const char *model, const char *out)
{
    const char *calib = cli_value(cli, "calib", NULL);
    const bool dry = cli_flag(cli, "dry-run");
    if (dry && (o->write_plan || o->imatrix_out))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--dry-run writes nothing: leave --%s away",
                       o->write_plan ? "write-plan" : "imatrix-out");
    if (!model || (!out && !o->write_plan && !dry))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "quantize --method gguf needs --model M and --out FILE.gguf");
    const rt_status planned = o->write_plan ? check_plan(cli, out) : RT_OK;
    if (planned != RT_OK)
        return planned;
    if (calib && o->imatrix)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--calib and --imatrix both say what columns count; give one");
    if (o->imatrix_out && !calib)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--imatrix-out needs --calib P");
    const rt_status st = pipe_gguf_check(&cli->ctx, o);
    return st == RT_OK ? cli_select_check(cli, select_name(o)) : st;
}

/* calibrated: NULL without text. */
static rt_status dry_run(struct cli *cli, struct pipe_session *session, const char *model,
                         const struct pipe_gguf_options *o,
                         const struct pipe_calibrated_options *calibrated)
{
    struct pipe_quantize_cost cost;
    const rt_status st =
        pipe_quantize_gguf_cost(&cli->ctx, session, model, o, calibrated, &cost);
    if (st == RT_OK)
        cli_quantize_print_cost(cli, &cost,
                                calibrated ? pipe_calibrated_candidates(calibrated) : 1);
    return st;
}

static rt_status calibrated(struct cli *cli, const char *model, const char *out,
                            struct pipe_gguf_options *o, struct pipe_selected *selected,
                            struct pipe_gguf_made *made)
{
    rt_status st;
    struct pipe_session session = { 0 };
    struct pipe_calibrated_options c;
    const struct pipe_prompt_format *format = NULL;
    const char *from = cli_value(cli, "calib", NULL);
    TRY(cli_calibrated_read(cli, select_name(o), model, out, &c));
    const char *held_out = cli_value(cli, "select-text", from);
    TRY(cli_calibration_format(cli, pipe_calibration_is_text(from) ? held_out : from,
                               &format));
    TRY(cli_session_open(cli, model, format, "eval", "{}", &session));
    if (cli_flag(cli, "dry-run")) {
        TRY(dry_run(cli, &session, model, o, &c));
        goto fail;
    }
    TRY(cli_quantize_gguf_calibrated(cli, &session, &c, o, selected, made));

fail:
    cli_session_close(cli, &session);
    return st;
}

/* Saves how it was made if a results file is named. */
static rt_status plain(struct cli *cli, const char *model, const char *out,
                       const struct pipe_gguf_options *o, struct pipe_gguf_made *made)
{
    rt_status st;
    struct store *store = NULL;
    const uint64_t started = rt_time_ns();
    if (!o->write_plan)
        TRY(cli_store_open_named(cli, &store)); /* before the work */
    TRY(pipe_quantize_gguf(&cli->ctx, cli_host(cli), model, out, o, made));
    const struct pipe_made row = { .out = out,
                                   .seconds = (double)(rt_time_ns() - started) / 1e9,
                                   .gguf = o,
                                   .gguf_made = made };
    if (store)
        TRY(pipe_made_save_alone(&cli->ctx, store, model, &row));

fail:
    store_close(&store);
    return st;
}

/* ---- printing ---- */

/* Types that differ from what was asked for, and for how many matrices of what rows. */
static void print_fallbacks(const struct pipe_gguf_made *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        const struct pipe_gguf_tensor *t = &m->list[i];
        const uint32_t same = pipe_gguf_fallbacks(m, i);
        if (same)
            printf("rows of %llu do not divide by 256: %s instead of %s for %u matri%s\n",
                   (unsigned long long)t->columns, t->type, t->wanted, same,
                   same == 1 ? "x" : "ces");
    }
}

static const char *error_name(const struct pipe_gguf_tensor *t)
{
    return t->is_rounded    ? "error of outputs"
           : t->is_weighted ? "weighted error"
                            : "error";
}

/* Means over the matrices that were rounded by GPTQ, or over all if none was. */
static void print_errors(const struct pipe_gguf_made *m)
{
    double error = 0, rtn = 0;
    uint32_t rounded = 0;
    for (uint32_t i = 0; i < m->count; i++)
        rounded += m->list[i].is_rounded;
    const uint32_t count = rounded ? rounded : m->count;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct pipe_gguf_tensor *t = &m->list[i];
        error += !rounded || t->is_rounded ? t->error : 0;
        rtn += !rounded || t->is_rounded ? t->rtn : 0;
    }
    const struct pipe_gguf_tensor kind = { .is_rounded = rounded > 0,
                                           .is_weighted =
                                               m->count > m->unweighted && m->tokens };
    printf("%s, a share of the squares, mean over %u matrices: %.4e, rtn of the same "
           "types %.4e; %u of %u matrices no better than rtn\n",
           error_name(&kind), count, error / count, rtn / count, m->not_better, m->count);
}

static void print_made(const struct cli *cli, const char *out,
                       const struct pipe_gguf_made *m)
{
    printf("%s: %.1f MiB, %u matrices, %llu weights, %.3f bits per weight\n", out,
           (double)m->bytes / 1048576, m->count, (unsigned long long)m->weights,
           m->bits_per_weight);
    print_fallbacks(m);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct pipe_gguf_tensor *t = &m->list[i];
        if (cli_flag(cli, "verbose") || (m->not_better < m->count && t->is_no_better))
            printf("  %-28s %-6s %s %.4e, rtn %.4e%s\n", t->name, t->type, error_name(t),
                   t->error, t->rtn, t->is_no_better ? "  no better than rtn" : "");
    }
    print_errors(m);
    if (m->unweighted)
        printf("%u matri%s counted without weights: no inputs of theirs were seen\n",
               m->unweighted, m->unweighted == 1 ? "x" : "ces");
}

rt_status cli_quantize_gguf(struct cli *cli)
{
    rt_status st;
    struct pipe_gguf_made made = { 0 };
    struct pipe_selected selected = { 0 };
    const char *model = cli_value(cli, "model", NULL), *out = cli_value(cli, "out", NULL);
    struct cli_rounding rounding = { 0 };
    TRY(cli_quantize_rounding(cli, "gguf", &rounding));
    struct pipe_gguf_options o = {
        .type = cli_value(cli, "type", NULL),
        .plan = cli_value(cli, "plan", NULL),
        .write_plan = cli_value(cli, "write-plan", NULL),
        .imatrix = cli_value(cli, "imatrix", NULL),
        .imatrix_out = cli_value(cli, "imatrix-out", NULL),
        .plain = cli_flag(cli, "plain"),
        .nearest = rounding.nearest,
        .natural_order = rounding.natural_order,
        .damping = rounding.damping,
        .force = cli_flag(cli, "force"),
    };
    TRY(check(cli, &o, model, out));
    if (cli_flag(cli, "dry-run") && !cli_value(cli, "calib", NULL))
        return dry_run(cli, NULL, model, &o, NULL);
    TRY(cli_value(cli, "calib", NULL) ? calibrated(cli, model, out, &o, &selected, &made)
                                      : plain(cli, model, out, &o, &made));
    if (cli_flag(cli, "dry-run"))
        goto fail; /* printed already */
    if (o.write_plan && cli_flag(cli, "json")) {
        fputs("{\"plan\":", stdout);
        rt_json_text(stdout, o.write_plan);
        puts("}");
    } else if (o.write_plan)
        cli_say(cli, "plan of types per tensor: %s", o.write_plan);
    else if (cli_flag(cli, "json"))
        pipe_gguf_made_json(stdout, out, &made, &selected);
    else
        print_made(cli, out, &made);

fail:
    pipe_gguf_made_deinit(&made);
    return st;
}

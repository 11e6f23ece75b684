/* pipeline/cli/cmd_restore.c
 * The whole chain as stages that are found again: measure full and quant on the mined
 * split, locate, train the recipes and controls, measure all on the other split, report.
 * `demo` is the same with the bundled model. */
#include "pipeline/cli/loop.h"

#include "pipeline/statistics.h"
#include "runtime/format/file.h"
#include "runtime/quant/rtn.h"
#include "store/report/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARMS_MAX = 16 };

/* One variant measured beside full and quant. */
struct arm {
    const char *name;
    struct rt_model *model; /* owned where it is plain quantization */
    struct rt_adapter *adapter;
    struct loop_variant variant;
    struct loop_answers answers;
};

struct restoring {
    struct cli *cli;
    struct loop loop;
    const char *full_folder;
    char quant_folder[600], report[600];
    struct rt_model *full, *quant;
    struct loop_variant full_row, quant_row;
    struct loop_bench mine, validate, measure;
    struct loop_answers mine_f, mine_q, f, q;
    struct loop_faults faults;
    struct arm arms[ARMS_MAX];
    uint32_t arm_count;
    int64_t bits, items;
    const char *recipes; /* comma list */
};

static const struct cli_option options[] = {
    { "full", "DIR", "full-precision model folder" },
    { "quant", "DIR", "quantized folder (default: made from --full with --bits)" },
    { "bits", "N", "bits of the quantized model, one scale a row (default 3)" },
    { "mine", "FILE", "problems to mine faults from; FILE[0:1500] takes a part" },
    { "validate", "FILE", "problems that choose the checkpoint" },
    { "measure", "FILE", "problems to measure on, never trained on" },
    { "items", "N", "Silver Bullet items at most (default 332)" },
    { "recipes", "LIST",
      "default,lowrank,sft,kl,dpo,dpo+sft,random-problem,random-step,"
      "shuffled,on-full,more-bits,smaller-groups" },
    { "controls", NULL, "all recipes and controls" },
    { "work", "DIR", "folder of adapters and quantized models (default faultline-work)" },
    { "out", "FILE", "the report (default report.html)" },
    { NULL, NULL, NULL },
};

static const char all_recipes[] = "default,lowrank,sft,kl,dpo,dpo+sft,random-problem,"
                                  "random-step,shuffled,on-full,more-bits,smaller-groups";

/* ---- set-up ---- */

static rt_status ensure_quantized(struct restoring *r, const char *name, uint32_t bits,
                                  uint32_t group, bool asymmetric, char *folder,
                                  size_t size)
{
    struct quant_report report;
    const struct quant_options q = { .bits = bits,
                                     .group = group,
                                     .asymmetric = asymmetric };
    snprintf(folder, size, "%.500s/%s", r->loop.work, name);
    if (fmt_exists(folder))
        return RT_OK;
    return quant_folder(&r->cli->ctx, r->full_folder, folder, &q, false, &report);
}

static rt_status check_splits(struct restoring *r)
{
    struct pipe_leak leak;
    const struct {
        const struct loop_bench *split;
        const char *name;
    } trained[] = { { &r->mine, "mined" }, { &r->validate, "validation" } };
    for (size_t i = 0; i < RT_COUNT(trained); i++) {
        const rt_status st = pipe_problems_leak(&r->cli->ctx, &trained[i].split->set,
                                                &r->measure.set, &leak);
        if (st != RT_OK)
            return st;
        if (leak.count)
            return rt_fail(
                &r->cli->ctx, RT_ERR_USAGE,
                "%u questions of the %s split are measured too (the first: '%s'); "
                "results would be in-sample, choose other splits",
                leak.count, trained[i].name, trained[i].split->set.items[leak.a].id);
    }
    return RT_OK;
}

static rt_status open_all(struct restoring *r)
{
    rt_status st;
    struct cli *cli = r->cli;
    char plan[1200];
    const char *mine = cli_value(cli, "mine", NULL),
               *measure = cli_value(cli, "measure", NULL);
    const char *validate = cli_value(cli, "validate", NULL);
    const char *quant = cli_value(cli, "quant", NULL);
    if (!r->full_folder || !mine || !measure || !validate)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "restore needs --full DIR, --mine, --validate and --measure FILE");
    snprintf(plan, sizeof plan,
             "{\"full\":\"%.200s\",\"quant\":\"%.200s\",\"bits\":%d,\"mine\":\"%.200s\","
             "\"validate\":\"%.200s\",\"measure\":\"%.200s\",\"items\":%d,\"seed\":%s}",
             r->full_folder, quant ? quant : "", (int)r->bits, mine, validate, measure,
             (int)r->items, cli_value(cli, "seed", "1"));
    const char *work = cli_value(cli, "work", "faultline-work");
    TRY(fmt_make_folder(&cli->ctx, work));
    TRY(loop_open(&r->loop, cli, r->full_folder, cli->command->name, plan));
    r->loop.work = work;
    TRY(loop_bench_open(&r->loop, mine, "mine", &r->mine));
    TRY(loop_bench_open(&r->loop, validate, "validate", &r->validate));
    TRY(loop_bench_open(&r->loop, measure, "measure", &r->measure));
    TRY(check_splits(r));
    char name[32];
    snprintf(name, sizeof name, "q%d-row", (int)r->bits);
    if (quant)
        snprintf(r->quant_folder, sizeof r->quant_folder, "%.590s", quant);
    else
        TRY(ensure_quantized(r, name, (uint32_t)r->bits, 0, false, r->quant_folder,
                             sizeof r->quant_folder));
    TRY(rt_model_load(r->loop.dev, r->full_folder, LOOP_CONTEXT, &r->full));
    TRY(rt_model_load(r->loop.dev, r->quant_folder, LOOP_CONTEXT, &r->quant));
    TRY(loop_variant_put(&r->loop, r->full, NULL, r->full_folder, "full", "full", NULL,
                         &r->full_row));
    TRY(loop_variant_put(&r->loop, r->quant, NULL, r->quant_folder, "quant", "quant",
                         NULL, &r->quant_row));
    return RT_OK;

fail:
    return st;
}

/* ---- stages ---- */

static rt_status mine_and_locate(struct restoring *r)
{
    rt_status st;
    TRY(loop_measure(&r->loop, &r->full_row, &r->mine, &r->mine_f));
    TRY(loop_measure(&r->loop, &r->quant_row, &r->mine, &r->mine_q));
    TRY(loop_locate(&r->loop, &r->full_row, &r->quant_row, &r->mine, &r->mine_f,
                    &r->mine_q, &r->faults));
    return RT_OK;

fail:
    return st;
}

/* Plain quantization with other numbers: is an adapter the better use of the memory? */
static rt_status plain_arm(struct restoring *r, struct arm *arm)
{
    rt_status st;
    char folder[600], name[48];
    const bool more = strcmp(arm->name, "more-bits") == 0;
    const uint32_t bits = (uint32_t)r->bits + (more ? r->bits == 4 ? 4 : 1 : 0);
    snprintf(name, sizeof name, more ? "q%u-row" : "q%u-g32", bits);
    TRY(ensure_quantized(r, name, bits, more ? 0 : 32, !more, folder, sizeof folder));
    TRY(rt_model_load(r->loop.dev, folder, LOOP_CONTEXT, &arm->model));
    TRY(loop_variant_put(&r->loop, arm->model, NULL, folder, arm->name, "control",
                         arm->name, &arm->variant));
    return RT_OK;

fail:
    return st;
}

static rt_status trained_arm(struct restoring *r, const struct loop_recipe *recipe,
                             struct arm *arm)
{
    rt_status st;
    char folder[600];
    struct fmt_adapter *source = NULL;
    const struct loop_material material = {
        .full = &r->full_row,
        .quant = &r->quant_row,
        .full_folder = r->full_folder,
        .quant_folder = r->quant_folder,
        .mine = &r->mine,
        .validate = &r->validate,
        .f = &r->mine_f,
        .q = &r->mine_q,
        .faults = &r->faults,
        .items_max = (uint32_t)r->items,
    };
    TRY(loop_train(&r->loop, &material, recipe, folder, sizeof folder));
    struct rt_model *base = recipe->on_full ? r->full : r->quant;
    TRY(fmt_adapter_read(&r->cli->ctx, folder, &base->config, &source));
    TRY(rt_adapter_create(base, source, false, &arm->adapter));
    TRY(loop_variant_put(&r->loop, base, arm->adapter, folder, arm->name, recipe->role,
                         arm->name, &arm->variant));
    return RT_OK;

fail:
    return st;
}

static rt_status run_arm(struct restoring *r, const char *name)
{
    rt_status st;
    struct arm *arm = &r->arms[r->arm_count];
    if (r->arm_count == ARMS_MAX)
        return rt_fail(&r->cli->ctx, RT_ERR_USAGE, "more than %d recipes", ARMS_MAX);
    *arm = (struct arm){ .name = NULL };
    for (uint32_t i = 0; i < loop_recipe_count; i++)
        if (strcmp(loop_recipes[i].name, name) == 0) {
            arm->name = loop_recipes[i].name;
            r->arm_count++;
            TRY(trained_arm(r, &loop_recipes[i], arm));
            return loop_measure(&r->loop, &arm->variant, &r->measure, &arm->answers);
        }
    arm->name = strcmp(name, "more-bits") == 0        ? "more-bits"
                : strcmp(name, "smaller-groups") == 0 ? "smaller-groups"
                                                      : NULL;
    if (!arm->name)
        return rt_fail(&r->cli->ctx, RT_ERR_USAGE,
                       "there is no recipe '%.40s'; there are %s", name, all_recipes);
    r->arm_count++;
    TRY(plain_arm(r, arm));
    return loop_measure(&r->loop, &arm->variant, &r->measure, &arm->answers);

fail:
    return st;
}

static rt_status run_arms(struct restoring *r)
{
    rt_status st;
    char list[512];
    TRY(loop_measure(&r->loop, &r->full_row, &r->measure, &r->f));
    TRY(loop_measure(&r->loop, &r->quant_row, &r->measure, &r->q));
    snprintf(list, sizeof list, "%s", r->recipes);
    char *save = NULL;
    for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save))
        TRY(run_arm(r, name));
    return RT_OK;

fail:
    return st;
}

/* ---- results ---- */

static double *accuracies(struct rt_ctx *ctx, const struct loop_answers *a)
{
    double *out = rt_alloc(ctx, a->count, sizeof *out);
    for (uint32_t i = 0; out && i < a->count; i++)
        out[i] = a->items[i].correct;
    return out;
}

static rt_status print_arm(struct restoring *r, const struct arm *arm, const double *f,
                           const double *q)
{
    rt_status st;
    struct rt_ctx *ctx = &r->cli->ctx;
    struct pipe_recovery recovery;
    uint32_t fixed = 0, broken = 0;
    double *a = accuracies(ctx, &arm->answers);
    if (!a)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "results: no memory");
    for (uint32_t i = 0; i < r->q.count; i++) {
        fixed += a[i] > q[i];
        broken += a[i] < q[i];
    }
    TRY(pipe_bootstrap_recovery(ctx, f, q, a, r->q.count, 2000, r->loop.seed, &recovery));
    printf("%-16s %6.2f %%  fixed %3u broken %3u  p %.1e  recovered %5.2f [%.2f, %.2f]  "
           "%.2f bits a weight\n",
           arm->name, 100.0 * arm->answers.correct / r->q.count, fixed, broken,
           pipe_mcnemar_exact(broken, fixed), recovery.share, recovery.share_interval.low,
           recovery.share_interval.high, arm->variant.row.bits_per_weight);

fail:
    rt_free(a);
    return st;
}

static rt_status print_results(struct restoring *r)
{
    rt_status st = RT_OK;
    double *f = accuracies(&r->cli->ctx, &r->f), *q = accuracies(&r->cli->ctx, &r->q);
    struct pipe_paired p;
    bool *base = rt_alloc(&r->cli->ctx, r->f.count, sizeof *base);
    bool *other = rt_alloc(&r->cli->ctx, r->f.count, sizeof *other);
    if (!f || !q || !base || !other) {
        st = rt_fail(&r->cli->ctx, RT_ERR_HOST_MEMORY, "results: no memory");
        goto fail;
    }
    for (uint32_t i = 0; i < r->f.count; i++) {
        base[i] = r->f.items[i].correct;
        other[i] = r->q.items[i].correct;
    }
    pipe_paired_compare(base, other, r->f.count, &p);
    printf("\n%-16s %6.2f %%  n %u\n", "full", 100.0 * r->f.correct / r->f.count,
           r->f.count);
    printf("%-16s %6.2f %%  lost %u gained %u  difference %+.2f points [%+.2f, %+.2f]  "
           "p %.1e  %.2f bits a weight\n",
           "quant", 100.0 * r->q.correct / r->q.count, p.lost, p.gained,
           100 * p.difference, 100 * p.interval.low, 100 * p.interval.high, p.p_exact,
           r->quant_row.row.bits_per_weight);
    for (uint32_t i = 0; i < r->arm_count; i++)
        TRY(print_arm(r, &r->arms[i], f, q));

fail:
    rt_free(f);
    rt_free(q);
    rt_free(base);
    rt_free(other);
    return st;
}

/* Freezes a comparison for every arm and writes the page. */
static rt_status write_report(struct restoring *r)
{
    rt_status st;
    struct store *s = r->loop.store;
    char id[STORE_ID], first[STORE_ID] = "";
    TRY(store_begin(s));
    for (uint32_t i = 0; i < r->arm_count; i++) {
        TRY(store_put_comparison(s, r->loop.campaign_id, r->measure.id,
                                 r->loop.format->grader, r->f.run_id, r->q.run_id,
                                 r->arms[i].answers.run_id, id));
        if (i == 0)
            snprintf(first, sizeof first, "%s", id);
    }
    TRY(store_commit(s));
    TRY(report_write(s, &r->cli->ctx, r->loop.campaign_id, r->report));
    cli_say(r->cli, "\nreport: %s", r->report);
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static void close_all(struct restoring *r)
{
    for (uint32_t i = 0; i < r->arm_count; i++) {
        loop_answers_deinit(&r->arms[i].answers);
        rt_adapter_destroy(&r->arms[i].adapter);
        rt_model_destroy(&r->arms[i].model);
    }
    loop_faults_deinit(&r->faults);
    loop_answers_deinit(&r->mine_f);
    loop_answers_deinit(&r->mine_q);
    loop_answers_deinit(&r->f);
    loop_answers_deinit(&r->q);
    rt_model_destroy(&r->full);
    rt_model_destroy(&r->quant);
    loop_bench_close(&r->mine);
    loop_bench_close(&r->validate);
    loop_bench_close(&r->measure);
    loop_close(&r->loop);
}

static rt_status restore(struct cli *cli)
{
    rt_status st;
    struct restoring *r = rt_alloc(&cli->ctx, 1, sizeof *r);
    const uint64_t start = rt_time_ns();
    if (!r)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory");
    r->cli = cli;
    r->full_folder = cli_value(cli, "full", NULL);
    r->recipes =
        cli_flag(cli, "controls")
            ? all_recipes
            : cli_value(cli, "recipes", "default,lowrank,random-problem,more-bits");
    snprintf(r->report, sizeof r->report, "%.590s", cli_value(cli, "out", "report.html"));
    TRY(cli_number(cli, "bits", 3, 2, 8, &r->bits));
    TRY(cli_number(cli, "items", 332, 1, 100000, &r->items));
    TRY(open_all(r));
    TRY(mine_and_locate(r));
    TRY(run_arms(r));
    TRY(print_results(r));
    TRY(write_report(r));
    cli_print_profile(cli, r->loop.dev);
    struct rt_device_stats stats;
    rt_device_stats_get(r->loop.dev, &stats);
    const double wall = (double)(rt_time_ns() - start) * 1e-9;
    cli_say(cli, "%.1f s, %.1f s of it on the device", wall, stats.busy_seconds);

fail:
    close_all(r);
    rt_free(r);
    return st;
}

const struct cli_command cli_restore = {
    "restore", "measure, locate, repair and measure again",
    "--full DIR --mine FILE --validate FILE --measure FILE", options, restore
};

/* ---- demo ---- */

static const struct cli_option demo_options[] = {
    { "problems", "N", "print N fresh problems as JSONL instead" },
    { "controls", NULL, "all recipes and controls" },
    { "recipes", "LIST", "as in restore" },
    { "mine", "FILE", "instead of the first 1,500 bundled problems" },
    { "validate", "FILE", "instead of the first 250 bundled ones" },
    { "measure", "FILE", "instead of the first 500 bundled ones" },
    { "full", "DIR", "instead of the bundled model" },
    { "quant", "DIR", "quantized folder (default: made)" },
    { "bits", "N", "default 3" },
    { "items", "N", "default 332" },
    { "work", "DIR", "default faultline-demo" },
    { "out", "FILE", "default faultline-demo/report.html" },
    { NULL, NULL, NULL },
};

/* Gives an option that was not given. */
static void otherwise(struct cli *cli, const char *name, const char *value)
{
    if (cli_flag(cli, name) || cli->given_count == CLI_OPTIONS_MAX)
        return;
    cli->given[cli->given_count].name = name;
    cli->given[cli->given_count++].value = value;
}

static rt_status demo(struct cli *cli)
{
    static const char *const folders[] = { FAULTLINE_DEMO_SOURCE,
                                           FAULTLINE_DEMO_INSTALLED };
    char mine[700], validate[700], measure[700], config[700];
    const char *folder = getenv("FAULTLINE_DEMO");
    for (size_t i = 0; !folder && i < RT_COUNT(folders); i++) {
        snprintf(config, sizeof config, "%s/config.json", folders[i]);
        if (fmt_exists(config))
            folder = folders[i];
    }
    if (!folder)
        return rt_fail(&cli->ctx, RT_ERR_INPUT,
                       "the bundled model is missing (looked in '%s' and '%s'); set "
                       "FAULTLINE_DEMO to its folder",
                       folders[0], folders[1]);
    snprintf(mine, sizeof mine, "%.600s/mine.jsonl[0:1500]", folder);
    snprintf(validate, sizeof validate, "%.600s/validate.jsonl[0:250]", folder);
    snprintf(measure, sizeof measure, "%.600s/measure.jsonl[0:500]", folder);
    otherwise(cli, "full", folder);
    otherwise(cli, "mine", mine);
    otherwise(cli, "validate", validate);
    otherwise(cli, "measure", measure);
    otherwise(cli, "work", "faultline-demo");
    otherwise(cli, "store", "faultline-demo/faultline.db");
    otherwise(cli, "out", "faultline-demo/report.html");
    return restore(cli);
}

const struct cli_command cli_demo = { "demo", "the whole loop on the bundled model", "",
                                      demo_options, demo };

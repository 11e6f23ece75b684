/* pipeline/cli/restore.c
 * The stages of the chain: measure full and quant on the mined split, locate, train the
 * recipes and controls, measure all on the other split. */
#include "pipeline/cli/restore.h"

#include "runtime/format/file.h"
#include "runtime/quant/folder.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    snprintf(folder, size, "%.500s/%s-%.8s", r->loop.work, name, r->full->hash);
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

static rt_status read_options(struct restoring *r)
{
    rt_status st;
    struct cli *cli = r->cli;
    const char *lr = cli_value(cli, "lr", NULL);
    char *end = NULL;
    r->full_folder = cli_value(cli, "full", NULL);
    r->recipes =
        cli_flag(cli, "controls")
            ? all_recipes
            : cli_value(cli, "recipes", "default,lowrank,random-problem,more-bits");
    snprintf(r->report, sizeof r->report, "%.590s", cli_value(cli, "out", "report.html"));
    TRY(cli_number(cli, "bits", 3, 2, 8, &r->bits));
    TRY(cli_number(cli, "items", 332, 1, 100000, &r->items));
    TRY(cli_number(cli, "samples", 0, 0, 16, &r->samples));
    TRY(cli_number(cli, "rank", 16, 1, 256, &r->rank));
    TRY(cli_number(cli, "epochs", 3, 1, 100, &r->epochs));
    r->lr = lr ? strtod(lr, &end) : 0;
    if (lr && (end == lr || *end || !(r->lr > 0 && r->lr < 1)))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--lr %.30s: a number above 0 and below 1 is needed", lr);
    return RT_OK;

fail:
    return st;
}

/* What is asked for, as JSON text (free); null with an error. */
static char *plan_text(struct restoring *r, const char *quant, const char *mine,
                       const char *validate, const char *measure)
{
    int64_t seed;
    if (cli_number(r->cli, "seed", 1, 0, INT64_MAX, &seed) != RT_OK)
        return NULL;
    json_t *plan =
        json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I}", "full", r->full_folder,
                  "quant", quant ? quant : "", "bits", (json_int_t)r->bits, "mine", mine,
                  "validate", validate, "measure", measure, "items", (json_int_t)r->items,
                  "seed", (json_int_t)seed);
    char *text = plan ? json_dumps(plan, JSON_COMPACT) : NULL;
    json_decref(plan);
    if (!text &&
        rt_fail(&r->cli->ctx, RT_ERR_USAGE,
                "a name of a folder or file is not UTF-8 text; rename it") == RT_OK)
        return NULL;
    return text;
}

static const uint32_t possible_bits[] = { 2, 3, 4, 8 }; /* of plain quantization */

/* The bits that controls are held against: of the quantized model that was given. */
static void take_bits(struct restoring *r)
{
    const struct fmt_quantization *q = &r->quant->config.quantization;
    const double bits = q->present && q->bits ? q->bits : r->quant->bits_per_weight;
    for (size_t i = 0; i < RT_COUNT(possible_bits); i++)
        if (i == 0 || possible_bits[i] <= bits)
            r->bits = possible_bits[i];
}

rt_status restore_open(struct restoring *r, struct cli *cli)
{
    rt_status st;
    char *plan = NULL;
    r->cli = cli;
    TRY(read_options(r));
    const char *mine = cli_value(cli, "mine", NULL),
               *measure = cli_value(cli, "measure", NULL);
    const char *validate = cli_value(cli, "validate", NULL);
    const char *quant = cli_value(cli, "quant", NULL);
    if (!r->full_folder || !mine || !measure || !validate)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "%s needs --full DIR, --mine, --validate and --measure FILE",
                       cli->command->name);
    plan = plan_text(r, quant, mine, validate, measure);
    if (!plan)
        return RT_ERR_USAGE;
    const char *work = cli_value(cli, "work", "faultline-work");
    TRY(fmt_make_folder(&cli->ctx, work));
    TRY(loop_open(&r->loop, cli, r->full_folder, pipe_prompt_format_find("demo"),
                  "restore", plan));
    r->loop.work = work;
    TRY(loop_bench_open(&r->loop, mine, "mine", &r->mine));
    TRY(loop_bench_open(&r->loop, validate, "validate", &r->validate));
    TRY(loop_bench_open(&r->loop, measure, "measure", &r->measure));
    TRY(check_splits(r));
    char name[32];
    snprintf(name, sizeof name, "q%d-row", (int)r->bits);
    TRY(loop_model_load(&r->loop, r->full_folder, &r->full));
    if (quant)
        snprintf(r->quant_folder, sizeof r->quant_folder, "%.590s", quant);
    else
        TRY(ensure_quantized(r, name, (uint32_t)r->bits, 0, false, r->quant_folder,
                             sizeof r->quant_folder));
    TRY(loop_model_load(&r->loop, r->quant_folder, &r->quant));
    if (quant)
        take_bits(r);
    TRY(loop_variant_put(&r->loop, r->full, NULL, r->full_folder, "full", "full", NULL,
                         &r->full_row));
    TRY(loop_variant_put(&r->loop, r->quant, NULL, r->quant_folder, "quant", "quant",
                         NULL, &r->quant_row));

fail:
    free(plan); /* lint: jansson's own */
    return st;
}

/* The next number of bits that plain quantization has; 0: none. */
static uint32_t more_bits(int64_t bits)
{
    for (size_t i = 0; i < RT_COUNT(possible_bits); i++)
        if (possible_bits[i] > bits)
            return possible_bits[i];
    return 0;
}

static rt_status plan_arm(struct restoring *r, const char *name)
{
    static const char *const plain[] = { "more-bits", "smaller-groups" };
    struct rt_ctx *ctx = &r->cli->ctx;
    struct restore_arm arm = { .recipe = loop_recipe_find(name) };
    arm.name = arm.recipe ? arm.recipe->name : NULL;
    for (size_t i = 0; i < RT_COUNT(plain); i++)
        if (strcmp(name, plain[i]) == 0)
            arm.name = plain[i];
    if (!arm.name)
        return rt_fail(ctx, RT_ERR_USAGE, "there is no recipe '%.40s'; there are %s",
                       name, all_recipes);
    for (uint32_t i = 0; i < r->arm_count; i++)
        if (r->arms[i].name == arm.name)
            return rt_fail(ctx, RT_ERR_USAGE, "the recipe '%s' is named twice", name);
    if (arm.name == plain[0] && more_bits(r->bits) == 0)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "the control 'more-bits' needs a quantized model of fewer than 8 "
                       "bits, this has %d; name --recipes without it",
                       (int)r->bits);
    if (r->arm_count == RESTORE_ARMS_MAX)
        return rt_fail(ctx, RT_ERR_USAGE, "more than %d recipes", RESTORE_ARMS_MAX);
    r->arms[r->arm_count++] = arm;
    return RT_OK;
}

rt_status restore_plan(struct restoring *r)
{
    rt_status st = RT_OK;
    char list[512], *save = NULL;
    if (strlen(r->recipes) >= sizeof list)
        return rt_fail(&r->cli->ctx, RT_ERR_USAGE, "--recipes is too long a list");
    snprintf(list, sizeof list, "%s", r->recipes);
    for (char *name = strtok_r(list, ",", &save); name && st == RT_OK;
         name = strtok_r(NULL, ",", &save))
        st = plan_arm(r, name);
    if (st == RT_OK && r->arm_count == 0)
        st = rt_fail(&r->cli->ctx, RT_ERR_USAGE, "--recipes names none; there are %s",
                     all_recipes);
    return st;
}

/* ---- stages ---- */

rt_status restore_mine(struct restoring *r)
{
    rt_status st;
    TRY(loop_measure(&r->loop, &r->full_row, &r->mine, &r->mine_f));
    TRY(loop_measure(&r->loop, &r->quant_row, &r->mine, &r->mine_q));
    TRY(loop_locate(&r->loop, &r->full_row, &r->quant_row, &r->mine, &r->mine_f,
                    &r->mine_q, (uint32_t)r->samples, &r->faults));
    return RT_OK;

fail:
    return st;
}

/* Plain quantization with other numbers: is an adapter the better use of the memory? */
static rt_status plain_arm(struct restoring *r, struct restore_arm *arm)
{
    rt_status st;
    char folder[600], name[48];
    const bool more = strcmp(arm->name, "more-bits") == 0;
    const uint32_t bits = more ? more_bits(r->bits) : (uint32_t)r->bits;
    snprintf(name, sizeof name, more ? "q%u-row" : "q%u-g32", bits);
    TRY(ensure_quantized(r, name, bits, more ? 0 : 32, !more, folder, sizeof folder));
    TRY(loop_model_load(&r->loop, folder, &arm->model));
    TRY(loop_variant_put(&r->loop, arm->model, NULL, folder, arm->name, "control",
                         arm->name, &arm->variant));
    return RT_OK;

fail:
    return st;
}

struct loop_material restore_material(const struct restoring *r)
{
    return (struct loop_material){
        .full = &r->full_row,
        .quant = &r->quant_row,
        .full_folder = r->full_folder,
        .quant_folder = r->quant_folder,
        .mine = &r->mine,
        .validate = &r->validate,
        .measure = &r->measure,
        .f = &r->mine_f,
        .q = &r->mine_q,
        .faults = &r->faults,
        .samples = (uint32_t)r->samples,
        .items_max = (uint32_t)r->items,
        .rank = (uint32_t)r->rank,
        .epochs = (uint32_t)r->epochs,
        .lr = r->lr,
    };
}

static rt_status trained_arm(struct restoring *r, struct restore_arm *arm)
{
    rt_status st;
    char folder[600];
    const struct loop_recipe *recipe = arm->recipe;
    const struct loop_material material = restore_material(r);
    TRY(loop_train(&r->loop, &material, recipe, folder, sizeof folder));
    struct rt_model *base = recipe->on_full ? r->full : r->quant;
    TRY(rt_adapter_load(base, folder, &arm->adapter));
    TRY(loop_variant_put(&r->loop, base, arm->adapter, folder, arm->name, recipe->role,
                         arm->name, &arm->variant));
    return RT_OK;

fail:
    return st;
}

/* Full's answers are what every variant is held against. */
static rt_status measure_arm(struct restoring *r, const struct loop_variant *variant,
                             struct loop_answers *out)
{
    const rt_status st = loop_measure(&r->loop, variant, &r->measure, out);
    return st != RT_OK ? st
                       : loop_divergence(&r->loop, &r->full_row, variant, &r->measure,
                                         &r->f, out->run_id);
}

static rt_status run_arm(struct restoring *r, struct restore_arm *arm)
{
    const rt_status st = arm->recipe ? trained_arm(r, arm) : plain_arm(r, arm);
    return st == RT_OK ? measure_arm(r, &arm->variant, &arm->answers) : st;
}

/* Faults on the measured split, before and after: counted by category, never trained on. */
static rt_status locate_measured(struct restoring *r, const struct loop_variant *variant,
                                 const struct loop_answers *answers)
{
    struct loop_faults faults = { 0 };
    const rt_status st = loop_locate(&r->loop, &r->full_row, variant, &r->measure, &r->f,
                                     answers, (uint32_t)r->samples, &faults);
    loop_faults_deinit(&faults);
    return st;
}

rt_status restore_arms(struct restoring *r)
{
    rt_status st;
    TRY(loop_measure(&r->loop, &r->full_row, &r->measure, &r->f));
    TRY(measure_arm(r, &r->quant_row, &r->q));
    TRY(locate_measured(r, &r->quant_row, &r->q));
    for (uint32_t i = 0; i < r->arm_count; i++)
        TRY(run_arm(r, &r->arms[i]));
    for (uint32_t i = 0; i < r->arm_count; i++)
        if (strcmp(r->arms[i].name, "default") == 0)
            TRY(locate_measured(r, &r->arms[i].variant, &r->arms[i].answers));
    return RT_OK;

fail:
    return st;
}

void restore_close(struct restoring *r)
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

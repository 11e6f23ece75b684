/* pipeline/restore/restore.c
 * The stages of the chain: measure full and quant on the mined split, locate, train the
 * recipes and controls, measure all on the other split. */
#include "pipeline/restore/restore_impl.h"

#include "pipeline/grade/grade.h"
#include "pipeline/locate/damage.h"
#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "runtime/quant/folder.h"
#include "store/report/report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char restore_all_recipes[] =
    "default,lowrank,sft,kl,dpo,dpo+sft,random-problem,"
    "random-step,shuffled,on-full,more-bits,smaller-groups";
const char restore_usual_recipes[] = "default,lowrank,random-problem,more-bits";

/* ---- set-up ---- */

static rt_status ensure_quantized(struct restoring *r, const char *name, uint32_t bits,
                                  uint32_t group, bool asymmetric, char *folder,
                                  size_t size)
{
    struct quant_report report;
    const struct quant_options q = { .bits = bits,
                                     .group = group,
                                     .asymmetric = asymmetric };
    snprintf(folder, size, "%.500s/%s-%.8s", r->session->work, name,
             rt_model_hash(r->full));
    if (fmt_exists(folder))
        return RT_OK;
    return quant_folder(r->session->ctx, r->options.full, folder, &q, NULL, false,
                        &report);
}

static rt_status check_splits(struct restoring *r)
{
    struct pipe_leak leak;
    const struct {
        const struct pipe_bench *split;
        const char *name;
    } trained[] = { { &r->mine, "mined" }, { &r->validate, "validation" } };
    for (size_t i = 0; i < RT_COUNT(trained); i++) {
        const rt_status st = pipe_problems_leak(r->session->ctx, &trained[i].split->set,
                                                &r->measure.set, &leak);
        if (st != RT_OK)
            return st;
        if (leak.count)
            return rt_fail(
                r->session->ctx, RT_ERR_USAGE,
                "%u questions of the %s split are measured too (the first: '%s'); "
                "results would be in-sample, choose other splits",
                leak.count, trained[i].name, trained[i].split->set.items[leak.a].id);
    }
    return RT_OK;
}

rt_status restore_campaign(struct rt_ctx *ctx, const struct restore_options *o,
                           const char *format, uint64_t seed, char **out)
{
    *out = NULL;
    json_t *plan = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I}", "format",
                             format, "full", o->full, "quant", o->quant ? o->quant : "",
                             "bits", (json_int_t)o->bits, "mine", o->mine, "validate",
                             o->validate, "measure", o->measure, "items",
                             (json_int_t)o->items, "seed", (json_int_t)seed);
    char *text = plan ? json_dumps(plan, JSON_COMPACT) : NULL;
    json_decref(plan);
    if (!text)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "a name of a folder or file is not UTF-8 text; rename it");
    *out = rt_strdup(ctx, text);
    free(text); /* lint: jansson's own */
    return *out ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory");
}

static const uint32_t possible_bits[] = { 2, 3, 4, 8 }; /* of plain quantization */

/* The bits that controls are held against: of the quantized model that was given. */
static void take_bits(struct restoring *r)
{
    const struct fmt_quantization *q = &rt_model_config(r->quant)->quantization;
    const double bits =
        q->present && q->bits && !q->mixed ? q->bits : rt_model_bits_per_weight(r->quant);
    for (size_t i = 0; i < RT_COUNT(possible_bits); i++)
        if (i == 0 || possible_bits[i] <= bits)
            r->bits = possible_bits[i];
}

static rt_status open_problems(struct restoring *r)
{
    rt_status st;
    const struct restore_options *o = &r->options;
    TRY(pipe_bench_open(r->session, o->mine, "mine", &r->mine));
    TRY(pipe_bench_open(r->session, o->validate, "validate", &r->validate));
    TRY(pipe_bench_open(r->session, o->measure, "measure", &r->measure));
    TRY(check_splits(r));

fail:
    return st;
}

static rt_status open_models(struct restoring *r)
{
    rt_status st;
    char name[32];
    const struct restore_options *o = &r->options;
    r->bits = o->bits;
    snprintf(name, sizeof name, "q%u-row", r->bits);
    TRY(pipe_model_load(r->session, o->full, &r->full));
    if (o->quant)
        snprintf(r->quant_folder, sizeof r->quant_folder, "%.590s", o->quant);
    else
        TRY(ensure_quantized(r, name, r->bits, 0, false, r->quant_folder,
                             sizeof r->quant_folder));
    TRY(pipe_model_load(r->session, r->quant_folder, &r->quant));
    if (o->quant)
        take_bits(r);
    TRY(pipe_variant_put(r->session, r->full, NULL, o->full, "full", "full", NULL,
                         &r->full_row));
    TRY(pipe_variant_put(r->session, r->quant, NULL, r->quant_folder, "quant", "quant",
                         NULL, &r->quant_row));

fail:
    return st;
}

/* The next number of bits that plain quantization has; 0: none. */
static uint32_t more_bits(uint32_t bits)
{
    for (size_t i = 0; i < RT_COUNT(possible_bits); i++)
        if (possible_bits[i] > bits)
            return possible_bits[i];
    return 0;
}

static rt_status plan_arm(struct restoring *r, const char *name)
{
    static const char *const plain[] = { "more-bits", "smaller-groups" };
    struct rt_ctx *ctx = r->session->ctx;
    struct restore_arm arm = { .recipe = pipe_restore_recipe_find(name) };
    arm.name = arm.recipe ? arm.recipe->name : NULL;
    for (size_t i = 0; i < RT_COUNT(plain); i++)
        if (strcmp(name, plain[i]) == 0)
            arm.name = plain[i];
    if (!arm.name)
        return rt_fail(ctx, RT_ERR_USAGE, "there is no recipe '%.40s'; there are %s",
                       name, restore_all_recipes);
    for (uint32_t i = 0; i < r->arm_count; i++)
        if (r->arms[i].name == arm.name)
            return rt_fail(ctx, RT_ERR_USAGE, "the recipe '%s' is named twice", name);
    if (arm.name == plain[0] && more_bits(r->bits) == 0)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "the control 'more-bits' needs a quantized model of fewer than 8 "
                       "bits, this has %u; name --recipes without it",
                       r->bits);
    if (r->arm_count == RESTORE_ARMS_MAX)
        return rt_fail(ctx, RT_ERR_USAGE, "more than %d recipes", RESTORE_ARMS_MAX);
    r->arms[r->arm_count++] = arm;
    return RT_OK;
}

static rt_status plan_arms(struct restoring *r)
{
    rt_status st = RT_OK;
    char list[512], *save = NULL;
    struct rt_ctx *ctx = r->session->ctx;
    const char *recipes = r->options.recipes;
    if (!recipes)
        return RT_OK;
    if (strlen(recipes) >= sizeof list)
        return rt_fail(ctx, RT_ERR_USAGE, "--recipes is too long a list");
    snprintf(list, sizeof list, "%s", recipes);
    for (char *name = os_token(list, ",", &save); name && st == RT_OK;
         name = os_token(NULL, ",", &save))
        st = plan_arm(r, name);
    if (st == RT_OK && r->arm_count == 0)
        st = rt_fail(ctx, RT_ERR_USAGE, "--recipes names none; there are %s",
                     restore_all_recipes);
    return st;
}

rt_status restore_open(struct pipe_session *session, const struct restore_options *o,
                       struct restoring **out)
{
    rt_status st;
    *out = NULL;
    struct restoring *r = rt_alloc(session->ctx, 1, sizeof *r);
    if (!r)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory");
    r->session = session;
    r->options = *o;
    session->work = o->work;
    TRY(fmt_make_folder(session->ctx, o->work));
    TRY(open_problems(r));
    TRY(open_models(r));
    TRY(plan_arms(r));
    *out = r;
    return RT_OK;

fail:
    restore_close(&r);
    return st;
}

/* ---- stages ---- */

rt_status restore_mine(struct restoring *r)
{
    rt_status st;
    TRY(pipe_measure(r->session, &r->full_row, &r->mine, &r->mine_f));
    TRY(pipe_measure(r->session, &r->quant_row, &r->mine, &r->mine_q));
    TRY(pipe_locate(r->session, &r->full_row, &r->quant_row, &r->mine, &r->mine_f,
                    &r->mine_q, &r->options.locate, r->locate_run));
    TRY(pipe_faults_read(r->session, &r->mine, &r->mine_f, r->locate_run, &r->faults));
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
    const uint32_t bits = more ? more_bits(r->bits) : r->bits;
    snprintf(name, sizeof name, more ? "q%u-row" : "q%u-g32", bits);
    TRY(ensure_quantized(r, name, bits, more ? 0 : 32, !more, folder, sizeof folder));
    TRY(pipe_model_load(r->session, folder, &arm->model));
    TRY(pipe_variant_put(r->session, arm->model, NULL, folder, arm->name, "control",
                         arm->name, &arm->variant));
    return RT_OK;

fail:
    return st;
}

const char *restore_mined_run(const struct restoring *r)
{
    return r->mine_q.run_id;
}

const char *restore_locate_run(const struct restoring *r)
{
    return r->locate_run;
}

rt_status restore_injected(struct restoring *r, uint32_t count)
{
    return pipe_locate_injected(r->session, &r->full_row, &r->mine, &r->mine_f, count,
                                r->options.locate.samples);
}

static struct pipe_material material_of(const struct restoring *r)
{
    return (struct pipe_material){
        .full = &r->full_row,
        .quant = &r->quant_row,
        .full_folder = r->options.full,
        .quant_folder = r->quant_folder,
        .mine = &r->mine,
        .validate = &r->validate,
        .measure = &r->measure,
        .f = &r->mine_f,
        .q = &r->mine_q,
        .faults = &r->faults,
        .samples = r->options.locate.samples,
        .items_max = r->options.items,
        .rank = r->options.rank,
        .epochs = r->options.epochs,
        .lr = r->options.lr,
    };
}

bool restore_is_recipe(const char *name)
{
    return pipe_restore_recipe_find(name) != NULL;
}

rt_status restore_curate(struct restoring *r, const char *recipe, const char *path)
{
    const struct pipe_material material = material_of(r);
    return pipe_curate_file(r->session, &material, pipe_restore_recipe_find(recipe),
                            path);
}

rt_status restore_train(struct restoring *r, const char *recipe, char *folder,
                        size_t size)
{
    struct pipe_trained trained;
    const struct pipe_material material = material_of(r);
    const rt_status st =
        pipe_train(r->session, &material, pipe_restore_recipe_find(recipe), &trained);
    if (st == RT_OK)
        snprintf(folder, size, "%s", trained.folder);
    return st;
}

/* Notes that the adapter is what a training run made. */
static rt_status note_adapter(struct restoring *r, const struct pipe_trained *trained,
                              const struct pipe_variant *variant)
{
    rt_status st;
    struct store *s = r->session->store;
    TRY(store_begin(s));
    TRY(store_put_run_artifact(s, trained->run_id, variant->adapter_id, "out",
                               "adapter"));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static rt_status trained_arm(struct restoring *r, struct restore_arm *arm)
{
    rt_status st;
    struct pipe_trained trained;
    const struct pipe_restore_recipe *recipe = arm->recipe;
    const struct pipe_material material = material_of(r);
    TRY(pipe_train(r->session, &material, recipe, &trained));
    struct rt_model *base = recipe->on_full ? r->full : r->quant;
    TRY(rt_adapter_load(base, trained.folder, &arm->adapter));
    TRY(pipe_variant_put(r->session, base, arm->adapter, trained.folder, arm->name,
                         recipe->role, arm->name, &arm->variant));
    TRY(note_adapter(r, &trained, &arm->variant));

fail:
    return st;
}

/* Full's answers are what every variant is held against. */
static rt_status measure_arm(struct restoring *r, const struct pipe_variant *variant,
                             struct pipe_answers *out)
{
    rt_status st;
    TRY(pipe_measure(r->session, variant, &r->measure, out));
    TRY(pipe_divergence(r->session, &r->full_row, variant, &r->measure, &r->f,
                        out->run_id));
    TRY(pipe_damage_save(r->session, &r->f, out == &r->q ? NULL : &r->q, out));

fail:
    return st;
}

static rt_status run_arm(struct restoring *r, struct restore_arm *arm)
{
    const rt_status st = arm->recipe ? trained_arm(r, arm) : plain_arm(r, arm);
    return st == RT_OK ? measure_arm(r, &arm->variant, &arm->answers) : st;
}

/* Faults on the measured split, before and after: counted by category, never trained on. */
static rt_status locate_measured(struct restoring *r, const struct pipe_variant *variant,
                                 const struct pipe_answers *answers)
{
    char run_id[STORE_ID];
    return pipe_locate(r->session, &r->full_row, variant, &r->measure, &r->f, answers,
                       &r->options.locate, run_id);
}

rt_status restore_arms(struct restoring *r)
{
    rt_status st;
    TRY(pipe_measure(r->session, &r->full_row, &r->measure, &r->f));
    TRY(pipe_damage_save(r->session, &r->f, NULL, &r->f));
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

rt_status restore_report(struct restoring *r, const char *path)
{
    rt_status st;
    char id[STORE_ID];
    struct pipe_session *session = r->session;
    TRY(store_begin(session->store));
    for (uint32_t i = 0; i < r->arm_count; i++)
        TRY(store_put_comparison(session->store, session->campaign_id, r->measure.id,
                                 session->format->grader, r->f.run_id, r->q.run_id,
                                 r->arms[i].answers.run_id, id));
    TRY(store_commit(session->store));
    return report_write(session->store, session->ctx, session->campaign_id, path);

fail:
    store_rollback(session->store);
    return st;
}

void restore_close(struct restoring **pr)
{
    struct restoring *r = *pr;
    if (!r)
        return;
    for (uint32_t i = 0; i < r->arm_count; i++) {
        pipe_answers_deinit(&r->arms[i].answers);
        rt_adapter_destroy(&r->arms[i].adapter);
        rt_model_destroy(&r->arms[i].model);
    }
    pipe_faults_deinit(&r->faults);
    pipe_answers_deinit(&r->mine_f);
    pipe_answers_deinit(&r->mine_q);
    pipe_answers_deinit(&r->f);
    pipe_answers_deinit(&r->q);
    rt_model_destroy(&r->full);
    rt_model_destroy(&r->quant);
    pipe_bench_close(&r->mine);
    pipe_bench_close(&r->validate);
    pipe_bench_close(&r->measure);
    rt_free(r);
    *pr = NULL;
}

/* pipeline/restore/restore.c
 * The stages of the chain: measure full and quant on the mined split, locate, train the
 * recipes and controls, measure all on the other split. */
#include "pipeline/restore/plain.h"

#include "pipeline/data/near_copy.h"
#include "pipeline/grade/grade.h"
#include "pipeline/locate/damage.h"
#include "runtime/base/file.h"
#include "store/report/report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- set-up ---- */

/* Refuses problems that are trained on, or choose what is kept, and are measured too. */
static rt_status check_split(struct restoring *r, const struct pipe_bench *measured)
{
    struct pipe_leak leak;
    const struct {
        const struct pipe_bench *split;
        const char *name;
    } trained[] = { { &r->all, "mined" }, { &r->validate, "validation" } };
    for (size_t i = 0; i < RT_COUNT(trained); i++) {
        const rt_status st = pipe_problems_leak(r->session->ctx, &trained[i].split->set,
                                                &measured->set, &leak);
        if (st != RT_OK)
            return st;
        if (leak.count)
            return rt_fail(
                r->session->ctx, RT_ERR_USAGE,
                "%u problems of the %s split are measured too (the first: '%s'); "
                "results would be in-sample, choose other splits",
                leak.count, trained[i].name, trained[i].split->set.items[leak.a].id);
    }
    return RT_OK;
}

/* Near copies are no reason to refuse a list: they are named, and curate makes no item of
 * them. */
static rt_status tell_near(struct restoring *r)
{
    struct pipe_leak near;
    const rt_status st =
        pipe_problems_near(r->session->ctx, &r->all.set, &r->measure.set, &near);
    if (st == RT_OK && near.count)
        pipe_say(r->session->host,
                 "%u mined problems are near copies of measured ones (the first: '%s' of "
                 "'%s'); nothing is trained on them",
                 near.count, r->all.set.items[near.a].id,
                 r->measure.set.items[near.b].id);
    return st;
}

static rt_status open_retained(struct restoring *r)
{
    rt_status st;
    const char *usual =
        r->options.recipes ? "bundled" : NULL; /* if models are measured */
    const char *list = r->options.retain ? r->options.retain : usual;
    TRY(restore_retain_open(r->session, list, r->full, &r->retained));
    for (uint32_t i = 0; i < r->retained.count; i++)
        if (r->retained.items[i].kind == RESTORE_RETAINED_PROBLEMS)
            TRY(check_split(r, &r->retained.items[i].bench));

fail:
    return st;
}

rt_status restore_campaign(struct rt_ctx *ctx, const struct restore_options *o,
                           const char *format, uint64_t seed, char **out)
{
    *out = NULL;
    json_t *plan = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:b, s:s, s:s, s:I, s:b, s:s, s:s, s:s, s:I, s:I, "
        "s:I}",
        "format", format, "full", o->full, "quant", o->quant ? o->quant : "", "bits",
        (json_int_t)o->bits, "group", (json_int_t)o->group, "asym", o->asymmetric,
        "method", o->method, "calib", o->calib ? o->calib : "", "calib_items",
        (json_int_t)o->calib_items, "select", o->select, "mine", o->mine, "validate",
        o->validate, "measure", o->measure, "mine_until", (json_int_t)o->mine_until,
        "items", (json_int_t)o->items, "seed", (json_int_t)seed);
    /* Only where it is asked for: a campaign of an earlier build is found again. */
    if (plan && o->retain && json_object_set_new(plan, "retain", json_string(o->retain)))
        json_decref(plan), plan = NULL;
    if (plan && o->adapter_bits == 8 &&
        json_object_set_new(plan, "adapter_bits", json_integer(o->adapter_bits)))
        json_decref(plan), plan = NULL;
    char *text = plan ? json_dumps(plan, JSON_COMPACT) : NULL;
    json_decref(plan);
    if (!text)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "a name of a folder or file is not UTF-8 text; rename it");
    *out = rt_strdup(ctx, text);
    free(text); /* lint: jansson's own */
    return *out ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory");
}

static rt_status open_problems(struct restoring *r)
{
    rt_status st;
    const struct restore_options *o = &r->options;
    TRY(pipe_bench_open(r->session, o->mine, "mine", &r->all));
    r->mine = r->all;
    TRY(pipe_bench_open(r->session, o->validate, "validate", &r->validate));
    TRY(pipe_bench_open(r->session, o->measure, "measure", &r->measure));
    TRY(check_split(r, &r->measure));
    TRY(tell_near(r));

fail:
    return st;
}

static rt_status make_quant(struct restoring *r)
{
    const struct restore_options *o = &r->options;
    r->grid = (struct restore_grid){ .bits = o->bits,
                                     .group = o->group,
                                     .asymmetric = o->asymmetric };
    snprintf(r->grid.method, sizeof r->grid.method, "%s", o->method);
    return restore_plain_make(r, &r->grid, r->quant_folder, sizeof r->quant_folder);
}

static rt_status open_models(struct restoring *r)
{
    rt_status st;
    const struct restore_options *o = &r->options;
    if (!restore_plain_method(o->method))
        return rt_fail(r->session->ctx, RT_ERR_USAGE,
                       "--method %.30s: rtn, gptq or awq is possible", o->method);
    TRY(pipe_model_load(r->session, o->full, &r->full));
    TRY(open_retained(r)); /* before hours of quantizing */
    if (o->quant)
        snprintf(r->quant_folder, sizeof r->quant_folder, "%.590s", o->quant);
    else
        TRY(make_quant(r));
    TRY(pipe_model_load(r->session, r->quant_folder, &r->quant));
    if (o->quant)
        r->grid = restore_grid_of(&rt_model_config(r->quant)->quantization,
                                  rt_model_bits_per_weight(r->quant), o->method);
    TRY(pipe_variant_put(r->session, r->full, NULL, o->full, "full", "full", NULL,
                         &r->full_row));
    TRY(pipe_variant_put(r->session, r->quant, NULL, r->quant_folder, "quant", "quant",
                         NULL, &r->quant_row));

fail:
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
    if (o->locate.more & PIPE_LOCATE_JUDGE)
        session->positions = pipe_judge_positions(session);
    TRY(fmt_make_folder(session->ctx, o->work));
    TRY(open_problems(r));
    TRY(open_models(r));
    TRY(restore_plan_arms(r));
    *out = r;
    return RT_OK;

fail:
    restore_close(&r);
    return st;
}

/* ---- stages ---- */

static rt_status plain_arm(struct restoring *r, struct restore_arm *arm)
{
    rt_status st;
    char folder[600];
    TRY(restore_plain_make(r, &arm->grid, folder, sizeof folder));
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
                                &r->options.locate);
}

static struct pipe_material material_of(struct restoring *r)
{
    return (struct pipe_material){
        .full = &r->full_row,
        .quant = &r->quant_row,
        .full_folder = r->options.full,
        .quant_folder = r->quant_folder,
        .grid = &r->grid,
        .mine = &r->mine,
        .validate = &r->validate,
        .measure = &r->measure,
        .f = &r->mine_f,
        .q = &r->mine_q,
        .faults = &r->faults,
        .samples = r->options.locate.samples,
        .items_max = r->options.items,
        .rank = r->options.rank,
        .adapter_bits = r->options.adapter_bits,
        .epochs = r->options.epochs,
        .lr = r->options.lr,
        .own = &r->own,
    };
}

static rt_status no_items(struct restoring *r, const struct pipe_restore_recipe *recipe)
{
    return rt_fail(
        r->session->ctx, RT_ERR_USAGE,
        "'%s' trains nothing and has no items; restore --recipes %s measures it",
        recipe->name, recipe->name);
}

rt_status restore_curate(struct restoring *r, const char *recipe, const char *path)
{
    const struct pipe_material material = material_of(r);
    const struct pipe_restore_recipe *row = pipe_restore_recipe_find(recipe);
    return row->rescues ? no_items(r, row)
                        : pipe_curate_file(r->session, &material, row, path);
}

/* Notes that the adapter, or the model, is what a training run made. */
static rt_status note_made(struct restoring *r, const struct pipe_trained *trained,
                           const struct pipe_variant *variant)
{
    rt_status st;
    struct store *s = r->session->store;
    const bool adapter = variant->adapter != NULL;
    TRY(store_begin(s));
    TRY(store_put_run_artifact(s, trained->run_id,
                               adapter ? variant->adapter_id : variant->weights_id, "out",
                               adapter ? "adapter" : "model"));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

/* A model that a recipe makes; *model is loaded. */
static rt_status recipe_model(struct restoring *r, const struct pipe_material *material,
                              const struct pipe_restore_recipe *recipe, const char *name,
                              struct pipe_trained *trained, struct rt_model **model,
                              struct pipe_variant *variant)
{
    rt_status st;
    TRY(pipe_train(r->session, material, recipe, trained));
    if (trained->nothing)
        return RT_OK;
    TRY(pipe_model_load(r->session, trained->folder, model));
    TRY(pipe_variant_put(r->session, *model, NULL, trained->folder, name, recipe->role,
                         name, variant));
    TRY(note_made(r, trained, variant));

fail:
    return st;
}

/* What an adapter is trained from and on: quant, or the model of the recipe before it. */
struct base {
    struct pipe_material material;
    struct pipe_trained before;
    struct pipe_variant variant;
};

static rt_status train_adapter(struct restoring *r, struct restore_arm *arm,
                               struct base *base, struct pipe_trained *trained)
{
    rt_status st;
    base->material = material_of(r);
    if (arm->recipe->after) {
        const struct pipe_restore_recipe *first =
            pipe_restore_recipe_find(arm->recipe->after);
        TRY(recipe_model(r, &base->material, first, first->name, &base->before,
                         &arm->model, &base->variant));
        if (base->before.nothing) {
            *trained = base->before;
            return RT_OK;
        }
        base->material.quant = &base->variant;
        base->material.quant_folder = base->before.folder;
    }
    TRY(pipe_train(r->session, &base->material, arm->recipe, trained));

fail:
    return st;
}

static rt_status adapter_arm(struct restoring *r, struct restore_arm *arm,
                             struct pipe_trained *trained)
{
    rt_status st;
    struct base base;
    TRY(train_adapter(r, arm, &base, trained));
    if (trained->nothing)
        return RT_OK;
    struct rt_model *model = arm->recipe->on_full ? r->full
                             : arm->model         ? arm->model
                                                  : r->quant;
    TRY(rt_adapter_load(model, trained->folder, &arm->adapter));
    TRY(pipe_variant_put(r->session, model, arm->adapter, trained->folder, arm->name,
                         arm->recipe->role, arm->name, &arm->variant));
    TRY(note_made(r, trained, &arm->variant));

fail:
    return st;
}

/* Items, their order and an adapter's start are drawn by the arm's seed; answers are those
 * of the session's. */
static rt_status trained_arm(struct restoring *r, struct restore_arm *arm)
{
    rt_status st;
    struct pipe_trained trained = { 0 };
    const uint64_t seed = r->session->seed;
    const struct pipe_material material = material_of(r);
    r->session->seed = arm->seed;
    st = pipe_restore_recipe_makes_model(arm->recipe)
             ? recipe_model(r, &material, arm->recipe, arm->name, &trained, &arm->model,
                            &arm->variant)
             : adapter_arm(r, arm, &trained);
    r->session->seed = seed;
    if (st == RT_OK && trained.nothing)
        snprintf(arm->left_out, sizeof arm->left_out, "%s", trained.why);
    return st;
}

bool restore_is_recipe(const char *name)
{
    uint64_t seed;
    return pipe_restore_recipe_of_arm(name, &seed) != NULL;
}

rt_status restore_train(struct restoring *r, const char *recipe, char *folder,
                        size_t size)
{
    rt_status st;
    struct base base;
    struct pipe_trained trained = { 0 };
    const uint64_t usual = r->session->seed;
    struct restore_arm arm = { .seed = usual };
    arm.recipe = pipe_restore_recipe_of_arm(recipe, &arm.seed);
    if (arm.recipe->rescues)
        return no_items(r, arm.recipe);
    r->session->seed = arm.seed;
    TRY(train_adapter(r, &arm, &base, &trained));
    if (trained.nothing)
        st = rt_fail(r->session->ctx, RT_ERR_USAGE, "recipe '%s': %s; mine more problems",
                     arm.recipe->name, trained.why);
    snprintf(folder, size, "%s", trained.folder);

fail:
    r->session->seed = usual;
    rt_model_destroy(&arm.model);
    return st;
}

/* Full's answers are what every variant is held against. */
static rt_status measure_arm(struct restoring *r, const struct pipe_variant *variant,
                             struct pipe_answers *out)
{
    rt_status st;
    struct pipe_diverged diverged;
    TRY(pipe_measure(r->session, variant, &r->measure, out));
    TRY(pipe_divergence(r->session, &r->full_row, variant, &r->measure, &r->f,
                        out->run_id, &diverged));
    TRY(pipe_damage_save(r->session, &r->f, out == &r->q ? NULL : &r->q, out));
    TRY(restore_retain_measure(r->session, &r->retained, r->full, variant));

fail:
    return st;
}

/* Quant itself, decoded otherwise. */
static rt_status decoded_arm(struct restoring *r, struct restore_arm *arm)
{
    const rt_status st =
        pipe_variant_put(r->session, r->quant, NULL, r->quant_folder, arm->name,
                         arm->recipe->role, arm->name, &arm->variant);
    arm->variant.rescues = arm->recipe->rescues;
    return st;
}

static rt_status make_arm(struct restoring *r, struct restore_arm *arm)
{
    if (!arm->recipe)
        return plain_arm(r, arm);
    return arm->recipe->rescues ? decoded_arm(r, arm) : trained_arm(r, arm);
}

static rt_status run_arm(struct restoring *r, struct restore_arm *arm)
{
    const rt_status st = make_arm(r, arm);
    return st == RT_OK && !arm->left_out[0] ? measure_arm(r, &arm->variant, &arm->answers)
                                            : st;
}

/* Runs every arm. One that has nothing to train on is taken from the list; those behind it
 * have not run yet, so nothing points into them. */
static rt_status run_arms(struct restoring *r)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < r->arm_count;) {
        struct restore_arm *arm = &r->arms[i];
        TRY(run_arm(r, arm));
        if (!arm->left_out[0]) {
            i++;
            continue;
        }
        pipe_say(r->session->host, "%s is left out: %s", arm->name, arm->left_out);
        r->arm_count--;
        memmove(arm, arm + 1, (r->arm_count - i) * sizeof *arm);
        r->arms[r->arm_count] = (struct restore_arm){ .seed = 0 };
    }

fail:
    return st;
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
    TRY(restore_retain_measure(r->session, &r->retained, r->full, &r->full_row));
    TRY(measure_arm(r, &r->quant_row, &r->q));
    TRY(locate_measured(r, &r->quant_row, &r->q));
    TRY(run_arms(r));
    const struct restore_arm *main_arm = restore_main_arm(r);
    if (main_arm)
        TRY(locate_measured(r, &main_arm->variant, &main_arm->answers));
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
    pipe_own_draws_deinit(&r->own);
    pipe_answers_deinit(&r->mine_f);
    pipe_answers_deinit(&r->mine_q);
    pipe_answers_deinit(&r->f);
    pipe_answers_deinit(&r->q);
    rt_model_destroy(&r->full);
    rt_model_destroy(&r->quant);
    pipe_calibration_deinit(&r->calibration);
    pipe_bench_close(&r->all);
    pipe_bench_close(&r->validate);
    pipe_bench_close(&r->measure);
    restore_retain_close(&r->retained);
    rt_free(r);
    *pr = NULL;
}

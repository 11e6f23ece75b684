/* pipeline/restore/restore_plan.c
 * Which arms a chain measures beside full and quant: recipes, their controls, and plain
 * models of the quantizer and symmetry of quant. */
#include "pipeline/restore/restore_impl.h"

#include "runtime/base/os.h"
#include "runtime/format/gguf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN "rtn,more-bits,smaller-groups,nearest"

const char restore_all_recipes[] =
    "refine,refine-random,refine-kept,refine-step,refine-1000,refine+adapter,adapter,"
    "gptq-bullets,gptq-self,gptq-step,gptq-random-step,awq-self,rescue,adapter-random,"
    "lowrank,sft,kl,dpo,dpo+sft,dpo-own,sft-own,random-step,whole,"
    "shuffled,on-full," PLAIN;
const char restore_usual_recipes[] = "refine,refine-random,refine-kept," PLAIN;
/* Where the scales of quant cannot be trained. */
static const char without_scales[] = "adapter,lowrank,adapter-random," PLAIN;

struct planning {
    struct restoring *r;
    bool asked;       /* the user named the arms: what is not possible is refused */
    bool probed;      /* whether scales can be trained is known */
    rt_status scales; /* RT_OK: they can be */
    char why[512];    /* they cannot */
};

/* The scales of quant can be trained, or why they cannot. */
static rt_status probe_scales(struct planning *p)
{
    struct rt_scales *scales = NULL;
    struct rt_ctx *ctx = p->r->session->ctx;
    if (p->probed)
        return p->scales;
    if (fmt_gguf_is(p->r->quant_folder))
        p->scales = rt_fail(ctx, RT_ERR_INPUT,
                            "'%s': scales of a GGUF file are trained by faultline refine "
                            "alone",
                            p->r->quant_folder);
    else
        p->scales = rt_scales_create(p->r->quant, p->r->quant_folder, false, &scales);
    snprintf(p->why, sizeof p->why, "%.500s", p->scales == RT_OK ? "" : ctx->message);
    rt_scales_destroy(&scales);
    p->probed = true;
    return p->scales;
}

/* An arm that cannot be: an error where the user named it, else said. */
static rt_status leave_out(struct planning *p, rt_status st, const char *name,
                           const char *why)
{
    if (p->asked)
        return rt_fail(p->r->session->ctx, st,
                       "'%.40s' is not possible here: %s; name --recipes without it",
                       name, why);
    pipe_say(p->r->session->host, "%s is left out: %s", name, why);
    return RT_OK;
}

static rt_status add_arm(struct planning *p, const struct restore_arm *arm)
{
    struct restoring *r = p->r;
    for (uint32_t i = 0; i < r->arm_count; i++)
        if (strcmp(r->arms[i].name, arm->name) == 0)
            return rt_fail(r->session->ctx, RT_ERR_USAGE,
                           "the recipe '%s' is named twice", arm->name);
    if (r->arm_count == RESTORE_ARMS_MAX)
        return rt_fail(r->session->ctx, RT_ERR_USAGE, "more than %d recipes",
                       RESTORE_ARMS_MAX);
    r->arms[r->arm_count++] = *arm;
    return RT_OK;
}

static rt_status plan_recipe(struct planning *p, const struct pipe_restore_recipe *recipe,
                             uint64_t seed)
{
    struct restore_arm arm = { .recipe = recipe, .seed = seed };
    const bool scales = pipe_restore_recipe_makes_model(recipe) || recipe->after;
    if (scales && probe_scales(p) != RT_OK)
        return leave_out(p, p->scales, recipe->name, p->why);
    snprintf(arm.name, sizeof arm.name, "%s", recipe->name);
    if (seed != p->r->session->seed)
        snprintf(arm.name, sizeof arm.name, "%.24s@%llu", recipe->name,
                 (unsigned long long)seed);
    return add_arm(p, &arm);
}

/* ---- plain models ---- */

static double bits_of_main(const struct restoring *r)
{
    const struct restore_arm *arm = restore_main_arm(r);
    const double bits = r->quant_row.row.bits_per_weight;
    if (!arm || pipe_restore_recipe_makes_model(arm->recipe) || arm->recipe->on_full)
        return bits;
    const struct fmt_config *c = rt_model_config(r->full);
    double adapter = 0, weights = 0;
    for (int m = 0; m < FMT_MODULE_COUNT; m++) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)m, &out, &in);
        adapter += (double)r->options.rank * (out + in);
        weights += (double)out * in;
    }
    return bits + r->options.adapter_bits * adapter / weights;
}

/* The grid of a control by its name; NULL as *why and no bits: it is none. */
static struct restore_grid grid_of(const struct restoring *r, const char *name,
                                   const char **why)
{
    struct restore_grid g = r->grid;
    *why = "the quantized model has 8 bits, and no quantizer here makes more";
    if (strcmp(name, "more-bits") == 0)
        return restore_grid_more_bits(&r->grid);
    *why = "the quantized model has groups of 16, the smallest ones";
    if (strcmp(name, "smaller-groups") == 0)
        return restore_grid_smaller_groups(&r->grid);
    *why = "no other grid fits the model";
    if (strcmp(name, "nearest") == 0)
        return restore_grid_nearest(&r->grid, rt_model_config(r->full), bits_of_main(r));
    if (strcmp(name, "rtn") == 0) {
        snprintf(g.method, sizeof g.method, "rtn");
        return g;
    }
    *why = NULL;
    return restore_grid_named(name, &r->grid);
}

static rt_status plan_plain(struct planning *p, const char *name)
{
    const char *why;
    char same[96];
    struct restoring *r = p->r;
    struct restore_arm arm = { .grid = grid_of(r, name, &why) };
    snprintf(arm.name, sizeof arm.name, "%.40s", name);
    if (!arm.grid.bits && !why)
        return rt_fail(r->session->ctx, RT_ERR_USAGE,
                       "there is no recipe '%.40s'; there are %s, plain-BITS-row and "
                       "plain-BITS-gN",
                       name, restore_all_recipes);
    if (!arm.grid.bits)
        return leave_out(p, RT_ERR_USAGE, name, why);
    if (restore_grid_same(&arm.grid, &r->grid))
        return leave_out(p, RT_ERR_USAGE, name, "it is how the quantized model is made");
    for (uint32_t i = 0; i < r->arm_count; i++)
        if (!r->arms[i].recipe && strcmp(r->arms[i].name, arm.name) != 0 &&
            restore_grid_same(&arm.grid, &r->arms[i].grid)) {
            snprintf(same, sizeof same, "it is the same model as '%s'", r->arms[i].name);
            return leave_out(p, RT_ERR_USAGE, name, same);
        }
    return add_arm(p, &arm);
}

/* ---- all of them ---- */

const struct restore_arm *restore_main_arm(const struct restoring *r)
{
    for (uint32_t i = 0; i < r->arm_count; i++)
        if (r->arms[i].recipe && strcmp(r->arms[i].recipe->role, "restored") == 0)
            return &r->arms[i];
    return NULL;
}

/* The default and its controls once more with the next seeds. */
static rt_status plan_seeds(struct planning *p)
{
    rt_status st = RT_OK;
    static const char *const repeated[] = { "refine", "refine-random", "refine-kept",
                                            "refine-step" };
    const struct restoring *r = p->r;
    const uint32_t planned = r->arm_count;
    for (uint32_t k = 1; k < r->options.seeds; k++)
        for (uint32_t i = 0; i < planned; i++)
            for (size_t n = 0; n < RT_COUNT(repeated); n++)
                if (strcmp(r->arms[i].name, repeated[n]) == 0)
                    TRY(plan_recipe(p, r->arms[i].recipe, r->session->seed + k));

fail:
    return st;
}

/* A repair is read against the plain model of its bits, also where the user names arms and
 * not this one. Not a wish of the user: where it cannot be, it is left out. */
static rt_status plan_nearest(struct planning *p)
{
    const struct restoring *r = p->r;
    bool there = !restore_main_arm(r) || r->arm_count == RESTORE_ARMS_MAX;
    if (!p->asked || r->options.lone)
        return RT_OK;
    for (uint32_t i = 0; i < r->arm_count; i++)
        there |= strcmp(r->arms[i].name, "nearest") == 0;
    if (there)
        return RT_OK;
    p->asked = false;
    const rt_status st = plan_plain(p, "nearest");
    p->asked = true;
    return st;
}

rt_status restore_plan_arms(struct restoring *r)
{
    rt_status st = RT_OK;
    char list[640], *save = NULL;
    struct rt_ctx *ctx = r->session->ctx;
    struct planning p = { .r = r, .asked = r->options.asked };
    const char *recipes = r->options.recipes;
    if (!recipes)
        return RT_OK;
    if (strcmp(recipes, restore_usual_recipes) == 0 && !p.asked &&
        probe_scales(&p) == RT_ERR_INPUT) {
        rt_log(ctx, RT_LOG_WARNING, "%s; an adapter is trained instead", p.why);
        recipes = without_scales;
    }
    if (strlen(recipes) >= sizeof list)
        return rt_fail(ctx, RT_ERR_USAGE, "--recipes is too long a list");
    snprintf(list, sizeof list, "%s", recipes);
    for (char *name = os_token(list, ",", &save); name && st == RT_OK;
         name = os_token(NULL, ",", &save)) {
        uint64_t seed = r->session->seed;
        const struct pipe_restore_recipe *recipe =
            pipe_restore_recipe_of_arm(name, &seed);
        st = recipe ? plan_recipe(&p, recipe, seed) : plan_plain(&p, name);
    }
    if (st == RT_OK && r->arm_count == 0)
        st = rt_fail(ctx, RT_ERR_USAGE, "--recipes names none; there are %s",
                     restore_all_recipes);
    if (st == RT_OK)
        st = plan_nearest(&p);
    if (st == RT_OK)
        st = plan_seeds(&p);
    return st;
}

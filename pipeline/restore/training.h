/* pipeline/restore/training.h
 * Recipes: what they train on, and the adapters they make. */
#ifndef PIPELINE_RESTORE_TRAINING_H
#define PIPELINE_RESTORE_TRAINING_H

#include "pipeline/locate/locate.h"
#include "pipeline/restore/restore_grid.h"
#include "runtime/train/train.h"

enum pipe_item_source {
    PIPE_ITEMS_LOST,        /* full's whole traces of problems quant lost */
    PIPE_ITEMS_RANDOM,      /* as many of random problems that full solves */
    PIPE_ITEMS_KEPT,        /* as many of problems that both solve, as long as the lost */
    PIPE_ITEMS_FILLED,      /* all lost ones, filled up with random ones to 1,000 */
    PIPE_ITEMS_FAULT,       /* as LOST, with more weight on the faulty step */
    PIPE_ITEMS_FAULT_OTHER, /* as LOST, with more weight on another step, drawn */
    PIPE_ITEMS_PAIRS,       /* step pairs at the first fault */
    PIPE_ITEMS_PAIRS_OTHER, /* step pairs at another step where both differ */
    PIPE_ITEMS_SHUFFLED,    /* step pairs with sides swapped at random */
    PIPE_ITEMS_PAIRS_WHOLE, /* both whole answers, of the problems of PAIRS */
    PIPE_ITEMS_PAIRS_OWN,   /* as PAIRS, the preferred step is one that quant draws */
    PIPE_ITEMS_OWN,         /* what quant draws from before the faulty step to the end */
};

/* A row of the recipe table. */
struct pipe_restore_recipe {
    const char *name;  /* arm in the store */
    const char *role;  /* restored or control */
    const char *after; /* recipe whose model this one trains on; NULL: quant itself */
    bool scales;       /* the model's own scales are trained, there is no adapter */
    const char *again; /* full is quantized again by this method, the items being the
                          calibration text; NULL: it is not */
    uint32_t rescues;  /* quant as it is, its answers taken out of loops so often at most
                          (run/rescue.h): nothing is made; 0: something is */
    bool lowrank;      /* start from the activation-weighted low-rank fit, else B = 0 */
    bool train;        /* false: the start is the result */
    bool on_full;      /* adapter on the full-precision model */
    enum train_loss loss;
    enum pipe_item_source items;
    float lr, sft;
};
/* What quant itself wrote in place of its faulty steps, drawn once for all recipes that ask for
 * it (items.h). Zero: nothing yet. */
struct pipe_own_draws {
    char **texts; /* [count] of fault i; NULL: none is right; owned */
    uint32_t count;
    uint64_t seed;        /* of the session that drew them */
    char quant[STORE_ID]; /* weights of the model that wrote them */
};
void pipe_own_draws_deinit(struct pipe_own_draws *draws);

struct pipe_material {
    const struct pipe_variant *full, *quant;
    const char *full_folder, *quant_folder;
    const struct restore_grid *grid; /* of quant */
    const struct pipe_bench *mine, *validate;
    const struct pipe_bench *measure; /* no item may be of it; may be null */
    const struct pipe_answers *f, *q; /* of mine */
    const struct pipe_faults *faults;
    uint32_t samples; /* of the search for `faults` */
    uint32_t items_max, rank, epochs;
    uint32_t adapter_bits;      /* of a number in its file: 8 or 16 */
    double lr;                  /* 0: the recipe's */
    struct pipe_own_draws *own; /* kept from recipe to recipe */
};
const struct pipe_restore_recipe *
pipe_restore_recipe_find(const char *name); /* null: none */
/* "LABEL" or "LABEL@SEED": the recipe and the seed of an arm; *seed stays where none is
 * given. NULL: there is no such recipe. */
const struct pipe_restore_recipe *pipe_restore_recipe_of_arm(const char *arm,
                                                             uint64_t *seed);
/* Whether a recipe makes a model, not an adapter. */
static inline bool pipe_restore_recipe_makes_model(const struct pipe_restore_recipe *r)
{
    return r->scales || r->again != NULL;
}
/* What training made. */
struct pipe_trained {
    char run_id[STORE_ID]; /* of kind train */
    char folder[512];      /* an adapter, or what pipe_restore_recipe_makes_model; below
                         session->work, named after recipe and run */
    bool nothing;          /* the recipe has nothing to train on: there is no folder */
    char why[160];         /* nothing: the reason, a clause */
};
/* The adapter or model of a recipe: found again where its run is done, or made. Items are
 * rows of the run, each with its fault, before the first step. RT_OK with out->nothing: no
 * mined problem serves; its run is done, with no items. */
RT_CHECKED rt_status pipe_train(struct pipe_session *session,
                                const struct pipe_material *material,
                                const struct pipe_restore_recipe *recipe,
                                struct pipe_trained *out);
/* The Silver Bullet set of a recipe as JSON Lines for other trainers, with what could not
 * be used counted by reason. */
RT_CHECKED rt_status pipe_curate_file(struct pipe_session *session,
                                      const struct pipe_material *material,
                                      const struct pipe_restore_recipe *recipe,
                                      const char *path);

#endif

/* pipeline/restore/training.h
 * Recipes: what they train on, and the adapters they make. */
#ifndef PIPELINE_RESTORE_TRAINING_H
#define PIPELINE_RESTORE_TRAINING_H

#include "pipeline/locate/locate.h"
#include "runtime/train/train.h"

enum loop_items {
    LOOP_ITEMS_LOST,        /* full's whole traces of problems quant lost */
    LOOP_ITEMS_RANDOM,      /* as many of random problems that full solves */
    LOOP_ITEMS_PAIRS,       /* step pairs at the first fault */
    LOOP_ITEMS_PAIRS_OTHER, /* step pairs at another step where both differ */
    LOOP_ITEMS_SHUFFLED,    /* step pairs with sides swapped at random */
};

/* A row of the recipe table. */
struct loop_recipe {
    const char *name; /* arm in the store */
    const char *role; /* restored or control */
    bool lowrank;     /* start from the activation-weighted low-rank fit, else B = 0 */
    bool train;       /* false: the start is the result */
    bool on_full;     /* adapter on the full-precision model */
    enum train_loss loss;
    enum loop_items items;
    float lr, sft;
};
struct loop_material {
    const struct loop_variant *full, *quant;
    const char *full_folder, *quant_folder;
    const struct loop_bench *mine, *validate;
    const struct loop_bench *measure; /* no item may be of it; may be null */
    const struct loop_answers *f, *q; /* of mine */
    const struct loop_faults *faults;
    uint32_t samples; /* of the search for `faults` */
    uint32_t items_max, rank, epochs;
    double lr; /* 0: the recipe's */
};
const struct loop_recipe *loop_recipe_find(const char *name); /* null: none */
/* The adapter of a recipe in a folder of loop->work named after recipe and run: found
 * again, or made. */
RT_CHECKED rt_status loop_train(struct loop *loop, const struct loop_material *material,
                                const struct loop_recipe *recipe, char *folder,
                                size_t folder_size);
/* The Silver Bullet set of a recipe as JSON Lines for other trainers, with what could not
 * be used counted by reason. */
RT_CHECKED rt_status loop_curate(struct loop *loop, const struct loop_material *material,
                                 const struct loop_recipe *recipe, const char *path);

#endif

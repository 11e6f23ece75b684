/* pipeline/restore/training_impl.h
 * Private to the training of recipes: its state, and what differs where the scales of a
 * model are trained instead of an adapter. */
#ifndef PIPELINE_RESTORE_TRAINING_IMPL_H
#define PIPELINE_RESTORE_TRAINING_IMPL_H

#include "pipeline/restore/items.h"
#include "pipeline/run/work.h"

enum { BATCH = 8 }; /* items of a step */

struct training {
    struct pipe_session *session;
    const struct pipe_material *m;
    const struct pipe_restore_recipe *recipe;
    struct rt_model *model; /* that is trained: borrowed, or `own` */
    struct rt_model *own; /* a copy of quant whose scales change; NULL: they are frozen */
    struct rt_adapter *adapter; /* NULL: the scales are trained */
    struct rt_scales *scales;   /* of `own` */
    struct rt_trainer *trainer;
    struct pipe_sequences items;
    struct fmt_adapter *best; /* of adapters: the best so far */
    uint32_t kept;            /* of scales: the updates of the checkpoint that is kept */
    double best_accuracy, lr;
    uint32_t item_count, steps_per_epoch, epochs;
    bool nothing; /* no candidate was chosen as an item */
    char run_id[STORE_ID];
    char folder[512], state[560];
    struct train_metrics *epoch; /* [steps_per_epoch] of the epoch so far */
    uint64_t started;
    struct pipe_costs costs;
    double step_seconds; /* of which the store knows */
};

/* The items of the recipe, where it takes any: rows of the run, and token sequences; or
 * `nothing`. */
RT_CHECKED rt_status restore_make_items(struct training *t);
/* Whether the run is done, and whether it found `nothing`. */
RT_CHECKED rt_status restore_ask_done(struct training *t, bool *done);
/* Sets out->nothing and the reason. */
void restore_tell_nothing(const struct pipe_material *material, struct pipe_trained *out);
/* The checkpoint after `k` updates. */
void restore_checkpoint_path(const struct training *t, uint32_t k, char path[560]);
/* Loads the copy of quant whose scales are trained. */
RT_CHECKED rt_status restore_open_scales(struct training *t);
/* Notes the pass that ended after `k` updates with this validation accuracy as the one to
 * keep, if it is; its checkpoint is written next. */
void restore_keep_scales(struct training *t, uint32_t k, double accuracy);
/* Quantizes full to the grid of quant by the recipe's method, the chosen items being the
 * calibration text. */
RT_CHECKED rt_status restore_quantize_again(struct training *t);
/* Writes the kept scales as a model folder. */
RT_CHECKED rt_status restore_write_scales(struct training *t);

#endif

/* pipeline/restore/restore_impl.h
 * Private to the chain: its state. */
#ifndef PIPELINE_RESTORE_RESTORE_IMPL_H
#define PIPELINE_RESTORE_RESTORE_IMPL_H

#include "pipeline/restore/restore_grid.h"
#include "pipeline/restore/restore.h"
#include "pipeline/restore/retain.h"
#include "pipeline/restore/training.h"
#include "pipeline/run/calibration.h"

enum { RESTORE_ARMS_MAX = 44, RESTORE_ARM_NAME = 48 };

/* One variant measured beside full and quant. */
struct restore_arm {
    char
        name[RESTORE_ARM_NAME]; /* of the recipe or control, "@SEED" behind it if other */
    const struct pipe_restore_recipe *recipe; /* NULL: plain quantization */
    struct restore_grid grid;                 /* of plain quantization */
    uint64_t seed;                            /* of a recipe */
    struct rt_model *model; /* owned; NULL: quant (or full) with the adapter */
    struct rt_adapter *adapter;
    struct pipe_variant variant;
    struct pipe_answers answers;
    char left_out[160];               /* why there is nothing to measure; "": there is */
    struct restore_arm_result result; /* of restore_arm_result_get; name NULL: not yet */
};

struct restoring {
    struct pipe_session *session; /* borrowed */
    struct restore_options options;
    struct restore_grid grid; /* of quant: what controls are held against */
    char quant_folder[600];
    struct rt_model *full, *quant;
    struct pipe_variant full_row, quant_row;
    struct pipe_bench all, mine; /* mine: the first ones of `all`, which owns them */
    struct pipe_bench validate, measure;
    struct restore_retained retained;
    struct pipe_calibration_options calibrating;
    struct pipe_calibration calibration; /* of plain quantization; empty: not read yet */
    struct pipe_answers mine_f, mine_q, f, q;
    char locate_run[STORE_ID]; /* of the mined problems */
    struct pipe_faults faults; /* of that run */
    struct pipe_own_draws own; /* of these faults */
    struct restore_arm arms[RESTORE_ARMS_MAX];
    uint32_t arm_count;
};

/* Fills the arms of options.recipes. RT_ERR_USAGE: a name that is none or comes twice, an
 * arm that is not possible; where the recipes are the usual ones, such an arm is left out
 * and that is said. Beside a repair that the user names stands the plain model nearest to it
 * in bits, unless options.lone. */
RT_CHECKED rt_status restore_plan_arms(struct restoring *r);
/* The arm that the report is about: the first that repairs; NULL: none does. */
const struct restore_arm *restore_main_arm(const struct restoring *r);

#endif

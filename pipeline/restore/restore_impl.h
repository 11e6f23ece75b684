/* pipeline/restore/restore_impl.h
 * Private to the chain: its state. */
#ifndef PIPELINE_RESTORE_RESTORE_IMPL_H
#define PIPELINE_RESTORE_RESTORE_IMPL_H

#include "pipeline/restore/training.h"
#include "pipeline/restore/restore.h"

enum { RESTORE_ARMS_MAX = 16 };

/* One variant measured beside full and quant. */
struct restore_arm {
    const char *name;
    const struct pipe_restore_recipe *recipe; /* NULL: plain quantization */
    struct rt_model *model;                   /* owned if it is plain quantization */
    struct rt_adapter *adapter;
    struct pipe_variant variant;
    struct pipe_answers answers;
};

struct restoring {
    struct pipe_session *session; /* borrowed */
    struct restore_options options;
    uint32_t bits; /* that controls are held against */
    char quant_folder[600];
    struct rt_model *full, *quant;
    struct pipe_variant full_row, quant_row;
    struct pipe_bench mine, validate, measure;
    struct pipe_answers mine_f, mine_q, f, q;
    char locate_run[STORE_ID]; /* of the mined problems */
    struct pipe_faults faults; /* of that run */
    struct restore_arm arms[RESTORE_ARMS_MAX];
    uint32_t arm_count;
};

#endif

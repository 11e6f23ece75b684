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
    const struct loop_recipe *recipe; /* NULL: plain quantization */
    struct rt_model *model;           /* owned if it is plain quantization */
    struct rt_adapter *adapter;
    struct loop_variant variant;
    struct loop_answers answers;
};

struct restoring {
    struct loop *loop; /* borrowed */
    struct restore_options options;
    uint32_t bits; /* that controls are held against */
    char quant_folder[600];
    struct rt_model *full, *quant;
    struct loop_variant full_row, quant_row;
    struct loop_bench mine, validate, measure;
    struct loop_answers mine_f, mine_q, f, q;
    struct loop_faults faults;
    struct restore_arm arms[RESTORE_ARMS_MAX];
    uint32_t arm_count;
};

#endif

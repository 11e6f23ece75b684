/* pipeline/run/blame_impl.h
 * Private to blame.c and blame_mend.c: one measurement of where the damage arises. */
#ifndef PIPELINE_RUN_BLAME_IMPL_H
#define PIPELINE_RUN_BLAME_IMPL_H

#include "pipeline/run/blame.h"
#include "pipeline/run/kl.h"
#include "runtime/model/model_layout.h"

struct blaming {
    struct pipe_session *session;
    const struct pipe_blame_options *o;
    struct pipe_blame *out;
    struct rt_model *full;
    struct pipe_variant quant;
    struct fmt_model *file[2]; /* full, quant: opened for single matrices */
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    struct pipe_calibration text;
    struct pipe_kl_base against;
    char run_id[STORE_ID];
    double *base, *sums; /* KL of each sequence: of the quantized model; of a part */
    bool begun;          /* base is measured, and this process is at the run */
    struct pipe_kl *kl;
    uint32_t steps, room;
};

/* The quantized model with a part of the full one; free with rt_model_hybrid_destroy. */
RT_CHECKED rt_status pipe_blame_hybrid(struct blaming *b,
                                       const struct pipe_blame_part *part,
                                       struct rt_model **out);
/* Tries the worst layers and matrices on problems, after all KL is known. */
RT_CHECKED rt_status pipe_blame_mend(struct blaming *b);

#endif

/* runtime/train/scales_impl.h
 * Private to runtime/train: what scales as parameters are made of, and their ops. */
#ifndef RUNTIME_TRAIN_SCALES_IMPL_H
#define RUNTIME_TRAIN_SCALES_IMPL_H

#include "runtime/model/model_impl.h"
#include "runtime/train/scales.h"

/* The scales of one weight on the device, and what is trained beside them. */
struct train_scale_set {
    const struct model_weight *weight; /* borrowed, NULL: floats, nothing is trained */
    uint32_t groups;                   /* of a row, as stored on the device */
    uint32_t per;                      /* groups of a block, which has one scale */
    uint32_t blocks;                   /* of a row */
    uint32_t rounding;                 /* SCALE_F32 ... */
    uint32_t zeros;                    /* SCALE_ZERO_* */
    uint32_t low, high;                /* of SCALE_ZERO_WHOLE */
    uint64_t at;                       /* of its parameters in the flat buffers, floats */
    uint64_t sub_at;                   /* of its words in `sub` */
};

struct rt_scales {
    struct rt_model *model; /* borrowed */
    bool zeros;             /* whole zero points are trained too */
    /* [layers][MODEL_GROUP_COUNT][MODEL_RUNS_MAX]: of each run of a group */
    struct train_scale_set *sets;
    /* float, flat, 64-aligned sets: [out_pad][blocks] of scales, then as many of zeros if
     * they are trained */
    struct rt_buffer *base, *params;
    struct rt_buffer
        *sub;        /* word per group of sets with `per` above 1 (shaders/push.h) */
    uint64_t floats; /* of each, with padding */
    uint64_t words;  /* of sub */
    uint64_t count;  /* parameters, padding apart */
    uint64_t segments_max; /* floats that scale_back writes of the largest weight */
    struct rt_list *pack;  /* refreshes all weights from params */
};

/* NULL: nothing of this run is trained. */
const struct train_scale_set *train_scale_set_of(const struct rt_scales *scales,
                                                 uint32_t layer, enum model_group group,
                                                 uint32_t run);
/* Records the refresh of all weights from params. */
void train_scales_record_pack(const struct rt_scales *scales, struct rt_list *list);

/* Where the gradient of a set comes from: rows of its weight's input, columns as stored,
 * and of its output's gradient. */
struct train_scale_rows {
    uint32_t rows;
    struct rt_slice x, dy;
    uint32_t ldx, lddy;
};

/* Records grads[set] from the weight decoded to 32 bits; `segments` is scratch. */
void train_scales_record_back(const struct rt_scales *scales,
                              const struct train_scale_set *set, struct rt_list *list,
                              const struct train_scale_rows *rows,
                              struct rt_buffer *decoded, struct rt_buffer *segments,
                              struct rt_buffer *grads);

#endif

/* runtime/train/trainer.h
 * Private to runtime/train: what a trainer holds. */
#ifndef RUNTIME_TRAIN_TRAINER_H
#define RUNTIME_TRAIN_TRAINER_H

#include "runtime/train/backward.h"
#include "runtime/observe/batch.h"
#include "runtime/train/train.h"

enum { TRAINER_RECORDINGS = 48, TRAINER_PARTS_MAX = 2 };

/* Parameters of one kind as the optimizer sees them: flat buffers of `floats` floats. */
struct trainer_part {
    const char *prefix;               /* of its tensors in a checkpoint */
    struct rt_buffer *params, *grads; /* borrowed */
    struct rt_buffer *m, *v;          /* owned: moments */
    uint64_t floats;
    uint32_t partial; /* where its partial sums of squares begin, floats */
};

/* One recorded gradient, by padded sizes. */
struct trainer_recording {
    uint32_t rows, targets, pairs;
    struct rt_list *list;
};

struct rt_trainer {
    struct rt_model *model;     /* borrowed */
    struct rt_adapter *adapter; /* borrowed, NULL: none */
    struct rt_scales *scales;   /* borrowed, NULL: they are frozen */
    struct rt_model *teacher;   /* borrowed, null unless TRAIN_KL */
    struct trainer_part parts[TRAINER_PARTS_MAX];
    uint32_t part_count, partials; /* floats of `partial` that are summed */
    struct train_options options;
    struct batch batch;
    struct model_pass pass, teacher_pass;
    struct backward backward;
    struct rt_buffer *teacher_x, *teacher_hn, *teacher_logits;
    struct rt_buffer *hx, *hn;   /* rows with targets, before and after the final norm */
    struct rt_buffer *dhn, *dhx; /* their gradients */
    struct rt_buffer *logits;    /* [chunk][ld_vocab] */
    struct rt_buffer *head_scratch; /* the head decoded, NULL: read as it is */
    struct rt_buffer *stat;         /* READBACK, 8 words a target */
    struct rt_buffer *seed;         /* float a target: UPLOAD, written by dpo for pairs */
    struct rt_buffer *ref, *pair, *pair_out;
    struct rt_buffer *partial, *clip_state, *hyper;
    struct trainer_recording recordings[TRAINER_RECORDINGS];
    uint32_t recording_count, recording_next;
    struct rt_list *update;
    uint32_t chunk; /* target rows whose logits exist at once, a multiple of 64 */
    uint32_t pairs_max;
    uint64_t updates;
    bool has_gradient;
    struct rt_trainer_stats stats;
};

/* Records what puts the parameters into the packed copies that kernels read. */
void trainer_record_pack(const struct rt_trainer *t, struct rt_list *list);
double trainer_flops(const struct rt_trainer *t, double rows, double targets);

#endif

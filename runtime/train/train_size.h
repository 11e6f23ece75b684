/* runtime/train/train_size.h
 * What training an adapter takes on a device, by parts, before anything is allocated there:
 * the accounting of rt_trainer_create and rt_adapter_create, from shapes alone. */
#ifndef RUNTIME_TRAIN_TRAIN_SIZE_H
#define RUNTIME_TRAIN_TRAIN_SIZE_H

#include "runtime/model/model_layout.h"
#include "runtime/train/train.h"

/* What is trained, and on how much at once. */
struct train_shape {
    enum train_loss loss;
    uint32_t rank;      /* of every module */
    uint32_t rows;      /* token rows of a batch: a sequence of n tokens has n - 1 */
    uint32_t targets;   /* of them; 0: all */
    uint32_t positions; /* of the longest context: the model's RoPE table */
    const struct model_size
        *teacher; /* borrowed; TRAIN_KL with another model, else NULL */
};

/* Bytes on the device. */
struct train_size {
    uint64_t weights;     /* of the frozen model, its tables and norms */
    uint64_t teacher;     /* the same of the teacher, and its activations */
    uint64_t adapter;     /* its parameters, and their packed copies that kernels read */
    uint64_t optimizer;   /* gradient and both moments */
    uint64_t kept;        /* the input of every layer, from which it is computed again */
    uint64_t activations; /* of one layer, forward and backward, and of the loss */
    uint64_t decoded;     /* one weight in 32 bits, and the head */
    uint64_t logits;      /* of one chunk of targets; KL: twice */
    uint32_t chunk;       /* targets in it */
};

void train_size_of(const struct model_size *model, const struct rt_plan *plan,
                   const struct train_shape *shape, struct train_size *out);
uint64_t train_size_sum(const struct train_size *size);

/* Target rows whose logits exist at once: at most 512, at most 64 MiB. */
uint32_t train_chunk_rows(uint32_t ld_vocab, uint32_t targets);

/* Pairs of a batch at most, and what a sum of squares takes together. */
enum { TRAIN_PAIRS_MAX = 64, TRAIN_SUMSQ_BLOCK = 1024 };

#endif

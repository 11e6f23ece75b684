/* runtime/quant/importance.h
 * How much each column of each matrix counts: the mean square of its input on calibration
 * text. Seen by us (observe_layers), or read from an importance matrix of llama.cpp: a GGUF
 * file of general.type "imatrix" with tensors NAME.in_sum2 [columns] and NAME.counts [1],
 * sums of squares and of tokens. Such a file is also written. */
#ifndef RUNTIME_QUANT_IMPORTANCE_H
#define RUNTIME_QUANT_IMPORTANCE_H

#include "runtime/observe/moments.h"

struct quant_seen;

enum { QUANT_GROUP_MATRICES = 3 /* that read one input, at most */ };

struct quant_importance_row {
    char name[65]; /* of the tensor in a GGUF file: "blk.0.attn_q.weight" */
    uint32_t columns;
    double count;  /* tokens */
    float *values; /* [columns] mean squares; owned */
};

/* Zero is a valid start: of no tensor. */
struct quant_importance {
    struct quant_importance_row *rows;
    uint32_t count, capacity;
};

/* Null: nothing is known of the tensor. */
const struct quant_importance_row *quant_importance_find(const struct quant_importance *i,
                                                         const char *name);
/* Name of matrix i of those that read the inputs of a group of a layer, as above. False:
 * there are no more. */
bool quant_importance_name(uint32_t layer, enum model_group group, uint32_t i,
                           char name[65]);
/* Adds the mean squares of a group for each of its matrices. RT_ERR_INPUT: one is not
 * finite, and which matrix reads it. */
RT_CHECKED rt_status quant_importance_add(struct rt_ctx *ctx,
                                          const struct observe_group *seen,
                                          struct quant_importance *out);
/* A new row, its values 0 and its count too. NULL: no memory. */
struct quant_importance_row *quant_importance_row(struct rt_ctx *ctx,
                                                  struct quant_importance *out,
                                                  const char *name, uint32_t columns);
/* What it is seen on; borrowed. */
struct quant_importance_source {
    struct rt_model *model;
    const struct train_sequence *sequences;
    uint32_t count;
    struct quant_seen *shared; /* NULL, or what was seen of these (seen_inputs.h) */
    rt_status (*pass)(void *user, uint64_t done,
                      uint64_t total); /* observe_task's, or NULL */
    void *user;
};
/* Runs the model over the sequences. */
RT_CHECKED rt_status
quant_importance_observe(struct rt_ctx *ctx, const struct quant_importance_source *source,
                         struct quant_importance *out);
/* RT_ERR_INPUT: no importance matrix, or values that are negative or not finite. */
RT_CHECKED rt_status quant_importance_read(struct rt_ctx *ctx, const char *path,
                                           struct quant_importance *out);
/* `text`: what it was seen on, for the file's keys; `tokens` of one sequence at most. */
RT_CHECKED rt_status quant_importance_write(struct rt_ctx *ctx, const char *path,
                                            const char *text, uint32_t tokens,
                                            const struct quant_importance *importance);
void quant_importance_deinit(struct quant_importance *importance);

#endif

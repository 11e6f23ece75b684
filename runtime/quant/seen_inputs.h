/* runtime/quant/seen_inputs.h
 * What the inputs of a model's matrices were on calibration text, kept in a folder: the model
 * passes over the text once, and each quantizer that asks after that reads what was seen.
 *
 *     job.json                of what model, text and device (a hash), and the process
 *     group-N.safetensors     group N % 4 of layer N / 4, as struct observe_group has it
 *     hidden-N.safetensors    the inputs of layer N, the first that was not seen yet
 * Files appear whole or not at all, a group's after those before it, so a pass that ends
 * early continues. Numbers are those of the pass bit for bit: sums as floats and doubles.
 *
 * Bytes on the disk: per layer 4 x (panels of 3 h^2 + f^2, a little more than half of that;
 * h hidden size, f ffn size). 0.5B (h 896, f 4864): 1.4 GB in all; 7B (h 3584, f 18944):
 * 25 GB. In memory is one group at a time, mapped. If the disk has not twice that free, or
 * is full, nothing is kept, that is said, and each quantizer has a pass of its own. */
#ifndef RUNTIME_QUANT_SEEN_INPUTS_H
#define RUNTIME_QUANT_SEEN_INPUTS_H

#include "runtime/observe/moments.h"

/* What is seen; borrowed, as long as the object is open. The model's layers stay as they are. */
struct quant_seen_source {
    struct rt_model *model;
    const struct train_sequence *sequences;
    uint32_t count;
    uint32_t what; /* enum observe_what: all that anybody will ask for */
};
struct quant_seen;

/* What any method asks for. */
enum {
    QUANT_SEEN_ALL = OBSERVE_MOMENTS | OBSERVE_MAXIMA | OBSERVE_MEANS | OBSERVE_SQUARES |
                     OBSERVE_SAMPLE
};

/* Opens `folder` or makes it. What is there of the same source is kept, else removed.
 * RT_ERR_USAGE: another process works there, or it holds something else. */
RT_CHECKED rt_status quant_seen_open(const struct quant_seen_source *source,
                                     const char *folder, struct quant_seen **out);
/* The files stay. */
void quant_seen_close(struct quant_seen **shared);
void quant_seen_remove(const char *folder);
/* What was seen is removed, and nothing is kept from now on. The folder stays, and with it what
 * says that this process works there. */
void quant_seen_clear(struct quant_seen *shared);
/* False: nothing is kept (or NULL). */
bool quant_seen_is_kept(const struct quant_seen *shared);
/* observe_layers for the source of the task, whose layers from task->first_layer on are handed
 * over; those that were seen come from the files. `shared` NULL, or nothing is kept: that
 * itself. Else task->hidden is not called, task->layer gets NULL, and task->pass is called
 * once per layer, before its groups, if the model need not pass at all. Times of the forward
 * pass and of sums are all that were spent on it since it was opened. task->replace must be
 * NULL. RT_ERR_INPUT: a file does not hold what it should. */
RT_CHECKED rt_status quant_seen_observe(struct quant_seen *shared,
                                        const struct observe_task *task);
/* About what the folder takes, for `rows` tokens. */
uint64_t quant_seen_bytes(const struct fmt_config *config, uint64_t rows, uint32_t what);

#endif

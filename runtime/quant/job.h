/* runtime/quant/job.h
 * Private to runtime/quant: a folder of unfinished work, layer by layer. Its job.json says by a
 * hash what is made there, so that only the same work goes on with it, and which process does
 * so. layer-N.safetensors is of a finished layer, hidden-N.safetensors has the inputs of the
 * next one, N; what else lies there is the caller's. */
#ifndef RUNTIME_QUANT_JOB_H
#define RUNTIME_QUANT_JOB_H

#include "runtime/base/sha256.h"
#include "runtime/model/model.h"
#include "runtime/observe/sequence.h"

/* Adds calibration text, and the device and numerics that see it. */
void quant_job_hash_text(struct sha256 *hash, const struct rt_model *model,
                         const struct train_sequence *sequences, uint32_t count);
/* Whether the folder has a job whose key begins so; false too if it has none. */
bool quant_job_is_of(struct rt_ctx *ctx, const char *folder, const char *beginning);
/* *same: the folder holds this work. RT_ERR_USAGE: another process works there. */
RT_CHECKED rt_status quant_job_read(struct rt_ctx *ctx, const char *folder,
                                    const char *key, bool *same);
/* The work is this from now on, and of this process. */
RT_CHECKED rt_status quant_job_write(struct rt_ctx *ctx, const char *folder,
                                     const char *key);
/* "FOLDER/KIND-000N.safetensors". */
void quant_job_path(const char *folder, const char *kind, uint32_t n, char out[4300]);
/* Finished layers of `all`. 0 too if the next one's inputs are needed and are not there. */
uint32_t quant_job_layers(const char *folder, uint32_t all, bool needs_hidden);
/* Writes the inputs of a layer; reads them. RT_ERR_INPUT: the file has not as many floats. */
RT_CHECKED rt_status quant_job_put_hidden(struct rt_ctx *ctx, const char *folder,
                                          uint32_t layer, const float *hidden,
                                          uint64_t floats);
RT_CHECKED rt_status quant_job_get_hidden(struct rt_ctx *ctx, const char *folder,
                                          uint32_t layer, float *hidden, uint64_t floats);
/* Removes the files of layers, inputs, kept tensors (kept-N) and groups (group-N), and those of
 * them that a kill cut short; then job.json and the folder too, if it is empty. */
void quant_job_clear(const char *folder);
void quant_job_remove(const char *folder);

#endif

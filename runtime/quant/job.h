/* runtime/quant/job.h
 * Private to runtime/quant: a folder of unfinished work. Its job.json says by a hash what is
 * made there, so that only the same work goes on with it, and which process does so. */
#ifndef RUNTIME_QUANT_JOB_H
#define RUNTIME_QUANT_JOB_H

#include "runtime/base/sha256.h"
#include "runtime/model/model.h"
#include "runtime/observe/sequence.h"

/* Adds calibration text, and the device and numerics that see it. */
void quant_job_hash_text(struct sha256 *hash, const struct rt_model *model,
                         const struct train_sequence *sequences, uint32_t count);
/* *same: the folder holds this work. RT_ERR_USAGE: another process works there. */
RT_CHECKED rt_status quant_job_read(struct rt_ctx *ctx, const char *folder,
                                    const char *key, bool *same);
/* The work is this from now on, and of this process. */
RT_CHECKED rt_status quant_job_write(struct rt_ctx *ctx, const char *folder,
                                     const char *key);

#endif

/* pipeline/exchange/export_run.h
 * All answers of a run of the results file in the format of another program. */
#ifndef PIPELINE_EXCHANGE_EXPORT_RUN_H
#define PIPELINE_EXCHANGE_EXPORT_RUN_H

#include "pipeline/exchange/export.h"
#include "store/queries.h"

/* The newest eval run of that id, or of a variant of that label; "": of any. *of is the run,
 * *answers how many were written. RT_ERR_USAGE: there is none. RT_ERR_IO: the file cannot be
 * written. After a failure what was written of it is removed. */
RT_CHECKED rt_status pipe_export_run(struct rt_ctx *ctx, struct store *store,
                                     const char *id_or_label, const char *path,
                                     enum pipe_export_kind kind,
                                     struct store_eval_run *of, uint32_t *answers);

#endif

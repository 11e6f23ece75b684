/* pipeline/run/eval_spec.h
 * What an evaluation is asked for, read from text: variants, the part of a list of problems,
 * times, prompt formats. Messages name the options of `faultline eval`. */
#ifndef PIPELINE_RUN_EVAL_SPEC_H
#define PIPELINE_RUN_EVAL_SPEC_H

#include "pipeline/run/answers.h"

/* One variant of a model. */
struct pipe_variant_spec {
    char role[16];                  /* full, quant, restored, control */
    char label[40];                 /* the name that results have it under; the role */
    char folder[600], adapter[600]; /* adapter "": none */
};
/* RT_ERR_USAGE: there is no role of that name, or none that has an adapter (`adapted`). */
RT_CHECKED rt_status pipe_role_check(struct rt_ctx *ctx, const char *role, bool adapted);
/* role "": full, with an adapter restored; adapter NULL: none. RT_ERR_USAGE: as
 * pipe_role_check, or a path that has no room. */
RT_CHECKED rt_status pipe_variant_spec_make(struct rt_ctx *ctx, const char *role,
                                            const char *folder, const char *adapter,
                                            struct pipe_variant_spec *out);
/* "ROLE:LABEL=FOLDER+ADAPTER"; role, label and adapter may be left out. A name with '=' or
 * '+' of a folder that exists is that folder. RT_ERR_USAGE also: a label of other characters
 * than letters, digits and . _ - */
RT_CHECKED rt_status pipe_variant_spec_parse(struct rt_ctx *ctx, const char *text,
                                             struct pipe_variant_spec *out);

/* "2/4": the second of four parts, shard and shards of `out`. RT_ERR_USAGE: no such text. */
RT_CHECKED rt_status pipe_shard_parse(struct rt_ctx *ctx, const char *text,
                                      struct pipe_wanted *out);
/* Seconds of "90", "90s", "15m", "2h", "1h30m"; false: it is no such text. */
bool pipe_seconds_parse(const char *text, double *out);

/* The usual format of a list of problems: that of the data set, else demo. */
const struct pipe_prompt_format *pipe_format_usual(const char *bench);
/* The format of this name; NULL name: NULL. RT_ERR_USAGE names those that there are. */
RT_CHECKED rt_status pipe_format_named(struct rt_ctx *ctx, const char *name,
                                       const struct pipe_prompt_format **out);

#endif

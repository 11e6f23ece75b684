/* pipeline/cli/eval_plan.h
 * What `eval` is asked for: variants x lists of problems x samples. */
#ifndef PIPELINE_CLI_EVAL_PLAN_H
#define PIPELINE_CLI_EVAL_PLAN_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/answers.h"

enum { EVAL_VARIANTS_MAX = 16, EVAL_BENCHES_MAX = 16 };

/* "ROLE=DIR+ADAPTER": role and adapter may be left out. */
struct eval_variant {
    char role[16], folder[600], adapter[600]; /* adapter "": none */
};

struct eval_plan {
    struct eval_variant variants[EVAL_VARIANTS_MAX];
    uint32_t variant_count;
    const char *benches[EVAL_BENCHES_MAX]; /* borrowed from the command line */
    uint32_t bench_count;
    const struct pipe_prompt_format *format; /* of --format, null: the usual of each */
    struct pipe_wanted ask;
};

/* From the options of eval. RT_ERR_USAGE. */
RT_CHECKED rt_status eval_plan_read(struct cli *cli, struct eval_plan *out);
/* The usual format of a list of problems: that of the data set, else demo. */
const struct pipe_prompt_format *eval_usual_format(const char *bench);
/* The format of a list in this plan. */
const struct pipe_prompt_format *eval_format(const struct eval_plan *plan,
                                             const char *bench);
/* Seconds of "90", "90s", "15m", "2h", "1h30m"; false: it is no such text. */
bool eval_seconds(const char *text, double *out);

/* The format of --format, else the usual one of a list. RT_ERR_USAGE: no such name. */
RT_CHECKED rt_status eval_format_named(struct cli *cli, const char *bench,
                                       const struct pipe_prompt_format **out);

#endif

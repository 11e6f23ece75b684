/* pipeline/run/kl.h
 * How far a model is from its full-precision original on a text. Both run over the text in
 * pieces (runtime/observe/pair.h); what stays are sums, a histogram and the worst tokens,
 * so memory does not grow with the text. */
#ifndef PIPELINE_RUN_KL_H
#define PIPELINE_RUN_KL_H

#include "pipeline/run/sequences.h"
#include "pipeline/stats/statistics.h"
#include "runtime/observe/pair.h"

enum { PIPE_KL_WORST = 100 };

struct pipe_kl {
    uint64_t tokens; /* targets */
    /* KL(full || model), nats per token. The interval is 1.96 standard errors of the mean
     * over blocks of up to 64 neighbouring targets, whose errors belong together; infinite
     * with fewer than two. Quantiles are those of a histogram, within 0.2 %. NaN where a
     * model gives no number for a token. */
    double mean, error, median, p90, p99, most;
    struct pipe_interval interval;
    double same_top;      /* share of tokens with the same first choice */
    double nll, nll_full; /* nats per token */
    double seconds;       /* that it took */
    /* The tokens of the largest KL, the worst first; equal ones by place. */
    struct observe_pair_token worst[PIPE_KL_WORST];
    uint32_t worst_count;
};

/* What models are held against: the full one on a text. All is borrowed and stays as it is
 * between measurements, of which the second and later ones pass only the head of the full
 * model (struct observe_kept). */
struct pipe_kl_base {
    struct pipe_session *session;
    struct rt_model *full;
    const struct pipe_sequences *text;
    struct observe_kept kept; /* starts as zeros */
};
void pipe_kl_base_deinit(struct pipe_kl_base *base);

/* A model, with an adapter or null, over all targets. `what` names the work for progress.
 * `sums` gets the KL of each sequence, the sum over its targets; NULL: not wanted.
 * RT_ERR_INTERRUPTED: the host wanted it to end. */
RT_CHECKED rt_status pipe_kl_measure(struct pipe_kl_base *base, struct rt_model *model,
                                     struct rt_adapter *adapter, const char *what,
                                     double *sums, struct pipe_kl *out);

/* Saves it as metrics of a run of the variant on a text. The same text, cut alike and read
 * against the same full model, is the same run, whichever command measured it. */
struct pipe_kl_text {
    const char *name, *id;    /* what it is called; "sha256:" and its hash */
    uint32_t context, stride; /* tokens of a window and between windows; of problems 0 */
    const char *base;         /* hash of the full model */
};
/* Whether the results file has the numbers already; if so, the session's campaign refers to
 * that run from now on. */
RT_CHECKED rt_status pipe_kl_is_saved(struct pipe_session *session,
                                      const struct pipe_variant *variant,
                                      const struct pipe_kl_text *text, bool *saved);
RT_CHECKED rt_status pipe_kl_save(struct pipe_session *session,
                                  const struct pipe_variant *variant,
                                  const struct pipe_kl_text *text,
                                  const struct pipe_kl *kl);

#endif

/* store/queries.h
 * What is asked of the results file, by name: SQL stands in store/ only. Every function
 * hands one row after the other to a callback, ordered so that the same rows come in the
 * same order; strings are valid during the call. The verdict of an answer is that of the
 * run's grader (docs/store.md). */
#ifndef STORE_QUERIES_H
#define STORE_QUERIES_H

#include "store/store.h"

/* ---- answers of a run ---- */

struct store_done {
    const char *problem_id;
    uint32_t sample;
    bool correct; /* false where it is not graded */
};
typedef rt_status store_done_fn(void *user, const struct store_done *done);
/* Answers that are there, by problem and sample. */
RT_CHECKED rt_status store_each_done(struct store *store, const char *run_id,
                                     store_done_fn *fn, void *user);

struct store_wrong {
    const char *gen_id, *problem_id, *question, *output;
    uint32_t sample;
};
typedef rt_status store_wrong_fn(void *user, const struct store_wrong *wrong);
/* Answers that are graded wrong and could be run, by problem and sample. */
RT_CHECKED rt_status store_each_wrong(struct store *store, const char *run_id,
                                      store_wrong_fn *fn, void *user);

/* An eval run with what its answers are of. */
struct store_eval_run {
    char run_id[STORE_ID], variant_id[STORE_ID], benchmark_id[STORE_ID];
    char campaign_id[STORE_ID];   /* that it joined last; empty: none */
    char format[48];              /* name of the prompt format, empty: none */
    char label[80];               /* of the variant */
    char bench[80];               /* "name:split" */
    int64_t started_ms, ended_ms; /* ended: else of the last sign of life */
};
/* The newest eval run of that id or of a variant of that label; "": of any. run_id is
 * empty where there is none. */
RT_CHECKED rt_status store_find_eval_run(struct store *store, const char *id_or_label,
                                         struct store_eval_run *out);

/* ---- faults of a locate run ---- */

struct store_fault {
    const char *fault_id, *gen_id, *problem_id, *locator;
    uint32_t sample;
    int32_t step, token; /* -1: none found, not known */
    enum pipe_category category;
    double confidence;
    const char *evidence; /* a JSON object */
    const char *review;   /* auto, confirmed, rejected */
};
typedef rt_status store_fault_fn(void *user, const struct store_fault *fault);
/* locator null: all. By problem, sample, locator. */
RT_CHECKED rt_status store_each_fault(struct store *store, const char *run_id,
                                      const char *locator, store_fault_fn *fn,
                                      void *user);

struct store_rollout {
    const char *gen_id;
    int32_t step; /* continued after the end of this step; -1: from the question */
    uint32_t sample;
    const char *output;
    bool correct;
    uint32_t n_gen;
    const char *variant_id; /* that went on */
};
typedef rt_status store_rollout_fn(void *user, const struct store_rollout *rollout);
/* By answer, step and sample. */
RT_CHECKED rt_status store_each_rollout(struct store *store, const char *run_id,
                                        const char *locator, store_rollout_fn *fn,
                                        void *user);

/* The locate run that speaks for the answers of a run: of those of the campaign (null: of
 * any) the one with the most locators, of these the newest. Empty where there is none. */
RT_CHECKED rt_status store_find_locate_run(struct store *store, const char *campaign_id,
                                           const char *answers_run,
                                           char run_id[STORE_ID]);

/* For printing: problem_id, sample, locator, step (from 0, NULL for none), category,
 * confidence, text (what the fault is about). locator null: all but gold. segmenter: of the
 * steps that `text` is taken from. */
RT_CHECKED rt_status store_faults_text(struct store *store, const char *run_id,
                                       const char *locator, const char *segmenter,
                                       store_row_fn *fn, void *user);

/* ---- training items ---- */

struct store_item {
    const char *dataset_id, *run_id, *kind; /* of the set; kind: sft, dpo, kl */
    uint32_t index;
    struct pipe_item item; /* null and -1 where a column is NULL */
};
typedef rt_status store_item_fn(void *user, const struct store_item *item);
/* Items of a set, or of all sets of a run, dropped ones too; by set and index. */
RT_CHECKED rt_status store_each_item(struct store *store, const char *dataset_or_run_id,
                                     store_item_fn *fn, void *user);

#endif

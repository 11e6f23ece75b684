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
    const char *answer; /* the right one */
    uint32_t sample;
};
typedef rt_status store_wrong_fn(void *user, const struct store_wrong *wrong);
/* Answers that are graded wrong and could be run, by problem and sample. */
RT_CHECKED rt_status store_each_wrong(struct store *store, const char *run_id,
                                      store_wrong_fn *fn, void *user);

/* Whether all work of a run is done. */
RT_CHECKED rt_status store_run_is_done(struct store *store, const char *run_id,
                                       bool *done);

/* What a run of a campaign took. */
struct store_cost {
    const char *stage; /* "train RECIPE", or the split and what was measured */
    double wall_seconds, device_seconds, tflop;
};
typedef rt_status store_cost_fn(void *user, const struct store_cost *cost);
/* Eval and train runs of a campaign, in the order in which they began. */
RT_CHECKED rt_status store_each_cost(struct store *store, const char *campaign_id,
                                     store_cost_fn *fn, void *user);

/* An eval run with what its answers are of. */
struct store_eval_run {
    char run_id[STORE_ID], variant_id[STORE_ID], benchmark_id[STORE_ID];
    char campaign_id[STORE_ID];   /* that it joined last; empty: none */
    char format[48];              /* name of the prompt format, empty: none */
    char label[80];               /* of the variant */
    char bench[80];               /* "name:split" */
    int64_t started_ms, ended_ms; /* ended: else of the last sign of life */
};
/* The newest eval run of that id or of a variant of that label; "": of any. Runs with answers
 * come before those that measured a text, and what blame asked for comes last of these, so that
 * a repeated command finds the run that it found before. run_id is empty where there is none. */
RT_CHECKED rt_status store_find_eval_run(struct store *store, const char *id_or_label,
                                         struct store_eval_run *out);

/* ---- quantized models ---- */

/* How one was made; what is not known is 0. */
struct store_made {
    char run_id[STORE_ID];               /* empty: the file does not know */
    double wall_seconds, peak_bytes;     /* host memory of the process */
    uint32_t layers;                     /* matrices whose error is known */
    double layer_error, layer_error_rtn; /* sums over them: metrics.def */
};
/* The newest run that made these weights. */
RT_CHECKED rt_status store_find_made(struct store *store, const char *weights_id,
                                     struct store_made *out);
/* error, rtn: one row per matrix of such a run, in the order of the model. */
RT_CHECKED rt_status store_layer_error_rows(struct store *store, const char *run_id,
                                            store_row_fn *fn, void *user);

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

/* The same of a run that checked the text of answers (locate --run): problem_id, sample,
 * step, category, text, of those where a step is named. */
RT_CHECKED rt_status store_checked_text(struct store *store, const char *run_id,
                                        const char *segmenter, store_row_fn *fn,
                                        void *user);
/* What every locator but gold says in a locate run: problem_id, locator, step, category,
 * confidence, tokens (that models read or wrote for it), rates (JSON, of draws; or null). */
RT_CHECKED rt_status store_located_text(struct store *store, const char *run_id,
                                        store_row_fn *fn, void *user);

/* ---- metrics ---- */

typedef rt_status store_metric_fn(void *user, const struct pipe_metric *metric);
/* Every step of one metric of a run, by step. */
RT_CHECKED rt_status store_each_metric(struct store *store, const char *run_id,
                                       const char *name, store_metric_fn *fn, void *user);

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

/* ---- for commands that print: rows, with their columns in this order ---- */

/* What ran and how far: the columns of `faultline status`. */
RT_CHECKED rt_status store_status_rows(struct store *store, store_row_fn *fn, void *user);
/* Processes that show signs of life. */
RT_CHECKED rt_status store_count_working(struct store *store, int64_t *out);

/* problem_id, question, answer; no row where it is not there. */
RT_CHECKED rt_status store_problem_row(struct store *store, const char *problem_id,
                                       store_row_fn *fn, void *user);
/* label, correct, extracted, output, faulty step (from 0, NULL for none) of full, quant and
 * the variant of that label ("": the default arm). */
RT_CHECKED rt_status store_side_rows(struct store *store, const char *problem_id,
                                     const char *label, store_row_fn *fn, void *user);
/* locator, step (from 1, NULL for none), category in words, confidence: what is said of all
 * answers to a problem. */
RT_CHECKED rt_status store_problem_fault_rows(struct store *store, const char *problem_id,
                                              store_row_fn *fn, void *user);

/* problem_id, question, answer, sample, output, finish, n_prompt, n_gen, error, extracted,
 * correct, reason: all answers of a run. */
RT_CHECKED rt_status store_export_rows(struct store *store, const char *run_id,
                                       store_row_fn *fn, void *user);
RT_CHECKED rt_status store_count_answers(struct store *store, const char *run_id,
                                         int64_t *out);

/* gen_id, problem_id, sample, output, finish, answer, format, label, grader, correct,
 * extracted, extract_ok, reason, and whether the prompt ends with <think>: every score of
 * the eval runs of that id or label ("": of all), and answers without one. */
RT_CHECKED rt_status store_score_rows(struct store *store, const char *id_or_label,
                                      store_row_fn *fn, void *user);
RT_CHECKED rt_status store_count_eval_runs(struct store *store, const char *id_or_label,
                                           int64_t *out);

/* ---- comparing ---- */

/* Empty where there is none. */
RT_CHECKED rt_status store_newest_campaign(struct store *store,
                                           char campaign_id[STORE_ID]);
/* benchmark_id of the lists that at least two variants of a campaign have answered; name
 * "": of any name. */
RT_CHECKED rt_status store_compared_rows(struct store *store, const char *campaign_id,
                                         const char *split, const char *name,
                                         store_row_fn *fn, void *user);
/* run_id, label, bits per weight, benchmark_id, "name:split", grader of finished eval runs of a
 * campaign; the last row fits best. wanted: label, arm or id of the variant, "": any of
 * the role. benchmark_id "": any. */
RT_CHECKED rt_status store_side_run_rows(struct store *store, const char *campaign_id,
                                         const char *split, const char *wanted,
                                         const char *role, const char *benchmark_id,
                                         store_row_fn *fn, void *user);
/* Pairs that both have a verdict. */
RT_CHECKED rt_status store_count_pairs(struct store *store, const char *comparison_id,
                                       int64_t *out);
/* full, quant, restored (0 where there is none), problem_id, sample; by problem. */
RT_CHECKED rt_status store_pair_rows(struct store *store, const char *comparison_id,
                                     store_row_fn *fn, void *user);
/* problem_id, sample, full, quant, restored: pairs whose verdict changes, lost ones first. */
RT_CHECKED rt_status store_flip_rows(struct store *store, const char *comparison_id,
                                     store_row_fn *fn, void *user);

/* ---- device benchmark ---- */

/* Columns: enum store_bench_column. case_id null: all cases, by pass and order; else the
 * passes of one. */
enum store_bench_column {
    STORE_BENCH_RUN,
    STORE_BENCH_CASE,
    STORE_BENCH_SUITE,
    STORE_BENCH_NAME,
    STORE_BENCH_UNIT,
    STORE_BENCH_HIGHER_BETTER,
    STORE_BENCH_FLOPS,
    STORE_BENCH_BYTES,
    STORE_BENCH_STATUS,
    STORE_BENCH_REASON,
    STORE_BENCH_N,
    STORE_BENCH_VALUE,
    STORE_BENCH_LOW,
    STORE_BENCH_HIGH,
    STORE_BENCH_MEDIAN_NS,
    STORE_BENCH_CLOCK_MHZ,
    STORE_BENCH_ERROR,
    STORE_BENCH_STEADY,
    STORE_BENCH_SAMPLES,
};
RT_CHECKED rt_status store_bench_rows(struct store *store, const char *run_id,
                                      const char *case_id, store_row_fn *fn, void *user);
/* device, driver. */
RT_CHECKED rt_status store_bench_device_row(struct store *store, const char *run_id,
                                            store_row_fn *fn, void *user);
/* run_id of bench runs whose id begins with `start`, "": of finished ones; newest first. */
RT_CHECKED rt_status store_bench_run_rows(struct store *store, const char *start,
                                          store_row_fn *fn, void *user);
/* run_id of other runs that measured a case, that of the same device first, then the
 * newest; base_run "": of all that are finished. */
RT_CHECKED rt_status store_bench_base_rows(struct store *store, const char *case_id,
                                           const char *run_id, const char *device,
                                           const char *base_run, store_row_fn *fn,
                                           void *user);
/* machine, kernel, processor, cores, device, driver, Vulkan, plan, layers, settings,
 * version. */
RT_CHECKED rt_status store_bench_facts_row(struct store *store, const char *run_id,
                                           store_row_fn *fn, void *user);

#endif

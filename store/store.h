/* store/store.h
 * The results file: one SQLite database (WAL, STRICT tables, foreign keys). Everything
 * that happened is a row; ids are content hashes, so that writing twice changes nothing
 * and the same command resumes. Schema: store/schema.c, docs/store.md.
 *
 * A result is durable when store_commit returns. Killing the program at any moment loses
 * at most what was written since. All functions return RT_ERR_STORE with a message that
 * says what to do. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "pipeline/record.h"
#include "runtime/device/device.h"

struct store;

enum store_mode { STORE_READ, STORE_WRITE };
enum { STORE_ID = 80 }; /* bytes of an id with its end */

/* Opens a file; STORE_WRITE creates it. A file of an earlier version is brought forward: for
 * writing with a copy kept beside it, for reading in a temporary copy (store/migrate.c).
 * Refused with a reason: not a results file, of a newer version, read-only, locked by
 * another process for over 10 s, damaged. */
RT_CHECKED rt_status store_open(struct rt_ctx *ctx, const char *path,
                                enum store_mode mode, struct store **out);
void store_close(struct store **store);
/* The command line that runs are opened by from now on, a JSON array, borrowed; none: []. */
void store_set_argv(struct store *store, const char *argv);
RT_CHECKED rt_status store_begin(struct store *store);
RT_CHECKED rt_status store_commit(struct store *store);
void store_rollback(struct store *store); /* after a failure; never fails itself */

/* ---- what and where ---- */

/* Machine, device, driver and environment rows of a device; env_id out. The environment
 * knows its numerics: a hash of what may change a bit of an answer. */
RT_CHECKED rt_status store_put_environment(struct store *store,
                                           const struct rt_device *dev,
                                           char env_id[STORE_ID]);

struct store_artifact {
    const char *id;   /* "sha256:..." */
    const char *kind; /* weights, adapter, dataset, checkpoint, report, ... */
    int64_t bytes;
    const char *path; /* hint, may be null */
};
/* One that is there stays, and gets the path if it has none. */
RT_CHECKED rt_status store_put_artifact(struct store *store,
                                        const struct store_artifact *a);
/* What lay there is removed: no artifact names the path any more. */
RT_CHECKED rt_status store_forget_path(struct store *store, const char *path);

/* What else is known of one that is there, a JSON object; what was said before stays. */
RT_CHECKED rt_status store_describe_artifact(struct store *store, const char *id,
                                             const char *meta);

struct store_variant {
    char id[STORE_ID];                   /* filled from role, arm, weights and adapter */
    const char *label, *role, *arm;      /* arm may be null */
    const char *weights_id, *adapter_id; /* adapter_id may be null */
    const char *arch;
    int64_t params;
    const char *quant;      /* "rtn 3 bit per row", may be null */
    double bits_per_weight; /* effective: codes, scales, zeros, adapter */
    char stored_label[64];  /* filled */
};
/* Adds a variant. `label` is a wish: without an arm, and where another variant of the file
 * has it, the row gets the label with six digits of its hash behind ("quant-1a2b3c"), so
 * that two quantized models of one plan have two labels. A row that is there keeps its
 * own, unless the wish is a name of its own: without an arm, and not the role. On return
 * `label` points to the stored one, within *variant, which must not move. */
RT_CHECKED rt_status store_put_variant(struct store *store,
                                       struct store_variant *variant);

/* A named, hashed list of problems. RT_ERR_INPUT where an id of it already stands for
 * another question or answer: roll back. */
RT_CHECKED rt_status store_put_benchmark(struct store *store, const char *name,
                                         const char *split,
                                         const struct pipe_problem *problems,
                                         uint32_t count, char benchmark_id[STORE_ID]);
/* Where a campaign (name and plan as JSON) is there already, its id is found again. */
RT_CHECKED rt_status store_put_campaign(struct store *store, const char *name,
                                        const char *plan, char campaign_id[STORE_ID]);

/* ---- runs ---- */

/* The id is a hash of kind, variant, benchmark, seed, config and the environment's numerics:
 * what is done, not where or for which campaign. */
struct store_run {
    char id[STORE_ID];       /* filled */
    const char *campaign_id; /* that refers to it from now on; may be null */
    const char *kind, *variant_id, *benchmark_id;
    const char *env_id; /* for its numerics, NULL if no device has a part in it */
    const char *grader; /* whose verdict counts, NULL: the first by name */
    uint64_t seed;
    const char *config; /* JSON: everything else that could change a result */
};
/* Starts a run or joins the one that did the same work before, and says in one line of the
 * log where an unfinished one of a version 1 file is left behind. */
RT_CHECKED rt_status store_run_open(struct store *store, struct store_run *run);
/* status: done, failed, interrupted. */
RT_CHECKED rt_status store_run_close(struct store *store, const char *run_id,
                                     const char *status, int exit_code,
                                     const char *error);
RT_CHECKED rt_status store_heartbeat(struct store *store, const char *run_id);

/* A file or adapter that a run was given or made. direction: "in", "out"; role: "answers",
 * "adapter", ... */
RT_CHECKED rt_status store_put_run_artifact(struct store *store, const char *run_id,
                                            const char *artifact_id,
                                            const char *direction, const char *role);

/* Generation, verdict and steps of one answer. */
RT_CHECKED rt_status store_put_generation(struct store *store, const char *run_id,
                                          const struct pipe_generation *generation,
                                          const struct pipe_score *score,
                                          const struct pipe_step *steps,
                                          uint32_t step_count);
/* Whether another eval run of the same weights, adapter, config, seed and numerics has
 * answers: then each that `run_id` lacks may be had from there. */
RT_CHECKED rt_status store_can_reuse(struct store *store, const char *run_id, bool *out);
/* Copies the answer to a problem, with its verdicts and steps, from such a run into
 * `run_id`. *out false: there is none. Within a transaction of the caller. */
RT_CHECKED rt_status store_reuse_answer(struct store *store, const char *run_id,
                                        const char *problem_id, uint32_t sample,
                                        bool *out);

/* A verdict; one that it replaces goes to score_history. */
RT_CHECKED rt_status store_put_score(struct store *store, const char *gen_id,
                                     const struct pipe_score *score);
void store_gen_id(const char *run_id, const char *problem_id, uint32_t sample,
                  char gen_id[STORE_ID]);

/* One finished answer, read back. Strings are valid during the call. */
struct store_answer {
    const char *problem_id, *output;
    uint32_t sample;
    enum pipe_finish finish;
    bool correct, extract_ok;
    const char *reason; /* of the verdict, "" for none */
    uint32_t n_gen;
    const uint32_t *ids; /* n_gen, null if no trace was kept */
    const float *logprob, *margin;
    const uint32_t *alt;
};
typedef rt_status store_answer_fn(void *user, const struct store_answer *answer);
/* All answers of a run, by problem and sample. */
RT_CHECKED rt_status store_each_answer(struct store *store, const char *run_id,
                                       store_answer_fn *fn, void *user);

/* Of a locate run, an answer and a locator: other runs may find other faults. */
void store_fault_id(const char *run_id, const char *gen_id, const char *locator,
                    char fault_id[STORE_ID]);
/* Replaces what the locator said before in this run, unless a person has reviewed it. */
RT_CHECKED rt_status store_put_fault(struct store *store, const char *run_id,
                                     const char *gen_id, const struct pipe_fault *fault);
/* run_id: of the locate run. */
RT_CHECKED rt_status store_put_rollout(struct store *store, const char *run_id,
                                       const char *gen_id, const char *locator,
                                       const char *variant_id,
                                       const struct pipe_rollout *rollout);
RT_CHECKED rt_status store_put_items(struct store *store, const char *run_id,
                                     const char *kind, const char *recipe,
                                     const struct pipe_item *items, uint32_t count);
RT_CHECKED rt_status store_put_metric(struct store *store, const char *run_id,
                                      const char *name, int64_t step, double value);
/* Adds to a metric of step 0, which starts at 0: what a run took, over all its attempts. */
RT_CHECKED rt_status store_add_metric(struct store *store, const char *run_id,
                                      const char *name, double value);

/* ---- comparisons and stages ---- */

/* Freezes full, quant and restored answers of a benchmark (graded by `grader`). */
RT_CHECKED rt_status store_put_comparison(struct store *store, const char *campaign_id,
                                          const char *benchmark_id, const char *grader,
                                          const char *full_run, const char *quant_run,
                                          const char *restored_run,
                                          char comparison_id[STORE_ID]);

/* ---- device benchmark (tables bench_*; docs/bench.md) ---- */

/* What is timed. The id is made of all but work and explanation, so that the same case
 * of another run, machine or day is found by it. */
struct store_bench_case {
    char id[STORE_ID]; /* filled */
    const char *suite;
    int64_t suite_version;     /* raised when a case of the suite changes its meaning */
    const char *name, *params; /* params: a JSON object */
    const char *unit;          /* of values: "GFLOP/s", "GB/s", "tok/s" */
    bool higher_better;
    double flops, bytes; /* of one unit of work; NaN: not counted */
    const char *explain; /* may be null */
};
RT_CHECKED rt_status store_put_bench_case(struct store *store,
                                          struct store_bench_case *c);

/* One case in one pass. NaN is stored as NULL: not known. */
struct store_bench_result {
    const char *run_id, *case_id;
    int64_t pass, ord;  /* 0-based pass; place among all results of the run */
    const char *status; /* ok, unsupported, skipped, error, invalid */
    const char *reason; /* null where ok */
    int64_t n, warmups, outliers;
    double value, low, high;  /* in the unit of the case, with the interval of value */
    double median_ns, mad_ns; /* of one unit of work */
    bool steady;
    double error; /* greatest relative error that the check found */
    double clock_mhz;
};
RT_CHECKED rt_status store_put_bench_result(struct store *store,
                                            const struct store_bench_result *r);
/* All timings of a phase (cold, warm, measured); codec names what the words are. */
RT_CHECKED rt_status store_put_bench_sample(struct store *store,
                                            const struct store_bench_result *r,
                                            const char *phase, const char *codec,
                                            const void *words, size_t bytes);

/* ---- queries, for the report and `faultline sql` ---- */

struct store_row;
int store_row_count(const struct store_row *row);
const char *store_row_name(const struct store_row *row, int column);
/* Ends with a zero, "" for NULL; store_row_size: its bytes, which may hold zeros too. */
const char *store_row_text(const struct store_row *row, int column);
size_t store_row_size(const struct store_row *row, int column);
bool store_row_is_blob(const struct store_row *row, int column);
bool store_row_null(const struct store_row *row, int column);
/* The text, null for NULL. */
const char *store_row_text_or_null(const struct store_row *row, int column);
/* How an answer ended; a word that is none is PIPE_FINISH_ERROR. */
enum pipe_finish store_row_finish(const struct store_row *row, int column);
bool store_row_is_number(const struct store_row *row, int column);
double store_row_number(const struct store_row *row, int column);
int64_t store_row_integer(const struct store_row *row, int column);
const void *store_row_blob(const struct store_row *row, int column, int *size);
/* Two columns have one name. */
bool store_row_names_twice(const struct store_row *row);
/* The number behind the name of a column, NAME_2, NAME_3, so that no two columns are called
 * the same; 0: none, it is the first of its name. A number that another column's own name
 * takes is left out. */
int store_row_suffix(const struct store_row *row, int column);
typedef rt_status store_row_fn(void *user, const struct store_row *row);
/* Runs one statement that only reads. `args`: text arguments ?1, ?2, ...; null-terminated. */
RT_CHECKED rt_status store_query(struct store *store, const char *sql,
                                 const char *const *args, store_row_fn *fn, void *user);
/* The same for a statement that the user wrote: RT_ERR_USAGE where it does not fit. */
RT_CHECKED rt_status store_query_given(struct store *store, const char *sql,
                                       store_row_fn *fn, void *user);

#endif

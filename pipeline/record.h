/* pipeline/record.h
 * Plain structs of what happened: what the pipeline hands to the store and what the
 * store hands back. Strings are UTF-8, zero-terminated, borrowed from whoever made
 * the record unless a function says that it copies. Ids are text: content hashes
 * ("sha256:...") or names. Null means "none" where a field says so. */
#ifndef PIPELINE_RECORD_H
#define PIPELINE_RECORD_H

#include "runtime/base/rt.h"

/* One word problem. `program` is the gold program of generated problems: the truth
 * that judges locators and is never shown to one. */
struct pipe_gold_step {
    const char *label; /* "Total" */
    const char *expr;  /* "11+40" */
    int64_t value;     /* 51 */
};

struct pipe_problem {
    const char *id;
    const char *question;
    const char *reference; /* reference solution, may be null */
    const char *answer;
    const char *subject;                  /* skills joined by '+', may be null */
    const char *level;                    /* may be null */
    const struct pipe_gold_step *program; /* null: none known */
    uint32_t program_count;
    const struct pipe_text_weights *weights; /* of the reference, null: it counts once */
};

enum pipe_finish { PIPE_FINISH_STOP, PIPE_FINISH_LENGTH, PIPE_FINISH_ERROR };

/* Per generated token, arrays of n; the end token is the last where one came. */
struct pipe_trace {
    uint32_t n;
    const uint32_t *ids;
    const float *logprob; /* of the chosen token, nats */
    const float *margin;  /* log p(chosen) - max log p(other) */
    const uint32_t *alt;  /* runner-up */
};

/* One variant's answer to one problem, sample k. */
struct pipe_generation {
    const char *problem_id;
    uint32_t sample;
    const char *prompt_hash;
    const char *output; /* text without the end token */
    enum pipe_finish finish;
    uint32_t n_prompt, n_gen;      /* tokens */
    int64_t prefill_us, decode_us; /* share of the batch's time; -1: not measured */
    const char *error;             /* of PIPE_FINISH_ERROR, else null */
    const char *segmenter;         /* rule that cut it into steps, NULL if it has none */
    struct pipe_trace trace;
};

/* A grader's verdict. Extraction and equality are separate. */
struct pipe_score {
    const char *grader;    /* "demo" */
    const char *extracted; /* null: nothing could be extracted */
    bool extract_ok, correct;
    const char *reason; /* rule that fired, or why not; may be null */
};

enum { PIPE_STEPS_MAX = 256 }; /* of an answer; the last one takes the rest */

/* One step of an answer: half-open ranges. */
struct pipe_step {
    uint32_t char_start, char_end; /* bytes of output */
    uint32_t tok_start, tok_end;   /* tokens of the generation; both 0: not mapped */
};

/* Categories of session.md section 3. */
enum pipe_category {
    PIPE_CAT_NONE = 0,
    PIPE_CAT_CONCEPTUAL_MISUNDERSTANDING,
    PIPE_CAT_CONCEPTUAL_OVERSIGHT,
    PIPE_CAT_METHOD_PROCEDURE,
    PIPE_CAT_METHOD_FORMULA,
    PIPE_CAT_EXECUTION_COMPUTATION,
    PIPE_CAT_EXECUTION_SYMBOLIC,
    PIPE_CAT_REASONING_LOGIC,
    PIPE_CAT_DEGENERATE,
    PIPE_CAT_TRANSFER,
    PIPE_CAT_UNCLASSIFIED,
    PIPE_CAT_COUNT
};

/* Stable code ("execution/computation"), words for people, and back from the code. */
const char *pipe_category_code(enum pipe_category category);
const char *pipe_category_label(enum pipe_category category);
enum pipe_category pipe_category_of(const char *code);

/* What one locator says about one wrong answer. step < 0: no fault found (abstains). */
struct pipe_fault {
    const char *locator; /* "check", "twin", "rollout", "verdict", "gold" */
    int32_t step;
    int32_t token; /* -1: unknown */
    enum pipe_category category;
    double confidence;    /* 0 .. 1 */
    const char *evidence; /* a JSON object */
};

/* One continuation from a prefix, as evidence for a fault. */
struct pipe_rollout {
    uint32_t
        step; /* continued after the end of this step; the prefix holds step + 1 steps */
    uint32_t sample;
    const char *output;
    bool correct;
    uint32_t n_gen;
};

/* One Silver Bullet item. For kl and sft `chosen` may be a whole solution. */
struct pipe_item {
    const char *problem_id;
    const char
        *prompt; /* question and the unchanged prefix, as text after the template */
    const char *chosen;
    const char *rejected; /* null: none */
    enum pipe_category category;
    int32_t step;         /* -1: none */
    const char *source;   /* "full-continuation", "gold-step", ... */
    const char *fault_id; /* row that it was made from, may be NULL */
    const char *excluded; /* reason it was dropped, else null */
};

/* A number over steps of a run ("loss", 17, 0.41). */
struct pipe_metric {
    const char *name;
    int64_t step;
    double value;
};

#endif

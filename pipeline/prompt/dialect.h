/* pipeline/prompt/dialect.h
 * What is known of a kind of solution text: how it is cut into steps, what can be checked
 * mechanically, altered on purpose, or judged against a known truth. A prompt format names
 * its dialect. Any function but `split` may be NULL: a locator that needs it then does not
 * apply to that text. */
#ifndef PIPELINE_PROMPT_DIALECT_H
#define PIPELINE_PROMPT_DIALECT_H

#include "pipeline/record.h"
#include "runtime/base/text_pool.h"

/* Rules of the mechanical check: locate_check.h. NONE: a dialect's own check. */
enum pipe_check_rule {
    PIPE_CHECK_NONE,
    PIPE_CHECK_REPETITION,
    PIPE_CHECK_ARITHMETIC,
    PIPE_CHECK_COPY,
    PIPE_CHECK_UNKNOWN,
    PIPE_CHECK_ANSWER,
    PIPE_CHECK_RULE_COUNT
};

/* What a mechanical check says of one answer. */
struct pipe_checked {
    int32_t step;                          /* the first faulty one; -1: abstains */
    enum pipe_check_rule rule;             /* that names it */
    enum pipe_category category;           /* PIPE_CAT_NONE: abstains */
    uint32_t named[PIPE_CHECK_RULE_COUNT]; /* by rule: first step + 1; 0: none */
    char evidence[192];                    /* a JSON object; "{}" where it abstains */
};

/* Kinds of injected faults: inject_text.h; the demo knows the first two. */
enum pipe_inject_kind {
    PIPE_INJECT_VALUE,
    PIPE_INJECT_OPERAND,
    PIPE_INJECT_OPERATOR,
    PIPE_INJECT_DROPPED,
    PIPE_INJECT_OWNER,
    PIPE_INJECT_COUNT
};

/* A right answer with one step altered. */
struct pipe_injected {
    const char *output; /* in the pool; NULL: no such alteration was found */
    int32_t step;       /* the altered one */
    enum pipe_inject_kind kind;
};

struct pipe_dialect {
    const char *name;      /* "demo" */
    const char *segmenter; /* name of the step rule, as stored */
    const char *between;   /* what stands between steps that are put together anew */
    /* Cuts an answer (step_split.h says how). Returns the number of steps, at most `max`;
     * the last takes the rest. */
    uint32_t (*split)(const char *output, struct pipe_step *steps, uint32_t max);
    /* Names the first step that is false by itself. Sees question and answer only. Never
     * fails: text that it cannot follow makes it abstain. */
    void (*check)(const struct pipe_dialect *self, const char *question,
                  const char *output, struct pipe_checked *out);
    /* The category of step `step` of a wrong answer, from the difference to `right`: a
     * right answer with the same steps before it. PIPE_CAT_UNCLASSIFIED: cannot tell. */
    enum pipe_category (*category)(const char *wrong, uint32_t step, const char *right);
    /* Alters a right answer at a known step; kinds 0 to inject_kinds - 1 are known. The draw depends on (seed, index) alone. */
    rt_status (*inject)(struct rt_ctx *ctx, struct pipe_pool *pool,
                        const struct pipe_dialect *self, const char *question,
                        const char *output, enum pipe_inject_kind kind, uint64_t seed,
                        uint32_t index, struct pipe_injected *out);
    uint32_t inject_kinds;
    /* The first faulty step by the problem's gold program; -1: not known. It knows the
     * truth, so it judges locators and is never part of a verdict. */
    rt_status (*gold)(struct rt_ctx *ctx, const struct pipe_problem *problem,
                      const char *output, int32_t *step);
};

/* `gold` of a dialect of free text, where problems have a gold program whose steps are a<op>b in
 * whole numbers (pipeline/demo/gold_text.c); -1 where they have none. A step's first equation
 * is replayed, and its sentence must hold the label of a gold step with that value. */
RT_CHECKED rt_status pipe_gold_of_text(struct rt_ctx *ctx,
                                       const struct pipe_dialect *dialect,
                                       const struct pipe_problem *problem,
                                       const char *output, int32_t *step);

/* Free text, cut into sentences, paragraphs or "Step k:" lines: step_split.h. Their check
 * is locate_check.h. */
extern const struct pipe_dialect pipe_dialect_sentences, pipe_dialect_paragraphs,
    pipe_dialect_marks;
/* Lines, for solutions that no prompt format made. */
extern const struct pipe_dialect pipe_dialect_lines;

#endif

/* pipeline/restore/retain.h
 * Retention: what models do on other things than the measured problems, before and after a
 * repair. A repair that buys accuracy with something else is seen here. */
#ifndef PIPELINE_RESTORE_RETAIN_H
#define PIPELINE_RESTORE_RETAIN_H

#include "pipeline/run/calibration.h"
#include "pipeline/run/kl.h"

enum { RESTORE_RETAINED_MAX = 16 };

/* 512 words of plain English, "bundled" in a list; rows call it so too. No file that is a text
 * has that name: its own has an ending. */
extern const char restore_retain_text[];

enum restore_retained_kind {
    RESTORE_RETAINED_TEXT,    /* perplexity, KL to full */
    RESTORE_RETAINED_CHOICE,  /* multiple choice by the likelier letter (run/choice.h) */
    RESTORE_RETAINED_PROBLEMS /* answers in the session's format */
};
struct restore_retained_item {
    enum restore_retained_kind kind;
    const char *from;             /* in `names` */
    struct pipe_calibration text; /* TEXT: windows of up to 512 tokens, half over half */
    struct pipe_kl_base base;     /* TEXT: the full model on it */
    uint32_t length;              /* TEXT: tokens of a window */
    struct pipe_problem_set questions; /* CHOICE */
    struct pipe_bench bench;           /* PROBLEMS, split "retain" */
};
struct restore_retained {
    char *names; /* owned */
    uint32_t count;
    struct restore_retained_item items[RESTORE_RETAINED_MAX];
};

/* Reads a list "A,B,...": "bundled", .txt, .txt.gz and .md are texts, .csv and .csv.gz
 * multiple choice as MMLU has it, all else is a list of problems (run/problem_source.h).
 * "none" alone, or NULL: nothing is retained. restore_retain_close in any case. */
RT_CHECKED rt_status restore_retain_open(struct pipe_session *session, const char *list,
                                         struct rt_model *full,
                                         struct restore_retained *out);
void restore_retain_close(struct restore_retained *r);
/* Measures a variant on all of them and says what came out; what the results file has is not
 * done again. A text is not measured for full itself: its numbers stand beside every
 * other variant's; nor for a variant whose context is shorter than its windows, which is
 * said. */
RT_CHECKED rt_status restore_retain_measure(struct pipe_session *session,
                                            struct restore_retained *r,
                                            struct rt_model *full,
                                            const struct pipe_variant *variant);

#endif

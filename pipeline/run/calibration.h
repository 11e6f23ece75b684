/* pipeline/run/calibration.h
 * Text that a quantizer sees the inputs of matrices on: a plain text, cut into windows of
 * equal length, or problems, each a prompt of the session's format with an answer: the
 * reference solution, what the full model answers, or what a stored run has answered.
 *
 * Texts and problems of a file may have weights (pipeline/data/text_weights.h), of the text
 * or of the solution. A token counts as the span that its last byte lies in. Prompt and end
 * token count what the whole item does. Items of which no target counts are left out.
 * Measuring counts all tokens alike. */
#ifndef PIPELINE_RUN_CALIBRATION_H
#define PIPELINE_RUN_CALIBRATION_H

#include "pipeline/run/sequences.h"
#include "pipeline/run/session.h"

enum { PIPE_CALIBRATION_LENGTH = 512, PIPE_CALIBRATION_TOKENS_MIN = 64 };

enum pipe_calibration_kind {
    PIPE_CALIBRATION_TEXT,     /* "words.txt": a file, .txt, .txt.gz or .md */
    PIPE_CALIBRATION_TEXTS,    /* "words.jsonl": texts as pipe_texts_read takes them */
    PIPE_CALIBRATION_PROBLEMS, /* "mine.jsonl[0:200]": as pipe_problems_open takes them */
    PIPE_CALIBRATION_SELF,     /* "self:mine.jsonl[0:200]": the full model answers them */
    /* "run:ID": finished answers of an eval run or of the variant of that label. Behind it
     * ",right" or ",wrong": those alone; ",lost=ID", ",kept=ID": right, and of a problem
     * that the other run answered wrong, or right. Behind these ",step=W": tokens from the
     * step on at which the verdict of `locate` says that the answer goes wrong (of lost and
     * kept: the other run's answer) count W times. */
    PIPE_CALIBRATION_RUN,
};

struct pipe_calibration_options {
    const char *from;
    const char *text;  /* of a plain text, in memory: `from` is its name; NULL: `from` is
                         read */
    const char *model; /* self: files of the full model, for its row; else unused */
    uint32_t length;   /* tokens of a window of plain text */
    uint32_t items;    /* windows or problems at most, the first ones */
    /* To measure on, not to shape a model: any text of a target or more, problems that
     * are for measuring too; a window of plain text begins with the token that texts of
     * the model begin with, and counts only what no window before it held. */
    bool measuring;
    uint32_t stride; /* measuring: tokens between the starts of windows */
};

struct pipe_calibration {
    struct pipe_sequences sequences;
    uint64_t tokens, targets;
    uint32_t without;  /* problems that have no solution, left out */
    uint32_t longer;   /* problems longer than the model's context, left out */
    uint32_t nothing;  /* sequences that count nothing, left out */
    uint32_t alone;    /* windows of one token, which predicts nothing, left out */
    uint32_t weighted; /* sequences with weights other than 1 */
    double weight;     /* of all tokens: as many as tokens if none is weighted */
    char id
        [STORE_ID]; /* hash of all tokens, and of weights: an artifact of kind dataset */
    bool problems;  /* not texts */
};

/* What `from` names; a plain text and texts need no prompt format, and are texts. */
enum pipe_calibration_kind pipe_calibration_kind_of(const char *from);
bool pipe_calibration_is_text(const char *from);
/* The problems of "self:...", NULL: it is no such. */
const char *pipe_calibration_self(const char *from);
/* The name of the prompt format of the run of "run:...", empty: not known. RT_ERR_USAGE:
 * there is no such run or other run, or the condition is not known. */
RT_CHECKED rt_status pipe_calibration_run_format(struct rt_ctx *ctx, struct store *store,
                                                 const char *from, char format[48]);
/* RT_ERR_INPUT where there is too little text (PIPE_CALIBRATION_TOKENS_MIN; measuring: one
 * target), or weights are none; RT_ERR_USAGE for windows that are longer than the context of the model. Problems
 * without a solution, or longer than that, are left out with a warning. The model's end
 * token closes a solution. What was read is an artifact of the results file: its hash,
 * source and size. Free in any case. */
RT_CHECKED rt_status pipe_calibration_read(struct pipe_session *session,
                                           const struct pipe_calibration_options *options,
                                           struct rt_model *full,
                                           struct pipe_calibration *out);
void pipe_calibration_deinit(struct pipe_calibration *calibration);

#endif

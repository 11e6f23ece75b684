/* pipeline/locate/labelled.h
 * Solutions whose first faulty step somebody knows: published sets with labels of people, and
 * our own injected faults. JSON Lines (or one JSON list), gzip or not. Formats:
 *
 *   processbench      problem, steps, label (from 0, -1: none), final_answer_correct,
 *                     generator; `locate --inject` writes it too, with answer, the right
 *                     final answer
 *   bigbench-mistake  input, steps, answer, target, mistake_index (from 0, null: none)
 *   mr-ben            Question, Options, Model_Solution_Steps, Model_Solution_First_Error_Step
 *                     (from 1, "N/A": none), Sampled_Model
 *   prmbench          modified_question, modified_process, error_steps (from 1),
 *                     classification; prmbench-original: original_question and
 *                     original_process, which have no fault
 *   gsm8k             question, answer: reference solutions, which have no fault */
#ifndef PIPELINE_LOCATE_LABELLED_H
#define PIPELINE_LOCATE_LABELLED_H

#include "pipeline/record.h"
#include "runtime/base/text_pool.h"

enum pipe_final { PIPE_FINAL_UNKNOWN, PIPE_FINAL_WRONG, PIPE_FINAL_RIGHT };

struct pipe_labelled {
    const char *id; /* empty: the record has none */
    const char *question;
    const char *text;   /* steps with blank lines between */
    const char *kind;   /* of the generator, or of the fault; may be empty */
    const char *answer; /* the right final answer; empty: it is not given */
    const struct pipe_step *steps;
    uint32_t step_count;
    uint32_t problem; /* number of the problem: records of one problem have one number */
    int32_t label;    /* first faulty step from 0; -1: none */
    enum pipe_final final;
};

/* Owns everything its items point to. Zero is a valid, empty start. */
struct pipe_labelled_set {
    struct pipe_labelled *items; /* in the order of the file */
    uint32_t count, problems;
    struct pipe_pool pool;
};

/* RT_ERR_USAGE with the names of those that there are, if this is none. */
RT_CHECKED rt_status pipe_labelled_check_format(struct rt_ctx *ctx, const char *format);
/* Reads a file, "-" for the standard input. RT_ERR_USAGE: no such format. RT_ERR_INPUT, with
 * the line: a field is missing or of another kind, a label beyond the steps, more than
 * PIPE_STEPS_MAX steps. */
RT_CHECKED rt_status pipe_labelled_read(struct rt_ctx *ctx, const char *format,
                                        const char *path, struct pipe_labelled_set *out);
/* The same from memory; `name` is for messages. */
RT_CHECKED rt_status pipe_labelled_parse(struct rt_ctx *ctx, const char *format,
                                         const char *name, const char *text, size_t size,
                                         struct pipe_labelled_set *out);
void pipe_labelled_deinit(struct pipe_labelled_set *set);

/* Bytes of step k without the white space at its end. */
uint32_t pipe_labelled_step_size(const struct pipe_labelled *item, uint32_t k);

struct pipe_problem_set;
/* Gives each record without an answer that of the problem with the very same question, if there
 * is one; a question with two different answers gives none. *joined: records that got one. */
RT_CHECKED rt_status pipe_labelled_join(struct rt_ctx *ctx, struct pipe_labelled_set *set,
                                        const struct pipe_problem_set *problems,
                                        uint32_t *joined);

#endif

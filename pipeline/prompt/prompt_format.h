/* pipeline/prompt/prompt_format.h
 * Prompt formats as rows of one table: how a question becomes a prompt, what ends an
 * answer, how it is cut into steps, how its final answer is found and compared. All text
 * of a format is hashed into the run, so that a changed prompt is another run. */
#ifndef PIPELINE_PROMPT_PROMPT_FORMAT_H
#define PIPELINE_PROMPT_PROMPT_FORMAT_H

#include "pipeline/prompt/dialect.h"

enum { PIPE_EXTRACT_MAX = 1024, PIPE_STOPS_MAX = 3 };

struct pipe_prompt_format {
    const char *name, *summary;
    /* Worked examples before the question: the name of the set (examples.h) and the
     * SHA-256 of its text, which is not part of this program. Null: none. */
    const char *examples, *examples_hash;
    /* The question is a user turn of the model's chat; the instruction is the system text,
     * or stands before the question if the chat has none (text_chat_render). */
    bool chat;
    const char *instruction;    /* null: none */
    const char *before, *after; /* around the question */
    const char *stop;           /* text of the token that ends an answer, null:
                                             the model's own end tokens */
    const char *stop_texts[PIPE_STOPS_MAX]; /* the first of them ends an answer and is cut
                                               off; NULL after the last */
    bool numbered; /* every line begins with "Step k:", by force: answer_turn.h */
    uint32_t new_tokens_max; /* cap of an answer, the stop token counted */
    uint32_t context;        /* tokens of prompt and answer, where the model has them */
    const char *grader;      /* name of the grader, as stored */
    const struct pipe_dialect *dialect; /* of its solution text */
    /* How the final answer is found (grade/extract.h) and compared (grade/grade.h): name of
     * the style. Null: by the two functions. */
    const char *style;
    /* What an answer in the form that the prompt asks for contains, such as a box. NULL: the
     * format reads no other form. */
    const char *asks;
    /* False if there is no answer that can be read. `extracted` gets a zero-terminated
     * copy, cut to `size`; *rule names the rule that fired or the reason why none did. */
    bool (*extract)(const char *output, char *extracted, size_t size, const char **rule);
    /* Whether an extracted answer equals the known one. */
    bool (*equal)(const char *extracted, const char *answer);
    const char *data[8]; /* data sets whose usual format this is; ends with a null */
};

/* The bundled model's row. */
extern const struct pipe_prompt_format pipe_format_demo;
/* The row with this name, or null. */
const struct pipe_prompt_format *pipe_prompt_format_find(const char *name);
/* Row i, null beyond the last: for lists in messages and help. */
const struct pipe_prompt_format *pipe_prompt_format_at(uint32_t i);
/* The usual row of a data set (its name without the split), or null. */
const struct pipe_prompt_format *pipe_prompt_format_for(const char *data, size_t length);

struct text_chat; /* runtime/text/chat.h */

/* A format made ready for a model. All borrowed. */
struct pipe_prompt {
    const struct pipe_prompt_format *format;
    struct text_chat *chat; /* of formats that need one, else null */
    const char *examples;   /* their text, may be NULL */
    bool thinks; /* the prompt ends with <think>: an answer begins within its reasoning
                    (pipe_prompt_thinks) */
    const char *chat_end; /* text that ends an answer of the chat, as its mark is no
                                 special token of the tokenizer; NULL: none */
};

/* The prompt of a question in fresh memory (rt_free). RT_ERR_INPUT: the chat template
 * cannot render it. */
RT_CHECKED rt_status pipe_prompt_text(struct rt_ctx *ctx,
                                      const struct pipe_prompt *prompt,
                                      const char *question, char **out);
/* SHA-256 of everything that shapes an answer: 64 hex digits. */
void pipe_prompt_hash(const struct pipe_prompt *prompt, char hex[65]);
/* Cuts an answer, in place, at the first of the format's stop texts and of the chat's. */
void pipe_prompt_cut(const struct pipe_prompt *prompt, char *answer);

/* Whether a prompt ends with an opener of reasoning, <think>, white space apart. */
bool pipe_prompt_thinks(const char *prompt);

struct pipe_grader; /* grade/grade.h */

/* The verdict on an answer of a chat that began within its reasoning (`thinks`) and does not
 * leave it: not correct, whatever stands there. False: it is to be graded. */
bool pipe_grade_thought(const struct pipe_prompt_format *format, bool thinks,
                        const char *output, enum pipe_finish finish,
                        struct pipe_score *out);

/* Grades one answer. `grader` may be null for formats without a style. `extracted`
 * (PIPE_EXTRACT_MAX bytes) is the caller's and backs out->extracted. An answer that hit the
 * token cap is graded like any other: the reason says "truncated" where nothing could be
 * extracted, else the rules that found and compared it. One that cannot be decided is not
 * correct, and its reason begins with "undecided". */
void pipe_grade(struct pipe_grader *grader, const struct pipe_prompt_format *format,
                const char *output, enum pipe_finish finish, const char *answer,
                char extracted[PIPE_EXTRACT_MAX], struct pipe_score *out);

/* Whether the reason of a verdict, which may be null, says that it could not be decided. */
bool pipe_is_undecided(const char *reason);

/* Whether a final answer can be read and stands in the form that the prompt asks for. */
bool pipe_answer_in_form(const struct pipe_prompt_format *format, const char *output,
                         bool extract_ok);

/* Fills tok_start and tok_end of steps: token t holds the bytes from token_end[t - 1] (0
 * for the first) to token_end[t], and belongs to the step in which it begins. */
void pipe_steps_map_tokens(struct pipe_step *steps, uint32_t count,
                           const uint32_t *token_end, uint32_t token_count);
/* The step that holds token t, or -1. */
int32_t pipe_step_of_token(const struct pipe_step *steps, uint32_t count, uint32_t token);

/* What is wrong with the form of an answer, beside being right or wrong. */
struct pipe_form {
    bool truncated;  /* hit the token cap */
    bool loops;      /* a cycle of tokens at the end (repetition.h) */
    bool monotone;   /* different tokens / tokens under 0.05 */
    uint32_t period; /* of the session, in tokens; 0: none */
};
void pipe_form_of(const uint32_t *ids, uint32_t count, enum pipe_finish finish,
                  struct pipe_form *out);
static inline bool pipe_form_degenerate(const struct pipe_form *form)
{
    return form->loops || form->monotone;
}
/* Whether an answer ends by itself, with a final answer that can be read, and without
 * repeating itself. */
bool pipe_answer_ends(const uint32_t *ids, uint32_t count, enum pipe_finish finish,
                      bool extract_ok);
/* Whether a gain in right answers comes with changed endings: at least half of it is lost
 * (`ended` is left) where only problems count whose answers end so before and after. */
static inline bool pipe_gain_by_ending(int32_t gain, int32_t ended)
{
    return gain > 0 && 2 * ended <= gain;
}

#endif

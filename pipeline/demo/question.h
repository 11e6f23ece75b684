/* pipeline/demo/question.h
 * What can be read off the text of a word problem without understanding it: its
 * sentences, the numbers in them, the factors that their words imply, and the names they
 * mention. Text beyond the fixed limits is left out; `complete` then is false. */
#ifndef PIPELINE_DEMO_QUESTION_H
#define PIPELINE_DEMO_QUESTION_H

#include "pipeline/record.h"

enum {
    PIPE_SENTENCES_MAX = 24,
    PIPE_NUMBERS_MAX = 12,
    PIPE_NAMES_MAX = 16,
    PIPE_SENTENCE_NAMES_MAX = 4,
};

struct pipe_word {
    const char *text; /* borrowed from the question, not terminated */
    uint32_t length;
};

struct pipe_sentence {
    const char *text; /* borrowed */
    uint32_t length;
    int64_t stated[PIPE_NUMBERS_MAX]; /* numbers as written, 25 of "25%" too */
    uint32_t stated_count;
    int64_t implied
        [PIPE_NUMBERS_MAX]; /* 2 of "half", 4 of "1/4", 4 and 100 of "25%", 60 of "hours" */
    uint32_t implied_count;
    uint32_t
        names[PIPE_SENTENCE_NAMES_MAX]; /* into question.names, in order of mention */
    uint32_t name_count;
};

struct pipe_question {
    struct pipe_sentence sentences[PIPE_SENTENCES_MAX];
    uint32_t count;
    struct pipe_word names[PIPE_NAMES_MAX]; /* capitalised words that begin no question */
    uint32_t name_count;
    bool complete;
};

void pipe_question_read(const char *text, struct pipe_question *out);
/* Index of a name, or -1. */
int32_t pipe_question_name(const struct pipe_question *q, const char *text,
                           uint32_t length);
bool pipe_sentence_has_word(const struct pipe_sentence *s, const char *word);
bool pipe_sentence_names(const struct pipe_sentence *s, uint32_t name);
bool pipe_sentence_states(const struct pipe_sentence *s, int64_t number);
bool pipe_sentence_implies(const struct pipe_sentence *s, int64_t number);
/* Both are stated; the same number twice only where it stands twice. */
bool pipe_sentence_states_both(const struct pipe_sentence *s, int64_t a, int64_t b);
/* Stated or implied. */
bool pipe_sentence_gives(const struct pipe_sentence *s, int64_t number);
bool pipe_question_gives(const struct pipe_question *q, int64_t number);

#endif

/* pipeline/grade/extract_find.h
 * The rules that extract.c puts in order. Each returns false where it does not fire. */
#ifndef PIPELINE_GRADE_EXTRACT_FIND_H
#define PIPELINE_GRADE_EXTRACT_FIND_H

#include <stdbool.h>
#include <stddef.h>

struct span { /* borrowed bytes */
    const char *at;
    size_t size;
};

/* What is left of it from the byte `at`, which is at most its size. */
static inline struct span span_from(struct span s, size_t at)
{
    return (struct span){ s.at + at, s.size - at };
}

enum { FOUND_PARTS_MAX = 32 };

struct found {
    struct span parts[FOUND_PARTS_MAX]; /* joined by commas */
    unsigned count;
    size_t all; /* bytes, commas included */
    bool stop;  /* did not fire, and no other rule may */
};

bool grade_span_starts(struct span s, const char *word);
/* The last place of `word`; *after gets what follows it. */
bool grade_span_last(struct span s, const char *word, struct span *after);
struct span grade_span_trim(struct span s);
struct span grade_span_line(struct span s); /* up to the end of its line */
size_t grade_span_digits(struct span s);    /* how many it begins with */
/* Trimmed; false: nothing is left. */
bool grade_found_one(struct span part, struct found *out);
/* Trimmed, without marks of emphasis, colons and full stops around it. */
struct span grade_span_undress(struct span s);

/* extract_denial.c. Whether the text says that the value which begins there is not the
 * answer; whether a formula in it says so of its right side (x \neq 3). */
bool grade_span_denied(struct span text, const char *value);
/* "... is extraneous" follows. */
bool grade_span_refused(struct span text, const char *after);
bool grade_formula_denies(struct span text, struct span formula);
/* Cuts ", not 5" off; of "not 5 but 4" 4 is left. False: nothing is left. */
bool grade_span_without_denial(struct span *s);

/* The first number that is not denied; the next one from *rest, which lies in the text and
 * is moved behind it. */
bool grade_find_first_number(struct span text, struct found *out);
bool grade_find_next_number(struct span text, struct span *rest, struct found *out);

bool grade_find_box(struct span text, struct found *out);    /* \boxed, \fbox */
bool grade_find_hashes(struct span text, struct found *out); /* the line after #### */
bool grade_find_hashes_number(struct span text,
                              struct found *out); /* its only number; two: stop */
/* extract_touch.c. *out is the only number of the line. Takes the expression instead where
 * the number is a part of one; false: that is none which the grader can read. */
bool grade_find_expression(struct span line, struct found *out);
bool grade_find_minerva(struct span text,
                        struct found *out); /* ... I hope it is correct */
bool grade_find_phrase(struct span text, struct found *out); /* "answer is", "Answer:" */
bool grade_find_phrase_number(struct span text, struct found *out); /* its first number */
bool grade_find_formula(struct span text, struct found *out); /* $..$ \(..\) \[..\] */
bool grade_find_inequality(struct span text,
                           struct found *out); /* x \neq 3, where nothing else is said */
bool grade_find_last(struct span text,
                     struct found *out); /* that, or a number after it */
bool grade_find_formula_or_end(struct span text, struct found *out);
bool grade_find_last_number(struct span text, struct found *out); /* anywhere */
bool grade_find_bold(struct span text, struct found *out);        /* **7**, last one */
bool grade_find_number_said(struct span text,
                            struct found *out); /* the last that numbers no part */
bool grade_find_end(struct span text, struct found *out);    /* after the last "is" */
bool grade_find_whole(struct span text, struct found *out);  /* an answer and no word */
bool grade_find_choice(struct span text, struct found *out); /* "C", "(C) name" */
bool grade_find_harness_strict(struct span text,
                               struct found *out); /* first "#### number" */
bool grade_find_harness_flexible(struct span text, struct found *out);

#endif

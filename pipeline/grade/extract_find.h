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

bool grade_find_box(struct span text, struct found *out);    /* \boxed, \fbox */
bool grade_find_hashes(struct span text, struct found *out); /* the line after #### */
bool grade_find_hashes_number(struct span text, struct found *out); /* its first number */
bool grade_find_minerva(struct span text,
                        struct found *out); /* ... I hope it is correct */
bool grade_find_phrase(struct span text, struct found *out); /* "answer is", "Answer:" */
bool grade_find_phrase_number(struct span text, struct found *out); /* its first number */
bool grade_find_formula(struct span text, struct found *out); /* $..$ \(..\) \[..\] */
bool grade_find_last(struct span text,
                     struct found *out); /* that, or a number after it */
bool grade_find_formula_or_end(struct span text, struct found *out);
bool grade_find_last_number(struct span text, struct found *out); /* anywhere */
bool grade_find_end(struct span text, struct found *out);    /* after the last "is" */
bool grade_find_whole(struct span text, struct found *out);  /* an answer and no word */
bool grade_find_choice(struct span text, struct found *out); /* "C", "(C) name" */
bool grade_find_harness_strict(struct span text,
                               struct found *out); /* first "#### number" */
bool grade_find_harness_flexible(struct span text, struct found *out);

#endif

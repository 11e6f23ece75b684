/* runtime/text/tokenizer_onig.h
 * Private to runtime/text: what both halves of the translator of patterns share. */
#ifndef RUNTIME_TEXT_TOKENIZER_ONIG_H
#define RUNTIME_TEXT_TOKENIZER_ONIG_H

#include "runtime/base/rt.h"

/* Text that grows; zero is a valid start. */
struct onig_text {
    char *bytes;
    size_t size, capacity;
};

struct onig {
    struct rt_ctx *ctx;      /* borrowed */
    const char *path;        /* borrowed; of the file, for messages */
    const char *start, *end; /* the pattern, borrowed */
    const char *at;          /* what is read next */
    struct onig_text out;
    bool ignore_case, dot_all;
    uint32_t depth;      /* of groups and classes */
    uint32_t last_plain; /* the letter before, with ignore_case; 0: none */
};

/* RT_ERR_INPUT: the construct that ends here, begun at `from`, is not supported. */
RT_CHECKED rt_status text_onig_refuse(const struct onig *o, const char *from,
                                      const char *what);
RT_CHECKED rt_status text_onig_put(struct onig *o, struct onig_text *out,
                                   const char *text);
/* A code point, escaped if it could mean something. */
RT_CHECKED rt_status text_onig_put_code(struct onig *o, struct onig_text *out,
                                        uint32_t c);
/* The code point that an escape stands for (\n, \x41, \x{e9}, \u00e9, \-), behind its
 * backslash; RT_ERR_INPUT: it is no such escape. */
RT_CHECKED rt_status text_onig_escaped_code(struct onig *o, uint32_t *c);
/* A set by its letter (d s w h) as items of a class; null: there is none. */
const char *text_onig_set_items(char letter);
/* Reads "{^Name}" behind \p or \P: items of a class, and whether it is negated. */
RT_CHECKED rt_status text_onig_property(struct onig *o, char letter, const char **items,
                                        bool *negated);
/* Reads a class behind its bracket and puts one atom. */
RT_CHECKED rt_status text_onig_class(struct onig *o, struct onig_text *out);
void text_onig_deinit(struct onig_text *text);

#endif

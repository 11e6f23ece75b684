/* runtime/text/tokenizer_pattern.h
 * Private to runtime/text: the regular expressions of tokenizers. tokenizer.json has those
 * of Oniguruma in its Ruby syntax; they are translated for PCRE2 (tokenizer_onig.c), or
 * refused if they use what PCRE2 does otherwise. */
#ifndef RUNTIME_TEXT_TOKENIZER_PATTERN_H
#define RUNTIME_TEXT_TOKENIZER_PATTERN_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "runtime/base/rt.h"

enum text_dialect {
    TEXT_ONIGURUMA, /* written by others */
    TEXT_LLAMA_CPP, /* the same, with the tables of llama.cpp (Unicode 15.1) */
    TEXT_LITERAL,   /* no pattern but a text */
    TEXT_PCRE,      /* written here; it sees the text as it is */
};

struct text_pattern {
    pcre2_code *code; /* null: no pattern */
    pcre2_match_data *match;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
    enum text_dialect dialect;
};

/* Compiles a pattern. RT_ERR_INPUT: it is not supported; names `path`, pattern and
 * construct. */
RT_CHECKED rt_status text_pattern_init(struct text_pattern *p, struct rt_ctx *ctx,
                                       const char *path, const char *pattern, size_t size,
                                       enum text_dialect dialect);
void text_pattern_deinit(struct text_pattern *p);

/* One search after the other, as the onig crate does it. */
struct text_search {
    struct text_pattern *pattern; /* borrowed */
    const char *text;             /* borrowed; as the pattern sees it */
    size_t size, at;
    bool matched;    /* there was a match */
    size_t last_end; /* of the last match */
};
/* The next match; *found is false at the end. RT_ERR_INPUT: the search takes too long. */
RT_CHECKED rt_status text_search_next(struct text_search *s, struct rt_ctx *ctx,
                                      size_t *first, size_t *last, bool *found);
/* Whether the first character of a text matches the pattern (of one character). */
bool text_pattern_is(struct text_pattern *p, const char *text, size_t size);

/* The text as a pattern sees it. Tables of PCRE2 may be older than Oniguruma's (Unicode
 * 16): a newer code point is replaced by an old one of its length, category and script.
 * U+180E is white space to PCRE2 but not to Unicode since 6.3, so U+200B stands in. Null
 * in *out: nothing differs. Else fresh memory (rt_free). RT_ERR_HOST_MEMORY. */
RT_CHECKED rt_status text_pattern_seen(const struct text_pattern *p, struct rt_ctx *ctx,
                                       const char *text, size_t size, char **out);

/* Translates a pattern of Oniguruma for PCRE2 into fresh memory (rt_free). RT_ERR_INPUT:
 * as text_pattern_init. */
RT_CHECKED rt_status text_onig_translate(struct rt_ctx *ctx, const char *path,
                                         const char *pattern, size_t size, char **out);

#endif

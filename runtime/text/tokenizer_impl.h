/* runtime/text/tokenizer_impl.h
 * Private to runtime/text: what the loaders fill in. */
#ifndef RUNTIME_TEXT_TOKENIZER_IMPL_H
#define RUNTIME_TEXT_TOKENIZER_IMPL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <jansson.h>
#include <pcre2.h>

#include "runtime/text/bpe.h"
#include "runtime/text/tokenizer.h"

enum { TEXT_PATTERNS_MAX = 8 };
/* Kinds of SentencePiece's pieces, which GGUF uses for all tokens. */
enum { KIND_NORMAL = 1, KIND_UNKNOWN, KIND_CONTROL, KIND_USER, KIND_UNUSED, KIND_BYTE };

/* GPT-2's way of splitting, also that of the ByteLevel pre-tokenizer. */
#define TEXT_GPT2_PATTERN \
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* The mark that SentencePiece writes for a space: U+2581. */
#define TEXT_SPACE_MARK "\xe2\x96\x81"

/* A token that is recognised in text before anything else. */
struct text_added {
    char *text;
    size_t size;
    uint32_t id;
    bool special;
    bool eats_left, eats_right; /* white space beside it belongs to it */
};

/* Where a space is put before text (SentencePiece). */
enum text_prefix {
    TEXT_PREFIX_NONE,
    TEXT_PREFIX_FIRST,   /* at the start only */
    TEXT_PREFIX_SPECIAL, /* and after every special token */
    TEXT_PREFIX_EVERY    /* and after every added token */
};

struct text_pattern {
    pcre2_code *code;
    pcre2_match_data *match;
};

struct text_tokenizer {
    struct rt_ctx *ctx; /* borrowed */
    const char *path;   /* borrowed, while loading */
    struct bpe bpe;
    bool nfc;
    struct text_pattern patterns[TEXT_PATTERNS_MAX]; /* each splits what the last left */
    uint32_t pattern_count;
    struct text_added *added; /* longest first */
    uint32_t added_count, added_capacity;
    bool added_first[256]; /* bytes that an added token starts with */
    uint32_t bos;          /* BPE_NO_ID: none */
    /* SentencePiece */
    bool marks_are_spaces; /* U+2581 in text means a space too */
    enum text_prefix prefix;
    bool prefix_unless_space; /* text that starts with a space gets none */
    bool prefix_stands_alone; /* it is there before an added token too */
    bool one_space;           /* runs are one space, those at the ends nothing */
};

/* ---- what loaders share; RT_ERR_INPUT names t->path ---- */
RT_CHECKED rt_status text_add_pattern(struct text_tokenizer *t, const char *pattern);
/* Adds the token to the list; it must be in the vocabulary, where it is marked. */
RT_CHECKED rt_status text_add_added(struct text_tokenizer *t, const char *text,
                                    size_t size, uint32_t id, bool special);
void text_sort_added(struct text_tokenizer *t); /* when all are there */
/* Adds a token of SentencePiece: its marks become spaces. */
RT_CHECKED rt_status text_add_piece(struct text_tokenizer *t, const char *text,
                                    size_t size, uint32_t id, bool hidden);
/* The byte of "<0x0A>", -1: it is no such token. */
int text_byte_of(const char *text, size_t size);
/* Adds such a token: found by its byte only. */
RT_CHECKED rt_status text_add_byte(struct text_tokenizer *t, int byte, uint32_t id);

/* ---- the loaders ---- */
RT_CHECKED rt_status text_load_json(struct text_tokenizer *t, const json_t *root);
/* folder/tokenizer.model; config (may be null): tokenizer_config.json. */
RT_CHECKED rt_status text_load_sentencepiece(struct text_tokenizer *t,
                                             const uint8_t *data, size_t size,
                                             const json_t *config);
RT_CHECKED rt_status text_load_gguf(struct text_tokenizer *t, const struct fmt_gguf *f);

/* ---- ways of splitting that a GGUF file names (tokenizer.ggml.pre) ---- */
struct text_way {
    const char *name;
    const char *patterns[2]; /* one after the other */
    bool ignore_merges, bos;
};
/* By any of its names; NULL if not known. */
const struct text_way *text_way_find(const char *name);
/* tokenizer.model of SentencePiece in fresh memory (rt_free) from the keys of a file. */
RT_CHECKED rt_status text_sentencepiece_make(struct rt_ctx *ctx, const struct fmt_gguf *f,
                                             uint8_t **out, size_t *size);

#endif

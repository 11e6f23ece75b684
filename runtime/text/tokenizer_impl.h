/* runtime/text/tokenizer_impl.h
 * Private to runtime/text: what a tokenizer is made of, and what the loaders fill in. */
#ifndef RUNTIME_TEXT_TOKENIZER_IMPL_H
#define RUNTIME_TEXT_TOKENIZER_IMPL_H

#include <jansson.h>

#include "runtime/text/bpe.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/tokenizer_pattern.h"

enum { TEXT_STEPS_MAX = 32, TEXT_WAY_PATTERNS = 6 };
/* Kinds of SentencePiece's pieces, which GGUF uses for all tokens. */
enum { KIND_NORMAL = 1, KIND_UNKNOWN, KIND_CONTROL, KIND_USER, KIND_UNUSED, KIND_BYTE };

/* GPT-2's way of splitting, also that of the ByteLevel pre-tokenizer. */
#define TEXT_GPT2_PATTERN \
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* The mark that SentencePiece writes for a space: U+2581. */
#define TEXT_SPACE_MARK "\xe2\x96\x81"

/* ---- added tokens: those that are recognised in text before anything else ---- */

struct text_added {
    char *text; /* what is looked for */
    size_t size;
    char *given; /* its text in the file, owned; null: as above */
    uint32_t id;
    bool special;
    bool normalized;            /* looked for in normalized text, after the others */
    bool eats_left, eats_right; /* white space beside it belongs to it */
    bool whole_words;           /* not within a word */
};

/* The texts of added tokens as a tree of bytes. */
struct text_tree_node {
    uint8_t byte;
    uint32_t first, next; /* child and sibling; 0: none */
    uint32_t added;       /* index + 1 of the token that ends here; 0: none */
};

struct text_tree {
    struct text_tree_node *nodes; /* null: no tokens; the first one is the root */
    uint32_t count, capacity;
    uint32_t first[256]; /* children of the root by byte; 0: none */
};

/* Which of added tokens that overlap is taken. */
enum text_overlap {
    TEXT_LEFTMOST, /* the one that begins first, the longest of those: tokenizers */
    TEXT_LONGEST   /* the longest of all, the first of those: llama.cpp */
};

/* ---- steps: what is done to text between added tokens ---- */

enum text_step_kind {
    TEXT_STEP_NFC,
    TEXT_STEP_NFD,
    TEXT_STEP_NFKC,
    TEXT_STEP_NFKD,
    TEXT_STEP_LOWERCASE,
    TEXT_STEP_STRIP,   /* left, right */
    TEXT_STEP_REPLACE, /* pattern by text */
    TEXT_STEP_PREPEND, /* text before what is not empty */
    TEXT_STEP_PREFIX,  /* text before each piece that does not begin with it */
    TEXT_STEP_BYTES,   /* each byte by its character of byte-level BPE */
    TEXT_STEP_SPLIT    /* pattern, behavior, invert */
};

/* What becomes of the matches of a splitting pattern. */
enum text_behavior {
    TEXT_ISOLATED,
    TEXT_REMOVED,
    TEXT_CONTIGUOUS, /* neighbours of one kind are one piece */
    TEXT_WITH_PREVIOUS,
    TEXT_WITH_NEXT
};

struct text_step {
    enum text_step_kind kind;
    enum text_behavior behavior;
    bool invert;      /* what lies between matches is the match */
    bool left, right; /* STRIP */
    bool first;       /* PREFIX: only before the first piece of a text */
    struct text_pattern pattern;
    char *text; /* owned */
    size_t size;
};

struct text_steps {
    struct text_step list[TEXT_STEPS_MAX];
    uint32_t count;
};

/* A part of text, or an added token. */
struct text_piece {
    size_t start, size;
    uint32_t id;   /* BPE_NO_ID: text */
    size_t origin; /* bytes at its start that come of the first character of all text */
};

/* Text on its way through the steps, with the pieces it is cut into. */
struct text_work {
    struct rt_ctx *ctx; /* borrowed */
    char *bytes, *other;
    size_t size, capacity, other_size, other_capacity;
    struct text_piece *pieces, *other_pieces;
    size_t count, piece_capacity, other_count, other_piece_capacity;
};

/* ---- a tokenizer ---- */

/* Where a space is put before text (SentencePiece). */
enum text_prefix {
    TEXT_PREFIX_NONE,
    TEXT_PREFIX_FIRST,   /* at the start only */
    TEXT_PREFIX_SPECIAL, /* and after every special token */
    TEXT_PREFIX_EVERY    /* and after every added token */
};

struct text_tokenizer {
    struct rt_ctx *ctx; /* borrowed */
    const char *path;   /* borrowed, while loading */
    struct bpe bpe;
    struct text_steps normalizers, splitters;
    struct text_added *added;
    uint32_t added_count, added_capacity;
    struct text_tree raw, normal; /* of the added tokens, by `normalized` */
    enum text_overlap overlap;
    struct text_pattern word; /* a character of words; only with whole_words */
    bool byte_level;          /* keys are in the alphabet of byte-level BPE */
    uint32_t bos;             /* BPE_NO_ID: none */
    /* Decoding: how many spaces are taken from the start of a text; or all that the first
     * token is made of. */
    uint32_t strip;
    bool strip_token;
    /* SentencePiece */
    bool marks_are_spaces; /* U+2581 in text means a space too */
    enum text_prefix prefix;
    bool prefix_stands_alone; /* it is there before an added token too */
    uint32_t piece_count; /* tokens from here on are none of tokenizer.model; 0: none */
    bool one_space;       /* runs are one space, those at the ends nothing */
};

/* ---- what loaders share; RT_ERR_INPUT names t->path ---- */
/* Adds the token to the list; it must be in the vocabulary, where it is marked. */
RT_CHECKED rt_status text_add_added(struct text_tokenizer *t, const char *text,
                                    size_t size, uint32_t id, bool special);
/* The added token by its text in the file, null: there is none. */
const struct text_added *text_find_added(const struct text_tokenizer *t, const char *text,
                                         size_t size);
/* Builds both trees when all are there. Of equal texts the first counts. */
RT_CHECKED rt_status text_plant_added(struct text_tokenizer *t);
/* Adds a token of SentencePiece: its marks become spaces. */
RT_CHECKED rt_status text_add_piece(struct text_tokenizer *t, const char *text,
                                    size_t size, uint32_t id, bool hidden);
/* The byte of "<0x0A>", -1: it is no such token. */
int text_byte_of(const char *text, size_t size);
/* Adds such a token: found by its byte only. */
RT_CHECKED rt_status text_add_byte(struct text_tokenizer *t, int byte, uint32_t id);
/* Marks to spaces; returns the new size, which is not larger. out may be text. */
size_t text_unmark(const char *text, size_t size, char *out);
/* A new step at the end of the list, zeroed but for its kind; null and a message: there
 * are too many. */
struct text_step *text_step_new(struct text_tokenizer *t, struct text_steps *steps,
                                enum text_step_kind kind);
/* Adds a step that isolates the matches of a pattern (tokenizer_pattern.h). */
RT_CHECKED rt_status text_add_split(struct text_tokenizer *t, const char *pattern,
                                    enum text_dialect dialect);
void text_steps_deinit(struct text_steps *steps);

/* ---- running steps; RT_ERR_INPUT: a pattern fails; RT_ERR_HOST_MEMORY ---- */
void text_work_deinit(struct text_work *w);
/* Makes the text the only piece. */
RT_CHECKED rt_status text_work_set(struct text_work *w, const char *text, size_t size,
                                   bool first);
/* Adds a piece to those of the step that runs, unless it is empty text; then makes them
 * the pieces. */
RT_CHECKED rt_status text_work_put(struct text_work *w, struct text_piece piece);
void text_work_turn_pieces(struct text_work *w);
/* Runs the steps on every piece that is text. What becomes empty is dropped. */
RT_CHECKED rt_status text_work_run(struct text_work *w, struct text_steps *steps);
/* Cuts added tokens out of the pieces: those of the tree, special ones only with
 * `special`. */
RT_CHECKED rt_status text_work_cut(struct text_work *w, struct text_tokenizer *t,
                                   const struct text_tree *tree, bool special);
/* Length of the white space that starts here (White_Space of Unicode), 0: none. */
size_t text_white_at(const char *text, size_t left);
/* Where the white space begins that ends at `end`, not before `from`. */
size_t text_white_before(const char *text, size_t from, size_t end);
/* NFC, NFD, NFKC, NFKD and lower case of a text in fresh memory (rt_free), as the
 * tokenizers package has them. RT_ERR_HOST_MEMORY. */
RT_CHECKED rt_status text_normalized(struct rt_ctx *ctx, enum text_step_kind kind,
                                     const char *text, size_t size, char **out,
                                     size_t *out_size);

/* ---- the loaders ---- */
RT_CHECKED rt_status text_load_json(struct text_tokenizer *t, const json_t *root);
/* Changes root, a tokenizer.json, by the tokenizer_config.json beside it; model (may be
 * null): config.json. RT_ERR_INPUT: a token of it is not valid; RT_ERR_HOST_MEMORY. */
RT_CHECKED rt_status text_config_apply(struct text_tokenizer *t, json_t *root,
                                       const json_t *config, const json_t *model);
/* The normalizer, pre_tokenizer and decoder of a tokenizer.json. */
RT_CHECKED rt_status text_load_normalizer(struct text_tokenizer *t, const json_t *step);
RT_CHECKED rt_status text_load_splitter(struct text_tokenizer *t, const json_t *step);
/* folder/tokenizer.model; config (may be null): tokenizer_config.json. */
RT_CHECKED rt_status text_load_sentencepiece(struct text_tokenizer *t,
                                             const uint8_t *data, size_t size,
                                             const json_t *config);
/* Tokens that other files of the folder add to it. */
RT_CHECKED rt_status text_load_extra(struct text_tokenizer *t, const char *folder,
                                     const json_t *config);
RT_CHECKED rt_status text_load_gguf(struct text_tokenizer *t, const struct fmt_gguf *f);

/* ---- ways of splitting that a GGUF file names (tokenizer.ggml.pre) ---- */
struct text_way {
    const char *name;
    const char *patterns[TEXT_WAY_PATTERNS]; /* one after the other */
    bool ignore_merges, bos;
};
/* By any of its names; NULL if not known. */
const struct text_way *text_way_find(const char *name);
/* Every name by its place; NULL behind the last. */
const char *text_way_name(size_t i);
/* The name of the first way that splits text as this byte-level tokenizer does, by what both
 * make of a text; NULL: there is none. */
RT_CHECKED rt_status text_way_like(struct text_tokenizer *t, const char **name);
/* Every piece of a tokenizer.model in order, as it is in the file; `text` has no zero at its
 * end and lives as long as `data`. */
RT_CHECKED rt_status text_sentencepiece_walk(
    struct rt_ctx *ctx, const char *path, const uint8_t *data, size_t size,
    rt_status (*piece)(void *user, uint32_t id, const char *text, size_t size,
                       int32_t kind, float score),
    void *user);
/* tokenizer.model of SentencePiece in fresh memory (rt_free) from the keys of a file. */
RT_CHECKED rt_status text_sentencepiece_make(struct rt_ctx *ctx, const struct fmt_gguf *f,
                                             uint8_t **out, size_t *size);

#endif

/* runtime/text/bpe.h
 * Private to runtime/text: a vocabulary and how pieces of it are merged. A token has two
 * texts: the key, by which words are encoded, and the bytes that it decodes to. In a
 * tokenizer.json and a GGUF file of byte-level BPE the key is the text of the file. In
 * SentencePiece both are the same, and the mark U+2581 is held as the space it means.
 *
 * A word starts as its characters. Again and again the neighbours that go first are
 * joined, the leftmost of equals; which go first is said by a table of pairs, or by a
 * rank of the token they make. */
#ifndef RUNTIME_TEXT_BPE_H
#define RUNTIME_TEXT_BPE_H

#include "runtime/base/rt.h"

enum { BPE_ID_MAX = 1 << 21 };
#define BPE_NO_ID UINT32_MAX
#define BPE_NO_RANK UINT32_MAX

struct bpe_token {
    uint8_t *bytes; /* what it decodes to; null: no such id */
    uint8_t *key;   /* borrowed from bytes where both are equal */
    uint32_t size, key_size;
    uint32_t rank; /* by_rank: low goes first; BPE_NO_RANK: never made by joining */
    bool special;
};

struct bpe_merge {
    uint32_t left, right; /* ids; left BPE_NO_ID: empty place */
    uint32_t rank, id;    /* of the result */
};

struct bpe {
    struct bpe_token *tokens; /* by id */
    uint32_t id_count, id_capacity;
    uint32_t *by_text; /* hash table of ids + 1, power of two */
    uint32_t text_places;
    struct bpe_merge *merges; /* hash table, power of two; null with by_rank */
    uint32_t merge_places;
    bool by_rank;          /* joined by the rank of the token that results */
    bool unknown_first;    /* what has no token is replaced before merging, not after */
    bool one_unknown;      /* unknown_first: a run of unknown characters is one token */
    bool last_pair_counts; /* of equal pairs; else the first */
    uint32_t byte_id[256]; /* the token that falls back to a byte; BPE_NO_ID: none */
    uint32_t unknown;      /* stands for what has no token; BPE_NO_ID: it is left out */
    bool unknown_missing;  /* the file names an unknown token that it lacks */
    bool ignore_merges;    /* a whole word that is a token is taken as it is */
};

/* An empty vocabulary; `expected` tokens are known to come. */
RT_CHECKED rt_status bpe_init(struct bpe *b, struct rt_ctx *ctx, size_t expected);
void bpe_deinit(struct bpe *b);
/* Adds a token whose key and text are these bytes; an id that is there keeps both. Of
 * tokens with equal keys bpe_find gives the first; one that is `hidden` it never gives. */
RT_CHECKED rt_status bpe_add(struct bpe *b, struct rt_ctx *ctx, const char *bytes,
                             size_t size, uint32_t id, bool hidden);
/* Gives a token that is there another text, which it decodes to. */
RT_CHECKED rt_status bpe_show(struct bpe *b, struct rt_ctx *ctx, uint32_t id,
                              const char *bytes, size_t size);
/* By key; BPE_NO_ID: none. */
uint32_t bpe_find(const struct bpe *b, const char *key, size_t size);
/* The token whose key is those of two others, one after the other. */
uint32_t bpe_find_joined(const struct bpe *b, uint32_t left, uint32_t right);
const uint8_t *bpe_text(const struct bpe *b, uint32_t id, size_t *size);
/* Room for `count` pairs, then each of them in the order they go. */
RT_CHECKED rt_status bpe_merges_init(struct bpe *b, struct rt_ctx *ctx, size_t count);
void bpe_merge_add(struct bpe *b, uint32_t left, uint32_t right, uint32_t rank,
                   uint32_t id);
/* Ranks from scores by id, the highest first; equal scores have equal ranks. Tokens of
 * which `never` is true have none. */
RT_CHECKED rt_status bpe_rank(struct bpe *b, struct rt_ctx *ctx, const float *scores,
                              const bool *never, uint32_t count);
/* Appends the ids of one word (at most `size`) to out; *count grows. RT_ERR_INPUT: the
 * word is too long, or it needs an unknown token that is missing. */
RT_CHECKED rt_status bpe_encode(const struct bpe *b, struct rt_ctx *ctx,
                                const uint8_t *word, size_t size, uint32_t *out,
                                uint32_t *count);

#endif

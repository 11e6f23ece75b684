/* runtime/text/bpe.h
 * Private to runtime/text: a vocabulary and how pieces of it are merged. Token texts are
 * held as the bytes they stand for; the mark U+2581 of SentencePiece is held as the space
 * it means.
 *
 * A word starts as its bytes (byte-level BPE) or its characters (SentencePiece BPE).
 * Again and again the neighbours that go first are joined, the leftmost of equals; which
 * go first is said by a table of pairs, or by a rank of the token they make. */
#ifndef RUNTIME_TEXT_BPE_H
#define RUNTIME_TEXT_BPE_H

#include "runtime/base/rt.h"

enum { BPE_ID_MAX = 1 << 21 };
#define BPE_NO_ID UINT32_MAX
#define BPE_NO_RANK UINT32_MAX

struct bpe_token {
    uint8_t *bytes; /* null: no such id */
    uint32_t size;
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
    bool characters;       /* words start as characters, else as bytes */
    bool by_rank;          /* joined by the rank of the token that results */
    uint32_t byte_id[256]; /* of each byte, or of the token that falls back to it */
    uint32_t unknown;      /* stands for what has no token; BPE_NO_ID: it is left out */
    bool ignore_merges;    /* a whole word that is a token is taken as it is */
};

/* An empty vocabulary; `expected` tokens are known to come. */
RT_CHECKED rt_status bpe_init(struct bpe *b, struct rt_ctx *ctx, size_t expected);
void bpe_deinit(struct bpe *b);
/* Adds a token whose text is these bytes; an id that is there keeps its text. Of tokens
 * with equal texts bpe_find gives the first; one that is `hidden` it never gives. */
RT_CHECKED rt_status bpe_add(struct bpe *b, struct rt_ctx *ctx, const char *bytes,
                             size_t size, uint32_t id, bool hidden);
uint32_t bpe_find(const struct bpe *b, const char *bytes,
                  size_t size); /* BPE_NO_ID: none */
/* The token whose text is those of two others, one after the other. */
uint32_t bpe_find_joined(const struct bpe *b, uint32_t left, uint32_t right);
const uint8_t *bpe_text(const struct bpe *b, uint32_t id, size_t *size);
/* Makes byte_id point at the tokens whose text is one byte. */
void bpe_find_bytes(struct bpe *b);
/* Room for `count` pairs, then each of them in the order they go. The first of two equal
 * pairs counts. */
RT_CHECKED rt_status bpe_merges_init(struct bpe *b, struct rt_ctx *ctx, size_t count);
void bpe_merge_add(struct bpe *b, uint32_t left, uint32_t right, uint32_t rank,
                   uint32_t id);
/* Ranks from scores by id, the highest first; equal scores have equal ranks. Tokens of
 * which `never` is true have none. */
RT_CHECKED rt_status bpe_rank(struct bpe *b, struct rt_ctx *ctx, const float *scores,
                              const bool *never, uint32_t count);
/* Appends the ids of one word (at most `size`) to out; *count grows. */
RT_CHECKED rt_status bpe_encode(const struct bpe *b, struct rt_ctx *ctx,
                                const uint8_t *word, size_t size, uint32_t *out,
                                uint32_t *count);

#endif

/* runtime/text/bpe.h
 * Private to runtime/text: vocabulary and merges of a byte-level BPE. Token texts are
 * held as the bytes they stand for. */
#ifndef RUNTIME_TEXT_BPE_H
#define RUNTIME_TEXT_BPE_H

#include <jansson.h>

#include "runtime/rt.h"

enum { BPE_ID_MAX = 1 << 21 };

struct bpe_token {
    uint8_t *bytes; /* null: no such id */
    uint32_t size;
};

struct bpe_merge {
    uint32_t left, right; /* ids; left UINT32_MAX: empty place */
    uint32_t rank, id;    /* of the result */
};

struct bpe {
    struct bpe_token *tokens; /* by id */
    uint32_t id_count, id_capacity;
    uint32_t *by_text; /* hash table of ids + 1, power of two */
    uint32_t text_places;
    struct bpe_merge *merges; /* hash table, power of two */
    uint32_t merge_places;
    uint32_t byte_id[256];
    bool ignore_merges; /* a whole word that is a token is taken as it is */
};

/* Reads "model" of tokenizer.json. */
RT_CHECKED rt_status bpe_load(struct bpe *b, struct rt_ctx *ctx, const char *path,
                              const json_t *model);
void bpe_deinit(struct bpe *b);
/* Adds a token whose text is these bytes; an id that is there keeps its text. */
RT_CHECKED rt_status bpe_add(struct bpe *b, struct rt_ctx *ctx, const char *bytes,
                             size_t size, uint32_t id);
uint32_t bpe_find(const struct bpe *b, const char *bytes,
                  size_t size); /* UINT32_MAX: none */
const uint8_t *bpe_text(const struct bpe *b, uint32_t id, size_t *size);
/* Appends the ids of one word (at most `size`) to out; *count grows. */
RT_CHECKED rt_status bpe_encode(const struct bpe *b, struct rt_ctx *ctx,
                                const uint8_t *word, size_t size, uint32_t *out,
                                uint32_t *count);

#endif

/* tests/support/gguf_folder.h
 * A Hugging Face folder as a GGUF file: what works with one must work with the other. */
#ifndef TESTS_SUPPORT_GGUF_FOLDER_H
#define TESTS_SUPPORT_GGUF_FOLDER_H

#include <jansson.h>

#include "tests/support/gguf_bytes.h"

enum { TEST_TOKENS_MAX = 4096 };

/* The lists of a tokenizer.json (byte-level BPE) as a GGUF file has them. */
struct test_tokens {
    const char *tokens[TEST_TOKENS_MAX], *merges[TEST_TOKENS_MAX]; /* borrowed */
    int32_t kinds[TEST_TOKENS_MAX];
    char *owned[TEST_TOKENS_MAX]; /* merges joined here */
    size_t token_count, merge_count, owned_count;
};

void test_tokens_read(const json_t *root, struct test_tokens *t);
void test_tokens_free(struct test_tokens *t);
enum { TEST_TOKENS_KEYS = 5 };
/* TEST_TOKENS_KEYS keys: model, pre, tokens, token_type, merges. */
void test_tokens_put(struct test_gguf *g, const struct test_tokens *t, const char *pre);

/* Writes a folder of the source tree, or one of an absolute path (qwen2, floats, one safetensors file, byte-level
 * tokenizer that is split as `pre`) as `parts` files, with the chat template of
 * tokenizer_config.json; path[512] gets the first one's. */
void test_gguf_of_folder(const char *relative, const char *pre, uint32_t parts,
                         const char *stem, char *path);

#endif

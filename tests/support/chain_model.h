/* tests/support/chain_model.h
 * A model whose next token is a function of the last one alone, by a list of links: what it
 * answers, and what it would go on with behind the end of an answer, is known. */
#ifndef TESTS_SUPPORT_CHAIN_MODEL_H
#define TESTS_SUPPORT_CHAIN_MODEL_H

#include "tests/support/files.h"

struct test_link {
    const char *from, *to; /* texts of tokens, as the tokenizer's vocabulary has them */
};

/* Writes config.json, tokenizer.json (that of tests/golden/chat), tokenizer_config.json
 * (`tokenizer_config`) and model.safetensors: family qwen2, f32, a context of 512.
 * `eos` is JSON of eos_token_id. A token without a link follows itself. */
void test_chain_model(const struct test_folder *folder, const struct test_link *links,
                      size_t count, const char *eos, const char *tokenizer_config);

#endif

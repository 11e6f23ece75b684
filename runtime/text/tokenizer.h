/* runtime/text/tokenizer.h
 * Byte-level BPE from a Hugging Face tokenizer.json: optional NFC, a splitting pattern
 * from the file (or GPT-2's own), byte pairs merged by rank, added and special tokens.
 * Text that is not UTF-8 is taken as if each bad sequence were U+FFFD (the WHATWG rule). */
#ifndef RUNTIME_TEXT_TOKENIZER_H
#define RUNTIME_TEXT_TOKENIZER_H

#include "runtime/rt.h"

struct text_tokenizer;

/* Loads folder/tokenizer.json. RT_ERR_INPUT names file and reason: not BPE, missing
 * merges, a merge of unknown tokens, a pattern that does not compile. */
RT_CHECKED rt_status text_tokenizer_load(struct rt_ctx *ctx, const char *folder,
                                         struct text_tokenizer **out);
void text_tokenizer_destroy(struct text_tokenizer **tok);
/* Largest id + 1. */
uint32_t text_vocab_size(const struct text_tokenizer *tok);
/* Id of a token by its text ("<|sep|>"), UINT32_MAX: there is none. */
uint32_t text_token_id(const struct text_tokenizer *tok, const char *text);

/* Encodes `size` bytes into a fresh array (rt_free). Added tokens in the text are
 * recognised; those marked special only with `special`, else they are ordinary text. */
RT_CHECKED rt_status text_encode(struct text_tokenizer *tok, const char *text,
                                 size_t size, bool special, uint32_t **ids,
                                 uint32_t *count);
/* Decodes into fresh memory (rt_free), zero-terminated; *size without the zero. Special
 * tokens are left out where skip_special. Bytes are given as they are: an id sequence
 * that ends inside a character gives half of it. Unknown ids give nothing. */
RT_CHECKED rt_status text_decode(const struct text_tokenizer *tok, const uint32_t *ids,
                                 uint32_t count, bool skip_special, char **text,
                                 size_t *size);
/* How many of `size` bytes may be shown now: all but an unfinished character at the end. */
size_t text_whole_characters(const char *text, size_t size);

#endif

/* runtime/text/tokenizer.h
 * Text to ids and back, as the model's own tokenizer does it.
 *   tokenizer.json    BPE of the Hugging Face library: the ids of tokenizers 0.23, step by
 *                     step (docs/formats.md says which steps)
 *   tokenizer.model   SentencePiece BPE: scores, byte fallback, prefix space,
 *                     user-defined pieces; and tokens that other files of the folder add
 *   a GGUF file       both kinds, from its keys: the ids of llama.cpp, which brings no
 *                     text to NFC, unlike the model's own tokenizer.json
 * Text that is not UTF-8 is taken as if each bad sequence were U+FFFD (the WHATWG rule).
 */
#ifndef RUNTIME_TEXT_TOKENIZER_H
#define RUNTIME_TEXT_TOKENIZER_H

#include "runtime/base/rt.h"

struct text_tokenizer;
struct fmt_gguf;
struct fmt_gguf_out;
struct fmt_config;

/* Loads the tokenizer of a model folder (tokenizer.json, else tokenizer.model) or of a
 * GGUF file. RT_ERR_INPUT names file and reason: not BPE, missing merges, a merge of
 * unknown tokens, a step or a construct of a pattern that is not supported. */
RT_CHECKED rt_status text_tokenizer_load(struct rt_ctx *ctx, const char *path,
                                         struct text_tokenizer **out);
/* Writes the tokenizer of a GGUF file into a folder as others read it: tokenizer.json of
 * byte-level BPE, tokenizer.model of SentencePiece BPE, and tokenizer_config.json with
 * the chat template. Loaded again it gives the same ids; of SentencePiece save for user
 * tokens inside a text, where that library puts spaces its own way. */
RT_CHECKED rt_status text_gguf_export(struct rt_ctx *ctx, const struct fmt_gguf *file,
                                      const char *folder);
/* The other way: the tokenizer and chat template of a folder as keys of a GGUF file (of a
 * folder without one: nothing, with a warning). RT_ERR_INPUT: text is split in a way that
 * such a file has no name for, or a token has an id that the model lacks. */
RT_CHECKED rt_status text_gguf_put(struct rt_ctx *ctx, const char *folder,
                                   const struct fmt_config *config,
                                   struct fmt_gguf_out *out);
void text_tokenizer_destroy(struct text_tokenizer **tok);
/* Largest id + 1. */
uint32_t text_vocab_size(const struct text_tokenizer *tok);
/* Id of a token by its text ("<|sep|>"), UINT32_MAX: there is none. */
uint32_t text_token_id(const struct text_tokenizer *tok, const char *text);
/* The token that the model expects before every text (Llama), UINT32_MAX: none. Encoding
 * does not add it. */
uint32_t text_bos_id(const struct text_tokenizer *tok);

/* Where two tokenizers first give a text other ids. */
enum { TEXT_DIFFERENCE = 64 };
struct text_difference {
    const char *what; /* "id", "merge", ...: what differs; NULL: nothing does */
    uint32_t at;      /* the id, or the place in the order of merges */
    char of_a[TEXT_DIFFERENCE],
        of_b[TEXT_DIFFERENCE]; /* what both have there; "": none */
};
/* Compares the bytes of every id that both have, the tokens that start a text, and the
 * merges in their order. If the same library reads both (two folders, or two GGUF files),
 * also what both make of a text of many kinds, and an id that one of them lacks below the
 * last of the other is a difference. Ids behind the last of one are none: files are padded,
 * and tokens are added at the end. A folder and a GGUF file of one model are equal. */
RT_CHECKED rt_status text_tokenizer_compare(struct text_tokenizer *a,
                                            struct text_tokenizer *b,
                                            struct text_difference *out);

/* Encodes `size` bytes into a fresh array (rt_free). Added tokens in the text are
 * recognised; those marked special only with `special`, else they are ordinary text. */
RT_CHECKED rt_status text_encode(struct text_tokenizer *tok, const char *text,
                                 size_t size, bool special, uint32_t **ids,
                                 uint32_t *count);
/* text_encode of a text that a model is to read from its start: with text_bos_id before
 * it where there is one and the text does not begin with it. Not for a chat format, which
 * writes its own start. */
RT_CHECKED rt_status text_encode_prompt(struct text_tokenizer *tok, const char *text,
                                        size_t size, bool special, uint32_t **ids,
                                        uint32_t *count);
/* Decodes into fresh memory (rt_free), zero-terminated; *size without the zero. Special
 * tokens are left out where skip_special. Bytes are given as they are: an id sequence
 * that ends inside a character gives half of it. Unknown ids give nothing. */
RT_CHECKED rt_status text_decode(const struct text_tokenizer *tok, const uint32_t *ids,
                                 uint32_t count, bool skip_special, char **text,
                                 size_t *size);
/* The bytes that an id adds within a text, borrowed, not terminated: none for special
 * tokens and unknown ids. */
const char *text_token_bytes(const struct text_tokenizer *tok, uint32_t id, size_t *size);
/* Id of the first added token in a text, other than white space: *at is where it begins,
 * *size its bytes. UINT32_MAX: there is none, *at is the end. */
uint32_t text_mark_find(const struct text_tokenizer *tok, const char *text, size_t *at,
                        size_t *size);
/* How many of `size` bytes may be shown now: all but an unfinished character at the end. */
size_t text_whole_characters(const char *text, size_t size);

/* Decoding as ids come: what is given out is always valid UTF-8, never part of a
 * character. All of it together is text_decode's bytes with bad sequences as U+FFFD. */
struct text_stream {
    const struct text_tokenizer *tok; /* borrowed */
    bool skip_special;
    bool begun;          /* something was given out or is held back */
    char pending[4];     /* the start of a character */
    size_t pending_size; /* at most 3 */
};

void text_stream_init(struct text_stream *stream, const struct text_tokenizer *tok,
                      bool skip_special);
/* Text that is complete with these ids, in fresh memory (rt_free), zero-terminated; often
 * empty. */
RT_CHECKED rt_status text_stream_push(struct text_stream *stream, const uint32_t *ids,
                                      uint32_t count, char **text, size_t *size);
/* What is held back when no more ids come: empty or U+FFFD. The stream starts anew. */
RT_CHECKED rt_status text_stream_end(struct text_stream *stream, char **text,
                                     size_t *size);

#endif

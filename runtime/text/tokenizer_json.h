/* runtime/text/tokenizer_json.h
 * Private to runtime/text: what the readers of the parts of a tokenizer.json share. */
#ifndef RUNTIME_TEXT_TOKENIZER_JSON_H
#define RUNTIME_TEXT_TOKENIZER_JSON_H

#include "runtime/text/byte_level.h"
#include "runtime/text/tokenizer_impl.h"

/* Punctuation of the unicode_categories crate (tokenizer_json.c). */
extern const char text_punctuation_pattern[];
#define TEXT_PUNCTUATION_PATTERN text_punctuation_pattern

/* A file that is being read, and what its decoder does to each token. */
struct text_json {
    struct text_tokenizer *t; /* borrowed */
    struct byte_level level;
    bool from_bytes;    /* keys are in the alphabet of byte-level BPE */
    bool byte_tokens;   /* <0x0A> is a byte */
    bool fused;         /* tokens are one text for what follows */
    uint32_t other_ids; /* added tokens whose id in the file does not count */
    const json_t *from; /* every such text becomes the next; null: none */
    const json_t *to;   /* null: a space */
};

/* RT_ERR_INPUT: "... is not supported". */
RT_CHECKED rt_status text_json_refuse(struct text_tokenizer *t, const char *what,
                                      const char *which);
bool text_json_is(const json_t *value, const char *text);
/* The decoder (may be null). */
RT_CHECKED rt_status text_load_decoder(struct text_json *j, const json_t *object);
/* Gives a token the text that the decoder makes of its key. */
RT_CHECKED rt_status text_show(struct text_json *j, uint32_t id, const char *key,
                               size_t size);

#endif

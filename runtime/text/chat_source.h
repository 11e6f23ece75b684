/* runtime/text/chat_source.h
 * Private to runtime/text: the chat template of a model and its special tokens, as the files
 * of a folder or the keys of a GGUF file have them. */
#ifndef RUNTIME_TEXT_CHAT_SOURCE_H
#define RUNTIME_TEXT_CHAT_SOURCE_H

#include "runtime/base/rt.h"

#include <jansson.h>

struct chat_source {
    char *path;     /* of the file that has the template; owned */
    char *text;     /* the template, owned; NULL: the model has none */
    size_t size;    /* bytes of it */
    json_t *tokens; /* owned: "bos_token" to "<s>" and so on, those that there are */
};

/* Reads what transformers reads: chat_template.jinja before tokenizer_config.json, of
 * several templates the one named "default"; the special tokens of tokenizer_config.json,
 * of special_tokens_map.json where the former is of the older kind, and what the class of
 * the tokenizer has without them. RT_ERR_INPUT: templates without a default, or something
 * that is no template. */
RT_CHECKED rt_status text_chat_source_read(struct rt_ctx *ctx, const char *model,
                                           struct chat_source *out);
void text_chat_source_deinit(struct chat_source *source);

#endif

/* runtime/text/chat.h
 * Chats: how messages become the text that a model was trained on. The model's own chat
 * template is rendered as transformers renders it (jinja.h); a row of a table stands in
 * for models without one, or where it is named. What the template writes right after an
 * answer ends an answer, whatever the config calls the end of a text. docs/chat.md.
 *
 * The start token is part of the text, where the template writes one: encode it with
 * `special` and add none. */
#ifndef RUNTIME_TEXT_CHAT_H
#define RUNTIME_TEXT_CHAT_H

#include "runtime/text/tokenizer.h"

struct text_chat; /* how the chats of one model are written */

enum {
    CHAT_END_IDS_MAX = 2,
    CHAT_END_TEXT_MAX = 32 /* bytes */
};

enum text_chat_thinking {
    CHAT_THINKING_USUAL, /* enable_thinking is not defined */
    CHAT_THINKING_OFF,
    CHAT_THINKING_ON
};

struct text_chat_options {
    const char *model;  /* folder or GGUF file */
    const char *format; /* name of a row; NULL: the model's own template */
    const char *date;   /* YYYY-MM-DD, what strftime_now sees; NULL: the template's own
                           fallback, where it has none 2024-07-26 */
    enum text_chat_thinking thinking;
};

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };

struct chat_message {
    enum chat_role role;
    const char *content; /* what is not UTF-8 becomes U+FFFD */
};

/* Reads the template and tries it: RT_ERR_INPUT names what it has that cannot be
 * evaluated, with its line; that there is none, with the names of the rows; or that it
 * leaves the user's text out. RT_ERR_USAGE: no such row or date. An option that changes
 * nothing is warned of. */
RT_CHECKED rt_status text_chat_create(struct rt_ctx *ctx,
                                      const struct text_chat_options *options,
                                      struct text_chat **out);
void text_chat_destroy(struct text_chat **chat); /* accepts one that is null */

/* The prompt in fresh memory (rt_free): at most one system message, first; then user and
 * assistant in turn, a user last. A template that refuses a system message, or leaves it
 * out, gets its text before that of the first user, with an empty line between; that is
 * said once. RT_ERR_USAGE: another order. RT_ERR_INPUT: the template cannot render them. */
RT_CHECKED rt_status text_chat_render(struct text_chat *chat,
                                      const struct chat_message *messages, uint32_t count,
                                      char **out);

/* What ends an answer: what is written after one, as a tokenizer reads it. */
struct text_chat_end {
    uint32_t ids[CHAT_END_IDS_MAX], count; /* the first is the usual one */
    char text[CHAT_END_TEXT_MAX + 1];      /* that an answer shows and must be cut at, as
                          its mark is no special token of the tokenizer; "": none */
};
void text_chat_end(const struct text_chat *chat, const struct text_tokenizer *tok,
                   struct text_chat_end *out);
/* Warns where a mark of the chat, as <|im_start|>, is no single token for the tokenizer:
 * the model then reads letters where it expects the mark. */
RT_CHECKED rt_status text_chat_check(const struct text_chat *chat,
                                     struct text_tokenizer *tok);
/* SHA-256 of all that shapes the text beside the messages: template, the special tokens
 * that it reads, thinking, date; 64 hex digits. */
const char *text_chat_hash(const struct text_chat *chat);

#endif

/* runtime/text/chat.h
 * Chat formats as rows of one table: how messages become the text a model was trained on.
 * A row is picked from the model's own template by texts that this has and lacks, or by
 * name. A template that fits no row is an error: a format that is nearly right gives
 * answers that are nearly right. The start token of a row is part of its text, so encode
 * with `special` and add none. */
#ifndef RUNTIME_TEXT_CHAT_H
#define RUNTIME_TEXT_CHAT_H

#include "runtime/text/tokenizer.h"

enum { CHAT_MARKS_MAX = 4 };

struct chat_format {
    const char *name, *summary;
    const char *has[CHAT_MARKS_MAX], *lacks[CHAT_MARKS_MAX]; /* of a template */
    const char *start;                                       /* of the whole text */
    const char *system_before, *system_after; /* null: the format has no system text */
    const char *system_default;               /* null: none */
    bool system_in_user; /* it stands inside the first user turn, before its text */
    const char *user_before, *user_after;
    const char *answer_before, *answer_after; /* of answers given before */
    const char *answer_start; /* at the end: the model continues from here */
    const char *thinking_off; /* after answer_start if thinking is off, NULL: no switch */
    bool trimmed;             /* white space around every content is cut */
};

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };

struct chat_message {
    enum chat_role role;
    const char *content;
};

const struct chat_format *text_chat_find(const char *name); /* null: there is none */
/* Row i, null beyond the last: for lists in messages and help. */
const struct chat_format *text_chat_at(uint32_t i);
/* The row of a template. RT_ERR_INPUT names `path` and the choices. */
RT_CHECKED rt_status text_chat_detect(struct rt_ctx *ctx, const char *path,
                                      const char *template_text,
                                      const struct chat_format **out);
/* The row of a model folder (chat_template.jinja, else tokenizer_config.json) or GGUF
 * file; `name` (may be null) overrides. RT_ERR_USAGE: no such name. */
RT_CHECKED rt_status text_chat_pick(struct rt_ctx *ctx, const char *model,
                                    const char *name, const struct chat_format **out);
/* Warns where a mark of the format, as <|im_start|>, is no single token for the
 * tokenizer: the model then reads letters where it expects the mark. */
RT_CHECKED rt_status text_chat_check(struct rt_ctx *ctx, const char *model,
                                     const struct chat_format *format,
                                     struct text_tokenizer *tok);
/* The prompt in fresh memory (rt_free): at most one system message, first; then user and
 * assistant in turn, a user last. Without a system message the row's default is used.
 * RT_ERR_USAGE: another order, or a system text that the format has no place for. */
RT_CHECKED rt_status text_chat_render(struct rt_ctx *ctx,
                                      const struct chat_format *format,
                                      const struct chat_message *messages, uint32_t count,
                                      bool thinking, char **out);

#endif

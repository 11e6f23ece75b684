/* runtime/text/chat_rows.h
 * Private to runtime/text: the table of chat formats, for models without a template and for
 * --chat-format NAME. */
#ifndef RUNTIME_TEXT_CHAT_ROWS_H
#define RUNTIME_TEXT_CHAT_ROWS_H

#include "runtime/text/chat.h"

enum { CHAT_CHOICES_MAX = 160 };

struct chat_format {
    const char *name, *summary;
    const char *start;                        /* of the whole text */
    const char *system_before, *system_after; /* null: the format has no system text */
    const char *system_default;               /* null: none */
    bool system_in_user; /* it stands inside the first user turn, before its text */
    const char *user_before, *user_after;
    const char *answer_before, *answer_after; /* of answers given before */
    const char *answer_start; /* at the end: the model continues from here */
    const char *thinking_off; /* after answer_start if thinking is off, NULL: no switch */
    bool trimmed;             /* white space around every content is cut */
};

const struct chat_format *text_chat_row_find(const char *name); /* null: there is none */
/* The names of all rows, for messages; returns `buffer`. */
const char *text_chat_choices(char buffer[CHAT_CHOICES_MAX]);
/* The text of messages whose order was checked: `count` turns after the system text (null:
 * the row's default). Null: no memory. */
char *text_chat_row_render(struct rt_ctx *ctx, const struct chat_format *row,
                           const char *system, const struct chat_message *turns,
                           uint32_t count, bool thinking);

#endif

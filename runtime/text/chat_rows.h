/* runtime/text/chat_rows.h
 * Private to runtime/text: the table of chat formats. */
#ifndef RUNTIME_TEXT_CHAT_ROWS_H
#define RUNTIME_TEXT_CHAT_ROWS_H

#include "runtime/text/chat.h"

enum { CHAT_CHOICES_MAX = 160 };

/* The names of all rows, for messages; returns `buffer`. */
const char *text_chat_choices(char buffer[CHAT_CHOICES_MAX]);

#endif

/* runtime/text/chat_date.h
 * Private to runtime/text: the date that chat templates ask for. It is an input, never the
 * clock, so that the same command gives the same prompt on another day. */
#ifndef RUNTIME_TEXT_CHAT_DATE_H
#define RUNTIME_TEXT_CHAT_DATE_H

#include "runtime/base/rt.h"

enum { CHAT_DATE_MAX = 16 };

/* "2024-07-26" as days since 1970-01-01 and as "26 Jul 2024", the form in which the
 * templates of Llama 3 write a date. False: it is no date. */
bool text_chat_date_read(const char *text, int64_t *days, char written[CHAT_DATE_MAX]);
/* Days of 2024-07-26, the date that those templates fall back to. It stands for today where
 * a template calls strftime_now, nobody gave a date, and it has no other way. */
int64_t text_chat_date_usual(void);

#endif

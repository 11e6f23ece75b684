/* store/report/html.h
 * A growing text with HTML escaping. The first failure sticks. */
#ifndef STORE_REPORT_HTML_H
#define STORE_REPORT_HTML_H

#include "runtime/rt.h"

struct html {
    struct rt_ctx *ctx; /* borrowed */
    char *text;
    size_t size, capacity;
    bool failed;
};

void html_init(struct html *h, struct rt_ctx *ctx);
void html_deinit(struct html *h);
/* As it is: markup of ours only. */
void html_raw(struct html *h, const char *fmt, ...) RT_PRINTF(2, 3);
/* Text of others, escaped for elements and quoted attributes. */
void html_text(struct html *h, const char *text);
void html_text_n(struct html *h, const char *text, size_t size);

#endif

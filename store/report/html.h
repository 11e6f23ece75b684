/* store/report/html.h
 * A growing text with HTML escaping. The first failure sticks. Text of others is also
 * cleaned: bytes that are not UTF-8, control characters and direction overrides (which
 * could make a page show what is not there) become U+FFFD. */
#ifndef STORE_REPORT_HTML_H
#define STORE_REPORT_HTML_H

#include "runtime/base/rt.h"

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
void html_raw_text(struct html *h, const char *text); /* the same, not a format */
/* Text of others, escaped for elements and quoted attributes. */
void html_text(struct html *h, const char *text);
void html_text_n(struct html *h, const char *text, size_t size);
/* Text of others as a part of an URL: all but letters, digits, - . _ as %XX. */
void html_url(struct html *h, const char *text);

/* ---- numbers as people write them ---- */

/* "+1.2" or U+2212 "1.2". */
void html_signed(struct html *h, double value, int decimals);
/* "p = 0.012", "p = 2.8 x 10^-16" (superscript), "p < 10^-99"; the value alone. */
void html_p(struct html *h, double p);
void html_p_value(struct html *h, double p);
/* "1.20", or "undefined" if it is not finite. */
void html_number(struct html *h, double value, int decimals);

/* A text in pieces that follow each other, null-terminated; written as it is. */
void html_pieces(struct html *h, const char *const *pieces);
/* "'sha256-...'" of such a text, for a Content-Security-Policy; `out` has 53 bytes. */
enum { HTML_CSP = 64 };
void html_csp_hash(const char *const *pieces, char out[HTML_CSP]);

#endif

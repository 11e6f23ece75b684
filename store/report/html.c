/* store/report/html.c
 * Appends escaped and cleaned text to a growing page. */
#include "store/report/html.h"

#include "runtime/base/sha256.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void html_init(struct html *h, struct rt_ctx *ctx)
{
    *h = (struct html){ .ctx = ctx };
}

void html_deinit(struct html *h)
{
    rt_free(h->text);
    *h = (struct html){ 0 };
}

static bool reserve(struct html *h, size_t more)
{
    if (h->failed)
        return false;
    if (h->size + more + 1 > h->capacity) {
        const size_t capacity = 2 * (h->size + more) + 65536;
        char *text = rt_resize(h->ctx, h->text, h->capacity, capacity, 1);
        if (!text) {
            h->failed = true;
            return false;
        }
        h->text = text;
        h->capacity = capacity;
    }
    return true;
}

static void append(struct html *h, const char *text, size_t size)
{
    if (!reserve(h, size))
        return;
    memcpy(h->text + h->size, text, size);
    h->size += size;
}

void html_raw(struct html *h, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n > 0 && reserve(h, (size_t)n + 1)) {
        vsnprintf(h->text + h->size, (size_t)n + 1, fmt, again);
        h->size += (size_t)n;
    }
    va_end(again);
}

void html_raw_text(struct html *h, const char *text)
{
    append(h, text, strlen(text));
}

/* Characters that must not reach a page as they are. */
static bool unwanted(utf8proc_int32_t c)
{
    return (c < 32 && c != '\n' && c != '\t') || (c >= 127 && c < 160) ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

void html_text_n(struct html *h, const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t c = -1;
        const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                    (utf8proc_ssize_t)(size - i), &c);
        if (n <= 0 || unwanted(c))
            html_raw_text(h, "\xef\xbf\xbd");
        else if (c == '<')
            html_raw_text(h, "&lt;");
        else if (c == '>')
            html_raw_text(h, "&gt;");
        else if (c == '&')
            html_raw_text(h, "&amp;");
        else if (c == '"')
            html_raw_text(h, "&quot;");
        else if (c == '\'')
            html_raw_text(h, "&#39;");
        else
            append(h, text + i, (size_t)n);
        i += n > 0 ? (size_t)n : 1;
    }
}

void html_text(struct html *h, const char *text)
{
    html_text_n(h, text, strlen(text));
}

void html_url(struct html *h, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (strchr("-._", c) || (c >= '0' && c <= '9') ||
            ((c | 32) >= 'a' && (c | 32) <= 'z'))
            append(h, text, 1);
        else
            html_raw(h, "%%%02X", c);
    }
}

void html_signed(struct html *h, double value, int decimals)
{
    char digits[48];
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(value));
    const bool zero = strspn(digits, "0.") == strlen(digits);
    html_raw(h, "%s%s", zero ? "" : value < 0 ? "\xe2\x88\x92" : "+", digits);
}

void html_p_value(struct html *h, double p)
{
    if (p >= 0.001) {
        html_raw(h, "%.3f", p);
    } else if (p < 1e-99) {
        html_raw_text(h, "&lt;\xc2\xa0"
                         "10<sup>\xe2\x88\x92"
                         "99</sup>");
    } else {
        char digits[32];
        snprintf(digits, sizeof digits, "%.1e", p); /* "2.8e-16" */
        html_raw(h,
                 "%.3s\xc2\xa0\xc3\x97\xc2\xa0"
                 "10<sup>\xe2\x88\x92%s</sup>",
                 digits, digits + 5 + strspn(digits + 5, "0"));
    }
}

void html_p(struct html *h, double p)
{
    html_raw(h, "p\xc2\xa0%s", p < 1e-99 ? "" : "=\xc2\xa0");
    html_p_value(h, p);
}

void html_number(struct html *h, double value, int decimals)
{
    if (isfinite(value))
        html_raw(h, "%s%.*f", value < 0 ? "\xe2\x88\x92" : "", decimals, fabs(value));
    else
        html_raw_text(h, "undefined");
}

void html_pieces(struct html *h, const char *const *pieces)
{
    for (; *pieces; pieces++)
        html_raw_text(h, *pieces);
}

void html_csp_hash(const char *const *pieces, char out[HTML_CSP])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct sha256 hash;
    uint8_t d[33] = { 0 };
    char code[45];
    sha256_init(&hash);
    for (; *pieces; pieces++)
        sha256_add(&hash, *pieces, strlen(*pieces));
    sha256_end(&hash, d);
    for (int i = 0; i < 11; i++) {
        const uint32_t v =
            (uint32_t)d[3 * i] << 16 | (uint32_t)d[3 * i + 1] << 8 | d[3 * i + 2];
        for (int k = 0; k < 4; k++)
            code[4 * i + k] = digits[v >> (18 - 6 * k) & 63];
    }
    code[43] = '='; /* 32 bytes leave one digit of padding */
    code[44] = '\0';
    snprintf(out, HTML_CSP, "'sha256-%s'", code);
}

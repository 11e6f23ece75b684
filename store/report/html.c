#include "store/report/html.h"

#include <stdio.h>
#include <string.h>

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

void html_text_n(struct html *h, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        switch (text[i]) {
        case '<':
            append(h, "&lt;", 4);
            break;
        case '>':
            append(h, "&gt;", 4);
            break;
        case '&':
            append(h, "&amp;", 5);
            break;
        case '"':
            append(h, "&quot;", 6);
            break;
        case '\'':
            append(h, "&#39;", 5);
            break;
        default:
            append(h, &text[i], 1);
        }
    }
}

void html_text(struct html *h, const char *text)
{
    html_text_n(h, text, strlen(text));
}

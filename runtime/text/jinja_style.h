/* runtime/text/jinja_style.h
 * Private to jinja_percent.c and jinja_format.c: how one value is written into a place. */
#ifndef RUNTIME_TEXT_JINJA_STYLE_H
#define RUNTIME_TEXT_JINJA_STYLE_H

#include "runtime/text/jinja_impl.h"

/* How one value is written. */
struct jinja_style {
    uint32_t fill; /* 0: a blank, or zeros for numbers with `zero` */
    char align;    /* < > ^ = or 0: what the value has */
    char sign;     /* + or blank or 0 */
    bool zero, alternate, comma;
    int64_t width, precision; /* -1: none */
    char type;
};

bool jinja_style_text(struct jinja_run *run, struct jinja_buffer *buffer,
                      const struct jinja_style *style, const struct jinja_text *text,
                      char align);
/* d, x, X, o, b; u and i are d. */
bool jinja_style_whole(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_style *style, int64_t v);
/* e, E, f, F, g, G and % */
bool jinja_style_float(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_style *style, double v);
/* Digits at *at, -1 if there are none; false: too many. */
bool jinja_style_number(const char *s, size_t size, size_t *at, int64_t *out);
bool jinja_style_is(const char *s, size_t size, size_t at, const char *letters);

#endif

/* runtime/text/jinja_lex.c
 * Templates as tokens: jinja2's rules for white space around tags, with trim_blocks and
 * lstrip_blocks, and its literals. */
#include "runtime/text/jinja_compile.h"

#include "runtime/base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool token_add(struct jinja_compiler *c, enum jinja_token_type type, uint32_t line,
                      struct jinja_value value, const char *op)
{
    if (c->token_count == c->token_room) {
        const size_t room = c->token_room ? 2 * c->token_room : 256;
        struct jinja_token *grown =
            rt_resize(c->ctx, c->tokens, c->token_room, room, sizeof *grown);
        if (!grown)
            return jinja_out_of_memory(c);
        c->tokens = grown;
        c->token_room = room;
    }
    struct jinja_token *token = &c->tokens[c->token_count++];
    *token = (struct jinja_token){ .type = type, .line = line, .value = value };
    if (op)
        memcpy(token->op, op, strlen(op) + 1);
    return true;
}

static bool text_add(struct jinja_compiler *c, enum jinja_token_type type, uint32_t line,
                     const char *data, size_t size)
{
    const struct jinja_text *text = jinja_copy_text(c, data, size);
    return text && token_add(c, type, line, jinja_of_text(text), NULL);
}

/* Moves on, counting lines. */
static void advance(struct jinja_compiler *c, size_t to)
{
    for (; c->at < to; c->at++)
        c->line += c->text[c->at] == '\n';
}

static bool looking_at(const struct jinja_compiler *c, size_t at, const char *words)
{
    const size_t n = strlen(words);
    return c->size - at >= n && memcmp(c->text + at, words, n) == 0;
}

static size_t skip_space(const struct jinja_compiler *c, size_t at)
{
    while (at < c->size) {
        size_t next = at;
        if (!jinja_is_space(jinja_decode(c->text, &next)))
            break;
        at = next;
    }
    return at;
}

/* The text before a tag: cut at its end where the tag says so, or where only blanks stand
 * between a line's start and a tag that is no expression. */
static size_t data_end(const struct jinja_compiler *c, size_t from, size_t to, char sign,
                       bool is_variable, bool line_starting)
{
    size_t end = to;
    if (sign == '+' || (sign != '-' && is_variable))
        return end;
    while (end > from) { /* back over white space */
        size_t start = end - 1;
        while (start > from && ((uint8_t)c->text[start] & 0xc0) == 0x80)
            start--;
        size_t next = start;
        if (!jinja_is_space(jinja_decode(c->text, &next)))
            break;
        if (sign != '-' && c->text[start] == '\n')
            return end;
        end = start;
    }
    if (sign == '-')
        return end;
    return end == from && line_starting ? end : to;
}

/* Where a tag's end stands at `at`: behind it, or 0. */
static size_t tag_end(const struct jinja_compiler *c, size_t at, const char *mark,
                      bool is_variable)
{
    const size_t n = strlen(mark);
    const char sign = at < c->size ? c->text[at] : 0;
    if (sign == '-' && looking_at(c, at + 1, mark))
        return skip_space(c, at + 1 + n);
    if (!is_variable && sign == '+' && looking_at(c, at + 1, mark))
        return at + 1 + n;
    if (!looking_at(c, at, mark))
        return 0;
    at += n;
    return !is_variable && at < c->size && c->text[at] == '\n' ? at + 1 : at;
}

static bool lex_comment(struct jinja_compiler *c, size_t at)
{
    for (; at < c->size; at++) {
        const size_t end = tag_end(c, at, "#}", false);
        if (end) {
            advance(c, end);
            return true;
        }
    }
    return jinja_refuse(c, c->line, "a comment has no end #}");
}

/* Behind `{%-? raw -?%}` if that is what stands at `at`, else 0. */
static size_t raw_tag(const struct jinja_compiler *c, size_t at, const char *word,
                      bool is_end)
{
    at += 2;
    if (at < c->size && (c->text[at] == '-' || c->text[at] == '+'))
        at++;
    at = skip_space(c, at);
    if (!looking_at(c, at, word))
        return 0;
    at = skip_space(c, at + strlen(word));
    if (is_end)
        return tag_end(c, at, "%}", false);
    if (looking_at(c, at, "-%}"))
        return skip_space(c, at + 3);
    return looking_at(c, at, "%}") ? at + 2 : 0;
}

static bool lex_raw(struct jinja_compiler *c, size_t begin)
{
    const uint32_t line = c->line;
    const bool line_starting = begin > 0 && c->text[begin - 1] == '\n';
    for (size_t at = begin; at + 1 < c->size; at++) {
        if (c->text[at] != '{' || c->text[at + 1] != '%')
            continue;
        const size_t end = raw_tag(c, at, "endraw", true);
        if (!end)
            continue;
        const char sign = c->text[at + 2];
        const size_t stop = data_end(c, begin, at, sign, false, line_starting);
        if (stop > begin && !text_add(c, TOKEN_DATA, line, c->text + begin, stop - begin))
            return false;
        advance(c, end);
        return true;
    }
    return jinja_refuse(c, line, "a raw block has no end");
}

/* ---- inside a tag ---- */

static bool is_digit(char d)
{
    return d >= '0' && d <= '9';
}

/* Behind digits with single underlines between them, `at` if there are none. */
static size_t digits(const struct jinja_compiler *c, size_t at)
{
    size_t end = at;
    while (end < c->size &&
           (is_digit(c->text[end]) || (c->text[end] == '_' && end > at &&
                                       end + 1 < c->size && is_digit(c->text[end + 1]))))
        end++;
    return end;
}

/* Behind a float at `at`, or 0. */
static size_t float_end(const struct jinja_compiler *c, size_t at)
{
    if (at > 0 && c->text[at - 1] == '.')
        return 0;
    size_t end = digits(c, at);
    if (end == at)
        return 0;
    bool is_float = false;
    if (end < c->size && c->text[end] == '.' && digits(c, end + 1) > end + 1) {
        end = digits(c, end + 1);
        is_float = true;
    }
    if (end < c->size && (c->text[end] == 'e' || c->text[end] == 'E')) {
        size_t power = end + 1;
        if (power < c->size && (c->text[power] == '+' || c->text[power] == '-'))
            power++;
        if (digits(c, power) > power) {
            end = digits(c, power);
            is_float = true;
        }
    }
    return is_float ? end : 0;
}

static int digit_value(char d)
{
    if (is_digit(d))
        return d - '0';
    if (d >= 'a' && d <= 'f')
        return d - 'a' + 10;
    return d >= 'A' && d <= 'F' ? d - 'A' + 10 : 99;
}

/* Behind a whole number at `at`; its base in *base, its digits from *from. */
/* Behind digits of a base with single underlines, from `at` on; one may stand first. */
static size_t based_digits(const struct jinja_compiler *c, size_t at, int base)
{
    for (;;) {
        const size_t digit = at + (at < c->size && c->text[at] == '_');
        if (digit >= c->size || digit_value(c->text[digit]) >= base)
            return at;
        at = digit + 1;
    }
}

/* Behind a whole number at `at`; its base in *base, its digits from *from. */
static size_t int_end(const struct jinja_compiler *c, size_t at, int *base, size_t *from)
{
    static const char letters[] = "box";
    static const int bases[] = { 2, 8, 16 };
    const char *letter = NULL;
    *base = 10;
    *from = at;
    if (c->text[at] != '0')
        return based_digits(c, at + 1, 10);
    if (at + 1 < c->size && (c->text[at + 1] | 32) > ' ')
        letter = strchr(letters, c->text[at + 1] | 32);
    if (letter && based_digits(c, at + 2, bases[letter - letters]) > at + 2) {
        *base = bases[letter - letters];
        *from = at + 2;
        return based_digits(c, at + 2, *base);
    }
    return based_digits(c, at + 1, 1); /* zeros only */
}

static bool lex_number(struct jinja_compiler *c)
{
    char room[64];
    size_t n = 0, end = float_end(c, c->at), from = c->at;
    int base = 10;
    const bool is_float = end != 0;
    if (!is_float)
        end = int_end(c, c->at, &base, &from);
    for (size_t i = from; i < end && n + 1 < sizeof room; i++)
        if (c->text[i] != '_')
            room[n++] = c->text[i];
    room[n] = 0;
    if (end - from >= sizeof room - 1)
        return jinja_refuse(c, c->line, "a number has too many digits");
    struct jinja_value value;
    errno = 0;
    if (is_float)
        value = jinja_float(strtod(room, NULL));
    else
        value = jinja_int(strtoll(room, NULL, base));
    if (!is_float && errno == ERANGE)
        return jinja_refuse(c, c->line, "the number %s has more than 64 bits", room);
    const uint32_t line = c->line;
    advance(c, end);
    return token_add(c, is_float ? TOKEN_FLOAT : TOKEN_INT, line, value, NULL);
}

static size_t put_character(char *to, uint32_t v)
{
    if (v < 0x80) {
        to[0] = (char)v;
        return 1;
    }
    if (v < 0x800) {
        to[0] = (char)(0xc0 | v >> 6);
        to[1] = (char)(0x80 | (v & 63));
        return 2;
    }
    if (v < 0x10000) {
        to[0] = (char)(0xe0 | v >> 12);
        to[1] = (char)(0x80 | (v >> 6 & 63));
        to[2] = (char)(0x80 | (v & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | v >> 18);
    to[1] = (char)(0x80 | (v >> 12 & 63));
    to[2] = (char)(0x80 | (v >> 6 & 63));
    to[3] = (char)(0x80 | (v & 63));
    return 4;
}

/* An escape of digits behind a backslash: \x41, \u0041, \U00000041, \101. */
static bool escape_number(struct jinja_compiler *c, const char *s, size_t size,
                          size_t *at, char *to, size_t *n)
{
    const char kind = s[*at];
    const size_t most = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 3;
    const int base = most == 3 ? 8 : 16;
    size_t i = most == 3 ? *at : *at + 1, count = 0;
    uint64_t v = 0;
    for (; count < most && i < size && digit_value(s[i]) < base; i++, count++)
        v = v * (unsigned)base + (unsigned)digit_value(s[i]);
    if (most != 3 && count < most)
        return jinja_refuse(c, c->line, "a string has a cut escape \\%c", kind);
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return jinja_refuse(c, c->line, "a string has the escape of no character, \\%c",
                            kind);
    *at = i;
    *n += put_character(to + *n, (uint32_t)v);
    return true;
}

/* What Python's unicode-escape makes of a backslash and what follows. */
static bool escape(struct jinja_compiler *c, const char *s, size_t size, size_t *at,
                   char *to, size_t *n)
{
    static const char from[] = "\\'\"abfnrtv", into[] = "\\'\"\a\b\f\n\r\t\v";
    const char kind = s[*at];
    const char *simple = kind ? strchr(from, kind) : NULL;
    if (kind == '\n') {
        ++*at;
    } else if (simple) {
        to[(*n)++] = into[simple - from];
        ++*at;
    } else if (kind == 'x' || kind == 'u' || kind == 'U' ||
               (kind >= '0' && kind <= '7')) {
        return escape_number(c, s, size, at, to, n);
    } else if (kind == 'N') {
        return jinja_refuse(c, c->line, "escapes of names (\\N) are not supported");
    } else if ((uint8_t)kind >= 0x80) {
        return jinja_refuse(c, c->line,
                            "a backslash before a letter that is not ASCII "
                            "is not supported");
    } else {
        to[(*n)++] = '\\';
    }
    return true;
}

static bool lex_string(struct jinja_compiler *c)
{
    const char quote = c->text[c->at];
    const size_t from = c->at + 1;
    size_t end = from, n = 0;
    while (end < c->size && c->text[end] != quote)
        end += c->text[end] == '\\' ? 2 : 1;
    if (end >= c->size)
        return jinja_refuse(c, c->line, "a string has no end %c", quote);
    char *room = pipe_pool_take(c->ctx, &c->t->pool, end - from + 1, 1);
    if (!room)
        return jinja_out_of_memory(c);
    for (size_t i = from; i < end;) {
        if (c->text[i] != '\\') {
            room[n++] = c->text[i++];
            continue;
        }
        i++;
        if (!escape(c, c->text, end, &i, room, &n))
            return false;
    }
    const uint32_t line = c->line;
    advance(c, end + 1);
    return text_add(c, TOKEN_STRING, line, room, n);
}

static bool is_name_byte(char b)
{
    return is_digit(b) || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '_';
}

/* Behind the letter of a name at `at`, or `at`. */
static size_t name_end(const struct jinja_compiler *c, size_t at)
{
    if (at >= c->size)
        return at;
    size_t next = at;
    const uint32_t letter = jinja_decode(c->text, &next);
    return letter < 0x80            ? at + is_name_byte(c->text[at])
           : jinja_is_alnum(letter) ? next
                                    : at;
}

static bool lex_operator(struct jinja_compiler *c, char *open, size_t *depth, size_t most)
{
    static const char *two[] = { "//", "**", "==", "!=", ">=", "<=" };
    char op[3] = { c->text[c->at], 0, 0 };
    for (size_t i = 0; i < RT_COUNT(two); i++)
        if (looking_at(c, c->at, two[i]))
            op[1] = two[i][1];
    if (!op[1] && (!op[0] || !strchr("+-/*%~[](){}><=.:|,;", op[0])))
        return jinja_refuse(c, c->line, "a character that has no meaning here: %s%.*s",
                            (uint8_t)op[0] < 0x80 ? "" : "not ASCII: ",
                            (uint8_t)op[0] < 0x80 ? 1 : 0, op);
    const char *closing = strchr(")]}", op[0]), *opening = strchr("([{", op[0]);
    if (opening && !op[1]) {
        if (*depth == most)
            return jinja_refuse(c, c->line, "more than %zu brackets inside each other",
                                most);
        open[(*depth)++] = ")]}"[opening - "([{"];
    }
    if (closing && (*depth == 0 || open[--*depth] != op[0]))
        return jinja_refuse(c, c->line, "a %c without its other half", op[0]);
    const uint32_t line = c->line;
    advance(c, c->at + strlen(op));
    return token_add(c, TOKEN_OPERATOR, line, jinja_none(), op);
}

static bool lex_one(struct jinja_compiler *c, char *open, size_t *depth, size_t most)
{
    const char first = c->text[c->at];
    if (is_digit(first))
        return lex_number(c);
    if (name_end(c, c->at) > c->at) {
        size_t end = c->at;
        for (size_t next; (next = name_end(c, end)) > end;)
            end = next;
        const size_t from = c->at;
        c->at = end;
        return text_add(c, TOKEN_NAME, c->line, c->text + from, end - from);
    }
    if (first == '\'' || first == '"')
        return lex_string(c);
    return lex_operator(c, open, depth, most);
}

/* From behind the start of a tag to behind its end. */
static bool lex_tag(struct jinja_compiler *c, bool is_variable)
{
    enum { BRACKETS_MAX = 150 };
    char open[BRACKETS_MAX];
    size_t depth = 0;
    const struct jinja_value nothing = jinja_none();
    const uint32_t line = c->line;
    if (!token_add(c, is_variable ? TOKEN_VARIABLE_BEGIN : TOKEN_BLOCK_BEGIN, c->line,
                   nothing, NULL))
        return false;
    for (;;) {
        const size_t end =
            depth ? 0 : tag_end(c, c->at, is_variable ? "}}" : "%}", is_variable);
        if (end) {
            const uint32_t end_line = c->line;
            advance(c, end);
            return token_add(c, is_variable ? TOKEN_VARIABLE_END : TOKEN_BLOCK_END,
                             end_line, nothing, NULL);
        }
        advance(c, skip_space(c, c->at));
        if (c->at >= c->size)
            return jinja_refuse(c, line, "a tag has no end %s",
                                is_variable ? "}}" : "%}");
        if (depth == 0 && tag_end(c, c->at, is_variable ? "}}" : "%}", is_variable))
            continue;
        if (!lex_one(c, open, &depth, BRACKETS_MAX))
            return false;
    }
}

static bool lex_from_tag(struct jinja_compiler *c, size_t tag)
{
    const char second = c->text[tag + 1];
    const char sign = tag + 2 < c->size ? c->text[tag + 2] : 0;
    const size_t behind = tag + 2 + (sign == '-' || sign == '+');
    const bool line_starting = c->at == 0 || c->text[c->at - 1] == '\n';
    const size_t end = data_end(c, c->at, tag, sign, second == '{', line_starting);
    if (end > c->at && !text_add(c, TOKEN_DATA, c->line, c->text + c->at, end - c->at))
        return false;
    const size_t raw = second == '%' ? raw_tag(c, tag, "raw", false) : 0;
    advance(c, raw ? raw : behind);
    if (raw)
        return lex_raw(c, raw);
    return second == '#' ? lex_comment(c, behind) : lex_tag(c, second == '{');
}

bool jinja_lex(struct jinja_compiler *c)
{
    while (c->at < c->size) {
        size_t tag = c->at;
        while (
            tag + 1 < c->size &&
            !(c->text[tag] == '{' && strchr("{%#", c->text[tag + 1]) && c->text[tag + 1]))
            tag++;
        if (tag + 1 >= c->size) {
            if (!text_add(c, TOKEN_DATA, c->line, c->text + c->at, c->size - c->at))
                return false;
            break;
        }
        if (!lex_from_tag(c, tag))
            return false;
    }
    return token_add(c, TOKEN_EOF, c->line, jinja_none(), NULL);
}

/* pipeline/grade/answer_text.c
 * Turns the text of an answer into one line of LaTeX in ASCII, as the lexer wants it. */
#include "pipeline/grade/answer_text.h"

#include "pipeline/grade/chars.h"
#include "pipeline/grade/latex_commands.h"

#include <string.h>
#include <utf8proc.h>

struct buffer {
    char *text;
    uint32_t size, length;
    bool full;
};

static void add(struct buffer *b, const char *text, size_t n)
{
    if (n >= b->size - b->length) {
        b->full = true;
        return;
    }
    memcpy(b->text + b->length, text, n);
    b->length += (uint32_t)n;
}

static void add_text(struct buffer *b, const char *text)
{
    add(b, text, strlen(text));
}

/* ---- Unicode ---- */

/* In order of code points; a first and last give a run with one text. */
static const struct {
    uint32_t first, last;
    const char *text;
} signs[] = {
    { 0xa0, 0xa0, " " },
    { 0xa2, 0xa2, "\\cent " },
    { 0xa3, 0xa3, "\\gbp " },
    { 0xa5, 0xa5, "\\yen " },
    { 0xad, 0xad, "" },
    { 0xb0, 0xb0, "\\degree " },
    { 0xb1, 0xb1, "\\pm " },
    { 0xb7, 0xb7, "\\cdot " },
    { 0xbc, 0xbc, "\\frac{1}{4}" },
    { 0xbd, 0xbd, "\\frac{1}{2}" },
    { 0xbe, 0xbe, "\\frac{3}{4}" },
    { 0xd7, 0xd7, "\\times " },
    { 0xf7, 0xf7, "\\div " },
    { 0x391, 0x391, "A" },
    { 0x392, 0x392, "B" },
    { 0x393, 0x393, "\\Gamma " },
    { 0x394, 0x394, "\\Delta " },
    { 0x398, 0x398, "\\Theta " },
    { 0x39b, 0x39b, "\\Lambda " },
    { 0x3a0, 0x3a0, "\\Pi " },
    { 0x3a3, 0x3a3, "\\Sigma " },
    { 0x3a6, 0x3a6, "\\Phi " },
    { 0x3a8, 0x3a8, "\\Psi " },
    { 0x3a9, 0x3a9, "\\Omega " },
    { 0x3b1, 0x3b1, "\\alpha " },
    { 0x3b2, 0x3b2, "\\beta " },
    { 0x3b3, 0x3b3, "\\gamma " },
    { 0x3b4, 0x3b4, "\\delta " },
    { 0x3b5, 0x3b5, "\\epsilon " },
    { 0x3b6, 0x3b6, "\\zeta " },
    { 0x3b7, 0x3b7, "\\eta " },
    { 0x3b8, 0x3b8, "\\theta " },
    { 0x3b9, 0x3b9, "\\iota " },
    { 0x3ba, 0x3ba, "\\kappa " },
    { 0x3bb, 0x3bb, "\\lambda " },
    { 0x3bc, 0x3bc, "\\mu " },
    { 0x3bd, 0x3bd, "\\nu " },
    { 0x3be, 0x3be, "\\xi " },
    { 0x3c0, 0x3c0, "\\pi " },
    { 0x3c1, 0x3c1, "\\rho " },
    { 0x3c3, 0x3c3, "\\sigma " },
    { 0x3c4, 0x3c4, "\\tau " },
    { 0x3c5, 0x3c5, "\\upsilon " },
    { 0x3c6, 0x3c6, "\\phi " },
    { 0x3c7, 0x3c7, "\\chi " },
    { 0x3c8, 0x3c8, "\\psi " },
    { 0x3c9, 0x3c9, "\\omega " },
    { 0x2000, 0x200a, " " },
    { 0x200b, 0x200f, "" },
    { 0x2010, 0x2015, "-" },
    { 0x2018, 0x2019, "'" },
    { 0x201c, 0x201d, "" },
    { 0x2022, 0x2022, "\\cdot " },
    { 0x2026, 0x2026, "\\dots " },
    { 0x202f, 0x202f, " " },
    { 0x2032, 0x2032, "'" },
    { 0x2044, 0x2044, "/" },
    { 0x205f, 0x2064, "" },
    { 0x20ac, 0x20ac, "\\eur " },
    { 0x2102, 0x2102, "\\mathbb{C}" },
    { 0x2115, 0x2115, "\\mathbb{N}" },
    { 0x211a, 0x211a, "\\mathbb{Q}" },
    { 0x211d, 0x211d, "\\mathbb{R}" },
    { 0x2124, 0x2124, "\\mathbb{Z}" },
    { 0x2153, 0x2153, "\\frac{1}{3}" },
    { 0x2154, 0x2154, "\\frac{2}{3}" },
    { 0x2155, 0x2155, "\\frac{1}{5}" },
    { 0x2156, 0x2156, "\\frac{2}{5}" },
    { 0x2157, 0x2157, "\\frac{3}{5}" },
    { 0x2158, 0x2158, "\\frac{4}{5}" },
    { 0x2159, 0x2159, "\\frac{1}{6}" },
    { 0x215a, 0x215a, "\\frac{5}{6}" },
    { 0x215b, 0x215b, "\\frac{1}{8}" },
    { 0x215c, 0x215c, "\\frac{3}{8}" },
    { 0x215d, 0x215d, "\\frac{5}{8}" },
    { 0x215e, 0x215e, "\\frac{7}{8}" },
    { 0x2192, 0x2192, "\\to " },
    { 0x21d2, 0x21d2, "\\implies " },
    { 0x2205, 0x2205, "\\emptyset " },
    { 0x2208, 0x2208, "\\in " },
    { 0x2212, 0x2212, "-" },
    { 0x2213, 0x2213, "\\mp " },
    { 0x2215, 0x2215, "/" },
    { 0x2216, 0x2216, "\\setminus " },
    { 0x2217, 0x2217, "*" },
    { 0x2218, 0x2218, "\\circ " },
    { 0x2219, 0x2219, "\\cdot " },
    { 0x221a, 0x221a, "\\surd " },
    { 0x221b, 0x221b, "\\sqrt[3]" },
    { 0x221e, 0x221e, "\\infty " },
    { 0x2220, 0x2220, "\\angle " },
    { 0x2227, 0x2227, "\\land " },
    { 0x2228, 0x2228, "\\lor " },
    { 0x2229, 0x2229, "\\cap " },
    { 0x222a, 0x222a, "\\cup " },
    { 0x2236, 0x2236, ":" },
    { 0x2248, 0x2248, "\\approx " },
    { 0x2260, 0x2260, "\\ne " },
    { 0x2264, 0x2264, "\\le " },
    { 0x2265, 0x2265, "\\ge " },
    { 0x22c5, 0x22c5, "\\cdot " },
    { 0x2308, 0x2308, "\\lceil " },
    { 0x2309, 0x2309, "\\rceil " },
    { 0x230a, 0x230a, "\\lfloor " },
    { 0x230b, 0x230b, "\\rfloor " },
    { 0x2a7d, 0x2a7d, "\\le " },
    { 0x2a7e, 0x2a7e, "\\ge " },
    { 0x3000, 0x3000, " " },
    { 0x3001, 0x3001, "," },
    { 0x3002, 0x3002, "." },
    { 0xfeff, 0xfeff, "" },
    { 0xfffd, 0xfffd, "?" }, /* what was no character is part of no answer */
};

static const char *sign_of(uint32_t code)
{
    size_t low = 0, high = RT_COUNT(signs);
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (signs[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < RT_COUNT(signs) && signs[low].first <= code ? signs[low].text : NULL;
}

/* The digit or sign that a raised or lowered character stands for, 0: none. */
static char script_of(uint32_t code, bool *raised)
{
    static const char below[] = "0123456789+-=()";
    *raised = !(code >= 0x2080 && code <= 0x208e);
    if (code == 0xb2 || code == 0xb3)
        return (char)('0' + code - 0xb0);
    if (code == 0xb9)
        return '1';
    if (code == 0x207f)
        return 'n';
    if (code >= 0x2070 && code <= 0x207e)
        return below[code - 0x2070];
    return *raised ? 0 : below[code - 0x2080];
}

/* A run of raised or lowered characters at the start: bytes taken. */
static size_t add_scripts(struct buffer *b, const char *text)
{
    size_t taken = 0;
    bool open = false, raised, first = true;
    for (;;) {
        utf8proc_int32_t code;
        const utf8proc_ssize_t n =
            utf8proc_iterate((const utf8proc_uint8_t *)text + taken, -1, &code);
        bool up = false;
        const char c = n > 1 ? script_of((uint32_t)code, &up) : 0;
        if (!c || (!first && up != raised))
            break;
        if (first)
            add_text(b, up ? "^{" : "_{");
        raised = up;
        first = false;
        open = true;
        add(b, &c, 1);
        taken += (size_t)n;
    }
    if (open)
        add_text(b, "}");
    return taken;
}

/* One character beyond ASCII: bytes taken. */
static size_t add_unicode(struct buffer *b, const char *text)
{
    utf8proc_int32_t code, forms[8];
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &code);
    if (n <= 0)
        return 1; /* no UTF-8: dropped */
    const size_t scripts = add_scripts(b, text);
    if (scripts)
        return scripts;
    const char *known = sign_of((uint32_t)code);
    if (known) {
        add_text(b, known);
        return (size_t)n;
    }
    int boundary = UTF8PROC_BOUNDCLASS_START;
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        code, forms, 8, UTF8PROC_COMPAT | UTF8PROC_COMPOSE, &boundary);
    if (count == 1 && forms[0] < 0x80) {
        const char c = (char)forms[0];
        add(b, &c, 1);
    } else {
        add(b, text, (size_t)n);
    }
    return (size_t)n;
}

static bool has_unicode(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return true;
    return false;
}

/* ---- marks of mathematics ---- */

struct cleaning {
    const char *text; /* borrowed */
    bool doubled;     /* every backslash was doubled */
    bool prices;      /* an odd number of dollar signs: they are currency */
    struct buffer *out;
};

/* Whether all backslashes come in pairs, one of them before the name of a command. */
static bool is_doubled(const char *text)
{
    bool command = false;
    for (const char *c = text; *c; c++) {
        if (*c != '\\')
            continue;
        size_t run = strspn(c, "\\"), n = 0;
        if (run % 2)
            return false;
        while (is_letter(c[run + n]))
            n++;
        command |= n > 1 && grade_command_find(c + run, (uint32_t)n) && run == 2;
        c += run - 1;
    }
    return command;
}

static bool is_price(const char *text)
{
    size_t count = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '\\' && c[1])
            c++;
        else
            count += *c == '$';
    }
    return count % 2 == 1;
}

/* Before a command: what is only space or paper. Bytes taken, 0: none of it. */
static size_t add_spacing(struct cleaning *c, const char *at)
{
    if (strncmp(at, "\\quad", 5) == 0 || strncmp(at, "\\qquad", 6) == 0) {
        add_text(c->out, " ");
        return at[1] == 'q' && at[2] == 'q' ? 6 : 5;
    }
    if (strncmp(at, "\\$", 2) == 0) {
        if (c->out->length >= 2 &&
            strncmp(c->out->text + c->out->length - 2, "US", 2) == 0)
            c->out->length -= 2;
        add_text(c->out, "\\usd ");
        return 2;
    }
    if (strncmp(at, "\\not", 4) == 0 && at[4 + strspn(at + 4, " ")] == '=') {
        add_text(c->out, "\\ne ");
        return 5 + strspn(at + 4, " ");
    }
    if (at[1] == '!') {
        size_t n = 2;
        while (at[n] == ' ')
            n++;
        return n;
    }
    if (at[1] && strchr(",;: ()[]/\n", at[1])) {
        add_text(c->out, " ");
        return 2;
    }
    return 0;
}

static size_t add_ascii(struct cleaning *c, const char *at, bool inside)
{
    size_t n = 1;
    switch (*at) {
    case '\\':
        if (c->doubled && at[1] == '\\' && at[2] != '\\')
            return 1;
        if (at[1] == '\\') {
            const bool row = inside || !is_letter(at[2]);
            add_text(c->out, row ? "\\\\" : "");
            return row ? 2 : 1;
        }
        n = add_spacing(c, at);
        if (n)
            return n;
        n = at[1] ? 2 : 1;
        break;
    case '$':
        add_text(c->out, c->prices && ((at[1] >= '0' && at[1] <= '9') || at[1] == '.')
                             ? "\\usd "
                             : " ");
        return 1;
    case '{':
        if (strncmp(at, "{,}", 3) == 0) {
            add_text(c->out, ",");
            return 3;
        }
        break;
    case '*':
        if (at[1] == '*') {
            add_text(c->out, "^");
            return 2;
        }
        break;
    case '~':
    case '\n':
    case '\t':
    case '\r':
        add_text(c->out, " ");
        return 1;
    default:
        break;
    }
    add(c->out, at, n);
    return n;
}

/* 1,2,3,... goes on; the dots are no full stops. */
static bool goes_on(const char *start, const char *end)
{
    if (end - start < 4 || strncmp(end - 3, "...", 3) != 0)
        return false;
    for (end -= 3; end > start && end[-1] == ' ';)
        end--;
    return end > start && end[-1] == ',';
}

/* What stands around an answer. */
static void strip(const char **start, const char **end)
{
    for (bool again = true; again;) {
        const char *from = *start, *to = *end;
        while (from < to && strchr(" \t\r\n=:", *from))
            from++;
        while (to > from && strchr(" \t\r\n.,;:", to[-1]) &&
               !(to - from > 1 && to[-2] == '\\') && !goes_on(from, to))
            to--;
        if (to - from >= 4 && strncmp(from, "**", 2) == 0 &&
            strncmp(to - 2, "**", 2) == 0) {
            from += 2;
            to -= 2;
        }
        if (to - from >= 2 && *from == '$' && to[-1] == '$' && to[-2] != '\\') {
            from++;
            to--;
        }
        if (to - from >= 3 && (*from == '"' || *from == '`') && to[-1] == *from) {
            from++;
            to--;
        }
        if (to - from == 2 && is_letter(*from) && to[-1] == ')') /* a choice: A) */
            to--;
        again = from != *start || to != *end;
        *start = from;
        *end = to;
    }
}

bool grade_answer_text(const char *answer, const struct pipe_policies *policies,
                       char *out, uint32_t size, uint32_t *length)
{
    const bool unicode = !policies->off[PIPE_POLICY_UNICODE];
    const bool pairs = !policies->off[PIPE_POLICY_DOUBLE_BACKSLASH];
    struct buffer b = { out, size, 0, false };
    utf8proc_uint8_t *composed = NULL;
    if (unicode && has_unicode(answer) &&
        utf8proc_map((const utf8proc_uint8_t *)answer, 0, &composed,
                     UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE) >= 0)
        answer = (const char *)composed;
    const char *end = answer + strlen(answer);
    strip(&answer, &end);
    struct cleaning c = { answer, pairs && is_doubled(answer), is_price(answer), &b };
    bool inside = !pairs;
    for (const char *at = answer; at < end && !b.full;) {
        if (strncmp(at, "\\begin{", 7) == 0)
            inside = true;
        at += (unsigned char)*at >= 0x80 && unicode ? add_unicode(&b, at)
                                                    : add_ascii(&c, at, inside);
    }
    free(composed); /* lint: utf8proc's own */
    while (b.length && strchr(" .", out[b.length - 1]) &&
           !(b.length > 1 && out[b.length - 2] == '\\') && !goes_on(out, out + b.length))
        b.length--;
    out[b.length] = '\0';
    *length = b.length;
    return !b.full;
}

/* ---- views ---- */

/* The next character of a view, 0 at the end. */
static char view_next(const char *text, uint32_t *at, uint32_t to)
{
    while (*at < to) {
        const char c = text[(*at)++];
        if (c == '\\' && *at < to && is_letter(text[*at])) {
            uint32_t n = 0;
            while (*at + n < to && is_letter(text[*at + n]))
                n++;
            const struct command *command = grade_command_find(text + *at, n);
            if (command && command->kind >= COMMAND_SKIP)
                *at += n;
            continue;
        }
        const bool digit = *at < to && text[*at] >= '0' && text[*at] <= '9';
        if (strchr(" ,;:{}$\\\"'`()", c) || (strchr(".-", c) && !digit))
            continue;
        return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return 0;
}

bool grade_view_equal(const char *a, uint32_t a_from, uint32_t a_to, const char *b,
                      uint32_t b_from, uint32_t b_to)
{
    bool any = false;
    for (;;) {
        const char x = view_next(a, &a_from, a_to), y = view_next(b, &b_from, b_to);
        if (x != y)
            return false;
        if (!x)
            return any;
        any = true;
    }
}

bool grade_view_is(const char *text, uint32_t from, uint32_t to, const char *view)
{
    for (;;) {
        const char c = view_next(text, &from, to);
        if (c != *view)
            return false;
        if (!c)
            return true;
        view++;
    }
}

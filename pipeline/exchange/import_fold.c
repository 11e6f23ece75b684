/* pipeline/exchange/import_fold.c
 * Folds questions so that layout does not matter and mathematics does. */
#include "pipeline/exchange/import_fold.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

enum { FORMS_MAX = 24 };

struct folding {
    const char *text;
    size_t at; /* of the next character */
    char *out;
    size_t used;
    bool blank; /* white space, or what counts as such, stands before it */
    bool word;  /* the last character written is a letter, digit or mark of one */
    utf8proc_int32_t before; /* the last character read, 0: none */
};

/* The character at `at`, 0 at the end; a byte that is no UTF-8 is a negative one. */
static utf8proc_int32_t character(const char *text, size_t at, size_t *bytes)
{
    utf8proc_int32_t code = 0;
    *bytes = text[at] ? 1 : 0;
    if ((unsigned char)text[at] < 0x80)
        return text[at];
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)text + at, -1, &code);
    if (n <= 0)
        return -1;
    *bytes = (size_t)n;
    return code;
}

static bool is_digit(utf8proc_int32_t code)
{
    return code > 0 && utf8proc_category(code) == UTF8PROC_CATEGORY_ND;
}

static bool is_letter(utf8proc_int32_t code)
{
    const utf8proc_category_t c =
        code > 0 ? utf8proc_category(code) : UTF8PROC_CATEGORY_CN;
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static void write(struct folding *f, const char *bytes, size_t n, bool word)
{
    if (f->blank && f->word && word)
        f->out[f->used++] = ' ';
    memcpy(f->out + f->used, bytes, n);
    f->used += n;
    f->blank = false;
    f->word = word;
}

/* Whether its compatible form means the same: not so for raised digits and fractions. */
static bool folds(utf8proc_int32_t code)
{
    switch (utf8proc_get_property(code)->decomp_type) {
    case 0: /* canonical, or none */
    case UTF8PROC_DECOMP_TYPE_FONT:
    case UTF8PROC_DECOMP_TYPE_WIDE:
    case UTF8PROC_DECOMP_TYPE_NARROW:
    case UTF8PROC_DECOMP_TYPE_COMPAT:
        return true;
    default:
        return false;
    }
}

static void write_character(struct folding *f, utf8proc_int32_t code, size_t n,
                            bool fold_case)
{
    utf8proc_int32_t forms[FORMS_MAX];
    utf8proc_uint8_t bytes[4 * FORMS_MAX];
    int boundary = UTF8PROC_BOUNDCLASS_START;
    size_t size = 0;
    const utf8proc_category_t category = utf8proc_category(code);
    const bool mark =
        category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
    const bool word = mark ? f->word
                           : is_letter(code) || (category >= UTF8PROC_CATEGORY_ND &&
                                                 category <= UTF8PROC_CATEGORY_NO);
    const utf8proc_option_t options =
        (utf8proc_option_t)((folds(code) ? UTF8PROC_COMPAT : 0) | UTF8PROC_DECOMPOSE |
                            (fold_case ? UTF8PROC_CASEFOLD : 0));
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(code, forms, FORMS_MAX, options, &boundary);
    for (utf8proc_ssize_t i = 0; i < count && i < FORMS_MAX; i++)
        size += (size_t)utf8proc_encode_char(forms[i], bytes + size);
    if (count <= 0 || count > FORMS_MAX || size + 1 > IMPORT_FOLD_FACTOR * n)
        write(f, f->text + f->at, n, word);
    else
        write(f, (const char *)bytes, size, word);
}

/* A character beyond ASCII that has a spelling in ASCII; NULL: none. */
static const char *ascii_of(utf8proc_int32_t code)
{
    if (code == 0x2212 || (code >= 0x2010 && code <= 0x2015) || code == 0xff0d)
        return "-";
    if (code == 0x2018 || code == 0x2019 || code == 0x2032 || code == 0x60)
        return "'";
    return code == 0x2026 ? "..." : NULL;
}

static bool is_blank(utf8proc_int32_t code)
{
    if (code < 0x80)
        return code > 0 && strchr(" \t\r\n\f\v\"$~?;", code) != NULL;
    const utf8proc_category_t c = utf8proc_category(code);
    return (c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP) || code == 0x201c ||
           code == 0x201d || code == 0xab || code == 0xbb || code == 0xff1f ||
           code == 0x3002 || code == 0x3001;
}

static bool is_nothing(utf8proc_int32_t code)
{
    return code == 0xad || code == 0xfeff || (code >= 0x200b && code <= 0x200f) ||
           code == 0x2060;
}

/* A point, comma or colon that is a mark of prose: not between digits, not before one at
 * the start of a number, and no part of dots. */
static bool is_prose(const struct folding *f, utf8proc_int32_t code,
                     utf8proc_int32_t next)
{
    if (code != '.' && code != ',' && code != ':')
        return false;
    if (code == '.' && (next == '.' || f->before == '.'))
        return false;
    if (!is_digit(next))
        return true;
    return !is_digit(f->before) && !(code == '.' && !is_letter(f->before));
}

/* \( and the like, spaces, \$: bytes taken, 0: something else. */
static size_t layout_command(const char *at)
{
    return *at == '\\' && at[1] && strchr("()[],;:! \n$", at[1]) ? 2 : 0;
}

size_t import_fold(const char *text, char *out)
{
    struct folding f = { .text = text, .out = out };
    for (;;) {
        size_t n, m;
        const utf8proc_int32_t code = character(text, f.at, &n);
        if (code == 0)
            break;
        const utf8proc_int32_t next = character(text, f.at + n, &m);
        const size_t command = layout_command(text + f.at);
        const char *plain = code < 0 ? NULL : ascii_of(code);
        if (code < 0)
            write(&f, text + f.at, n, true);
        else if (command)
            f.blank = true;
        else if (plain)
            write(&f, plain, strlen(plain), false);
        else if (is_blank(code) || is_prose(&f, code, next))
            f.blank = true;
        else if (!is_nothing(code))
            write_character(&f, code, n, is_letter(f.before) || is_letter(next));
        f.before = command ? ' ' : code;
        f.at += command ? command : n;
    }
    out[f.used] = '\0';
    assert(f.used <= IMPORT_FOLD_FACTOR * strlen(text));
    return f.used;
}

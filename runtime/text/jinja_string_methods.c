/* runtime/text/jinja_string_methods.c
 * The methods of strings. A text that is marked as safe escapes what it joins with: such
 * methods refuse it. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

/* Binds positional arguments; a text marked as safe is refused if the method would escape. */
static bool plain(struct jinja_run *run, const struct jinja_value *self, const char *what,
                  const char *spec, struct jinja_args *args, struct jinja_value *values)
{
    if (self->is_safe)
        return jinja_unsupported(run, "%s of a text that is marked as safe", what);
    return jinja_bind(run, what, spec, true, args, values);
}

static bool need_text(struct jinja_run *run, const char *what,
                      const struct jinja_value *v)
{
    return v->kind == JINJA_STRING ||
           jinja_fail(run, "%s needs a string, not a %s", what, jinja_type_name(v));
}

/* A whole number that may be missing. */
static bool whole_or(struct jinja_run *run, const char *what, const struct jinja_value *v,
                     int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (v->kind == JINJA_MISSING)
        return true;
    if (!jinja_is_whole(v))
        return jinja_fail(run, "%s needs a whole number, not a %s", what,
                          jinja_type_name(v));
    *out = jinja_whole(v);
    return true;
}

/* ---- cases: a text marked as safe stays so ---- */

#define CASE_METHOD(name, call)                                             \
    static bool name(struct jinja_run *run, const struct jinja_value *self, \
                     struct jinja_args *args, struct jinja_value *out)      \
    {                                                                       \
        if (!jinja_bind(run, #name, "", true, args, NULL) || !(call))       \
            return false;                                                   \
        out->is_safe = self->is_safe;                                       \
        return true;                                                        \
    }
CASE_METHOD(upper, jinja_cased(run, self->as.text, JINJA_UPPER, out))
CASE_METHOD(lower, jinja_cased(run, self->as.text, JINJA_LOWER, out))
CASE_METHOD(casefold, jinja_cased(run, self->as.text, JINJA_FOLD, out))
CASE_METHOD(capitalize, jinja_capitalize(run, self->as.text, out))
CASE_METHOD(title, jinja_title(run, self->as.text, out))
CASE_METHOD(swapcase, jinja_swapcase(run, self->as.text, out))

static bool strip_both(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, bool left, bool right,
                       struct jinja_value *out)
{
    struct jinja_value chars;
    if (!jinja_bind(run, "strip", "| chars", true, args, &chars) ||
        !jinja_strip(run, self->as.text, &chars, left, right, out))
        return false;
    out->is_safe = self->is_safe;
    return true;
}

static bool strip(struct jinja_run *run, const struct jinja_value *self,
                  struct jinja_args *args, struct jinja_value *out)
{
    return strip_both(run, self, args, true, true, out);
}

static bool lstrip(struct jinja_run *run, const struct jinja_value *self,
                   struct jinja_args *args, struct jinja_value *out)
{
    return strip_both(run, self, args, true, false, out);
}

static bool rstrip(struct jinja_run *run, const struct jinja_value *self,
                   struct jinja_args *args, struct jinja_value *out)
{
    return strip_both(run, self, args, false, true, out);
}

/* ---- splitting and joining ---- */

static bool split_at(struct jinja_run *run, const struct jinja_value *self,
                     struct jinja_args *args, bool from_right, struct jinja_value *out)
{
    struct jinja_value v[2];
    int64_t most;
    if (self->is_safe)
        return jinja_unsupported(run, "split of a text that is marked as safe");
    return jinja_bind(run, "split", "| sep maxsplit", false, args, v) &&
           whole_or(run, "split", &v[1], -1, &most) &&
           jinja_split(run, self->as.text, &v[0], most < 0 ? -1 : most, from_right, out);
}

static bool split(struct jinja_run *run, const struct jinja_value *self,
                  struct jinja_args *args, struct jinja_value *out)
{
    return split_at(run, self, args, false, out);
}

static bool rsplit(struct jinja_run *run, const struct jinja_value *self,
                   struct jinja_args *args, struct jinja_value *out)
{
    return split_at(run, self, args, true, out);
}

static bool splitlines(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value keep;
    if (self->is_safe)
        return jinja_unsupported(run, "splitlines of a text that is marked as safe");
    return jinja_bind(run, "splitlines", "| keepends", false, args, &keep) &&
           (keep.kind == JINJA_MISSING || jinja_is_whole(&keep) ||
            jinja_fail(run, "splitlines with a %s", jinja_type_name(&keep))) &&
           jinja_splitlines(run, self->as.text, jinja_truth(&keep), out);
}

/* Before, separator, behind. */
static bool part(struct jinja_run *run, const struct jinja_value *self,
                 struct jinja_args *args, bool last, struct jinja_value *out)
{
    struct jinja_value separator, list, three[3];
    if (!plain(run, self, "partition", "sep", args, &separator) ||
        !need_text(run, "partition", &separator) ||
        !jinja_split(run, self->as.text, &separator, 1, last, &list) ||
        !jinja_string(run, "", 0, &three[1]))
        return false;
    const struct jinja_items *found = list.as.items;
    const bool one = found->count == 1;
    three[0] = one && last ? three[1] : found->at[0];
    three[2] = !one ? found->at[1] : last ? found->at[0] : three[1];
    if (!one)
        three[1] = separator;
    if (!jinja_list_make(run, JINJA_TUPLE, 3, out))
        return false;
    for (int i = 0; i < 3; i++)
        if (!jinja_list_add(run, out->as.items, three[i]))
            return false;
    return true;
}

static bool partition(struct jinja_run *run, const struct jinja_value *self,
                      struct jinja_args *args, struct jinja_value *out)
{
    return part(run, self, args, false, out);
}

static bool rpartition(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, struct jinja_value *out)
{
    return part(run, self, args, true, out);
}

static bool join(struct jinja_run *run, const struct jinja_value *self,
                 struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value iterable;
    struct jinja_items *items;
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    if (!plain(run, self, "join", "iterable", args, &iterable) ||
        !jinja_to_items(run, &iterable, &items))
        return false;
    for (size_t i = 0; good && i < items->count; i++) {
        const struct jinja_value *item = &items->at[i];
        good =
            need_text(run, "join", item) &&
            (!i || jinja_write(run, &buffer, self->as.text->data, self->as.text->size)) &&
            jinja_write(run, &buffer, item->as.text->data, item->as.text->size);
    }
    return jinja_buffer_take(run, &buffer, good, out);
}

static bool replace(struct jinja_run *run, const struct jinja_value *self,
                    struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value v[3];
    int64_t count;
    return plain(run, self, "replace", "old new | count", args, v) &&
           need_text(run, "replace", &v[0]) && need_text(run, "replace", &v[1]) &&
           whole_or(run, "replace", &v[2], -1, &count) &&
           jinja_replace(run, self->as.text, v[0].as.text, v[1].as.text,
                         count < 0 ? -1 : count, out);
}

/* ---- searching ---- */

struct span {
    size_t from, to; /* bytes */
    size_t start;    /* code points before */
    bool is_empty;   /* the start is behind the end */
};

static bool bound(struct jinja_run *run, const struct jinja_value *v, int64_t length,
                  int64_t otherwise, int64_t *out)
{
    if (v->kind == JINJA_NONE || v->kind == JINJA_MISSING) {
        *out = otherwise;
        return true;
    }
    if (!jinja_is_whole(v))
        return jinja_fail(run, "a bound that is a %s", jinja_type_name(v));
    *out = jinja_whole(v);
    if (*out < 0)
        *out = *out < -length ? 0 : *out + length;
    return true;
}

/* The part of a text between two bounds, as find and its like take them. */
static bool span_of(struct jinja_run *run, const struct jinja_text *text,
                    const struct jinja_value bounds[2], struct span *span)
{
    const bool is_whole = bounds[0].kind <= JINJA_NONE && bounds[1].kind <= JINJA_NONE;
    if (!is_whole && !jinja_step(run, text->size / 16))
        return false;
    const int64_t length = (int64_t)text->count;
    int64_t start, end;
    if (!bound(run, &bounds[0], length, 0, &start) ||
        !bound(run, &bounds[1], length, length, &end))
        return false;
    if (end > length)
        end = length;
    span->is_empty = start > end;
    span->start = (size_t)(span->is_empty ? 0 : start);
    span->from = jinja_byte_of(text, span->start);
    span->to = span->is_empty ? span->from : jinja_byte_of(text, (size_t)end);
    return true;
}

/* The place of a text in code points, -1: it is not there. */
static bool search(struct jinja_run *run, const struct jinja_value *self,
                   struct jinja_args *args, bool last, int64_t *place)
{
    struct jinja_value v[3];
    struct span span;
    if (!jinja_bind(run, "find", "sub | start end", true, args, v) ||
        !need_text(run, "find", &v[0]) || !span_of(run, self->as.text, &v[1], &span) ||
        !jinja_step(run, self->as.text->size / 16))
        return false;
    const char *data = self->as.text->data;
    const struct jinja_text *what = v[0].as.text;
    const char *found = (last ? jinja_find_last_bytes : jinja_find_bytes)(
        data + span.from, span.to - span.from, what->data, what->size);
    *place = -1;
    if (!found || span.is_empty)
        return true;
    *place = (int64_t)jinja_code_points(data, (size_t)(found - data));
    return true;
}

static bool find_place(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, bool last, bool must,
                       struct jinja_value *out)
{
    int64_t place;
    if (!search(run, self, args, last, &place))
        return false;
    *out = jinja_int(place);
    return place >= 0 || !must || jinja_fail(run, "index: the text is not there");
}

static bool find(struct jinja_run *run, const struct jinja_value *self,
                 struct jinja_args *args, struct jinja_value *out)
{
    return find_place(run, self, args, false, false, out);
}

static bool rfind(struct jinja_run *run, const struct jinja_value *self,
                  struct jinja_args *args, struct jinja_value *out)
{
    return find_place(run, self, args, true, false, out);
}

static bool find_index(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, struct jinja_value *out)
{
    return find_place(run, self, args, false, true, out);
}

static bool rindex_of(struct jinja_run *run, const struct jinja_value *self,
                      struct jinja_args *args, struct jinja_value *out)
{
    return find_place(run, self, args, true, true, out);
}

static bool count(struct jinja_run *run, const struct jinja_value *self,
                  struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value v[3];
    struct span span;
    if (!jinja_bind(run, "count", "sub | start end", true, args, v) ||
        !need_text(run, "count", &v[0]) || !span_of(run, self->as.text, &v[1], &span) ||
        !jinja_step(run, self->as.text->size / 16))
        return false;
    const struct jinja_text *what = v[0].as.text;
    const char *at = self->as.text->data + span.from,
               *end = self->as.text->data + span.to;
    int64_t n = 0;
    if (span.is_empty) {
        *out = jinja_int(0);
        return true;
    }
    if (what->size == 0)
        n = (int64_t)jinja_code_points(at, span.to - span.from) + 1;
    else
        while ((at = jinja_find_bytes(at, (size_t)(end - at), what->data, what->size))) {
            at += what->size;
            n++;
        }
    *out = jinja_int(n);
    return true;
}

static bool has_end(const struct jinja_text *text, const struct span *span,
                    const struct jinja_text *what, bool at_end)
{
    const size_t size = span->to - span->from;
    if (span->is_empty || what->size > size)
        return false;
    const char *at = text->data + (at_end ? span->to - what->size : span->from);
    return memcmp(at, what->data, what->size) == 0;
}

static bool ends(struct jinja_run *run, const struct jinja_value *self,
                 struct jinja_args *args, bool at_end, struct jinja_value *out)
{
    const char *what = at_end ? "endswith" : "startswith";
    struct jinja_value v[3];
    struct span span;
    bool found = false;
    if (!jinja_bind(run, what, "prefix | start end", true, args, v) ||
        !span_of(run, self->as.text, &v[1], &span) ||
        !jinja_step(run, self->as.text->size / 256))
        return false;
    if (v[0].kind == JINJA_TUPLE) {
        for (size_t i = 0; !found && i < v[0].as.items->count; i++) {
            if (!need_text(run, what, &v[0].as.items->at[i]))
                return false;
            found = has_end(self->as.text, &span, v[0].as.items->at[i].as.text, at_end);
        }
    } else if (!need_text(run, what, &v[0])) {
        return false;
    } else {
        found = has_end(self->as.text, &span, v[0].as.text, at_end);
    }
    *out = jinja_bool(found);
    return true;
}

static bool startswith(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, struct jinja_value *out)
{
    return ends(run, self, args, false, out);
}

static bool endswith(struct jinja_run *run, const struct jinja_value *self,
                     struct jinja_args *args, struct jinja_value *out)
{
    return ends(run, self, args, true, out);
}

static bool remove_end(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, bool at_end, struct jinja_value *out)
{
    struct jinja_value what;
    if (!plain(run, self, "removeprefix", "prefix", args, &what) ||
        !need_text(run, "removeprefix", &what))
        return false;
    const struct jinja_text *text = self->as.text;
    const struct span all = { .to = text->size };
    const size_t cut = has_end(text, &all, what.as.text, at_end) ? what.as.text->size : 0;
    return jinja_string(run, text->data + (at_end ? 0 : cut), text->size - cut, out);
}

static bool removeprefix(struct jinja_run *run, const struct jinja_value *self,
                         struct jinja_args *args, struct jinja_value *out)
{
    return remove_end(run, self, args, false, out);
}

static bool removesuffix(struct jinja_run *run, const struct jinja_value *self,
                         struct jinja_args *args, struct jinja_value *out)
{
    return remove_end(run, self, args, true, out);
}

/* ---- padding ---- */

/* side: -1 the text stands left, 1 right, 0 in the middle */
static bool justify(struct jinja_run *run, const struct jinja_value *self,
                    struct jinja_args *args, int side, struct jinja_value *out)
{
    struct jinja_value v[2];
    int64_t width;
    if (!plain(run, self, "center", "width | fillchar", args, v) ||
        !whole_or(run, "center", &v[0], 0, &width))
        return false;
    if (v[1].kind == JINJA_MISSING && !jinja_string(run, " ", 1, &v[1]))
        return false;
    if (!need_text(run, "center", &v[1]))
        return false;
    if (v[1].as.text->count != 1)
        return jinja_fail(run, "center needs one character to fill with");
    const int64_t length = (int64_t)self->as.text->count;
    const int64_t all = width > length ? width - length : 0;
    const int64_t middle = all / 2 + (all & width & 1);
    const int64_t left = side < 0 ? 0 : side > 0 ? all : middle;
    return jinja_pad(run, self->as.text, (size_t)left, (size_t)(all - left), v[1].as.text,
                     out);
}

static bool center(struct jinja_run *run, const struct jinja_value *self,
                   struct jinja_args *args, struct jinja_value *out)
{
    return justify(run, self, args, 0, out);
}

static bool ljust(struct jinja_run *run, const struct jinja_value *self,
                  struct jinja_args *args, struct jinja_value *out)
{
    return justify(run, self, args, -1, out);
}

static bool rjust(struct jinja_run *run, const struct jinja_value *self,
                  struct jinja_args *args, struct jinja_value *out)
{
    return justify(run, self, args, 1, out);
}

static bool zfill(struct jinja_run *run, const struct jinja_value *self,
                  struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value width;
    struct jinja_buffer buffer = { 0 };
    if (!plain(run, self, "zfill", "width", args, &width))
        return false;
    if (!jinja_is_whole(&width))
        return jinja_fail(run, "zfill with a %s", jinja_type_name(&width));
    const struct jinja_text *text = self->as.text;
    const bool sign = text->size && (text->data[0] == '+' || text->data[0] == '-');
    bool good = !sign || jinja_write(run, &buffer, text->data, 1);
    for (int64_t i = (int64_t)text->count; good && i < jinja_whole(&width); i++)
        good = jinja_write(run, &buffer, "0", 1) && jinja_step(run, 1);
    good = good && jinja_write(run, &buffer, text->data + sign, text->size - sign);
    return jinja_buffer_take(run, &buffer, good, out);
}

const struct jinja_method jinja_string_methods[] = {
    { "strip", strip, false },
    { "split", split, false },
    { "startswith", startswith, false },
    { "endswith", endswith, false },
    { "replace", replace, false },
    { "lstrip", lstrip, false },
    { "rstrip", rstrip, false },
    { "upper", upper, false },
    { "lower", lower, false },
    { "join", join, false },
    { "format", jinja_str_format, false },
    { "title", title, false },
    { "capitalize", capitalize, false },
    { "casefold", casefold, false },
    { "swapcase", swapcase, false },
    { "rsplit", rsplit, false },
    { "splitlines", splitlines, false },
    { "partition", partition, false },
    { "rpartition", rpartition, false },
    { "find", find, false },
    { "rfind", rfind, false },
    { "index", find_index, false },
    { "rindex", rindex_of, false },
    { "count", count, false },
    { "removeprefix", removeprefix, false },
    { "removesuffix", removesuffix, false },
    { "center", center, false },
    { "ljust", ljust, false },
    { "rjust", rjust, false },
    { "zfill", zfill, false },
    { "encode", NULL, false },
    { "expandtabs", NULL, false },
    { "format_map", NULL, false },
    { "isidentifier", NULL, false },
    { "maketrans", NULL, false },
    { "translate", NULL, false },
    { 0 },
};

#define TEXT_IS(what)                                                            \
    static bool is_##what(struct jinja_run *run, const struct jinja_value *self, \
                          struct jinja_args *args, struct jinja_value *out)      \
    {                                                                            \
        *out = jinja_bool(jinja_text_is(self->as.text, #what));                  \
        return jinja_bind(run, "is" #what, "", true, args, NULL) &&              \
               jinja_step(run, self->as.text->size / 16);                        \
    }
TEXT_IS(alnum)
TEXT_IS(alpha)
TEXT_IS(ascii)
TEXT_IS(decimal)
TEXT_IS(digit)
TEXT_IS(lower)
TEXT_IS(numeric)
TEXT_IS(printable)
TEXT_IS(space)
TEXT_IS(title)
TEXT_IS(upper)

const struct jinja_method jinja_string_tests[] = {
    { "isalnum", is_alnum, false },     { "isalpha", is_alpha, false },
    { "isascii", is_ascii, false },     { "isdecimal", is_decimal, false },
    { "isdigit", is_digit, false },     { "islower", is_lower, false },
    { "isnumeric", is_numeric, false }, { "isprintable", is_printable, false },
    { "isspace", is_space, false },     { "istitle", is_title, false },
    { "isupper", is_upper, false },     { 0 },
};

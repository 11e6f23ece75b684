/* runtime/text/jinja_text.c
 * Texts cut, searched, replaced and padded, by code points as Python's str. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

/* For long texts: windows are compared by a rolling hash first, so that the time is that of
 * reading, also for texts made to be nearly equal everywhere. */
static const uint64_t hash_base = 0x9e3779b97f4a7c15;

static uint64_t hash_of(const char *data, size_t size)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < size; i++)
        hash = hash * hash_base + (uint8_t)data[i];
    return hash;
}

static uint64_t power_of(size_t n)
{
    uint64_t power = 1;
    while (n--)
        power *= hash_base;
    return power;
}

static const char *find_long(const char *in, size_t size, const char *what, size_t n)
{
    const uint64_t wanted = hash_of(what, n), first = power_of(n - 1);
    uint64_t hash = hash_of(in, n);
    for (size_t i = 0;; i++) {
        if (hash == wanted && memcmp(in + i, what, n) == 0)
            return in + i;
        if (i + n >= size)
            return NULL;
        hash = (hash - first * (uint8_t)in[i]) * hash_base + (uint8_t)in[i + n];
    }
}

const char *jinja_find_bytes(const char *in, size_t size, const char *what,
                             size_t what_size)
{
    enum { SHORT = 64 };
    if (what_size == 0)
        return in;
    if (what_size > size)
        return NULL;
    if (what_size > SHORT)
        return find_long(in, size, what, what_size);
    const char *end = in + size;
    while ((size_t)(end - in) >= what_size) {
        const char *at = memchr(in, what[0], (size_t)(end - in) - what_size + 1);
        if (!at)
            return NULL;
        if (memcmp(at, what, what_size) == 0)
            return at;
        in = at + 1;
    }
    return NULL;
}

/* The hash of the other direction: the first byte counts least. */
static uint64_t hash_backward(const char *data, size_t size)
{
    uint64_t hash = 0;
    while (size--)
        hash = hash * hash_base + (uint8_t)data[size];
    return hash;
}

const char *jinja_find_last_bytes(const char *in, size_t size, const char *what,
                                  size_t what_size)
{
    if (what_size > size)
        return NULL;
    if (what_size == 0)
        return in + size;
    const uint64_t wanted = hash_backward(what, what_size),
                   last = power_of(what_size - 1);
    uint64_t hash = hash_backward(in + size - what_size, what_size);
    for (size_t i = size - what_size;; i--) {
        if (hash == wanted && memcmp(in + i, what, what_size) == 0)
            return in + i;
        if (i == 0)
            return NULL;
        hash = (uint8_t)in[i - 1] +
               hash_base * (hash - last * (uint8_t)in[i + what_size - 1]);
    }
}

size_t jinja_byte_of(const struct jinja_text *text, size_t code_point)
{
    if (text->count == text->size)
        return code_point < text->size ? code_point : text->size;
    size_t at = 0;
    for (size_t i = 0; i < code_point && at < text->size; i++)
        jinja_decode(text->data, &at);
    return at;
}

static bool has_character(const struct jinja_text *chars, uint32_t c)
{
    if (!chars)
        return jinja_is_space(c);
    for (size_t at = 0; at < chars->size;)
        if (jinja_decode(chars->data, &at) == c)
            return true;
    return false;
}

bool jinja_strip(struct jinja_run *run, const struct jinja_text *text,
                 const struct jinja_value *chars, bool left, bool right,
                 struct jinja_value *out)
{
    const struct jinja_text *set = NULL;
    size_t from = 0, to = text->size;
    if (chars->kind == JINJA_STRING)
        set = chars->as.text;
    else if (chars->kind != JINJA_MISSING && chars->kind != JINJA_NONE)
        return jinja_fail(run, "strip of a %s", jinja_type_name(chars));
    while (left && from < to) {
        size_t next = from;
        if (!has_character(set, jinja_decode(text->data, &next)))
            break;
        from = next;
    }
    while (right && to > from) {
        size_t start = to - 1, next;
        while (((uint8_t)text->data[start] & 0xc0) == 0x80)
            start--;
        next = start;
        if (!has_character(set, jinja_decode(text->data, &next)))
            break;
        to = start;
    }
    return jinja_step(run, set ? (text->size - to + from) * (1 + set->size / 16)
                               : (text->size - to + from) / 16) &&
           jinja_string(run, text->data + from, to - from, out);
}

/* Between all characters: what Python does to replace an empty text. */
static bool replace_empty(struct jinja_run *run, const struct jinja_text *text,
                          const struct jinja_text *new_text, int64_t count,
                          struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    for (size_t at = 0; good;) {
        if (count != 0)
            good = jinja_write(run, &buffer, new_text->data, new_text->size) &&
                   jinja_step(run, 1);
        count -= count > 0;
        if (at >= text->size)
            break;
        const size_t from = at;
        jinja_decode(text->data, &at);
        good = good && jinja_write(run, &buffer, text->data + from, at - from);
    }
    return jinja_buffer_take(run, &buffer, good, out);
}

bool jinja_replace(struct jinja_run *run, const struct jinja_text *text,
                   const struct jinja_text *old, const struct jinja_text *new_text,
                   int64_t count, struct jinja_value *out)
{
    if (old->size == 0)
        return replace_empty(run, text, new_text, count, out);
    struct jinja_buffer buffer = { 0 };
    const char *at = text->data, *end = at + text->size, *found;
    bool good = jinja_step(run, text->size / 64);
    while (good && count != 0 &&
           (found = jinja_find_bytes(at, (size_t)(end - at), old->data, old->size))) {
        good = jinja_write(run, &buffer, at, (size_t)(found - at)) &&
               jinja_write(run, &buffer, new_text->data, new_text->size) &&
               jinja_step(run, 1);
        at = found + old->size;
        count -= count > 0;
    }
    good = good && jinja_write(run, &buffer, at, (size_t)(end - at));
    return jinja_buffer_take(run, &buffer, good, out);
}

static bool add_part(struct jinja_run *run, struct jinja_items *items, const char *data,
                     size_t size)
{
    struct jinja_value part;
    return jinja_string(run, data, size, &part) && jinja_list_add(run, items, part);
}

static bool is_line_end(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool jinja_splitlines(struct jinja_run *run, const struct jinja_text *text, bool keep,
                      struct jinja_value *out)
{
    struct jinja_value list;
    size_t from = 0;
    if (!jinja_step(run, text->size / 16) || !jinja_list_make(run, JINJA_LIST, 0, &list))
        return false;
    for (size_t at = 0; at < text->size;) {
        const size_t here = at;
        const uint32_t c = jinja_decode(text->data, &at);
        if (!is_line_end(c))
            continue;
        if (c == '\r' && at < text->size && text->data[at] == '\n')
            at++;
        if (!add_part(run, list.as.items, text->data + from, (keep ? at : here) - from))
            return false;
        from = at;
    }
    if (from < text->size &&
        !add_part(run, list.as.items, text->data + from, text->size - from))
        return false;
    *out = list;
    return true;
}

static void turn_around(struct jinja_items *items)
{
    for (size_t i = 0; i < items->count / 2; i++) {
        const struct jinja_value kept = items->at[i];
        items->at[i] = items->at[items->count - 1 - i];
        items->at[items->count - 1 - i] = kept;
    }
}

static bool split_by(struct jinja_run *run, const struct jinja_text *text,
                     const struct jinja_text *separator, int64_t most, bool from_right,
                     struct jinja_items *items)
{
    const char *from = text->data, *to = from + text->size, *found;
    while (most != 0 &&
           (found = (from_right ? jinja_find_last_bytes : jinja_find_bytes)(
                from, (size_t)(to - from), separator->data, separator->size))) {
        const char *behind = found + separator->size;
        if (from_right ? !add_part(run, items, behind, (size_t)(to - behind))
                       : !add_part(run, items, from, (size_t)(found - from)))
            return false;
        if (from_right)
            to = found;
        else
            from = behind;
        most -= most > 0;
    }
    if (!jinja_step(run, text->size / 64) ||
        !add_part(run, items, from, (size_t)(to - from)))
        return false;
    if (from_right)
        turn_around(items);
    return true;
}

static size_t character_before(const struct jinja_text *text, size_t at)
{
    at--;
    while (((uint8_t)text->data[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static bool split_space_right(struct jinja_run *run, const struct jinja_text *text,
                              int64_t most, struct jinja_items *items)
{
    size_t end = text->size;
    for (;; most -= most > 0) {
        size_t from, start;
        while (end > 0) {
            size_t next = start = character_before(text, end);
            if (!jinja_is_space(jinja_decode(text->data, &next)))
                break;
            end = start;
        }
        if (end == 0)
            break;
        for (from = most == 0 ? 0 : end; from > 0; from = start) {
            size_t next = start = character_before(text, from);
            if (jinja_is_space(jinja_decode(text->data, &next)))
                break;
        }
        if (!add_part(run, items, text->data + from, end - from))
            return false;
        if (most == 0)
            break;
        end = from;
    }
    turn_around(items);
    return true;
}

static bool split_space(struct jinja_run *run, const struct jinja_text *text,
                        int64_t most, struct jinja_items *items)
{
    for (size_t at = 0;; most -= most > 0) {
        size_t next = at;
        while (at < text->size && jinja_is_space(jinja_decode(text->data, &next)))
            at = next;
        if (at == text->size)
            return true;
        const size_t from = at;
        if (most == 0)
            return add_part(run, items, text->data + from, text->size - from);
        for (next = at; at < text->size; at = next)
            if (jinja_is_space(jinja_decode(text->data, &next)))
                break;
        if (!add_part(run, items, text->data + from, at - from))
            return false;
    }
}

bool jinja_split(struct jinja_run *run, const struct jinja_text *text,
                 const struct jinja_value *separator, int64_t most, bool from_right,
                 struct jinja_value *out)
{
    struct jinja_value list;
    bool good;
    if (!jinja_step(run, text->size / 16) || !jinja_list_make(run, JINJA_LIST, 0, &list))
        return false;
    if (separator->kind == JINJA_NONE || separator->kind == JINJA_MISSING) {
        good = from_right ? split_space_right(run, text, most, list.as.items)
                          : split_space(run, text, most, list.as.items);
    } else if (separator->kind != JINJA_STRING) {
        return jinja_fail(run, "split at a %s", jinja_type_name(separator));
    } else if (separator->as.text->size == 0) {
        return jinja_fail(run, "split at an empty text");
    } else {
        good = split_by(run, text, separator->as.text, most, from_right, list.as.items);
    }
    *out = list;
    return good;
}

bool jinja_pad(struct jinja_run *run, const struct jinja_text *text, size_t left,
               size_t right, const struct jinja_text *fill, struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    for (size_t i = 0; good && i < left; i++)
        good = jinja_write(run, &buffer, fill->data, fill->size) && jinja_step(run, 1);
    good = good && jinja_write(run, &buffer, text->data, text->size);
    for (size_t i = 0; good && i < right; i++)
        good = jinja_write(run, &buffer, fill->data, fill->size) && jinja_step(run, 1);
    return jinja_buffer_take(run, &buffer, good, out);
}

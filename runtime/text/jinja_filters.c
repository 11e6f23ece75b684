/* runtime/text/jinja_filters.c
 * Filters of texts, and the list of all filters. The first argument is the value. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

/* The value as text, as jinja2's soft_str: a text that is marked as safe stays so. */
static bool text_of(struct jinja_run *run, const struct jinja_value *v,
                    const struct jinja_text **text, bool *is_safe)
{
    *is_safe = v->kind == JINJA_STRING && v->is_safe;
    return jinja_to_text(run, v, text);
}

#define TEXT_FILTER(name, call)                                               \
    static bool filter_##name(struct jinja_run *run, struct jinja_args *args, \
                              struct jinja_value *out)                        \
    {                                                                         \
        struct jinja_value v;                                                 \
        const struct jinja_text *text;                                        \
        bool is_safe;                                                         \
        if (!jinja_bind(run, #name, "s", false, args, &v) ||                  \
            !text_of(run, &v, &text, &is_safe) || !(call))                    \
            return false;                                                     \
        out->is_safe = is_safe;                                               \
        return true;                                                          \
    }
TEXT_FILTER(upper, jinja_cased(run, text, JINJA_UPPER, out))
TEXT_FILTER(lower, jinja_cased(run, text, JINJA_LOWER, out))
TEXT_FILTER(capitalize, jinja_capitalize(run, text, out))

static bool filter_string(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v;
    const struct jinja_text *text;
    bool is_safe;
    if (!jinja_bind(run, "string", "s", false, args, &v) ||
        !text_of(run, &v, &text, &is_safe))
        return false;
    *out = jinja_of_text(text);
    out->is_safe = is_safe;
    return true;
}

static bool filter_safe(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v;
    const struct jinja_text *text;
    if (!jinja_bind(run, "safe", "value", false, args, &v) ||
        !jinja_to_text(run, &v, &text))
        return false;
    *out = jinja_of_text(text);
    out->is_safe = true;
    return true;
}

static bool filter_escape(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v;
    if (!jinja_bind(run, "escape", "s", true, args, &v))
        return false;
    if (v.kind == JINJA_STRING && v.is_safe) {
        *out = v;
        return true;
    }
    return jinja_escape(run, &v, out);
}

static bool filter_forceescape(struct jinja_run *run, struct jinja_args *args,
                               struct jinja_value *out)
{
    struct jinja_value v;
    return jinja_bind(run, "forceescape", "value", false, args, &v) &&
           jinja_escape(run, &v, out);
}

static bool filter_trim(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v[2];
    const struct jinja_text *text;
    bool is_safe;
    if (!jinja_bind(run, "trim", "value | chars", false, args, v) ||
        !text_of(run, &v[0], &text, &is_safe) ||
        !jinja_strip(run, text, &v[1], true, true, out))
        return false;
    out->is_safe = is_safe;
    return true;
}

static bool begins_word(uint32_t c)
{
    return jinja_is_space(c) || (c && c < 128 && strchr("-({[<", (int)c));
}

/* The rest of a word from *at, in small letters. */
static bool write_rest(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_text *text, size_t *at)
{
    struct jinja_value word;
    const size_t from = *at;
    for (size_t next = *at; next < text->size; *at = next)
        if (begins_word(jinja_decode(text->data, &next)))
            break;
    return jinja_string(run, text->data + from, *at - from, &word) &&
           jinja_cased(run, word.as.text, JINJA_LOWER, &word) &&
           jinja_print(run, buffer, &word);
}

/* Words begin behind white space, - and opening brackets. */
static bool filter_title(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v;
    struct jinja_buffer buffer = { 0 };
    const struct jinja_text *text;
    bool is_safe, good = true;
    if (!jinja_bind(run, "title", "s", false, args, &v) ||
        !text_of(run, &v, &text, &is_safe))
        return false;
    for (size_t at = 0; good && at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        good = begins_word(c) ? jinja_write_character(run, &buffer, c)
                              : jinja_write_case(run, &buffer, c, JINJA_UPPER) &&
                                    write_rest(run, &buffer, text, &at);
    }
    return jinja_buffer_take(run, &buffer, good, out);
}

static bool filter_replace(struct jinja_run *run, struct jinja_args *args,
                           struct jinja_value *out)
{
    struct jinja_value v[4];
    const struct jinja_text *texts[3];
    int64_t count = -1;
    if (!jinja_bind(run, "replace", "s old new | count", false, args, v))
        return false;
    for (int i = 0; i < 3; i++)
        if (!jinja_to_text(run, &v[i], &texts[i]))
            return false;
    if (v[3].kind != JINJA_MISSING && v[3].kind != JINJA_NONE) {
        if (!jinja_is_whole(&v[3]))
            return jinja_fail(run, "replace with a count that is a %s",
                              jinja_type_name(&v[3]));
        count = jinja_whole(&v[3]);
    }
    return jinja_replace(run, texts[0], texts[1], texts[2], count < 0 ? -1 : count, out);
}

bool jinja_whole_argument(struct jinja_run *run, const char *what,
                          const struct jinja_value *v, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (v->kind == JINJA_MISSING)
        return true;
    if (!jinja_is_whole(v))
        return jinja_fail(run, "%s with a %s", what, jinja_type_name(v));
    *out = jinja_whole(v);
    return true;
}

static bool filter_center(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v[2], space;
    const struct jinja_text *text;
    int64_t width;
    bool is_safe;
    if (!jinja_bind(run, "center", "value | width", false, args, v) ||
        !text_of(run, &v[0], &text, &is_safe) ||
        !jinja_whole_argument(run, "center", &v[1], 80, &width) ||
        !jinja_string(run, " ", 1, &space))
        return false;
    const int64_t length = (int64_t)text->count;
    const int64_t all = width > length ? width - length : 0;
    const int64_t left = all / 2 + (all & width & 1);
    if (!jinja_pad(run, text, (size_t)left, (size_t)(all - left), space.as.text, out))
        return false;
    out->is_safe = is_safe;
    return true;
}

/* Lines of a text, all but the first behind `by`; empty ones only if `blank`. */
static bool write_indented(struct jinja_run *run, struct jinja_buffer *buffer,
                           const struct jinja_items *lines, const struct jinja_text *by,
                           bool first, bool blank)
{
    if (first && !jinja_write(run, buffer, by->data, by->size))
        return false;
    for (size_t i = 0; i < lines->count; i++) {
        const struct jinja_text *line = lines->at[i].as.text;
        if ((i && !jinja_write(run, buffer, "\n", 1)) ||
            (i && (blank || line->size) &&
             !jinja_write(run, buffer, by->data, by->size)) ||
            !jinja_write(run, buffer, line->data, line->size))
            return false;
    }
    return true;
}

static bool filter_indent(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v[4], by, space, lines;
    struct jinja_value end, whole;
    struct jinja_buffer buffer = { 0 };
    if (!jinja_bind(run, "indent", "s | width first blank", false, args, v))
        return false;
    if (v[1].kind == JINJA_MISSING)
        v[1] = jinja_int(4);
    if (v[0].kind == JINJA_STRING && v[0].is_safe)
        return jinja_unsupported(run, "indent of a text that is marked as safe");
    /* s + "\n" fails for what is no text, as in jinja2 */
    if (!jinja_string(run, "\n", 1, &end) ||
        !jinja_binary(run, OP_ADD, &v[0], &end, &whole) ||
        !jinja_string(run, " ", 1, &space))
        return false;
    by = v[1];
    if (by.kind != JINJA_STRING && !jinja_binary(run, OP_MUL, &space, &v[1], &by))
        return false;
    if (!jinja_splitlines(run, whole.as.text, false, &lines))
        return false;
    const bool good = write_indented(run, &buffer, lines.as.items, by.as.text,
                                     jinja_truth(&v[2]), jinja_truth(&v[3]));
    return jinja_buffer_take(run, &buffer, good, out);
}

/* The first `length` characters, up to the last blank of them unless `inside`. */
static bool cut_text(struct jinja_run *run, const struct jinja_value *text,
                     int64_t length, bool inside, struct jinja_value *out)
{
    struct jinja_value space, list;
    const struct jinja_value bounds[3] = { jinja_none(), jinja_int(length),
                                           jinja_none() };
    if (!jinja_slice(run, text, bounds, out) || inside)
        return inside && run->st == RT_OK;
    if (!jinja_string(run, " ", 1, &space) ||
        !jinja_split(run, out->as.text, &space, 1, true, &list))
        return false;
    *out = list.as.items->at[0];
    return true;
}

/* Texts that are short enough, and everything that is empty, stay as they are. */
static bool truncate_text(struct jinja_run *run, const struct jinja_value *v,
                          int64_t length, int64_t leeway, bool inside,
                          const struct jinja_value *mark, struct jinja_value *out)
{
    struct jinja_value cut;
    size_t size;
    const int64_t end = (int64_t)mark->as.text->count;
    if (length < end || leeway < 0)
        return jinja_fail(run, "truncate to fewer characters than its end has");
    if (!jinja_length(run, v, &size))
        return false;
    *out = *v;
    if ((int64_t)size <= length + leeway)
        return true;
    if (v->kind != JINJA_STRING || v->is_safe)
        return jinja_unsupported(run, "truncate of a %s", jinja_type_name(v));
    return cut_text(run, v, length - end, inside, &cut) &&
           jinja_binary(run, OP_ADD, &cut, mark, out);
}

static bool filter_truncate(struct jinja_run *run, struct jinja_args *args,
                            struct jinja_value *out)
{
    struct jinja_value v[5];
    int64_t length, leeway;
    if (!jinja_bind(run, "truncate", "s | length killwords end leeway", false, args, v))
        return false;
    if (v[4].kind == JINJA_NONE)
        v[4] = jinja_missing();
    if (!jinja_whole_argument(run, "truncate", &v[1], 255, &length) ||
        !jinja_whole_argument(run, "truncate", &v[4], 5, &leeway) ||
        (v[3].kind == JINJA_MISSING && !jinja_string(run, "...", 3, &v[3])))
        return false;
    if (v[3].kind != JINJA_STRING)
        return jinja_unsupported(run, "truncate with an end that is a %s",
                                 jinja_type_name(&v[3]));
    return truncate_text(run, &v[0], length, leeway, jinja_truth(&v[2]), &v[3], out);
}

static bool filter_wordcount(struct jinja_run *run, struct jinja_args *args,
                             struct jinja_value *out)
{
    struct jinja_value v;
    const struct jinja_text *text;
    int64_t count = 0;
    bool in_word = false, is_safe;
    if (!jinja_bind(run, "wordcount", "s", false, args, &v) ||
        !text_of(run, &v, &text, &is_safe) || !jinja_step(run, text->size / 16))
        return false;
    for (size_t at = 0; at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        const bool word = jinja_is_alnum(c) || c == '_';
        count += word && !in_word;
        in_word = word;
    }
    *out = jinja_int(count);
    return true;
}

static bool filter_format(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value rest;
    const struct jinja_text *text;
    bool is_safe;
    if (!args->count)
        return jinja_fail(run, "format needs a text");
    if (!text_of(run, &args->at[0], &text, &is_safe))
        return false;
    if (is_safe)
        return jinja_unsupported(run, "format of a text that is marked as safe");
    if (args->count > 1 && args->named_count)
        return jinja_fail(run, "format takes positional or named arguments, not both");
    if (args->named_count) {
        if (!jinja_dict_make(run, &rest))
            return false;
        for (size_t i = 0; i < args->named_count; i++)
            if (!jinja_dict_set(run, rest.as.dict, jinja_of_text(args->named[i].name),
                                args->named[i].value))
                return false;
    } else {
        if (!jinja_list_make(run, JINJA_TUPLE, 0, &rest))
            return false;
        for (size_t i = 1; i < args->count; i++)
            if (!jinja_list_add(run, rest.as.items, args->at[i]))
                return false;
    }
    return jinja_percent(run, text, &rest, out);
}

const struct jinja_function jinja_text_filters[] = {
    { "trim", filter_trim },
    { "upper", filter_upper },
    { "lower", filter_lower },
    { "capitalize", filter_capitalize },
    { "title", filter_title },
    { "string", filter_string },
    { "safe", filter_safe },
    { "e", filter_escape },
    { "escape", filter_escape },
    { "forceescape", filter_forceescape },
    { "replace", filter_replace },
    { "center", filter_center },
    { "indent", filter_indent },
    { "truncate", filter_truncate },
    { "wordcount", filter_wordcount },
    { "format", filter_format },
    { "tojson", jinja_to_json },
    { "filesizeformat", NULL },
    { "pprint", NULL },
    { "random", NULL },
    { "striptags", NULL },
    { "urlencode", NULL },
    { "urlize", NULL },
    { "wordwrap", NULL },
    { "xmlattr", NULL },
    { 0 },
};

const struct jinja_function *jinja_filter_find(const char *name)
{
    static const struct jinja_function *const tables[] = { jinja_text_filters,
                                                           jinja_number_filters,
                                                           jinja_sequence_filters,
                                                           jinja_select_filters };
    for (size_t i = 0; i < RT_COUNT(tables); i++)
        for (const struct jinja_function *f = tables[i]; f->name; f++)
            if (strcmp(f->name, name) == 0)
                return f;
    return NULL;
}

/* runtime/text/jinja_compare.c
 * Equality, order and membership as Python has them, and a stable sort. */
#include "runtime/text/jinja_impl.h"

#include <math.h>
#include <string.h>

static int sign(bool less, bool greater)
{
    return less ? -1 : greater ? 1 : 0;
}

/* Whole numbers and floats by their exact values; 2 if one is no number. */
static int order_numbers(const struct jinja_value *a, const struct jinja_value *b)
{
    if (jinja_is_whole(a) && jinja_is_whole(b))
        return sign(jinja_whole(a) < jinja_whole(b), jinja_whole(a) > jinja_whole(b));
    if (a->kind == JINJA_FLOAT && b->kind == JINJA_FLOAT) {
        if (isnan(a->as.number) || isnan(b->as.number))
            return 2;
        return sign(a->as.number<b->as.number, a->as.number> b->as.number);
    }
    if (a->kind == JINJA_FLOAT) {
        const int reverse = order_numbers(b, a);
        return reverse == 2 ? 2 : -reverse;
    }
    const double d = b->as.number; /* a is whole */
    if (isnan(d))
        return 2;
    if (d >= 9223372036854775808.0)
        return -1;
    if (d < -9223372036854775808.0)
        return 1;
    const int64_t whole = (int64_t)d, i = jinja_whole(a);
    if (i != whole)
        return sign(i < whole, true);
    const double rest = d - (double)whole;
    return sign(rest > 0, rest < 0);
}

static int order_texts(const struct jinja_text *a, const struct jinja_text *b)
{
    const int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
    return order ? sign(order < 0, true) : sign(a->size<b->size, a->size> b->size);
}

bool jinja_same(const struct jinja_value *a, const struct jinja_value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case JINJA_MISSING:
    case JINJA_NONE:
        return true;
    case JINJA_BOOL:
        return a->as.truth == b->as.truth;
    case JINJA_INT:
        return a->as.integer == b->as.integer;
    case JINJA_FLOAT:
        return false;
    default:
        return a->as.text == b->as.text;
    }
}

static bool equal_items(struct jinja_run *run, const struct jinja_items *a,
                        const struct jinja_items *b, bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; *equal && i < a->count; i++)
        if (!jinja_equal(run, &a->at[i], &b->at[i], equal))
            return false;
    return true;
}

static bool equal_dicts(struct jinja_run *run, const struct jinja_dict *a,
                        const struct jinja_dict *b, bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; *equal && i < a->count; i++) {
        struct jinja_value other;
        if (!jinja_dict_get(run, b, a->keys[i], &other))
            return false;
        *equal = other.kind != JINJA_MISSING;
        if (*equal && !jinja_equal(run, &a->values[i], &other, equal))
            return false;
    }
    return true;
}

static bool equal_ranges(const struct jinja_range *a, const struct jinja_range *b)
{
    return a->count == b->count && (a->count == 0 || a->start == b->start) &&
           (a->count < 2 || a->step == b->step);
}

static bool equal_same_kind(struct jinja_run *run, const struct jinja_value *a,
                            const struct jinja_value *b, bool *equal)
{
    switch (a->kind) {
    case JINJA_UNDEFINED:
        *equal = true;
        return true;
    case JINJA_STRING:
        *equal = order_texts(a->as.text, b->as.text) == 0;
        return jinja_step(run, a->as.text->size / 256);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return equal_items(run, a->as.items, b->as.items, equal);
    case JINJA_DICT:
        return equal_dicts(run, a->as.dict, b->as.dict, equal);
    case JINJA_RANGE:
        *equal = equal_ranges(a->as.range, b->as.range);
        return true;
    case JINJA_VIEW:
    case JINJA_METHOD:
        return jinja_unsupported(run, "the comparison of a %s", jinja_type_name(a));
    default:
        *equal = jinja_same(a, b);
        return true;
    }
}

bool jinja_equal(struct jinja_run *run, const struct jinja_value *a,
                 const struct jinja_value *b, bool *equal)
{
    if (!jinja_step(run, 1) || !jinja_enter(run))
        return false;
    bool good = true;
    if (jinja_is_number(a) && jinja_is_number(b))
        *equal = order_numbers(a, b) == 0;
    else if (a->kind != b->kind)
        *equal = false;
    else
        good = equal_same_kind(run, a, b, equal);
    run->depth--;
    return good;
}

static bool order_items(struct jinja_run *run, const struct jinja_items *a,
                        const struct jinja_items *b, int *order)
{
    const size_t least = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < least; i++) {
        bool equal;
        if (!jinja_equal(run, &a->at[i], &b->at[i], &equal))
            return false;
        if (!equal)
            return jinja_order(run, &a->at[i], &b->at[i], order);
    }
    *order = sign(a->count<b->count, a->count> b->count);
    return true;
}

bool jinja_order(struct jinja_run *run, const struct jinja_value *a,
                 const struct jinja_value *b, int *order)
{
    if (!jinja_step(run, 1) || !jinja_enter(run))
        return false;
    bool good = true;
    if (jinja_is_number(a) && jinja_is_number(b))
        *order = order_numbers(a, b);
    else if (a->kind == JINJA_STRING && b->kind == JINJA_STRING) {
        *order = order_texts(a->as.text, b->as.text);
        good = jinja_step(run, a->as.text->size / 256);
    } else if (a->kind == b->kind && (a->kind == JINJA_LIST || a->kind == JINJA_TUPLE))
        good = order_items(run, a->as.items, b->as.items, order);
    else if (a->kind == JINJA_UNDEFINED || b->kind == JINJA_UNDEFINED)
        good = jinja_fail_undefined(run, a->kind == JINJA_UNDEFINED ? a : b);
    else if (a->kind == JINJA_VIEW && b->kind == JINJA_VIEW)
        good = jinja_unsupported(run, "the order of views of dicts");
    else
        good = jinja_fail(run, "a %s and a %s have no order", jinja_type_name(a),
                          jinja_type_name(b));
    run->depth--;
    return good;
}

bool jinja_compare(struct jinja_run *run, enum jinja_op op, const struct jinja_value *a,
                   const struct jinja_value *b, bool *result)
{
    int order;
    if (op == OP_IN || op == OP_NOT_IN) {
        const bool good = jinja_contains(run, a, b, result);
        *result = *result != (op == OP_NOT_IN);
        return good;
    }
    if (op == OP_EQ || op == OP_NE) {
        const bool good = jinja_equal(run, a, b, result);
        *result = *result != (op == OP_NE);
        return good;
    }
    if (!jinja_order(run, a, b, &order))
        return false;
    switch (op) {
    case OP_LT:
        *result = order == -1;
        break;
    case OP_LE:
        *result = order == -1 || order == 0;
        break;
    case OP_GT:
        *result = order == 1;
        break;
    default:
        *result = order == 1 || order == 0;
    }
    return true;
}

static bool contains_text(struct jinja_run *run, const struct jinja_value *item,
                          const struct jinja_text *in, bool *result)
{
    if (item->kind != JINJA_STRING)
        return jinja_fail(run, "a %s cannot be in a string", jinja_type_name(item));
    const struct jinja_text *what = item->as.text;
    *result = jinja_find_bytes(in->data, in->size, what->data, what->size) != NULL;
    return jinja_step(run, in->size / 16);
}

bool jinja_contains(struct jinja_run *run, const struct jinja_value *item,
                    const struct jinja_value *in, bool *result)
{
    struct jinja_cursor cursor;
    struct jinja_value at;
    *result = false;
    if (in->kind == JINJA_STRING)
        return contains_text(run, item, in->as.text, result);
    if (in->kind == JINJA_DICT ||
        (in->kind == JINJA_VIEW && in->as.view->kind == JINJA_KEYS)) {
        const struct jinja_dict *dict =
            in->kind == JINJA_DICT ? in->as.dict : in->as.view->dict;
        if (!jinja_dict_get(run, dict, *item, &at))
            return false;
        *result = at.kind != JINJA_MISSING;
        return true;
    }
    if (!jinja_iterate(run, in, &cursor))
        return false;
    for (;;) {
        if (!jinja_next(run, &cursor, &at))
            return false;
        if (at.kind == JINJA_MISSING)
            return true;
        if (!jinja_equal(run, &at, item, result))
            return false;
        if (*result)
            return true;
    }
}

/* ---- sort: merge sort of indices ---- */

static bool merge(struct jinja_run *run, const struct jinja_value *keys, bool reverse,
                  size_t *order, size_t *spare, size_t count)
{
    if (count < 2)
        return true;
    const size_t half = count / 2;
    if (!merge(run, keys, reverse, order, spare, half) ||
        !merge(run, keys, reverse, order + half, spare, count - half))
        return false;
    memcpy(spare, order, half * sizeof *spare);
    size_t left = 0, right = half, to = 0;
    while (left < half && right < count) {
        const struct jinja_value *a = &keys[spare[left]], *b = &keys[order[right]];
        int sense; /* the right one goes first only if it is less; greater in reverse */
        if (!jinja_order(run, reverse ? a : b, reverse ? b : a, &sense))
            return false;
        order[to++] = sense == -1 ? order[right++] : spare[left++];
    }
    while (left < half)
        order[to++] = spare[left++];
    return true;
}

bool jinja_sort(struct jinja_run *run, const struct jinja_value *keys, size_t count,
                bool reverse, size_t *order)
{
    size_t *spare = jinja_take(run, count + 1, sizeof *spare);
    if (!spare)
        return false;
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    return merge(run, keys, reverse, order, spare, count);
}

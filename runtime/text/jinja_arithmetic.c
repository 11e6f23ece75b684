/* runtime/text/jinja_arithmetic.c
 * The operators + - * / // % ** as Python has them, on 64 bits: what is larger is refused. */
#include "runtime/text/jinja_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool too_large(struct jinja_run *run)
{
    return jinja_unsupported(run, "a whole number of more than 64 bits");
}

static bool add(int64_t a, int64_t b, int64_t *out)
{
    if ((b > 0 && a > INT64_MAX - b) || (b < 0 && a < INT64_MIN - b))
        return false;
    *out = a + b;
    return true;
}

static bool subtract(int64_t a, int64_t b, int64_t *out)
{
    if ((b < 0 && a > INT64_MAX + b) || (b > 0 && a < INT64_MIN + b))
        return false;
    *out = a - b;
    return true;
}

static bool multiply(int64_t a, int64_t b, int64_t *out)
{
    if (a == 0 || b == 0) {
        *out = 0;
        return true;
    }
    if (a == INT64_MIN || b == INT64_MIN || llabs(a) > INT64_MAX / llabs(b))
        return false;
    *out = a * b;
    return true;
}

static bool power(int64_t a, int64_t b, int64_t *out)
{
    int64_t result = 1;
    if (a == 0 || a == 1 || a == -1) {
        *out = b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a;
        return true;
    }
    if (b > 63)
        return false;
    for (int64_t i = 0; i < b; i++)
        if (!multiply(result, a, &result))
            return false;
    *out = result;
    return true;
}

static bool float_power(struct jinja_run *run, double a, double b,
                        struct jinja_value *out)
{
    if (a == 0 && b < 0)
        return jinja_fail(run, "0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return jinja_unsupported(run, "a complex number");
    const double result = pow(a, b);
    if (isinf(result) && isfinite(a) && isfinite(b))
        return jinja_fail(run, "a result is too large");
    *out = jinja_float(result);
    return true;
}

static bool divide_whole(struct jinja_run *run, enum jinja_op op, int64_t a, int64_t b,
                         struct jinja_value *out)
{
    const int64_t exact = (int64_t)1 << 53;
    if (b == 0)
        return jinja_fail(run, "a division by zero");
    if (op == OP_DIV) {
        if (a > exact || a < -exact || b > exact || b < -exact)
            return jinja_unsupported(run, "a division of numbers above 2^53");
        *out = jinja_float((double)a / (double)b);
        return true;
    }
    if (b == -1) {
        if (op == OP_FLOORDIV && a == INT64_MIN)
            return too_large(run);
        *out = jinja_int(op == OP_MOD ? 0 : -a);
        return true;
    }
    int64_t quotient = a / b, rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = jinja_int(op == OP_MOD ? rest : quotient);
    return true;
}

static bool whole(struct jinja_run *run, enum jinja_op op, int64_t a, int64_t b,
                  struct jinja_value *out)
{
    int64_t result = 0;
    bool fits;
    switch (op) {
    case OP_ADD:
        fits = add(a, b, &result);
        break;
    case OP_SUB:
        fits = subtract(a, b, &result);
        break;
    case OP_MUL:
        fits = multiply(a, b, &result);
        break;
    case OP_POW:
        if (b < 0)
            return float_power(run, (double)a, (double)b, out);
        fits = power(a, b, &result);
        break;
    default:
        return divide_whole(run, op, a, b, out);
    }
    *out = jinja_int(result);
    return fits || too_large(run);
}

static bool divide_floats(struct jinja_run *run, enum jinja_op op, double a, double b,
                          struct jinja_value *out)
{
    if (b == 0)
        return jinja_fail(run, "a division by zero");
    if (op == OP_DIV) {
        *out = jinja_float(a / b);
        return true;
    }
    double rest = fmod(a, b), quotient = (a - rest) / b;
    if (rest != 0) {
        if ((b < 0) != (rest < 0)) {
            rest += b;
            quotient -= 1;
        }
    } else {
        rest = copysign(0, b);
    }
    if (op == OP_MOD) {
        *out = jinja_float(rest);
        return true;
    }
    double result = copysign(0, a / b);
    if (quotient != 0) {
        result = floor(quotient);
        if (quotient - result > 0.5)
            result += 1;
    }
    *out = jinja_float(result);
    return true;
}

static bool floats(struct jinja_run *run, enum jinja_op op, double a, double b,
                   struct jinja_value *out)
{
    switch (op) {
    case OP_ADD:
        *out = jinja_float(a + b);
        return true;
    case OP_SUB:
        *out = jinja_float(a - b);
        return true;
    case OP_MUL:
        *out = jinja_float(a * b);
        return true;
    case OP_POW:
        return float_power(run, a, b, out);
    default:
        return divide_floats(run, op, a, b, out);
    }
}

/* ---- texts and lists ---- */

static bool join_texts(struct jinja_run *run, const struct jinja_value *a,
                       const struct jinja_value *b, struct jinja_value *out)
{
    struct jinja_value left = *a, right = *b;
    const bool is_safe = a->is_safe || b->is_safe;
    if (is_safe && ((!a->is_safe && !jinja_escape(run, a, &left)) ||
                    (!b->is_safe && !jinja_escape(run, b, &right))))
        return false;
    struct jinja_buffer buffer = { 0 };
    const bool good = jinja_write(run, &buffer, left.as.text->data, left.as.text->size) &&
                      jinja_write(run, &buffer, right.as.text->data, right.as.text->size);
    if (!jinja_buffer_take(run, &buffer, good, out))
        return false;
    out->is_safe = is_safe;
    return true;
}

static bool join_lists(struct jinja_run *run, const struct jinja_value *a,
                       const struct jinja_value *b, struct jinja_value *out)
{
    const struct jinja_value *parts[] = { a, b };
    if (!jinja_list_make(run, a->kind, a->as.items->count + b->as.items->count, out))
        return false;
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < parts[p]->as.items->count; i++)
            if (!jinja_list_add(run, out->as.items, parts[p]->as.items->at[i]))
                return false;
    return true;
}

static bool repeat(struct jinja_run *run, const struct jinja_value *v, int64_t times,
                   struct jinja_value *out)
{
    if (times < 0)
        times = 0;
    if (v->kind == JINJA_STRING) {
        struct jinja_buffer buffer = { 0 };
        bool good = true;
        if (v->as.text->size == 0)
            times = 0;
        for (int64_t i = 0; good && i < times; i++)
            good = jinja_write(run, &buffer, v->as.text->data, v->as.text->size) &&
                   jinja_step(run, 1);
        good = jinja_buffer_take(run, &buffer, good, out);
        out->is_safe = v->is_safe;
        return good;
    }
    if (!jinja_list_make(run, v->kind, 0, out))
        return false;
    if (v->as.items->count == 0)
        times = 0;
    for (int64_t i = 0; i < times; i++)
        for (size_t j = 0; j < v->as.items->count; j++)
            if (!jinja_list_add(run, out->as.items, v->as.items->at[j]))
                return false;
    return true;
}

static bool is_sequence(const struct jinja_value *v)
{
    return v->kind == JINJA_STRING || v->kind == JINJA_LIST || v->kind == JINJA_TUPLE;
}

static bool is_undefined(const struct jinja_value *v)
{
    return v->kind == JINJA_UNDEFINED;
}

/* Operators of values that are no numbers. */
static bool sequences(struct jinja_run *run, enum jinja_op op,
                      const struct jinja_value *a, const struct jinja_value *b,
                      struct jinja_value *out)
{
    static const char *const signs[] = {
        [OP_ADD] = "+",       [OP_SUB] = "-", [OP_MUL] = "*", [OP_DIV] = "/",
        [OP_FLOORDIV] = "//", [OP_MOD] = "%", [OP_POW] = "**"
    };
    if (op == OP_ADD && a->kind == b->kind && is_sequence(a))
        return a->kind == JINJA_STRING ? join_texts(run, a, b, out)
                                       : join_lists(run, a, b, out);
    if (op == OP_MUL && is_sequence(a) && jinja_is_whole(b))
        return repeat(run, a, jinja_whole(b), out);
    if (op == OP_MUL && is_sequence(b) && jinja_is_whole(a))
        return repeat(run, b, jinja_whole(a), out);
    if (op == OP_SUB && (a->kind == JINJA_VIEW || b->kind == JINJA_VIEW))
        return jinja_unsupported(run, "an operator on views of dicts");
    return jinja_fail(run, "`%s` of a %s and a %s", signs[op], jinja_type_name(a),
                      jinja_type_name(b));
}

bool jinja_binary(struct jinja_run *run, enum jinja_op op, const struct jinja_value *a,
                  const struct jinja_value *b, struct jinja_value *out)
{
    if (jinja_is_whole(a) && jinja_is_whole(b))
        return whole(run, op, jinja_whole(a), jinja_whole(b), out);
    if (jinja_is_number(a) && jinja_is_number(b))
        return floats(run, op, jinja_number(a), jinja_number(b), out);
    if (op == OP_MOD && a->kind == JINJA_STRING)
        return a->is_safe ? jinja_unsupported(run, "%% of a text that is marked as safe")
                          : jinja_percent(run, a->as.text, b, out);
    if (is_undefined(a) || is_undefined(b))
        return jinja_fail_undefined(run, is_undefined(a) ? a : b);
    return sequences(run, op, a, b, out);
}

bool jinja_negative(struct jinja_run *run, const struct jinja_value *v,
                    struct jinja_value *out)
{
    if (v->kind == JINJA_FLOAT) {
        *out = jinja_float(-v->as.number);
        return true;
    }
    const struct jinja_value zero = jinja_int(0);
    if (jinja_is_whole(v))
        return whole(run, OP_SUB, 0, jinja_whole(v), out);
    return jinja_binary(run, OP_SUB, v, &zero, out);
}

bool jinja_int_of_float(struct jinja_run *run, double number, struct jinja_value *out)
{
    if (!isfinite(number))
        return jinja_fail(run, "%f is no whole number", number);
    if (number >= 9223372036854775808.0 || number <= -9223372036854775809.0)
        return too_large(run);
    *out = jinja_int((int64_t)number);
    return true;
}

/* Half to even, as Python's round of whole numbers with negative places. */
static bool round_whole(struct jinja_run *run, int64_t v, int64_t places,
                        struct jinja_value *out)
{
    int64_t unit = 1;
    *out = jinja_int(v);
    if (places >= 0)
        return true;
    if (places < -18) {
        *out = jinja_int(0);
        return true;
    }
    for (int64_t i = places; i < 0; i++)
        unit *= 10;
    int64_t rest = v % unit, base = v - rest;
    if (rest < 0) {
        if (base < INT64_MIN + unit)
            return too_large(run);
        rest += unit;
        base -= unit;
    }
    const bool up = rest > unit - rest || (rest == unit - rest && base / unit % 2 != 0);
    if (up && !add(base, unit, &base))
        return too_large(run);
    *out = jinja_int(base);
    return true;
}

bool jinja_round(struct jinja_run *run, const struct jinja_value *v, int64_t places,
                 struct jinja_value *out)
{
    char room[512];
    if (jinja_is_whole(v))
        return round_whole(run, jinja_whole(v), places, out);
    if (v->kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, v);
    if (v->kind != JINJA_FLOAT)
        return jinja_fail(run, "a %s cannot be rounded", jinja_type_name(v));
    double number = v->as.number;
    if (places < 0 && isfinite(number))
        return jinja_unsupported(run, "a float rounded before its point");
    if (isfinite(number) && places <= 100) {
        snprintf(room, sizeof room, "%.*f", (int)places, number);
        number = strtod(room, NULL);
    }
    *out = jinja_float(number);
    return true;
}

/* runtime/text/jinja_tests.c
 * What stands behind `is`. The first argument is the value. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

/* Most tests only look at the kind of a value. */
static bool one(struct jinja_run *run, struct jinja_args *args, struct jinja_value *v)
{
    return jinja_bind(run, "a test", "value", true, args, v);
}

#define KIND_TEST(name, condition)                                          \
    static bool test_##name(struct jinja_run *run, struct jinja_args *args, \
                            struct jinja_value *out)                        \
    {                                                                       \
        struct jinja_value v;                                               \
        if (!one(run, args, &v))                                            \
            return false;                                                   \
        *out = jinja_bool(condition);                                       \
        return true;                                                        \
    }
KIND_TEST(defined, v.kind != JINJA_UNDEFINED)
KIND_TEST(undefined, v.kind == JINJA_UNDEFINED)
KIND_TEST(none, v.kind == JINJA_NONE)
KIND_TEST(boolean, v.kind == JINJA_BOOL)
KIND_TEST(true, v.kind == JINJA_BOOL && v.as.truth)
KIND_TEST(false, v.kind == JINJA_BOOL && !v.as.truth)
KIND_TEST(integer, v.kind == JINJA_INT)
KIND_TEST(float, v.kind == JINJA_FLOAT)
KIND_TEST(number, jinja_is_number(&v))
KIND_TEST(string, v.kind == JINJA_STRING)
KIND_TEST(mapping, v.kind == JINJA_DICT)
KIND_TEST(iterable, jinja_is_iterable(&v))
KIND_TEST(escaped, v.kind == JINJA_STRING && v.is_safe)
KIND_TEST(sequence, v.kind == JINJA_STRING || v.kind == JINJA_LIST ||
                        v.kind == JINJA_TUPLE || v.kind == JINJA_DICT ||
                        v.kind == JINJA_RANGE || v.kind == JINJA_UNDEFINED)
KIND_TEST(callable, v.kind == JINJA_MACRO || v.kind == JINJA_FUNCTION ||
                        v.kind == JINJA_METHOD || v.kind == JINJA_LOOP ||
                        v.kind == JINJA_JOINER || v.kind == JINJA_UNDEFINED)

/* value % by, which must be a number's: what odd, even and divisibleby compare. */
static bool rest_is(struct jinja_run *run, const struct jinja_value *value, int64_t by,
                    int64_t wanted, struct jinja_value *out)
{
    const struct jinja_value divisor = jinja_int(by), rest = jinja_int(wanted);
    struct jinja_value result;
    bool equal;
    if (!jinja_binary(run, OP_MOD, value, &divisor, &result) ||
        !jinja_equal(run, &result, &rest, &equal))
        return false;
    *out = jinja_bool(equal);
    return true;
}

static bool test_odd(struct jinja_run *run, struct jinja_args *args,
                     struct jinja_value *out)
{
    struct jinja_value v;
    return one(run, args, &v) && rest_is(run, &v, 2, 1, out);
}

static bool test_even(struct jinja_run *run, struct jinja_args *args,
                      struct jinja_value *out)
{
    struct jinja_value v;
    return one(run, args, &v) && rest_is(run, &v, 2, 0, out);
}

static bool test_divisibleby(struct jinja_run *run, struct jinja_args *args,
                             struct jinja_value *out)
{
    struct jinja_value v[2], result;
    const struct jinja_value zero = jinja_int(0);
    bool equal;
    if (!jinja_bind(run, "divisibleby", "value num", false, args, v) ||
        !jinja_binary(run, OP_MOD, &v[0], &v[1], &result) ||
        !jinja_equal(run, &result, &zero, &equal))
        return false;
    *out = jinja_bool(equal);
    return true;
}

static bool has_case(struct jinja_run *run, struct jinja_args *args, const char *what,
                     struct jinja_value *out)
{
    struct jinja_value v;
    const struct jinja_text *text;
    if (!one(run, args, &v) || !jinja_to_text(run, &v, &text))
        return false;
    *out = jinja_bool(jinja_text_is(text, what));
    return jinja_step(run, text->size / 16);
}

static bool test_lower(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    return has_case(run, args, "lower", out);
}

static bool test_upper(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    return has_case(run, args, "upper", out);
}

/* The same object: small values are, for the others it is told by their memory. */
static bool test_sameas(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v[2];
    if (!jinja_bind(run, "sameas", "value other", false, args, v))
        return false;
    const bool small = v[0].kind == JINJA_NONE || v[0].kind == JINJA_BOOL;
    if (v[0].kind == v[1].kind && !small)
        return jinja_unsupported(run, "the test sameas of a %s", jinja_type_name(&v[0]));
    *out = jinja_bool(jinja_same(&v[0], &v[1]));
    return true;
}

static bool test_compare(struct jinja_run *run, struct jinja_args *args, enum jinja_op op,
                         struct jinja_value *out)
{
    struct jinja_value v[2];
    bool result;
    if (!jinja_bind(run, "a comparison", "a b", op != OP_IN, args, v) ||
        !jinja_compare(run, op, &v[0], &v[1], &result))
        return false;
    *out = jinja_bool(result);
    return true;
}

#define COMPARE_TEST(name, op)                                              \
    static bool test_##name(struct jinja_run *run, struct jinja_args *args, \
                            struct jinja_value *out)                        \
    {                                                                       \
        return test_compare(run, args, op, out);                            \
    }
COMPARE_TEST(eq, OP_EQ)
COMPARE_TEST(ne, OP_NE)
COMPARE_TEST(lt, OP_LT)
COMPARE_TEST(le, OP_LE)
COMPARE_TEST(gt, OP_GT)
COMPARE_TEST(ge, OP_GE)

static bool test_in(struct jinja_run *run, struct jinja_args *args,
                    struct jinja_value *out)
{
    struct jinja_value v[2];
    bool result;
    if (!jinja_bind(run, "in", "value seq", false, args, v) ||
        !jinja_contains(run, &v[0], &v[1], &result))
        return false;
    *out = jinja_bool(result);
    return true;
}

static bool test_filter(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v;
    if (!one(run, args, &v))
        return false;
    *out = jinja_bool(v.kind == JINJA_STRING && jinja_filter_find(v.as.text->data));
    return jinja_hashable(&v) ||
           jinja_fail(run, "a %s names no filter", jinja_type_name(&v));
}

static bool test_test(struct jinja_run *run, struct jinja_args *args,
                      struct jinja_value *out)
{
    struct jinja_value v;
    if (!one(run, args, &v))
        return false;
    *out = jinja_bool(v.kind == JINJA_STRING && jinja_test_find(v.as.text->data));
    return jinja_hashable(&v) ||
           jinja_fail(run, "a %s names no test", jinja_type_name(&v));
}

const struct jinja_function *jinja_test_find(const char *name)
{
    static const struct jinja_function tests[] = {
        { "defined", test_defined },
        { "undefined", test_undefined },
        { "none", test_none },
        { "boolean", test_boolean },
        { "true", test_true },
        { "false", test_false },
        { "integer", test_integer },
        { "float", test_float },
        { "number", test_number },
        { "string", test_string },
        { "mapping", test_mapping },
        { "iterable", test_iterable },
        { "escaped", test_escaped },
        { "sequence", test_sequence },
        { "callable", test_callable },
        { "odd", test_odd },
        { "even", test_even },
        { "divisibleby", test_divisibleby },
        { "lower", test_lower },
        { "upper", test_upper },
        { "sameas", test_sameas },
        { "in", test_in },
        { "eq", test_eq },
        { "equalto", test_eq },
        { "==", test_eq },
        { "ne", test_ne },
        { "!=", test_ne },
        { "lt", test_lt },
        { "<", test_lt },
        { "lessthan", test_lt },
        { "le", test_le },
        { "<=", test_le },
        { "gt", test_gt },
        { ">", test_gt },
        { "greaterthan", test_gt },
        { "ge", test_ge },
        { ">=", test_ge },
        { "filter", test_filter },
        { "test", test_test },
    };
    for (size_t i = 0; i < RT_COUNT(tests); i++)
        if (strcmp(tests[i].name, name) == 0)
            return &tests[i];
    return NULL;
}

/* runtime/vk/vk_freeze.c
 * Puts the values of specialization constants into a kernel's SPIR-V. One pass: decorations
 * precede constants, and a constant precedes what is computed from it. */
#include "runtime/vk/vk_freeze.h"

#include <assert.h>
#include <string.h>

/* Numbers of the SPIR-V specification (unified1, sections 3.20 and 3.37). */
enum {
    HEADER_WORDS = 5,
    BOUND = 3, /* word of the header: all ids are below */
    DECORATION_SPEC_ID = 1,
    FIRST_SPEC_ID = 10, /* of our kernels */

    OP_TYPE_BOOL = 20,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_CONSTANT_TRUE = 41,
    OP_CONSTANT_FALSE = 42,
    OP_CONSTANT = 43,
    OP_SPEC_CONSTANT_TRUE = 48,
    OP_SPEC_CONSTANT_FALSE = 49,
    OP_SPEC_CONSTANT = 50,
    OP_SPEC_CONSTANT_OP = 52,
    OP_DECORATE = 71,

    OP_S_NEGATE = 126,
    OP_I_ADD = 128,
    OP_I_SUB = 130,
    OP_I_MUL = 132,
    OP_U_DIV = 134,
    OP_S_DIV = 135,
    OP_U_MOD = 137,
    OP_S_MOD = 139,
    OP_LOGICAL_OR = 166,
    OP_LOGICAL_AND = 167,
    OP_LOGICAL_NOT = 168,
    OP_SELECT = 169,
    OP_I_EQUAL = 170,
    OP_I_NOT_EQUAL = 171,
    OP_U_GREATER = 172,
    OP_S_GREATER = 173,
    OP_U_GREATER_EQUAL = 174,
    OP_S_GREATER_EQUAL = 175,
    OP_U_LESS = 176,
    OP_S_LESS = 177,
    OP_U_LESS_EQUAL = 178,
    OP_S_LESS_EQUAL = 179,
    OP_SHIFT_RIGHT_LOGICAL = 194,
    OP_SHIFT_LEFT = 196,
    OP_BITWISE_OR = 197,
    OP_BITWISE_AND = 199,
};

/* WORD_TYPE: integers and floats of 32 bits. */
enum kind { OTHER = 0, BOOL_TYPE, WORD_TYPE, VALUE };

/* What is known of an id. */
struct id {
    enum kind kind;
    uint32_t value;    /* VALUE: its bits, a truth as 0 or 1 */
    uint32_t constant; /* its specialization constant, if it is one */
    bool is_decorated;
};

struct freezer {
    struct id *ids;
    uint32_t *out;
    size_t used; /* words of `out` */
    const uint32_t *spec;
    uint32_t spec_count;
};

static void put(struct freezer *f, const uint32_t *w, uint32_t count)
{
    memcpy(f->out + f->used, w, count * sizeof *w);
    f->used += count;
}

/* A plain constant of that type; the type is one of BOOL_TYPE or WORD_TYPE. */
static void put_value(struct freezer *f, uint32_t type, uint32_t id, uint32_t value)
{
    if (f->ids[type].kind == BOOL_TYPE)
        put(f,
            (uint32_t[]){ 3u << 16 | (value ? OP_CONSTANT_TRUE : OP_CONSTANT_FALSE), type,
                          id },
            3);
    else
        put(f, (uint32_t[]){ 4u << 16 | OP_CONSTANT, type, id, value }, 4);
    f->ids[id].kind = VALUE;
    f->ids[id].value = value;
}

/* The given value of a specialization constant, or `otherwise`. */
static uint32_t given(const struct freezer *f, uint32_t id, uint32_t otherwise)
{
    const struct id *i = &f->ids[id];
    if (!i->is_decorated || i->constant < FIRST_SPEC_ID ||
        i->constant - FIRST_SPEC_ID >= f->spec_count)
        return otherwise;
    return f->spec[i->constant - FIRST_SPEC_ID];
}

/* ---- operations on constants ---- */

static bool compare(uint32_t op, int32_t a, int32_t b, uint32_t *result)
{
    switch (op) {
    case OP_I_EQUAL:
        *result = a == b;
        return true;
    case OP_I_NOT_EQUAL:
        *result = a != b;
        return true;
    case OP_U_GREATER:
        *result = (uint32_t)a > (uint32_t)b;
        return true;
    case OP_S_GREATER:
        *result = a > b;
        return true;
    case OP_U_GREATER_EQUAL:
        *result = (uint32_t)a >= (uint32_t)b;
        return true;
    case OP_S_GREATER_EQUAL:
        *result = a >= b;
        return true;
    case OP_U_LESS:
        *result = (uint32_t)a < (uint32_t)b;
        return true;
    case OP_S_LESS:
        *result = a < b;
        return true;
    case OP_U_LESS_EQUAL:
        *result = (uint32_t)a <= (uint32_t)b;
        return true;
    case OP_S_LESS_EQUAL:
        *result = a <= b;
        return true;
    default:
        return false;
    }
}

/* Division by 0, and of what is below 0, is left: no kernel does that. */
static bool divide(uint32_t op, uint32_t a, uint32_t b, uint32_t *result)
{
    const bool is_signed = op == OP_S_DIV || op == OP_S_MOD;
    if (b == 0 || (is_signed && ((int32_t)a < 0 || (int32_t)b < 0)))
        return false;
    *result = op == OP_U_DIV || op == OP_S_DIV ? a / b : a % b;
    return true;
}

static bool compute(uint32_t op, uint32_t a, uint32_t b, uint32_t *result)
{
    switch (op) {
    case OP_I_ADD:
        *result = a + b;
        return true;
    case OP_I_SUB:
        *result = a - b;
        return true;
    case OP_I_MUL:
        *result = a * b;
        return true;
    case OP_U_DIV:
    case OP_S_DIV:
    case OP_U_MOD:
    case OP_S_MOD:
        return divide(op, a, b, result);
    case OP_SHIFT_RIGHT_LOGICAL:
        *result = a >> (b & 31);
        return b < 32;
    case OP_SHIFT_LEFT:
        *result = a << (b & 31);
        return b < 32;
    case OP_BITWISE_OR:
    case OP_LOGICAL_OR:
        *result = a | b;
        return true;
    case OP_BITWISE_AND:
    case OP_LOGICAL_AND:
        *result = a & b;
        return true;
    default:
        return compare(op, (int32_t)a, (int32_t)b, result);
    }
}

/* OpSpecConstantOp: type, result, opcode, operands. False: not all of it is known. */
static bool fold(const struct freezer *f, const uint32_t *w, uint32_t count,
                 uint32_t *result)
{
    uint32_t v[3] = { 0 };
    const uint32_t op = w[3], operands = count - 4;
    if (f->ids[w[1]].kind != BOOL_TYPE && f->ids[w[1]].kind != WORD_TYPE)
        return false;
    if (operands < 1 || operands > 3)
        return false;
    for (uint32_t i = 0; i < operands; i++) {
        if (f->ids[w[4 + i]].kind != VALUE)
            return false;
        v[i] = f->ids[w[4 + i]].value;
    }
    if (op == OP_SELECT && operands == 3) {
        *result = v[0] ? v[1] : v[2];
        return true;
    }
    if (op == OP_LOGICAL_NOT && operands == 1) {
        *result = !v[0];
        return true;
    }
    if (op == OP_S_NEGATE && operands == 1) {
        *result = 0u - v[0];
        return true;
    }
    return operands == 2 && compute(op, v[0], v[1], result);
}

/* ---- the pass ---- */

/* What an instruction that stays tells of ids. */
static void note(struct freezer *f, const uint32_t *w, uint32_t count)
{
    const uint32_t op = w[0] & 0xffff;
    if (op == OP_TYPE_BOOL) {
        f->ids[w[1]].kind = BOOL_TYPE;
    } else if ((op == OP_TYPE_INT || op == OP_TYPE_FLOAT) && w[2] == 32) {
        f->ids[w[1]].kind = WORD_TYPE;
    } else if (op == OP_CONSTANT_TRUE || op == OP_CONSTANT_FALSE) {
        f->ids[w[2]].kind = VALUE;
        f->ids[w[2]].value = op == OP_CONSTANT_TRUE;
    } else if (op == OP_CONSTANT && count == 4 && f->ids[w[1]].kind == WORD_TYPE) {
        f->ids[w[2]].kind = VALUE;
        f->ids[w[2]].value = w[3];
    }
}

static void freeze_one(struct freezer *f, const uint32_t *w, uint32_t count)
{
    uint32_t result;
    switch (w[0] & 0xffff) {
    case OP_DECORATE:
        if (w[2] != DECORATION_SPEC_ID)
            break;
        f->ids[w[1]].constant = w[3];
        f->ids[w[1]].is_decorated = true;
        return;
    case OP_SPEC_CONSTANT_TRUE:
    case OP_SPEC_CONSTANT_FALSE:
        put_value(f, w[1], w[2],
                  given(f, w[2], (w[0] & 0xffff) == OP_SPEC_CONSTANT_TRUE) != 0);
        return;
    case OP_SPEC_CONSTANT:
        assert(count == 4 && f->ids[w[1]].kind == WORD_TYPE); /* ours have 32 bits */
        put_value(f, w[1], w[2], given(f, w[2], w[3]));
        return;
    case OP_SPEC_CONSTANT_OP:
        if (!fold(f, w, count, &result))
            break;
        put_value(f, w[1], w[2], result);
        return;
    default:
        break;
    }
    note(f, w, count);
    put(f, w, count);
}

rt_status vk_freeze(struct rt_ctx *ctx, const uint32_t *words, size_t size,
                    const uint32_t *spec, uint32_t count, uint32_t **out,
                    size_t *out_size)
{
    const size_t n = size / sizeof *words;
    assert(n > HEADER_WORDS);
    struct freezer f = { .spec = spec, .spec_count = count };
    f.ids = rt_alloc(ctx, words[BOUND], sizeof *f.ids);
    f.out = rt_alloc(ctx, n, sizeof *f.out); /* no instruction grows */
    if (!f.ids || !f.out) {
        rt_free(f.ids);
        rt_free(f.out);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "the code of a kernel");
    }
    put(&f, words, HEADER_WORDS);
    for (size_t i = HEADER_WORDS; i < n; i += words[i] >> 16) {
        assert(words[i] >> 16 > 0 && i + (words[i] >> 16) <= n);
        freeze_one(&f, words + i, words[i] >> 16);
    }
    rt_free(f.ids);
    *out = f.out;
    *out_size = f.used * sizeof *f.out;
    return RT_OK;
}

/* vk_freeze: specialization constants become plain ones, and so does what is computed from
 * them; the rest of a module stays word for word. */
#include "runtime/vk/vk.h"
#include "runtime/vk/vk_freeze.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum {
    HEADER = 5,
    DECORATE = 71,
    SPEC_ID = 1,
    TYPE_BOOL = 20,
    TYPE_INT = 21,
    TYPE_FLOAT = 22,
    TRUE_ = 41,
    FALSE_ = 42,
    CONSTANT = 43,
    SPEC_TRUE = 48,
    SPEC_FALSE = 49,
    SPEC = 50,
    SPEC_OP = 52,
    FUNCTION = 54,
    WORDS_MAX = 256
};

/* Ids of the modules made here. */
enum { BOOL = 1, INT, FLOAT, A, B, C, T, F, TWO, R, BOUND = 40 };

struct module {
    uint32_t words[WORDS_MAX], count;
};

static void put(struct module *m, uint32_t op, uint32_t count, const uint32_t *operands)
{
    assert_true(m->count + count + 1 <= WORDS_MAX);
    m->words[m->count++] = (count + 1) << 16 | op;
    memcpy(m->words + m->count, operands, count * sizeof *operands);
    m->count += count;
}
#define PUT(m, op, ...)                                              \
    put(m, op, sizeof(uint32_t[]){ __VA_ARGS__ } / sizeof(uint32_t), \
        (uint32_t[]){ __VA_ARGS__ })

static void begin(struct module *m)
{
    *m =
        (struct module){ .words = { 0x07230203, 0x10300, 0, BOUND, 0 }, .count = HEADER };
}

static void types(struct module *m)
{
    PUT(m, TYPE_BOOL, BOOL);
    PUT(m, TYPE_INT, INT, 32, 1);
    PUT(m, TYPE_FLOAT, FLOAT, 32);
}

static void expect(const struct module *in, const struct module *wanted)
{
    static const uint32_t spec[] = { 7, 0, 1 }; /* of 10, 11, 12 */
    struct rt_ctx ctx = { 0 };
    uint32_t *out = NULL;
    size_t size = 0;
    assert_int_equal(
        vk_freeze(&ctx, in->words, in->count * 4, spec, RT_COUNT(spec), &out, &size),
        RT_OK);
    assert_int_equal(size, wanted->count * 4);
    assert_memory_equal(out, wanted->words, size);
    rt_free(out);
}

static void constants_take_their_values(void **state)
{
    (void)state;
    struct module in, wanted;
    begin(&in);
    begin(&wanted);
    PUT(&in, DECORATE, A, SPEC_ID, 10);
    PUT(&in, DECORATE, B, SPEC_ID, 13); /* is not given */
    PUT(&in, DECORATE, T, SPEC_ID, 11);
    PUT(&in, DECORATE, F, SPEC_ID, 12);
    PUT(&in, DECORATE, R, 34, 0);
    PUT(&wanted, DECORATE, R, 34, 0);
    types(&in);
    types(&wanted);
    PUT(&in, SPEC, INT, A, 4);
    PUT(&wanted, CONSTANT, INT, A, 7);
    PUT(&in, SPEC, INT, B, 4);
    PUT(&wanted, CONSTANT, INT, B, 4);
    PUT(&in, SPEC, INT, C, 9); /* without a number */
    PUT(&wanted, CONSTANT, INT, C, 9);
    PUT(&in, SPEC_TRUE, BOOL, T);
    PUT(&wanted, FALSE_, BOOL, T);
    PUT(&in, SPEC_FALSE, BOOL, F);
    PUT(&wanted, TRUE_, BOOL, F);
    PUT(&in, CONSTANT, FLOAT, TWO, 0x40000000);
    PUT(&wanted, CONSTANT, FLOAT, TWO, 0x40000000);
    expect(&in, &wanted);
}

static void operations_are_computed(void **state)
{
    (void)state;
    static const struct {
        uint32_t op, a, b, type, result;
    } cases[] = {
        { 128, 7, 2, INT, 9 },
        { 130, 2, 7, INT, (uint32_t)-5 },
        { 132, 7, 2, INT, 14 },
        { 134, 7, 2, INT, 3 },
        { 134, (uint32_t)-2, 2, INT, 0x7fffffff },
        { 135, 7, 2, INT, 3 },
        { 137, 7, 4, INT, 3 },
        { 139, 7, 4, INT, 3 },
        { 166, 0, 1, BOOL, 1 },
        { 167, 0, 1, BOOL, 0 },
        { 170, 7, 7, BOOL, 1 },
        { 170, 7, 2, BOOL, 0 },
        { 171, 7, 2, BOOL, 1 },
        { 172, (uint32_t)-7, 2, BOOL, 1 },
        { 173, 2, 7, BOOL, 0 },
        { 173, 2, (uint32_t)-7, BOOL, 1 },
        { 174, 7, 7, BOOL, 1 },
        { 175, 7, 7, BOOL, 1 },
        { 175, (uint32_t)-1, 0, BOOL, 0 },
        { 176, 2, (uint32_t)-7, BOOL, 1 },
        { 177, 2, 7, BOOL, 1 },
        { 178, 7, 2, BOOL, 0 },
        { 179, 7, 2, BOOL, 0 },
        { 194, 0x80000000u, 3, INT, 0x10000000 },
        { 196, 5, 2, INT, 20 },
        { 197, 5, 2, INT, 7 },
        { 199, 5, 4, INT, 4 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct module in, wanted;
        const bool truths = cases[i].op == 166 || cases[i].op == 167;
        begin(&in);
        types(&in);
        if (truths) {
            PUT(&in, cases[i].a ? TRUE_ : FALSE_, BOOL, A);
            PUT(&in, cases[i].b ? TRUE_ : FALSE_, BOOL, B);
        } else {
            PUT(&in, CONSTANT, INT, A, cases[i].a);
            PUT(&in, CONSTANT, INT, B, cases[i].b);
        }
        wanted = in;
        PUT(&in, SPEC_OP, cases[i].type, R, cases[i].op, A, B);
        if (cases[i].type == BOOL)
            PUT(&wanted, cases[i].result ? TRUE_ : FALSE_, BOOL, R);
        else
            PUT(&wanted, CONSTANT, INT, R, cases[i].result);
        expect(&in, &wanted);
    }
}

static void a_result_is_known_to_what_follows(void **state)
{
    (void)state;
    struct module in, wanted;
    begin(&in);
    types(&in);
    wanted = in;
    PUT(&in, SPEC, INT, A, 4);
    PUT(&wanted, CONSTANT, INT, A, 4);
    PUT(&in, SPEC_OP, BOOL, T, 170, A, A);
    PUT(&wanted, TRUE_, BOOL, T);
    PUT(&in, SPEC_OP, BOOL, F, 168, T); /* not */
    PUT(&wanted, FALSE_, BOOL, F);
    PUT(&in, SPEC_OP, INT, B, 128, A, A);
    PUT(&wanted, CONSTANT, INT, B, 8);
    PUT(&in, SPEC_OP, INT, C, 169, F, A, B); /* select */
    PUT(&wanted, CONSTANT, INT, C, 8);
    PUT(&in, CONSTANT, FLOAT, TWO, 0x40000000);
    PUT(&wanted, CONSTANT, FLOAT, TWO, 0x40000000);
    PUT(&in, SPEC_OP, FLOAT, R, 169, T, TWO, TWO);
    PUT(&wanted, CONSTANT, FLOAT, R, 0x40000000);
    expect(&in, &wanted);
}

/* Of other operations, other types and a division by 0 the module keeps what it has. */
static void what_is_not_known_stays(void **state)
{
    (void)state;
    struct module in, wanted;
    begin(&in);
    types(&in);
    PUT(&in, CONSTANT, INT, A, 4);
    PUT(&in, CONSTANT, INT, B, 0);
    PUT(&in, CONSTANT, FLOAT, TWO, 0x40000000);
    PUT(&in, SPEC_OP, INT, R, 135, A, B);
    PUT(&in, SPEC_OP, INT, R + 1, 198, A, B);
    PUT(&in, SPEC_OP, INT, R + 2, 128, A, R);
    PUT(&in, SPEC_OP, FLOAT, R + 3, 129, TWO, TWO);
    wanted = in;
    expect(&in, &wanted);
}

/* Position of the first instruction of that opcode; the count of words if there is none. */
static size_t find(const uint32_t *words, size_t count, uint32_t op)
{
    size_t i = HEADER;
    while (i < count && (words[i] & 0xffff) != op)
        i += words[i] >> 16;
    return i;
}

static void no_kernel_keeps_one(void **state)
{
    (void)state;
    static const uint32_t values[][VK_SPEC_MAX] = {
        { 64, 0, 2, 0, 64, 16, 16, 16, 4 }, /* of 4 subgroups */
        { 32, 5, 4, 5, 64, 16, 16, 16, 2 },
    };
    uint32_t shorter = 0;
    for (uint32_t k = 0; k < vk_kernel_count; k++)
        for (size_t v = 0; v < RT_COUNT(values); v++) {
            const struct vk_kernel_info *kernel = &vk_kernel_table[k];
            struct rt_ctx ctx = { 0 };
            uint32_t *out = NULL;
            size_t size = 0;
            assert_int_equal(vk_freeze(&ctx, kernel->words, kernel->size, values[v],
                                       VK_SPEC_MAX, &out, &size),
                             RT_OK);
            for (size_t i = HEADER; i < size / 4; i += out[i] >> 16) {
                const uint32_t op = out[i] & 0xffff;
                if (op == SPEC_TRUE || op == SPEC_FALSE || op == SPEC || op == SPEC_OP ||
                    (op == DECORATE && out[i + 2] == SPEC_ID))
                    fail_msg("%s/%s: an instruction %u is left, of operation %u",
                             rt_op_table[kernel->op].name, kernel->name, op, out[i + 3]);
            }
            const size_t before = find(kernel->words, kernel->size / 4, FUNCTION);
            const size_t after = find(out, size / 4, FUNCTION);
            assert_int_equal(kernel->size / 4 - before, size / 4 - after);
            assert_memory_equal(kernel->words + before, out + after, size - 4 * after);
            shorter += size < kernel->size;
            rt_free(out);
        }
    assert_true(shorter > 100); /* most have such constants */
}

static void want_of_memory_is_told(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= 2; at++) {
        struct rt_ctx ctx = { .alloc_fail_at = at };
        uint32_t *out = NULL;
        size_t size = 0;
        assert_int_equal(vk_freeze(&ctx, vk_kernel_table[0].words,
                                   vk_kernel_table[0].size, NULL, 0, &out, &size),
                         RT_ERR_HOST_MEMORY);
        assert_null(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_take_their_values),
        cmocka_unit_test(operations_are_computed),
        cmocka_unit_test(a_result_is_known_to_what_follows),
        cmocka_unit_test(what_is_not_known_stays),
        cmocka_unit_test(no_kernel_keeps_one),
        cmocka_unit_test(want_of_memory_is_told),
    };
    return cmocka_run_group_tests_name("freeze", tests, NULL, NULL);
}

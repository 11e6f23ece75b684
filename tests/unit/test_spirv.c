/* The compiled kernels against the list of ops: bindings, their kinds, who may write.
 * With FAULTLINE_SPIRV_DIR set, every kernel is also written there as <op>_<name>.spv,
 * for spirv-val and other tools. Committed SPIR-V is what its source gives, where the glslc
 * that made it is there (GLSLC, bench/spirv.sh). */
#include "runtime/op/weight.h"
#include "runtime/vk/vk.h"
#include "runtime/vk/vk_freeze.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* The few numbers of the SPIR-V specification that are needed here. */
enum {
    SPIRV_MAGIC = 0x07230203,
    SPIRV_HEADER_WORDS = 5,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_IMAGE = 25,
    OP_TYPE_SAMPLED_IMAGE = 27,
    OP_TYPE_STRUCT = 30,
    OP_TYPE_POINTER = 32,
    OP_VARIABLE = 59,
    OP_DECORATE = 71,
    OP_MEMBER_DECORATE = 72,
    DECORATION_NON_WRITABLE = 24,
    DECORATION_NON_READABLE = 25,
    DECORATION_BINDING = 33,
    DECORATION_SET = 34,
    STORAGE_UNIFORM_CONSTANT = 0,
    STORAGE_UNIFORM = 2,
    STORAGE_BUFFER = 12,
};

/* What one id of a module is. */
struct id_info {
    uint32_t type;         /* of a pointer: what it points to; of an image: its texels */
    uint32_t kind;         /* the opcode that made it */
    uint32_t storage;      /* storage class of a variable */
    uint32_t pointer;      /* type id of a variable */
    uint32_t binding, set; /* UINT32_MAX: not decorated */
    bool non_writable, non_readable; /* itself, or a member of the struct */
};

static void read_decoration(struct id_info *info, uint32_t decoration, uint32_t value)
{
    if (decoration == DECORATION_BINDING)
        info->binding = value;
    else if (decoration == DECORATION_SET)
        info->set = value;
    else if (decoration == DECORATION_NON_WRITABLE)
        info->non_writable = true;
    else if (decoration == DECORATION_NON_READABLE)
        info->non_readable = true;
}

static void read_instruction(struct id_info *ids, const uint32_t *w, uint32_t count)
{
    const uint32_t op = w[0] & 0xffff;
    if (op == OP_DECORATE && count >= 3)
        read_decoration(&ids[w[1]], w[2], count > 3 ? w[3] : 0);
    else if (op == OP_MEMBER_DECORATE && count >= 4)
        read_decoration(&ids[w[1]], w[3], 0);
    else if (op == OP_TYPE_POINTER)
        ids[w[1]].type = w[3];
    else if (op == OP_TYPE_IMAGE || op == OP_TYPE_SAMPLED_IMAGE)
        ids[w[1]].type = w[2];
    else if (op == OP_VARIABLE) {
        ids[w[2]].pointer = w[1];
        ids[w[2]].storage = w[3];
        ids[w[2]].kind = op;
    }
    if (op == OP_TYPE_IMAGE || op == OP_TYPE_SAMPLED_IMAGE || op == OP_TYPE_STRUCT ||
        op == OP_TYPE_FLOAT || op == OP_TYPE_INT)
        ids[w[1]].kind = op;
}

static struct id_info *read_module(const struct vk_kernel_info *kernel, uint32_t *bound)
{
    const size_t words = kernel->size / 4;
    assert_true(words > SPIRV_HEADER_WORDS && kernel->words[0] == SPIRV_MAGIC);
    *bound = kernel->words[3];
    struct id_info *ids = calloc(*bound, sizeof *ids);
    assert_non_null(ids);
    for (uint32_t i = 0; i < *bound; i++)
        ids[i].binding = ids[i].set = UINT32_MAX;
    for (size_t i = SPIRV_HEADER_WORDS; i < words;) {
        const uint32_t count = kernel->words[i] >> 16;
        assert_true(count > 0 && i + count <= words);
        read_instruction(ids, kernel->words + i, count);
        i += count;
    }
    return ids;
}

/* One variable with a binding against the letter of ops.def and of kernels.txt. */
static const char *check_binding(const struct id_info *ids,
                                 const struct id_info *variable, char access, char path)
{
    const struct id_info *type = &ids[ids[variable->pointer].type];
    if (variable->set != 0)
        return "is not in set 0";
    if (path == 's') {
        if (variable->storage != STORAGE_BUFFER && variable->storage != STORAGE_UNIFORM)
            return "is no storage buffer, kernels.txt says so";
        const bool non_writable = variable->non_writable || type->non_writable;
        if (access == 'r' && !non_writable)
            return "is only read (ops.def) but not marked readonly";
        if (access != 'r' && non_writable)
            return "is written (ops.def) but marked readonly";
        return NULL;
    }
    if (type->kind == OP_TYPE_SAMPLED_IMAGE)
        type = &ids[type->type];
    if (variable->storage != STORAGE_UNIFORM_CONSTANT || type->kind != OP_TYPE_IMAGE)
        return "is no texel buffer, kernels.txt says so";
    if (ids[type->type].kind != (path == 't' ? OP_TYPE_FLOAT : OP_TYPE_INT))
        return "has texels of the other type";
    return access == 'r' ? NULL : "is written (ops.def) but a texel buffer is read only";
}

static void bindings_are_those_of_the_op(void **state)
{
    (void)state;
    uint32_t seen = 0, wrong = 0;
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        const struct vk_kernel_info *kernel = &vk_kernel_table[k];
        const struct rt_op_info *op = &rt_op_table[kernel->op];
        if (strlen(kernel->paths) != op->binding_count)
            fail_msg("%s %s: %zu paths for %u bindings", op->name, kernel->name,
                     strlen(kernel->paths), op->binding_count);
        uint32_t bound;
        struct id_info *ids = read_module(kernel, &bound);
        for (uint32_t i = 0; i < bound; i++) {
            if (ids[i].kind != OP_VARIABLE || ids[i].binding == UINT32_MAX)
                continue;
            const uint32_t b = ids[i].binding;
            const char *why =
                b >= op->binding_count
                    ? "is not in ops.def"
                    : check_binding(ids, &ids[i], op->bindings[b], kernel->paths[b]);
            if (why)
                print_error("%s %s: binding %u %s\n", op->name, kernel->name, b, why);
            wrong += why != NULL;
            seen++;
        }
        free(ids);
    }
    assert_true(seen >= vk_kernel_count);
    assert_int_equal(wrong, 0);
}

static void every_op_has_a_kernel(void **state)
{
    (void)state;
    for (int op = 0; op < RT_OP_COUNT; op++) {
        uint32_t kernels = 0;
        for (uint32_t k = 0; k < vk_kernel_count; k++)
            kernels += vk_kernel_table[k].op == (enum rt_op)op;
        if (kernels == 0)
            fail_msg("%s has no kernel in kernels.txt", rt_op_table[op].name);
    }
}

/* Kernels that differ in the operand path alone serve the same plans: a kernel of the
 * plan's own family goes first, and would otherwise push the faster path aside. */
static void paths_of_a_kernel_share_a_family(void **state)
{
    (void)state;
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < vk_kernel_count; i++)
        for (uint32_t j = 0; j < vk_kernel_count; j++) {
            const struct vk_kernel_info *a = &vk_kernel_table[i],
                                        *b = &vk_kernel_table[j];
            if (a->op != b->op || strncmp(a->name, "texel", 5) != 0 ||
                strncmp(b->name, "storage", 7) != 0 ||
                strcmp(a->name + 5, b->name + 7) != 0)
                continue;
            pairs++;
            if (a->family != b->family)
                fail_msg("op %s: kernels %s and %s are of different families",
                         rt_op_table[a->op].name, a->name, b->name);
        }
    assert_true(pairs > 0);
}

static void write_words(const char *path, const uint32_t *words, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(words, 1, size, file) != size)
        fail_msg("%s: cannot be written", path);
    assert_int_equal(fclose(file), 0);
}

/* Each as it was compiled, and as drivers get it: with plain constants. */
static void kernels_are_written_out(void **state)
{
    (void)state;
    static const uint32_t spec[VK_SPEC_MAX] = { 32, 5, 4, RT_FORM_K32, 64 };
    const char *folder = getenv("FAULTLINE_SPIRV_DIR");
    if (!folder) {
        print_message("FAULTLINE_SPIRV_DIR is not set\n");
        skip();
    }
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        const struct vk_kernel_info *kernel = &vk_kernel_table[k];
        char path[1024];
        struct rt_ctx ctx = { 0 };
        uint32_t *frozen = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s_%s.spv", folder, rt_op_table[kernel->op].name,
                 kernel->name);
        write_words(path, kernel->words, kernel->size);
        assert_int_equal(vk_freeze(&ctx, kernel->words, kernel->size, spec, VK_SPEC_MAX,
                                   &frozen, &size),
                         RT_OK);
        snprintf(path, sizeof path, "%s/%s_%s.frozen.spv", folder,
                 rt_op_table[kernel->op].name, kernel->name);
        write_words(path, frozen, size);
        rt_free(frozen);
    }
}

static void committed_code_matches_its_source(void **state)
{
    (void)state;
    const int status = system("sh " TEST_SOURCE_DIR "/bench/spirv.sh --check");
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bindings_are_those_of_the_op),
        cmocka_unit_test(every_op_has_a_kernel),
        cmocka_unit_test(paths_of_a_kernel_share_a_family),
        cmocka_unit_test(kernels_are_written_out),
        cmocka_unit_test(committed_code_matches_its_source),
    };
    return cmocka_run_group_tests_name("spirv", tests, NULL, NULL);
}

#include "tests/support/pack_model.h"

#include "runtime/format/peft.h"
#include "runtime/format/safetensors.h"
#include "runtime/train/train.h"
#include "runtime/op/weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 32, TENSORS_MAX = 256 };

static const char *const packings[TEST_PACKING_COUNT] = {
    [TEST_AWQ] = "awq",
    [TEST_GPTQ] = "gptq",
    [TEST_GPTQ_16] = "gptq, groups of 16",
    [TEST_GPTQ_ORDER] = "gptq, act-order",
    [TEST_GPTQ_OWN_ORDERS] = "gptq, own act-orders",
    [TEST_GPTQ_MIXED] = "gptq, own act-orders, mixed",
    [TEST_FP8] = "fp8",
    [TEST_NVFP4] = "nvfp4",
    [TEST_MXFP4] = "mxfp4",
    [TEST_NF4] = "nf4",
};

const char *test_packing_name(enum test_packing packing)
{
    return packings[packing];
}

/* A file under construction; it owns names and data. */
struct file {
    struct fmt_tensor_out tensors[TENSORS_MAX];
    char names[TENSORS_MAX][128];
    uint32_t count;
};

static void *add(struct file *f, const char *name, const char *suffix,
                 enum fmt_dtype dtype, uint32_t bytes, uint64_t rows, uint64_t cols)
{
    assert_true(f->count < TENSORS_MAX);
    void *data = calloc(rows * (cols ? cols : 1), bytes);
    assert_non_null(data);
    snprintf(f->names[f->count], sizeof f->names[0], "%s%s", name, suffix);
    f->tensors[f->count] = (struct fmt_tensor_out){ .name = f->names[f->count],
                                                    .dtype = dtype,
                                                    .dims = cols ? 2 : 1,
                                                    .shape = { rows, cols },
                                                    .data = data };
    f->count++;
    return data;
}

static void write_file(struct file *f, const char *path)
{
    struct rt_ctx ctx = { 0 };
    assert_int_equal(fmt_safetensors_write(&ctx, path, f->tensors, f->count, NULL),
                     RT_OK);
    for (uint32_t i = 0; i < f->count; i++)
        free((void *)(uintptr_t)f->tensors[i].data);
    free(f);
}

/* Puts the low `bits` bits of a value at bit `at` of a row of words. */
static void put_bits(uint32_t *words, uint64_t stride, uint64_t at, uint32_t bits,
                     uint32_t value)
{
    for (uint32_t b = 0; b < bits; b++)
        words[(at + b) / 32 * stride] |= (value >> b & 1) << ((at + b) % 32);
}

struct matrix {
    uint32_t out, in, groups, bits;
    uint32_t *group; /* of each column */
    uint32_t seed;
    bool biased; /* the model has a bias for it */
    enum test_packing packing;
};

static uint32_t code_of(const struct matrix *m, uint32_t r, uint32_t k)
{
    return train_word(m->seed, r, k) >> (32 - m->bits);
}

static uint32_t zero_of(const struct matrix *m, uint32_t r, uint32_t g)
{
    const uint32_t middle = 1u << (m->bits - 1);
    return middle + train_word(m->seed + 1, r, g) % 2;
}

/* A half between 0.0078 and 0.0156 times 8 / 2^(bits-1): weights of the usual size. */
static uint16_t scale_of(const struct matrix *m, uint32_t r, uint32_t g)
{
    return (uint16_t)((12 - m->bits) << 10 | (train_word(m->seed + 2, r, g) & 1023));
}

/* A random order of the columns, every group full. */
static void shuffle_groups(struct matrix *m, uint32_t seed)
{
    uint32_t *order = calloc(m->in, sizeof *order);
    train_order(seed, 0, m->in, order);
    for (uint32_t j = 0; j < m->in; j++)
        m->group[order[j]] = j / GROUP;
    free(order);
}

static void add_gptq(struct file *f, const char *name, const struct matrix *m)
{
    uint32_t *codes = add(f, name, ".qweight", FMT_I32, 4, m->in * m->bits / 32, m->out);
    uint32_t *zeros =
        add(f, name, ".qzeros", FMT_I32, 4, m->groups, m->out * m->bits / 32);
    uint16_t *scales = add(f, name, ".scales", FMT_F16, 2, m->groups, m->out);
    uint32_t *order = add(f, name, ".g_idx", FMT_I32, 4, m->in, 0);
    if (!m->biased) /* of zeros, as some tools write them */
        (void)add(f, name, ".bias", FMT_F32, 4, m->out, 0);
    for (uint32_t k = 0; k < m->in; k++) {
        order[k] = m->group[k];
        for (uint32_t r = 0; r < m->out; r++)
            put_bits(codes + r, m->out, (uint64_t)k * m->bits, m->bits, code_of(m, r, k));
    }
    for (uint32_t g = 0; g < m->groups; g++)
        for (uint32_t r = 0; r < m->out; r++) {
            scales[g * m->out + r] = scale_of(m, r, g);
            put_bits(zeros + g * (m->out * m->bits / 32), 1, (uint64_t)r * m->bits,
                     m->bits, zero_of(m, r, g) - 1);
        }
}

static void add_awq(struct file *f, const char *name, const struct matrix *m)
{
    static const uint32_t column[8] = { 0, 2, 4, 6, 1, 3, 5, 7 }; /* of nibble i */
    const uint32_t words = m->out / 8;
    uint32_t *codes = add(f, name, ".qweight", FMT_I32, 4, m->in, words);
    uint32_t *zeros = add(f, name, ".qzeros", FMT_I32, 4, m->groups, words);
    uint16_t *scales = add(f, name, ".scales", FMT_F16, 2, m->groups, m->out);
    for (uint32_t w = 0; w < words; w++)
        for (uint32_t i = 0; i < 8; i++) {
            const uint32_t r = 8 * w + column[i];
            for (uint32_t k = 0; k < m->in; k++)
                codes[k * words + w] |= code_of(m, r, k) << (4 * i);
            for (uint32_t g = 0; g < m->groups; g++)
                zeros[g * words + w] |= zero_of(m, r, g) << (4 * i);
        }
    for (uint32_t g = 0; g < m->groups; g++)
        for (uint32_t r = 0; r < m->out; r++)
            scales[g * m->out + r] = scale_of(m, r, g);
}

/* ---- codes that stand for floats ---- */

/* Of a code of F8 that is a number below 2. */
static float f8_of(uint32_t code)
{
    const int exponent = code >> 3 & 15, fraction = code & 7;
    const float size = exponent ? ldexpf((float)(8 + fraction), exponent - 10)
                                : ldexpf((float)fraction, -9);
    return code & 128 ? -size : size;
}

static float e2m1_of(uint32_t code)
{
    static const float size[8] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
    return code & 8 ? -size[code & 7] : size[code & 7];
}

static uint32_t group_size(enum test_packing packing)
{
    return packing == TEST_NVFP4 || packing == TEST_GPTQ_16 ? 16 : GROUP;
}

/* The scale of column k as it is stored: the bits of a float, or a byte. */
static uint32_t level_scale(const struct matrix *m, uint32_t r, uint32_t k)
{
    const uint32_t row = m->packing == TEST_FP8 ? r / GROUP : r;
    const uint32_t word = train_word(m->seed + 2, row, k / group_size(m->packing));
    if (m->packing == TEST_NVFP4) /* E4M3 between 1/64 and 2 */
        return (word & 0x37) + 8;
    if (m->packing == TEST_MXFP4) /* 2^-8 to 2^-5 */
        return 119 + word % 4;
    return 0x3d000000u | word >> 9; /* 0.03 to 0.12 */
}

static float global_of(const struct matrix *m)
{
    return 23.0f + (float)(m->seed % 7) / 3;
}

static float level_value(const struct matrix *m, uint32_t r, uint32_t k)
{
    const uint32_t code = code_of(m, r, k), bits = level_scale(m, r, k);
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    switch (m->packing) {
    case TEST_FP8:
        return f8_of(code & 0xbf) * scale;
    case TEST_NVFP4:
        scale = f8_of(bits) / global_of(m);
        return e2m1_of(code) * scale;
    case TEST_MXFP4:
        return e2m1_of(code) * ldexpf(1, (int)bits - 127);
    default:
        return rt_weight_level(RT_LEVELS_NF4, code) * scale;
    }
}

/* Codes of 4 bits, two per byte. */
static void put_pairs(uint8_t *codes, const struct matrix *m, bool high_first)
{
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t k = 0; k < m->in; k++) {
            const uint32_t shift = (k % 2 == 0) == high_first ? 4 : 0;
            codes[((size_t)r * m->in + k) / 2] |= (uint8_t)(code_of(m, r, k) << shift);
        }
}

static void add_fp8(struct file *f, const char *name, const struct matrix *m)
{
    const uint32_t rows = (m->out + GROUP - 1) / GROUP;
    uint8_t *codes = add(f, name, ".weight", FMT_F8_E4M3, 1, m->out, m->in);
    uint32_t *scales = add(f, name, ".weight_scale_inv", FMT_F32, 4, rows, m->groups);
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t k = 0; k < m->in; k++) {
            codes[(size_t)r * m->in + k] = code_of(m, r, k) & 0xbf;
            scales[r / GROUP * m->groups + k / GROUP] = level_scale(m, r, k);
        }
}

static void add_fp4(struct file *f, const char *name, const struct matrix *m)
{
    const bool is_nv = m->packing == TEST_NVFP4;
    const uint32_t group = group_size(m->packing), groups = (m->in + group - 1) / group;
    put_pairs(add(f, name, ".weight_packed", FMT_U8, 1, m->out, m->in / 2), m, false);
    uint8_t *scales =
        add(f, name, ".weight_scale", is_nv ? FMT_F8_E4M3 : FMT_U8, 1, m->out, groups);
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t g = 0; g < groups; g++)
            scales[r * groups + g] = (uint8_t)level_scale(m, r, g * group);
    if (is_nv)
        *(float *)add(f, name, ".weight_global_scale", FMT_F32, 4, 1, 0) = global_of(m);
}

static void add_nf4(struct file *f, const char *name, const struct matrix *m)
{
    char state[96];
    const int n =
        snprintf(state, sizeof state,
                 "{\"quant_type\": \"nf4\", \"blocksize\": %d, \"shape\": [%u, %u]}",
                 GROUP, m->out, m->in);
    put_pairs(add(f, name, ".weight", FMT_U8, 1, (uint64_t)m->out * m->in / 2, 1), m,
              true);
    uint32_t *scales =
        add(f, name, ".weight.absmax", FMT_F32, 4, (uint64_t)m->out * m->groups, 0);
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t g = 0; g < m->groups; g++)
            scales[r * m->groups + g] = level_scale(m, r, g * GROUP);
    memcpy(
        add(f, name, ".weight.quant_state.bitsandbytes__nf4", FMT_U8, 1, (uint64_t)n, 0),
        state, (size_t)n);
}

static void add_floats(struct file *f, const char *name, const struct matrix *m)
{
    float *values = add(f, name, ".weight", FMT_F32, 4, m->out, m->in);
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t k = 0; k < m->in; k++) {
            const uint32_t g = m->group[k];
            if (m->packing >= TEST_FP8) {
                values[(size_t)r * m->in + k] = level_value(m, r, k);
                continue;
            }
            const int code = (int)code_of(m, r, k) - (int)zero_of(m, r, g);
            values[(size_t)r * m->in + k] =
                (float)code * rt_half_to_float(scale_of(m, r, g));
        }
}

/* The projection a tensor belongs to, FMT_MODULE_COUNT: none. */
static uint32_t module_of(const char *tensor)
{
    for (uint32_t i = 0; i < FMT_MODULE_COUNT; i++) {
        const char *at = strstr(tensor, fmt_module_path[i]);
        if (at && strcmp(at + strlen(fmt_module_path[i]), ".weight") == 0)
            return i;
    }
    return FMT_MODULE_COUNT;
}

static void add_projection(struct file *packed, struct file *plain,
                           const struct fmt_safetensors *source, uint32_t number,
                           enum test_packing packing, uint32_t bits)
{
    const struct fmt_tensor *t = &source->tensors[number];
    const uint32_t module = module_of(t->name);
    /* q, k, v share an input, and so do gate and up */
    static const uint32_t input[FMT_MODULE_COUNT] = { 0, 0, 0, 1, 2, 2, 3 };
    const uint32_t in = (uint32_t)t->shape[1];
    const uint32_t group = packing == TEST_GPTQ_16 ? 16 : GROUP;
    struct matrix m = { .out = (uint32_t)t->shape[0],
                        .in = in,
                        .groups = (in + group - 1) / group,
                        .bits = bits,
                        .seed = 10 * number + 100,
                        .packing = packing };
    char name[128];
    m.group = calloc(m.in, sizeof *m.group);
    for (uint32_t k = 0; k < m.in; k++)
        m.group[k] = k / group;
    if (packing == TEST_GPTQ_ORDER)
        shuffle_groups(&m, 7 + input[module]);
    else if (packing == TEST_GPTQ_OWN_ORDERS || packing == TEST_GPTQ_MIXED)
        shuffle_groups(&m, 7 + number);
    snprintf(name, sizeof name, "%.*s.bias", (int)(strlen(t->name) - 7), t->name);
    m.biased = fmt_safetensors_find(source, name) != NULL;
    snprintf(name, sizeof name, "%.*s", (int)(strlen(t->name) - 7), t->name);
    add_floats(plain, name, &m);
    if (packing == TEST_GPTQ_MIXED && (module == FMT_K_PROJ || module == FMT_UP_PROJ))
        add_floats(packed, name, &m);
    else if (packing == TEST_AWQ)
        add_awq(packed, name, &m);
    else if (packing == TEST_FP8)
        add_fp8(packed, name, &m);
    else if (packing == TEST_NVFP4 || packing == TEST_MXFP4)
        add_fp4(packed, name, &m);
    else if (packing == TEST_NF4)
        add_nf4(packed, name, &m);
    else
        add_gptq(packed, name, &m);
    free(m.group);
}

static void add_copy(struct file *f, const struct fmt_tensor *t)
{
    uint8_t *data = add(f, t->name, "", t->dtype, 1, t->size, 0);
    memcpy(data, t->data, t->size);
    f->tensors[f->count - 1].dims = t->dims;
    memcpy(f->tensors[f->count - 1].shape, t->shape, sizeof t->shape);
}

/* The quantization_config of a packing. */
static void config_of(enum test_packing packing, uint32_t bits, char *text, size_t size)
{
    static const char *const others[TEST_PACKING_COUNT] = {
        [TEST_FP8] = "{\"quant_method\": \"fp8\", \"weight_block_size\": [32, 32]}",
        [TEST_NVFP4] =
            "{\"quant_method\": \"compressed-tensors\", \"format\": "
            "\"nvfp4-pack-quantized\", \"config_groups\": {\"a\": {\"targets\": "
            "[\"Linear\"], \"weights\": {\"num_bits\": 4, \"type\": "
            "\"float\", \"group_size\": 16}}}}",
        [TEST_MXFP4] =
            "{\"quant_method\": \"compressed-tensors\", \"format\": "
            "\"mxfp4-pack-quantized\", \"config_groups\": {\"a\": {\"targets\": "
            "[\"Linear\"], \"weights\": {\"num_bits\": 4, \"type\": "
            "\"float\", \"group_size\": 32}}}}",
        [TEST_NF4] = "{\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true}",
    };
    if (others[packing])
        snprintf(text, size, "%s", others[packing]);
    else
        snprintf(text, size,
                 "{\"quant_method\": \"%s\", \"bits\": %u, \"group_size\": %u}",
                 packing == TEST_AWQ ? "awq" : "gptq", bits, group_size(packing));
}

void test_pack_model(const char *source, enum test_packing packing, uint32_t bits,
                     const struct test_folder *packed, const struct test_folder *plain)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    struct file *to[2] = { calloc(1, sizeof *to[0]), calloc(1, sizeof *to[1]) };
    char relative[128], own[384], config[512];
    assert_true(to[0] && to[1]);
    snprintf(relative, sizeof relative, "tests/golden/models/%s", source);
    test_folder_fill(packed, relative);
    test_folder_fill(plain, relative);
    const char *path = test_folder_file(packed, "model.safetensors");
    assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
    for (uint32_t i = 0; i < file.count; i++) {
        if (module_of(file.tensors[i].name) < FMT_MODULE_COUNT) {
            add_projection(to[0], to[1], &file, i, packing, bits);
        } else {
            add_copy(to[0], &file.tensors[i]);
            add_copy(to[1], &file.tensors[i]);
        }
    }
    fmt_safetensors_close(&file);
    write_file(to[0], path);
    write_file(to[1], test_folder_file(plain, "model.safetensors"));
    config_of(packing, bits, own, sizeof own);
    snprintf(config, sizeof config, "\"quantization_config\": %s, \"use_cache\": true",
             own);
    test_file_replace(test_folder_file(packed, "config.json"), "\"use_cache\": true",
                      config);
}

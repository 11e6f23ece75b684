/* What quantization keeps: F32, F16 and BF16 tensors byte for byte, from folders and from
 * GGUF files; blocks of GGUF files as the nearest F16, with the largest change told, or
 * exactly as F32; a head that is the embedding once. The folder is no larger than that. */
#include "runtime/format/checkpoint.h"
#include "runtime/model/model_impl.h"
#include "runtime/quant/folder.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TINY "tests/golden/models/qwen2-tiny"
#define BLOCKS "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf"

enum { TENSORS_MAX = 64 };
enum head { NO_HEAD, SAME_HEAD, OTHER_HEAD };

static const struct quant_options options = { .bits = 3,
                                              .group = 32,
                                              .asymmetric = true };

static bool is_projection(const char *name)
{
    return strstr(name, "_proj.weight") != NULL;
}

/* Values as halves or as the upper halves of floats: any will do, if they are finite. */
static uint16_t *narrow(const struct fmt_tensor *t, enum fmt_dtype dtype)
{
    uint16_t *out = calloc(t->count, sizeof *out);
    float *values = calloc(t->count, sizeof *values);
    fmt_tensor_floats(t, 0, t->count, values);
    for (uint64_t i = 0; i < t->count; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof word);
        out[i] =
            dtype == FMT_F16 ? rt_half_from_float(values[i]) : (uint16_t)(word >> 16);
    }
    free(values);
    return out;
}

/* The tiny model with its kept tensors in F32, F16 and BF16 by turns, the embedding in
 * `embed`, and with a head or without. */
static void make_source(const struct test_folder *folder, enum fmt_dtype embed,
                        enum head head)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    struct fmt_tensor_out out[TENSORS_MAX];
    void *owned[TENSORS_MAX] = { NULL };
    char path[1024];
    uint32_t n = 0;
    test_folder_fill(folder, TINY);
    assert_int_equal(
        fmt_safetensors_open_folder(&ctx, test_path(path, sizeof path, TINY), &file),
        RT_OK);
    for (uint32_t i = 0; i < file.count; i++) {
        const struct fmt_tensor *t = &file.tensors[i];
        const bool is_embed = strstr(t->name, "embed_tokens") != NULL;
        const enum fmt_dtype dtype = is_embed                 ? embed
                                     : is_projection(t->name) ? FMT_F32
                                                              : (enum fmt_dtype)(i % 3);
        owned[n] = dtype == FMT_F32 ? NULL : narrow(t, dtype);
        out[n] = (struct fmt_tensor_out){ .name = t->name,
                                          .dtype = dtype,
                                          .dims = t->dims,
                                          .data = owned[n] ? owned[n] : t->data };
        memcpy(out[n].shape, t->shape, sizeof out[n].shape);
        n++;
        if (!is_embed || head == NO_HEAD)
            continue;
        const size_t size = t->count * (dtype == FMT_F32 ? 4 : 2);
        owned[n] = calloc(1, size);
        memcpy(owned[n], out[n - 1].data, size);
        ((uint8_t *)owned[n])[0] ^= head == OTHER_HEAD; /* one bit */
        out[n] = out[n - 1];
        out[n].name = "lm_head.weight";
        out[n].data = owned[n];
        n++;
    }
    if (head != NO_HEAD)
        test_file_replace(test_folder_file(folder, "config.json"),
                          "\"tie_word_embeddings\": true",
                          "\"tie_word_embeddings\": false");
    assert_int_equal(fmt_safetensors_write(&ctx,
                                           test_folder_file(folder, "model.safetensors"),
                                           out, n, NULL),
                     RT_OK);
    for (uint32_t i = 0; i < n; i++)
        free(owned[i]);
    fmt_safetensors_close(&file);
}

static void quantize(const char *from, const char *to, bool keep_f32,
                     struct quant_report *report)
{
    struct rt_ctx ctx;
    struct quant_options o = options;
    test_ctx(&ctx);
    o.keep_f32 = keep_f32;
    if (quant_folder(&ctx, from, to, &o, NULL, false, report) != RT_OK)
        fail_msg("%s", ctx.message);
}

static void open_tensors(const char *folder, struct fmt_safetensors *file)
{
    struct rt_ctx ctx = { 0 };
    if (fmt_safetensors_open_folder(&ctx, folder, file) != RT_OK)
        fail_msg("%s", ctx.message);
}

/* Codes of 3 bits as one stream, a float and a zero point per group of 32, and the shape. */
static uint64_t packed_bytes(const struct fmt_tensor *t)
{
    const uint64_t out = t->shape[0], in = t->shape[1], groups = in / 32;
    return out * ((3 * in + 31) / 32) * 4 + out * groups * 4 +
           (3 * out + 31) / 32 * groups * 4 + 16;
}

/* Every kept tensor of `from` (a folder; what a GGUF file was made of) is in `to` with the
 * same bytes, and `to` has nothing more than it needs. */
static void expect_kept(const char *from, const char *to, bool has_head)
{
    struct fmt_safetensors a, b;
    uint64_t wanted = 0, size = 0;
    open_tensors(from, &a);
    open_tensors(to, &b);
    for (uint32_t i = 0; i < a.count; i++) {
        const struct fmt_tensor *t = &a.tensors[i];
        if (is_projection(t->name)) {
            wanted += packed_bytes(t);
            continue;
        }
        const struct fmt_tensor *kept = fmt_safetensors_find(&b, t->name);
        if (!has_head && strcmp(t->name, "lm_head.weight") == 0) {
            assert_null(kept);
            continue;
        }
        if (!kept || kept->dtype != t->dtype || kept->size != t->size ||
            memcmp(kept->data, t->data, t->size) != 0)
            fail_msg("'%s' of '%s' is not kept as it is", t->name, from);
        wanted += t->size;
    }
    for (uint32_t i = 0; i < b.count; i++)
        size += b.tensors[i].size;
    assert_int_equal(size, wanted);
    fmt_safetensors_close(&a);
    fmt_safetensors_close(&b);
}

/* The folder loads and its config says what the head is. */
static void expect_loads(const char *folder, bool tied)
{
    struct rt_ctx ctx;
    const struct test_device ref = { .device = "ref", .name = "ref" };
    struct rt_model *model;
    test_ctx(&ctx);
    struct rt_device *dev = test_device_open(&ctx, &ref);
    if (rt_model_load(dev, folder, 64, &model) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(rt_model_config(model)->tied, tied);
    assert_int_equal(model->head.part[0].codes == model->embed.part[0].codes, tied);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
}

static void floats_are_kept_byte_for_byte(void **state)
{
    (void)state;
    static const enum fmt_dtype embeds[] = { FMT_F32, FMT_F16, FMT_BF16 };
    for (size_t i = 0; i < RT_COUNT(embeds) * 3; i++) {
        struct test_folder from, to;
        struct quant_report report;
        char gguf[TEST_PATH_MAX];
        const enum head head = (enum head)(i / RT_COUNT(embeds));
        test_folder_init(&from);
        test_folder_init(&to);
        make_source(&from, embeds[i % RT_COUNT(embeds)], head);
        test_gguf_of_folder(from.path, "qwen2", 1, test_folder_file(&to, "model"), gguf);
        const char *sources[] = { from.path, gguf }, *targets[] = { "a", "b" };
        for (size_t k = 0; k < RT_COUNT(sources); k++) {
            const char *target = test_folder_file(&to, targets[k]);
            quantize(sources[k], target, false, &report);
            assert_int_equal(report.halved, 0);
            expect_kept(from.path, target, head == OTHER_HEAD);
            expect_loads(target, head != OTHER_HEAD);
        }
        test_folder_deinit(&from);
        test_folder_deinit(&to);
    }
}

/* A folder may hold a head that its config says is the embedding: it counts where it is
 * another. */
static void a_tied_head_is_kept_if_it_differs(void **state)
{
    (void)state;
    static const enum head heads[] = { SAME_HEAD, OTHER_HEAD };
    for (size_t i = 0; i < RT_COUNT(heads); i++) {
        const bool differs = heads[i] == OTHER_HEAD;
        struct test_folder from, to;
        struct quant_report report;
        test_folder_init(&from);
        test_folder_init(&to);
        make_source(&from, FMT_F32, heads[i]);
        test_file_replace(test_folder_file(&from, "config.json"),
                          "\"tie_word_embeddings\": false",
                          "\"tie_word_embeddings\": true");
        const char *target = test_folder_file(&to, "a");
        quantize(from.path, target, false, &report);
        expect_kept(from.path, target, differs);
        expect_loads(target, !differs);
        test_folder_deinit(&from);
        test_folder_deinit(&to);
    }
}

/* The distance to the nearest binary16, told without rounding to one: half the distance of
 * neighbours is the most it may be. */
static double half_step(double value)
{
    int exponent;
    frexp(value, &exponent);
    return ldexp(1, (exponent > -13 ? exponent : -13) - 12);
}

/* All of `kept` against the values of the file's blocks; the largest change. */
static double compare_tensor(struct fmt_model *model, const struct fmt_tensor *kept,
                             bool is_exact)
{
    double most = 0;
    float *a = calloc(kept->count, sizeof *a), *b = calloc(kept->count, sizeof *b);
    assert_int_equal(fmt_tensor_f32(model, kept->name, kept->count, a), RT_OK);
    fmt_tensor_floats(kept, 0, kept->count, b);
    for (uint64_t i = 0; i < kept->count; i++) {
        const double change = fabs((double)a[i] - (double)b[i]);
        assert_true(change <= (is_exact ? 0 : half_step(a[i])));
        most = change > most ? change : most;
    }
    free(a);
    free(b);
    return most;
}

static void blocks_become_halves_or_floats(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder to;
    struct quant_report report;
    struct fmt_model *model;
    char path[1024];
    test_ctx(&ctx);
    test_folder_init(&to);
    test_path(path, sizeof path, BLOCKS);
    assert_int_equal(fmt_model_open(&ctx, path, &model), RT_OK);
    for (int keep_f32 = 0; keep_f32 < 2; keep_f32++) {
        struct fmt_safetensors file;
        struct fmt_tensor_info info;
        const char *target = test_folder_file(&to, keep_f32 ? "f32" : "f16");
        uint32_t blocks = 0;
        double most = 0;
        quantize(path, target, keep_f32, &report);
        open_tensors(target, &file);
        for (uint32_t i = 0; fmt_tensor_at(model, i, &info); i++) {
            if (!info.name[0] || is_projection(info.name))
                continue;
            const struct fmt_tensor *kept = fmt_safetensors_find(&file, info.name);
            assert_non_null(kept);
            const bool is_halved = info.blocks && !keep_f32;
            assert_int_equal(kept->dtype, is_halved ? FMT_F16 : info.dtype);
            const double change = compare_tensor(model, kept, !is_halved);
            most = change > most ? change : most;
            blocks += info.blocks != NULL;
        }
        assert_true(blocks > 0);
        assert_int_equal(report.halved, keep_f32 ? 0 : blocks);
        assert_true(report.change == most);
        if (!keep_f32) {
            printf("    %u tensors of blocks, largest change %g of %g in '%s'\n", blocks,
                   report.change, report.changed_value, report.changed);
            assert_true(most > 0);
            assert_true(most <= half_step(report.changed_value));
            assert_non_null(strstr(report.changed, "embed_tokens"));
        }
        fmt_safetensors_close(&file);
        expect_loads(target, true);
    }
    fmt_model_close(&model);
    test_folder_deinit(&to);
}

/* A block whose values are beyond 65504. */
static void what_halves_cannot_hold_is_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder to;
    struct fmt_gguf file;
    struct quant_report report;
    struct quant_options o = options;
    char path[1024];
    size_t size;
    test_folder_init(&to);
    char *data = test_file_read(test_path(path, sizeof path, BLOCKS), &size);
    assert_int_equal(fmt_gguf_open(&ctx, path, &file), RT_OK);
    const struct fmt_gguf_tensor *t = fmt_gguf_find(&file, "token_embd.weight");
    assert_string_equal(t->type->name, "Q8_0"); /* a half and 32 codes */
    char *block = data + (t->data - (const uint8_t *)file.maps[0].data);
    memcpy(block, "\xff\x7b\x02\x00\x03", 5); /* 65504, codes 2, 0, 3 */
    fmt_gguf_close(&file);
    const char *source = test_folder_file(&to, "large.gguf");
    test_file_write(source, data, size);
    free(data);
    rt_status st =
        quant_folder(&ctx, source, test_folder_file(&to, "a"), &o, NULL, false, &report);
    test_refused(&ctx, st, RT_ERR_INPUT, "model.embed_tokens.weight", "holds 131008 at 0",
                 "--keep f32", NULL);
    assert_false(fmt_exists(test_folder_file(&to, "a")));
    o.keep_f32 = true;
    st = quant_folder(&ctx, source, test_folder_file(&to, "a"), &o, NULL, false, &report);
    assert_int_equal(st, RT_OK);
    test_folder_deinit(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_kept_byte_for_byte),
        cmocka_unit_test(a_tied_head_is_kept_if_it_differs),
        cmocka_unit_test(blocks_become_halves_or_floats),
        cmocka_unit_test(what_halves_cannot_hold_is_refused),
    };
    return cmocka_run_group_tests_name("kept tensors", tests, NULL, NULL);
}

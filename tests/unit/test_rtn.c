/* Round to nearest: codes, scales and zeros of matrices small enough to check by hand,
 * and the folder writer's promises: whole or not at all, nothing lost, nothing left
 * behind. */
#include "runtime/format/checkpoint.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/rtn.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TINY "tests/golden/models/qwen2-tiny"

static void round_matrix(const struct quant_options *o, const float *w, uint32_t out,
                         uint32_t in, uint8_t *codes, float *scales, uint8_t *zeros)
{
    struct rt_ctx ctx = { 0 };
    const struct quant_matrix m = { .name = "m", .w = w, .out = out, .in = in };
    struct quant_codes c = { codes, scales, zeros, 0, 0 };
    assert_int_equal(quant_rtn(&ctx, o, &m, &c), RT_OK);
}

static void symmetric_codes_round_half_to_even(void **state)
{
    (void)state;
    /* 3 bits: scale 14 / 7 = 2; quotients -3.5 -2.5 -1.5 -0.5 0.5 1.5 2.5 3.5 */
    static const float w[8] = { -7, -5, -3, -1, 1, 3, 5, 7 };
    static const uint8_t expected[8] = { 0, 2, 2, 4, 4, 6, 6, 7 };
    const struct quant_options o = { .bits = 3 };
    uint8_t codes[8], zero;
    float scale;
    round_matrix(&o, w, 1, 8, codes, &scale, &zero);
    assert_true(scale == 2.0f);
    assert_int_equal(zero, 4);
    assert_memory_equal(codes, expected, sizeof codes);
}

static void symmetric_grids_of_8_bits_have_equal_ends(void **state)
{
    (void)state;
    static const float w[4] = { -254, 254, 3, -5 };
    static const uint8_t expected[4] = { 1, 255, 130, 126 };
    const struct quant_options o = { .bits = 8 };
    uint8_t codes[4], zero;
    float scale;
    round_matrix(&o, w, 1, 4, codes, &scale, &zero);
    assert_true(scale == 2.0f);
    assert_int_equal(zero, 128);
    assert_memory_equal(codes, expected, sizeof codes);
}

/* The ends of every narrower grid are used: values of the lowest code and of the highest
 * come back as they are when the range says so. */
static void symmetric_grids_use_all_codes(void **state)
{
    (void)state;
    for (uint32_t bits = 2; bits <= 4; bits++) {
        const struct quant_options o = { .bits = bits };
        const float top = (float)((1u << bits) - 1) / 2, low = -(float)(1u << (bits - 1));
        float w[32];
        uint8_t codes[32], seen[16] = { 0 }, zero;
        float scale;
        for (int i = 0; i < 32; i++)
            w[i] = -top + 2 * top * (float)i / 31;
        round_matrix(&o, w, 1, 32, codes, &scale, &zero);
        assert_true(scale == 1.0f && (float)codes[0] - zero == low);
        for (int i = 0; i < 32; i++)
            seen[codes[i]] = 1;
        for (uint32_t c = 0; c < 1u << bits; c++)
            assert_int_equal(seen[c], 1);
    }
}

static void asymmetric_ranges_hold_zero(void **state)
{
    (void)state;
    /* Two rows of two groups of 32: from 1 to 15 (the range is widened to 0..15), from -8
     * to 7, from -15 to -1, all zero. 4 bits: scale 1 everywhere. */
    static const float ends[4][2] = { { 1, 15 }, { -8, 7 }, { -15, -1 }, { 0, 0 } };
    static const uint8_t zero[4] = { 0, 8, 15, 0 };
    const struct quant_options o = { .bits = 4, .group = 32, .asymmetric = true };
    float w[128], scales[4];
    uint8_t codes[128], zeros[4];
    for (int i = 0; i < 128; i++)
        w[i] = ends[i / 32][i % 2];
    round_matrix(&o, w, 2, 64, codes, scales, zeros);
    assert_memory_equal(zeros, zero, sizeof zero);
    for (int i = 0; i < 128; i++) {
        assert_true(scales[i / 32] == 1.0f);
        assert_true((float)codes[i] - (float)zeros[i / 32] == w[i]);
    }
}

static void extreme_groups_have_a_usable_scale(void **state)
{
    (void)state;
    static const float extremes[] = {
        0.0f, -0.0f, 1e-45f, -1e-45f, 1e-40f, 1e38f, -1e38f
    };
    for (uint32_t bits = 2; bits <= 8; bits += bits == 4 ? 4 : 1)
        for (int asymmetric = 0; asymmetric < 2; asymmetric++)
            for (size_t i = 0; i < RT_COUNT(extremes); i++) {
                const struct quant_options o = { .bits = bits, .asymmetric = asymmetric };
                const float w[4] = { extremes[i], 0, extremes[i] / 3, extremes[i] / 2 };
                uint8_t codes[4], zero;
                float scale;
                round_matrix(&o, w, 1, 4, codes, &scale, &zero);
                assert_true(scale > 0 && isfinite(scale));
                for (int k = 0; k < 4; k++) {
                    const float value = ((float)codes[k] - zero) * scale;
                    assert_true(codes[k] < 1 << bits);
                    assert_true(fabsf(value - w[k]) <= 0.51f * scale);
                }
            }
}

/* Files in a folder, those of the test's own not counted. */
static int count_files(const struct test_folder *folder)
{
    int n = 0;
    DIR *dir = opendir(folder->path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void folders_that_cannot_be_quantized_leave_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *source, *file, *from, *to, *message;
    } cases[] = {
        { TINY, "model.safetensors", "1.mlp.up_proj.weight\"", "1.mlp.up_porj.weight\"",
          "20 projection matrices, its config.json asks for 21" },
        { TINY, "model.safetensors", "1.mlp.up_proj.weight\":{\"dtype\":\"F32\"",
          "1.mlp.up_proj.weight\":{\"dtype\":\"I32\"", "1.mlp.up_proj.weight" },
        { TINY, "config.json", "\"intermediate_size\": 160", "\"intermediate_size\": 168",
          "168" },
    };
    const struct quant_options options = { .bits = 3 };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct quant_report report;
        struct test_folder from, to;
        test_folder_init(&from);
        test_folder_init(&to);
        test_folder_fill(&from, cases[i].source);
        if (cases[i].file)
            test_file_replace(test_folder_file(&from, cases[i].file), cases[i].from,
                              cases[i].to);
        const rt_status st = quant_folder(&ctx, from.path, test_folder_file(&to, "q"),
                                          &options, NULL, false, &report);
        test_refused(&ctx, st, RT_ERR_INPUT, cases[i].message, NULL);
        assert_int_equal(count_files(&to), 0);
        test_folder_deinit(&from);
        test_folder_deinit(&to);
    }
}

static void weights_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    static const float bad[] = { NAN, INFINITY, -INFINITY, 3e38f };
    /* of a matrix that is packed and of one that is copied */
    static const char *const names[] = { "model.layers.2.self_attn.o_proj.weight",
                                         "model.embed_tokens.weight" };
    for (size_t i = 0; i < RT_COUNT(bad) * RT_COUNT(names); i++) {
        const char *name = names[i / RT_COUNT(bad)];
        const float value = bad[i % RT_COUNT(bad)];
        struct rt_ctx ctx = { 0 };
        struct quant_report report;
        struct test_folder from;
        const struct quant_options options = { .bits = 4,
                                               .group = 32,
                                               .asymmetric = true };
        size_t size;
        test_folder_init(&from);
        test_folder_fill(&from, TINY);
        const char *path = test_folder_file(&from, "model.safetensors");
        char *data = test_file_read(path, &size);
        struct fmt_safetensors file;
        assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
        const struct fmt_tensor *t = fmt_safetensors_find(&file, name);
        memcpy(data + (t->data - file.maps[0].data) + 8000, &value, sizeof value);
        fmt_safetensors_close(&file);
        test_file_write(path, data, size);
        free(data);
        const rt_status st = quant_folder(&ctx, from.path, test_folder_file(&from, "q"),
                                          &options, NULL, false, &report);
        test_refused(&ctx, st, RT_ERR_INPUT, name, "at 2000", NULL);
        assert_false(fmt_exists(test_folder_file(&from, "q")));
        test_folder_deinit(&from);
    }
}

static void a_folder_in_the_way_is_kept(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct quant_report report;
    struct test_folder to;
    char from[1024];
    const struct quant_options options = { .bits = 2, .group = 32 };
    test_path(from, sizeof from, TINY);
    test_folder_init(&to);
    const char *target = test_folder_file(&to, "q/"); /* the slash must not matter */
    rt_status st = quant_folder(&ctx, from, target, &options, NULL, false, &report);
    if (st != RT_OK)
        fail_msg("%s", ctx.message);
    test_file_write(test_folder_file(&to, "q/mine"), "keep", 4);
    st = quant_folder(&ctx, from, target, &options, NULL, false, &report);
    test_refused(&ctx, st, RT_ERR_USAGE, "exists already", "--force", NULL);
    assert_int_equal(quant_folder(&ctx, from, target, &options, NULL, true, &report),
                     RT_OK);
    assert_false(fmt_exists(test_folder_file(&to, "q/mine")));
    assert_int_equal(count_files(&to), 2); /* the new one, and the old one moved aside */
    st = quant_folder(&ctx, test_folder_file(&to, "q"), target, &options, NULL, true,
                      &report);
    test_refused(&ctx, st, RT_ERR_USAGE, "is the model that is read", NULL);
    assert_int_equal(count_files(&to), 2);
    test_folder_deinit(&to);
}

static void the_report_counts_codes_scales_and_zeros(void **state)
{
    (void)state;
    /* q 96x96, k and v 32x96, o 96x96, gate and up 160x96, down 96x160. Rows of 96: a
     * 32-bit scale each; down has rows of 160. */
    static const struct {
        struct quant_options options;
        double expected;
    } cases[] = {
        { { .bits = 3 }, 3 + 32.0 * (96 + 32 + 32 + 96 + 160 + 160 + 96) / 70656 },
        { { .bits = 4, .group = 32, .asymmetric = true }, 4 + 36.0 / 32 },
        { { .bits = 8, .group = 32 }, 8 + 1.0 },
    };
    char from[1024];
    test_path(from, sizeof from, TINY);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct quant_report report;
        struct test_folder to;
        test_folder_init(&to);
        assert_int_equal(quant_folder(&ctx, from, test_folder_file(&to, "q"),
                                      &cases[i].options, NULL, false, &report),
                         RT_OK);
        assert_int_equal(report.matrices, 21);
        assert_int_equal(report.weights, 3 * 70656);
        assert_true(fabs(report.bits_per_weight - cases[i].expected) < 1e-9);
        test_folder_deinit(&to);
    }
}

struct heard {
    uint32_t count;
    char line[512];
};

static void keep_short_group(void *user, enum rt_log_level level, const char *line)
{
    struct heard *h = user;
    if (level != RT_LOG_WARNING || !strstr(line, "do not divide"))
        return;
    h->count++;
    snprintf(h->line, sizeof h->line, "%s", line);
}

/* Rows of 96 and 160 have no whole number of groups of 64: said once, of the first matrix. */
static void groups_that_do_not_divide_are_said(void **state)
{
    (void)state;
    static const uint32_t groups[] = { 0, 32, 64, 128 };
    char from[1024];
    test_path(from, sizeof from, TINY);
    for (size_t i = 0; i < RT_COUNT(groups); i++) {
        struct heard heard = { 0 };
        struct rt_ctx ctx = { .log = keep_short_group, .log_user = &heard };
        struct quant_report report;
        struct test_folder to;
        char named[64];
        const struct quant_options options = { .bits = 4, .group = groups[i] };
        test_folder_init(&to);
        assert_int_equal(quant_folder(&ctx, from, test_folder_file(&to, "q"), &options,
                                      NULL, false, &report),
                         RT_OK);
        assert_int_equal(heard.count, groups[i] > 32);
        snprintf(named, sizeof named, "has 160 columns, which groups of %u do not divide",
                 groups[i]);
        if (heard.count && (!strstr(heard.line, "'model.layers.0.mlp.down_proj'") ||
                            !strstr(heard.line, named) ||
                            !strstr(heard.line, "--group row is read by all")))
            fail_msg("%s", heard.line);
        test_folder_deinit(&to);
    }
}

static void running_out_of_memory_leaves_finished_layers_at_most(void **state)
{
    (void)state;
    struct test_folder to;
    char from[1024];
    const struct quant_options options = { .bits = 4, .group = 32, .asymmetric = true };
    test_path(from, sizeof from, TINY);
    test_folder_init(&to);
    int kept = 0;
    /* every early allocation, then a sample: each try quantizes what comes before it */
    for (uint64_t n = 1;; n += n < 120 ? 1 : 17) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        struct quant_report report;
        const rt_status st = quant_folder(&ctx, from, test_folder_file(&to, "q"),
                                          &options, NULL, false, &report);
        if (st == RT_OK)
            break;
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
        assert_int_equal(count_files(&to), fmt_exists(test_folder_file(&to, "q.part")));
        kept += fmt_exists(test_folder_file(&to, "q.part"));
    }
    assert_int_equal(count_files(&to), 1);
    assert_true(kept > 0); /* some tries had finished a layer */
    test_folder_deinit(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symmetric_codes_round_half_to_even),
        cmocka_unit_test(symmetric_grids_of_8_bits_have_equal_ends),
        cmocka_unit_test(symmetric_grids_use_all_codes),
        cmocka_unit_test(asymmetric_ranges_hold_zero),
        cmocka_unit_test(extreme_groups_have_a_usable_scale),
        cmocka_unit_test(folders_that_cannot_be_quantized_leave_nothing),
        cmocka_unit_test(weights_that_are_not_finite_are_refused),
        cmocka_unit_test(a_folder_in_the_way_is_kept),
        cmocka_unit_test(the_report_counts_codes_scales_and_zeros),
        cmocka_unit_test(groups_that_do_not_divide_are_said),
        cmocka_unit_test(running_out_of_memory_leaves_finished_layers_at_most),
    };
    return cmocka_run_group_tests_name("rtn", tests, NULL, NULL);
}

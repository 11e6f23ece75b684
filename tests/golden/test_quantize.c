/* RTN: 4 bits per row have the grid of others, value by value; every width, group and form
 * survives a round trip through the folder; packed formats decode bit for bit. */
#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/width_plan.h"
#include "runtime/text/tokenizer.h"
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
#include <unistd.h>

static struct fmt_model *open_model(struct rt_ctx *ctx, const char *folder)
{
    struct fmt_model *m = NULL;
    if (fmt_model_open(ctx, folder, &m) != RT_OK)
        fail_msg("%s", ctx->message);
    return m;
}

static void remove_folder(const char *folder)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* All modules of two folders decode to the same floats (tolerance 0), or b to the
 * quantized a within half a step. */
static void compare_folders(struct rt_ctx *ctx, const char *a, const char *b,
                            double steps)
{
    struct fmt_model *ma = open_model(ctx, a), *mb = open_model(ctx, b);
    const struct fmt_config *c = fmt_model_config(ma);
    for (uint32_t i = 0; i < c->layers * FMT_MODULE_COUNT; i++) {
        char name[128];
        uint32_t out, in;
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        fmt_module_size(c, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        float *x = calloc((size_t)out * in, sizeof *x),
              *y = calloc((size_t)out * in, sizeof *y);
        assert_int_equal(fmt_weight_floats(ma, name, out, in, x), RT_OK);
        if (fmt_weight_floats(mb, name, out, in, y) != RT_OK)
            fail_msg("%s", ctx->message);
        for (uint32_t r = 0; r < out; r++) {
            float low = 0, high = 0;
            for (uint32_t k = 0; k < in; k++) {
                low = fminf(low, x[(size_t)r * in + k]);
                high = fmaxf(high, x[(size_t)r * in + k]);
            }
            for (uint32_t k = 0; k < in; k++) {
                const double d =
                    fabs((double)x[(size_t)r * in + k] - y[(size_t)r * in + k]);
                const double most = fmax(-low, high);
                if (!(d <= 0.51 * 2 * most / steps))
                    fail_msg("%s row %u column %u: %g apart", name, r, k, d);
            }
        }
        /* The device layout decodes to the same values, padding to 0. */
        struct rt_weight_shape s;
        assert_int_equal(fmt_weight_shape(mb, name, out, in, &s), RT_OK);
        uint32_t *codes = calloc(1, rt_weight_code_bytes(&s));
        float *scales = calloc(1, rt_weight_scale_bytes(&s));
        assert_int_equal(fmt_weight_load(mb, name, &s, 0, 0, out, codes, scales), RT_OK);
        for (uint32_t r = 0; r < s.out_pad; r++)
            for (uint32_t k = 0; k < s.in_pad; k++) {
                const float want = r < out && k < in ? y[(size_t)r * in + k] : 0;
                const float got = rt_weight_value(&s, codes, scales, r, k);
                if (got != want)
                    fail_msg("%s (%u, %u): layout gives %g, not %g", name, r, k,
                             (double)got, (double)want);
            }
        free(codes);
        free(scales);
        free(x);
        free(y);
    }
    fmt_model_close(&ma);
    fmt_model_close(&mb);
}

static void quantize(struct rt_ctx *ctx, const char *to, struct quant_options o)
{
    char path[1024];
    struct quant_report report;
    if (quant_folder(ctx, test_path(path, sizeof path, "tests/golden/models/qwen2-tiny"),
                     to, &o, NULL, true, &report) != RT_OK)
        fail_msg("%s", ctx->message);
    printf("    %u bits, group %u%s: %.3f bits per weight\n", o.bits, o.group,
           o.asymmetric ? ", asymmetric" : "", report.bits_per_weight);
    assert_true(report.bits_per_weight > o.bits);
}

/* The grid of compressed-tensors' observers, worked out here: all 16 codes, the largest
 * magnitude of a row 7.5 steps from zero. */
static void expect_rows(struct fmt_model *source, struct fmt_model *made,
                        const char *name, uint32_t out, uint32_t in)
{
    float *w = calloc((size_t)out * in, sizeof *w),
          *got = calloc((size_t)out * in, sizeof *w);
    assert_true(w && got);
    assert_int_equal(fmt_weight_floats(source, name, out, in, w), RT_OK);
    assert_int_equal(fmt_weight_floats(made, name, out, in, got), RT_OK);
    for (uint32_t r = 0; r < out; r++) {
        const float *row = w + (size_t)r * in;
        float most = 0;
        for (uint32_t k = 0; k < in; k++)
            most = fmaxf(most, fabsf(row[k]));
        const float scale = most / 7.5f;
        for (uint32_t k = 0; k < in; k++) {
            const float want = fminf(fmaxf(rintf(row[k] / scale), -8), 7) * scale;
            if (got[(size_t)r * in + k] != want)
                fail_msg("%s row %u column %u: %g, not %g", name, r, k,
                         (double)got[(size_t)r * in + k], (double)want);
        }
    }
    free(w);
    free(got);
}

static void four_bits_per_row_are_the_grid_of_others(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    test_ctx(&ctx);
    char folder[] = "/tmp/faultline-test-XXXXXX", path[1024], name[128];
    assert_non_null(mkdtemp(folder));
    quantize(&ctx, folder, (struct quant_options){ .bits = 4 });
    struct fmt_model *source =
        open_model(&ctx, test_path(path, sizeof path, "tests/golden/models/qwen2-tiny"));
    struct fmt_model *made = open_model(&ctx, folder);
    const struct fmt_config *c = fmt_model_config(source);
    for (uint32_t i = 0; i < c->layers * FMT_MODULE_COUNT; i++) {
        uint32_t out, in;
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        fmt_module_size(c, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        expect_rows(source, made, name, out, in);
    }
    fmt_model_close(&source);
    fmt_model_close(&made);
    remove_folder(folder);
    char old[128];
    snprintf(old, sizeof old, "%s.old-%ld", folder, (long)getpid());
    remove_folder(old);
}

static void every_form_round_trips(void **state)
{
    (void)state;
    static const struct quant_options options[] = {
        { .bits = 2 },
        { .bits = 3 },
        { .bits = 4 },
        { .bits = 8 },
        { .bits = 2, .group = 32, .asymmetric = true },
        { .bits = 3, .group = 32, .asymmetric = true },
        { .bits = 4, .group = 32, .asymmetric = true },
        { .bits = 8, .group = 32, .asymmetric = true },
        { .bits = 2, .group = 16 },
        { .bits = 3, .group = 16, .asymmetric = true },
        { .bits = 4, .group = 16, .asymmetric = true },
        { .bits = 8, .group = 16 },
        { .bits = 3, .group = 64 },
        { .bits = 2, .asymmetric = true },
    };
    for (size_t i = 0; i < RT_COUNT(options); i++) {
        struct rt_ctx ctx;
        test_ctx(&ctx);
        char folder[] = "/tmp/faultline-test-XXXXXX", to[64], path[1024];
        assert_non_null(mkdtemp(folder));
        snprintf(to, sizeof to, "%s/q", folder);
        quantize(&ctx, to, options[i]);
        const double steps = options[i].asymmetric ? (1 << options[i].bits) - 1
                                                   : (1 << options[i].bits) - 2;
        compare_folders(&ctx,
                        test_path(path, sizeof path, "tests/golden/models/qwen2-tiny"),
                        to, steps);
        struct quant_report report;
        assert_int_equal(quant_folder(&ctx, path, to, &options[i], NULL, false, &report),
                         RT_ERR_USAGE); /* exists */
        remove_folder(folder);
    }
}

/* Blocks are rounded from the values they stand for, and the folder stands alone: sizes,
 * tokenizer. What is kept: test_kept.c. */
static void a_gguf_file_becomes_a_folder(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder to;
    struct quant_report report;
    struct text_tokenizer *tok;
    char path[1024], split[512], plain[1024];
    const struct quant_options o = { .bits = 4, .group = 32, .asymmetric = true };
    test_ctx(&ctx);
    test_folder_init(&to);
    test_path(path, sizeof path, "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf");
    const char *folder = test_folder_file(&to, "a");
    if (quant_folder(&ctx, path, folder, &o, NULL, false, &report) != RT_OK)
        fail_msg("%s", ctx.message);
    compare_folders(&ctx, path, folder, 15);
    if (text_tokenizer_load(&ctx, folder, &tok) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(text_vocab_size(tok), 331);
    text_tokenizer_destroy(&tok);
    /* floats in two files give what the folder they were made of gives */
    test_gguf_of_folder("pipeline/demo", "qwen2", 2, test_folder_file(&to, "demo"),
                        split);
    test_path(plain, sizeof plain, "pipeline/demo");
    folder = test_folder_file(&to, "b");
    const char *other = test_folder_file(&to, "c");
    if (quant_folder(&ctx, split, folder, &o, NULL, false, &report) != RT_OK ||
        quant_folder(&ctx, plain, other, &o, NULL, false, &report) != RT_OK)
        fail_msg("%s", ctx.message);
    compare_folders(&ctx, folder, other, 0);
    test_folder_deinit(&to);
}

/* Since 2026 compressed-tensors has no other packing than one stream of bits. */
static void three_bits_are_one_stream(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder to;
    struct fmt_safetensors file;
    test_ctx(&ctx);
    test_folder_init(&to);
    const char *folder = test_folder_file(&to, "q");
    quantize(&ctx, folder, (struct quant_options){ .bits = 3, .asymmetric = true });
    assert_int_equal(fmt_safetensors_open_folder(&ctx, folder, &file), RT_OK);
    const struct fmt_tensor *codes = fmt_safetensors_find(
                                &file, "model.layers.0.mlp.down_proj.weight_packed"),
                            *zeros = fmt_safetensors_find(
                                &file, "model.layers.0.mlp.up_proj.weight_zero_point");
    assert_true(codes && zeros);
    assert_int_equal(codes->shape[1], 160 * 3 / 32);
    assert_int_equal(zeros->shape[0], 160 * 3 / 32);
    fmt_safetensors_close(&file);
    test_folder_deinit(&to);
}

/* Each matrix is that of a folder of its width, and config.json says which. */
static void a_plan_gives_each_matrix_its_width(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder to;
    struct quant_plan plan = { .count = 0 };
    float a[160 * 96], b[160 * 96];
    test_folder_init(&to);
    assert_int_equal(quant_plan_add(&ctx, &plan, "*.mlp.*", 3), RT_OK);
    assert_int_equal(quant_plan_add(&ctx, &plan, "model.layers.1.mlp.up_proj", 8), RT_OK);
    const struct {
        const char *folder;
        uint32_t bits;
    } cases[] = { { "w3", 3 }, { "w4", 4 }, { "w8", 8 } };
    char mixed[600];
    snprintf(mixed, sizeof mixed, "%s", test_folder_file(&to, "mixed"));
    quantize(&ctx, mixed,
             (struct quant_options){ .bits = 4, .group = 32, .plan = &plan });
    struct fmt_model *m = open_model(&ctx, mixed);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const char *names[] = { "model.layers.1.mlp.gate_proj",
                                "model.layers.1.self_attn.q_proj",
                                "model.layers.1.mlp.up_proj" };
        const uint32_t rows = i == 1 ? 96 : 160;
        const char *folder = test_folder_file(&to, cases[i].folder);
        quantize(&ctx, folder,
                 (struct quant_options){ .bits = cases[i].bits, .group = 32 });
        struct fmt_model *w = open_model(&ctx, folder);
        assert_int_equal(fmt_weight_floats(m, names[i], rows, 96, a), RT_OK);
        assert_int_equal(fmt_weight_floats(w, names[i], rows, 96, b), RT_OK);
        assert_memory_equal(a, b, rows * 96 * sizeof *a);
        fmt_model_close(&w);
    }
    fmt_model_close(&m);
    quant_plan_deinit(&plan);
    test_folder_deinit(&to);
}

static void keep_warning(void *user, enum rt_log_level level, const char *line)
{
    if (level == RT_LOG_WARNING)
        snprintf(user, 512, "%s", line);
}

/* transformers 5.24 reads these wrongly and gives no error. */
static void zero_points_of_several_widths_are_warned_of(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        char line[512] = "";
        struct rt_ctx ctx = { .log = keep_warning, .log_user = line };
        struct test_folder to;
        struct quant_plan plan = { .count = 0 };
        const bool asymmetric = i & 1, several = i < 2;
        test_folder_init(&to);
        assert_int_equal(quant_plan_add(&ctx, &plan, "*.mlp.*", several ? 3 : 4), RT_OK);
        quantize(&ctx, test_folder_file(&to, "q"),
                 (struct quant_options){
                     .bits = 4, .group = 32, .asymmetric = asymmetric, .plan = &plan });
        if ((strstr(line, "several widths") != NULL) != (asymmetric && several))
            fail_msg("asymmetric %d, several widths %d: '%s'", asymmetric, several, line);
        quant_plan_deinit(&plan);
        test_folder_deinit(&to);
    }
}

static void impossible_options_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    assert_int_equal(quant_check(&ctx, &(struct quant_options){ .bits = 5 }),
                     RT_ERR_USAGE);
    assert_int_equal(quant_check(&ctx, &(struct quant_options){ .bits = 4, .group = 20 }),
                     RT_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_bits_per_row_are_the_grid_of_others),
        cmocka_unit_test(every_form_round_trips),
        cmocka_unit_test(a_gguf_file_becomes_a_folder),
        cmocka_unit_test(three_bits_are_one_stream),
        cmocka_unit_test(a_plan_gives_each_matrix_its_width),
        cmocka_unit_test(zero_points_of_several_widths_are_warned_of),
        cmocka_unit_test(impossible_options_are_refused),
    };
    return cmocka_run_group_tests_name("quantize", tests, NULL, NULL);
}

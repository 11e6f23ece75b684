/* Models as GGUF files: tensors, sizes and tokens are those of the folder; types are those of
 * the mix or the plan; what is wrong is refused by name, and nothing is left behind. */
#include "pipeline/run/export_lora.h"
#include "runtime/format/checkpoint.h"
#include "runtime/format/gguf.h"
#include "runtime/quant/gguf_file.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/tokenizer_impl.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct quant_gguf_report quantize(struct rt_ctx *ctx, const char *from,
                                         const char *to, struct quant_gguf_options o)
{
    struct quant_gguf_report report;
    if (quant_gguf_file(ctx, from, to, &o, &report) != RT_OK)
        fail_msg("%s", ctx->message);
    return report;
}

static struct quant_gguf_options options_of(const char *mix)
{
    return (struct quant_gguf_options){ .mix = quant_gguf_mix_find(mix), .force = true };
}

/* ---- the same model ---- */

static void check_tensor(struct fmt_model *a, struct fmt_model *b, const char *name)
{
    const uint64_t n = fmt_tensor_count(a, name);
    float *x = calloc(n, sizeof *x), *y = calloc(n, sizeof *y);
    assert_int_equal(fmt_tensor_f32(a, name, n, x), RT_OK);
    assert_int_equal(fmt_tensor_f32(b, name, n, y), RT_OK);
    if (memcmp(x, y, n * sizeof *x) != 0)
        fail_msg("'%s' differs", name);
    free(x);
    free(y);
}

/* What llama3's scaling is made of comes back within rounding of its divisors. */
static void check_config(const struct fmt_config *a, const struct fmt_config *b)
{
    assert_int_equal(a->hidden, b->hidden);
    assert_int_equal(a->ffn, b->ffn);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->heads, b->heads);
    assert_int_equal(a->kv_heads, b->kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->max_positions, b->max_positions);
    assert_true(a->rms_eps == b->rms_eps);
    assert_int_equal(a->tied, b->tied);
    assert_int_equal(a->bias_qkv, b->bias_qkv);
    assert_int_equal(a->bias_o, b->bias_o);
    assert_int_equal(a->rope.kind, b->rope.kind);
    assert_true(a->rope.theta == b->rope.theta);
    double x[FMT_HEAD_DIM_MAX], y[FMT_HEAD_DIM_MAX];
    fmt_rope_frequencies(&a->rope, a->head_dim, x);
    fmt_rope_frequencies(&b->rope, b->head_dim, y);
    for (uint32_t i = 0; i < a->head_dim / 2; i++)
        assert_true(x[i] - y[i] <= 1e-5 * x[i] && y[i] - x[i] <= 1e-5 * x[i]);
}

/* As F32, from the folder and then from that file, nothing changes. */
static void an_f32_file_is_the_folder(void **state)
{
    (void)state;
    static const char *const models[] = {
        "tests/golden/models/llama-tiny", "tests/golden/models/llama-tiny-linear",
        "tests/golden/models/qwen2-tiny", "tests/golden/models/qwen2-tiny-untied-bf16",
        "tests/golden/models/qwen3-tiny",
    };
    for (size_t i = 0; i < RT_COUNT(models); i++) {
        struct rt_ctx ctx;
        struct test_folder folder;
        struct fmt_model *a, *b;
        struct fmt_tensor_info info;
        char path[1024];
        test_ctx(&ctx);
        test_folder_init(&folder);
        test_path(path, sizeof path, models[i]);
        const char *one = test_folder_file(&folder, "one.gguf");
        const char *two = test_folder_file(&folder, "two.gguf");
        quantize(&ctx, path, one, options_of("F32"));
        quantize(&ctx, one, two, options_of("F32"));
        if (fmt_model_open(&ctx, path, &a) != RT_OK ||
            fmt_model_open(&ctx, two, &b) != RT_OK)
            fail_msg("%s", ctx.message);
        check_config(fmt_model_config(a), fmt_model_config(b));
        for (uint32_t t = 0; fmt_tensor_at(a, t, &info); t++)
            check_tensor(a, b, info.name);
        fmt_model_close(&a);
        fmt_model_close(&b);
        test_folder_deinit(&folder);
    }
}

static void check_encoding(struct text_tokenizer *a, struct text_tokenizer *b,
                           const char *text, bool special)
{
    uint32_t *x, *y, n, m;
    assert_int_equal(text_encode(a, text, strlen(text), special, &x, &n), RT_OK);
    assert_int_equal(text_encode(b, text, strlen(text), special, &y, &m), RT_OK);
    if (n != m || memcmp(x, y, n * sizeof *x) != 0)
        fail_msg("'%s' has other tokens", text);
    rt_free(x);
    rt_free(y);
}

static void tokens_and_template_are_kept(void **state)
{
    (void)state;
    static const char *const texts[] = { "Hello, world! It's 12345 and 3.5\n\n  end",
                                         "<|im_start|>user\nx<|im_end|>",
                                         "\xc3\xa9t\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd" };
    struct rt_ctx ctx;
    struct test_folder folder;
    struct text_tokenizer *a, *b;
    struct fmt_gguf file;
    char path[1024], *kept = NULL;
    test_ctx(&ctx);
    test_folder_init(&folder);
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    const char *to = test_folder_file(&folder, "m.gguf");
    quantize(&ctx, path, to, options_of("Q8_0"));
    if (text_tokenizer_load(&ctx, path, &a) != RT_OK ||
        text_tokenizer_load(&ctx, to, &b) != RT_OK)
        fail_msg("%s", ctx.message);
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        for (int special = 0; special < 2; special++)
            check_encoding(a, b, texts[i], special);
    assert_int_equal(text_bos_id(a), text_bos_id(b));
    assert_int_equal(fmt_gguf_open(&ctx, to, &file), RT_OK);
    assert_int_equal(fmt_gguf_text(&file, "tokenizer.chat_template", &kept), RT_OK);
    assert_non_null(kept);
    rt_free(kept);
    fmt_gguf_close(&file);
    text_tokenizer_destroy(&a);
    text_tokenizer_destroy(&b);
    test_folder_deinit(&folder);
}

/* Ways whose patterns differ and which never cut a text differently: minicpm5 takes digits
 * apart before its second pattern meets them; of bailingmoe and qwen2 the one's greedy white
 * space takes the line ends that the other names. */
static bool is_equal(const char *found, const char *name)
{
    static const char *const pairs[][2] = { { "llama-bpe", "minicpm5" },
                                            { "qwen2", "bailingmoe" },
                                            { "qwen2", "bailingmoe2" },
                                            { "qwen2", "llada-moe" } };
    for (size_t i = 0; i < RT_COUNT(pairs); i++)
        if (strcmp(found, pairs[i][0]) == 0 && strcmp(name, pairs[i][1]) == 0)
            return true;
    return false;
}

/* Each way of splitting is found again, or another one of the same patterns. */
static void every_way_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; text_way_name(i); i++) {
        struct rt_ctx ctx;
        const char *found;
        test_ctx(&ctx);
        const struct text_way *way = text_way_find(text_way_name(i));
        struct text_tokenizer t = { .ctx = &ctx, .path = "test" };
        for (size_t k = 0; k < TEXT_WAY_PATTERNS && way->patterns[k]; k++)
            assert_int_equal(text_add_split(&t, way->patterns[k], TEXT_LLAMA_CPP), RT_OK);
        assert_non_null(text_step_new(&t, &t.splitters, TEXT_STEP_BYTES));
        t.bpe.ignore_merges = way->ignore_merges;
        assert_int_equal(text_way_like(&t, &found), RT_OK);
        assert_non_null(found);
        const struct text_way *other = text_way_find(found);
        for (size_t k = 0; k < TEXT_WAY_PATTERNS; k++)
            if (!is_equal(found, text_way_name(i)) &&
                (!way->patterns[k] != !other->patterns[k] ||
                 (way->patterns[k] && strcmp(way->patterns[k], other->patterns[k]) != 0)))
                fail_msg("%s is taken for %s", text_way_name(i), found);
        text_steps_deinit(&t.splitters);
    }
}

/* ---- mixes and plans ---- */

static struct quant_gguf_row row_of(const char *name, uint64_t columns, bool kept)
{
    struct quant_gguf_row r = {
        .columns = columns, .rows = kept ? 1 : 8, .is_matrix = !kept, .is_kept = kept
    };
    snprintf(r.name, sizeof r.name, "%s", name);
    r.wanted = r.type = quant_blocks_find("F32");
    return r;
}

/* The types that llama-quantize gives, by `--dry-run`. */
static void mixes_are_those_of_llama_cpp(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    char path[1024], *text, *rest = NULL;
    size_t size, lines = 0;
    test_ctx(&ctx);
    text = test_file_read(test_path(path, sizeof path, "tests/golden/gguf/mixes.txt"),
                          &size);
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char mix[16], tensor[65], types[512], *next = NULL;
        struct quant_gguf_sizes sizes = { 0 };
        unsigned columns, tied, calibrated, layer = 0;
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%u %u %u %u %u %15s %64s %u %511[^\n]",
                                &sizes.layers, &sizes.heads, &sizes.kv_heads, &tied,
                                &calibrated, mix, tensor, &columns, types),
                         9);
        sizes.is_tied = tied;
        sizes.is_calibrated = calibrated;
        for (char *type = strtok_r(types, " ", &next); type;
             type = strtok_r(NULL, " ", &next), layer++) {
            char name[96];
            if (strchr(tensor, '.'))
                snprintf(name, sizeof name, "%s", tensor);
            else
                snprintf(name, sizeof name, "blk.%u.%s.weight", layer, tensor);
            struct quant_gguf_row row = row_of(name, columns, false);
            if (quant_gguf_plan(&ctx, quant_gguf_mix_find(mix), NULL, &sizes, &row, 1) !=
                RT_OK)
                fail_msg("%s", ctx.message);
            if (strcmp(row.type->name, type) != 0)
                fail_msg("%s of %u layers: %s is %s, not %s", mix, sizes.layers, name,
                         row.type->name, type);
        }
        lines++;
    }
    assert_true(lines > 50);
    free(text);
}

static rt_status apply(struct rt_ctx *ctx, const char *text, struct quant_gguf_row *rows,
                       uint32_t count)
{
    return quant_gguf_plan_lines(ctx, "plan.txt", text, strlen(text), rows, count);
}

static void plans_say_types(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    test_ctx(&ctx);
    struct quant_gguf_row rows[] = { row_of("blk.0.attn_q.weight", 512, false),
                                     row_of("blk.1.attn_q.weight", 512, false),
                                     row_of("blk.1.ffn_up.weight", 96, false),
                                     row_of("blk.1.attn_norm.weight", 512, true) };
    const uint32_t n = RT_COUNT(rows);
    assert_int_equal(apply(&ctx,
                           "# all\r\n*.weight q4_k\n\n"
                           "  blk.1.attn_q.weight\tQ6_K # more\nblk.*.ffn_up.weight Q5_K",
                           rows, n),
                     RT_OK);
    assert_string_equal(rows[0].type->name, "Q4_K");
    assert_string_equal(rows[1].type->name, "Q6_K");
    assert_string_equal(rows[2].wanted->name, "Q5_K");
    assert_string_equal(rows[2].type->name, "Q5_1"); /* 96 does not divide by 256 */
    assert_string_equal(rows[3].type->name, "F32");
    test_refused(&ctx, apply(&ctx, "*.weight Q8_0\nblk.7.attn_q.weight Q8_0\n", rows, n),
                 RT_ERR_INPUT, "plan.txt", "line 2", "blk.7.attn_q.weight",
                 "fits no tensor", NULL);
    test_refused(&ctx, apply(&ctx, "blk.0.attn_q.weight Q9_K", rows, n), RT_ERR_INPUT,
                 "line 1", "Q9_K", "Q4_K", NULL);
    test_refused(&ctx, apply(&ctx, "blk.1.attn_norm.weight Q8_0", rows, n), RT_ERR_INPUT,
                 "kept", NULL);
    test_refused(&ctx, apply(&ctx, "\n\nblk.0.attn_q.weight", rows, n), RT_ERR_INPUT,
                 "line 3", "TENSOR TYPE", NULL);
    test_refused(&ctx, apply(&ctx, "blk.0.attn_q.weight Q8_0 Q4_K", rows, n),
                 RT_ERR_INPUT, "TENSOR TYPE", NULL);
    test_refused(&ctx, quant_gguf_plan_lines(&ctx, "p", "a\0b", 3, rows, n), RT_ERR_INPUT,
                 "zero byte", NULL);
    assert_int_equal(apply(&ctx, "", rows, n), RT_OK);
    assert_null(quant_gguf_mix_find("Q9"));
    assert_ptr_equal(quant_gguf_mix_find("q4_k"), quant_gguf_mix_find("Q4_K_M"));
}

/* A plan that is written says what would be done without it. */
static void a_written_plan_changes_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder folder;
    size_t n, m;
    test_ctx(&ctx);
    test_folder_init(&folder);
    test_random_model(&folder, 64);
    const char *a = test_folder_file(&folder, "a.gguf");
    const char *b = test_folder_file(&folder, "b.gguf");
    const char *plan = test_folder_file(&folder, "plan.txt");
    struct quant_gguf_options o = options_of("Q4_K_M");
    if (quant_gguf_plan_file(&ctx, folder.path, plan, &o) != RT_OK)
        fail_msg("%s", ctx.message);
    const struct quant_gguf_report report = quantize(&ctx, folder.path, a, o);
    printf("    %u matrices, %.3f bits per weight, %u fallbacks, %u no better than rtn\n",
           report.matrices, report.bits_per_weight, report.fallbacks, report.not_better);
    o.plan = plan;
    quantize(&ctx, folder.path, b, o);
    char *x = test_file_read(a, &n), *y = test_file_read(b, &m);
    assert_int_equal(n, report.bytes);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
    test_folder_deinit(&folder);
}

/* ---- importance ---- */

static struct quant_importance importance_of(struct rt_ctx *ctx, const char *name,
                                             uint32_t columns)
{
    struct quant_importance all = { .rows = rt_alloc(ctx, 1, sizeof *all.rows),
                                    .count = 1,
                                    .capacity = 1 };
    all.rows[0].columns = columns;
    all.rows[0].count = 4;
    all.rows[0].values = rt_alloc(ctx, columns, sizeof(float));
    for (uint32_t i = 0; i < columns; i++)
        all.rows[0].values[i] = (float)(i % 7) / 8;
    snprintf(all.rows[0].name, sizeof all.rows[0].name, "%s", name);
    return all;
}

static void importance_is_written_and_read(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder folder;
    struct quant_importance read = { 0 };
    test_ctx(&ctx);
    test_folder_init(&folder);
    test_random_model(&folder, 64);
    const char *file = test_folder_file(&folder, "i.gguf");
    const char *to = test_folder_file(&folder, "m.gguf");
    struct quant_importance all = importance_of(&ctx, "blk.0.attn_q.weight", 64);
    if (quant_importance_write(&ctx, file, "a text", 512, &all) != RT_OK ||
        quant_importance_read(&ctx, file, &read) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(read.count, 1);
    assert_memory_equal(read.rows[0].values, all.rows[0].values, 64 * sizeof(float));
    assert_true(read.rows[0].count == 4);
    struct quant_gguf_options o = options_of("Q4_0");
    o.importance = &read;
    quant_importance_deinit(&all);
    /* of another width, and of no tensor */
    struct quant_gguf_report report;
    all = importance_of(&ctx, "blk.0.attn_q.weight", 33);
    o.importance = &all;
    test_refused(&ctx, quant_gguf_file(&ctx, folder.path, to, &o, &report), RT_ERR_INPUT,
                 "33 columns", "another model", NULL);
    quant_importance_deinit(&all);
    all = importance_of(&ctx, "blk.9.attn_q.weight", 64);
    test_refused(&ctx, quant_gguf_file(&ctx, folder.path, to, &o, &report), RT_ERR_INPUT,
                 "no tensor", NULL);
    quant_importance_deinit(&all);
    all = importance_of(&ctx, "x", 3);
    all.rows[0].values[1] = -1;
    assert_int_equal(quant_importance_write(&ctx, file, "a text", 512, &all), RT_OK);
    quant_importance_deinit(&read);
    test_refused(&ctx, quant_importance_read(&ctx, file, &read), RT_ERR_INPUT, "negative",
                 NULL);
    quant_importance_deinit(&read);
    quant_importance_deinit(&all);
    test_folder_deinit(&folder);
}

/* ---- adapters ---- */

static void check_adapter(struct rt_ctx *ctx, const char *model, const char *adapter,
                          const char *to)
{
    char folder[1024], lora[1024], name[160];
    struct fmt_model *m = NULL;
    struct fmt_adapter *a = NULL;
    struct fmt_adapter_gguf made;
    struct fmt_gguf file;
    double alpha = 0;
    test_path(folder, sizeof folder, model);
    test_path(lora, sizeof lora, adapter);
    if (pipe_export_lora(ctx, folder, lora, to, true, &made) != RT_OK ||
        fmt_model_open(ctx, folder, &m) != RT_OK ||
        fmt_adapter_read(ctx, lora, fmt_model_config(m), &a) != RT_OK ||
        fmt_gguf_open(ctx, to, &file) != RT_OK ||
        fmt_gguf_number(&file, "adapter.lora.alpha", 0, &alpha) != RT_OK)
        fail_msg("%s", ctx->message);
    const struct fmt_config *c = fmt_model_config(m);
    const struct fmt_gguf_arch *arch = fmt_gguf_arch_of(c->family->model_type);
    assert_int_equal(file.tensor_count, 2 * made.matrices);
    for (uint32_t i = 0; i < a->layers * FMT_MODULE_COUNT; i++) {
        const struct fmt_lora *l = &a->lora[i];
        uint32_t out, in;
        char hf[160], own[FMT_GGUF_NAME_MAX];
        if (!l->rank)
            continue;
        fmt_module_size(c, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        snprintf(hf, sizeof hf, "model.layers.%u.%s.weight", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        assert_true(fmt_gguf_name(hf, own));
        snprintf(name, sizeof name, "%.120s.lora_a", own);
        const struct fmt_gguf_tensor *t = fmt_gguf_find(&file, name);
        assert_non_null(t);
        assert_int_equal(t->shape[0], in);
        assert_int_equal(t->shape[1], l->rank);
        assert_memory_equal(t->data, l->a, (size_t)l->rank * in * sizeof(float));
        snprintf(name, sizeof name, "%.120s.lora_b", own);
        t = fmt_gguf_find(&file, name);
        assert_non_null(t);
        assert_int_equal(t->shape[0], l->rank);
        assert_int_equal(t->shape[1], out);
        /* llama.cpp multiplies by alpha / rank */
        const double factor = (double)l->scale * l->rank / alpha;
        for (uint32_t r = 0; r < out; r++) {
            float row[64];
            const uint32_t at = fmt_gguf_row(arch, hf, c->head_dim, r);
            fmt_gguf_floats(t, (uint64_t)at * l->rank, l->rank, row);
            for (uint32_t k = 0; k < l->rank; k++)
                if (!(fabs((double)row[k] - factor * (double)l->b[r * l->rank + k]) <=
                      1e-6 * fabs((double)row[k])))
                    fail_msg("%s row %u differs", name, r);
        }
    }
    fmt_gguf_close(&file);
    fmt_adapter_destroy(&a);
    fmt_model_close(&m);
}

static void adapters_are_those_of_the_folder(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder folder;
    struct fmt_adapter_gguf made;
    char path[1024], lora[1024];
    test_ctx(&ctx);
    test_folder_init(&folder);
    const char *to = test_folder_file(&folder, "lora.gguf");
    static const char *const kinds[] = { "plain", "qv", "rslora", "pattern" };
    static const char *const models[] = { "llama-tiny", "qwen2-tiny" };
    for (size_t i = 0; i < 2 * RT_COUNT(kinds); i++) {
        snprintf(path, sizeof path, "tests/golden/models/%s", models[i % 2]);
        snprintf(lora, sizeof lora, "tests/golden/lora/%s/%s", models[i % 2],
                 kinds[i / 2]);
        check_adapter(&ctx, path, lora, to);
    }
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    test_refused(&ctx,
                 pipe_export_lora(
                     &ctx, path,
                     test_path(lora, sizeof lora, "tests/golden/lora/qwen2-tiny/plain"),
                     to, false, &made),
                 RT_ERR_USAGE, "exists", NULL);
    test_folder_deinit(&folder);
}

/* ---- what is wrong ---- */

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_folder folder;
    struct quant_gguf_report report;
    test_ctx(&ctx);
    test_folder_init(&folder);
    test_random_model(&folder, 64);
    struct quant_gguf_options o = options_of("Q4_0");
    const char *to = test_folder_file(&folder, "m.gguf");
    test_refused(&ctx, quant_gguf_file(&ctx, folder.path, folder.path, &o, &report),
                 RT_ERR_USAGE, "folder", NULL);
    quantize(&ctx, folder.path, to, o);
    test_refused(&ctx, quant_gguf_file(&ctx, to, to, &o, &report), RT_ERR_USAGE,
                 "model that is read", NULL);
    o.force = false;
    test_refused(&ctx, quant_gguf_file(&ctx, folder.path, to, &o, &report), RT_ERR_USAGE,
                 "exists", NULL);
    o.force = true;
    test_refused(&ctx,
                 quant_gguf_file(&ctx, folder.path,
                                 test_folder_file(&folder, "none/m.gguf"), &o, &report),
                 RT_ERR_IO, "none/m.gguf", NULL);
    /* the last value of the data is infinite */
    size_t size;
    const char *weights = test_folder_file(&folder, "model.safetensors");
    char *bytes = test_file_read(weights, &size);
    memcpy(bytes + size - 4, "\x00\x00\x80\x7f", 4);
    test_file_write(weights, bytes, size);
    free(bytes);
    test_refused(&ctx, quant_gguf_file(&ctx, folder.path, to, &o, &report), RT_ERR_INPUT,
                 "not finite", NULL);
    const char *part = test_folder_file(&folder, "m.gguf.part");
    FILE *left = fopen(part, "rb");
    assert_null(left);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_f32_file_is_the_folder),
        cmocka_unit_test(tokens_and_template_are_kept),
        cmocka_unit_test(every_way_is_found),
        cmocka_unit_test(mixes_are_those_of_llama_cpp),
        cmocka_unit_test(plans_say_types),
        cmocka_unit_test(a_written_plan_changes_nothing),
        cmocka_unit_test(importance_is_written_and_read),
        cmocka_unit_test(adapters_are_those_of_the_folder),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A model in a GGUF file is seen as its Hugging Face folder would be: config, names, rows.
 * The golden file was made from the golden folder, which it is compared with. */
#include "runtime/format/gguf_model.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 8, PAIRS = HEAD / 2, HEADS = 2, HIDDEN = HEAD * HEADS };

static void config_equals_the_folders(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct fmt_gguf file;
    struct fmt_config a, b;
    char path[1024];
    test_path(path, sizeof path, "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf");
    assert_int_equal(fmt_gguf_open(&ctx, path, &file), RT_OK);
    if (fmt_gguf_config(&file, &a) != RT_OK)
        fail_msg("%s", ctx.message);
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    assert_int_equal(fmt_config_read(&ctx, path, &b), RT_OK);
    assert_ptr_equal(a.family, b.family);
    assert_int_equal(a.hidden, b.hidden);
    assert_int_equal(a.ffn, b.ffn);
    assert_int_equal(a.layers, b.layers);
    assert_int_equal(a.heads, b.heads);
    assert_int_equal(a.kv_heads, b.kv_heads);
    assert_int_equal(a.head_dim, b.head_dim);
    assert_int_equal(a.vocab, b.vocab);
    assert_int_equal(a.max_positions, b.max_positions);
    assert_true(a.rms_eps == b.rms_eps);
    assert_true(a.tied && b.tied);
    assert_int_equal(a.eos[0], b.eos[0]);
    fmt_gguf_close(&file);
}

/* ---- a small llama, made here ---- */

struct llama {
    const char *architecture;
    const float *divisors; /* of the rotary frequencies; null: none */
    uint32_t experts, rotated;
    bool bias;
    const char *scaling; /* type; null: none */
    float theta;
    uint32_t layers;       /* 0: one */
    const uint32_t *heads; /* one number per layer; null: one for all */
    uint32_t head_numbers;
    uint32_t window;    /* sliding; 0: none */
    const char *tensor; /* one more, of F32; null: none */
    const char *type;   /* general.type; null: none */
    bool ahead;         /* attention is not causal */
    struct {
        const char *key; /* of rope.scaling; null: none */
        float value;
    } yarn;
};

/* Into buffer[64]: "ARCH.NAME". */
static const char *key_of(char *buffer, const struct llama *m, const char *name)
{
    snprintf(buffer, 64, "%s.%s", m->architecture, name);
    return buffer;
}

/* The dimensions: nine numbers; heads may be one number per layer. */
static void put_dimensions(struct test_gguf *g, const struct llama *m)
{
    char key[64];
    static const char *const names[9] = {
        "embedding_length", "feed_forward_length",  "block_count",
        "context_length",   "attention.head_count", "attention.head_count_kv",
        "expert_count",     "rope.dimension_count", "attention.key_length"
    };
    const uint32_t values[9] = {
        32,    96,         m->layers ? m->layers : 1,      1024, HEADS,
        HEADS, m->experts, m->rotated ? m->rotated : HEAD, HEAD
    };
    for (int i = 0; i < 9; i++) {
        if (m->heads && (i == 4 || i == 5))
            test_gguf_key_words(g, key_of(key, m, names[i]), FMT_GGUF_U32, m->heads,
                                m->head_numbers);
        else
            test_gguf_key_u32(g, key_of(key, m, names[i]), values[i]);
    }
}

/* Keys that only some models have. */
static void put_options(struct test_gguf *g, const struct llama *m)
{
    char key[64];
    if (m->window)
        test_gguf_key_u32(g, key_of(key, m, "attention.sliding_window"), m->window);
    if (m->type)
        test_gguf_key_text(g, "general.type", m->type);
    if (m->ahead)
        test_gguf_key_bool(g, key_of(key, m, "attention.causal"), false);
    if (m->yarn.key)
        test_gguf_key_f32(g, m->yarn.key, m->yarn.value);
    if (m->scaling) {
        test_gguf_key_text(g, key_of(key, m, "rope.scaling.type"), m->scaling);
        test_gguf_key_f32(g, key_of(key, m, "rope.scaling.factor"), 4);
    }
}

/* The tensors' entries, then their bytes. */
static void put_tensors(struct test_gguf *g, const struct llama *m)
{
    float rows[HIDDEN * 32];
    for (int i = 0; i < HIDDEN * 32; i++)
        rows[i] = (float)(i / 32);
    test_gguf_tensor(g, "token_embd.weight", 0, 32, 5, 0);
    test_gguf_tensor(g, "blk.0.attn_q.weight", 0, 32, HIDDEN, 640);
    if (m->bias)
        test_gguf_tensor(g, "blk.0.attn_q.bias", 0, HIDDEN, 0, 4096);
    if (m->divisors)
        test_gguf_tensor(g, "rope_freqs.weight", 0, PAIRS, 0, 4096 + 64);
    if (m->tensor)
        test_gguf_tensor(g, m->tensor, 0, PAIRS, 0, 4096 + 128);
    test_gguf_data(g, NULL, 640);
    test_gguf_put(g, rows, sizeof rows);
    test_gguf_put(g, NULL, 4096 - 640 - sizeof rows + 64);
    test_gguf_put(g, m->divisors, m->divisors ? PAIRS * sizeof(float) : 0);
    if (m->tensor)
        test_gguf_put(g, NULL, 64 + PAIRS * sizeof(float));
}

static unsigned count_tensors(const struct llama *m)
{
    return 2u + (m->divisors ? 1 : 0) + (m->bias ? 1 : 0) + (m->tensor ? 1 : 0);
}

static unsigned count_keys(const struct llama *m)
{
    return 14u + (m->scaling ? 2 : 0) + (m->window ? 1 : 0) + (m->yarn.key ? 1 : 0) +
           (m->type ? 1 : 0) + (m->ahead ? 1 : 0);
}

static void write_llama(const char *path, const struct llama *m)
{
    struct test_gguf g;
    char key[64];
    test_gguf_begin(&g, count_tensors(m), count_keys(m));
    test_gguf_key_text(&g, "general.architecture", m->architecture);
    put_dimensions(&g, m);
    test_gguf_key_f32(&g, key_of(key, m, "attention.layer_norm_rms_epsilon"), 1e-5f);
    test_gguf_key_f32(&g, key_of(key, m, "rope.freq_base"), m->theta);
    test_gguf_key_u32(&g, "tokenizer.ggml.eos_token_id", 2);
    test_gguf_key_u32(&g, "tokenizer.ggml.eot_token_id", 4);
    put_options(&g, m);
    put_tensors(&g, m);
    test_gguf_write(&g, path);
}

static rt_status read_llama(struct rt_ctx *ctx, const struct llama *m, json_t **out)
{
    struct test_folder folder;
    struct fmt_gguf file;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "llama.gguf");
    write_llama(path, m);
    if (fmt_gguf_open(ctx, path, &file) != RT_OK)
        fail_msg("%s", ctx->message);
    const rt_status st = fmt_gguf_config_json(&file, out);
    fmt_gguf_close(&file);
    test_folder_deinit(&folder);
    return st;
}

static double number_of(const json_t *root, const char *key)
{
    assert_true(json_is_number(json_object_get(root, key)));
    return json_number_value(json_object_get(root, key));
}

static void keys_become_a_config(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    json_t *root;
    const struct llama m = { .architecture = "llama",
                             .theta = 500000,
                             .scaling = "linear" };
    assert_int_equal(read_llama(&ctx, &m, &root), RT_OK);
    assert_string_equal(json_string_value(json_object_get(root, "model_type")), "llama");
    assert_true(number_of(root, "hidden_size") == 32);
    assert_true(number_of(root, "intermediate_size") == 96);
    assert_true(number_of(root, "num_hidden_layers") == 1);
    assert_true(number_of(root, "num_attention_heads") == HEADS);
    assert_true(number_of(root, "head_dim") == HEAD);
    assert_true(number_of(root, "vocab_size") == 5);
    assert_true(number_of(root, "rope_theta") == 500000);
    assert_true((float)number_of(root, "rms_norm_eps") == 1e-5f);
    assert_true(json_is_true(json_object_get(root, "tie_word_embeddings")));
    assert_true(json_is_false(json_object_get(root, "attention_bias")));
    assert_null(json_object_get(root, "use_sliding_window"));
    const json_t *eos = json_object_get(root, "eos_token_id");
    assert_int_equal(json_array_size(eos), 2);
    assert_int_equal(json_integer_value(json_array_get(eos, 1)), 4);
    const json_t *scaling = json_object_get(root, "rope_scaling");
    assert_string_equal(json_string_value(json_object_get(scaling, "rope_type")),
                        "linear");
    assert_true(number_of(scaling, "factor") == 4);
    json_decref(root);
}

/* The divisors that a llama3 scaling gives. */
static void divisors_of(double theta, double factor, double low, double high,
                        double original, float *out)
{
    for (int i = 0; i < PAIRS; i++) {
        const double f = pow(theta, -2.0 * i / HEAD);
        double share = (original * f / 6.283185307179586 - low) / (high - low);
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        out[i] = (float)(1 / (share + (1 - share) / factor));
    }
}

static void llama3_scaling_is_recovered(void **state)
{
    (void)state;
    static const struct {
        double theta, factor, low, high, original;
    } cases[] = {
        { 10000, 8, 1, 4, 8192 }, /* nothing between, the usual parameters */
        { 30, 8, 1, 4, 40 },      /* two between */
        { 10, 32, 2, 9, 60 },     /* three between, low is not 1 */
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        json_t *root;
        float divisors[PAIRS], again[PAIRS];
        divisors_of(cases[i].theta, cases[i].factor, cases[i].low, cases[i].high,
                    cases[i].original, divisors);
        const struct llama m = { .architecture = "llama",
                                 .theta = (float)cases[i].theta,
                                 .divisors = divisors };
        if (read_llama(&ctx, &m, &root) != RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        const json_t *s = json_object_get(root, "rope_scaling");
        if (i > 0) {
            assert_string_equal(json_string_value(json_object_get(s, "rope_type")),
                                "llama3");
            divisors_of(cases[i].theta, number_of(s, "factor"),
                        number_of(s, "low_freq_factor"), number_of(s, "high_freq_factor"),
                        number_of(s, "original_max_position_embeddings"), again);
            for (int k = 0; k < PAIRS; k++)
                assert_true(fabsf(again[k] - divisors[k]) <= 1e-5f * divisors[k]);
        }
        json_decref(root);
    }
}

static const float odd[PAIRS] = { 1, 3, 2, 5 };
static const uint32_t same[] = { HEADS, HEADS }, differ[] = { HEADS, HEADS / 2 };
static const struct {
    struct llama m;
    const char *parts[2];
} refused[] = {
    { { .architecture = "gemma2", .theta = 1e4f }, { "'gemma2'", "qwen3 are" } },
    { { .architecture = "llama", .theta = 1e4f, .experts = 8 }, { "8 experts" } },
    { { .architecture = "llama", .theta = 1e4f, .rotated = 4 }, { "4 are rotated" } },
    { { .architecture = "llama", .theta = 1e4f, .bias = true },
      { "with biases of q, k, v and without" } },
    { { .architecture = "llama", .theta = 1e4f, .tensor = "blk.0.attn_q_norm.weight" },
      { "'blk.0.attn_q_norm.weight' is none of architecture 'llama'" } },
    { { .architecture = "llama", .theta = 1e4f, .tensor = "blk.0.attn_sinks.weight" },
      { "'blk.0.attn_sinks.weight' is none of architecture 'llama'" } },
    { { .architecture = "llama",
        .theta = 1e4f,
        .tensor = "blk.0.post_attention_norm.weight" },
      { "'blk.0.post_attention_norm.weight' is none of architecture 'llama'" } },
    { { .architecture = "llama", .theta = 1e4f, .tensor = "blk.0.attn_norm.bias" },
      { "'blk.0.attn_norm.bias' is none of architecture 'llama'" } },
    { { .architecture = "llama", .theta = 1e4f, .tensor = "blk.0.attn_v.bias" },
      { "'blk.0.attn_v.bias' is none of architecture 'llama'" } },
    { { .architecture = "llama", .theta = 1e4f, .tensor = "output_norm.bias" },
      { "'output_norm.bias' is none of architecture 'llama'" } },
    { { .architecture = "llama", .theta = 1e4f, .tensor = "output.bias" },
      { "'output.bias' is none of architecture 'llama'" } },
    { { .architecture = "llama", .theta = 1e4f, .tensor = "position_embd.weight" },
      { "'position_embd.weight' is none of architecture 'llama'" } },
    { { .architecture = "qwen2",
        .theta = 1e4f,
        .bias = true,
        .tensor = "blk.0.attn_q_norm.weight" },
      { "'blk.0.attn_q_norm.weight' is none of architecture 'qwen2'" } },
    { { .architecture = "qwen2",
        .theta = 1e4f,
        .bias = true,
        .tensor = "blk.0.ffn_up.bias" },
      { "qwen2 with biases of gate, up and down (blk.0.ffn_up.bias)" } },
    { { .architecture = "llama", .theta = 1e4f, .ahead = true },
      { "llama.attention.causal is false" } },
    { { .architecture = "llama", .theta = 1e4f, .type = "adapter" },
      { "is no model: general.type is 'adapter'" } },
    { { .architecture = "llama", .theta = 1e4f, .divisors = odd },
      { "rope_freqs.weight", "not llama3's" } },
    { { .architecture = "llama", .theta = 1e4f, .scaling = "longrope" },
      { "llama.rope.scaling.type' is 'longrope'", "linear and yarn" } },
    { { .architecture = "llama", .theta = 1e4f, .scaling = "\xff" },
      { "llama.rope.scaling.type'" } },
    { { .architecture = "llama", .theta = 1e4f, .window = 512 },
      { "llama.attention.sliding_window 512 of 1024", "wrong beyond" } },
    { { .architecture = "llama",
        .theta = 1e4f,
        .layers = 2,
        .heads = differ,
        .head_numbers = 2 },
      { "llama.attention.head_count'", "layers that differ are not" } },
    { { .architecture = "llama",
        .theta = 1e4f,
        .layers = 3,
        .heads = same,
        .head_numbers = 2 },
      { "llama.attention.head_count'", "2 numbers for 3 layers" } },
    { { .architecture = "llama",
        .theta = 1e4f,
        .scaling = "yarn",
        .yarn = { "llama.rope.scaling.yarn_beta_fast", 4 } },
      { "'llama.rope.scaling.yarn_beta_fast' is 4", "32 is supported" } },
    { { .architecture = "llama",
        .theta = 1e4f,
        .scaling = "yarn",
        .yarn = { "llama.rope.scaling.yarn_ext_factor", 0 } },
      { "yarn_ext_factor' is 0", "1 is supported" } },
    { { .architecture = "llama",
        .theta = 1e4f,
        .scaling = "yarn",
        .yarn = { "llama.rope.scaling.yarn_log_multiplier", 0.1f } },
      { "yarn_log_multiplier' is 0.1", "0 is supported" } },
};

static void what_is_not_supported_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(refused); i++) {
        struct rt_ctx ctx = { 0 };
        json_t *root;
        const rt_status st = read_llama(&ctx, &refused[i].m, &root);
        test_refused(&ctx, st, RT_ERR_INPUT, "llama.gguf", refused[i].parts[0],
                     refused[i].parts[1], NULL);
        assert_null(root);
    }
}

/* Keys that say what would be done without them. */
static void keys_that_change_nothing_are_read(void **state)
{
    (void)state;
    static const struct llama cases[] = {
        { .architecture = "llama",
          .theta = 1e4f,
          .layers = 2,
          .heads = same,
          .head_numbers = 2 },
        { .architecture = "llama", .theta = 1e4f, .window = 1024 },
        { .architecture = "llama",
          .theta = 1e4f,
          .tensor = "blk.0.attn_rot_embd.weight" },
        { .architecture = "llama", .theta = 1e4f, .tensor = "mm.0.weight" },
        { .architecture = "llama", .theta = 1e4f, .tensor = "blk.0.ffn_up.weight" },
        { .architecture = "llama", .theta = 1e4f, .type = "model" },
        { .architecture = "llama",
          .theta = 1e4f,
          .scaling = "yarn",
          .yarn = { "llama.rope.scaling.yarn_beta_fast", 32 } },
        { .architecture = "llama",
          .theta = 1e4f,
          .scaling = "yarn",
          .yarn = { "llama.rope.scaling.yarn_ext_factor", -1 } },
        { .architecture = "llama",
          .theta = 1e4f,
          .scaling = "linear",
          .yarn = { "llama.rope.scaling.yarn_beta_slow", 2 } },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        json_t *root;
        if (read_llama(&ctx, &cases[i], &root) != RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        assert_true(number_of(root, "num_attention_heads") == HEADS);
        assert_true(number_of(root, "num_key_value_heads") == HEADS);
        assert_null(json_object_get(root, "sliding_window"));
        json_decref(root);
    }
}

static void names_go_both_ways(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "model.embed_tokens.weight", "token_embd.weight" },
        { "model.norm.weight", "output_norm.weight" },
        { "lm_head.weight", "output.weight" },
        { "model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight" },
        { "model.layers.31.self_attn.q_proj.bias", "blk.31.attn_q.bias" },
        { "model.layers.7.self_attn.o_proj.weight", "blk.7.attn_output.weight" },
        { "model.layers.7.self_attn.q_norm.weight", "blk.7.attn_q_norm.weight" },
        { "model.layers.7.post_attention_layernorm.weight", "blk.7.ffn_norm.weight" },
        { "model.layers.100.mlp.down_proj.weight", "blk.100.ffn_down.weight" },
    };
    static const char *const none[] = { "",
                                        "rope_freqs.weight",
                                        "blk..attn_q.weight",
                                        "blk.1.attn_q",
                                        "blk.1.attn_q.weight2",
                                        "blk.12345678.attn_q.weight",
                                        "model.layers.1.attn_q.weight",
                                        "token_embd" };
    char name[FMT_GGUF_NAME_MAX];
    for (size_t i = 0; i < RT_COUNT(pairs); i++) {
        assert_true(fmt_gguf_name(pairs[i][0], name));
        assert_string_equal(name, pairs[i][1]);
        assert_true(fmt_gguf_hf_name(pairs[i][1], name));
        assert_string_equal(name, pairs[i][0]);
    }
    for (size_t i = 0; i < RT_COUNT(none); i++) {
        assert_false(fmt_gguf_name(none[i], name));
        assert_false(fmt_gguf_hf_name(none[i], name));
    }
}

/* The definition: reshape to [heads][2][d / 2], swap the last two axes. */
static void rows_of_llama_are_put_back(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct fmt_gguf file;
    const struct fmt_gguf_arch *arch;
    float values[HIDDEN * 32];
    const struct llama m = { .architecture = "llama", .theta = 10000 };
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "llama.gguf");
    write_llama(path, &m);
    assert_int_equal(fmt_gguf_open(&ctx, path, &file), RT_OK);
    assert_int_equal(fmt_gguf_arch_find(&file, &arch), RT_OK);
    const char *q = "model.layers.0.self_attn.q_proj.weight";
    assert_int_equal(fmt_gguf_weight(&file, arch, q, HIDDEN, 32, HEAD, values), RT_OK);
    for (uint32_t h = 0; h < HEADS; h++)
        for (uint32_t s = 0; s < 2; s++)
            for (uint32_t j = 0; j < PAIRS; j++) {
                const uint32_t row = h * HEAD + s * PAIRS + j;
                assert_int_equal((int)values[row * 32 + 5], h * HEAD + 2 * j + s);
                assert_int_equal(fmt_gguf_row(arch, "x.v_proj.weight", HEAD, row), row);
            }
    test_refused(&ctx, fmt_gguf_weight(&file, arch, q, 8, 32, HEAD, values), RT_ERR_INPUT,
                 "blk.0.attn_q.weight", "[16, 32]", "[8, 32] is expected", NULL);
    test_refused(&ctx,
                 fmt_gguf_weight(&file, arch, "model.norm.weight", 1, 32, HEAD, values),
                 RT_ERR_INPUT, "model.norm.weight", "missing", NULL);
    fmt_gguf_close(&file);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_equals_the_folders),
        cmocka_unit_test(keys_become_a_config),
        cmocka_unit_test(llama3_scaling_is_recovered),
        cmocka_unit_test(what_is_not_supported_is_named),
        cmocka_unit_test(keys_that_change_nothing_are_read),
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(rows_of_llama_are_put_back),
    };
    return cmocka_run_group_tests_name("gguf model", tests, NULL, NULL);
}

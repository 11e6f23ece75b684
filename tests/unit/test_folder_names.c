/* Which tensors of a folder are the model's: names without "model.", tied heads that are
 * stored all the same, tensors and entries of the index that nothing needs. */
#include "runtime/format/checkpoint.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TINY "tests/golden/models/qwen2-tiny"
#define SHARDED "tests/golden/models/qwen2-tiny-untied-bf16"
#define EMBEDDING "model.embed_tokens.weight"

enum { VOCAB = 331, HIDDEN = 96, TABLE = VOCAB * HIDDEN };

/* What a case does to the header of a good file; `more` is put behind its data. */
struct edit {
    json_t *header;
    uint64_t size; /* of the data so far */
    const float *embedding;
    uint8_t more[4 * TABLE];
    size_t more_size;
};
typedef void edit_fn(struct edit *e);

static void add_tensor(struct edit *e, const char *name, const char *dtype, json_t *shape,
                       const void *data, size_t size)
{
    assert_true(e->more_size + size <= sizeof e->more);
    memcpy(e->more + e->more_size, data, size);
    e->more_size += size;
    json_object_set_new(e->header, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape,
                                  "data_offsets", (json_int_t)e->size,
                                  (json_int_t)(e->size + size)));
    e->size += size;
}

static void rename_tensor(struct edit *e, const char *from, const char *to)
{
    json_object_set(e->header, to, json_object_get(e->header, from));
    json_object_del(e->header, from);
}

/* A folder like qwen2-tiny, changed. */
static void make(struct test_folder *folder, edit_fn *change)
{
    static struct edit e;
    size_t size;
    uint64_t length = 0;
    test_folder_init(folder);
    test_folder_fill(folder, TINY);
    const char *path = test_folder_file(folder, "model.safetensors");
    char *all = test_file_read(path, &size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | (unsigned char)all[i];
    e = (struct edit){ .header = json_loadb(all + 8, length, 0, NULL),
                       .size = size - 8 - length };
    float *embedding = calloc(TABLE, sizeof *embedding);
    const json_t *offsets =
        json_object_get(json_object_get(e.header, EMBEDDING), "data_offsets");
    memcpy(embedding, all + 8 + length + json_integer_value(json_array_get(offsets, 0)),
           TABLE * sizeof *embedding);
    e.embedding = embedding;
    change(&e);
    char *data = malloc(size + e.more_size), *text = json_dumps(e.header, JSON_COMPACT);
    memcpy(data, all + 8 + length, size - 8 - length);
    memcpy(data + size - 8 - length, e.more, e.more_size);
    test_file_safetensors(path, text, data, size - 8 - length + e.more_size);
    json_decref(e.header);
    free(embedding);
    free(data);
    free(text);
    free(all);
}

/* ---- what the log says ---- */

static char logged[1024];

static void keep_line(void *user, enum rt_log_level level, const char *line)
{
    (void)user;
    if (level <= RT_LOG_WARNING)
        snprintf(logged, sizeof logged, "%s", line);
}

static struct rt_ctx new_ctx(void)
{
    logged[0] = '\0';
    return (struct rt_ctx){ .log = keep_line };
}

static struct fmt_model *open_good(struct rt_ctx *ctx, const struct test_folder *folder)
{
    struct fmt_model *model;
    if (fmt_model_open(ctx, folder->path, &model) != RT_OK)
        fail_msg("%s", ctx->message);
    return model;
}

/* ---- names ---- */

static void strip(struct edit *e)
{
    const char *name;
    json_t *entry;
    void *next;
    json_t *bare = json_object();
    json_object_foreach_safe(e->header, next, name, entry)
        json_object_set(bare, strncmp(name, "model.", 6) == 0 ? name + 6 : name, entry);
    json_decref(e->header);
    e->header = bare;
}

static void names_without_model_are_read(void **state)
{
    (void)state;
    struct rt_ctx ctx = new_ctx();
    struct test_folder folder;
    struct fmt_model *model, *plain;
    char path[TEST_PATH_MAX], a[65], b[65];
    make(&folder, strip);
    model = open_good(&ctx, &folder);
    test_path(path, sizeof path, TINY);
    assert_int_equal(fmt_model_open(&ctx, path, &plain), RT_OK);
    assert_int_equal(fmt_model_hash(model, a), RT_OK);
    assert_int_equal(fmt_model_hash(plain, b), RT_OK);
    assert_string_equal(a, b); /* names and bytes */
    fmt_model_close(&model);
    fmt_model_close(&plain);
    test_folder_deinit(&folder);
}

static void put_inside(struct edit *e)
{
    rename_tensor(e, EMBEDDING, "model.language_model.embed_tokens.weight");
}

static void names_inside_another_model_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = new_ctx();
    struct test_folder folder;
    struct fmt_model *model;
    make(&folder, put_inside);
    test_refused(&ctx, fmt_model_open(&ctx, folder.path, &model), RT_ERR_INPUT,
                 folder.path, "'model.language_model.embed_tokens.weight'",
                 "save it alone", NULL);
    test_folder_deinit(&folder);
}

/* ---- heads ---- */

static void add_head(struct edit *e, const float *values)
{
    add_tensor(e, "lm_head.weight", "F32", json_pack("[i, i]", VOCAB, HIDDEN), values,
               TABLE * sizeof *values);
}
static void same_head(struct edit *e)
{
    add_head(e, e->embedding);
}
static void moved_head(struct edit *e)
{
    static float values[TABLE];
    memcpy(values, e->embedding, sizeof values);
    values[TABLE - 1] += 1;
    add_head(e, values);
}
static void half_head(struct edit *e) /* equal values, but for the last */
{
    static uint16_t values[TABLE];
    for (int i = 0; i < TABLE; i++) {
        uint32_t word;
        memcpy(&word, &e->embedding[i], sizeof word);
        values[i] = (uint16_t)(word >> 16);
    }
    add_tensor(e, "lm_head.weight", "BF16", json_pack("[i, i]", VOCAB, HIDDEN), values,
               sizeof values);
}
static void only_head(struct edit *e)
{
    rename_tensor(e, EMBEDDING, "lm_head.weight");
}

static void stored_heads_that_differ_are_kept(void **state)
{
    (void)state;
    static const struct {
        edit_fn *change;
        bool kept;
    } cases[] = {
        { same_head, false },
        { moved_head, true },
        { half_head, true },
        { only_head, false },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = new_ctx();
        struct test_folder folder;
        uint32_t out, in;
        make(&folder, cases[i].change);
        struct fmt_model *model = open_good(&ctx, &folder);
        assert_int_equal(fmt_has_head(model), cases[i].kept);
        assert_int_equal(fmt_model_config(model)->tied, !cases[i].kept);
        assert_int_equal(strstr(logged, "the stored head is used") != NULL,
                         cases[i].kept);
        assert_int_equal(fmt_weight_size(model, "model.embed_tokens", &out, &in), RT_OK);
        assert_int_equal(out, VOCAB);
        fmt_model_close(&model);
        test_folder_deinit(&folder);
    }
}

static void a_head_that_is_missing_is_told(void **state)
{
    (void)state;
    struct rt_ctx ctx = new_ctx();
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, TINY);
    test_file_replace(test_folder_file(&folder, "config.json"),
                      "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    struct fmt_model *model = open_good(&ctx, &folder);
    assert_false(fmt_has_head(model));
    assert_non_null(strstr(logged, "the embedding is used"));
    fmt_model_close(&model);
    test_folder_deinit(&folder);
}

/* ---- what nothing needs ---- */

static void add_useless(struct edit *e)
{
    static const uint8_t bytes[64] = { 0xff, 0xff, 0xff, 0xff };
    add_tensor(e, "model.layers.0.self_attn.rotary_emb.inv_freq", "F32",
               json_pack("[i]", 8), bytes, 32); /* NaN at first */
    add_tensor(e, "model.rotary_emb.inv_freq", "F64", json_pack("[i]", 8), bytes, 64);
    add_tensor(e, "visual.blocks.0.attn.qkv.weight", "F8_E4M3", json_pack("[i, i]", 4, 4),
               bytes, 16);
    add_tensor(e, "num_batches_tracked", "I16", json_pack("[]"), bytes, 2);
    add_tensor(e, "x", "F4", json_pack("[i]", 4), bytes, 2);
    add_tensor(e, "norm.weight", "C64", json_pack("[i]", 1), bytes, 8);
}

static void tensors_that_nothing_needs_stop_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = new_ctx();
    struct test_folder folder;
    static float values[TABLE];
    make(&folder, add_useless);
    struct fmt_model *model = open_good(&ctx, &folder);
    assert_int_equal(fmt_tensor_f32(model, EMBEDDING, TABLE, values), RT_OK);
    assert_int_equal(fmt_tensor_f32(model, "model.norm.weight", HIDDEN, values), RT_OK);
    test_refused(&ctx, fmt_tensor_f32(model, "x", 4, values), RT_ERR_INPUT, "'x' is F4",
                 NULL);
    fmt_model_close(&model);
    test_folder_deinit(&folder);
}

static void shards_that_nothing_needs_may_be_missing(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *message; /* null: read */
    } cases[] = {
        { "\"visual.merger.weight\": \"model-00003-of-00003.safetensors\"", NULL },
        { "\"model.layers.0.self_attn.rotary_emb.inv_freq\": \"gone\"", NULL },
        { "\"model.layers.9.mlp.up_proj.weight\": \"gone\"", NULL },
        { "\"model.layers.0.mlp.up_proj.weight_scale\": \"gone\"", "/gone' is missing" },
        { "\"layers.1.self_attn.q_norm.weight\": \"gone\"", "/gone' is missing" },
        { "\"lm_head.bias\": 7", "'lm_head.bias' has no valid file" },
        { "\"model.embed_tokens.other\": \"model-00001-of-00002.safetensors\"",
          "is in no shard" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = new_ctx();
        struct test_folder folder;
        struct fmt_model *model;
        char all[256];
        test_folder_init(&folder);
        test_folder_fill(&folder, SHARDED);
        snprintf(all, sizeof all, "\"weight_map\": {%s,", cases[i].entry);
        test_file_replace(test_folder_file(&folder, "model.safetensors.index.json"),
                          "\"weight_map\": {", all);
        const rt_status st = fmt_model_open(&ctx, folder.path, &model);
        if (cases[i].message)
            test_refused(&ctx, st, RT_ERR_INPUT, cases[i].message, NULL);
        else if (st != RT_OK)
            fail_msg("%s: %s", cases[i].entry, ctx.message);
        fmt_model_close(&model);
        test_refused(&ctx, fmt_model_open_tensors(&ctx, folder.path, &model),
                     RT_ERR_INPUT, "index.json", NULL);
        test_folder_deinit(&folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_without_model_are_read),
        cmocka_unit_test(names_inside_another_model_are_refused),
        cmocka_unit_test(stored_heads_that_differ_are_kept),
        cmocka_unit_test(a_head_that_is_missing_is_told),
        cmocka_unit_test(tensors_that_nothing_needs_stop_nothing),
        cmocka_unit_test(shards_that_nothing_needs_may_be_missing),
    };
    return cmocka_run_group_tests_name("names of a folder", tests, NULL, NULL);
}

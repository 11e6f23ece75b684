/* Damaged model folders, tokenizers and adapters, as a user meets them: one line that
 * names the file, the reason and what to do, exit code 4, and nothing half-written. */
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test_place place;

/* ---- models ---- */

static const char *in_model(const char *name)
{
    return test_folder_file(&place.model, name);
}

static void no_config(void)
{
    assert_int_equal(remove(in_model("config.json")), 0);
}
static void config_empty(void)
{
    test_file_write(in_model("config.json"), "", 0);
}
static void config_cut(void)
{
    assert_int_equal(truncate(in_model("config.json"), 90), 0);
}
static void family_unknown(void)
{
    test_file_replace(in_model("config.json"), "\"qwen2\"", "\"mamba\"");
}
static void heads_impossible(void)
{
    test_file_replace(in_model("config.json"), "\"num_attention_heads\": 6",
                      "\"num_attention_heads\": 0");
}
static void weights_missing(void)
{
    assert_int_equal(remove(in_model("model.safetensors")), 0);
}
static void weights_empty(void)
{
    assert_int_equal(truncate(in_model("model.safetensors"), 0), 0);
}
static void weights_cut(void)
{
    assert_int_equal(truncate(in_model("model.safetensors"), 100000), 0);
}

/* Overwrites bytes of the weights. */
static void poke(size_t at, const void *bytes, size_t count)
{
    FILE *file = fopen(in_model("model.safetensors"), "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}
static void header_too_long(void)
{
    poke(0, "\xff\xff\xff\xff\xff\x00\x00\x00", 8);
}
static void header_longest(void)
{
    poke(0, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}
static void header_garbage(void)
{
    poke(8, "garbage", 7);
}

/* Changes the header of the weights; the data stays. */
static void edit_header(void (*change)(json_t *header))
{
    size_t size;
    uint64_t length = 0;
    char path[TEST_PATH_MAX];
    snprintf(path, sizeof path, "%s", in_model("model.safetensors"));
    char *all = test_file_read(path, &size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | (unsigned char)all[i];
    json_t *header = json_loadb(all + 8, length, 0, NULL);
    assert_non_null(header);
    change(header);
    char *text = json_dumps(header, JSON_COMPACT);
    test_file_safetensors(path, text, all + 8 + length, size - 8 - length);
    free(text);
    free(all);
    json_decref(header);
}

#define NORM "model.layers.0.input_layernorm.weight"
#define DOWN "model.layers.0.mlp.down_proj.weight"

static void overlap(json_t *header)
{
    json_t *offsets = json_object_get(json_object_get(header, NORM), "data_offsets");
    for (size_t i = 0; i < 2; i++)
        json_array_set_new(
            offsets, i,
            json_integer(json_integer_value(json_array_get(offsets, i)) - 96));
}
static void tensors_overlap(void)
{
    edit_header(overlap);
}
static void transpose(json_t *header)
{
    json_object_set_new(json_object_get(header, DOWN), "shape",
                        json_pack("[i, i]", 160, 96));
}
static void shape_wrong(void)
{
    edit_header(transpose);
}
static void lengthen(json_t *header)
{
    json_object_set_new(json_object_get(header, NORM), "shape", json_pack("[i]", 97));
}
static void shape_too_long(void)
{
    edit_header(lengthen);
}
static void rename_tensor(json_t *header)
{
    json_object_set(header, "other.weight", json_object_get(header, DOWN));
    json_object_del(header, DOWN);
}
static void tensor_missing(void)
{
    edit_header(rename_tensor);
}
static void retype(json_t *header)
{
    json_object_set_new(json_object_get(header, DOWN), "dtype", json_string("F4"));
}
static void dtype_unknown(void)
{
    edit_header(retype);
}

static void move_embedding(json_t *header, const char *name)
{
    json_object_set(header, name, json_object_get(header, "model.embed_tokens.weight"));
    json_object_del(header, "model.embed_tokens.weight");
}
static void put_inside(json_t *header)
{
    move_embedding(header, "language_model.model.embed_tokens.weight");
}
static void put_in_peft(json_t *header)
{
    move_embedding(header, "base_model.model.model.embed_tokens.weight");
}
static void put_in_module(json_t *header)
{
    move_embedding(header, "module.model.embed_tokens.weight");
}
static void names_of_peft(void)
{
    edit_header(put_in_peft);
}
static void names_of_module(void)
{
    edit_header(put_in_module);
}
static void names_inside(void)
{
    edit_header(put_inside);
}
static void heads_beyond(void)
{
    test_file_replace(in_model("config.json"), "\"num_attention_heads\": 6",
                      "\"num_attention_heads\": 100000000000000000000");
}
static void rope_twice(void)
{
    test_file_replace(in_model("config.json"), "\"rope_theta\": 1000000.0",
                      "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, "
                      "\"rope_parameters\": {\"rope_theta\": 500000}");
}
static void window_in_use(void)
{
    test_file_replace(in_model("config.json"), "\"use_sliding_window\": false",
                      "\"use_sliding_window\": true");
    test_file_replace(in_model("config.json"), "\"max_window_layers\": 3",
                      "\"max_window_layers\": 2");
}

/* A float in the middle of layer 0's down projection. */
static void put_float(float value)
{
    char head[8];
    FILE *file = fopen(in_model("model.safetensors"), "rb");
    assert_non_null(file);
    assert_int_equal(fread(head, 1, 8, file), 8);
    fclose(file);
    const size_t header = (unsigned char)head[0] | (size_t)(unsigned char)head[1] << 8;
    poke(8 + header + 127488 + 4000, &value, sizeof value);
}
static void weights_nan(void)
{
    put_float(NAN);
}
static void weights_infinite(void)
{
    put_float(INFINITY);
}

#define LOGITS "tool logits --device ref --ids 1,2,3 --out x.f32 "

static const struct test_case broken[] = {
    { "no folder", NULL, LOGITS "--model @M/nothing", 4,
      "/model/nothing|config.json|folder", NULL },
    { "a file for a folder", NULL, LOGITS "--model @M/config.json", 4,
      "config.json' is no model", NULL },
    { "no config", no_config, LOGITS "--model @M", 4,
      "/model|no config.json|Hugging Face model folder", NULL },
    { "an empty config", config_empty, LOGITS "--model @M", 4,
      "/model/config.json' is empty", NULL },
    { "a config that is cut short", config_cut, LOGITS "--model @M", 4,
      "/model/config.json', line 6, column", NULL },
    { "an unknown family", family_unknown, LOGITS "--model @M", 4,
      "/model/config.json|mamba|qwen2", NULL },
    { "no heads", heads_impossible, LOGITS "--model @M", 4,
      "/model/config.json|num_attention_heads", NULL },
    { "no weights", weights_missing, LOGITS "--model @M", 4,
      "/model/model.safetensors|No such file", NULL },
    { "empty weights", weights_empty, LOGITS "--model @M", 4,
      "/model/model.safetensors|the file has 0|get it again", NULL },
    { "weights that are cut short", weights_cut, LOGITS "--model @M", 4,
      "/model/model.safetensors|cut short|get it again", NULL },
    { "a header longer than the file", header_too_long, LOGITS "--model @M", 4,
      "/model/model.safetensors|1099511627775 bytes|get it again", NULL },
    { "a header of 2^64 - 1 bytes", header_longest, LOGITS "--model @M", 4,
      "/model/model.safetensors|the header says|get it again", NULL },
    { "a header of garbage", header_garbage, LOGITS "--model @M", 4,
      "/model/model.safetensors|not valid JSON", NULL },
    { "overlapping tensors", tensors_overlap, LOGITS "--model @M", 4,
      "/model/model.safetensors|overlap|" NORM "|get it again", NULL },
    { "a transposed matrix", shape_wrong, LOGITS "--model @M", 4,
      "/model|" DOWN "|[160, 96], [96, 160] is expected|config.json", NULL },
    { "a shape that does not fit its bytes", shape_too_long, LOGITS "--model @M", 4,
      "/model/model.safetensors|" NORM "|its shape needs 388", NULL },
    { "a missing tensor", tensor_missing, LOGITS "--model @M", 4,
      "/model|" DOWN "|is missing|incomplete", NULL },
    { "an unknown type", dtype_unknown, LOGITS "--model @M", 4,
      "/model|" DOWN "|unsupported dtype 'F4'|F8_E4M3 and F8_E5M2 are", NULL },
    { "a language model inside a larger one", names_inside, LOGITS "--model @M", 4,
      "/model|there is 'language_model.model.embed_tokens.weight'|save it alone", NULL },
    { "a model in an adapter's wrapper", names_of_peft, LOGITS "--model @M", 4,
      "/model|there is 'base_model.model.model.embed|merge the adapter", NULL },
    { "a model in a training wrapper", names_of_module, LOGITS "--model @M", 4,
      "/model|there is 'module.model.embed_tokens.weight'|training wrapper", NULL },
    { "a number that is needed and beyond 64 bits", heads_beyond, LOGITS "--model @M", 4,
      "/model/config.json|'num_attention_heads' must be", NULL },
    { "rope_scaling without the base beside rope_parameters", rope_twice,
      LOGITS "--model @M", 4, "/model/config.json|has no rope_theta, they have 500000",
      NULL },
    { "a sliding window that is in use", window_in_use, LOGITS "--model @M", 4,
      "/model/config.json|sliding_window 32 of 512", NULL },
    { "NaN", weights_nan, LOGITS "--model @M", 4,
      "/model|" DOWN "|not finite|get it again", NULL },
    { "infinity", weights_infinite, LOGITS "--model @M", 4,
      "/model|" DOWN "|not finite|get it again", NULL },
    { "quantize: no folder", NULL, "quantize --bits 4 --model @M/nothing --out q", 4,
      "/model/nothing|config.json", NULL },
    { "quantize: NaN", weights_nan, "quantize --bits 4 --model @M --out q", 4,
      "/model|" DOWN "|not finite|get it again", NULL },
    { "quantize: cut short", weights_cut, "quantize --bits 4 --model @M --out q", 4,
      "/model/model.safetensors|cut short", NULL },
    { "quantize: a transposed matrix", shape_wrong,
      "quantize --bits 4 --model @M --out q", 4,
      "/model|" DOWN "|[160, 96], [96, 160] is expected", NULL },
    { "eval: no folder", NULL, "eval --device ref --model @M/nothing --problems x", 4,
      "/model/nothing", NULL },
};

static void models_are_refused(void **state)
{
    (void)state;
    test_cases_run(&place, broken, RT_COUNT(broken));
}

/* ---- tokenizers and adapters ---- */

static void tokenizer_missing(void)
{
    assert_int_equal(remove(in_model("tokenizer.json")), 0);
}
static void tokenizer_cut(void)
{
    assert_int_equal(truncate(in_model("tokenizer.json"), 4000), 0);
}
static void merges_missing(void)
{
    test_file_replace(in_model("tokenizer.json"), "\"merges\"", "\"mergers\"");
}
static void merge_unknown(void)
{
    test_file_replace(in_model("tokenizer.json"), "\"h e\"", "\"hh zzz\"");
}
static void pattern_unknown(void)
{
    test_file_replace(in_model("tokenizer.json"), "\\\\s+(?!\\\\S)", "\\\\X(?!\\\\S)");
}
static void normalizer_unknown(void)
{
    test_file_replace(in_model("tokenizer.json"), "\"normalizer\"",
                      "\"normalizer\": {\"type\": \"Nmt\"}, \"was\"");
}
static void stop_missing(void)
{
    test_file_replace(in_model("tokenizer.json"), "\"<|endoftext|>\"", "\"<|end|>\"");
    test_file_write(in_model("tokenizer_config.json"), "{}", 2);
}
static void copy_adapter(void)
{
    test_place_renew(&place.model);
    test_folder_fill(&place.model, "tests/golden/lora/qwen2-tiny/plain");
}
static void adapter_cut(void)
{
    copy_adapter();
    assert_int_equal(truncate(in_model("adapter_model.safetensors"), 20000), 0);
}
static void adapter_config_cut(void)
{
    copy_adapter();
    assert_int_equal(truncate(in_model("adapter_config.json"), 50), 0);
}

#define TOKENIZE "tool tokenize --model @M"

static void tokenizers_and_adapters_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no tokenizer", tokenizer_missing, TOKENIZE, 4,
          "/model/tokenizer.json|No such file", NULL },
        { "a tokenizer that is cut short", tokenizer_cut, TOKENIZE, 4,
          "/model/tokenizer.json", NULL },
        { "no merges", merges_missing, TOKENIZE, 4, "/model/tokenizer.json|merges",
          NULL },
        { "a merge of unknown tokens", merge_unknown, TOKENIZE, 4,
          "/model/tokenizer.json|zzz", NULL },
        { "a construct that PCRE2 has otherwise", pattern_unknown, TOKENIZE, 4,
          "/model/tokenizer.json|the escape '\\X' in the splitting pattern|not supported",
          NULL },
        { "a normalizer that is not known", normalizer_unknown, TOKENIZE, 4,
          "/model/tokenizer.json|normalizer 'Nmt' is not supported", NULL },
        { "a tokenizer without the end of an answer", stop_missing,
          "eval --device ref --store results.db --model @M --problems @D/measure.jsonl",
          4, "/model|tokenizer|<|endoftext|format 'demo'", NULL },
        { "no adapter", NULL, LOGITS "--model @T --adapter @M/nothing", 4,
          "/model/nothing/adapter_config.json|No such file", NULL },
        { "an adapter of another model", NULL, LOGITS "--model @D --adapter @A", 4,
          "qwen2-tiny/plain|does not fit the model|adapter of another model?", NULL },
        { "an adapter that is cut short", adapter_cut, LOGITS "--model @T --adapter @M",
          4, "/model/adapter_model.safetensors|get it again", NULL },
        { "an adapter config that is cut short", adapter_config_cut,
          LOGITS "--model @T --adapter @M", 4, "/model/adapter_config.json', line",
          NULL },
        { "eval with an adapter of another model", NULL,
          "eval --device ref --store results.db --model @D --adapter @A --progress none "
          "--problems @D/measure.jsonl[0:1]",
          4, "qwen2-tiny/plain|does not fit the model|adapter of another model?", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_refused),
        cmocka_unit_test(tokenizers_and_adapters_are_refused),
    };
    return test_place_group("bad models", &place, tests, RT_COUNT(tests));
}

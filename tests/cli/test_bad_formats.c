/* Files of others' formats that are damaged or hold what is not supported, as a user meets
 * them in `model show`, `generate` and `tool dequant`: one line that names the file, the
 * reason and what to do, exit code 4, and 3 where a device is too small. What each reader
 * refuses in all is in its unit test. */
#include "tests/support/giant.h"
#include "tests/support/gguf_folder.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_place place;

#define SHOW "model show --device ref "
#define GENERATE "generate --device ref --n 2 --prompt 1 --model "
#define CHAT "generate --chat --device ref --n 2 --prompt 1 --model "

static const char *in_model(const char *name)
{
    return test_folder_file(&place.model, name);
}

static void fill(const char *relative)
{
    test_place_renew(&place.model);
    test_folder_fill(&place.model, relative);
}

/* ---- GGUF ---- */

#define GGUF "/model/m.gguf"

/* Writes m.gguf: a golden file with `count` bytes overwritten, `skip` bytes after the
 * end of the first `mark` (null: from the start). Its size, if `size` is not 0. */
static void damage_file(const char *file, const char *mark, long skip, const void *bytes,
                        size_t count, size_t size)
{
    size_t all, end = 0; /* of the mark */
    char *data = test_file_read(file, &all);
    if (mark) {
        const size_t n = strlen(mark);
        while (end + n < all && memcmp(data + end, mark, n) != 0)
            end++;
        end += n;
    }
    const size_t at = (size_t)((long)end + skip);
    assert_true(at + count < all);
    if (count)
        memcpy(data + at, bytes, count);
    test_file_write(in_model("m.gguf"), data, size ? size : all);
    free(data);
}

static void damage_gguf(const char *mark, long skip, const void *bytes, size_t count,
                        size_t size)
{
    damage_file(TEST_SOURCE_DIR "/tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf",
                mark, skip, bytes, count, size);
}

/* The scale of an NVFP4 matrix: takes the name of another's, or is no number. */
static void damage_scale(long skip, const void *bytes, size_t count)
{
    damage_file(TEST_SOURCE_DIR "/tests/golden/gguf/mixed/qwen2-tiny-mixed.gguf",
                "blk.0.attn_v.scale", skip, bytes, count, 0);
}

#define Q "blk.1.attn_q.weight"
static const uint8_t ones[8] = { 255, 255, 255, 255, 255, 255, 255, 127 };

static void gguf_empty(void)
{
    test_file_write(in_model("m.gguf"), "", 0);
}
static void gguf_text(void)
{
    test_file_write(in_model("m.gguf"), "This is a letter.\n", 18);
}
static void gguf_folder(void)
{
    assert_int_equal(mkdir(in_model("m.gguf"), 0777), 0);
}
static void gguf_loop(void)
{
    assert_int_equal(symlink("m.gguf", in_model("m.gguf")), 0);
}
static void gguf_cut(void)
{
    damage_gguf(NULL, 0, NULL, 0, 100000);
}
static void gguf_many_tensors(void)
{
    damage_gguf(NULL, 8, ones, 8, 0);
}
static void gguf_many_keys(void)
{
    damage_gguf(NULL, 16, ones, 8, 0);
}
static void gguf_long_text(void)
{
    damage_gguf("general.name", 4, ones, 8, 0);
}
static void gguf_alignment(void) /* a key of a name as long, and 0 for its value */
{
    damage_gguf("general.file_type", -17, "general.alignment\4\0\0\0\0\0\0\0", 25, 0);
}
static void gguf_negative(void)
{
    damage_gguf(Q, 4, "\xa0\xff\xff\xff\xff\xff\xff\xff", 8, 0);
}
static void gguf_type(void)
{
    damage_gguf(Q, 20, "\x4d", 1, 0);
}
static void gguf_type_named(void)
{
    damage_gguf(Q, 20, "\x29", 1, 0);
}
static void gguf_scale_beside(void)
{
    damage_scale(-7, "q", 1);
}
static void gguf_scale_type(void) /* its number 26 instead of 0: I32 */
{
    damage_scale(12, "\x1a", 1);
}
static void gguf_beyond(void)
{
    damage_gguf(Q, 28, "\1", 1, 0);
}
static void gguf_twice(void)
{
    damage_gguf(Q, -15, "0", 1, 0);
}
static void gguf_architecture(void)
{
    damage_gguf("general.architecture", 12, "mamba", 5, 0);
}
static void gguf_layers_more(void)
{
    damage_gguf("qwen2.block_count", 4, "\4", 1, 0);
}
static void gguf_layers_fewer(void)
{
    damage_gguf("qwen2.block_count", 4, "\2", 1, 0);
}
static void gguf_hidden(void)
{
    damage_gguf("qwen2.embedding_length", 4, "\xc0", 1, 0);
}
static void gguf_parts(void)
{
    char first[TEST_PATH_MAX];
    test_place_renew(&place.model);
    test_gguf_of_folder("pipeline/demo", "qwen2", 2, in_model("m"), first);
}
static void gguf_part_missing(void)
{
    gguf_parts();
    assert_int_equal(remove(in_model("m-00002-of-00002.gguf")), 0);
}
static void gguf_part_repeated(void)
{
    size_t size;
    gguf_parts();
    char *data = test_file_read(in_model("m-00001-of-00002.gguf"), &size);
    test_file_write(in_model("m-00002-of-00002.gguf"), data, size);
    free(data);
}

static void gguf_files_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no file", NULL, SHOW "@M/m.gguf", 4, GGUF "|No such file", NULL },
        { "an empty file", gguf_empty, SHOW "@M/m.gguf", 4, GGUF "' is not a GGUF file",
          NULL },
        { "a letter", gguf_text, GENERATE "@M/m.gguf", 4, GGUF "' is not a GGUF file",
          NULL },
        { "a folder", gguf_folder, SHOW "@M/m.gguf", 4, GGUF "|it is not a file", NULL },
        { "a link to itself", gguf_loop, SHOW "@M/m.gguf", 4, GGUF "|symbolic links",
          NULL },
        { "cut short", gguf_cut, SHOW "@M/m.gguf", 4, GGUF "|cut short|get it again",
          NULL },
        { "a huge count of tensors", gguf_many_tensors, SHOW "@M/m.gguf", 4,
          GGUF "|9223372036854775807 tensors|get it again", NULL },
        { "a huge count of keys", gguf_many_keys, GENERATE "@M/m.gguf", 4,
          GGUF "|9223372036854775807 keys|get it again", NULL },
        { "a text past the end", gguf_long_text, SHOW "@M/m.gguf", 4,
          GGUF "|'general.name'|past the end", NULL },
        { "alignment 0", gguf_alignment, SHOW "@M/m.gguf", 4,
          GGUF "|'general.alignment' is 0|power of two", NULL },
        { "a negative dimension", gguf_negative, SHOW "@M/m.gguf", 4,
          GGUF "|'" Q "'|size -96", NULL },
        { "an unknown type", gguf_type, SHOW "@M/m.gguf", 4,
          GGUF "|'" Q "'|number 77|Q4_0, Q4_1", NULL },
        { "a type that is not supported", gguf_type_named,
          "tool dequant --out x --tensor model.norm.weight --model @M/m.gguf", 4,
          GGUF "|'" Q "'|Q1_0", NULL },
        { "a scale beside a type without", gguf_scale_beside, SHOW "@M/m.gguf", 4,
          GGUF "|'blk.0.attn_q.weight' of type IQ4_XS|NVFP4 only", NULL },
        { "a scale of another type", gguf_scale_type, SHOW "@M/m.gguf", 4,
          GGUF "|'blk.0.attn_v.scale' is of type I32", NULL },
        { "a tensor past the end", gguf_beyond, SHOW "@M/m.gguf", 4,
          GGUF "|'" Q "'|get it again", NULL },
        { "a tensor twice", gguf_twice, SHOW "@M/m.gguf", 4,
          GGUF "|'blk.0.attn_q.weight' is there twice", NULL },
        { "an architecture", gguf_architecture, GENERATE "@M/m.gguf", 4,
          GGUF "|'mamba'|llama, qwen2, qwen3 are", NULL },
        { "more layers", gguf_layers_more, SHOW "@M/m.gguf", 4,
          GGUF "|'model.layers.3.|is missing|incomplete", NULL },
        { "fewer layers", gguf_layers_fewer, SHOW "@M/m.gguf", 4,
          GGUF "|'model.layers.2.|counts 2 layers|belong together", NULL },
        { "another width", gguf_hidden, SHOW "@M/m.gguf", 4,
          GGUF "|is expected|belong together", NULL },
        { "a missing part", gguf_part_missing, SHOW "@M/m-00001-of-00002.gguf", 4,
          "m-00002-of-00002.gguf', part 2 of 2, is missing|get it", NULL },
        { "a repeated part", gguf_part_repeated, SHOW "@M/m-00001-of-00002.gguf", 4,
          "m-00002-of-00002.gguf'|twice", NULL },
        { "not the first part", gguf_parts, SHOW "@M/m-00002-of-00002.gguf", 4,
          "m-00002-of-00002.gguf' says it is part 2 of 2", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

/* ---- folders ---- */

#define SHARDED "tests/golden/models/qwen2-tiny-untied-bf16"

static void shard_missing(void)
{
    fill(SHARDED);
    assert_int_equal(remove(in_model("model-00002-of-00002.safetensors")), 0);
}
static void shard_folder(void)
{
    shard_missing();
    assert_int_equal(mkdir(in_model("model-00002-of-00002.safetensors"), 0777), 0);
}

#define EMBEDDING "model.embed_tokens.weight"
static void infinity_bf16(void)
{
    fill(SHARDED);
    test_place_poke(&place, "model-00001-of-00002.safetensors", EMBEDDING, 12, "\x80\xff",
                    2);
}
static void rope_unknown(void)
{
    test_file_replace(in_model("config.json"), "\"use_cache\": true",
                      "\"rope_scaling\": {\"rope_type\": \"longrope\"}");
}
static void rope_no_object(void)
{
    test_file_replace(in_model("config.json"), "\"use_cache\": true",
                      "\"rope_scaling\": [2]");
}
static void config_nested(void)
{
    char text[5000];
    memset(text, '[', sizeof text);
    test_file_write(in_model("config.json"), text, sizeof text);
}
static void config_loop(void)
{
    assert_int_equal(remove(in_model("config.json")), 0);
    assert_int_equal(symlink("config.json", in_model("config.json")), 0);
}
static void layers_fewer(void)
{
    test_file_replace(in_model("config.json"), "\"num_hidden_layers\": 3",
                      "\"num_hidden_layers\": 2");
}
static void ends_with_text(void)
{
    test_file_write(in_model("generation_config.json"), "{\"eos_token_id\": \"</s>\"}",
                    24);
}
static void weights_pipe(void) /* must not wait for a writer */
{
    assert_int_equal(remove(in_model("model.safetensors")), 0);
    assert_int_equal(mkfifo(in_model("model.safetensors"), 0666), 0);
}
static void tokens_beyond(void)
{
    test_file_replace(in_model("tokenizer.json"), "}],\"normalizer\"",
                      "},{\"id\":331,\"content\":\"<|one more|>\"}],\"normalizer\"");
}
static void tokenizer_folder(void)
{
    assert_int_equal(remove(in_model("tokenizer.json")), 0);
    assert_int_equal(mkdir(in_model("tokenizer.json"), 0777), 0);
}
static void put_template(const char *text)
{
    test_file_write(in_model("chat_template.jinja"), text, strlen(text));
}
static void template_including(void)
{
    put_template("{{ messages[0].content }}\n\n{% include 'x' %}");
}
static void template_broken(void)
{
    put_template("{% if messages %}\n{{ messages[0].content }");
}
static void template_raising(void)
{
    put_template("{{ raise_exception('Only tools may talk') }}");
}
static void template_silent(void)
{
    put_template("{{ bos_token }}Hello");
}
static void template_failing(void)
{
    put_template("{{ messages[0].content }}\n{{ messages[0].name.first }}");
}
static void template_endless(void)
{
    put_template("{% for a in range(99999) %}{% for b in range(99999) %}{{ a * b }}"
                 "{% endfor %}{% endfor %}");
}
static void template_huge(void)
{
    put_template("{% set ns = namespace(x='0123456789abcdef') %}{% for i in range(60) %}"
                 "{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}");
}
static void template_deep(void)
{
    enum { DEEP = 10000 };
    static char text[2 * DEEP + 8];
    memset(text, '(', DEEP);
    memcpy(text, "{{", 2);
    memset(text + DEEP, ')', DEEP - 2);
    memcpy(text + 2 * DEEP - 2, "}}", 3);
    put_template(text);
}
static void template_unnamed(void)
{
    static const char text[] =
        "{\"chat_template\":[{\"name\":\"rag\",\"template\":\"x\"}]}";
    test_file_write(in_model("tokenizer_config.json"), text, sizeof text - 1);
}
static void giant(void)
{
    test_place_renew(&place.model);
    test_giant(&place.model);
}

static void folders_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "a missing shard", shard_missing, SHOW "@M", 4,
          "/model/model-00002-of-00002.safetensors' is missing|index.json|get the file",
          NULL },
        { "a folder for a shard", shard_folder, SHOW "@M", 4,
          "/model/model-00002-of-00002.safetensors|it is not a file", NULL },
        { "an infinity in BF16", infinity_bf16,
          "tool dequant --out x --tensor " EMBEDDING " --model @M", 4,
          "/model|'" EMBEDDING "'|not finite at 6|get it again", NULL },
        { "a rope by name", rope_unknown, SHOW "@M", 4,
          "/model/config.json|'longrope'|default, linear, llama3, yarn are", NULL },
        { "a rope that is a list", rope_no_object, SHOW "@M", 4,
          "/model/config.json|'rope_scaling' must be an object", NULL },
        { "a config nested too deep", config_nested, SHOW "@M", 4,
          "/model/config.json', line 1|depth", NULL },
        { "a config that links to itself", config_loop, SHOW "@M", 4,
          "/model' is no model|config.json|GGUF file", NULL },
        { "fewer layers", layers_fewer, SHOW "@M", 4,
          "/model|'model.layers.2.|counts 2 layers|belong together", NULL },
        { "an end token that is a text", ends_with_text, GENERATE "@M", 4,
          "/model/generation_config.json|'eos_token_id'|token id", NULL },
        { "a pipe", weights_pipe, GENERATE "@M", 4,
          "/model/model.safetensors|it is not a file", NULL },
        { "token ids beyond the embedding", tokens_beyond, GENERATE "@M", 4,
          "/model|332 ids|331 rows|belong together", NULL },
        { "a folder for a tokenizer", tokenizer_folder, GENERATE "@M", 4,
          "/model/tokenizer.json|it is not a file", NULL },
        { "a template of other files", template_including, CHAT "@M", 4,
          "/model/chat_template.jinja|3|include|--chat-format NAME): chatml, qwen2",
          NULL },
        { "a template that breaks off", template_broken, CHAT "@M", 4,
          "/model/chat_template.jinja|2|--chat-format", NULL },
        { "a template that refuses to talk", template_raising, CHAT "@M", 4,
          "/model/chat_template.jinja|Only tools may talk|--chat-format", NULL },
        { "a template without the question", template_silent, CHAT "@M", 4,
          "/model/chat_template.jinja|leaves the text of the user out|--chat-format",
          NULL },
        { "a template that fails", template_failing, CHAT "@M", 4,
          "/model/chat_template.jinja|2|--chat-format", NULL },
        { "a template without end", template_endless, CHAT "@M", 4,
          "/model/chat_template.jinja|--chat-format", NULL },
        { "a template that makes gigabytes", template_huge, CHAT "@M", 4,
          "/model/chat_template.jinja|--chat-format", NULL },
        { "a template nested 10,000 deep", template_deep, CHAT "@M", 4,
          "/model/chat_template.jinja|--chat-format", NULL },
        { "templates without a default", template_unnamed, CHAT "@M", 4,
          "/model/tokenizer_config.json|several|'default'|--chat-format", NULL },
        { "a tensor that is not there", NULL,
          "tool dequant --out x --tensor model.nrom --model @M", 4,
          "/model|'model.nrom'|named as in 'model.", NULL },
        { "a device that is too small", giant,
          "tool logits --ids 1 --out x --model @M "
          "--device ref",
          3, "/model|GiB on 'ref'|GiB free|quantize|another device", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_files_are_refused),
        cmocka_unit_test(folders_are_refused),
    };
    return test_place_group("bad formats", &place, tests, RT_COUNT(tests));
}

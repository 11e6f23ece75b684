/* runtime/text/tokenizer_export.c
 * The tokenizer of a GGUF file as the files of a Hugging Face folder. What the file means
 * is checked by reading it as a tokenizer; here its keys are known to be there. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/format/gguf.h"
#include "runtime/text/byte_level.h"

#include <string.h>

struct exporter {
    struct rt_ctx *ctx;
    const struct fmt_gguf *file;
    const struct fmt_gguf_key *tokens, *kinds;
    uint64_t last_normal; /* the highest id of a normal token */
    int64_t bos;          /* put before every text; -1: none */
};

static rt_status not_text(const struct exporter *e, const char *key)
{
    return rt_fail(
        e->ctx, RT_ERR_INPUT,
        "'%s': key '%s' holds what cannot be written as JSON: it is not UTF-8, "
        "or there is no memory",
        e->file->path, key);
}

static int32_t kind_of(const struct exporter *e, uint64_t id)
{
    return e->kinds ? (int32_t)fmt_gguf_word(e->kinds, id) : KIND_NORMAL;
}

static bool is_recognised(int32_t kind)
{
    return kind == KIND_USER || kind == KIND_CONTROL || kind == KIND_UNKNOWN;
}

/* The text of token `id` as a JSON string; null: there is none, or it is no text. */
static json_t *text_of(const struct exporter *e, int64_t id)
{
    uint64_t at = 0;
    size_t size = 0;
    const char *text = NULL;
    if (id < 0 || (uint64_t)id >= e->tokens->count)
        return NULL;
    for (int64_t i = 0; i <= id; i++)
        text = fmt_gguf_string_next(e->tokens, &at, &size);
    return json_stringn(text, size);
}

/* ---- tokenizer.json ---- */

/* Normal tokens, and special ones among them: other readers count the vocabulary and
 * number what is added after it. Tokens that only fill up the embedding are left out. */
static rt_status add_vocab(const struct exporter *e, json_t *vocab, json_t *added)
{
    uint64_t at = 0;
    size_t size;
    bool good = true;
    for (uint64_t id = 0; id < e->tokens->count && good; id++) {
        const char *text = fmt_gguf_string_next(e->tokens, &at, &size);
        const int32_t kind = kind_of(e, id);
        const bool recognised = is_recognised(kind) && size > 0;
        if ((kind == KIND_NORMAL || (recognised && id < e->last_normal)) &&
            !json_object_getn(vocab, text, size))
            good = json_object_setn_new(vocab, text, size,
                                        json_integer((json_int_t)id)) == 0;
        if (good && recognised)
            good =
                json_array_append_new(
                    added, json_pack("{s:I, s:s%, s:b, s:b, s:b, s:b, s:b}", "id",
                                     (json_int_t)id, "content", text, size, "single_word",
                                     0, "lstrip", 0, "rstrip", 0, "normalized", 0,
                                     "special", kind != KIND_USER)) == 0;
    }
    return good ? RT_OK : not_text(e, "tokenizer.ggml.tokens");
}

static rt_status add_merges(const struct exporter *e, json_t *merges)
{
    rt_status st;
    uint64_t at = 0;
    size_t size;
    const struct fmt_gguf_key *list;
    TRY(fmt_gguf_array(e->file, "tokenizer.ggml.merges", FMT_GGUF_STRING, &list));
    for (uint64_t i = 0; list && i < list->count; i++) {
        const char *text = fmt_gguf_string_next(list, &at, &size);
        if (json_array_append_new(merges, json_stringn(text, size)) != 0)
            return not_text(e, "tokenizer.ggml.merges");
    }

fail:
    return st;
}

static json_t *splits(const struct text_way *way)
{
    json_t *list = json_array();
    for (size_t i = 0; i < RT_COUNT(way->patterns) && way->patterns[i]; i++)
        json_array_append_new(list, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split",
                                              "pattern", "Regex", way->patterns[i],
                                              "behavior", "Isolated", "invert", 0));
    json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel",
                                          "add_prefix_space", 0, "trim_offsets", 0,
                                          "use_regex", 0));
    return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", list);
}

/* The start token before every text. */
static json_t *processor(const struct exporter *e)
{
    json_t *text = text_of(e, e->bos);
    if (!text)
        return json_null();
    const char *name = json_string_value(text);
    json_t *out = json_pack(
        "{s:s, s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}], s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}, "
        "{s:{s:s, s:i}}, {s:{s:s, s:i}}], s:{s:{s:s, s:[I], s:[s]}}}",
        "type", "TemplateProcessing", "single", "SpecialToken", "id", name, "type_id", 0,
        "Sequence", "id", "A", "type_id", 0, "pair", "SpecialToken", "id", name,
        "type_id", 0, "Sequence", "id", "A", "type_id", 0, "SpecialToken", "id", name,
        "type_id", 1, "Sequence", "id", "B", "type_id", 1, "special_tokens", name, "id",
        name, "ids", (json_int_t)e->bos, "tokens", name);
    json_decref(text);
    return out;
}

static rt_status make_json(const struct exporter *e, json_t **out)
{
    rt_status st;
    char *pre = NULL;
    json_t *vocab = json_object(), *merges = json_array(), *added = json_array();
    TRY(fmt_gguf_text(e->file, "tokenizer.ggml.pre", &pre));
    const struct text_way *way = text_way_find(pre ? pre : "");
    TRY(add_vocab(e, vocab, added));
    TRY(add_merges(e, merges));
    *out = way ? json_pack("{s:s, s:n, s:n, s:O, s:n, s:o, s:o, s:{s:s, s:b, s:b, s:b}, "
                           "s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:O, s:O}}",
                           "version", "1.0", "truncation", "padding", "added_tokens",
                           added, "normalizer", "pre_tokenizer", splits(way),
                           "post_processor", processor(e), "decoder", "type", "ByteLevel",
                           "add_prefix_space", 0, "trim_offsets", 0, "use_regex", 0,
                           "model", "type", "BPE", "dropout", "unk_token",
                           "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                           0, "byte_fallback", 0, "ignore_merges", way->ignore_merges,
                           "vocab", vocab, "merges", merges)
               : NULL;
    if (!*out)
        st = not_text(e, "tokenizer.ggml.tokens");

fail:
    json_decref(vocab);
    json_decref(merges);
    json_decref(added);
    rt_free(pre);
    return st;
}

/* ---- tokenizer_config.json ---- */

static rt_status put_token(const struct exporter *e, json_t *config, const char *name,
                           const char *key)
{
    int64_t id;
    if (!fmt_gguf_key_find(e->file, key))
        return RT_OK;
    const rt_status st =
        fmt_gguf_whole(e->file, key, 0, 0, (int64_t)e->tokens->count - 1, &id);
    if (st == RT_OK && json_object_set_new(config, name, text_of(e, id)) != 0)
        return not_text(e, key);
    return st;
}

static rt_status write_config(const struct exporter *e, const char *class_name,
                              const char *path)
{
    rt_status st;
    char *chat = NULL;
    json_t *config =
        json_pack("{s:s, s:b, s:b}", "tokenizer_class", class_name, "add_bos_token",
                  e->bos >= 0, "clean_up_tokenization_spaces", 0);
    if (!config)
        return rt_fail(e->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", e->file->path);
    TRY(put_token(e, config, "bos_token", "tokenizer.ggml.bos_token_id"));
    TRY(put_token(e, config, "eos_token", "tokenizer.ggml.eos_token_id"));
    TRY(put_token(e, config, "pad_token", "tokenizer.ggml.padding_token_id"));
    TRY(put_token(e, config, "unk_token", "tokenizer.ggml.unknown_token_id"));
    TRY(fmt_gguf_text(e->file, "tokenizer.chat_template", &chat));
    if (chat && json_object_set_new(config, "chat_template", json_string(chat)) != 0) {
        st = not_text(e, "tokenizer.chat_template");
        goto fail;
    }
    TRY(fmt_json_write(e->ctx, path, config));

fail:
    json_decref(config);
    rt_free(chat);
    return st;
}

/* ---- both kinds ---- */

static rt_status write_vocabulary(const struct exporter *e, bool pieces, const char *path)
{
    rt_status st;
    json_t *root = NULL;
    uint8_t *bytes = NULL;
    size_t size;
    if (pieces) {
        TRY(text_sentencepiece_make(e->ctx, e->file, &bytes, &size));
        TRY(fmt_write_atomic(e->ctx, path, bytes, size));
    } else {
        TRY(make_json(e, &root));
        TRY(fmt_json_write(e->ctx, path, root));
    }

fail:
    json_decref(root);
    rt_free(bytes);
    return st;
}

rt_status text_gguf_export(struct rt_ctx *ctx, const struct fmt_gguf *file,
                           const char *folder)
{
    rt_status st;
    struct text_tokenizer *read = NULL;
    struct exporter e = { .ctx = ctx, .file = file };
    char *model = fmt_path(ctx, folder, "tokenizer.model");
    char *json = fmt_path(ctx, folder, "tokenizer.json");
    char *config = fmt_path(ctx, folder, "tokenizer_config.json");
    if (!model || !json || !config) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
        goto fail;
    }
    TRY(text_tokenizer_load(ctx, file->path, &read)); /* all keys are right */
    TRY(fmt_gguf_array(file, "tokenizer.ggml.tokens", FMT_GGUF_STRING, &e.tokens));
    TRY(fmt_gguf_array(file, "tokenizer.ggml.token_type", FMT_GGUF_I32, &e.kinds));
    for (uint64_t id = 0; id < e.tokens->count; id++)
        if (kind_of(&e, id) == KIND_NORMAL)
            e.last_normal = id;
    const uint32_t bos = text_bos_id(read);
    e.bos = bos == UINT32_MAX ? -1 : (int64_t)bos;
    const bool pieces = read->bpe.by_rank;
    TRY(write_vocabulary(&e, pieces, pieces ? model : json));
    TRY(write_config(&e, pieces ? "LlamaTokenizer" : "PreTrainedTokenizerFast", config));

fail:
    text_tokenizer_destroy(&read);
    rt_free(model);
    rt_free(json);
    rt_free(config);
    return st;
}

/* runtime/text/tokenizer_gguf_write.c
 * The tokenizer and chat template of a Hugging Face folder as keys of a GGUF file. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/format/gguf_write.h"
#include "runtime/format/model_config.h"
#include "runtime/text/chat_source.h"

#include <string.h>

/* ---- the way of splitting ---- */

/* Text that every two ways of splitting cut differently somewhere. */
static const char probe[] =
    "Hello, World's end! I'LL we'Ve can't  DON'T 1 22 333 4444 55555 x12y3456z\n\n\n"
    " \t tabs\tand   spaces   \r\n\r\n  a.b.c http://x.y/z_w?q=1&r=2#t {[(<>)]} $5.00 "
    "5%\n"
    "\xc3\x84rger \xc3\xa9t\xc3\xa9 na\xc3\xafve "
    "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 "
    "camelCaseXMLParser ABCdef "
    "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82"
    "\xe3\x81\x82\xe3\x82\xa2 \xed\x95\x9c\xea\xb5\xad\xec\x96\xb4 "
    "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87 "
    "\xf0\x9f\x98\x80\xf0\x9f\x91\x8d ...!!!??? --- ==> /* x */ //\n\t\tif (a<=b)\n\n    "
    "return -1;\n"
    "     \xe2\x80\xa6 \xe2\x80\x9cquoted\xe2\x80\x9d a\xcc\x81 <sentinel:3> IMGIMGABZ "
    "1.5e-3 'x' 's it'sabc";

/* Whether both cut the probe at the same places. */
static rt_status cut_alike(struct rt_ctx *ctx, struct text_steps *a, struct text_steps *b,
                           bool *alike)
{
    rt_status st;
    struct text_work one = { .ctx = ctx }, two = { .ctx = ctx };
    TRY(text_work_set(&one, probe, sizeof probe - 1, true));
    TRY(text_work_set(&two, probe, sizeof probe - 1, true));
    TRY(text_work_run(&one, a));
    TRY(text_work_run(&two, b));
    *alike = one.count == two.count && one.size == two.size &&
             memcmp(one.bytes, two.bytes, one.size) == 0;
    for (size_t i = 0; *alike && i < one.count; i++)
        *alike = one.pieces[i].start == two.pieces[i].start &&
                 one.pieces[i].size == two.pieces[i].size;

fail:
    text_work_deinit(&one);
    text_work_deinit(&two);
    return st;
}

/* The steps of a way, as the reader of GGUF files has them. */
static rt_status steps_of(struct text_tokenizer *t, const struct text_way *way)
{
    rt_status st;
    for (size_t k = 0; k < TEXT_WAY_PATTERNS && way->patterns[k]; k++)
        TRY(text_add_split(t, way->patterns[k], TEXT_LLAMA_CPP));
    return text_step_new(t, &t->splitters, TEXT_STEP_BYTES) ? RT_OK : RT_ERR_INPUT;

fail:
    return st;
}

rt_status text_way_like(struct text_tokenizer *t, const char **name)
{
    *name = NULL;
    for (size_t i = 0; text_way_name(i) && !*name; i++) {
        struct text_tokenizer other = { .ctx = t->ctx, .path = text_way_name(i) };
        const struct text_way *way = text_way_find(text_way_name(i));
        bool alike = false;
        rt_status st = steps_of(&other, way);
        if (st == RT_OK)
            st = cut_alike(t->ctx, &t->splitters, &other.splitters, &alike);
        text_steps_deinit(&other.splitters);
        if (st != RT_OK)
            return st;
        if (alike && way->ignore_merges == t->bpe.ignore_merges)
            *name = text_way_name(i);
    }
    return RT_OK;
}

/* ---- tokens ---- */

struct token {
    const char *text; /* borrowed; null: there is none of this id */
    size_t size;
    int32_t kind;
    float score;
};

struct putting {
    struct rt_ctx *ctx;
    const char *folder;
    const struct fmt_config *config;
    struct fmt_gguf_out *out;
    struct text_tokenizer *tok;
    json_t *root;         /* of tokenizer.json, completed by tokenizer_config.json */
    struct token *tokens; /* [count]; owned */
    uint32_t count;
};

static rt_status no_memory(const struct putting *p)
{
    return rt_fail(p->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", p->folder);
}

static rt_status put_token(struct putting *p, const char *text, size_t size,
                           json_int_t id, int32_t kind)
{
    if (id < 0 || id >= p->count)
        return rt_fail(p->ctx, RT_ERR_INPUT,
                       "'%s': token '%.60s' has the id %lld, the model has %u tokens; "
                       "tokenizer and model do not belong together",
                       p->folder, text, (long long)id, p->count);
    p->tokens[id] = (struct token){ text, size, kind, 0 };
    return RT_OK;
}

static rt_status collect(struct putting *p)
{
    rt_status st = RT_OK;
    size_t i;
    const char *key;
    json_t *value, *vocab = json_object_get(json_object_get(p->root, "model"), "vocab");
    json_object_foreach(vocab, key, value)
    {
        TRY(put_token(p, key, strlen(key), json_integer_value(value), KIND_NORMAL));
    }
    json_array_foreach(json_object_get(p->root, "added_tokens"), i, value)
    {
        const json_t *text = json_object_get(value, "content");
        const bool special = json_is_true(json_object_get(value, "special"));
        TRY(put_token(p, json_string_value(text), json_string_length(text),
                      json_integer_value(json_object_get(value, "id")),
                      special ? KIND_CONTROL : KIND_USER));
    }

fail:
    return st;
}

/* Ids that the embedding has and the tokenizer does not are fillers. */
static void put_lists(const struct putting *p)
{
    fmt_gguf_put_array(p->out, "tokenizer.ggml.tokens", FMT_GGUF_STRING, p->count);
    for (uint32_t id = 0; id < p->count; id++) {
        char filler[32];
        snprintf(filler, sizeof filler, "[PAD%u]", id);
        const struct token *t = &p->tokens[id];
        fmt_gguf_put_string(p->out, t->text ? t->text : filler,
                            t->text ? t->size : strlen(filler));
    }
    fmt_gguf_put_array(p->out, "tokenizer.ggml.token_type", FMT_GGUF_I32, p->count);
    for (uint32_t id = 0; id < p->count; id++)
        fmt_gguf_put_word(
            p->out, (uint32_t)(p->tokens[id].text ? p->tokens[id].kind : KIND_UNUSED));
}

/* Merges are pairs, or texts with a space between. */
static rt_status put_merges(const struct putting *p)
{
    size_t i;
    json_t *merge;
    const json_t *merges = json_object_get(json_object_get(p->root, "model"), "merges");
    fmt_gguf_put_array(p->out, "tokenizer.ggml.merges", FMT_GGUF_STRING,
                       json_array_size(merges));
    json_array_foreach((json_t *)(uintptr_t)merges, i, merge)
    {
        const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
        if (json_is_string(merge)) {
            fmt_gguf_put_string(p->out, json_string_value(merge),
                                json_string_length(merge));
            continue;
        }
        char *text =
            rt_format(p->ctx, "%s %s", json_string_value(left), json_string_value(right));
        if (!text)
            return no_memory(p);
        fmt_gguf_put_string(p->out, text, strlen(text));
        rt_free(text);
    }
    return RT_OK;
}

static rt_status read_root(struct putting *p, const char *path)
{
    rt_status st;
    json_t *config = NULL, *model = NULL;
    char *config_path = fmt_path(p->ctx, p->folder, "tokenizer_config.json");
    char *model_path = fmt_path(p->ctx, p->folder, "config.json");
    if (!config_path || !model_path) {
        st = no_memory(p);
        goto fail;
    }
    TRY(fmt_json_read(p->ctx, path, &p->root));
    if (fmt_exists(config_path)) {
        TRY(fmt_json_read(p->ctx, config_path, &config));
        TRY(fmt_json_read(p->ctx, model_path, &model));
        p->tok->path = path;
        TRY(text_config_apply(p->tok, p->root, config, model));
    }

fail:
    p->tok->path = NULL;
    json_decref(config);
    json_decref(model);
    rt_free(config_path);
    rt_free(model_path);
    return st;
}

static rt_status put_byte_level(struct putting *p, const char *path)
{
    rt_status st;
    const char *way;
    TRY(read_root(p, path));
    TRY(text_way_like(p->tok, &way));
    if (!way)
        return rt_fail(p->ctx, RT_ERR_INPUT,
                       "'%s': its tokenizer splits text in a way that llama.cpp does not "
                       "have; a GGUF file of it would give other tokens",
                       p->folder);
    TRY(collect(p));
    fmt_gguf_put_text(p->out, "tokenizer.ggml.model", "gpt2");
    fmt_gguf_put_text(p->out, "tokenizer.ggml.pre", way);
    put_lists(p);
    TRY(put_merges(p));

fail:
    return st;
}

/* ---- SentencePiece ---- */

static rt_status take_piece(void *user, uint32_t id, const char *text, size_t size,
                            int32_t kind, float score)
{
    struct putting *p = user;
    const rt_status st = put_token(p, text, size, id, kind);
    if (st == RT_OK)
        p->tokens[id].score = score;
    return st;
}

/* Tokens that other files add to the pieces. */
static rt_status take_added(struct putting *p)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < p->tok->added_count; i++) {
        const struct text_added *a = &p->tok->added[i];
        const char *text = a->given ? a->given : a->text;
        if (a->id < p->count && !p->tokens[a->id].text)
            TRY(put_token(p, text, strlen(text), a->id,
                          a->special ? KIND_CONTROL : KIND_USER));
    }

fail:
    return st;
}

static rt_status put_pieces(struct putting *p, const char *path)
{
    rt_status st;
    struct fmt_map map = { 0 };
    TRY(fmt_map_open(p->ctx, path, &map));
    TRY(text_sentencepiece_walk(p->ctx, path, map.data, map.size, take_piece, p));
    TRY(take_added(p));
    fmt_gguf_put_text(p->out, "tokenizer.ggml.model", "llama");
    fmt_gguf_put_text(p->out, "tokenizer.ggml.pre", "default");
    put_lists(p);
    fmt_gguf_put_array(p->out, "tokenizer.ggml.scores", FMT_GGUF_F32, p->count);
    for (uint32_t id = 0; id < p->count; id++) {
        uint32_t bits;
        const float score = p->tokens[id].text ? p->tokens[id].score : -1000;
        memcpy(&bits, &score, sizeof bits);
        fmt_gguf_put_word(p->out, bits);
    }
    fmt_gguf_put_bool(p->out, "tokenizer.ggml.add_space_prefix",
                      p->tok->prefix != TEXT_PREFIX_NONE);
    if (p->tok->bpe.unknown != BPE_NO_ID)
        fmt_gguf_put_u32(p->out, "tokenizer.ggml.unknown_token_id", p->tok->bpe.unknown);

fail:
    fmt_map_close(&map);
    return st;
}

/* ---- ids and the chat template ---- */

/* UINT32_MAX: there is no such token. */
static uint32_t id_named(const struct putting *p, const json_t *tokens, const char *name)
{
    const char *text = json_string_value(json_object_get(tokens, name));
    for (uint32_t id = 0; text && id < p->count; id++)
        if (p->tokens[id].text && p->tokens[id].size == strlen(text) &&
            memcmp(p->tokens[id].text, text, strlen(text)) == 0)
            return id;
    return UINT32_MAX;
}

static void put_id(const struct putting *p, const char *name, uint32_t id)
{
    if (id < p->count)
        fmt_gguf_put_u32(p->out, name, id);
}

/* The ids that end an answer: the tokenizer's first, if the model's config has it. */
static void put_ends(const struct putting *p, uint32_t eos)
{
    static const char *const names[] = { "tokenizer.ggml.eos_token_id",
                                         "tokenizer.ggml.eot_token_id",
                                         "tokenizer.ggml.eom_token_id" };
    const struct fmt_config *c = p->config;
    uint32_t n = 0;
    bool is_end = c->eos_count == 0;
    for (uint32_t i = 0; i < c->eos_count; i++)
        is_end = is_end || c->eos[i] == eos;
    if (is_end && eos < p->count)
        fmt_gguf_put_u32(p->out, names[n++], eos);
    for (uint32_t i = 0; i < c->eos_count && n < RT_COUNT(names); i++)
        if (c->eos[i] != eos)
            put_id(p, names[n++], c->eos[i]);
}

static rt_status put_rest(const struct putting *p)
{
    struct chat_source chat = { 0 };
    const rt_status st = text_chat_source_read(p->ctx, p->folder, &chat);
    if (st == RT_OK) {
        const uint32_t bos = text_bos_id(p->tok);
        put_id(p, "tokenizer.ggml.bos_token_id",
               bos != UINT32_MAX ? bos : id_named(p, chat.tokens, "bos_token"));
        fmt_gguf_put_bool(p->out, "tokenizer.ggml.add_bos_token", bos != UINT32_MAX);
        put_ends(p, id_named(p, chat.tokens, "eos_token"));
        put_id(p, "tokenizer.ggml.padding_token_id",
               id_named(p, chat.tokens, "pad_token"));
        if (chat.text)
            fmt_gguf_put_text(p->out, "tokenizer.chat_template", chat.text);
    }
    text_chat_source_deinit(&chat);
    return st;
}

static rt_status put_all(struct putting *p, const char *json, const char *model)
{
    rt_status st;
    TRY(text_tokenizer_load(p->ctx, p->folder, &p->tok));
    p->tokens = rt_alloc(p->ctx, p->count, sizeof *p->tokens);
    if (!p->tokens)
        return no_memory(p);
    if (p->tok->byte_level)
        TRY(put_byte_level(p, json));
    else if (fmt_exists(model))
        TRY(put_pieces(p, model));
    else
        return rt_fail(p->ctx, RT_ERR_INPUT,
                       "'%s': a tokenizer that is no byte-level BPE needs its "
                       "tokenizer.model to be written to a GGUF file; put it there",
                       p->folder);
    TRY(put_rest(p));

fail:
    return st;
}

rt_status text_gguf_put(struct rt_ctx *ctx, const char *folder,
                        const struct fmt_config *config, struct fmt_gguf_out *out)
{
    rt_status st;
    struct putting p = {
        .ctx = ctx, .folder = folder, .config = config, .out = out, .count = config->vocab
    };
    char *json = fmt_path(ctx, folder, "tokenizer.json");
    char *model = fmt_path(ctx, folder, "tokenizer.model");
    if (!json || !model) {
        st = no_memory(&p);
    } else if (!fmt_exists(json) && !fmt_exists(model)) {
        rt_log(ctx, RT_LOG_WARNING,
               "'%s' has no tokenizer: the file has none either, and llama.cpp does not "
               "run it",
               folder);
        st = RT_OK;
    } else {
        st = put_all(&p, json, model);
    }
    text_tokenizer_destroy(&p.tok);
    json_decref(p.root);
    rt_free(p.tokens);
    rt_free(json);
    rt_free(model);
    return st;
}

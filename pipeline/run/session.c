/* pipeline/run/session.c
 * What all stages share: device, store, tokenizer, prompts, models, variants. */
#include "pipeline/run/session.h"

#include "pipeline/run/problem_source.h"
#include "pipeline/run/tokenizer_check.h"
#include "pipeline/prompt/examples.h"
#include "pipeline/grade/grade.h"
#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/engine/engine.h"
#include "store/store_data.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { CONTEXT_LEAST = 256 }; /* nothing shorter is tried where memory is short */

/* The worked examples of the format: from --examples, else from the results file. */
static rt_status take_examples(struct pipe_session *session, const char *path)
{
    rt_status st;
    char id[STORE_ID];
    const struct pipe_prompt_format *f = session->format;
    if (!f->examples)
        return RT_OK;
    snprintf(id, sizeof id, "sha256:%s", f->examples_hash);
    if (path) {
        TRY(pipe_examples_read(session->ctx, path, f, &session->examples));
        TRY(store_put_prompt(session->store, id, f->examples, session->examples));
    } else {
        TRY(store_prompt_text(session->store, id, &session->examples));
        if (!session->examples)
            return rt_fail(session->ctx, RT_ERR_INPUT,
                           "format %s needs the worked examples '%s', which are no part "
                           "of this program: give the file that has them once, with "
                           "--examples FILE (docs/evaluation.md says where they are "
                           "published)",
                           f->name, f->examples);
    }
    session->prompt.examples = session->examples;

fail:
    return st;
}

uint32_t pipe_format_context(const struct pipe_prompt_format *f, uint32_t new_tokens_max)
{
    return new_tokens_max > f->new_tokens_max
               ? f->context + new_tokens_max - f->new_tokens_max
               : f->context;
}

/* Everything the model sees beside a question, and where that goes. */
static rt_status put_prompt(struct pipe_session *session)
{
    rt_status st;
    char id[STORE_ID], *text;
    pipe_prompt_hash(&session->prompt, session->format_hash);
    snprintf(id, sizeof id, "sha256:%s", session->format_hash);
    st = pipe_prompt_text(session->ctx, &session->prompt, "{question}", &text);
    if (st != RT_OK)
        return st;
    session->prompt.thinks = pipe_prompt_thinks(text);
    st = store_put_prompt(session->store, id, session->format->name, text);
    rt_free(text);
    return st;
}

/* A vocabulary takes long to read: it stays where the model does. */
static rt_status use_tokenizer(struct pipe_session *session, const char *model)
{
    if (session->tok && strcmp(session->model, model) == 0)
        return RT_OK;
    text_chat_destroy(&session->chat);
    text_tokenizer_destroy(&session->tok);
    rt_free(session->model);
    session->model = rt_strdup(session->ctx, model);
    return session->model ? text_tokenizer_load(session->ctx, model, &session->tok)
                          : rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory");
}

/* The chat of the model whose tokenizer is used; it stays as long as that. */
static rt_status use_chat(struct pipe_session *session)
{
    rt_status st;
    const struct text_chat_options o = { .model = session->model,
                                         .format = session->chat_format,
                                         .date = session->chat_date };
    if (!session->chat) {
        TRY(text_chat_create(session->ctx, &o, &session->chat));
        TRY(text_chat_check(session->chat, session->tok));
    }
    session->prompt.chat = session->chat;
    text_chat_end(session->chat, session->tok, &session->chat_end);
    if (session->chat_end.text[0])
        session->prompt.chat_end = session->chat_end.text;
    return RT_OK;

fail:
    return st;
}

rt_status pipe_session_use(struct pipe_session *session, const char *model,
                           const struct pipe_prompt_format *format)
{
    rt_status st;
    const struct pipe_prompt_format *f = format;
    rt_free(session->examples);
    session->examples = NULL;
    session->format = f;
    session->prompt = (struct pipe_prompt){ .format = f };
    TRY(use_tokenizer(session, model));
    session->stop_id = f->stop ? text_token_id(session->tok, f->stop) : UINT32_MAX;
    if (f->stop && session->stop_id == UINT32_MAX)
        return rt_fail(
            session->ctx, RT_ERR_INPUT,
            "'%s': the tokenizer has no '%s', which ends an answer of format '%s'", model,
            f->stop, f->name);
    session->new_tokens_max =
        session->new_tokens_given ? session->new_tokens_given : f->new_tokens_max;
    session->context = pipe_format_context(f, session->new_tokens_max);
    session->chat_end = (struct text_chat_end){ .count = 0 };
    if (f->chat)
        TRY(use_chat(session));
    TRY(store_begin(session->store));
    TRY(take_examples(session, session->examples_path));
    TRY(put_prompt(session));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    store_rollback(session->store);
    return st;
}

rt_status pipe_session_open(struct pipe_session *session, struct rt_ctx *ctx,
                            const struct pipe_session_options *o)
{
    rt_status st;
    *session = (struct pipe_session){ .ctx = ctx,
                                      .host = o->host,
                                      .dev = o->dev,
                                      .store = o->store,
                                      .seed = o->seed,
                                      .chat_format = o->chat_format,
                                      .chat_date = o->chat_date,
                                      .examples_path = o->examples_path,
                                      .new_tokens_given = o->new_tokens_max,
                                      .stop_id = UINT32_MAX };
    assert(o->dev && o->store && o->campaign && o->plan);
    TRY(use_tokenizer(session, o->model));
    TRY(pipe_grader_create(session->ctx, NULL, &session->grader));
    if (o->format)
        TRY(pipe_session_use(session, o->model, o->format));
    TRY(store_begin(session->store));
    TRY(store_put_environment(session->store, session->dev, session->env_id));
    TRY(store_put_campaign(session->store, o->campaign, o->plan, session->campaign_id));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    pipe_session_close(session);
    return st;
}

void pipe_session_close(struct pipe_session *session)
{
    store_close(&session->store);
    pipe_grader_destroy(&session->grader);
    rt_free(session->examples);
    session->examples = NULL;
    text_chat_destroy(&session->chat);
    text_tokenizer_destroy(&session->tok);
    rt_free(session->model);
    session->model = NULL;
    rt_device_destroy(&session->dev);
}

/* Tokens of prompt and answer that a device can serve of a model, at most `wanted`; *why
 * says what the limit is. */
static uint32_t context_within(struct pipe_session *session,
                               const struct model_size *size, uint32_t wanted,
                               const char **why)
{
    const struct rt_plan *plan = rt_device_plan(session->dev);
    const uint32_t most = size->config.max_positions, keys = rt_plan_keys_max(plan);
    const uint64_t left = rt_device_memory_left(session->dev);
    uint32_t context = wanted;
    if (context > most) {
        context = most;
        *why = "the model has no more";
    }
    if (context > keys) {
        context = keys;
        *why = "the driver ends longer loops of attention";
    }
    for (; context > CONTEXT_LEAST; context -= context / 8) {
        const struct rt_engine_options one = { .slots = 1, .context = context };
        const uint64_t weights = model_size_bytes(size, context);
        const uint64_t room = left > weights ? left - weights : 0;
        if (rt_engine_pages(size, plan, &one, room).pages)
            break;
        *why = "memory holds no more";
    }
    return context;
}

/* The context that a model is loaded for. Less than what the formats want is said. */
static rt_status choose_positions(struct pipe_session *session, const char *folder,
                                  uint32_t *out)
{
    rt_status st;
    struct fmt_model *file = NULL;
    struct model_size size;
    const char *why = "";
    const uint32_t wanted = session->positions ? session->positions : session->context;
    *out = wanted;
    if (wanted == 0) /* nothing is asked */
        return RT_OK;
    TRY(rt_model_file_open(session->dev, folder, &file));
    TRY(rt_model_size(session->ctx, file, &size));
    *out = context_within(session, &size, wanted, &why);
    if (*out < wanted)
        rt_log(session->ctx, RT_LOG_WARNING,
               "'%s' on '%s': a context of %u tokens instead of %u, %s; longer answers "
               "are cut there, and the run says so",
               folder, rt_device_info_of(session->dev)->name, *out, wanted, why);

fail:
    fmt_model_close(&file);
    return st;
}

/* A model that the tokenizer fits; another one is destroyed. */
static rt_status check_vocabulary(struct pipe_session *session, const char *folder,
                                  struct rt_model **model)
{
    const uint32_t ids = text_vocab_size(session->tok),
                   rows = rt_model_config(*model)->vocab;
    if (ids <= rows)
        return RT_OK;
    rt_model_destroy(model);
    return rt_fail(
        session->ctx, RT_ERR_INPUT,
        "'%s': the tokenizer has ids up to %u, the embedding of the model has %u "
        "rows; they belong to different models",
        folder, ids - 1, rows);
}

rt_status pipe_model_load(struct pipe_session *session, const char *folder,
                          struct rt_model **out)
{
    rt_status st;
    uint32_t positions;
    *out = NULL;
    TRY(pipe_tokenizer_check(session, folder));
    TRY(choose_positions(session, folder, &positions));
    TRY(rt_model_load(session->dev, folder, positions, out));
    TRY(check_vocabulary(session, folder, out));

fail:
    return st;
}

rt_status pipe_model_load_streamed(struct pipe_session *session, const char *folder,
                                   struct rt_model **out)
{
    rt_status st;
    *out = NULL;
    TRY(pipe_tokenizer_check(session, folder));
    TRY(rt_model_load_streamed(session->dev, folder, 0, out));
    TRY(check_vocabulary(session, folder, out));

fail:
    return st;
}

uint32_t pipe_end_id(const struct pipe_session *session, const struct rt_model *model)
{
    if (session->stop_id != UINT32_MAX)
        return session->stop_id;
    if (session->chat_end.count)
        return session->chat_end.ids[0];
    const struct fmt_config *c = rt_model_config(model);
    return c->eos_count ? c->eos[0] : UINT32_MAX;
}

void pipe_stop_ids(const struct pipe_session *session, const struct rt_model *model,
                   struct rt_engine_options *options)
{
    const struct fmt_config *c = rt_model_config(model);
    const struct text_chat_end *end = &session->chat_end;
    options->stop_count = 0;
    if (session->stop_id != UINT32_MAX)
        rt_engine_stop_at(options, &session->stop_id, 1);
    rt_engine_stop_at(options, end->ids, end->count);
    rt_engine_stop_at(options, c->eos, c->eos_count);
}

rt_status pipe_bench_open(struct pipe_session *session, const char *spec,
                          const char *split, struct pipe_bench *out)
{
    rt_status st;
    *out = (struct pipe_bench){ .split = split };
    const bool measured = strcmp(split, "measure") == 0 || strcmp(split, "retain") == 0;
    TRY(pipe_problems_open(session->ctx, session->host, session->store, spec,
                           measured ? PIPE_FOR_MEASURING : PIPE_FOR_TRAINING, &out->set));
    TRY(store_begin(session->store));
    snprintf(out->name, sizeof out->name, "%s", out->set.label);
    TRY(store_put_benchmark(session->store, out->name, split, out->set.items,
                            out->set.count, out->id));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    if (session->store)
        store_rollback(session->store);
    pipe_problems_deinit(&out->set);
    return st;
}

void pipe_bench_close(struct pipe_bench *bench)
{
    pipe_problems_deinit(&bench->set);
}

/* What the row of a model says of its weights. */
struct weights {
    const struct fmt_config *config;
    const char *hash, *stored, *path;
    uint64_t bytes; /* on the device */
    double linear, bits_per_weight;
};

/* Writes the row of weights and of out->adapter. */
static rt_status put_variant(struct pipe_session *session, const struct weights *w,
                             const char *label, const char *role, const char *arm,
                             struct pipe_variant *out)
{
    rt_status st;
    char hex[65];
    const struct fmt_config *c = w->config;
    const struct fmt_adapter *lora =
        out->adapter ? rt_adapter_source(out->adapter) : NULL;
    assert(label && role);
    snprintf(out->weights_id, STORE_ID, "sha256:%s", w->hash);
    const struct store_artifact weights = { out->weights_id, "weights", (int64_t)w->bytes,
                                            w->path };
    if (lora) {
        fmt_adapter_hash(lora, c, hex);
        snprintf(out->adapter_id, STORE_ID, "sha256:%s", hex);
    }
    const int64_t bytes = lora ? (int64_t)rt_adapter_param_floats(out->adapter) * 4 : 0;
    const struct store_artifact adapter = { out->adapter_id, "adapter", bytes, NULL };
    /* The numbers of an adapter as its file has them. */
    const double more =
        lora ? lora->bits * (double)fmt_adapter_params(lora, c) / w->linear : 0;
    out->row = (struct store_variant){
        .label = label,
        .role = role,
        .arm = arm,
        .weights_id = out->weights_id,
        .adapter_id = lora ? out->adapter_id : NULL,
        .arch = c->family->model_type,
        .params = (int64_t)(w->linear + (double)c->vocab * c->hidden),
        .quant = w->stored[0] ? w->stored : NULL,
        .bits_per_weight = w->bits_per_weight + more,
    };
    TRY(store_begin(session->store));
    TRY(store_put_artifact(session->store, &weights));
    if (lora)
        TRY(store_put_artifact(session->store, &adapter));
    TRY(store_put_variant(session->store, &out->row));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    store_rollback(session->store);
    return st;
}

rt_status pipe_variant_put(struct pipe_session *session, struct rt_model *model,
                           struct rt_adapter *adapter, const char *folder,
                           const char *label, const char *role, const char *arm,
                           struct pipe_variant *out)
{
    const struct weights w = { .config = rt_model_config(model),
                               .hash = rt_model_hash(model),
                               .stored = rt_model_stored(model),
                               .path = folder,
                               .bytes = rt_model_weight_bytes(model),
                               .linear = rt_model_linear_weights(model),
                               .bits_per_weight = rt_model_bits_per_weight(model) };
    *out = (struct pipe_variant){ .model = model, .adapter = adapter };
    return put_variant(session, &w, label, role, arm, out);
}

rt_status pipe_variant_put_hybrid(struct pipe_session *session, struct rt_model *hybrid,
                                  const struct pipe_variant *base, const char *from,
                                  const char *part, struct pipe_variant *out)
{
    char hex[65];
    struct sha256 hash;
    sha256_init(&hash);
    sha256_add_text(&hash, base->weights_id);
    sha256_add_text(&hash, from);
    sha256_add_text(&hash, part);
    sha256_end_hex(&hash, hex);
    const struct weights w = { .config = rt_model_config(hybrid),
                               .hash = hex,
                               .stored = base->row.quant ? base->row.quant : "",
                               .path = NULL,
                               .bytes = rt_model_weight_bytes(hybrid),
                               .linear = rt_model_linear_weights(hybrid),
                               .bits_per_weight = rt_model_bits_per_weight(hybrid) };
    *out = (struct pipe_variant){ .model = hybrid };
    return put_variant(session, &w, part, "control", part, out);
}

rt_status pipe_variant_note(struct pipe_session *session, const char *folder,
                            const char *label, const char *role, struct pipe_variant *out)
{
    rt_status st;
    struct fmt_model *file = NULL;
    struct model_size size;
    char hash[65];
    *out = (struct pipe_variant){ 0 };
    TRY(rt_model_file_open(session->dev, folder, &file));
    TRY(rt_model_size(session->ctx, file, &size));
    TRY(fmt_model_hash(file, hash));
    TRY(fmt_model_stored(file, out->stored, sizeof out->stored));
    const struct weights w = { .config = &size.config,
                               .hash = hash,
                               .stored = out->stored,
                               .path = folder,
                               .bytes = size.projections + size.tables + size.rest,
                               .linear = size.linear_weights,
                               .bits_per_weight =
                                   size.stored_bits / size.linear_weights };
    st = put_variant(session, &w, label, role, NULL, out);

fail:
    fmt_model_close(&file);
    return st;
}

rt_status pipe_variant_load(struct pipe_session *session, const char *folder,
                            const char *adapter, const char *label, const char *role,
                            struct pipe_variant *out)
{
    rt_status st;
    struct rt_model *model = NULL;
    struct rt_adapter *lora = NULL;
    *out = (struct pipe_variant){ 0 };
    TRY(pipe_model_load(session, folder, &model));
    if (adapter)
        TRY(rt_adapter_load(model, adapter, &lora));
    TRY(pipe_variant_put(session, model, lora, folder, label, role, NULL, out));
    return RT_OK;

fail:
    rt_adapter_destroy(&lora);
    rt_model_destroy(&model);
    *out = (struct pipe_variant){ 0 };
    return st;
}

void pipe_variant_close(struct pipe_variant *variant)
{
    rt_adapter_destroy(&variant->adapter);
    rt_model_destroy(&variant->model);
}

rt_status pipe_prompt_ids(struct pipe_session *session, const char *question,
                          const char *more, uint32_t **ids, uint32_t *count)
{
    char *head;
    *ids = NULL;
    assert(session->format && session->tok);
    rt_status st = pipe_prompt_text(session->ctx, &session->prompt, question, &head);
    if (st != RT_OK)
        return st;
    char *text = rt_format(session->ctx, "%s%s", head, more ? more : "");
    if (!text)
        st = rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "prompt: no memory");
    else if (session->format->chat)
        st = text_encode(session->tok, text, strlen(text), true, ids, count);
    else
        st = text_encode_prompt(session->tok, text, strlen(text), true, ids, count);
    rt_free(head);
    rt_free(text);
    return st;
}

/* Bytes of a token within a text, where a zero became U+FFFD. */
static uint32_t token_size(const struct pipe_session *session, uint32_t id)
{
    size_t size, zeros = 0;
    const char *bytes = text_token_bytes(session->tok, id, &size);
    for (size_t i = 0; i < size; i++)
        zeros += bytes[i] == '\0';
    return (uint32_t)(size + 2 * zeros);
}

rt_status pipe_token_ends(struct pipe_session *session, const uint32_t *ids, uint32_t n,
                          uint32_t *ends)
{
    char *first = NULL;
    uint32_t at = 0, size = 0, lead = 0;
    if (n == 0)
        return RT_OK;
    const rt_status st = pipe_decode(session, ids, 1, &first, &size);
    if (st != RT_OK)
        return st;
    rt_free(first);
    if (size < token_size(session, ids[0])) /* a text may begin without its space */
        lead = token_size(session, ids[0]) - size;
    for (uint32_t i = 0; i < n; i++) {
        at += token_size(session, ids[i]);
        ends[i] = at - lead;
    }
    return RT_OK;
}

rt_status pipe_decode(struct pipe_session *session, const uint32_t *ids, uint32_t n,
                      char **text, uint32_t *size)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    char *raw = NULL;
    size_t length = 0, zeros = 0, at = 0;
    *text = NULL;
    const rt_status st = text_decode(session->tok, ids, n, true, &raw, &length);
    if (st != RT_OK)
        return st;
    for (size_t i = 0; i < length; i++)
        zeros += raw[i] == '\0';
    *size = (uint32_t)(length + 2 * zeros);
    if (zeros == 0) {
        *text = raw;
        return RT_OK;
    }
    *text = rt_alloc(session->ctx, *size + 1u, 1);
    for (size_t i = 0; *text && i < length; i++) {
        const bool zero = raw[i] == '\0';
        memcpy(*text + at, zero ? replacement : &raw[i], zero ? 3 : 1);
        at += zero ? 3 : 1;
    }
    rt_free(raw);
    return *text ? RT_OK : rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "answer: no memory");
}

/* pipeline/run/session.c
 * What all stages share: device, store, tokenizer, prompts, models, variants. */
#include "pipeline/run/session.h"

#include "pipeline/run/problem_source.h"
#include "pipeline/prompt/examples.h"
#include "pipeline/grade/grade.h"
#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/engine/engine.h"
#include "runtime/text/chat.h"
#include "store/store_data.h"

#include <stdio.h>
#include <string.h>

enum { CONTEXT_LEAST = 256 }; /* nothing shorter is tried where memory is short */

/* The worked examples of the format: from --examples, else from the results file. */
static rt_status take_examples(struct loop *loop, const char *path)
{
    rt_status st;
    char id[STORE_ID];
    const struct pipe_prompt_format *f = loop->format;
    if (!f->examples)
        return RT_OK;
    snprintf(id, sizeof id, "sha256:%s", f->examples_hash);
    if (path) {
        TRY(pipe_examples_read(loop->ctx, path, f, &loop->examples));
        TRY(store_put_prompt(loop->store, id, f->examples, loop->examples));
    } else {
        TRY(store_prompt_text(loop->store, id, &loop->examples));
        if (!loop->examples)
            return rt_fail(loop->ctx, RT_ERR_INPUT,
                           "format %s needs the worked examples '%s', which are no part "
                           "of this program: give the file that has them once, with "
                           "--examples FILE (docs/evaluation.md says where they are "
                           "published)",
                           f->name, f->examples);
    }
    loop->prompt.examples = loop->examples;

fail:
    return st;
}

uint32_t loop_format_context(const struct pipe_prompt_format *f, uint32_t new_tokens_max)
{
    return new_tokens_max > f->new_tokens_max
               ? f->context + new_tokens_max - f->new_tokens_max
               : f->context;
}

/* Everything the model sees beside a question, and where that goes. */
static rt_status put_prompt(struct loop *loop)
{
    rt_status st;
    char id[STORE_ID];
    pipe_prompt_hash(&loop->prompt, loop->format_hash);
    snprintf(id, sizeof id, "sha256:%s", loop->format_hash);
    char *text = pipe_prompt_text(loop->ctx, &loop->prompt, "{question}");
    if (!text)
        return rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "prompt: no memory");
    st = store_put_prompt(loop->store, id, loop->format->name, text);
    rt_free(text);
    return st;
}

rt_status loop_use(struct loop *loop, const char *model,
                   const struct pipe_prompt_format *format)
{
    rt_status st;
    const struct pipe_prompt_format *f = format;
    text_tokenizer_destroy(&loop->tok);
    rt_free(loop->examples);
    loop->examples = NULL;
    loop->format = f;
    loop->prompt = (struct pipe_prompt){ .format = f };
    TRY(text_tokenizer_load(loop->ctx, model, &loop->tok));
    loop->stop_id = f->stop ? text_token_id(loop->tok, f->stop) : UINT32_MAX;
    if (f->stop && loop->stop_id == UINT32_MAX)
        return rt_fail(
            loop->ctx, RT_ERR_INPUT,
            "'%s': the tokenizer has no '%s', which ends an answer of format '%s'", model,
            f->stop, f->name);
    loop->new_tokens_max =
        loop->new_tokens_given ? loop->new_tokens_given : f->new_tokens_max;
    loop->context = loop_format_context(f, loop->new_tokens_max);
    if (f->chat) {
        TRY(text_chat_pick(loop->ctx, model, loop->chat_format, &loop->prompt.chat));
        TRY(text_chat_check(loop->ctx, model, loop->prompt.chat, loop->tok));
    }
    TRY(store_begin(loop->store));
    TRY(take_examples(loop, loop->examples_path));
    TRY(put_prompt(loop));
    TRY(store_commit(loop->store));
    return RT_OK;

fail:
    store_rollback(loop->store);
    return st;
}

rt_status loop_open(struct loop *loop, struct rt_ctx *ctx, const struct loop_options *o)
{
    rt_status st;
    *loop = (struct loop){ .ctx = ctx,
                           .host = o->host,
                           .dev = o->dev,
                           .store = o->store,
                           .seed = o->seed,
                           .chat_format = o->chat_format,
                           .examples_path = o->examples_path,
                           .new_tokens_given = o->new_tokens_max,
                           .stop_id = UINT32_MAX };
    TRY(text_tokenizer_load(loop->ctx, o->model, &loop->tok));
    TRY(pipe_grader_create(loop->ctx, NULL, &loop->grader));
    if (o->format)
        TRY(loop_use(loop, o->model, o->format));
    TRY(store_begin(loop->store));
    TRY(store_put_environment(loop->store, loop->dev, loop->env_id));
    TRY(store_put_campaign(loop->store, o->campaign, o->plan, loop->campaign_id));
    TRY(store_commit(loop->store));
    return RT_OK;

fail:
    loop_close(loop);
    return st;
}

void loop_close(struct loop *loop)
{
    store_close(&loop->store);
    pipe_grader_destroy(&loop->grader);
    rt_free(loop->examples);
    loop->examples = NULL;
    text_tokenizer_destroy(&loop->tok);
    rt_device_destroy(&loop->dev);
}

/* Tokens of prompt and answer that a device can serve of a model, at most `wanted`; *why
 * says what the limit is. */
static uint32_t context_within(struct loop *loop, const struct model_size *size,
                               uint32_t wanted, const char **why)
{
    const struct rt_plan *plan = rt_device_plan(loop->dev);
    const uint32_t most = size->config.max_positions, keys = rt_plan_keys_max(plan);
    const uint64_t left = rt_device_memory_left(loop->dev);
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
static rt_status choose_positions(struct loop *loop, const char *folder, uint32_t *out)
{
    rt_status st;
    struct fmt_model *file = NULL;
    struct model_size size;
    const char *why = "";
    const uint32_t wanted = loop->positions ? loop->positions : loop->context;
    *out = wanted;
    if (wanted == 0) /* nothing is asked */
        return RT_OK;
    TRY(fmt_model_open(loop->ctx, folder, &file));
    fmt_model_widen(file, rt_device_plan(loop->dev)->wide_weights);
    TRY(rt_model_size(loop->ctx, file, &size));
    *out = context_within(loop, &size, wanted, &why);
    if (*out < wanted)
        rt_log(loop->ctx, RT_LOG_WARNING,
               "'%s' on '%s': a context of %u tokens instead of %u, %s; longer answers "
               "are cut there, and the run says so",
               folder, rt_device_info_of(loop->dev)->name, *out, wanted, why);

fail:
    fmt_model_close(&file);
    return st;
}

rt_status loop_model_load(struct loop *loop, const char *folder, struct rt_model **out)
{
    rt_status st;
    uint32_t positions;
    *out = NULL;
    TRY(choose_positions(loop, folder, &positions));
    TRY(rt_model_load(loop->dev, folder, positions, out));
    const uint32_t ids = text_vocab_size(loop->tok), rows = (*out)->config.vocab;
    if (ids <= rows)
        return RT_OK;
    rt_model_destroy(out);
    return rt_fail(
        loop->ctx, RT_ERR_INPUT,
        "'%s': the tokenizer has ids up to %u, the embedding of the model has %u "
        "rows; they belong to different models",
        folder, ids - 1, rows);

fail:
    return st;
}

uint32_t loop_end_id(const struct loop *loop, const struct rt_model *model)
{
    if (loop->stop_id != UINT32_MAX)
        return loop->stop_id;
    return model->config.eos_count ? model->config.eos[0] : UINT32_MAX;
}

void loop_stop_ids(const struct loop *loop, const struct rt_model *model,
                   struct rt_engine_options *options)
{
    const struct fmt_config *c = &model->config;
    options->stop_ids[0] = loop->stop_id;
    options->stop_count = loop->stop_id != UINT32_MAX;
    for (uint32_t i = 0; i < c->eos_count; i++)
        if (c->eos[i] != loop->stop_id &&
            options->stop_count < RT_COUNT(options->stop_ids))
            options->stop_ids[options->stop_count++] = c->eos[i];
}

rt_status loop_bench_open(struct loop *loop, const char *spec, const char *split,
                          struct loop_bench *out)
{
    rt_status st;
    *out = (struct loop_bench){ .split = split };
    bool from_store;
    const bool measured = strcmp(split, "measure") == 0;
    TRY(pipe_problems_open(loop->ctx, loop->host, loop->store, spec,
                           measured ? PIPE_FOR_MEASURING : PIPE_FOR_TRAINING, &out->set,
                           &from_store));
    TRY(store_begin(loop->store));
    snprintf(out->name, sizeof out->name, "%s",
             from_store            ? spec
             : loop->lists_by_file ? pipe_list_name(spec)
                                   : loop->format->name);
    TRY(store_put_benchmark(loop->store, out->name, split, out->set.items, out->set.count,
                            out->id));
    TRY(store_commit(loop->store));
    return RT_OK;

fail:
    if (loop->store)
        store_rollback(loop->store);
    pipe_problems_deinit(&out->set);
    return st;
}

void loop_bench_close(struct loop_bench *bench)
{
    pipe_problems_deinit(&bench->set);
}

/* Bits a weight of the projections with an adapter kept in 16 bits beside them. */
static double effective_bits(const struct loop_variant *v)
{
    const double adapter =
        v->adapter ? (double)fmt_adapter_params(v->adapter->source, &v->model->config)
                   : 0;
    return v->model->bits_per_weight + 16 * adapter / v->model->linear_weights;
}

rt_status loop_variant_put(struct loop *loop, struct rt_model *model,
                           struct rt_adapter *adapter, const char *folder,
                           const char *label, const char *role, const char *arm,
                           struct loop_variant *out)
{
    rt_status st;
    char hex[65];
    *out = (struct loop_variant){ .model = model, .adapter = adapter };
    snprintf(out->weights_id, STORE_ID, "sha256:%s", model->hash);
    const struct store_artifact weights = { out->weights_id, "weights",
                                            (int64_t)model->weight_bytes, folder };
    if (adapter) {
        fmt_adapter_hash(adapter->source, &model->config, hex);
        snprintf(out->adapter_id, STORE_ID, "sha256:%s", hex);
    }
    const struct store_artifact lora = { out->adapter_id, "adapter",
                                         adapter ? (int64_t)adapter->param_floats * 4 : 0,
                                         NULL };
    out->row = (struct store_variant){
        .label = label,
        .role = role,
        .arm = arm,
        .weights_id = out->weights_id,
        .adapter_id = adapter ? out->adapter_id : NULL,
        .arch = model->config.family->model_type,
        .params = (int64_t)(model->linear_weights +
                            (double)model->config.vocab * model->config.hidden),
        .quant = model->stored[0] ? model->stored : NULL,
    };
    out->row.bits_per_weight = effective_bits(out);
    TRY(store_begin(loop->store));
    TRY(store_put_artifact(loop->store, &weights));
    if (adapter)
        TRY(store_put_artifact(loop->store, &lora));
    TRY(store_put_variant(loop->store, &out->row));
    TRY(store_commit(loop->store));
    return RT_OK;

fail:
    store_rollback(loop->store);
    return st;
}

rt_status loop_variant_load(struct loop *loop, const char *folder, const char *adapter,
                            const char *label, const char *role, struct loop_variant *out)
{
    rt_status st;
    struct rt_model *model = NULL;
    struct rt_adapter *lora = NULL;
    *out = (struct loop_variant){ 0 };
    TRY(loop_model_load(loop, folder, &model));
    if (adapter)
        TRY(rt_adapter_load(model, adapter, &lora));
    TRY(loop_variant_put(loop, model, lora, folder, label, role, NULL, out));
    return RT_OK;

fail:
    rt_adapter_destroy(&lora);
    rt_model_destroy(&model);
    *out = (struct loop_variant){ 0 };
    return st;
}

void loop_variant_close(struct loop_variant *variant)
{
    rt_adapter_destroy(&variant->adapter);
    rt_model_destroy(&variant->model);
}

rt_status loop_prompt(struct loop *loop, const char *question, const char *more,
                      uint32_t **ids, uint32_t *count)
{
    *ids = NULL;
    char *head = pipe_prompt_text(loop->ctx, &loop->prompt, question);
    char *text = head ? rt_format(loop->ctx, "%s%s", head, more ? more : "") : NULL;
    rt_status st;
    if (!text)
        st = rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "prompt: no memory");
    else if (loop->format->chat)
        st = text_encode(loop->tok, text, strlen(text), true, ids, count);
    else
        st = text_encode_prompt(loop->tok, text, strlen(text), true, ids, count);
    rt_free(head);
    rt_free(text);
    return st;
}

/* Bytes of a token within a text, where a zero became U+FFFD. */
static uint32_t token_size(const struct loop *loop, uint32_t id)
{
    size_t size, zeros = 0;
    const char *bytes = text_token_bytes(loop->tok, id, &size);
    for (size_t i = 0; i < size; i++)
        zeros += bytes[i] == '\0';
    return (uint32_t)(size + 2 * zeros);
}

void loop_token_ends(struct loop *loop, const uint32_t *ids, uint32_t n, uint32_t *ends)
{
    char *first = NULL;
    uint32_t at = 0, size = 0, lead = 0;
    /* A text may begin without the space of its first token. */
    if (n && loop_decode(loop, ids, 1, &first, &size) == RT_OK &&
        size < token_size(loop, ids[0]))
        lead = token_size(loop, ids[0]) - size;
    rt_free(first);
    for (uint32_t i = 0; i < n; i++) {
        at += token_size(loop, ids[i]);
        ends[i] = at - lead;
    }
}

rt_status loop_decode(struct loop *loop, const uint32_t *ids, uint32_t n, char **text,
                      uint32_t *size)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    char *raw = NULL;
    size_t length = 0, zeros = 0, at = 0;
    *text = NULL;
    const rt_status st = text_decode(loop->tok, ids, n, true, &raw, &length);
    if (st != RT_OK)
        return st;
    for (size_t i = 0; i < length; i++)
        zeros += raw[i] == '\0';
    *size = (uint32_t)(length + 2 * zeros);
    if (zeros == 0) {
        *text = raw;
        return RT_OK;
    }
    *text = rt_alloc(loop->ctx, *size + 1u, 1);
    for (size_t i = 0; *text && i < length; i++) {
        const bool zero = raw[i] == '\0';
        memcpy(*text + at, zero ? replacement : &raw[i], zero ? 3 : 1);
        at += zero ? 3 : 1;
    }
    rt_free(raw);
    return *text ? RT_OK : rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "answer: no memory");
}

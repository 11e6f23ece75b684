#include "pipeline/cli/loop.h"

#include "pipeline/cli/problem_source.h"
#include "runtime/format/file.h"

#include <stdio.h>
#include <string.h>

rt_status loop_open(struct loop *loop, struct cli *cli, const char *model,
                    const char *campaign, const char *plan)
{
    rt_status st;
    int64_t seed;
    *loop = (struct loop){ .cli = cli, .ctx = &cli->ctx };
    loop->format = pipe_prompt_format_find("demo");
    pipe_prompt_format_hash(loop->format, loop->format_hash);
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    loop->seed = (uint64_t)seed;
    TRY(text_tokenizer_load(loop->ctx, model, &loop->tok));
    loop->stop_id = text_token_id(loop->tok, loop->format->stop);
    if (loop->stop_id == UINT32_MAX) {
        st = rt_fail(
            loop->ctx, RT_ERR_INPUT,
            "'%s': the tokenizer has no '%s', which ends an answer of format '%s'", model,
            loop->format->stop, loop->format->name);
        goto fail;
    }
    TRY(cli_device_open(cli, &loop->dev));
    TRY(store_open(loop->ctx, cli_store_path(cli), STORE_WRITE, &loop->store));
    TRY(store_begin(loop->store));
    TRY(store_put_environment(loop->store, loop->dev, loop->env_id));
    TRY(store_put_campaign(loop->store, campaign, plan, loop->campaign_id));
    TRY(store_commit(loop->store));
    return RT_OK;

fail:
    loop_close(loop);
    return st;
}

void loop_close(struct loop *loop)
{
    store_close(&loop->store);
    text_tokenizer_destroy(&loop->tok);
    rt_device_destroy(&loop->dev);
}

rt_status loop_model_load(struct loop *loop, const char *folder, struct rt_model **out)
{
    const rt_status st = rt_model_load(loop->dev, folder, LOOP_CONTEXT, out);
    if (st != RT_OK)
        return st;
    const uint32_t ids = text_vocab_size(loop->tok), rows = (*out)->config.vocab;
    if (ids <= rows)
        return RT_OK;
    rt_model_destroy(out);
    return rt_fail(
        loop->ctx, RT_ERR_INPUT,
        "'%s': the tokenizer has ids up to %u, the embedding of the model has %u "
        "rows; they belong to different models",
        folder, ids - 1, rows);
}

void loop_stop_ids(const struct loop *loop, const struct rt_model *model,
                   struct rt_engine_options *options)
{
    const struct fmt_config *c = &model->config;
    options->stop_ids[0] = loop->stop_id;
    options->stop_count = 1;
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
    TRY(cli_problems_open(loop->cli, loop->store, spec,
                          measured ? CLI_FOR_MEASURING : CLI_FOR_TRAINING, &out->set,
                          &from_store));
    TRY(store_begin(loop->store));
    TRY(store_put_benchmark(loop->store, from_store ? spec : loop->format->name, split,
                            out->set.items, out->set.count, out->id));
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
    char hex[65], quant[48];
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
    const struct fmt_quantization *q = &model->config.quantization;
    snprintf(quant, sizeof quant, "%s %u bit%s%s",
             q->method == FMT_PACK_QUANTIZED ? "rtn" : fmt_method_name(q->method),
             q->bits, q->group ? " grouped" : " per row",
             q->symmetric ? "" : " asymmetric");
    out->row = (struct store_variant){
        .label = label,
        .role = role,
        .arm = arm,
        .weights_id = out->weights_id,
        .adapter_id = adapter ? out->adapter_id : NULL,
        .arch = model->config.family->model_type,
        .params = (int64_t)(model->linear_weights +
                            (double)model->config.vocab * model->config.hidden),
        .quant = q->present ? quant : NULL,
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

rt_status loop_prompt(struct loop *loop, const char *question, const char *more,
                      uint32_t **ids, uint32_t *count)
{
    *ids = NULL;
    char *head = pipe_prompt_text(loop->ctx, loop->format, question);
    char *text = head ? rt_format(loop->ctx, "%s%s", head, more ? more : "") : NULL;
    const rt_status st =
        text ? text_encode(loop->tok, text, strlen(text), true, ids, count)
             : rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "prompt: no memory");
    rt_free(head);
    rt_free(text);
    return st;
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

/* Any header and data as model.safetensors of a small model whose head is tied: refused
 * with a message, or the embedding can be asked for, and names are in order and unlike. */
#include "runtime/format/checkpoint.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] =
    "{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":8,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"head_dim\":8,\"vocab_size\":3,"
    "\"tie_word_embeddings\":true,\"quantization_config\":{\"quant_method\":\"gptq\","
    "\"bits\":4,\"dynamic\":{\"-:lm_head\":{}}}}";

static void check(struct fmt_model *model)
{
    struct fmt_tensor_info info;
    char last[FMT_TENSOR_NAME_MAX] = "";
    uint32_t out, in;
    for (uint32_t i = 0; fmt_tensor_at(model, i, &info); i++) {
        if (i > 0 && strlen(info.name) + 1 < sizeof last && strcmp(last, info.name) >= 0)
            abort();
        if (!fmt_tensor_exists(model, info.name) &&
            strlen(info.name) + 1 < sizeof info.name)
            abort();
        memcpy(last, info.name, sizeof last);
    }
    if (fmt_has_head(model) == fmt_model_config(model)->tied)
        abort();
    (void)(fmt_weight_size(model, "model.embed_tokens", &out, &in) == RT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model = NULL;
    fuzz_file("config.json", (const uint8_t *)config, sizeof config - 1, 0);
    fuzz_file("model.safetensors", data, size, 1);
    const rt_status st = fmt_model_open(&ctx, fuzz_folder(), &model);
    if (st == RT_OK)
        check(model);
    else if (st != RT_ERR_INPUT || !ctx.message[0])
        abort();
    fmt_model_close(&model);
    return 0;
}

/* Any bytes as a PEFT adapter (the text of adapter_config.json, a 0 byte, then the header
 * and data of adapter_model.safetensors): refused with a message, or written and read
 * back as the same adapter. */
#include "runtime/format/peft.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fmt_config config = {
    .hidden = 8,
    .ffn = 8,
    .layers = 2,
    .heads = 1,
    .kv_heads = 1,
    .head_dim = 8,
    .vocab = 4,
};

/* An adapter without tensors is read but cannot be written. */
static void round_trip(struct rt_ctx *ctx, const struct fmt_adapter *adapter)
{
    struct fmt_adapter *again = NULL;
    char a[65], b[65], folder[80];
    if (fmt_adapter_params(adapter, &config) == 0)
        return;
    snprintf(folder, sizeof folder, "%s/again", fuzz_folder());
    if (fmt_adapter_write(ctx, folder, adapter, &config, "base", NULL) != RT_OK ||
        fmt_adapter_read(ctx, folder, &config, &again) != RT_OK)
        abort();
    fmt_adapter_hash(adapter, &config, a);
    fmt_adapter_hash(again, &config, b);
    if (strcmp(a, b) != 0)
        abort();
    fmt_adapter_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_adapter *adapter = NULL;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t text = end ? (size_t)(end - data) : size;
    fuzz_file("adapter_config.json", data, text, 0);
    fuzz_file("adapter_model.safetensors", end ? end + 1 : data,
              end ? size - text - 1 : 0, 1);
    const rt_status st = fmt_adapter_read(&ctx, fuzz_folder(), &config, &adapter);
    if (st == RT_OK)
        round_trip(&ctx, adapter);
    else if (st != RT_ERR_INPUT || !ctx.message[0] || adapter)
        abort();
    fmt_adapter_destroy(&adapter);
    return 0;
}

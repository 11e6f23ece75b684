/* Any text as config.json (what follows its first 0 byte as generation_config.json):
 * refused with a message, or all sizes lie in their ranges. */
#include "runtime/format/peft.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool in_range(const struct fmt_config *c)
{
    return c->family && c->hidden && c->layers && c->vocab &&
           c->heads % c->kv_heads == 0 && c->rms_eps > 0 && c->rope.theta > 1 &&
           c->eos_count <= FMT_EOS_MAX && c->quantization.group % 32 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_config c;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t first = end ? (size_t)(end - data) : size;
    const uint8_t *more = end ? end + 1 : (const uint8_t *)"{}";
    fuzz_file("config.json", data, first, 0);
    fuzz_file("generation_config.json", more, end ? size - first - 1 : 2, 0);
    const rt_status st = fmt_config_read(&ctx, fuzz_folder(), &c);
    if (st != RT_OK) {
        if (st != RT_ERR_INPUT || !ctx.message[0])
            abort();
        return 0;
    }
    if (!in_range(&c))
        abort();
    for (int i = 0; i < FMT_MODULE_COUNT; i++) {
        uint32_t out, in;
        fmt_module_size(&c, (enum fmt_module)i, &out, &in);
        if (out == 0 || in == 0 || out > 1u << 20 || in > 1u << 20)
            abort();
    }
    return 0;
}

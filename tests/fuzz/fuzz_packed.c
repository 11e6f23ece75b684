/* Any bytes as a packed matrix "w" (a quantization_config, a 0 byte, then the header and
 * data of model.safetensors): refused with a message, or the values as floats are those
 * of the device layout, in the order it says. */
#include "runtime/format/checkpoint.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct fmt_model *model, uint32_t out, uint32_t in)
{
    struct rt_weight_shape s;
    bool moved;
    float *values = calloc((size_t)out * in, sizeof *values);
    uint32_t *order = calloc(in, sizeof *order);
    if (!values || !order)
        abort();
    if (fmt_weight_floats(model, "w", out, in, values) == RT_OK) {
        if (fmt_weight_shape(model, "w", out, in, &s) != RT_OK ||
            fmt_weight_order(model, "w", in, order, &moved) != RT_OK)
            abort();
        uint32_t *codes = calloc(1, rt_weight_code_bytes(&s));
        float *scales = calloc(1, rt_weight_scale_bytes(&s));
        if (!codes || !scales ||
            fmt_weight_load(model, "w", &s, 0, 0, out, codes, scales) != RT_OK)
            abort();
        for (uint32_t r = 0; r < out; r++)
            for (uint32_t k = 0; k < in; k++)
                if (rt_weight_value(&s, codes, scales, r, k) !=
                    values[(size_t)r * in + order[k]])
                    abort();
        free(codes);
        free(scales);
    }
    free(values);
    free(order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model = NULL;
    uint32_t out = 0, in = 0;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t text = end ? (size_t)(end - data) : size;
    static char config[1 << 16];
    const int n = snprintf(config, sizeof config, "{\"quantization_config\":%.*s}",
                           (int)(text < 60000 ? text : 60000), (const char *)data);
    fuzz_file("config.json", (const uint8_t *)config, (size_t)n, 0);
    fuzz_file("model.safetensors", end ? end + 1 : data, end ? size - text - 1 : 0, 1);
    rt_status st = fmt_model_open_tensors(&ctx, fuzz_folder(), &model);
    if (st == RT_OK)
        st = fmt_weight_size(model, "w", &out, &in);
    if (st == RT_OK && (uint64_t)out * in < 1 << 22)
        check(model, out, in);
    else if (st != RT_OK && (st != RT_ERR_INPUT || !ctx.message[0]))
        abort();
    fmt_model_close(&model);
    return 0;
}

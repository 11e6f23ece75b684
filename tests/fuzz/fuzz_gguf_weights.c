/* Any bytes as a GGUF file whose tensors are weights: refused with a message, or the values
 * as floats are those of the device layout, in the file's own form and in the wide one. */
#include "runtime/format/checkpoint.h"
#include "tests/fuzz/fuzz_folder.h"

enum { ELEMENTS_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_layout(struct fmt_model *model, const char *name, uint32_t out,
                         uint32_t in, const float *values)
{
    struct rt_weight_shape s;
    if (fmt_weight_shape(model, name, out, in, &s) != RT_OK)
        abort();
    uint32_t *codes = calloc(1, rt_weight_code_bytes(&s));
    float *scales = calloc(1, rt_weight_scale_bytes(&s));
    if (!codes || !scales ||
        fmt_weight_load(model, name, &s, 0, 0, out, codes, scales) != RT_OK)
        abort();
    for (uint32_t r = 0; r < out; r++)
        for (uint32_t k = 0; k < in; k++)
            if (rt_weight_value(&s, codes, scales, r, k) != values[(size_t)r * in + k])
                abort();
    free(codes);
    free(scales);
}

static void check(struct fmt_model *model, const char *name)
{
    uint32_t out = 0, in = 0;
    struct fmt_stored stored;
    if (fmt_weight_size(model, name, &out, &in) != RT_OK ||
        (uint64_t)out * in > ELEMENTS_MAX)
        return;
    float *values = calloc((size_t)out * in, sizeof *values);
    if (!values || fmt_weight_stored(model, name, &stored) != RT_OK)
        abort();
    const rt_status st = fmt_weight_floats(model, name, out, in, values);
    for (int wide = 0; st == RT_OK && wide < 2; wide++) {
        fmt_model_widen(model, wide);
        check_layout(model, name, out, in, values);
    }
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model = NULL;
    struct fmt_tensor_info info;
    const char *path = fuzz_file("w.gguf", data, size, 0);
    const rt_status st = fmt_model_open_tensors(&ctx, path, &model);
    if (st != RT_OK && (st != RT_ERR_INPUT || !ctx.message[0]))
        abort();
    if (st == RT_OK)
        check(model, "w"); /* by the file's own name */
    for (uint32_t i = 0; st == RT_OK && i < 64 && fmt_tensor_at(model, i, &info); i++) {
        char *end = strstr(info.name, ".weight");
        if (end && !end[7]) {
            *end = '\0';
            check(model, info.name);
        }
    }
    fmt_model_close(&model);
    return 0;
}

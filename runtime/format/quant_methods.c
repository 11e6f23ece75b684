/* runtime/format/quant_methods.c
 * What is known of each method of packing, and of each that is refused. */
#include "runtime/format/quant_methods.h"

#include "runtime/base/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is read ---- */

enum { GROUP_MAX = 1 << 20, GROUP_FREE = 0, GROUP_SMALL = 1 };

/* Bit n of `widths`: n bits are packed. */
static const struct {
    const char *name;
    uint32_t widths;
    const char *widths_text;
    uint32_t group; /* the only one; GROUP_FREE: multiples of 32; GROUP_SMALL: also 16 */
} methods[FMT_METHOD_COUNT] = {
    [FMT_PACK_QUANTIZED] = { "pack-quantized", 0x1fe, "1 to 8 bits are", GROUP_SMALL },
    [FMT_INT_QUANTIZED] = { "int-quantized", 0x100, "8 bits are", GROUP_SMALL },
    [FMT_AWQ] = { "awq", 0x10, "4 bits are", GROUP_SMALL },
    [FMT_GPTQ] = { "gptq", 0x11c, "2, 3, 4 and 8 bits are", GROUP_SMALL },
    [FMT_GPTQ_V2] = { "gptq_v2", 0x11c, "2, 3, 4 and 8 bits are", GROUP_SMALL },
    [FMT_FLOAT_QUANTIZED] = { "float-quantized", 0x100, "8 bits are", GROUP_FREE },
    [FMT_NVFP4] = { "nvfp4-pack-quantized", 0x10, "4 bits are", 16 },
    [FMT_MXFP4] = { "mxfp4-pack-quantized", 0x10, "4 bits are", 32 },
    [FMT_MXFP8] = { "mxfp8-quantized", 0x100, "8 bits are", 32 },
    [FMT_FP8] = { "fp8", 0x100, "8 bits are", GROUP_FREE },
    [FMT_BITSANDBYTES] = { "bitsandbytes", 0x10, "4 bits are", GROUP_FREE },
};

const char *fmt_method_name(enum fmt_method method)
{
    return methods[method].name;
}

bool fmt_method_has_bits(enum fmt_method method, json_int_t bits)
{
    return bits >= 0 && bits < 32 && (methods[method].widths >> bits & 1);
}

const char *fmt_method_widths(enum fmt_method method)
{
    return methods[method].widths_text;
}

bool fmt_method_has_group(enum fmt_method method, json_int_t group)
{
    const uint32_t only = methods[method].group;
    if (only == GROUP_SMALL && group == 16)
        return true;
    if (only != GROUP_FREE && only != GROUP_SMALL)
        return group == only;
    return group <= GROUP_MAX && (group <= 0 || group % 32 == 0);
}

/* ---- compressed-tensors ---- */

rt_status fmt_method_of_format(struct rt_ctx *ctx, const char *path, const char *format,
                               const char *type, enum fmt_method *out)
{
    static const struct {
        const char *format, *type;
        enum fmt_method method;
    } formats[] = {
        { "pack-quantized", "int", FMT_PACK_QUANTIZED },
        { "int-quantized", "int", FMT_INT_QUANTIZED },
        { "naive-quantized", "int", FMT_INT_QUANTIZED },
        { "float-quantized", "float", FMT_FLOAT_QUANTIZED },
        { "naive-quantized", "float", FMT_FLOAT_QUANTIZED },
        { "nvfp4-pack-quantized", "float", FMT_NVFP4 },
        { "mxfp4-pack-quantized", "float", FMT_MXFP4 },
        { "mxfp8-quantized", "float", FMT_MXFP8 },
    };
    bool known = false;
    for (size_t i = 0; format && i < RT_COUNT(formats); i++) {
        if (strcmp(formats[i].format, format) != 0)
            continue;
        known = true;
        *out = formats[i].method;
        if (strcmp(formats[i].type, type ? type : "int") == 0)
            return RT_OK;
    }
    if (known)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': quantization_config: weights of the type '%.60s' are not "
                       "supported with the format '%s'",
                       path, type ? type : "int", format);
    return rt_fail(ctx, RT_ERR_INPUT,
                   "'%s': compressed-tensors format '%.60s' is not supported; "
                   "pack-quantized, int-quantized, float-quantized, naive-quantized, "
                   "nvfp4-pack-quantized, mxfp4-pack-quantized and mxfp8-quantized are",
                   path, format ? format : "(none)");
}

/* "ROWSxCOLUMNS"; zeros where it is not that. */
static void block_of_text(const char *text, long long sizes[2])
{
    char *end;
    const long long rows = strtoll(text, &end, 10);
    if (*end != 'x' || !isdigit((unsigned char)end[1]))
        return;
    const long long columns = strtoll(end + 1, &end, 10);
    if (*end == '\0') {
        sizes[0] = rows;
        sizes[1] = columns;
    }
}

rt_status fmt_method_take_block(struct rt_ctx *ctx, const char *path, const json_t *block,
                                struct fmt_quantization *q)
{
    long long sizes[2] = { 0, 0 };
    q->block[0] = q->block[1] = 0;
    if (!block || json_is_null(block))
        return RT_OK;
    if (json_is_string(block))
        block_of_text(json_string_value(block), sizes);
    for (size_t i = 0; i < 2; i++) {
        if (json_array_size(block) == 2)
            sizes[i] = json_integer_value(json_array_get(block, i));
        const long long n = sizes[i];
        if (n <= 0 || n > GROUP_MAX)
            return rt_fail(ctx, RT_ERR_INPUT,
                           "'%s': quantization_config: a block size must be two whole "
                           "numbers of 1 to %d, as [128, 128] or \"128x128\"",
                           path, (int)GROUP_MAX);
        q->block[i] = (uint32_t)n;
    }
    return RT_OK;
}

/* ---- methods of transformers ---- */

rt_status fmt_method_read_fp8(struct rt_ctx *ctx, const char *path, const json_t *config,
                              struct fmt_quantization *q)
{
    q->method = FMT_FP8;
    q->bits = 8;
    q->symmetric = q->present = true;
    q->activations = true;
    q->block[0] = q->block[1] = 128; /* transformers' default */
    const json_t *block = json_object_get(config, "weight_block_size");
    return block ? fmt_method_take_block(ctx, path, block, q) : RT_OK;
}

rt_status fmt_method_read_bitsandbytes(struct rt_ctx *ctx, const char *path,
                                       const json_t *config, struct fmt_quantization *q)
{
    q->method = FMT_BITSANDBYTES;
    q->bits = 4;
    q->group = 64;
    q->symmetric = q->present = true;
    if (json_is_true(json_object_get(config, "load_in_4bit")))
        return RT_OK;
    return rt_fail(ctx, RT_ERR_INPUT,
                   "'%s': quantization 'bitsandbytes' is supported with load_in_4bit "
                   "(nf4, fp4), not with 8 bits (LLM.int8); get the full-precision model "
                   "and use faultline quantize --bits 8",
                   path);
}

/* ---- what is not read ---- */

/* quant_method, and what it is. */
static const char *const others[][2] = {
    { "exl3", "ExLlamaV3, trellis codes" },
    { "exl2", "ExLlamaV2, mixed widths" },
    { "aqlm", "additive codebooks" },
    { "auto-round", "AutoRound's own packing" },
    { "autoround", "AutoRound's own packing" },
    { "bitnet", "ternary weights of BitNet" },
    { "eetq", "8 bits in EETQ's order" },
    { "fbgemm_fp8", "FP8 of FBGEMM" },
    { "fouroversix", "NVFP4 of Four Over Six" },
    { "fp_quant", "FP-Quant, rotated weights" },
    { "gemma", "quantized Gemma" },
    { "higgs", "HIGGS, vector codes" },
    { "hqq", "half-quadratic quantization" },
    { "ipex", "Intel's packing" },
    { "marlin", "weights in Marlin's order" },
    { "metal", "weights of Apple's Metal kernels" },
    { "modelopt", "NVIDIA's ModelOpt" },
    { "modelopt_fp4", "NVIDIA's ModelOpt" },
    { "mxfp4", "MXFP4 experts of gpt-oss" },
    { "mxfp8", "MXFP8" },
    { "nvfp4", "NVFP4 of transformers" },
    { "quanto", "Optimum Quanto" },
    { "quark", "AMD's Quark" },
    { "quip", "QuIP, lattice codes" },
    { "quip#", "QuIP#, lattice codes" },
    { "sinq", "SINQ, two scales" },
    { "spqr", "SpQR, sparse outliers" },
    { "squeezellm", "SqueezeLLM, lookup tables" },
    { "torchao", "torchao" },
    { "vptq", "vector codes" },
};

rt_status fmt_method_refuse(struct rt_ctx *ctx, const char *path, const char *method)
{
    const char *what = NULL;
    for (size_t i = 0; method && i < RT_COUNT(others); i++)
        if (strcmp(others[i][0], method) == 0)
            what = others[i][1];
    return rt_fail(
        ctx, RT_ERR_INPUT,
        "'%s': quantization '%.60s'%s%s%s is not supported; "
        "compressed-tensors, awq, gptq, fp8 and bitsandbytes of 4 bits are; get "
        "one of these or a GGUF file, or use faultline quantize on the "
        "full-precision model",
        path, method ? method : "(none)", what ? " (" : "", what ? what : "",
        what ? ")" : "");
}

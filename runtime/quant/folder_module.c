/* runtime/quant/folder_module.c
 * One projection of a folder: its values read, quantized, and packed as tensors. */
#include "runtime/quant/folder_impl.h"

/* Words that n codes take. */
static uint32_t words_of(const struct quant_writer *w, uint32_t n)
{
    return (uint32_t)(((uint64_t)n * w->options->bits + 31) / 32);
}

/* Puts code k of a stream of bits, low bits first, over words `stride` apart. */
static void put_code(const struct quant_writer *w, uint32_t *words, size_t stride,
                     uint32_t k, uint32_t code)
{
    const uint32_t bits = w->options->bits;
    const uint64_t at = (uint64_t)k * bits;
    words[at / 32 * stride] |= code << at % 32;
    if (at % 32 + bits > 32)
        words[(at / 32 + 1) * stride] |= code >> (32 - at % 32);
}

/* Codes of a matrix, a stream per row. */
static int32_t *pack_rows(struct quant_writer *w, const uint8_t *codes, uint32_t out,
                          uint32_t in)
{
    const uint32_t words = words_of(w, in);
    uint32_t *packed = rt_alloc(w->ctx, (size_t)out * words, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t k = 0; k < in; k++)
            put_code(w, packed + (size_t)r * words, 1, k, codes[(size_t)r * in + k]);
    return (int32_t *)packed;
}

/* Zero points, a stream per group along the rows. */
static int32_t *pack_zeros(struct quant_writer *w, const uint8_t *zeros, uint32_t out,
                           uint32_t groups)
{
    uint32_t *packed =
        rt_alloc(w->ctx, (size_t)words_of(w, out) * groups, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t g = 0; g < groups; g++)
            put_code(w, packed + g, groups, r, zeros[(size_t)r * groups + g]);
    return (int32_t *)packed;
}

/* Takes `scales`, also on failure. */
static rt_status add_packed(struct quant_writer *w, const char *name, uint32_t out,
                            uint32_t in, const uint8_t *codes, float *scales,
                            const uint8_t *zeros)
{
    rt_status st;
    const uint32_t group = w->options->group ? w->options->group : in;
    const uint32_t groups = (in + group - 1) / group;
    TRY(quant_add_output(w, name, ".weight_scale", FMT_F32, out, groups, scales));
    int32_t *packed = pack_rows(w, codes, out, in);
    if (!packed)
        return quant_no_memory(w);
    TRY(quant_add_output(w, name, ".weight_packed", FMT_I32, out, words_of(w, in),
                         packed));
    int64_t *shape = rt_alloc(w->ctx, 2, sizeof *shape);
    if (!shape)
        return quant_no_memory(w);
    shape[0] = out;
    shape[1] = in;
    TRY(quant_add_output(w, name, ".weight_shape", FMT_I64, 2, 0, shape));
    if (w->options->asymmetric) {
        int32_t *z = pack_zeros(w, zeros, out, groups);
        if (!z)
            return quant_no_memory(w);
        TRY(quant_add_output(w, name, ".weight_zero_point", FMT_I32, words_of(w, out),
                             groups, z));
    }
    w->report->weights += (uint64_t)out * in;
    w->report->matrices++;
    w->report->bits_per_weight +=
        out * ((double)in * w->options->bits +
               groups * (32.0 + (w->options->asymmetric ? w->options->bits : 0)));
    return RT_OK;

fail:
    return st;
}

/* Others read only full groups. */
static void warn_of_short_group(struct quant_writer *w, const char *name, uint32_t in)
{
    const uint32_t group = w->options->group;
    if (group == 0 || in % group == 0 || w->warned)
        return;
    w->warned = true;
    rt_log(
        w->ctx, RT_LOG_WARNING,
        "'%s' has %u columns, which groups of %u do not divide: faultline reads such a "
        "folder, transformers and vLLM do not; --group row is read by all",
        name, in, group);
}

rt_status quant_module(struct quant_writer *w, const char *tensor, const char *name,
                       uint32_t out, uint32_t in)
{
    rt_status st;
    const uint32_t group = w->options->group ? w->options->group : in;
    const size_t count = (size_t)out * in, groups = (in + group - 1) / group;
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    uint8_t *codes = rt_alloc(w->ctx, count, 1),
            *zeros = rt_alloc(w->ctx, out * groups, 1);
    float *scales = rt_alloc(w->ctx, out * groups, sizeof *scales);
    if (!values || !codes || !zeros || !scales) {
        st = quant_no_memory(w);
        goto fail;
    }
    TRY(fmt_weight_floats(w->model, name, out, in, values));
    TRY(quant_check_finite(w, tensor, 0, values, count));
    warn_of_short_group(w, name, (uint32_t)in);
    quant_rtn(values, out, in, w->options, codes, scales, zeros);
    st = add_packed(w, name, out, in, codes, scales, zeros); /* takes scales */
    scales = NULL;

fail:
    rt_free(values);
    rt_free(codes);
    rt_free(zeros);
    rt_free(scales);
    return st;
}

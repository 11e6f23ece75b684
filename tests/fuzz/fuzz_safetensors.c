/* Any bytes as a safetensors file: refused with a message, or every tensor can be read to
 * its last element and found by its name. An odd first byte frames the rest. */
#include "runtime/format/safetensors.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct fmt_safetensors *file)
{
    unsigned sum = 0;
    for (uint32_t i = 0; i < file->count; i++) {
        const struct fmt_tensor *t = &file->tensors[i];
        if (fmt_safetensors_find(file, t->name) != t)
            abort();
        for (uint64_t k = 0; k < t->size; k++)
            sum += t->data[k];
        if (fmt_dtype_is_float(t->dtype))
            for (uint64_t k = 0; k < t->count; k++) {
                float value;
                fmt_tensor_floats(t, k, 1, &value);
                sum += value > 0;
            }
    }
    if (sum == 1u << 31) /* so that the reads are not optimised away */
        fputs("", stderr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    const int framed = size > 0 && data[0] & 1;
    const char *path = fuzz_file("file", data + framed, size - (size_t)framed, framed);
    const rt_status st = fmt_safetensors_open(&ctx, path, &file);
    if (st == RT_OK)
        read_all(&file);
    else if (st != RT_ERR_INPUT || !ctx.message[0])
        abort();
    fmt_safetensors_close(&file);
    return 0;
}

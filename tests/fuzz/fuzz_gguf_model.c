/* Any bytes as a GGUF model: refused with a message, or its config can be made, and every
 * tensor that has a Hugging Face name is found by it. */
#include "runtime/format/gguf_model.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_names(const struct fmt_gguf *file)
{
    char hf[FMT_GGUF_NAME_MAX], name[FMT_GGUF_NAME_MAX];
    for (uint32_t i = 0; i < file->tensor_count; i++)
        if (fmt_gguf_hf_name(file->tensors[i].name, hf) &&
            (!fmt_gguf_name(hf, name) || strcmp(name, file->tensors[i].name) != 0))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_gguf file;
    struct fmt_config config;
    rt_status st = fmt_gguf_open(&ctx, fuzz_file("file", data, size, 0), &file);
    if (st == RT_OK) {
        check_names(&file);
        st = fmt_gguf_config(&file, &config);
    }
    if (st != RT_OK && (st != RT_ERR_INPUT || !ctx.message[0]))
        abort();
    fmt_gguf_close(&file);
    return 0;
}

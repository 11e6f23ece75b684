/* Any bytes as a tokenizer.model: refused with a message, or texts can be encoded and
 * decoded. The first byte says how many of the last bytes are a text. */
#include "tests/fuzz/fuzz_folder.h"
#include "tests/fuzz/fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct text_tokenizer *tok;
    if (size == 0 || data[0] > size - 1)
        return 0;
    const size_t text_size = data[0], model_size = size - 1 - text_size;
    fuzz_file("tokenizer.model", data + 1, model_size, 0);
    const rt_status st = text_tokenizer_load(&ctx, fuzz_folder(), &tok);
    if (st != RT_OK && (st != RT_ERR_INPUT || !ctx.message[0]))
        abort();
    if (st == RT_OK)
        fuzz_text(tok, (const char *)data + 1 + model_size, text_size);
    text_tokenizer_destroy(&tok);
    return 0;
}

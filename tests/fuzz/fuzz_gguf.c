/* Any bytes as a GGUF file: refused with a message, or all of it can be read. */
#include "tests/fuzz/fuzz_gguf_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_gguf_read(fuzz_file("file", data, size, 0));
    return 0;
}

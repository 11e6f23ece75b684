/* Any bytes as a GGUF file of two parts: four bytes (little endian) say where the second
 * begins. Refused with a message, or all of both can be read. */
#include "tests/fuzz/fuzz_gguf_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    const uint32_t said = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
                          (uint32_t)data[3] << 24;
    const size_t first = said < size - 4 ? said : size - 4;
    fuzz_file("m-00002-of-00002.gguf", data + 4 + first, size - 4 - first, 0);
    fuzz_gguf_read(fuzz_file("m-00001-of-00002.gguf", data + 4, first, 0));
    return 0;
}

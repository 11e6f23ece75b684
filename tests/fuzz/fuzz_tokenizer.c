/* The tokenizer against foreign bytes. The input is a tokenizer.json, a zero byte, and a
 * text; without a zero byte all of it is text for a small tokenizer made here. What was
 * encoded must decode again without harm. */
#include "runtime/text/tokenizer.h"
#include "tests/fuzz/fuzz_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char small[] =
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3},"
    "\"merges\":[\"a b\"]},\"added_tokens\":[{\"id\":4,\"content\":\"<|x|>\","
    "\"special\":true}]}";

static char folder[] = "/tmp/faultline-fuzz-XXXXXX";
static char path[sizeof folder + 16];

static void clean(void)
{
    remove(path);
    rmdir(folder);
}

static struct text_tokenizer *load(const void *json, size_t size)
{
    static struct rt_ctx kept; /* a tokenizer may keep its context */
    struct text_tokenizer *tok = NULL;
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(json, 1, size, file) != size || fclose(file) != 0)
        abort();
    kept = (struct rt_ctx){ 0 };
    if (text_tokenizer_load(&kept, folder, &tok) != RT_OK && kept.message[0] == '\0')
        abort(); /* a failure always says why */
    return tok;
}

static void set_up(void)
{
    if (!mkdtemp(folder) || atexit(clean) != 0)
        abort();
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    const size_t json_size = zero ? (size_t)(zero - data) : 0;
    const char *text = zero ? (const char *)zero + 1 : (const char *)data;
    const size_t text_size = zero ? size - json_size - 1 : size;
    if (!path[0])
        set_up();
    struct text_tokenizer *tok =
        zero ? load(data, json_size) : load(small, sizeof small - 1);
    if (!tok)
        return 0;
    fuzz_text(tok, text, text_size);
    text_tokenizer_destroy(&tok);
    return 0;
}

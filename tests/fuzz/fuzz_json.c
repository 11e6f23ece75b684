/* Any text as JSON of others: an error with a message, or a value that is written and read
 * again as the same, odd numbers included. */
#include "runtime/base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    json_error_t error;
    json_t *value = fmt_json_parse(&ctx, (const char *)data, size,
                                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value) {
        if (!error.text[0])
            abort();
        return 0;
    }
    char *text = fmt_json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text) {
        json_t *again = fmt_json_parse(&ctx, text, strlen(text),
                                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        if (!again || !json_equal(value, again))
            abort();
        json_decref(again);
    }
    rt_free(text);
    json_decref(value);
    return 0;
}

/* Any bytes as a record of statistics: refused with a message, or computed. */
#include "pipeline/stats/stats_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    json_t *record = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    /* large counts are slow, not wrong: keep the fuzzer quick */
    const char *key;
    json_t *value;
    json_object_foreach(record, key, value) if (json_is_integer(value) &&
                                                json_integer_value(value) > 2000)
        json_integer_set(value, json_integer_value(value) % 2000);
    if (record && pipe_stats_record(&ctx, "fuzz", record) != RT_OK && !ctx.message[0])
        abort();
    json_decref(record);
    return 0;
}

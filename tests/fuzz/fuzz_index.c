/* Any text as model.safetensors.index.json beside two shards, "a" and "b" (its bytes after
 * the first 0 are those of "b"): refused with a message, or every tensor that the index
 * names can be found or is refused to those who need it. */
#include "runtime/format/safetensors.h"
#include "tests/fuzz/fuzz_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char shard[] =
        "{\"t\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}\0\1";
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    json_error_t error;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t text = end ? (size_t)(end - data) : size;
    fuzz_file("model.safetensors.index.json", data, text, 0);
    /* framed: the header ends at the 0, which is the first byte of data; one is enough */
    fuzz_file("a", (const uint8_t *)shard, sizeof shard - 2, 1);
    fuzz_file("b", end ? end + 1 : data, end ? size - text - 1 : 0, 1);
    const rt_status st = fmt_safetensors_open_folder(&ctx, fuzz_folder(), &file);
    if (st == RT_OK) {
        json_t *index = fmt_json_parse(&ctx, (const char *)data, text, 0, &error), *value;
        const char *name;
        json_object_foreach(json_object_get(index, "weight_map"), name, value)
        {
            if (!fmt_safetensors_find(&file, name) &&
                fmt_safetensors_needs(&ctx, "folder", &file, name) != RT_ERR_INPUT)
                abort();
        }
        json_decref(index);
    } else if (st != RT_ERR_INPUT || !ctx.message[0]) {
        abort();
    }
    fmt_safetensors_close(&file);
    return 0;
}

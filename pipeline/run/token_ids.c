/* pipeline/run/token_ids.c
 * Reads token ids: numbers with commas, and JSON arrays. */
#include "pipeline/run/token_ids.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

rt_status pipe_ids_parse(struct rt_ctx *ctx, const char *option, const char *text,
                         uint32_t **out, uint32_t *count)
{
    uint32_t *ids = rt_alloc(ctx, strlen(text) / 2 + 1, sizeof *ids);
    uint32_t n = 0;
    *count = 0;
    *out = ids;
    if (!ids)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the ids");
    for (const char *c = text; *c;) {
        char *end;
        const unsigned long id = strtoul(c, &end, 10);
        if (end == c || (*end && *end != ',') || id > UINT32_MAX)
            return rt_fail(ctx, RT_ERR_USAGE,
                           "%s %.60s: whole numbers with commas are needed, as in 1,2,3",
                           option, text);
        ids[n++] = (uint32_t)id;
        c = *end ? end + 1 : end;
    }
    *count = n;
    return n ? RT_OK : rt_fail(ctx, RT_ERR_USAGE, "%s is empty", option);
}

rt_status pipe_ids_read(struct rt_ctx *ctx, const char *line, unsigned number,
                        uint32_t vocab, uint32_t **out, uint32_t *count)
{
    json_t *array = json_loads(line, 0, NULL);
    const size_t n = json_array_size(array);
    uint32_t *ids = rt_alloc(ctx, n, sizeof *ids);
    rt_status st = RT_OK;
    *out = ids;
    *count = (uint32_t)n;
    if (!json_is_array(array) || !ids)
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "standard input, line %u is not a JSON array of ids; write [1,2,3]",
                     number);
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        const json_t *value = json_array_get(array, i);
        const json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > UINT32_MAX)
            st = rt_fail(
                ctx, RT_ERR_INPUT,
                "standard input, line %u: element %zu of the array is no id; write "
                "[1,2,3]",
                number, i + 1);
        else if (id >= vocab)
            st = rt_fail(ctx, RT_ERR_INPUT,
                         "standard input, line %u: the tokenizer has no id %lld, only 0 "
                         "to %u",
                         number, (long long)id, vocab - 1);
        ids[i] = (uint32_t)id;
    }
    json_decref(array);
    return st;
}

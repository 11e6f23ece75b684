/* Any text as a chat template, behind a zero byte the caller's variables as JSON: refused with
 * a message, or rendered within the limits to valid UTF-8. */
#include "runtime/base/utf8.h"
#include "runtime/text/jinja.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *variables_of(const uint8_t *data, size_t size)
{
    static const char usual[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\" Be brief. "
        "\"},{\"role\":\"user\","
        "\"content\":\"2+3? "
        "\u00dc\"},{\"role\":\"assistant\",\"content\":\"<think>x</think>5\"}],"
        "\"tools\":null,\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"n\":7,\"f\":2.5,"
        "\"add_generation_prompt\":true,\"s\":\"Hello\",\"l\":[3,1,2],\"d\":{\"a\":1,"
        "\"b\":[1]}}";
    json_t *given = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
    if (json_is_object(given))
        return given;
    json_decref(given);
    return json_loads(usual, 0, NULL);
}

static void render(const struct text_jinja *t, const json_t *variables)
{
    static const struct text_jinja_limits limits = {
        .steps = 100000, .value_bytes = 4 << 20, .output_bytes = 1 << 20, .depth = 200
    };
    struct rt_ctx ctx = { 0 };
    enum text_jinja_outcome outcome;
    char *text;
    size_t size, bad;
    const rt_status st =
        text_jinja_render(&ctx, t, variables, 19782, &limits, &outcome, &text, &size);
    if (st != RT_OK) {
        if (st != RT_ERR_INPUT || outcome == TEXT_JINJA_RENDERED || text || size ||
            !ctx.message[0])
            abort();
        return;
    }
    if (outcome != TEXT_JINJA_RENDERED || !text || text[size] != 0 || size > 1 << 20)
        abort();
    for (size_t i = 0; i < size;) {
        const size_t good = utf8_character((const uint8_t *)text + i, size - i, &bad);
        if (!good)
            abort();
        i += good;
    }
    rt_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct text_jinja *t;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t length = end ? (size_t)(end - data) : size;
    const rt_status st = text_jinja_compile(&ctx, "fuzz", (const char *)data, length, &t);
    if (st != RT_OK) {
        if (st != RT_ERR_INPUT || t || !ctx.message[0])
            abort();
        return 0;
    }
    json_t *variables =
        variables_of(data + length + (end != NULL), size - length - (end != NULL));
    render(t, variables);
    json_decref(variables);
    text_jinja_free(t);
    return 0;
}

/* Any text as tokenizer_config.json (or, behind a first 0 byte, as chat_template.jinja):
 * refused with a message, or a chat format that can be rendered. */
#include "runtime/text/chat.h"
#include "tests/fuzz/fuzz_folder.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chat_message talk[] = { { CHAT_USER, "hello" } };
    struct rt_ctx ctx = { 0 };
    const struct chat_format *format;
    char *text = NULL;
    const int is_template = size && data[0] == 0;
    if (is_template)
        fuzz_file("chat_template.jinja", data + 1, size - 1, 0);
    else
        fuzz_file("tokenizer_config.json", data, size, 0);
    const rt_status st = text_chat_pick(&ctx, fuzz_folder(), NULL, &format);
    if (st != RT_OK ? st != RT_ERR_INPUT || !ctx.message[0]
                    : text_chat_render(&ctx, format, talk, 1, true, &text) != RT_OK)
        abort();
    rt_free(text);
    if (is_template)
        unlink(fuzz_file("chat_template.jinja", NULL, 0, 0));
    return 0;
}

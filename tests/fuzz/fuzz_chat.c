/* Any text as tokenizer_config.json (or, behind a first 0 byte, as chat_template.jinja):
 * refused with a message, or a chat that can be rendered, or refuses these messages. */
#include "runtime/text/chat.h"
#include "runtime/text/tokenizer_impl.h"
#include "tests/fuzz/fuzz_folder.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct rt_ctx *ctx, rt_status st)
{
    if (st != RT_OK && (st != RT_ERR_INPUT || !ctx->message[0]))
        abort();
}

static void render(struct rt_ctx *ctx, struct text_chat *chat)
{
    static const struct chat_message talk[] = { { CHAT_SYSTEM, "Be brief." },
                                                { CHAT_USER, "hello" },
                                                { CHAT_ASSISTANT, "a</think>\n b" },
                                                { CHAT_USER, "\xff{{ 1 }}" } };
    static const struct text_tokenizer no_tokens;
    char *text = NULL;
    const rt_status st = text_chat_render(chat, talk, 4, &text);
    check(ctx, st);
    if ((st == RT_OK) != (text != NULL) || strlen(text_chat_hash(chat)) != 64)
        abort();
    /* Without added tokens an end is a text: short, and more than white space. */
    struct text_chat_end end;
    text_chat_end(chat, &no_tokens, &end);
    if (end.count || strlen(end.text) > CHAT_END_TEXT_MAX ||
        (end.text[0] && strspn(end.text, " \t\n\v\f\r") == strlen(end.text)))
        abort();
    rt_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_ctx ctx = { 0 };
    struct text_chat *chat = NULL;
    const int is_template = size && data[0] == 0;
    if (is_template)
        fuzz_file("chat_template.jinja", data + 1, size - 1, 0);
    else
        fuzz_file("tokenizer_config.json", data, size, 0);
    const struct text_chat_options o = { .model = fuzz_folder() };
    const rt_status st = text_chat_create(&ctx, &o, &chat);
    check(&ctx, st);
    if (chat)
        render(&ctx, chat);
    text_chat_destroy(&chat);
    if (is_template)
        unlink(fuzz_file("chat_template.jinja", NULL, 0, 0));
    return 0;
}

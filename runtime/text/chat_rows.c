/* runtime/text/chat_rows.c
 * The table of chat formats, and the text of a conversation by a row of it. */
#include "runtime/text/chat_rows.h"

#include <stdio.h>
#include <string.h>

#define CHATML                                                                  \
    .system_before = "<|im_start|>system\n", .system_after = "<|im_end|>\n",    \
    .user_before = "<|im_start|>user\n", .user_after = "<|im_end|>\n",          \
    .answer_before = "<|im_start|>assistant\n", .answer_after = "<|im_end|>\n", \
    .answer_start = "<|im_start|>assistant\n", .start = ""

static const struct chat_format formats[] = {
    { .name = "chatml",
      .summary = "ChatML without a system text of its own (SmolLM, Qwen's form)",
      CHATML },
    { .name = "qwen2",
      .summary = "ChatML, 'You are a helpful assistant.'",
      .system_default = "You are a helpful assistant.",
      CHATML },
    { .name = "qwen2.5",
      .summary = "ChatML, 'You are Qwen, created by Alibaba Cloud. ...'",
      .system_default =
          "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
      CHATML },
    { .name = "qwen3",
      .summary = "ChatML with a switch for thinking",
      .thinking_off = "<think>\n\n</think>\n\n",
      CHATML },
    { .name = "smollm2",
      .summary = "ChatML, 'You are a helpful AI assistant named SmolLM, ...'",
      .system_default =
          "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
      CHATML },
    { .name = "llama-2",
      .summary = "[INST] with <<SYS>>",
      .start = "",
      .system_before = "<<SYS>>\n",
      .system_after = "\n<</SYS>>\n\n",
      .system_in_user = true,
      .user_before = "<s>[INST] ",
      .user_after = " [/INST]",
      .answer_before = " ",
      .answer_after = " </s>",
      .answer_start = "",
      .trimmed = true },
    { .name = "mistral",
      .summary = "[INST] without a system text",
      .start = "<s>",
      .user_before = "[INST] ",
      .user_after = " [/INST]",
      .answer_before = "",
      .answer_after = "</s>",
      .answer_start = "" },
    { .name = "llama-3",
      .summary = "headers, without a date (3.0)",
      .start = "<|begin_of_text|>",
      .system_before = "<|start_header_id|>system<|end_header_id|>\n\n",
      .system_after = "<|eot_id|>",
      .user_before = "<|start_header_id|>user<|end_header_id|>\n\n",
      .user_after = "<|eot_id|>",
      .answer_before = "<|start_header_id|>assistant<|end_header_id|>\n\n",
      .answer_after = "<|eot_id|>",
      .answer_start = "<|start_header_id|>assistant<|end_header_id|>\n\n",
      .trimmed = true },
    { .name = "plain",
      .summary = "contents one after the other, nothing else",
      .start = "",
      .system_before = "",
      .system_after = "",
      .user_before = "",
      .user_after = "",
      .answer_before = "",
      .answer_after = "",
      .answer_start = "" },
};

const struct chat_format *text_chat_row_find(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

const char *text_chat_choices(char buffer[CHAT_CHOICES_MAX])
{
    buffer[0] = '\0';
    for (size_t i = 0; i < RT_COUNT(formats); i++)
        snprintf(buffer + strlen(buffer), CHAT_CHOICES_MAX - strlen(buffer), "%s%s",
                 i ? ", " : "", formats[i].name);
    return buffer;
}

/* ---- rendering ---- */

/* Counts first, then writes: `at` is null in the first pass. */
struct writer {
    char *at;
    size_t size;
};

static void put(struct writer *w, const char *text, size_t size)
{
    if (w->at)
        memcpy(w->at + w->size, text, size);
    w->size += size;
}

static void put_turn(struct writer *w, const char *before, const char *content,
                     const char *after, bool trimmed)
{
    static const char white[] = " \t\n\v\f\r";
    size_t size = strlen(content);
    if (trimmed) {
        const size_t skip = strspn(content, white);
        content += skip;
        size -= skip;
        while (size && strchr(white, content[size - 1]))
            size--;
    }
    put(w, before, strlen(before));
    put(w, content, size);
    put(w, after, strlen(after));
}

/* An earlier answer without its reasoning, where the format has a switch for it. */
static const char *spoken(const struct chat_format *f, const char *content)
{
    static const char end[] = "</think>";
    for (const char *p; f->thinking_off && (p = strstr(content, end));)
        content = p + sizeof end - 1 + strspn(p + sizeof end - 1, "\n");
    return content;
}

static void write_all(struct writer *w, const struct chat_format *f, const char *system,
                      const struct chat_message *turns, uint32_t count, bool thinking)
{
    put(w, f->start, strlen(f->start));
    if (system && !f->system_in_user)
        put_turn(w, f->system_before, system, f->system_after, f->trimmed);
    for (uint32_t i = 0; i < count; i++) {
        const bool user = turns[i].role == CHAT_USER;
        if (!user) {
            put_turn(w, f->answer_before, spoken(f, turns[i].content), f->answer_after,
                     f->trimmed);
            continue;
        }
        put(w, f->user_before, strlen(f->user_before));
        if (i == 0 && system && f->system_in_user)
            put_turn(w, f->system_before, system, f->system_after, false);
        put_turn(w, "", turns[i].content, f->user_after, f->trimmed);
    }
    put(w, f->answer_start, strlen(f->answer_start));
    if (!thinking && f->thinking_off)
        put(w, f->thinking_off, strlen(f->thinking_off));
}

char *text_chat_row_render(struct rt_ctx *ctx, const struct chat_format *row,
                           const char *system, const struct chat_message *turns,
                           uint32_t count, bool thinking)
{
    struct writer w = { 0 };
    system = system ? system : row->system_default;
    write_all(&w, row, system, turns, count, thinking);
    char *out = rt_alloc(ctx, w.size + 1, 1);
    w = (struct writer){ .at = out };
    if (out)
        write_all(&w, row, system, turns, count, thinking);
    return out;
}

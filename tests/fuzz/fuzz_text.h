/* tests/fuzz/fuzz_text.h
 * What any tokenizer must hold to, whatever it was made of. */
#ifndef TESTS_FUZZ_FUZZ_TEXT_H
#define TESTS_FUZZ_FUZZ_TEXT_H

#include "runtime/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* Decodes at once and as a stream, which must give the same but for bad sequences. */
static inline void fuzz_decode(const struct text_tokenizer *tok, const uint32_t *ids,
                               uint32_t count, bool skip_special)
{
    struct text_stream stream;
    char *all = NULL, *part = NULL;
    size_t size, part_size, streamed = 0;
    if (text_decode(tok, ids, count, skip_special, &all, &size) != RT_OK)
        abort();
    if (text_whole_characters(all, size) > size)
        abort();
    text_stream_init(&stream, tok, skip_special);
    for (uint32_t i = 0; i < count; i++) {
        if (text_stream_push(&stream, ids + i, 1, &part, &part_size) != RT_OK ||
            stream.pending_size > 3)
            abort();
        streamed += part_size;
        rt_free(part);
    }
    if (text_stream_end(&stream, &part, &part_size) != RT_OK)
        abort();
    streamed += part_size;
    rt_free(part);
    if (streamed < size / 4 || streamed > 3 * size)
        abort();
    rt_free(all);
}

static inline void fuzz_text(struct text_tokenizer *tok, const char *text, size_t size)
{
    for (int special = 0; special < 2; special++) {
        uint32_t *ids = NULL, count = 0;
        if (text_encode(tok, text, size, special != 0, &ids, &count) != RT_OK)
            continue;
        for (uint32_t i = 0; i < count; i++)
            if (ids[i] >= text_vocab_size(tok))
                abort();
        fuzz_decode(tok, ids, count, special != 0);
        rt_free(ids);
    }
}

#endif

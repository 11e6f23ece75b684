#include "tests/support/giant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void test_giant(const struct test_folder *folder)
{
    static const char *const norms[] = { "model.norm", "model.layers.0.input_layernorm",
                                         "model.layers.0.post_attention_layernorm" };
    static const struct {
        const char *name;
        uint64_t rows, cols;
    } matrices[] = {
        { "model.embed_tokens", 1u << 20, 1u << 16 },
        { "model.layers.0.self_attn.q_proj", 1u << 16, 1u << 16 },
        { "model.layers.0.self_attn.k_proj", 1u << 16, 1u << 16 },
        { "model.layers.0.self_attn.v_proj", 1u << 16, 1u << 16 },
        { "model.layers.0.self_attn.o_proj", 1u << 16, 1u << 16 },
        { "model.layers.0.mlp.gate_proj", 1u << 18, 1u << 16 },
        { "model.layers.0.mlp.up_proj", 1u << 18, 1u << 16 },
        { "model.layers.0.mlp.down_proj", 1u << 16, 1u << 18 },
    };
    static const char config[] =
        "{\"model_type\": \"llama\", \"hidden_size\": 65536, \"intermediate_size\": "
        "262144, \"num_hidden_layers\": 1, \"num_attention_heads\": 1024, "
        "\"vocab_size\": "
        "1048576, \"tie_word_embeddings\": true, \"max_position_embeddings\": 64}";
    char header[4096] = "{";
    uint64_t at = 0;
    for (size_t i = 0; i < RT_COUNT(matrices) + RT_COUNT(norms); i++) {
        const bool matrix = i < RT_COUNT(matrices);
        const uint64_t rows = matrix ? matrices[i].rows : 1u << 16;
        const uint64_t count = rows * (matrix ? matrices[i].cols : 1);
        const size_t used = strlen(header);
        snprintf(header + used, sizeof header - used,
                 "%s\"%s.weight\":{\"dtype\":\"F32\",\"shape\":[%llu%s],"
                 "\"data_offsets\":[%llu,%llu]}",
                 i ? "," : "", matrix ? matrices[i].name : norms[i - RT_COUNT(matrices)],
                 (unsigned long long)rows,
                 !matrix                        ? ""
                 : matrices[i].cols == 1u << 16 ? ",65536"
                                                : ",262144",
                 (unsigned long long)at, (unsigned long long)(at + 4 * count));
        at += 4 * count;
    }
    const size_t used = strlen(header);
    snprintf(header + used, sizeof header - used, "}");
    test_file_write(test_folder_file(folder, "config.json"), config, strlen(config));
    const char *path = test_folder_file(folder, "model.safetensors");
    test_file_safetensors(path, header, NULL, 0);
    if (truncate(path, (off_t)(8 + strlen(header) + at)) != 0) {
        print_message("this file system has no files of %llu bytes\n",
                      (unsigned long long)at);
        skip();
    }
}

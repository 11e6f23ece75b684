/* Any bytes as a plan of types per tensor: refused with a message, or every type that it
 * gives fits the rows. */
#include "runtime/quant/gguf_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "token_embd.weight", "blk.0.attn_q.weight",
                                         "blk.0.ffn_down.weight", "output_norm.weight" };
    static const uint64_t columns[] = { 896, 512, 40, 896 };
    struct rt_ctx ctx = { 0 };
    struct quant_gguf_row rows[RT_COUNT(names)] = { 0 };
    const struct quant_gguf_sizes sizes = { 8, 4, 1, true, false };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        rows[i].columns = columns[i];
        rows[i].rows = 8;
        rows[i].is_matrix = i < 3;
        rows[i].is_kept = i == 3;
        snprintf(rows[i].name, sizeof rows[i].name, "%s", names[i]);
    }
    if (quant_gguf_plan(&ctx, quant_gguf_mix_find("Q4_K_M"), NULL, &sizes, rows,
                        RT_COUNT(names)) != RT_OK)
        abort();
    const rt_status st = quant_gguf_plan_lines(&ctx, "fuzz", (const char *)data, size,
                                               rows, RT_COUNT(names));
    if (st != RT_OK && !ctx.message[0])
        abort();
    for (size_t i = 0; i < 3; i++)
        if (rows[i].columns % rows[i].type->block != 0 || !quant_blocks_can(rows[i].type))
            abort();
    return 0;
}

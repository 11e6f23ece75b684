/* runtime/quant/gguf_plan.h
 * Which type each tensor of a GGUF file gets: by a mix of llama.cpp's names (Q4_K_M), by
 * the lines of a plan file, and by what its rows divide by.
 *
 * A plan file is text: a line "TENSOR TYPE" per tensor, '#' starts a comment. TENSOR is the
 * file's own name ("blk.3.ffn_down.weight") or a pattern of the shell with * ? [a-z]; of
 * lines that fit a tensor the last counts, and what no line fits gets the mix's type. */
#ifndef RUNTIME_QUANT_GGUF_PLAN_H
#define RUNTIME_QUANT_GGUF_PLAN_H

#include "runtime/quant/blocks.h"

enum { QUANT_GGUF_NAME_MAX = 65, QUANT_PLAN_BYTES_MAX = 1 << 24 };

struct quant_gguf_mix;

/* By its name, whatever its case ("Q4_K" is Q4_K_M); null: there is none. */
const struct quant_gguf_mix *quant_gguf_mix_find(const char *name);
const char *quant_gguf_mix_name(const struct quant_gguf_mix *mix);
/* Its number in general.file_type. */
uint32_t quant_gguf_mix_number(const struct quant_gguf_mix *mix);
/* Whether matrices get codes, which can be rounded in several ways. */
bool quant_gguf_mix_has_codes(const struct quant_gguf_mix *mix);
/* "Q2_K, Q3_K_S, ...": all of them. */
const char *quant_gguf_mix_names(char *buffer, size_t size);

struct quant_gguf_row {
    char name[QUANT_GGUF_NAME_MAX]; /* in the file */
    uint64_t columns, rows;         /* rows 1 and is_matrix false: one dimension */
    bool is_matrix;
    bool is_kept;                        /* no weight of a product: not quantized */
    const struct fmt_block_type *wanted; /* by mix or plan */
    const struct fmt_block_type *type;   /* what its rows can be: differs by fallback */
};

/* What the mixes look at. */
struct quant_gguf_sizes {
    uint32_t layers, heads, kv_heads;
    bool is_tied;       /* the file has no output.weight */
    bool is_calibrated; /* there is importance */
};

/* Fills wanted and type of matrices that are not kept; of what is kept they stay. `plan`: a
 * file, NULL: none. RT_ERR_INPUT names line and reason: a tensor that is not there or is
 * none to be quantized, a type that is not known. */
RT_CHECKED rt_status quant_gguf_plan(struct rt_ctx *ctx, const struct quant_gguf_mix *mix,
                                     const char *plan,
                                     const struct quant_gguf_sizes *sizes,
                                     struct quant_gguf_row *rows, uint32_t count);
/* The same lines from memory; `path` is for messages. They come after the mix. */
RT_CHECKED rt_status quant_gguf_plan_lines(struct rt_ctx *ctx, const char *path,
                                           const char *text, size_t size,
                                           struct quant_gguf_row *rows, uint32_t count);
/* Writes a plan that gives each tensor the type that it has. */
RT_CHECKED rt_status quant_gguf_plan_write(struct rt_ctx *ctx, const char *path,
                                           const struct quant_gguf_mix *mix,
                                           const struct quant_gguf_row *rows,
                                           uint32_t count);

#endif

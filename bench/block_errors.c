/* bench/block_errors.c
 * Our blocks of GGUF types beside ggml's, on synthetic rows: weighted error of both, and
 * processor time. Needs libggml-base (of llama.cpp), which is loaded at run time:
 *
 *     block_errors [libggml-base.so.0] [TYPE]
 *
 * Rows are of Student's t with five degrees of freedom (heavy tails), deviations of rows
 * log-normal, every 131st column six times as large. Importance is log-normal, every 97th
 * column 300 times as large. Errors are sum w (x - y)^2 with w that importance, or 1. */
#include "runtime/base/philox.h"
#include "runtime/quant/blocks.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 256, COLUMNS = 1024 };

typedef size_t quantize_fn(int type, const float *from, void *to, int64_t start,
                           int64_t rows, int64_t columns, const float *importance);

static float x[ROWS][COLUMNS], w[COLUMNS], y[COLUMNS];
static uint8_t bytes[sizeof x];

static double uniform(uint32_t i, uint32_t seed)
{
    return ((double)philox_word(i, 0, 0, 0, seed, 1) + 0.5) / 4294967296.0;
}

static double normal(uint32_t i, uint32_t seed)
{
    return sqrt(-2 * log(uniform(i, seed))) *
           cos(6.283185307179586 * uniform(i, seed + 1000));
}

static void make_rows(void)
{
    for (uint32_t c = 0; c < COLUMNS; c++)
        w[c] = (float)(exp(1.2 * normal(c, 1)) * (c % 97 == 5 ? 300 : 1));
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint32_t c = 0; c < COLUMNS; c++) {
            const uint32_t i = r * COLUMNS + c;
            double square = 0;
            for (uint32_t k = 0; k < 5; k++)
                square += pow(normal(i, 10 + k), 2);
            x[r][c] = (float)(0.02 * exp(0.3 * normal(r, 2)) * normal(i, 3) /
                              sqrt(square / 5) * (c % 131 == 7 ? 6 : 1));
        }
}

static double error_of(const struct fmt_block_type *type, const float *importance)
{
    double sum = 0;
    const size_t row_bytes = COLUMNS / type->block * type->bytes;
    for (uint32_t r = 0; r < ROWS; r++) {
        fmt_block_floats(type, bytes + r * row_bytes, COLUMNS / type->block, 1, y);
        for (uint32_t c = 0; c < COLUMNS; c++)
            sum += (importance ? (double)importance[c] : 1) *
                   pow((double)x[r][c] - (double)y[c], 2);
    }
    return sum;
}

static double ns_since(clock_t start)
{
    return 1e9 * (double)(clock() - start) / CLOCKS_PER_SEC / ROWS / COLUMNS;
}

static void compare(const struct fmt_block_type *type, quantize_fn *theirs,
                    const float *importance)
{
    bool good = true;
    clock_t start = clock();
    const size_t row_bytes = COLUMNS / type->block * type->bytes;
    for (uint32_t r = 0; r < ROWS; r++)
        good &= quant_blocks_row(type, x[r], importance, COLUMNS, false,
                                 bytes + r * row_bytes);
    const double ns = ns_since(start), ours = error_of(type, importance);
    start = clock();
    theirs((int)type->id, x[0], bytes, 0, ROWS, COLUMNS, importance);
    const double their_ns = ns_since(start), other = error_of(type, importance);
    printf(
        "%-6s %-10s ours %.5e, ggml %.5e, ratio %.4f; ns per weight %.0f, ggml %.0f%s\n",
        type->name, importance ? "importance" : "none", ours, other, ours / other, ns,
        their_ns, good ? "" : " (a value was too large)");
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "Q8_0",   "Q6_K",   "Q5_K", "Q5_1",
                                         "Q5_0",   "Q4_K",   "Q4_1", "Q4_0",
                                         "IQ4_NL", "IQ4_XS", "Q3_K", "Q2_K" };
    void *library = dlopen(argc > 1 ? argv[1] : "libggml-base.so.0", RTLD_NOW);
    quantize_fn *theirs = NULL;
    void *symbol = library ? dlsym(library, "ggml_quantize_chunk") : NULL;
    if (!symbol) {
        fprintf(stderr, "block_errors: %s\n", dlerror());
        return 1;
    }
    memcpy(&theirs, &symbol, sizeof theirs);
    make_rows();
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (argc < 3 || strcmp(argv[2], names[i]) == 0)
            for (int k = 0; k < 2; k++)
                compare(quant_blocks_find(names[i]), theirs, k ? w : NULL);
    return 0;
}

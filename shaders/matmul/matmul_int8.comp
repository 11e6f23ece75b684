#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_EXT_integer_dot_product : require
#include "shaders/push.h"

/* y[row][m] = sum over blocks of 32 inputs of sx sw (sum_k xq q - zero sum_k xq), then LoRA,
 * bias and residual in floats (minimum form: sx (sw sum_k xq q + min sum_k xq)).
 * Codes of 8 bits are taken 128 lower: products of two signed bytes are what most GPUs have. Of levels those that
 * are whole numbers enter as these.
 *
 * Activations are rounded to 8 bits, a scale sx = max|x| / 127 for each row and 32 inputs
 * (this is what makes llama.cpp's quantized paths fast too); codes enter as they are, sums
 * of a block are whole numbers and exact. Blocks are added in order, so rows do not depend
 * on the batch. Weights of 2 to 8 bits, groups of 32 or more, or one a row.
 * Constants: lib/products.glsl.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs.
 * Twin    runtime/ref/ref_matmul.c, of activations rounded that way
 * Committed as shaders/spirv/matmul_int8.inc: bench/spirv.sh makes it. */

#include "shaders/lib/products.glsl"

const bool BYTES = BITS == 8;
const float LOWER = BYTES ? 128.0 : 0.0;
const bool MINIMUM = FORM == FORM_OFFSET_ || FORM == FORM_HALVES || FORM == FORM_K32;

shared int tile_w[TILE_M * 9];     /* [output][8 words of 4 codes], spread */
shared vec2 scale_w[TILE_M];       /* scale; zero or minimum */
shared int tile_x[TILE_N * 9];     /* [row][8 words of 4 values], spread */
shared vec2 scale_x[TILE_N];       /* scale; sum of the values */
shared float part_x[TILE_N * 8];   /* greatest magnitudes */

/* Codes and scale of outputs `tile0` on, inputs k .. k + 31. */
void stage_w(int id, int tile0, int k)
{
    const int k4 = int(p.in_pad) / 4;
    for (int i = id; i < TILE_M * 8; i += THREADS) {
        const int m = i % TILE_M, kk = i / TILE_M;
        uvec4 q = code4(tile0 + m, k / 4 + kk, k4, BITS);
        if (levels_of(FORM) != 0)
            q = uvec4(whole_levels(q, levels_of(FORM))) & 255u;
        const uint word = q.x | q.y << 8 | q.z << 16 | q.w << 24;
        tile_w[m * 9 + kk] = int(BYTES ? word ^ 0x80808080u : word);
    }
    for (int m = id; m < TILE_M; m += THREADS)
        scale_w[m] = scale2(tile0 + m, k / 4, k4, BITS, GROUP, FORM);
}

/* Activations of rows `row0` on, rounded. */
void stage_x(int id, int row0, int k)
{
    for (int i = id; i < TILE_N * 8; i += THREADS) {
        const vec4 v = abs(x_at(row0 + i / 8, k + 4 * (i % 8)));
        part_x[i] = max(max(v.x, v.y), max(v.z, v.w));
    }
    barrier();
    for (int row = id; row < TILE_N; row += THREADS) {
        float most = 0.0;
        for (int i = 0; i < 8; i++)
            most = max(most, part_x[8 * row + i]);
        scale_x[row] = vec2(most / 127.0, 0.0);
    }
    barrier();
    for (int i = id; i < TILE_N * 8; i += THREADS) {
        const float scale = scale_x[i / 8].x;
        const vec4 v = x_at(row0 + i / 8, k + 4 * (i % 8));
        const ivec4 q = scale > 0.0 ? ivec4(roundEven(v / scale)) : ivec4(0);
        const uvec4 w = uvec4(q) & 255u;
        tile_x[i / 8 * 9 + i % 8] = int(w.x | w.y << 8 | w.z << 16 | w.w << 24);
    }
    barrier();
    for (int row = id; row < TILE_N; row += THREADS) {
        int sum = 0;
        for (int i = 0; i < 8; i++)
            sum += dotPacked4x8EXT(tile_x[row * 9 + i], 0x01010101);
        scale_x[row].y = float(sum);
    }
}

/* An invocation has outputs id % 64 of rows id / 64, + 2, + 4 ... */
const int ROWS = TILE_N / 2;
float acc[ROWS];

void main()
{
    const int id = int(gl_LocalInvocationIndex), m = id % TILE_M, half_ = id / TILE_M;
    const int tile0 = int(gl_WorkGroupID.x) * TILE_M, row0 = int(gl_WorkGroupID.y) * TILE_N;
    for (int i = 0; i < ROWS; i++)
        acc[i] = 0.0;
    for (int k = 0; k < int(p.in_pad); k += STEP) {
        barrier(); /* the last step has been read */
        stage_w(id, tile0, k);
        stage_x(id, row0, k);
        barrier();
        int w[8];
        for (int i = 0; i < 8; i++)
            w[i] = tile_w[m * 9 + i];
        const vec2 sw = scale_w[m];
        for (int r = 0; r < ROWS; r++) {
            const int row = 2 * r + half_;
            int sum = 0;
            for (int i = 0; i < 8; i++)
                sum += dotPacked4x8EXT(w[i], tile_x[row * 9 + i]);
            const vec2 sx = scale_x[row];
            const float v = MINIMUM
                                ? fma(sw.x, float(sum) + LOWER * sx.y, sw.y * sx.y)
                                : sw.x * (float(sum) - (sw.y - LOWER) * sx.y);
            acc[r] = fma(sx.x, v, acc[r]);
        }
    }
    for (int r = 0; r < ROWS; r++)
        finish(row0 + 2 * r + half_, tile0 + m, acc[r]);
}

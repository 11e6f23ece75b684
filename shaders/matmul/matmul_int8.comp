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
 * A sum of whole numbers has no order: words of four codes hold what a mask takes out of a
 * word of the weight, and x is packed alike. A step of 32 inputs: an invocation unpacks 16
 * weights, rounds TILE_N / 4 of x, and multiplies TILE_N / 8 rows by four outputs, of which
 * it loads every word once (TILE_N / 4 + 8 loads of four words for 4 TILE_N dots).
 * Constants: lib/products.glsl.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs; bytes: the weight rows / TILE_N times, x out_pad / TILE_M
 *         times, y once. 5 KiB of shared memory.
 * Twin    runtime/ref/ref_matmul.c, of activations rounded that way
 * Committed as shaders/spirv/matmul_int8.inc: bench/spirv.sh makes it. */

#include "shaders/lib/products.glsl"

const bool BYTES = BITS == 8;
const int LOWER = BYTES ? 128 : 0;
const int KIND = FORM & 255; /* how scales are stored */
const bool MINIMUM = KIND == FORM_OFFSET_ || KIND == FORM_HALVES || KIND == FORM_K32;
/* The zero is the same for all groups: it is taken off the whole sum. */
const bool FIXED_ZERO = KIND > FORM_OFFSET_ && !MINIMUM && !GROUP_ZERO;
const int FIXED = (FORM > 255 ? 0 : 1 << BITS - 1) - LOWER;

const uint COLS = 4u, ACROSS = TILE_M / COLS, DOWN = THREADS / ACROSS; /* of invocations */
const int ROWS = TILE_N_ / 8; /* rows of an invocation */

shared ivec4 tile_w[2u * TILE_M];  /* [half][output]: 16 codes each */
shared ivec4 tile_x[2u * TILE_N];  /* [half][row] */
shared vec2 scale_w[TILE_M];       /* scale; zero or minimum */
shared float most_x[2u * TILE_N];  /* greatest magnitude of a half */
shared uvec2 of_x[2u * TILE_N];    /* [half][row]: scale (a float), sum of the values */

/* Which four inputs of 32 are byte i of the words of a half. */
uint inputs_of(uint half_, uint i) { return BYTES ? 4u * half_ + i : 2u * i + half_; }

/* Words of the codes of a half. */
ivec4 words_of(weight_run r, uint half_)
{
    if (BYTES)
        return ivec4((half_ == 0u ? r.low : r.next) ^ 0x80808080u);
    if (BITS == 4 && FORM < 256)
        return ivec4(r.low >> 4u * half_ & 0x0f0f0f0fu);
    uvec4 words = uvec4(0u);
    fast_skip(r, half_);
    [[unroll]] for (int i = 0; i < 4; i++) {
        uvec4 q = field(r.low, 2 * i * LOW_BITS, 0, LOW_BITS);
        if (HIGH_BITS != 0)
            q |= field(r.high, 2 * i * HIGH_BITS, LOW_BITS, HIGH_BITS);
        if (levels_of(FORM) != 0)
            q = uvec4(whole_levels(q, levels_of(FORM))) & 255u;
        words |= q << 8 * i;
    }
    return ivec4(words);
}

void stage_weight(fast_row w, uint j, uint col, uint half_)
{
    const weight_run r = fast_open(w, j);
    tile_w[half_ * TILE_M + col] = words_of(r, half_);
    if (half_ == 0u)
        scale_w[col] = r.scale.xy;
}

/* Greatest magnitude of 16 inputs, which stay in v. */
void open_x(uint from, uint row, uint half_, out vec4 v[4])
{
    [[unroll]] for (uint i = 0u; i < 4u; i++) v[i] = x[from + inputs_of(half_, i)];
    const vec4 most = max(max(abs(v[0]), abs(v[1])), max(abs(v[2]), abs(v[3])));
    most_x[half_ * TILE_N + row] = max(max(most.x, most.y), max(most.z, most.w));
}

/* These, rounded. The sum with 1.5 2^23 rounds to a whole number, ties to even, in the low
 * bits of the float. */
void stage_x(uint row, uint half_, vec4 v[4])
{
    const float scale = max(most_x[row], most_x[TILE_N + row]) / 127.0;
    uvec4 words = uvec4(0u);
    [[unroll]] for (int i = 0; i < 4; i++) {
        precise vec4 whole = v[i] / scale;
        whole += 12582912.0;
        words |= (floatBitsToUint(whole) & 255u) << 8 * i;
    }
    if (!(scale > 0.0))
        words = uvec4(0u);
    int sum = 0;
    [[unroll]] for (int c = 0; c < 4; c++) sum += dotPacked4x8EXT(int(words[c]), 0x01010101);
    tile_x[half_ * TILE_N + row] = ivec4(words);
    of_x[half_ * TILE_N + row] = uvec2(floatBitsToUint(scale), uint(sum));
}

float acc[ROWS][COLS];

void multiply(uint col, uint row)
{
    ivec4 w[2 * COLS];
    vec2 sw[COLS];
    [[unroll]] for (uint c = 0u; c < COLS; c++) {
        w[c] = tile_w[col + ACROSS * c];
        w[COLS + c] = tile_w[TILE_M + col + ACROSS * c];
        sw[c] = scale_w[col + ACROSS * c];
    }
    [[unroll]] for (int r = 0; r < ROWS; r++) {
        const uint at = row + DOWN * r;
        const ivec4 low = tile_x[at], high = tile_x[TILE_N + at];
        const float sx = uintBitsToFloat(of_x[at].x);
        const int taken = int(of_x[at].y + of_x[TILE_N + at].y);
        [[unroll]] for (uint c = 0u; c < COLS; c++) {
            int sum = FIXED_ZERO ? -FIXED * taken : 0;
            [[unroll]] for (int i = 0; i < 4; i++) sum += dotPacked4x8EXT(w[c][i], low[i]);
            [[unroll]] for (int i = 0; i < 4; i++) sum += dotPacked4x8EXT(w[COLS + c][i], high[i]);
            const float all = float(taken);
            float v = float(sum);
            if (MINIMUM)
                v = fma(sw[c].x, v + float(LOWER) * all, sw[c].y * all);
            else
                v = sw[c].x * (FIXED_ZERO ? v : v - (sw[c].y - float(LOWER)) * all);
            acc[r][c] = fma(sx, v, acc[r][c]);
        }
    }
}

/* Four numbers of the adapter at once, so that acc stays in registers. */
void add_adapter(uint m0, uint row0)
{
    const uint part = adapter_part(), r4 = p.rank / 4u;
    for (uint k = 0u; k < r4; k++) {
        vec4 w[COLS];
        [[unroll]] for (uint c = 0u; c < COLS; c++) {
            const uint m = m0 + ACROSS * c;
            w[c] = b[(m / 8u * r4 + k) * 8u + m % 8u];
        }
        [[unroll]] for (int r = 0; r < ROWS; r++) {
            const vec4 a = u[(row0 + DOWN * r) * p.ldu / 4u + part * r4 + k];
            [[unroll]] for (uint c = 0u; c < COLS; c++)
                [[unroll]] for (int e = 0; e < 4; e++) acc[r][c] = fma(a[e], w[c][e], acc[r][c]);
        }
    }
}

void main()
{
    const uint id = gl_LocalInvocationIndex;
    const uint tile0 = gl_WorkGroupID.x * TILE_M, row0 = gl_WorkGroupID.y * TILE_N;
    const uint w_col = id % TILE_M, w_half = id / TILE_M, x_row = id / 2u, x_half = id % 2u;
    const uint col = id % ACROSS, row = id / ACROSS;
    const bool has_x = 2u * TILE_N >= THREADS || x_row < TILE_N;
    const uint x0 = ((row0 + x_row) * p.ldx + p.offx) / 4u;
    const fast_row w = fast_row_of(tile0 + w_col, p.in_pad / 4u);
    [[unroll]] for (int r = 0; r < ROWS; r++)
        [[unroll]] for (uint c = 0u; c < COLS; c++) acc[r][c] = 0.0;
    for (uint k = 0u; k < p.in_pad; k += STEP) {
        vec4 v[4];
        barrier(); /* the last step has been read */
        stage_weight(w, k / STEP, w_col, w_half);
        if (has_x)
            open_x(x0 + k / 4u, x_row, x_half, v);
        barrier();
        if (has_x)
            stage_x(x_row, x_half, v);
        barrier();
        multiply(col, row);
    }
    if ((FLAGS & int(MATMUL_LORA)) != 0)
        add_adapter(tile0 + col, row0 + row);
    [[unroll]] for (int r = 0; r < ROWS; r++)
        [[unroll]] for (uint c = 0u; c < COLS; c++)
            put(row0 + row + DOWN * r, tile0 + col + ACROSS * c, acc[r][c]);
}

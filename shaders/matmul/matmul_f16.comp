#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#include "shaders/push.h"

/* y[row][m] = sum_k half(x[row][k]) half(w[m][k]), then LoRA, bias and residual in floats.
 *
 * Matrix units: inputs rounded to halves, products and sums in floats. An element of the
 * result is made of the same fragments of k, in order, whatever the tile and wherever it lies
 * in it; so rows do not depend on the batch. Magnitudes above 65,504 become infinite,
 * which the statistics of the logits count.
 * A step of 32 inputs: an invocation decodes 16 weights, as halves where scales are halves,
 * and rounds TILE_N / 4 of x; a subgroup then multiplies its FR by FC fragments of the
 * result, each of x loaded once for FC and each of w once for FR.
 * Constants LM, LN, LK, SUBGROUPS: a fragment of the device (rows, outputs, inputs) and
 *         subgroups of the workgroup; others in lib/products.glsl.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs; bytes: the weight rows / TILE_N times, x out_pad / TILE_M
 *         times, y once. 16 KiB of shared memory.
 * Twin    runtime/ref/ref_matmul.c, of operands rounded to halves
 * Committed as shaders/spirv/matmul_f16.inc: bench/spirv.sh makes it. */

#include "shaders/lib/products.glsl"
layout(constant_id = 15) const int LM = 16;
layout(constant_id = 16) const int LN = 16;
layout(constant_id = 17) const int LK = 16;
layout(constant_id = 18) const int SUBGROUPS = 4;

/* Fragments of the tile, of a subgroup, and how these lie. */
const int ACROSS = int(TILE_M) / LN, DOWN = int(TILE_N) / LM;
const int EACH = ACROSS * DOWN / SUBGROUPS;
const int PAIRED = 1 + (1 - DOWN % 2) * (1 - EACH % 2);
const int FR = DOWN / SUBGROUPS > PAIRED ? DOWN / SUBGROUPS : PAIRED, FC = EACH / FR;

/* Both operands, [output or row][input], eight halves a word of four; then the result,
 * [row][output], four floats a word. */
const uint SPREAD = STEP / 8u + 1u; /* fewer bank conflicts */
const uint INPUTS = (TILE_M + TILE_N) * SPREAD, OUTPUTS = TILE_N * TILE_M / 4u;
shared uvec4 memory[INPUTS > OUTPUTS ? INPUTS : OUTPUTS];

uvec2 halves_of(vec4 v)
{
    return uvec2(packFloat2x16(f16vec2(v.xy)), packFloat2x16(f16vec2(v.zw)));
}

/* Whether weights are made of codes and scales as halves: (M + q) - (M + zero) is exact, and
 * its product with the scale is rounded once, as the float's would be. */
const bool AS_HALVES = HALF_SCALE && HIGH_BITS == 0;

/* Of a code at each place in a byte of both halves of a word; set once, kept in registers. */
const int PLACES = LOW_BITS < 8 ? 8 / LOW_BITS : 1;
uint mask_at[4];

void masks_open()
{
    [[unroll]] for (int i = 0; i < 4; i++)
        mask_at[i] = (((1u << LOW_BITS) - 1u) * 0x10001u << i % PLACES * LOW_BITS) + UNKNOWN_ZERO;
}

/* A number of the low or high 16 bits of pairs of words, on top of a power of two. */
uvec2 half_field(uvec4 low, int from)
{
    const uvec2 pair = from >= 16 ? low.xz >> 16 | low.yw & 0xffff0000u
                                  : low.xz & 0xffffu | low.yw << 16;
    const int at = from % 8;
    return (from % 16 >= 8 ? pair >> 8 : pair) & mask_at[at / LOW_BITS] |
           uint(25 - at << 10) * 0x10001u;
}

/* Elements 4 t .. 4 t + 3 of the part of a run. */
uvec2 take_halves(weight_run r, int t, f16vec2 scale, float16_t zero)
{
    const int from = t * LOW_BITS;
    const f16vec2 middle = f16vec2(float16_t(float(1 << 10 - from % 8)) + zero);
    const uvec2 v = half_field(r.low, from);
    return uvec2(packFloat2x16((unpackFloat2x16(v.x) - middle) * scale),
                 packFloat2x16((unpackFloat2x16(v.y) - middle) * scale));
}

void stage_weight(fast_row w, uint k, uint first, uint to)
{
    uvec2 v[4];
    if (BITS >= 16) {
        [[unroll]] for (uint t = 0u; t < 4u; t++) {
            const uint k4 = k / 4u + first + t;
            v[t] = k4 < w.k4 ? halves_of(fast_float4(w, k4)) : uvec2(0u);
        }
    } else {
        weight_run r = fast_open(w, k / 32u);
        fast_skip(r, first);
        if (AS_HALVES) {
            const uint g = GROUP == 0 ? 0u : k / uint(GROUP);
            const uint s = scale_number(w.own, g, 16u) & 0xffffu;
            const float16_t zero =
                GROUP_ZERO ? float16_t(float(scale_number(w.behind, g, 8u) & 255u))
                           : float16_t(float(1 << BITS - 1));
            [[unroll]] for (int t = 0; t < 4; t++)
                v[t] = take_halves(r, t, unpackFloat2x16(s | s << 16), zero);
        } else {
            [[unroll]] for (int t = 0; t < 4; t++) v[t] = halves_of(fast_take(r, t, first));
        }
    }
    memory[to] = uvec4(v[0], v[1]);
    memory[to + 1u] = uvec4(v[2], v[3]);
}

/* Inputs 8 kk .. 8 kk + 7 of a row. */
void stage_x(uint from, uint k, uint to)
{
    const bool packed = BITS < 16; /* then in_pad is a multiple of STEP */
    const uvec2 low = packed || k < p.in_pad ? halves_of(x[from]) : uvec2(0u);
    const uvec2 high = packed || k + 4u < p.in_pad ? halves_of(x[from + 1u]) : uvec2(0u);
    memory[to] = uvec4(low, high);
}

void main()
{
    const uint id = gl_LocalInvocationIndex;
    const uint tile0 = gl_WorkGroupID.x * TILE_M, row0 = gl_WorkGroupID.y * TILE_N;
    /* Of the weight: half of the step of an output. Of x: 8 inputs of some rows. */
    const uint col = id % TILE_M, half_ = id / TILE_M, kk = id % 4u, row = id / 4u;
    const fast_row w = fast_row_of(tile0 + col, p.in_pad / 4u);
    const uint x0 = ((row0 + row) * p.ldx + p.offx) / 4u + 2u * kk;
    const uint subgroup = gl_SubgroupID, across = uint(ACROSS / FC);
    const uint first_m = subgroup % across * uint(FC * LN);
    const uint first_row = subgroup / across * uint(FR * LM);
    const uint w_to = col * SPREAD + 2u * half_, x_to = (TILE_M + row) * SPREAD + kk;
    const uint a_from = (TILE_M + first_row) * SPREAD, b_from = first_m * SPREAD;
    coopmat<float, gl_ScopeSubgroup, LM, LN, gl_MatrixUseAccumulator> acc[EACH];
    [[unroll]] for (int f = 0; f < EACH; f++)
        acc[f] = coopmat<float, gl_ScopeSubgroup, LM, LN, gl_MatrixUseAccumulator>(0.0);
    masks_open();
    for (uint k = 0u; k < p.in_pad; k += STEP) {
        barrier(); /* the last step has been read */
        stage_weight(w, k, 4u * half_, w_to);
        [[unroll]] for (uint i = 0u; i < (TILE_N + 31u) / 32u; i++)
            if (TILE_N % 32u == 0u || row < TILE_N)
                stage_x(x0 + i * 8u * p.ldx + k / 4u, k + 8u * kk, x_to + 32u * i * SPREAD);
        barrier();
        [[unroll]] for (uint s = 0u; s < STEP / 8u; s += uint(LK) / 8u) {
            coopmat<float16_t, gl_ScopeSubgroup, LM, LK, gl_MatrixUseA> a[FR];
            [[unroll]] for (int r = 0; r < FR; r++)
                coopMatLoad(a[r], memory, a_from + uint(r * LM) * SPREAD + s, SPREAD,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (int c = 0; c < FC; c++) {
                coopmat<float16_t, gl_ScopeSubgroup, LK, LN, gl_MatrixUseB> b;
                coopMatLoad(b, memory, b_from + uint(c * LN) * SPREAD + s, SPREAD,
                            gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (int r = 0; r < FR; r++)
                    acc[r * FC + c] = coopMatMulAdd(a[r], b, acc[r * FC + c]);
            }
        }
    }
    barrier();
    [[unroll]] for (int f = 0; f < EACH; f++)
        coopMatStore(acc[f], memory,
                     ((first_row + uint(f / FC * LM)) * TILE_M + first_m + uint(f % FC * LN)) / 4u,
                     TILE_M / 4u, gl_CooperativeMatrixLayoutRowMajor);
    barrier();
    for (uint i = id; i < OUTPUTS; i += THREADS) {
        const vec4 v = uintBitsToFloat(memory[i]);
        [[unroll]] for (uint c = 0u; c < 4u; c++)
            finish(row0 + i / (TILE_M / 4u), tile0 + i % (TILE_M / 4u) * 4u + c, v[c]);
    }
}

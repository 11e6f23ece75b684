#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_EXT_integer_dot_product : require
#include "shaders/push.h"

/* y[row][m] = float(sum_k q[row][k] c[m][k]) sx[row] sw[m], then LoRA, bias and residual:
 * see matmul_w8a8_push.
 *
 * For devices with integer dot products of signed bytes, and few rows. A sum of whole numbers
 * below 2^31 has no order, so eight invocations share the inputs of an output, every eighth
 * texel each: a workgroup reads 1 KiB of the weight that lies together, and a matrix of 1,000
 * outputs has 125 workgroups. They add their sums in shared memory. Of 16 inputs an
 * invocation issues 4 dots for each row, one load of codes and one of q for each row.
 * Constants  14: TILE_N, rows.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs, eight a dot; bytes: the weight rows / TILE_N times, q
 *         out_pad / TILE_M times, y once. 256 bytes of shared memory per row.
 * Twin    runtime/ref/ref_w8a8.c
 * Committed as shaders/spirv/matmul_w8a8_dots_few.inc: bench/spirv.sh makes it. */

layout(local_size_x = 64) in;
layout(constant_id = 14) const uint TILE_N = 1u;
#define TEXEL 0
#include "shaders/lib/w8a8.glsl"

const uint THREADS = 64u, TILE_M = 8u, SLICES = THREADS / TILE_M;
const uint TAKES = 4u; /* texels of the weight that are loaded at once */

shared int part[THREADS * TILE_N]; /* [row][slice][output] */

int sum[TILE_N];

/* Texel t of every row against that of this output. */
void add(uint w0, uint q0, uint t)
{
    const ivec4 c = ivec4(w(int(w0 + t * TILE_M)) ^ 0x80808080u);
    [[unroll]] for (uint r = 0u; r < TILE_N; r++) {
        const ivec4 a = ivec4(q(int(q0 + r * (p.ldq / 4u) + t)));
        [[unroll]] for (int i = 0; i < 4; i++) sum[r] += dotPacked4x8EXT(c[i], a[i]);
    }
}

void main()
{
    const uint id = gl_LocalInvocationIndex, texels = p.in_pad / 16u;
    const uint tile0 = gl_WorkGroupID.x * TILE_M, row0 = gl_WorkGroupID.y * TILE_N;
    const uint w0 = tile0 * texels + id % TILE_M, q0 = row0 * (p.ldq / 4u);
    uint t = id / TILE_M;
    [[unroll]] for (uint r = 0u; r < TILE_N; r++) sum[r] = 0;
    for (; t + (TAKES - 1u) * SLICES < texels; t += TAKES * SLICES)
        [[unroll]] for (uint e = 0u; e < TAKES; e++) add(w0, q0, t + e * SLICES);
    [[dont_unroll]] for (; t < texels; t += SLICES) add(w0, q0, t);
    [[unroll]] for (uint r = 0u; r < TILE_N; r++) part[r * THREADS + id] = sum[r];
    barrier();
    if (id >= TILE_M * TILE_N)
        return;
    int whole = 0;
    [[unroll]] for (uint s = 0u; s < SLICES; s++)
        whole += part[id / TILE_M * THREADS + s * TILE_M + id % TILE_M];
    finish(whole, int(row0 + id / TILE_M), int(tile0 + id % TILE_M), int(tile0));
}

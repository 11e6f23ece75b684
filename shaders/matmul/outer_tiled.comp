#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* d[a][b] (+)= scale sum over rows of p[row][a] q[row][b]: see outer_push.
 *
 * For GPUs: STEP rows of TILE_N columns a and TILE_M columns b at a time in shared memory,
 * as they lie: four a of a row times four b of it are 16 fma for two loads. Every element
 * sums its rows in order, without blocks, as in outer.comp. Gradients of an adapter have few
 * workgroups, so a step is long: what it waits for counts, not how many fit.
 * Macros  TILE_M columns b, TILE_N columns a; TU columns a an invocation;
 *         WIDTH = TILE_M TILE_N / (4 TU); TEXEL 0.
 * Grid    (nb / TILE_M, na / TILE_N).
 * Cost    2 rows na nb FLOPs; bytes: p nb / TILE_M times, q na / TILE_N times, d once. Of a
 *         row an invocation issues 4 TU fma and TU / 4 + 1 loads from shared memory.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer P { vec4 pv[]; };
layout(binding = 1) readonly buffer Q { vec4 qv[]; };
layout(binding = 2) buffer D { vec4 d[]; };
layout(push_constant) uniform Push { outer_push p; };

const uint STEP = 32u, ACROSS = TILE_M / 4, UP = TILE_N / 4, DOWN = TILE_N / TU;
const uint P_ROWS = WIDTH / UP, Q_ROWS = WIDTH / ACROSS; /* staged at once */

shared vec4 tile_p[STEP * UP], tile_q[STEP * ACROSS]; /* [row][4 columns] */
vec4 acc[TU];

/* An invocation has columns 4 tile_b() .. + 3 of b, 4 (tile_a() + DOWN i) .. + 3 of a. */
uint tile_b() { return gl_LocalInvocationIndex % ACROSS; }
uint tile_a() { return gl_LocalInvocationIndex / ACROSS; }

/* Where this invocation begins to stage: vec4 of the first row of p and q. */
uint p_from, q_from;

/* The rows from `row` on, STEP or as many as there are. */
void stage(uint row, uint count)
{
    const uint p_row = gl_LocalInvocationIndex / UP, q_row = gl_LocalInvocationIndex / ACROSS;
    const uint ldp4 = p.ldp / 4u, ldq4 = p.ldq / 4u;
    [[unroll]] for (uint i = 0u; i < STEP; i += P_ROWS)
        if (count == STEP || p_row + i < count)
            tile_p[gl_LocalInvocationIndex + i * UP] = pv[p_from + (row + i) * ldp4];
    [[unroll]] for (uint i = 0u; i < STEP; i += Q_ROWS)
        if (count == STEP || q_row + i < count)
            tile_q[gl_LocalInvocationIndex + i * ACROSS] = qv[q_from + (row + i) * ldq4];
}

void multiply(uint row)
{
    const vec4 q = tile_q[row * ACROSS + tile_b()];
    [[unroll]] for (int i = 0; i < TU / 4; i++) {
        const vec4 v = tile_p[row * UP + tile_a() + DOWN * i];
        [[unroll]] for (int c = 0; c < 4; c++)
            acc[4 * i + c] = fma(vec4(v[c]), q, acc[4 * i + c]);
    }
}

void main()
{
    const uint na4 = p.na / 4u, nb4 = p.nb / 4u;
    const uint a0 = gl_WorkGroupID.y * UP, b0 = gl_WorkGroupID.x * ACROSS;
    const uint whole = p.rows / STEP * STEP;
    /* Columns beyond the last are any. */
    p_from = p.offp / 4u + gl_LocalInvocationIndex / UP * (p.ldp / 4u) +
             min(a0 + gl_LocalInvocationIndex % UP, na4 - 1u);
    q_from = p.offq / 4u + gl_LocalInvocationIndex / ACROSS * (p.ldq / 4u) +
             min(b0 + tile_b(), nb4 - 1u);

    [[unroll]] for (int i = 0; i < TU; i++) acc[i] = vec4(0.0);
    for (uint row = 0u; row < whole; row += STEP) {
        barrier(); /* the last step has been read */
        stage(row, STEP);
        barrier();
        [[unroll]] for (uint r = 0u; r < STEP; r++) multiply(r);
    }
    barrier();
    stage(whole, p.rows - whole);
    barrier();
    for (uint r = 0u; r < p.rows - whole; r++) multiply(r);

    [[unroll]] for (uint i = 0u; i < TU; i++) {
        const uint a4 = a0 + tile_a() + DOWN * (i / 4u);
        if (a4 >= na4 || b0 + tile_b() >= nb4)
            continue;
        const uint at = (a4 * 4u + i % 4u) * (p.ldd / 4u) + b0 + tile_b();
        const vec4 v = vec4(p.scale) * acc[i];
        d[at] = p.accumulate != 0 ? d[at] + v : v;
    }
}

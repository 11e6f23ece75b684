#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_KHR_shader_subgroup_ballot : require
#include "shaders/push.h"

/* Gradient of attention for keys and values: see attention_back_kv_push. The order of sums,
 * and so the bits, are those of attention_back_kv.comp.
 *
 * The rows of a head of keys lie side by side; queries and gradients of outputs go round the
 * subgroup: lib/turns.glsl.
 * Macros  WIDTH 8, the subgroup; TEXEL.
 * Grid    one invocation per (kv head, row); heads of the group, then queries, in order.
 * Cost    8 HD FLOPs a query; 16 HD bytes a query and turn.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
#include "shaders/lib/operand.glsl"
OPERAND(0, q)
OPERAND(1, keys)
OPERAND(2, values)
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
OPERAND(4, g)
layout(binding = 5) readonly buffer Lse { float lse[]; };
layout(binding = 6) readonly buffer Delta { float delta[]; };
layout(binding = 7) writeonly buffer Dkv { vec4 dkv[]; };
layout(push_constant) uniform Push { attention_back_kv_push p; };
#include "shaders/lib/turns.glsl"

void main()
{
    const int i = int(gl_GlobalInvocationID.x), lane = int(gl_LocalInvocationID.x);
    const int rows = int(p.rows), heads_k = int(p.heads_k), sharing = int(p.heads) / heads_k;
    const bool there = i < rows * heads_k;
    const int row = there ? i % rows : 0, hk = there ? i / rows : 0;
    const int k0 = (row * int(p.ldk) + int(p.offk)) / 4 + hk * H4;
    const int v0 = (row * int(p.ldv) + int(p.offv)) / 4 + hk * H4;
    precise vec4 kv[H4], vv[H4], dk[H4], dv[H4];
    [[unroll]] for (int c = 0; c < H4; c++) {
        kv[c] = keys(k0 + c) * p.scale;
        vv[c] = values(v0 + c);
        dk[c] = vec4(0.0);
        dv[c] = vec4(0.0);
    }
    const uint end = meta[row].z;
    uint turn = there ? end * uint(heads_k) + uint(hk) : TURN_DONE;
    for (uint now = turn_least(turn); now != TURN_DONE; now = turn_least(turn)) {
        const bool mine = turn == now;
        const int last = int(now) / heads_k - 1, group = int(now) % heads_k * sharing;
        const int from = int(turn_least(mine ? uint(row) : TURN_DONE));
        for (int h = group; h < group + sharing; h++)
            for (int r = from; r <= last; r += WIDTH) {
                const int of_lane = r + min(lane, last - r);
                const int q0 = (of_lane * int(p.ldq) + int(p.offq)) / 4 + h * H4;
                const int g0 = (of_lane * int(p.ldo) + int(p.offdo)) / 4 + h * H4;
                const float l = lse[of_lane * int(p.heads) + h];
                const float d = delta[of_lane * int(p.heads) + h];
                precise vec4 s[WIDTH], t[WIDTH];
                precise float e[WIDTH], ds[WIDTH];
                OF_BLOCK(b) s[b] = t[b] = vec4(0.0);
                [[unroll]] for (int c = 0; c < H4; c++) {
                    const vec4 qc = q(q0 + c), gc = g(g0 + c);
#define SCORE(b)                                      \
    s[b] = fma(subgroupBroadcast(qc, b), kv[c], s[b]); \
    t[b] = fma(subgroupBroadcast(gc, b), vv[c], t[b]);
                    OF_LANES(SCORE)
                }
#define WEIGH(b)                                                                   \
    {                                                                              \
        const bool sees = mine && r + b >= row && r + b <= last;                   \
        e[b] = mix(0.0, exp(sum_of(s[b]) - subgroupBroadcast(l, b)), sees);        \
        ds[b] = mix(0.0, e[b] * (sum_of(t[b]) - subgroupBroadcast(d, b)), sees);   \
    }
                OF_LANES(WEIGH)
                [[unroll]] for (int c = 0; c < H4; c++) {
                    const vec4 qc = q(q0 + c), gc = g(g0 + c);
#define ADD(b)                                                    \
    dk[c] = fma(vec4(ds[b]), subgroupBroadcast(qc, b), dk[c]);     \
    dv[c] = fma(vec4(e[b]), subgroupBroadcast(gc, b), dv[c]);
                    OF_LANES(ADD)
                }
            }
        turn = mine ? TURN_DONE : turn;
    }
    if (!there)
        return;
    const int dk0 = (row * int(p.lddk) + int(p.offdk)) / 4 + hk * H4;
    const int dv0 = (row * int(p.lddk) + int(p.offdv)) / 4 + hk * H4;
    [[unroll]] for (int c = 0; c < H4; c++) {
        dkv[dk0 + c] = dk[c] * p.scale;
        dkv[dv0 + c] = dv[c];
    }
}

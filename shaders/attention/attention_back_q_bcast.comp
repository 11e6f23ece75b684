#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_KHR_shader_subgroup_ballot : require
#include "shaders/push.h"

/* Gradient of attention for queries: see attention_back_q_push. The order of sums, and so the
 * bits, are those of attention_back_q.comp.
 *
 * Heads that share keys lie side by side, rows behind rows; keys and values go round the
 * subgroup: attention_bcast.comp, lib/turns.glsl.
 * Macros  WIDTH 8, the subgroup; TEXEL.
 * Grid    rows * heads invocations.
 * Cost    6 HD FLOPs a key; 12 HD bytes a key and turn.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
#include "shaders/lib/operand.glsl"
OPERAND(0, q)
OPERAND(1, keys)
OPERAND(2, values)
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
OPERAND(4, o)
layout(binding = 5) readonly buffer Lse { float lse[]; };
layout(binding = 6) writeonly buffer Dq { vec4 dq[]; };
layout(binding = 7) writeonly buffer Delta { float delta[]; };
layout(push_constant) uniform Push { attention_back_q_push p; };
#include "shaders/lib/turns.glsl"

void main()
{
    const int i = int(gl_GlobalInvocationID.x), lane = int(gl_LocalInvocationID.x);
    const int sharing = int(p.heads / p.heads_k), rows = int(p.rows), ldo = int(p.ldo);
    const int kv = i / (rows * sharing), of_kv = i % (rows * sharing);
    const bool there = kv < int(p.heads_k);
    const int row = there ? of_kv / sharing : 0;
    const int h = there ? kv * sharing + of_kv % sharing : 0;
    const uvec4 m = meta[row];
    const int q0 = (row * int(p.ldq) + int(p.offq)) / 4 + h * H4;
    const int o0 = (row * ldo + int(p.offo)) / 4 + h * H4;
    const int g0 = (row * ldo + int(p.offdo)) / 4 + h * H4;
    precise vec4 qv[H4], gv[H4], acc[H4], t = vec4(0.0);
    [[unroll]] for (int c = 0; c < H4; c++) {
        qv[c] = q(q0 + c) * p.scale;
        gv[c] = o(g0 + c);
        acc[c] = vec4(0.0);
        t = fma(gv[c], o(o0 + c), t);
    }
    const float d = sum_of(t), l = lse[row * int(p.heads) + h];
    uint turn = there ? m.y * p.heads_k + uint(kv) : TURN_DONE;
    for (uint now = turn_least(turn); now != TURN_DONE; now = turn_least(turn)) {
        const bool mine = turn == now;
        const int base = int(now / p.heads_k), first = int(now % p.heads_k) * H4;
        const int last = turn_largest(mine ? int(m.x) : -1);
        for (int j = 0; j <= last; j += WIDTH) {
            const int at = base + j + min(lane, last - j);
            const int k0 = (at * int(p.ldk) + int(p.offk)) / 4 + first;
            const int v0 = (at * int(p.ldv) + int(p.offv)) / 4 + first;
            precise vec4 s[WIDTH], g[WIDTH];
            precise float ds[WIDTH];
            OF_BLOCK(b) s[b] = g[b] = vec4(0.0);
            [[unroll]] for (int c = 0; c < H4; c++) {
                const vec4 k = keys(k0 + c), v = values(v0 + c);
#define SCORE(b)                                     \
    s[b] = fma(qv[c], subgroupBroadcast(k, b), s[b]); \
    g[b] = fma(gv[c], subgroupBroadcast(v, b), g[b]);
                OF_LANES(SCORE)
            }
            OF_BLOCK(b) {
                precise const float e = exp(sum_of(s[b]) - l) * (sum_of(g[b]) - d);
                ds[b] = mix(0.0, e, mine && j + b <= int(m.x));
            }
            [[unroll]] for (int c = 0; c < H4; c++) {
                const vec4 k = keys(k0 + c);
#define ADD(b) acc[c] = fma(vec4(ds[b]), subgroupBroadcast(k, b), acc[c]);
                OF_LANES(ADD)
            }
        }
        turn = mine ? TURN_DONE : turn;
    }
    if (!there)
        return;
    const int d0 = (row * int(p.lddq) + int(p.offdq)) / 4 + h * H4;
    [[unroll]] for (int c = 0; c < H4; c++) dq[d0 + c] = acc[c] * p.scale;
    delta[row * int(p.heads) + h] = d;
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_KHR_shader_subgroup_ballot : require
#include "shaders/push.h"

/* Causal attention: see attention_push. The order of sums is that of attention.comp, so the
 * bits are.
 *
 * One invocation is one head of one row, as there, but the heads that share keys lie side
 * by side, rows behind rows. So the eight invocations of a subgroup mostly read the same
 * keys: each loads one key of a block of eight, a vec4 at a time, which then goes round the
 * subgroup. attention.comp loads eight times as often, lane by lane. Invocations of another
 * sequence or head of keys wait for their turn; they add nothing in the turns of others.
 * Macros  WIDTH 8, the subgroup; TEXEL.
 * Grid    rows * heads invocations.
 * Cost    4 HD FLOPs a key; 8 HD bytes a key and turn, 4 HD of halves.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
#include "shaders/lib/operand.glsl"
OPERAND(0, q)
#include "shaders/lib/keys.glsl"
KEYS(1, keys)
KEYS(2, values)
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 4) readonly buffer Table { uint table[]; };
layout(binding = 5) writeonly buffer O { vec4 o[]; };
layout(binding = 6) writeonly buffer Lse { float lse[]; };
layout(push_constant) uniform Push { attention_push p; };

#include "shaders/lib/turns.glsl"

void main()
{
    const int i = int(gl_GlobalInvocationID.x), lane = int(gl_LocalInvocationID.x);
    const int sharing = int(p.heads / p.heads_k), rows = int(p.rows);
    const int kv = i / (rows * sharing), of_kv = i % (rows * sharing);
    const bool there = kv < int(p.heads_k);
    const int row = there ? of_kv / sharing : 0, h = kv * sharing + of_kv % sharing;
    const uvec4 m = meta[row];
    const int position = int(m.x), page = int(p.page);
    const int ldk4 = int(p.ldk) / 4, ldv4 = int(p.ldv) / 4;
    const int q0 = (row * int(p.ldq) + int(p.offq)) / 4 + (there ? h : 0) * H4;
    precise vec4 qv[H4], acc[H4];
    [[unroll]] for (int c = 0; c < H4; c++) {
        qv[c] = q(q0 + c) * p.scale;
        acc[c] = vec4(0.0);
    }
    precise float most = -1e30, sum = 0.0;
    uint turn = there ? m.y * p.heads_k + uint(kv) : TURN_DONE;
    for (uint now = turn_least(turn); now != TURN_DONE; now = turn_least(turn)) {
        const bool mine = turn == now;
        const int base = int(now / p.heads_k), first = int(now % p.heads_k) * H4;
        const int last = turn_largest(mine ? position : -1);
        for (int j = 0; j <= last; j += WIDTH) {
            /* Blocks lie within a page: pages are multiples of WIDTH. */
            int at = base + j;
            if (page != 0)
                at = int(table[base + j / page]) * page + j % page;
            at += min(lane, last - j);
            const int key = at * ldk4 + int(p.offk) / 4 + first;
            const int value = at * ldv4 + int(p.offv) / 4 + first;
            const bool seen = mine && j <= position;
            precise vec4 t[WIDTH];
            OF_BLOCK(b) t[b] = vec4(0.0);
            [[unroll]] for (int c = 0; c < H4; c++) {
                const vec4 k = keys(key + c);
#define SCORE(b) t[b] = fma(qv[c], subgroupBroadcast(k, b), t[b]);
                OF_LANES(SCORE)
            }
            precise float s[WIDTH], top = most;
            OF_BLOCK(b) {
                const bool sees = mine && b <= position - j;
                s[b] = mix(-1e30, sum_of(t[b]), sees);
                top = max(top, s[b]);
            }
            precise const float keep = mix(1.0, exp(most - top), seen);
            most = top;
            sum *= keep;
            OF_BLOCK(b) {
                s[b] = mix(0.0, exp(s[b] - top), seen); /* exactly 0 for keys not seen */
                sum += s[b];
            }
            [[unroll]] for (int c = 0; c < H4; c++) {
                const vec4 v = values(value + c);
                acc[c] *= keep;
#define ADD(b) acc[c] = fma(vec4(s[b]), subgroupBroadcast(v, b), acc[c]);
                OF_LANES(ADD)
            }
        }
        turn = mine ? TURN_DONE : turn;
    }
    if (!there)
        return;
    const int o0 = (row * int(p.ldo) + int(p.offo)) / 4 + h * H4;
    [[unroll]] for (int c = 0; c < H4; c++) o[o0 + c] = acc[c] / sum;
    if (p.want_lse != 0)
        lse[row * int(p.heads) + h] = most + log(sum);
}

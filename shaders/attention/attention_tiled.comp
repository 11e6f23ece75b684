#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* Causal attention, one workgroup per head of a row: see attention_push.
 *
 * Keys go by in chunks of WIDTH, at absolute positions. An invocation first scores one
 * key of the chunk, then, with all scores in shared memory, sums its own columns of the
 * values over the chunk's keys in order, so that values are read coalesced. Chunks do not
 * depend on the batch, and keys after the row's own add exactly nothing.
 * Macros  WIDTH; HALF keys and values are halves.
 * Grid    one workgroup per (row, head).
 * Cost    4 HD FLOPs and 8 HD bytes a key, 4 HD of halves; 2 + 2 log2 WIDTH barriers
 *         a chunk.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
#include "shaders/lib/operand.glsl"
layout(binding = 0) readonly buffer Q { vec4 q[]; };
#include "shaders/lib/keys.glsl"
KEYS(1, keys)
KEYS_SCALAR(2, values)
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 4) readonly buffer Table { uint table[]; };
layout(binding = 5) writeonly buffer O { float o[]; };
layout(binding = 6) writeonly buffer Lse { float lse[]; };
layout(push_constant) uniform Push { attention_push p; };
#include "shaders/lib/group.glsl"

const int OWN = (HD + WIDTH - 1) / WIDTH; /* columns an invocation sums */
shared vec4 query[H4];
shared float weight[WIDTH];
shared int place[WIDTH]; /* row of each key of the chunk */

/* Row of K and V that holds key j. */
int row_of_key(int base, int j)
{
    const int page = int(p.page);
    return page == 0 ? base + j : int(table[base + j / page]) * page + j % page;
}

void main()
{
    const int heads = int(p.heads), row = ITEM / heads, h = ITEM % heads;
    const int lane = int(gl_LocalInvocationID.x);
    const uvec4 m = meta[row];
    const int position = int(m.x), base = int(m.y);
    const int kv = h / (heads / int(p.heads_k));
    const int ldk4 = int(p.ldk) / 4, k0 = int(p.offk) / 4 + kv * H4;
    const int v0 = int(p.offv) + kv * HD;
    const int q0 = (row * int(p.ldq) + int(p.offq)) / 4 + h * H4;
    for (int c = lane; c < H4; c += WIDTH)
        query[c] = q[q0 + c] * p.scale;
    float acc[OWN];
    [[unroll]] for (int e = 0; e < OWN; e++) acc[e] = 0.0;
    float most = -1e30, sum = 0.0;
    barrier();
    for (int first = 0; first <= position; first += WIDTH) {
        const int j = first + lane;
        const int at = row_of_key(base, min(j, position));
        vec4 t = vec4(0.0);
        [[dont_unroll]] for (int c = 0; c < H4; c++)
            t = fma(query[c], keys(at * ldk4 + k0 + c), t);
        const float s = j <= position ? t.x + t.y + t.z + t.w : -1e30;
        const float top = max(most, group_max(vec4(s)).x);
        const float e = exp(s - top); /* exactly 0 for keys not seen */
        place[lane] = at;
        weight[lane] = e;
        const float keep = exp(most - top);
        most = top;
        sum = sum * keep + group_sum(vec4(e)).x; /* its barriers order weight, too */
        [[unroll]] for (int c = 0; c < OWN; c++) acc[c] *= keep;
        const int n = min(WIDTH, position + 1 - first);
        [[unroll]] for (int c = 0; c < OWN; c++) {
            const int column = lane + c * WIDTH;
            if (column < HD)
                [[dont_unroll]] for (int i = 0; i < n; i++)
                    acc[c] = fma(weight[i], values(place[i] * int(p.ldv) + v0 + column),
                                 acc[c]);
        }
        barrier();
    }
    const int o0 = row * int(p.ldo) + int(p.offo) + h * HD;
    [[unroll]] for (int c = 0; c < OWN; c++)
        if (lane + c * WIDTH < HD)
            o[o0 + lane + c * WIDTH] = acc[c] / sum;
    if (p.want_lse != 0 && lane == 0)
        lse[row * heads + h] = most + log(sum);
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* Causal attention, one workgroup per head of a row: see attention_push.
 *
 * Keys go by in chunks of WIDTH, at absolute positions. An invocation first scores one
 * key of the chunk. Then, with all scores in shared memory, it sums four columns of the
 * values (eight of heads beyond 128) over one of PARTS parts of the chunk's keys in order;
 * parts are added up at the end. So values are read coalesced, and a key's place and weight
 * serve four columns. Neither chunks nor parts depend on the batch, and keys after the row's
 * own add exactly nothing.
 * Macros  WIDTH, a square; HALF keys and values are halves.
 * Grid    one workgroup per (row, head).
 * Cost    4 HD FLOPs and 8 HD bytes a key, 4 HD of halves; 4 barriers a chunk. Of a chunk an
 *         invocation issues HD fma and HD / 4 loads for its key, HD fma and HD / 4 loads
 *         for its columns.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
#include "shaders/lib/operand.glsl"
layout(binding = 0) readonly buffer Q { vec4 q[]; };
#include "shaders/lib/keys.glsl"
KEYS(1, keys)
KEYS(2, values)
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 4) readonly buffer Table { uint table[]; };
layout(binding = 5) writeonly buffer O { vec4 o[]; };
layout(binding = 6) writeonly buffer Lse { float lse[]; };
layout(push_constant) uniform Push { attention_push p; };

/* Invocations that share a part of the keys, a power of two; as many keys has a part. */
const uint QUADS = H4 <= 4 ? 4u : H4 <= 8 ? 8u : H4 <= 16 ? 16u : 32u;
const uint PARTS = WIDTH / QUADS;
const uint OWN = (uint(H4) + QUADS - 1u) / QUADS; /* vec4 of columns an invocation sums */
const uint SIDE = 8u;                             /* SIDE SIDE = WIDTH */
shared vec4 query[H4];
shared float score[WIDTH], weight[WIDTH], most_of[SIDE], sum_of[SIDE];
shared uint place[WIDTH]; /* first vec4 of the values of each key of the chunk */
shared vec4 gathered[OWN * WIDTH];

/* Row of K and V that holds key j. */
uint row_of_key(uint base, uint j)
{
    return p.page == 0u ? base + j : table[base + j / p.page] * p.page + j % p.page;
}

float score_of(uint at)
{
    vec4 t = vec4(0.0);
    [[dont_unroll]] for (int c = 0; c + 4 <= H4; c += 4)
        [[unroll]] for (int i = 0; i < 4; i++) t = fma(query[c + i], keys(int(at) + c + i), t);
    [[unroll]] for (int c = H4 / 4 * 4; c < H4; c++) t = fma(query[c], keys(int(at) + c), t);
    return t.x + t.y + t.z + t.w;
}

/* The greatest score of the chunk. */
float greatest(uint lane, float s)
{
    score[lane] = s;
    barrier();
    float most = score[lane % SIDE * SIDE];
    [[unroll]] for (uint i = 1u; i < SIDE; i++) most = max(most, score[lane % SIDE * SIDE + i]);
    if (lane < SIDE)
        most_of[lane] = most;
    barrier();
    most = most_of[0];
    [[unroll]] for (uint i = 1u; i < SIDE; i++) most = max(most, most_of[i]);
    return most;
}

/* The sum of its weights; orders what is read of weight and place, too. */
float weight_sum(uint lane)
{
    barrier();
    float sum = weight[lane % SIDE * SIDE];
    [[unroll]] for (uint i = 1u; i < SIDE; i++) sum += weight[lane % SIDE * SIDE + i];
    if (lane < SIDE)
        sum_of[lane] = sum;
    barrier();
    sum = sum_of[0];
    [[unroll]] for (uint i = 1u; i < SIDE; i++) sum += sum_of[i];
    return sum;
}

void main()
{
    const uint row = gl_WorkGroupID.x / p.heads, h = gl_WorkGroupID.x % p.heads;
    const uint lane = gl_LocalInvocationID.x, quad = lane % QUADS, part = lane / QUADS;
    const uvec4 m = meta[row];
    const uint position = m.x, kv = h / (p.heads / p.heads_k);
    const uint k0 = p.offk / 4u + kv * H4, v0 = p.offv / 4u + kv * H4;
    for (uint c = lane; c < H4; c += WIDTH)
        query[c] = q[(row * p.ldq + p.offq) / 4u + h * H4 + c] * p.scale;
    vec4 acc[OWN];
    uint column[OWN]; /* those beyond the last are not kept */
    [[unroll]] for (uint i = 0u; i < OWN; i++) {
        acc[i] = vec4(0.0);
        column[i] = min(i * QUADS + quad, uint(H4) - 1u);
    }
    float most = -1e30, sum = 0.0;
    barrier();
    for (uint first = 0u; first <= position; first += WIDTH) {
        const uint j = first + lane, at = row_of_key(m.y, min(j, position));
        const float seen = score_of(at * (p.ldk / 4u) + k0);
        const float s = j <= position ? seen : -1e30;
        const float top = max(most, greatest(lane, s));
        place[lane] = at * (p.ldv / 4u) + v0;
        weight[lane] = exp(s - top); /* exactly 0 for keys not seen */
        const float keep = exp(most - top);
        most = top;
        sum = sum * keep + weight_sum(lane);
        [[unroll]] for (uint i = 0u; i < OWN; i++) acc[i] *= keep;
        [[dont_unroll]] for (uint i = 0u; i < QUADS; i += 4u)
            [[unroll]] for (uint e = 0u; e < 4u; e++)
                [[unroll]] for (uint c = 0u; c < OWN; c++)
                    acc[c] = fma(vec4(weight[part * QUADS + i + e]),
                                 values(int(place[part * QUADS + i + e] + column[c])), acc[c]);
    }
    [[unroll]] for (uint i = 0u; i < OWN; i++) gathered[i * WIDTH + lane] = acc[i];
    barrier();
    for (uint c = lane; c < H4; c += WIDTH) {
        const uint from = c / QUADS * WIDTH + c % QUADS;
        vec4 v = gathered[from];
        [[unroll]] for (uint i = 1u; i < PARTS; i++) v += gathered[from + i * QUADS];
        o[(row * p.ldo + p.offo) / 4u + h * H4 + c] = v / sum;
    }
    if (p.want_lse != 0u && lane == 0u)
        lse[row * p.heads + h] = most + log(sum);
}

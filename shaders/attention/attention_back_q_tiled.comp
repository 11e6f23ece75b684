#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_KHR_shader_subgroup_vote : require
#include "shaders/push.h"

/* Gradient of attention for queries, and delta, one workgroup per row and head of keys: see
 * attention_back_q_push.
 *
 * As attention_tiled.comp: HEADS heads that share a head of keys share its loads. Of a
 * chunk of keys an invocation first weighs OWN, by two products each and head; then it
 * sums columns of the keys over a part of the chunk, in order. Parts are added up at
 * the end.
 * Macros  WIDTH, TEXEL 0; ROWGROUP and KVGROUP for the host.
 * Grid    rows * heads_k * (workgroups that share a head of keys).
 * Cost    6 HD FLOPs a key and head; 12 HD bytes a key and workgroup. A chunk: 2
 *         barriers. Of OWN keys an invocation issues 3 OWN HD HEADS fma, 3 OWN HD / 4
 *         loads, HEADS HD / 2 loads of queries and gradients and HEADS OWN HD / 16 of
 *         weights from shared memory.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
layout(constant_id = 11) const uint HEADS = 1u; /* of a workgroup, up to 8 */
/* Loads of a key, a value or a row of o that are issued at once; 0: as many as pay. */
layout(constant_id = 13) const uint LOADS_MOST = 0u;
layout(binding = 0) readonly buffer Q { vec4 q[]; };
layout(binding = 1) readonly buffer Keys { vec4 keys[]; };
layout(binding = 2) readonly buffer Values { vec4 values[]; };
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 4) readonly buffer O { vec4 o[]; };
layout(binding = 5) readonly buffer Lse { float lse[]; };
layout(binding = 6) writeonly buffer Dq { vec4 dq[]; };
layout(binding = 7) writeonly buffer Delta { float delta[]; };
layout(push_constant) uniform Push { attention_back_q_push p; };

const uint OWN = HEADS <= 4u ? 2u : 1u, QUADS = 1u, SPARE = 0u;
/* Loops are unrolled as far as there is work for few heads. */
const uint STEP = HEADS > 2u ? 1u : LOADS_MOST != 0u ? 1u : H4 % 4 == 0 ? 4u : 1u;
const uint SUM_STEP = HEADS > 2u ? 1u : LOADS_MOST != 0u ? 1u : 2u;
#define LISTS HEADS
#include "shaders/lib/kv_group.glsl"
shared vec4 query[HEADS * H4], grad[HEADS * H4];
shared float delta_of[HEADS];
shared uint place[CHUNK]; /* first vec4 of each key of the chunk */

/* Products of the keys `k` with queries and of the values `v` with gradients of o. */
void weigh_keys(uint k[OWN], uint v[OWN], out float score[OWN][HEADS],
                out float slope[OWN][HEADS])
{
    vec2 s[OWN][HEADS], t[OWN][HEADS];
    vec4 key[OWN], value[OWN];
    [[unroll]] for (uint i = 0u; i < OWN; i++)
        [[unroll]] for (uint h = 0u; h < HEADS; h++) s[i][h] = t[i][h] = vec2(0.0);
    [[dont_unroll]] for (uint c0 = 0u; c0 < H4; c0 += STEP)
        [[unroll]] for (uint e = 0u; e < STEP; e++) {
            const uint c = c0 + e;
            [[unroll]] for (uint i = 0u; i < OWN; i++) {
                key[i] = keys[k[i] + c];
                value[i] = values[v[i] + c];
            }
            [[unroll]] for (uint h = 0u; h < HEADS; h++) {
                const vec4 x = query[h * H4 + c], g = grad[h * H4 + c];
                [[unroll]] for (uint i = 0u; i < OWN; i++) {
                    s[i][h] = fma(x.xy, key[i].xy, s[i][h]);
                    s[i][h] = fma(x.zw, key[i].zw, s[i][h]);
                    t[i][h] = fma(g.xy, value[i].xy, t[i][h]);
                    t[i][h] = fma(g.zw, value[i].zw, t[i][h]);
                }
            }
        }
    [[unroll]] for (uint i = 0u; i < OWN; i++)
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            score[i][h] = s[i][h].x + s[i][h].y;
            slope[i][h] = t[i][h].x + t[i][h].y;
        }
}

void main()
{
    const uint sharing = p.heads / p.heads_k, lane = gl_LocalInvocationID.x;
    const uint groups = (sharing + HEADS - 1u) / HEADS; /* that share a head of keys */
    const uint kv = gl_WorkGroupID.x / groups % p.heads_k;
    const uint row = gl_WorkGroupID.x / (groups * p.heads_k);
    const uint h0 = kv * sharing + gl_WorkGroupID.x % groups * HEADS;
    const uint heads = min(HEADS, (kv + 1u) * sharing - h0); /* that are written */
    const uint position = meta[row].x, base = meta[row].y;
    const uint ldk = p.ldk / 4u, ldv = p.ldv / 4u;
    const uint k0 = base * ldk + p.offk / 4u + kv * H4, v0 = base * ldv + p.offv / 4u + kv * H4;
    for (uint c = lane; c < HEADS * H4; c += WIDTH) {
        const uint at = (h0 + min(c / H4, heads - 1u)) * H4 + c % H4;
        query[c] = q[(row * p.ldq + p.offq) / 4u + at] * p.scale;
        grad[c] = o[(row * p.ldo + p.offdo) / 4u + at];
    }
    barrier();
    if (lane < HEADS) {
        const uint o0 = (row * p.ldo + p.offo) / 4u + (h0 + min(lane, heads - 1u)) * H4;
        vec4 t = vec4(0.0);
        /* Short rows are alike: llvmpipe gives other bits to 8 columns that are unrolled. */
        if (LOADS_MOST == 0u || H4 <= 8)
            for (uint c = 0u; c < H4; c++) t = fma(grad[lane * H4 + c], o[o0 + c], t);
        else
            [[dont_unroll]] for (uint c = 0u; c < H4; c++)
                t = fma(grad[lane * H4 + c], o[o0 + c], t);
        delta_of[lane] = t.x + t.y + t.z + t.w;
        if (lane < heads)
            delta[row * p.heads + h0 + lane] = delta_of[lane];
    }
    barrier();
    vec4 acc[HEADS][QUADS];
    float shift[HEADS], d[HEADS];
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
        acc[h][0] = vec4(0.0);
        shift[h] = lse[row * p.heads + h0 + min(h, heads - 1u)];
        d[h] = delta_of[h];
    }
    for (uint first = 0u; first <= position; first += CHUNK) {
        const uint j = first + OWN * lane;
        uint k[OWN], v[OWN];
        float score[OWN][HEADS], slope[OWN][HEADS];
        [[unroll]] for (uint i = 0u; i < OWN; i++) {
            const uint seen = min(j + i, position);
            k[i] = seen * ldk + k0;
            v[i] = seen * ldv + v0;
            place[OWN * lane + i] = k[i];
            [[unroll]] for (uint h = 0u; h < HEADS; h++) score[i][h] = slope[i][h] = 0.0;
        }
        if (subgroupAny(j <= position)) /* spares most of the work of short sequences */
            weigh_keys(k, v, score, slope);
        [[unroll]] for (uint i = 0u; i < OWN; i++)
            [[unroll]] for (uint h = 0u; h < HEADS; h++) {
                const float w = exp(score[i][h] - shift[h]) * (slope[i][h] - d[h]);
                pool[h * CHUNK + OWN * lane + i] = j + i <= position ? w : 0.0;
            }
        barrier();
        const uint last = min(position - first, CHUNK - 1u) / 4u;
        [[dont_unroll]] for (uint b = 0u; b <= last; b += SUM_STEP * PARTS)
            [[unroll]] for (uint e = 0u; e < 4u * SUM_STEP; e++) {
                const uint n = 4u * (b + e / 4u * PARTS + part()) + e % 4u;
                const vec4 key = keys[place[n] + column()];
                [[unroll]] for (uint h = 0u; h < HEADS; h++)
                    acc[h][0] = fma(vec4(pool[h * CHUNK + n]), key, acc[h][0]);
            }
        barrier(); /* the weights have been read */
    }
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
        const vec4 v = gather(acc[h], min(lane, uint(H4) - 1u)) * p.scale;
        if (lane < uint(H4) && h < heads)
            dq[(row * p.lddq + p.offdq) / 4u + (h0 + h) * H4 + lane] = v;
    }
}

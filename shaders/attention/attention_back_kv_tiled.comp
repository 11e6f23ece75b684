#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_KHR_shader_subgroup_vote : require
#include "shaders/push.h"

/* Gradient of attention for keys and values, one workgroup per ITEMS rows of a head of
 * keys: see attention_back_kv_push.
 *
 * Rows of a sequence share the loads of queries and of gradients of o. Head by head,
 * queries go by in chunks, at absolute positions. An invocation first weighs OWN
 * queries of the chunk, by two products each row; then it sums columns of gradients and
 * of queries over a part of the chunk, in order. Parts are added up at the end. Queries
 * before a row add exactly nothing, so that its sums do not depend on the rows beside
 * it.
 * Macros  WIDTH, ITEMS, TEXEL 0; ROWGROUP for the host.
 * Grid    rows * heads_k / ITEMS, rows of a head side by side.
 * Cost    8 HD FLOPs a query, head and row; 16 HD bytes a query, head and workgroup. A
 *         chunk: 2 barriers. Of OWN queries an invocation issues 4 OWN HD ITEMS fma,
 *         OWN HD loads, ITEMS HD / 2 loads of keys and values and ITEMS OWN HD / 8 of
 *         weights from shared memory.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
layout(binding = 0) readonly buffer Q { vec4 q[]; };
layout(binding = 1) readonly buffer Keys { vec4 keys[]; };
layout(binding = 2) readonly buffer Values { vec4 values[]; };
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 4) readonly buffer G { vec4 g[]; };
layout(binding = 5) readonly buffer Lse { float lse[]; };
layout(binding = 6) readonly buffer Delta { float delta[]; };
layout(binding = 7) writeonly buffer Dkv { vec4 dkv[]; };
layout(push_constant) uniform Push { attention_back_kv_push p; };

const uint OWN = 2u, QUADS = 1u, SPARE = 0u, LISTS = 2u * ITEMS;
#include "shaders/lib/kv_group.glsl"
shared vec4 key[ITEMS * H4], value[ITEMS * H4];

/* What queries whose first vec4 are `x`, with gradients of o at `y`, make of each row. */
void weigh_queries(uint x[OWN], uint y[OWN], out float score[OWN][ITEMS],
                   out float slope[OWN][ITEMS])
{
    vec2 s[OWN][ITEMS], t[OWN][ITEMS];
    vec4 query[OWN], grad[OWN];
    [[unroll]] for (uint i = 0u; i < OWN; i++)
        [[unroll]] for (uint r = 0u; r < ITEMS; r++) s[i][r] = t[i][r] = vec2(0.0);
    [[dont_unroll]] for (uint c = 0u; c < H4; c++) {
        [[unroll]] for (uint i = 0u; i < OWN; i++) {
            query[i] = q[x[i] + c];
            grad[i] = g[y[i] + c];
        }
        [[unroll]] for (uint r = 0u; r < ITEMS; r++) {
            const vec4 k = key[r * H4 + c], v = value[r * H4 + c];
            [[unroll]] for (uint i = 0u; i < OWN; i++) {
                s[i][r] = fma(query[i].xy, k.xy, s[i][r]);
                s[i][r] = fma(query[i].zw, k.zw, s[i][r]);
                t[i][r] = fma(grad[i].xy, v.xy, t[i][r]);
                t[i][r] = fma(grad[i].zw, v.zw, t[i][r]);
            }
        }
    }
    [[unroll]] for (uint i = 0u; i < OWN; i++)
        [[unroll]] for (uint r = 0u; r < ITEMS; r++) {
            score[i][r] = s[i][r].x + s[i][r].y;
            slope[i][r] = t[i][r].x + t[i][r].y;
        }
}

void main()
{
    const uint lane = gl_LocalInvocationID.x, items = p.rows * p.heads_k;
    const uint first_item = gl_WorkGroupID.x * ITEMS;
    uint kv_of[ITEMS], row_of[ITEMS], base_of[ITEMS];
    [[unroll]] for (uint r = 0u; r < ITEMS; r++) {
        const uint item = min(first_item + r, items - 1u);
        kv_of[r] = item / p.rows;
        row_of[r] = item % p.rows;
        base_of[r] = meta[row_of[r]].y;
        const uint k0 = (row_of[r] * p.ldk + p.offk) / 4u + kv_of[r] * H4;
        const uint v0 = (row_of[r] * p.ldv + p.offv) / 4u + kv_of[r] * H4;
        for (uint c = lane; c < H4; c += WIDTH) {
            key[r * H4 + c] = keys[k0 + c] * p.scale;
            value[r * H4 + c] = values[v0 + c];
        }
    }
    barrier();
    const uint sharing = p.heads / p.heads_k, last_item = min(ITEMS, items - first_item);
    uint next;
    /* Rows of one sequence and head of keys at a time: mostly all. */
    for (uint lead = 0u; lead < last_item; lead = next) {
        bool member[ITEMS];
        uint kv = 0u, base = 0u, start = 0u, end = 0u;
        [[unroll]] for (uint r = 0u; r < ITEMS; r++)
            if (r == lead) {
                kv = kv_of[r];
                base = base_of[r];
                start = row_of[r] - base;
                end = meta[row_of[r]].z - base;
            }
        next = lead;
        [[unroll]] for (uint r = 0u; r < ITEMS; r++) {
            member[r] = r >= lead && r < last_item && kv_of[r] == kv && base_of[r] == base;
            next += uint(member[r]);
        }
        vec4 dk[ITEMS][QUADS], dv[ITEMS][QUADS];
        [[unroll]] for (uint r = 0u; r < ITEMS; r++) dk[r][0] = dv[r][0] = vec4(0.0);
        for (uint h = kv * sharing; h < (kv + 1u) * sharing; h++) {
            const uint x0 = base * p.ldq / 4u + p.offq / 4u + h * H4;
            const uint y0 = base * p.ldo / 4u + p.offdo / 4u + h * H4;
            for (uint first = start / CHUNK * CHUNK; first < end; first += CHUNK) {
                const uint j = first + OWN * lane;
                uint x[OWN], y[OWN];
                float score[OWN][ITEMS], slope[OWN][ITEMS];
                [[unroll]] for (uint i = 0u; i < OWN; i++) {
                    const uint at = min(j + i, end - 1u);
                    x[i] = at * (p.ldq / 4u) + x0;
                    y[i] = at * (p.ldo / 4u) + y0;
                    [[unroll]] for (uint r = 0u; r < ITEMS; r++)
                        score[i][r] = slope[i][r] = 0.0;
                }
                if (subgroupAny(j + OWN > start && j < end))
                    weigh_queries(x, y, score, slope);
                [[unroll]] for (uint i = 0u; i < OWN; i++) {
                    const uint at = (base + min(j + i, end - 1u)) * p.heads + h;
                    const float shift = lse[at], d = delta[at];
                    [[unroll]] for (uint r = 0u; r < ITEMS; r++) {
                        const bool seen =
                            member[r] && base + j + i >= row_of[r] && j + i < end;
                        const float w = seen ? exp(score[i][r] - shift) : 0.0;
                        const uint n = OWN * lane + i;
                        pool[2u * r * CHUNK + n] = w;
                        pool[(2u * r + 1u) * CHUNK + n] = seen ? w * (slope[i][r] - d) : 0.0;
                    }
                }
                barrier();
                const uint last = min(end - 1u - first, CHUNK - 1u) / 4u;
                const uint skipped = (max(start, first) - first) / (4u * PARTS) * PARTS;
                [[dont_unroll]] for (uint b = skipped; b <= last; b += PARTS)
                    [[unroll]] for (uint e = 0u; e < 4u; e++) {
                        const uint n = 4u * (b + part()) + e, at = min(first + n, end - 1u);
                        const vec4 query = q[at * (p.ldq / 4u) + x0 + column()];
                        const vec4 grad = g[at * (p.ldo / 4u) + y0 + column()];
                        [[unroll]] for (uint r = 0u; r < ITEMS; r++) {
                            dv[r][0] = fma(vec4(pool[2u * r * CHUNK + n]), grad, dv[r][0]);
                            dk[r][0] =
                                fma(vec4(pool[(2u * r + 1u) * CHUNK + n]), query, dk[r][0]);
                        }
                    }
                barrier(); /* the weights have been read */
            }
        }
        [[unroll]] for (uint r = 0u; r < ITEMS; r++) {
            const uint c = min(lane, uint(H4) - 1u);
            const uint to = row_of[r] * p.lddk / 4u + kv * H4 + lane;
            const vec4 k = gather(dk[r], c) * p.scale, v = gather(dv[r], c);
            if (lane < uint(H4) && member[r]) {
                dkv[p.offdk / 4u + to] = k;
                dkv[p.offdv / 4u + to] = v;
            }
        }
        barrier();
    }
}

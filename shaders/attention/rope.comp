#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Rotary embedding in place, and rotated K with V into the cache: see rope_push.
 *
 * Grid  one invocation per (row, head of q and k); k heads also store their V.
 * Cost  3 FLOPs and 8 to 16 bytes an element.
 * Twin  runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Table { vec2 table[]; };
layout(binding = 1) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 2) buffer Qkv { float v[]; };
layout(binding = 3) writeonly buffer Cache { float cache[]; };
layout(push_constant) uniform Push { rope_push p; };

void main()
{
    const uint heads = p.heads_q + p.heads_k, i = gl_GlobalInvocationID.x;
    const uint row = i / heads, h = i % heads, hd2 = p.hd / 2;
    if (row >= p.rows)
        return;
    const uvec4 m = meta[row];
    const uint angles = min(m.x, p.positions - 1) * hd2;
    const bool is_key = h >= p.heads_q;
    const uint hk = h - p.heads_q;
    const uint at = row * p.ldx + (is_key ? p.offk + hk * p.hd : p.offq + h * p.hd);
    const bool store = is_key && p.store != 0 && m.y != 0xffffffffu;
    const uint to = store ? m.y * p.ldc + hk * p.hd : 0;
    for (uint c = 0; c < hd2; c++) {
        const vec2 t = table[angles + c];
        const float s = p.inverse != 0 ? -t.y : t.y;
        const float a = v[at + c], b = v[at + c + hd2];
        precise float first = a * t.x - b * s;
        precise float second = b * t.x + a * s;
        v[at + c] = first;
        v[at + c + hd2] = second;
        if (store) {
            cache[to + c] = first;
            cache[to + c + hd2] = second;
        }
    }
    if (store) {
        const uint from = row * p.ldx + p.offv + hk * p.hd;
        for (uint c = 0; c < p.hd; c++)
            cache[to + p.heads_k * p.hd + c] = v[from + c];
    }
}

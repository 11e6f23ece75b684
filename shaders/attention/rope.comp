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
layout(binding = 3) writeonly buffer Cache { uint cache[]; };
layout(push_constant) uniform Push { rope_push p; };
#include "shaders/lib/half.glsl"

/* Columns at, at + 1 of the cache; `at` is even. */
void store_pair(uint at, vec2 value)
{
    if (p.halves != 0) {
        cache[at / 2] = half_pair(value.x, value.y);
    } else {
        cache[at] = floatBitsToUint(value.x);
        cache[at + 1] = floatBitsToUint(value.y);
    }
}

/* v[at], v[at + hd / 2] rotated. */
vec2 rotate(uint at, uint angle)
{
    const vec2 t = table[angle];
    const float s = p.inverse != 0 ? -t.y : t.y;
    const float a = v[at], b = v[at + p.hd / 2];
    precise float first = a * t.x - b * s;
    precise float second = b * t.x + a * s;
    return vec2(first, second);
}

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
    for (uint c = 0; c < hd2; c += 2) {
        const vec2 one = rotate(at + c, angles + c);
        const vec2 two = rotate(at + c + 1, angles + c + 1);
        v[at + c] = one.x;
        v[at + c + 1] = two.x;
        v[at + c + hd2] = one.y;
        v[at + c + 1 + hd2] = two.y;
        if (store) {
            store_pair(to + c, vec2(one.x, two.x));
            store_pair(to + c + hd2, vec2(one.y, two.y));
        }
    }
    if (store) {
        const uint from = row * p.ldx + p.offv + hk * p.hd;
        for (uint c = 0; c < p.hd; c += 2)
            store_pair(to + p.heads_k * p.hd + c, vec2(v[from + c], v[from + c + 1]));
    }
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* Gradient of attention for queries, and delta: see attention_back_q_push.
 *
 * Grid  one invocation per (row, head); keys in order.
 * Cost  6 HD FLOPs and 8 HD bytes a key.
 * Twin  runtime/ref/ref_attention.c */

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

void main()
{
    const int i = int(gl_GlobalInvocationID.x), heads = int(p.heads);
    const int row = i / heads, h = i % heads;
    if (row >= int(p.rows))
        return;
    const uvec4 m = meta[row];
    const int kv = h / (heads / int(p.heads_k)) * H4, ldo = int(p.ldo);
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
    precise const float d = t.x + t.y + t.z + t.w, l = lse[row * heads + h];
    for (int j = 0; j <= int(m.x); j++) {
        const int at = int(m.y) + j;
        const int k0 = (at * int(p.ldk) + int(p.offk)) / 4 + kv;
        const int v0 = (at * int(p.ldv) + int(p.offv)) / 4 + kv;
        precise vec4 s = vec4(0.0), g = vec4(0.0);
        [[unroll]] for (int c = 0; c < H4; c++) {
            s = fma(qv[c], keys(k0 + c), s);
            g = fma(gv[c], values(v0 + c), g);
        }
        precise const float e = exp(s.x + s.y + s.z + s.w - l);
        precise const float ds = e * (g.x + g.y + g.z + g.w - d);
        [[unroll]] for (int c = 0; c < H4; c++)
            acc[c] = fma(vec4(ds), keys(k0 + c), acc[c]);
    }
    const int d0 = (row * int(p.lddq) + int(p.offdq)) / 4 + h * H4;
    [[unroll]] for (int c = 0; c < H4; c++) dq[d0 + c] = acc[c] * p.scale;
    delta[row * heads + h] = d;
}

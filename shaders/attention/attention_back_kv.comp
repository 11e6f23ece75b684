#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* Gradient of attention for keys and values: see attention_back_kv_push.
 *
 * Grid  one invocation per (row, kv head); heads of the group, then queries, in order.
 * Cost  8 HD FLOPs and 8 HD bytes a query.
 * Twin  runtime/ref/ref_attention.c */

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

void main()
{
    const int i = int(gl_GlobalInvocationID.x), heads_k = int(p.heads_k);
    const int row = i / heads_k, hk = i % heads_k, shared_by = int(p.heads) / heads_k;
    if (row >= int(p.rows))
        return;
    const int k0 = (row * int(p.ldk) + int(p.offk)) / 4 + hk * H4;
    const int v0 = (row * int(p.ldv) + int(p.offv)) / 4 + hk * H4;
    precise vec4 kv[H4], vv[H4], dk[H4], dv[H4];
    [[unroll]] for (int c = 0; c < H4; c++) {
        kv[c] = keys(k0 + c) * p.scale;
        vv[c] = values(v0 + c);
        dk[c] = vec4(0.0);
        dv[c] = vec4(0.0);
    }
    const int end = int(meta[row].z);
    for (int h = hk * shared_by; h < (hk + 1) * shared_by; h++)
        for (int r = row; r < end; r++) {
            const int q0 = (r * int(p.ldq) + int(p.offq)) / 4 + h * H4;
            const int g0 = (r * int(p.ldo) + int(p.offdo)) / 4 + h * H4;
            precise vec4 s = vec4(0.0), t = vec4(0.0);
            [[unroll]] for (int c = 0; c < H4; c++) {
                s = fma(q(q0 + c), kv[c], s);
                t = fma(g(g0 + c), vv[c], t);
            }
            const int at = r * int(p.heads) + h;
            precise const float e = exp(s.x + s.y + s.z + s.w - lse[at]);
            precise const float ds = e * (t.x + t.y + t.z + t.w - delta[at]);
            [[unroll]] for (int c = 0; c < H4; c++) {
                dk[c] = fma(vec4(ds), q(q0 + c), dk[c]);
                dv[c] = fma(vec4(e), g(g0 + c), dv[c]);
            }
        }
    const int dk0 = (row * int(p.lddk) + int(p.offdk)) / 4 + hk * H4;
    const int dv0 = (row * int(p.lddk) + int(p.offdv)) / 4 + hk * H4;
    [[unroll]] for (int c = 0; c < H4; c++) {
        dkv[dk0 + c] = dk[c] * p.scale;
        dkv[dv0 + c] = dv[c];
    }
}

#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Gradient of attention for queries, and delta, for GPUs: see attention_back_q_push. The
 * same bits as attention_back_q.comp.
 *
 * HD / 4 invocations share a head of a row (shaders/lib/attention_back.glsl).
 * Macros  WIDTH; TEXEL 0. HEADGROUP for the host: WIDTH / (HD / 4) items a workgroup.
 * Grid    rows * heads / ITEMS workgroups; keys in order.
 * Cost    6 HD FLOPs and 8 HD bytes a key.
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
#include "shaders/lib/attention_back.glsl"

shared vec4 query[WIDTH], grad[WIDTH];
shared float weight[WIDTH];

void main()
{
    const int heads = int(p.heads), it = item(), c = part(), ldo = int(p.ldo);
    const int lane = int(gl_LocalInvocationIndex), first = it * H4;
    const int i = int(gl_WorkGroupID.x) * ITEMS + it;
    const int row = min(i / heads, int(p.rows) - 1), h = i % heads;
    const bool idle = spare() || i / heads >= int(p.rows);
    const int base = int(meta[row].y), position = idle ? -1 : int(meta[row].x);
    const int kv = h / (heads / int(p.heads_k)) * H4;
    const int ldk = int(p.ldk), ldv = int(p.ldv);
    const int o0 = (row * ldo + int(p.offo)) / 4 + h * H4;
    const int g0 = (row * ldo + int(p.offdo)) / 4 + h * H4;
    query[lane] = q((row * int(p.ldq) + int(p.offq)) / 4 + h * H4 + c) * p.scale;
    grad[lane] = o(g0 + c);
    int last = 0;
    for (int r = first_row(heads); r <= last_row(heads); r++)
        last = max(last, int(meta[r].x));
    barrier();

    vec4 t = vec4(0.0), acc = vec4(0.0);
    for (int e = 0; e < H4; e++) t = fma(grad[first + e], o(o0 + e), t);
    const float d = t.x + t.y + t.z + t.w, l = lse[row * heads + h];
    for (int j0 = 0; j0 <= last; j0 += H4) {
        const int at = base + j0 + c;
        float own = 0.0;
        if (j0 + c <= position) {
            const int k0 = (at * ldk + int(p.offk)) / 4 + kv;
            const int v0 = (at * ldv + int(p.offv)) / 4 + kv;
            vec4 s = vec4(0.0), g = vec4(0.0);
            for (int e = 0; e < H4; e++) {
                s = fma(query[first + e], keys(k0 + e), s);
                g = fma(grad[first + e], values(v0 + e), g);
            }
            own = exp(s.x + s.y + s.z + s.w - l) * (g.x + g.y + g.z + g.w - d);
        }
        weight[lane] = own;
        barrier();
        for (int j = j0; j < j0 + H4 && j <= position; j++) {
            const int k0 = ((base + j) * ldk + int(p.offk)) / 4 + kv;
            acc = fma(vec4(weight[first + j - j0]), keys(k0 + c), acc);
        }
        barrier(); /* the weights have been read */
    }
    if (idle)
        return;
    dq[(row * int(p.lddq) + int(p.offdq)) / 4 + h * H4 + c] = acc * p.scale;
    if (c == 0)
        delta[i] = d;
}

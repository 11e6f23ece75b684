#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Gradient of attention for keys and values, for GPUs: see attention_back_kv_push. The
 * same bits as attention_back_kv.comp.
 *
 * HD / 4 invocations share a kv head of a row (shaders/lib/attention_back.glsl).
 * Macros  WIDTH; TEXEL 0. HEADGROUP for the host: WIDTH / (HD / 4) items a workgroup.
 * Grid    rows * heads_k / ITEMS workgroups; heads of the group, then queries, in order.
 * Cost    8 HD FLOPs and 8 HD bytes a query.
 * Twin    runtime/ref/ref_attention.c */

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
#include "shaders/lib/attention_back.glsl"

shared vec4 key[WIDTH], value[WIDTH];
shared vec2 weight[WIDTH]; /* of dv, of dk */

int q_at(int r, int h) { return (r * int(p.ldq) + int(p.offq)) / 4 + h * H4; }
int g_at(int r, int h) { return (r * int(p.ldo) + int(p.offdo)) / 4 + h * H4; }

/* What query row r of head h adds to dv and dk of this item, in units of g and of q. */
vec2 weigh(int first, int r, int h)
{
    vec4 s = vec4(0.0), t = vec4(0.0);
    for (int e = 0; e < H4; e++) {
        s = fma(q(q_at(r, h) + e), key[first + e], s);
        t = fma(g(g_at(r, h) + e), value[first + e], t);
    }
    const int at = r * int(p.heads) + h;
    const float w = exp(s.x + s.y + s.z + s.w - lse[at]);
    return vec2(w, w * (t.x + t.y + t.z + t.w - delta[at]));
}

void main()
{
    const int heads_k = int(p.heads_k), it = item(), c = part();
    const int lane = int(gl_LocalInvocationIndex), first = it * H4;
    const int i = int(gl_WorkGroupID.x) * ITEMS + it;
    const int row = min(i / heads_k, int(p.rows) - 1), hk = i % heads_k;
    const bool idle = spare() || i / heads_k >= int(p.rows);
    const int shared_by = int(p.heads) / heads_k, end = idle ? row : int(meta[row].z);
    key[lane] = keys((row * int(p.ldk) + int(p.offk)) / 4 + hk * H4 + c) * p.scale;
    value[lane] = values((row * int(p.ldv) + int(p.offv)) / 4 + hk * H4 + c);
    int most = 0; /* queries of the longest item */
    for (int r = first_row(heads_k); r <= last_row(heads_k); r++)
        most = max(most, int(meta[r].z) - r);

    vec4 dk = vec4(0.0), dv = vec4(0.0);
    for (int h = hk * shared_by; h < (hk + 1) * shared_by; h++)
        for (int n = 0; n < most; n += H4) {
            const int r0 = row + n;
            barrier(); /* the key is there, the last weights have been read */
            if (r0 + c < end)
                weight[lane] = weigh(first, r0 + c, h);
            barrier();
            for (int r = r0; r < r0 + H4 && r < end; r++) {
                const vec2 w = weight[first + r - r0];
                dk = fma(vec4(w.y), q(q_at(r, h) + c), dk);
                dv = fma(vec4(w.x), g(g_at(r, h) + c), dv);
            }
        }
    if (idle)
        return;
    dkv[(row * int(p.lddk) + int(p.offdk)) / 4 + hk * H4 + c] = dk * p.scale;
    dkv[(row * int(p.lddk) + int(p.offdv)) / 4 + hk * H4 + c] = dv;
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* Causal attention: see attention_push.
 *
 * One invocation is one head of one row, its HD outputs in registers; keys in blocks of
 * 8 with a running maximum; no shared memory, no barriers. Keys after the row's own
 * position add exactly nothing, so a row gives the same bits in a prefill chunk of any
 * size and in decode.
 * Macros  WIDTH; TEXEL; HALF keys and values are halves.
 * Grid    rows * heads invocations, the heads of a row side by side (equal lengths).
 * Cost    4 HD FLOPs and 8 HD bytes a key, 4 HD of halves.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
#include "shaders/lib/operand.glsl"
OPERAND(0, q)
#include "shaders/lib/keys.glsl"
KEYS(1, keys)
KEYS(2, values)
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 4) readonly buffer Table { uint table[]; };
layout(binding = 5) writeonly buffer O { vec4 o[]; };
layout(binding = 6) writeonly buffer Lse { float lse[]; };
layout(push_constant) uniform Push { attention_push p; };

/* Loads from storage are long on software devices: unrolled for the keys of a block, heads
 * of 128 took llvmpipe half a minute to compile. */
#if TEXEL
#define KEYS_OF_BLOCK [[unroll]] for (int b = 0; b < KB; b++)
#else
#define KEYS_OF_BLOCK [[dont_unroll]] for (int b = 0; b < KB; b++)
#endif
const int KB = 8;

void main()
{
    const int i = int(gl_GlobalInvocationID.x), heads = int(p.heads);
    const int row = i / heads, h = i % heads;
    if (row >= int(p.rows))
        return;
    const uvec4 m = meta[row];
    const int position = int(m.x), page = int(p.page);
    const int kv = h / (heads / int(p.heads_k)) * H4;
    const int ldk4 = int(p.ldk) / 4, ldv4 = int(p.ldv) / 4;
    const int k0 = int(p.offk) / 4 + kv, v0 = int(p.offv) / 4 + kv;
    const int q0 = (row * int(p.ldq) + int(p.offq)) / 4 + h * H4;
    precise vec4 qv[H4], acc[H4];
    [[unroll]] for (int c = 0; c < H4; c++) {
        qv[c] = q(q0 + c) * p.scale;
        acc[c] = vec4(0.0);
    }
    precise float most = -1e30, sum = 0.0;
    for (int j = 0; j <= position; j += KB) {
        /* Blocks lie within a page: pages are multiples of KB. */
        int at = int(m.y) + j;
        if (page != 0)
            at = int(table[int(m.y) + j / page]) * page + j % page;
        const int left = position - j; /* keys seen after the block's first */
        precise float s[KB], top = most;
        KEYS_OF_BLOCK {
            const int key = (at + min(b, left)) * ldk4 + k0;
            precise vec4 t = vec4(0.0);
            [[unroll]] for (int c = 0; c < H4; c++) t = fma(qv[c], keys(key + c), t);
            s[b] = mix(-1e30, t.x + t.y + t.z + t.w, b <= left);
            top = max(top, s[b]);
        }
        precise const float keep = exp(most - top);
        most = top;
        sum *= keep;
        [[unroll]] for (int c = 0; c < H4; c++) acc[c] *= keep;
        KEYS_OF_BLOCK {
            const int value = (at + min(b, left)) * ldv4 + v0;
            precise const float e = exp(s[b] - top); /* exactly 0 for keys not seen */
            sum += e;
            [[unroll]] for (int c = 0; c < H4; c++)
                acc[c] = fma(vec4(e), values(value + c), acc[c]);
        }
    }
    const int o0 = (row * int(p.ldo) + int(p.offo)) / 4 + h * H4;
    [[unroll]] for (int c = 0; c < H4; c++) o[o0 + c] = acc[c] / sum;
    if (p.want_lse != 0)
        lse[row * heads + h] = most + log(sum);
}

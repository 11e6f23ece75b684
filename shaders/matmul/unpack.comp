#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Decodes a weight into a 32-bit one of the same shape: see unpack_push.
 *
 * Lanes lie along the rows of a column of 32 codes, so that what an invocation does not
 * know beforehand (tile and group: integer divisions, which cost a software device more
 * than eight codes) is computed once for all 32, and eight rows write a line together.
 * OWN   1: rows of 16 and 32 bits, and codes with a float scale and zero or minimum (what we
 *       write ourselves); 0: all other forms. One kernel for both took three times as long
 *       for the former on SwiftShader.
 * Grid  one invocation per row and 32 codes; WIDTH divides the padded rows.
 * Cost  2 FLOPs and 4 + bits / 8 bytes an element.
 * Twin  runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND_UINT(0, codes)
OPERAND_UINT(1, scales)
layout(binding = 2) writeonly buffer Out { vec4 result[]; };
layout(push_constant) uniform Push { unpack_push p; };
#include "shaders/lib/weight_read.glsl"

/* decode_any of the two forms with float scales, without the tests that others need. */
vec4 decode_own(uvec4 q, vec2 sc, int form)
{
    const vec4 v = vec4(ivec4(q));
    precise vec4 r;
    if (form == FORM_OFFSET_) r = v * vec4(sc.x) + vec4(sc.y);
    else r = (v - vec4(sc.y)) * vec4(sc.x);
    return r;
}

void main()
{
    const int tiles = int(p.out_pad) / WIDTH, tile = int(gl_WorkGroupID.x) % tiles;
    const int k4 = int(p.in_pad) / 4, k = int(gl_WorkGroupID.x) / tiles * 8;
    const int m = tile * WIDTH + int(gl_LocalInvocationID.x);
    if (k >= k4)
        return;
    const int bits = int(p.bits), form = int(p.form), blk = m / 8, in_blk = m % 8;
    const int to = (blk * k4 + k) * 8 + in_blk;
#if OWN
    if (bits == 32) {
        for (int t = 0; t < 8; t++)
            result[to + t * 8] = uintBitsToFloat(codes(to + t * 8));
        return;
    }
    const int row = blk * (k4 * bits / 32) * 8 + in_blk;
    if (bits == 16) {
        for (int t = 0; t < 8; t++) {
            const uvec4 h = codes(row + (k + t) / 2 * 8) >> t % 2 * 16;
            result[to + t * 8] =
                form == FORM_BF16 ? uintBitsToFloat(h << 16) : half4(h & 0xffffu);
        }
        return;
    }
    const int group4 = p.group == 0 ? k4 : int(p.group) / 4, g = k / group4;
    const int pairs = ((k4 + group4 - 1) / group4 + 1) / 2;
    const vec4 s = uintBitsToFloat(scales((blk * pairs + g / 2) * 8 + in_blk));
    const vec2 sc = (g & 1) == 0 ? s.xy : s.zw;
    if (bits == 3) {
        uvec4 low = codes(row + (k / 32 * 3 + (k / 16 & 1)) * 8) >> (k / 8 & 1) * 16;
        uvec4 high = codes(row + (k / 32 * 3 + 2) * 8) >> (k / 8 & 3) * 8;
        for (int t = 0; t < 8; t++) {
            const uvec4 q = (low & 3u) | (high & 1u) << 2;
            result[to + t * 8] = decode_own(q, sc, form);
            low >>= 2;
            high >>= 1;
        }
        return;
    }
    if (bits == 2) {
        uvec4 q = codes(row + k / 16 * 8) >> (k / 8 & 1) * 16;
        for (int t = 0; t < 8; t++) {
            result[to + t * 8] = decode_own(q & 3u, sc, form);
            q >>= 2;
        }
        return;
    }
    const int each = 32 / bits;
    const uint mask = (1u << bits) - 1u;
    for (int v = 0; v < bits / 4; v++) {
        uvec4 q = codes(row + (k / each + v) * 8);
        /* of 8 bits: a group of 16 codes ends with the texel */
        const vec2 own = group4 < 8 && v == 1 ? s.zw : sc;
        for (int t = 0; t < each; t++) {
            result[to + (v * each + t) * 8] = decode_own(q & mask, own, form);
            q >>= bits;
        }
    }
#else
    weight_run run = run_open(m, k, k4, bits, int(p.group), form);
    for (int t = 0; t < 8; t++) result[to + t * 8] = run_take(run, t, bits, form);
#endif
}

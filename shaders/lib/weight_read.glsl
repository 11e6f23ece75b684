/* shaders/lib/weight_read.glsl
 * Four neighbouring elements of a weight whose bits are a push parameter, for ops that
 * are not worth a kernel per format. Needs: uvec4 codes(int), vec4 scales(int). */
#include "shaders/lib/half.glsl"

vec4 decode_any(uvec4 q, vec2 sc, int form)
{
    const vec4 v = vec4(ivec4(q));
    precise vec4 r;
    if (form == 0)
        r = (v - vec4(sc.y)) * vec4(sc.x);
    else
        r = v * vec4(sc.x) + vec4(sc.y);
    return r;
}

/* Elements (m, 4 k .. 4 k + 3). */
vec4 weight4(int m, int k, int k4, int bits, int group, int form)
{
    const int blk = m / 8, in_blk = m % 8;
    if (bits == 32)
        return uintBitsToFloat(codes((blk * k4 + k) * 8 + in_blk));
    const int texels = k4 * bits / 32;
    if (bits == 16) {
        const uvec4 h = codes((blk * texels + k / 2) * 8 + in_blk) >> (k % 2 * 16);
        return half4(h & 0xffffu);
    }
    const int group4 = group == 0 ? k4 : group / 4, g = k / group4;
    const int pairs = ((k4 + group4 - 1) / group4 + 1) / 2;
    const vec4 s = scales((blk * pairs + g / 2) * 8 + in_blk);
    const vec2 sc = (g & 1) == 0 ? s.xy : s.zw;
    if (bits == 3) {
        const int t = (blk * texels + k / 32 * 3) * 8 + in_blk;
        const uvec4 low = codes(t + (k / 16 & 1) * 8) >> (k % 16 * 2);
        const uvec4 high = codes(t + 16) >> (k % 32);
        return decode_any((low & 3u) | (high & 1u) << 2, sc, form);
    }
    const int spv = 32 / bits;
    const uvec4 q = codes((blk * texels + k / spv) * 8 + in_blk) >> (k % spv * bits);
    return decode_any(q & ((1u << bits) - 1u), sc, form);
}

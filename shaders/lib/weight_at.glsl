/* shaders/lib/weight_at.glsl
 * Four neighbouring elements of a weight of BITS bits, for kernels that decode it into
 * shared memory. Needs: operands w and (below 16 bits) scales, weight.glsl, GROUP. */

/* Elements (m, 4 k .. 4 k + 3) of a weight whose rows have 4 k4 elements. */
vec4 weight_at(int m, int k, int k4)
{
    const int blk = m / 8, in_blk = m % 8;
#if BITS == 32
    return w((blk * k4 + k) * 8 + in_blk);
#else
    const int texels = k4 * BITS / 32;
#if BITS == 16
    const uvec4 h = w((blk * texels + k / 2) * 8 + in_blk) >> (k % 2 * 16);
    return half4(h & 0xffffu);
#else
    const int group4 = GROUP == 0 ? k4 : GROUP / 4, g = k / group4;
    const int pairs = GROUP == 0 ? 1 : ((k4 + group4 - 1) / group4 + 1) / 2;
    const vec4 s = scales((blk * pairs + g / 2) * 8 + in_blk);
    const vec2 sc = (g & 1) == 0 ? s.xy : s.zw;
#if BITS == 3
    const int t = (blk * texels + k / 32 * 3) * 8 + in_blk;
    const uvec4 low = w(t + (k / 16 & 1) * 8) >> (k % 16 * 2);
    const uvec4 high = w(t + 16) >> (k % 32);
    return decode4((low & 3u) | (high & 1u) << 2, sc);
#else
    const int spv = 32 / BITS; /* vec4 steps in a texel */
    const uvec4 q = w((blk * texels + k / spv) * 8 + in_blk) >> (k % spv * BITS);
    return decode4(q & ((1u << BITS) - 1u), sc);
#endif
#endif
#endif
}

/* shaders/lib/weight_read.glsl
 * Weights in the layout of runtime/op/weight.h, whatever their bits, group and form: these are
 * parameters of every function. Kernels for GPUs give specialization constants, which the
 * driver folds; ops that are not worth a kernel per form give push parameters. Kernels for
 * software devices do neither (lib/weight.glsl): branches inside unrolled code cost
 * SwiftShader's compiler minutes.
 * Needs: uvec4 codes(int), uvec4 scales(int). k counts vec4 of a row, k4 is all of them. */
#include "shaders/lib/half.glsl"

#include "shaders/lib/weight_levels.glsl"

/* enum rt_form */
const int FORM_ZERO = 0, FORM_OFFSET_ = 1, FORM_HALF = 2, FORM_HALVES = 3, FORM_S32 = 4,
          FORM_K32 = 5, FORM_K16 = 6, FORM_K16_MIN = 7, FORM_BF16 = 8, FORM_HALF_ZERO = 9,
          FORM_FLOAT = 10, FORM_FLOAT_ZERO = 11, FORM_BFLOAT = 12, FORM_BFLOAT_ZERO = 13,
          FORM_E8M0 = 14, FORM_E4M3 = 15;

/* How the scales of a form are stored, apart from its levels. */
int scales_of(int form) { return form & 255; }

/* A value from its code, by what scale2 gives. */
vec4 decode_any(uvec4 q, vec2 sc, int form)
{
    const int levels = levels_of(form);
    const vec4 v = levels >= LEVELS_NF4 ? float_levels(q, levels) : vec4(whole_levels(q, levels));
    precise vec4 r;
    if (form == FORM_OFFSET_ || form == FORM_HALVES || form == FORM_K32 ||
        form == FORM_K16_MIN)
        r = v * vec4(sc.x) + vec4(sc.y);
    else
        r = (v - vec4(sc.y)) * vec4(sc.x);
    return r;
}

/* ---- codes ---- */

/* High bits of a code that lie apart from the low ones. */
int high_bits(int bits) { return bits == 3 ? 1 : bits == 5 || bits == 6 ? bits - 4 : 0; }
int low_bits(int bits) { return bits - high_bits(bits); }

int row_texels(int k4, int bits)
{
    if (bits == 5 || bits == 6)
        return k4 / 8 + (k4 * (bits - 4) + 31) / 32;
    return k4 * bits / 32;
}

/* Low and high bits of codes 4 k and after, lowest first in each word. */
uvec4 low_codes(int m, int k, int k4, int bits)
{
    const int row = m / 8 * row_texels(k4, bits), in_blk = m % 8;
    if (bits == 3)
        return codes((row + k / 32 * 3 + (k / 16 & 1)) * 8 + in_blk) >> (k % 16 * 2);
    const int low = low_bits(bits), spv = 32 / low;
    return codes((row + k / spv) * 8 + in_blk) >> (k % spv * low);
}

uvec4 high_codes(int m, int k, int k4, int bits)
{
    const int row = m / 8 * row_texels(k4, bits), in_blk = m % 8;
    if (bits == 3)
        return codes((row + k / 32 * 3 + 2) * 8 + in_blk) >> (k % 32);
    const int high = high_bits(bits), spv = 32 / high;
    return codes((row + k4 / 8 + k / spv) * 8 + in_blk) >> (k % spv * high);
}

/* Codes of elements (m, 4 k .. 4 k + 3) of a weight of 2 to 8 bits. */
uvec4 code4(int m, int k, int k4, int bits)
{
    const int low = low_bits(bits), high = high_bits(bits);
    uvec4 q = low_codes(m, k, k4, bits) & (1u << low) - 1u;
    if (high != 0)
        q |= (high_codes(m, k, k4, bits) & (1u << high) - 1u) << low;
    return q;
}

/* ---- scales ---- */

vec2 halves(uint word)
{
    return half4(uvec4(word & 0xffffu, word >> 16, 0u, 0u)).xy;
}

/* Word and bit i of an array in texels. */
uint bits_at(uvec4 texel, int bit) { return texel[bit / 32 & 3] >> (bit & 31); }

#include "shaders/lib/weight_blocks.glsl"

bool has_zero(int form)
{
    return form == FORM_HALF_ZERO || form == FORM_FLOAT_ZERO || form == FORM_BFLOAT_ZERO;
}

/* Bits that a group has of its own in the packed forms. */
int own_bits(int form)
{
    if (form == FORM_HALVES || form == FORM_FLOAT || form == FORM_FLOAT_ZERO)
        return 32;
    return form == FORM_K16 || form == FORM_K16_MIN || form == FORM_S32 ||
                   form == FORM_E8M0 || form == FORM_E4M3
               ? 8
               : 16;
}

/* Scale and zero of a group of the K forms: behind what groups have of their own (`texels`)
 * lie the halves of the blocks. `row` is the row's first texel before interleaving. */
vec2 block_scale(int row, int in_blk, int g, uint own, int texels, int form, float middle)
{
    const int b = form == FORM_K32 || form == FORM_S32 ? g / 8 : g / 16;
    if (form == FORM_K16 || form == FORM_S32) {
        const uint d = bits_at(scales((row + texels + b / 8) * 8 + in_blk), b * 16);
        return vec2(halves(d & 0xffffu).x * float(int(own << 24) >> 24), middle);
    }
    const vec2 dm = halves(bits_at(scales((row + texels + b / 4) * 8 + in_blk), b * 32));
    const uvec2 sl = form == FORM_K32 ? uvec2(own & 255u, own >> 8 & 255u)
                                      : uvec2(own & 15u, own >> 4 & 15u);
    return vec2(dm.x * float(sl.x), -(dm.y * float(sl.y)));
}

/* 2^(s - 128). */
float e8m0_scale(uint s)
{
    return uintBitsToFloat(s < 2u ? 0x200000u << s : s - 1u << 23);
}

/* Half of an E4M3 number times the factor of the row: see runtime/op/weight.h. */
float e4m3_scale(uint s, uvec4 row)
{
    uint i = s & 7u, exponent = s >> 3 & 15u;
    const bool is_zero = (s & 127u) == 0u;
    if (exponent == 0u) {
        const uint up = i >= 4u ? 1u : i >= 2u ? 2u : 3u;
        i = i << up & 7u;
        exponent = 1u - up;
    }
    precise float v = uintBitsToFloat(row.x) * float(8u + i);
    const int move = int(row.y << 28u - 4u * i) >> 28;
    v = uintBitsToFloat(floatBitsToUint(v) + uint(move)) *
        uintBitsToFloat(exponent + 116u << 23);
    return is_zero ? 0.0 : (s & 128u) != 0u ? -v : v;
}

/* Scale and zero (or minimum) of group g of `groups` of row m in the packed forms. */
vec2 packed_scale(int m, int g, int groups, int k4, int bits, int with_levels)
{
    const int form = scales_of(with_levels);
    const int each = own_bits(form), per = 128 / each, own = (groups + per - 1) / per;
    const int blocks = (k4 + 63) / 64, in_blk = m % 8;
    int texels = own;
    if (has_zero(form))
        texels += (groups + 15) / 16;
    else if (form == FORM_K16 || form == FORM_S32)
        texels += (blocks + 7) / 8;
    else if (form == FORM_E4M3)
        texels++;
    else if (form == FORM_K32 || form == FORM_K16_MIN)
        texels += (blocks + 3) / 4;
    const int row = m / 8 * texels;
    const uint word = bits_at(scales((row + g / per) * 8 + in_blk), g * each);
    float zero = levels_of(with_levels) != 0 ? 0.0 : float(1u << (bits - 1));
    if (form == FORM_HALVES)
        return halves(word);
    if (form == FORM_E8M0)
        return vec2(e8m0_scale(word & 255u), zero);
    if (form == FORM_E4M3)
        return vec2(e4m3_scale(word & 255u, scales((row + own) * 8 + in_blk)), zero);
    if (form == FORM_K32 || form == FORM_K16 || form == FORM_K16_MIN || form == FORM_S32)
        return block_scale(row, in_blk, g, word, own, form, zero);
    if (has_zero(form))
        zero = float(bits_at(scales((row + own + g / 16) * 8 + in_blk), g * 8) & 255u);
    if (form == FORM_FLOAT || form == FORM_FLOAT_ZERO)
        return vec2(uintBitsToFloat(word), zero);
    if (form == FORM_BFLOAT || form == FORM_BFLOAT_ZERO)
        return vec2(uintBitsToFloat(word << 16), zero);
    return vec2(halves(word & 0xffffu).x, zero);
}

/* Scale and zero (or minimum) of elements (m, 4 k .. 4 k + 3). */
vec2 scale2(int m, int k, int k4, int bits, int group, int form)
{
    const int group4 = group == 0 ? k4 : group / 4, g = k / group4;
    const int groups = (k4 + group4 - 1) / group4, pairs = (groups + 1) / 2;
    if (form >= FORM_HALF)
        return packed_scale(m, g, groups, k4, bits, form);
    const uvec4 s = scales((m / 8 * pairs + g / 2) * 8 + m % 8);
    return uintBitsToFloat((g & 1) == 0 ? s.xy : s.zw);
}

/* ---- values ---- */

/* Elements (m, 4 k .. 4 k + 3). */
vec4 weight4(int m, int k, int k4, int bits, int group, int form)
{
    const int blk = m / 8, in_blk = m % 8;
    if (bits == 32)
        return uintBitsToFloat(codes((blk * k4 + k) * 8 + in_blk));
    if (bits == 16) {
        const uvec4 h = codes((blk * (k4 / 2) + k / 2) * 8 + in_blk) >> (k % 2 * 16);
        return form == FORM_BF16 ? uintBitsToFloat(h << 16) : half4(h & 0xffffu);
    }
    if (form == FORM_TRITS)
        return trits4(m, k, k4);
    if (is_blocks(form))
        return grid_take(grid_open(m, k & ~7, k4, form), k & 7, form);
    return decode_any(code4(m, k, k4, bits), scale2(m, k, k4, bits, group, form), form);
}

/* 32 neighbouring codes of a row, read at once and taken four at a time: what is the same
 * for them is computed once. k is a multiple of 8. */
struct weight_run {
    uvec4 low, next, high;
    vec4 scale; /* of the first 16 codes, of the others */
    grid_run grid;
    ivec3 at; /* of trits */
};

weight_run run_open(int m, int k, int k4, int bits, int group, int form)
{
    weight_run r;
    if (form == FORM_TRITS)
        r.at = ivec3(m, k, k4);
    else if (is_blocks(form))
        r.grid = grid_open(m, k, k4, form);
    if (is_blocks(form))
        return r;
    r.low = low_codes(m, k, k4, bits);
    r.next = bits == 8 ? low_codes(m, k + 4, k4, bits) : r.low;
    r.high = high_bits(bits) != 0 ? high_codes(m, k, k4, bits) : r.low;
    r.scale.xy = scale2(m, k, k4, bits, group, form);
    r.scale.zw = group == 16 ? scale2(m, k + 4, k4, bits, group, form) : r.scale.xy;
    return r;
}

/* The t-th four of them: t = 0, 1, .. 7 in this order. */
vec4 run_take(inout weight_run r, int t, int bits, int form)
{
    const int low = low_bits(bits), high = high_bits(bits);
    if (form == FORM_TRITS)
        return trits4(r.at.x, r.at.y + t, r.at.z);
    if (is_blocks(form))
        return grid_take(r.grid, t, form);
    if (bits == 8 && t == 4)
        r.low = r.next;
    uvec4 q = r.low & (1u << low) - 1u;
    r.low >>= low;
    if (high != 0) {
        q |= (r.high & (1u << high) - 1u) << low;
        r.high >>= high;
    }
    return decode_any(q, t < 4 ? r.scale.xy : r.scale.zw, form);
}

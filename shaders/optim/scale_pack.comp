#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Scales and zeros of a packed weight from their parameters: see scale_pack_push.
 *
 * Grid  one invocation per row and texel that holds scales of blocks or trained zeros:
 *       2 groups (floats beside zeros), 4 (floats), 8 (halves), 16 zeros of 8 bits; 4 blocks
 *       (two halves each) or 8 (one).
 * Cost  8 bytes a number and 32 a texel.
 * Twin  runtime/ref/ref_optim.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Base { float base[]; };
layout(binding = 1) readonly buffer Parameter { float parameter[]; };
layout(binding = 2) readonly buffer Sub { uint sub[]; };
layout(binding = 3) buffer Scales { uvec4 scales[]; };
layout(push_constant) uniform Push { scale_pack_push p; };
#include "shaders/lib/scale_round.glsl"

/* enum rt_form of runtime/op/weight.h, without levels. */
const uint FORM_OFFSET_ = 1, FORM_HALVES = 3, FORM_S32 = 4, FORM_K32 = 5, FORM_K16 = 6,
           FORM_K16_MIN = 7, FORM_FLOAT = 10, FORM_FLOAT_ZERO = 11;

/* Scale of block i of all, and what belongs to it. */
float scale_at(uint i)
{
    return scale_of(base[i], parameter[i], p.rounding);
}

float zero_at(uint i)
{
    return p.zeros == SCALE_ZERO_WHOLE
               ? zero_of(base[i], parameter[i], float(p.low), float(p.high))
               : scale_at(i);
}

uint half_of(float v)
{
    return p.rounding == SCALE_F16 ? scale_half(v) : floatBitsToUint(v) >> 16;
}

/* Two groups: float scales, each beside its zero. */
uvec4 with_pairs(uvec4 texel, uint m, uint t, uint blocks)
{
    for (uint j = 0; j < 2 && 2 * t + j < p.groups; j++) {
        const uint g = 2 * t + j, i = m * blocks + g / p.per, z = p.out_pad * blocks + i;
        const uint word = p.per == 1 ? 0x101u : sub[m * p.groups + g];
        texel[2 * j] = floatBitsToUint(scale_at(i) * sub_scale(word));
        if (p.zeros == SCALE_ZERO_PRODUCT && sub_exists(word))
            texel[2 * j + 1] = floatBitsToUint(-(zero_at(z) * sub_minimum(word)));
        else if (p.zeros == SCALE_ZERO_PRODUCT)
            texel[2 * j + 1] = 0u;
        else if (p.zeros != SCALE_ZERO_FIXED)
            texel[2 * j + 1] = floatBitsToUint(zero_at(z));
    }
    return texel;
}

/* Blocks: floats, words of two halves, or halves. */
uvec4 with_numbers(uvec4 texel, uint m, uint t, uint blocks, uint each, bool is_float)
{
    for (uint j = 0; j < each && each * t + j < blocks; j++) {
        const uint i = m * blocks + each * t + j;
        if (is_float) {
            texel[j] = floatBitsToUint(scale_at(i));
        } else if (each == 4) {
            texel[j] = half_of(scale_at(i)) | half_of(zero_at(p.out_pad * blocks + i)) << 16;
        } else {
            const uint shift = j % 2 * 16;
            texel[j / 2] =
                (texel[j / 2] & ~(0xffffu << shift)) | half_of(scale_at(i)) << shift;
        }
    }
    return texel;
}

/* Zeros of 8 bits of 16 groups, each a block. */
uvec4 with_zeros(uvec4 texel, uint m, uint t)
{
    for (uint j = 0; j < 16 && 16 * t + j < p.groups; j++) {
        const uint zero = uint(zero_at((p.out_pad + m) * p.groups + 16 * t + j));
        const uint shift = j % 4 * 8;
        texel[j / 4] = (texel[j / 4] & ~(0xffu << shift)) | zero << shift;
    }
    return texel;
}

void main()
{
    const uint form = p.form & 255u, blocks = (p.groups + p.per - 1) / p.per;
    const bool is_pair = form <= FORM_OFFSET_;
    const bool is_float = form == FORM_FLOAT || form == FORM_FLOAT_ZERO;
    const bool is_word = form == FORM_HALVES || form == FORM_K32 || form == FORM_K16_MIN;
    const bool is_behind = form >= FORM_S32 && form <= FORM_K16_MIN; /* groups first */
    const bool has_bytes = !is_pair && p.zeros == SCALE_ZERO_WHOLE;
    const uint each = is_pair ? 2 : is_float || is_word ? 4 : 8;
    const uint own = ((is_pair ? p.groups : blocks) + each - 1) / each;
    const uint all = own + (has_bytes ? (p.groups + 15) / 16 : 0);
    const uint i = gl_GlobalInvocationID.x, m = i / all, t = i % all;
    if (m >= p.out_pad)
        return;
    const uint first = is_behind ? (p.groups + (form == FORM_K32 ? 7 : 15)) /
                                       (form == FORM_K32 ? 8 : 16)
                                 : 0;
    const uint at = (m / 8 * p.texels + first + t) * 8 + m % 8;
    if (t >= own)
        scales[at] = with_zeros(scales[at], m, t - own);
    else if (is_pair)
        scales[at] = with_pairs(scales[at], m, t, blocks);
    else
        scales[at] = with_numbers(scales[at], m, t, blocks, each, is_float);
}

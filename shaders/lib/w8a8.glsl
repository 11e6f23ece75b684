/* shaders/lib/w8a8.glsl
 * What the kernels of matmul_w8a8 share: operands, the scale of a row of the weight, and the
 * end of an output. The including kernel defines TEXEL. */
layout(constant_id = 11) const int FLAGS = 0;
layout(constant_id = 13) const int FORM = 0;

#include "shaders/lib/half.glsl"
#include "shaders/lib/operand.glsl"
OPERAND_UINT(0, w)
OPERAND_UINT(1, scales)
OPERAND_UINT(2, q)
OPERAND(3, u)
OPERAND(4, b)
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { matmul_w8a8_push p; };

/* The scale of row m: its only texel (enum rt_form: HALF, BFLOAT; ZERO and FLOAT). */
float row_scale(int m)
{
    const uint word = scales(m).x;
    return FORM == 2    ? half4(uvec4(word & 0xffffu)).x
           : FORM == 12 ? uintBitsToFloat(word << 16)
                        : uintBitsToFloat(word);
}

/* The scale of a row of q lies behind its codes. */
float input_scale(int row)
{
    return uintBitsToFloat(q((row * int(p.ldq) + int(p.in_pad) / 4) / 4).x);
}

/* A sum as a float: the sum itself, or what it stands for. */
float scaled(int sum, float scale_x, float scale_w)
{
    precise float v = float(sum) * scale_x;
    v = v * scale_w;
    return (FLAGS & int(MATMUL_SUMS)) != 0 ? intBitsToFloat(sum) : v;
}

/* Four ranks of the adapter, of output m and of a row, whose part `tile0` tells. */
vec4 up(int m, int k) { return b((m / 8 * (int(p.rank) / 4) + k) * 8 + m % 8); }
vec4 down(int row, int tile0, int k)
{
    const int part = (tile0 >= int(p.part1) ? 1 : 0) + (tile0 >= int(p.part2) ? 1 : 0);
    return u(row * int(p.ldu) / 4 + part * (int(p.rank) / 4) + k);
}

/* Bias and residual, and where it goes. */
void put(float v, int row, int m)
{
    const int at = row * int(p.ldy) + int(p.offy) + m;
    if ((FLAGS & int(MATMUL_BIAS)) != 0)
        v += bias[m];
    if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
        v += residual[at];
    y[at] = v;
}

/* An output of kernels that keep its sum alone until the end. */
void finish(int whole, int row, int m, int tile0)
{
    float v = scaled(whole, input_scale(row), row_scale(m));
    if ((FLAGS & int(MATMUL_LORA)) != 0)
        for (int k = 0; k < int(p.rank) / 4; k++) {
            const vec4 a = down(row, tile0, k), l = up(m, k);
            [[unroll]] for (int e = 0; e < 4; e++) v = fma(a[e], l[e], v);
        }
    put(v, row, m);
}

/* Codes of a product are multiplied and summed in floats, which is exact as long as a sum is
 * below 2^24: products are at most 2^14, so one of 1,024 is. Such a sum is then added to
 * one of whole numbers. */
const int BLOCK_TEXELS = 64;

/* Byte i of each word, two's complement. */
vec4 bytes_of(uvec4 words, int i)
{
    return vec4(ivec4(words << (24 - 8 * i)) >> 24);
}

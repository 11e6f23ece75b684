/* shaders/lib/products.glsl
 * What the kernels of rounded products (plan.products is not f32) share: operands, constants
 * and the end of an output. One kernel serves every packed form, by constants that the
 * driver folds: the decoding is outside of the hot loop here. TILE_M outputs by TILE_N
 * rows a workgroup of 128. */
layout(local_size_x = 128) in;
layout(constant_id = 10) const int GROUP = 0;
layout(constant_id = 11) const int FLAGS = 0;
layout(constant_id = 12) const int BITS = 4;
layout(constant_id = 13) const int FORM = 0;
layout(constant_id = 14) const int TILE_N_ = 64; /* rows */

layout(binding = 0) readonly buffer Codes { uvec4 code_words[]; };
layout(binding = 1) readonly buffer Scales { uvec4 scale_texels[]; };
layout(binding = 2) readonly buffer X { vec4 x[]; };
layout(binding = 3) readonly buffer U { vec4 u[]; };
layout(binding = 4) readonly buffer B { vec4 b[]; };
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { matmul_push p; };

/* The same scales by words and by pairs of words. */
layout(binding = 1) readonly buffer ScaleWords { uint scale_words[]; };
layout(binding = 1) readonly buffer ScalePairs { uvec2 scale_pairs[]; };
uvec4 codes(int i) { return code_words[i]; }
uvec4 scales(int i) { return scale_texels[i]; }
#define UNKNOWN_ZERO (gl_GlobalInvocationID.x >> 31)
#include "shaders/lib/weight_read.glsl"
#include "shaders/lib/weight_fast.glsl"

const uint THREADS = 128u;
const uint TILE_M = 64u; /* outputs */
const uint TILE_N = uint(TILE_N_);
const uint STEP = 32u;   /* inputs in shared memory at once */

/* Part of the adapter that the outputs of this tile belong to. */
uint adapter_part()
{
    const uint tile0 = gl_WorkGroupID.x * TILE_M;
    return (tile0 >= p.part1 ? 1u : 0u) + (tile0 >= p.part2 ? 1u : 0u);
}

/* Bias and residual, in floats. */
void put(uint row, uint m, float v)
{
    const uint at = row * p.ldy + p.offy + m;
    if ((FLAGS & int(MATMUL_BIAS)) != 0)
        v += bias[m];
    if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
        v += residual[at];
    y[at] = v;
}

/* What comes after the inputs, in floats: adapter, bias, residual. */
void finish(uint row, uint m, float v)
{
    if ((FLAGS & int(MATMUL_LORA)) != 0) {
        const uint part = adapter_part(), r4 = p.rank / 4u;
        for (uint k = 0u; k < r4; k++) {
            const vec4 a = u[row * p.ldu / 4u + part * r4 + k];
            const vec4 w = b[(m / 8u * r4 + k) * 8u + m % 8u];
            [[unroll]] for (int c = 0; c < 4; c++) v = fma(a[c], w[c], v);
        }
    }
    put(row, m, v);
}

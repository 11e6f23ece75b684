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
layout(constant_id = 14) const int TILE_N = 64; /* rows */

layout(binding = 0) readonly buffer Codes { uvec4 code_words[]; };
layout(binding = 1) readonly buffer Scales { uvec4 scale_words[]; };
layout(binding = 2) readonly buffer X { vec4 x[]; };
layout(binding = 3) readonly buffer U { vec4 u[]; };
layout(binding = 4) readonly buffer B { vec4 b[]; };
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { matmul_push p; };

uvec4 codes(int i) { return code_words[i]; }
uvec4 scales(int i) { return scale_words[i]; }
#include "shaders/lib/weight_read.glsl"

const int THREADS = 128;
const int TILE_M = 64; /* outputs */
const int STEP = 32;   /* inputs in shared memory at once */

/* Four inputs of a row of x, 0 beyond the last. */
vec4 x_at(int row, int k)
{
    return k < int(p.in_pad) ? x[(row * int(p.ldx) + int(p.offx) + k) / 4] : vec4(0.0);
}

/* What comes after the inputs, in floats: adapter, bias, residual. */
void finish(int row, int m, float v)
{
    if ((FLAGS & int(MATMUL_LORA)) != 0) {
        const int tile0 = int(gl_WorkGroupID.x) * TILE_M;
        const int part = (tile0 >= int(p.part1) ? 1 : 0) + (tile0 >= int(p.part2) ? 1 : 0);
        const int r4 = int(p.rank) / 4;
        for (int k = 0; k < r4; k++) {
            const vec4 a = u[row * int(p.ldu) / 4 + part * r4 + k];
            const vec4 w = b[(m / 8 * r4 + k) * 8 + m % 8];
            for (int c = 0; c < 4; c++)
                v = fma(a[c], w[c], v);
        }
    }
    const int at = row * int(p.ldy) + int(p.offy) + m;
    if ((FLAGS & int(MATMUL_BIAS)) != 0)
        v += bias[m];
    if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
        v += residual[at];
    y[at] = v;
}

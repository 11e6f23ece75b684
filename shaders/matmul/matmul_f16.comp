#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#include "shaders/push.h"

/* y[row][m] = sum_k half(x[row][k]) half(w[m][k]), then LoRA, bias and residual in floats.
 *
 * Matrix units: inputs rounded to halves, products and sums in floats. An element of the
 * result is made of the same fragments of k, in order, whatever the tile and wherever it lies
 * in it; so rows do not depend on the batch. Magnitudes above 65,504 become infinite,
 * which the statistics of the logits count.
 * Constants LM, LN, LK, SUBGROUPS: a fragment of the device (rows, outputs, inputs) and
 *         subgroups of the workgroup; others in lib/products.glsl.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs.
 * Twin    runtime/ref/ref_matmul.c, of operands rounded to halves
 * Committed as shaders/spirv/matmul_f16.inc: bench/spirv.sh makes it. */

#include "shaders/lib/products.glsl"
layout(constant_id = 15) const int LM = 16;
layout(constant_id = 16) const int LN = 16;
layout(constant_id = 17) const int LK = 16;
layout(constant_id = 18) const int SUBGROUPS = 4;

const int SPREAD = STEP + 8; /* fewer bank conflicts, still rows of 16 bytes */
const int ACROSS = TILE_M / LN;
const int EACH = ACROSS * (TILE_N / LM) / SUBGROUPS; /* fragments of a subgroup */

shared float16_t tile_w[TILE_M * SPREAD];  /* [output][input] */
shared float16_t tile_x[TILE_N * SPREAD];  /* [row][input] */
shared float result[TILE_N * TILE_M];      /* [row][output] */

void stage(int id, int tile0, int row0, int k)
{
    const int k4 = int(p.in_pad) / 4;
    for (int i = id; i < TILE_M * STEP / 4; i += THREADS) {
        const int m = i % TILE_M, kk = i / TILE_M;
        const vec4 v = k / 4 + kk < k4
                           ? weight4(tile0 + m, k / 4 + kk, k4, BITS, GROUP, FORM)
                           : vec4(0.0);
        for (int c = 0; c < 4; c++)
            tile_w[m * SPREAD + 4 * kk + c] = float16_t(v[c]);
    }
    for (int i = id; i < TILE_N * STEP / 4; i += THREADS) {
        const int kk = i % (STEP / 4), row = i / (STEP / 4);
        const vec4 v = x_at(row0 + row, k + 4 * kk);
        for (int c = 0; c < 4; c++)
            tile_x[row * SPREAD + 4 * kk + c] = float16_t(v[c]);
    }
}

void main()
{
    const int id = int(gl_LocalInvocationIndex);
    const int tile0 = int(gl_WorkGroupID.x) * TILE_M, row0 = int(gl_WorkGroupID.y) * TILE_N;
    const int first = int(gl_SubgroupID) * EACH;
    coopmat<float, gl_ScopeSubgroup, LM, LN, gl_MatrixUseAccumulator> acc[EACH];
    for (int f = 0; f < EACH; f++)
        acc[f] = coopmat<float, gl_ScopeSubgroup, LM, LN, gl_MatrixUseAccumulator>(0.0);
    for (int k = 0; k < int(p.in_pad); k += STEP) {
        barrier(); /* the last step has been read */
        stage(id, tile0, row0, k);
        barrier();
        for (int kk = 0; kk < STEP; kk += LK)
            for (int f = 0; f < EACH; f++) {
                const int row = (first + f) / ACROSS * LM, m = (first + f) % ACROSS * LN;
                coopmat<float16_t, gl_ScopeSubgroup, LM, LK, gl_MatrixUseA> a;
                coopmat<float16_t, gl_ScopeSubgroup, LK, LN, gl_MatrixUseB> w;
                coopMatLoad(a, tile_x, row * SPREAD + kk, SPREAD,
                            gl_CooperativeMatrixLayoutRowMajor);
                coopMatLoad(w, tile_w, m * SPREAD + kk, SPREAD,
                            gl_CooperativeMatrixLayoutColumnMajor);
                acc[f] = coopMatMulAdd(a, w, acc[f]);
            }
    }
    for (int f = 0; f < EACH; f++)
        coopMatStore(acc[f], result,
                     (first + f) / ACROSS * LM * TILE_M + (first + f) % ACROSS * LN, TILE_M,
                     gl_CooperativeMatrixLayoutRowMajor);
    barrier();
    for (int i = id; i < TILE_N * TILE_M; i += THREADS)
        finish(row0 + i / TILE_M, tile0 + i % TILE_M, result[i]);
}

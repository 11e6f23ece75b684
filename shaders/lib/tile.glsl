/* shaders/lib/tile.glsl
 * The product of two staged tiles, for GPUs: TILE_N rows by TILE_M columns of the
 * result, four by four an invocation, STEP contracted elements at a time in shared
 * memory. Every element of the result sums in order, in blocks (lib/sum.glsl), as the
 * lanes family does, so that the families give the same bits where fma is the same.
 * The including kernel declares local_size_x as TILE_M * TILE_N / 16. */
#include "shaders/lib/sum.glsl"
#if TILE_N < 64 /* one subgroup a workgroup: shared memory decides how many there are */
const int STEP = 16, STEP4 = STEP / 4;
#else
const int STEP = 32, STEP4 = STEP / 4;
#endif
const int SPREAD_M = TILE_M + 4, SPREAD_N = TILE_N + 4; /* fewer bank conflicts, still 16-byte rows */
const int THREADS = TILE_M * TILE_N / 16;

shared float tile_m[STEP * SPREAD_M]; /* [element][column] */
shared float tile_n[STEP * SPREAD_N]; /* [element][row] */
float acc[16], total[16]; /* [row][column]: of this block of the sum, of those before */

/* Rows 4 tile_row() .. + 3 and columns 4 tile_col() .. + 3 belong to this invocation. */
int tile_col() { return int(gl_LocalInvocationIndex) % (TILE_M / 4); }
int tile_row() { return int(gl_LocalInvocationIndex) / (TILE_M / 4); }

/* Elements 4 k4 .. 4 k4 + 3 of one row of the row operand. */
void stage_n(int k4, int row, vec4 v)
{
    [[unroll]] for (int c = 0; c < 4; c++) tile_n[(4 * k4 + c) * SPREAD_N + row] = v[c];
}

void multiply(int count4)
{
    const int m0 = 4 * tile_col(), n0 = 4 * tile_row();
    for (int k = 0; k < count4; k++)
        [[unroll]] for (int c = 0; c < 4; c++) {
            float m[4], n[4];
            [[unroll]] for (int i = 0; i < 4; i++) {
                m[i] = tile_m[(4 * k + c) * SPREAD_M + m0 + i];
                n[i] = tile_n[(4 * k + c) * SPREAD_N + n0 + i];
            }
            [[unroll]] for (int i = 0; i < 4; i++)
                [[unroll]] for (int j = 0; j < 4; j++)
                    acc[4 * i + j] = fma(n[i], m[j], acc[4 * i + j]);
        }
}

/* Call before the step that begins with element 4 k4: a block may have ended. */
void sum_begin(int k4)
{
    if (k4 % SUM_BLOCK4 == 0)
        [[unroll]] for (int i = 0; i < 16; i++) {
            total[i] = k4 == 0 ? 0.0 : total[i] + acc[i];
            acc[i] = 0.0;
        }
}

void sum_end()
{
    [[unroll]] for (int i = 0; i < 16; i++) acc[i] = total[i] + acc[i];
}

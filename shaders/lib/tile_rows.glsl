/* shaders/lib/tile_rows.glsl
 * The product of two staged tiles, for GPUs: TILE_N rows by TILE_M columns of the result, TU
 * rows by four columns an invocation, STEP contracted elements at a time in shared memory, as
 * vec4 along them: so 4 TU + 16 floats come by TU + 4 loads for 16 TU fma, and what is staged
 * need not be turned. With BY_COLUMNS the other operand is staged by element and four
 * columns instead, as the weight of a gradient comes. Every element of the result sums in
 * order, in blocks (lib/sum.glsl), as the lanes family does, so that the families give the
 * same bits where fma is the same.
 * The including kernel declares local_size_x as TILE_M TILE_N / (4 TU), and LOADS_MOST, a
 * divisor of 4: so much of a step is unrolled, as compilers load at once for what is; 0: all
 * of it. */
#include "shaders/lib/sum.glsl"
#if TILE_N < 64 /* one subgroup a workgroup: shared memory decides how many there are */
const uint STEP = 16u, STEP4 = STEP / 4u;
#else
const uint STEP = 32u, STEP4 = STEP / 4u;
#endif
const uint ACROSS = TILE_M / 4, DOWN = TILE_N / TU, THREADS = ACROSS * DOWN;
const uint ROWS_AT_ONCE = THREADS / STEP4;

shared vec4 tile_n[TILE_N * STEP4]; /* [row][4 elements] */
/* Places of a row are exchanged by its number, so that neighbours do not meet in a bank: what
 * padding would do, in less memory. */
#ifdef BY_COLUMNS
shared vec4 tile_m[STEP * ACROSS]; /* [element][4 columns] */
uint place_m(uint element, uint col4) { return element * ACROSS + (col4 ^ element / 4u % 8u); }
#else
shared vec4 tile_m[TILE_M * STEP4]; /* [column][4 elements] */
uint place_m(uint col, uint k4) { return col * STEP4 + (k4 ^ col / (8u / STEP4) % STEP4); }
#endif
vec4 acc[TU], total[TU]; /* [row][column]: of this block of the sum, of those before */

/* Rows tile_row() + DOWN i belong to this invocation; columns tile_col() + ACROSS i or,
 * BY_COLUMNS, 4 tile_col() + i. */
uint tile_col() { return gl_LocalInvocationIndex % ACROSS; }
uint tile_row() { return gl_LocalInvocationIndex / ACROSS; }

/* What this invocation stages of the rows: elements 4 stage_k() .. + 3 of the rows
 * stage_row() + ROWS_AT_ONCE i. */
uint stage_k() { return gl_LocalInvocationIndex % STEP4; }
uint stage_row() { return gl_LocalInvocationIndex / STEP4; }
void stage_n(uint i, vec4 v)
{
    tile_n[(stage_row() + ROWS_AT_ONCE * i) * STEP4 + stage_k()] = v;
}

void multiply4(uint k)
{
    vec4 m[4];
    [[unroll]] for (int i = 0; i < 4; i++)
#ifdef BY_COLUMNS
        m[i] = tile_m[place_m(4u * k + i, tile_col())];
#else
        m[i] = tile_m[place_m(tile_col(), k) + ACROSS * STEP4 * i];
#endif
    [[unroll]] for (int r = 0; r < TU; r++) {
        const vec4 n = tile_n[(tile_row() + DOWN * r) * STEP4 + k];
        [[unroll]] for (int c = 0; c < 4; c++)
#ifdef BY_COLUMNS
            acc[r] = fma(vec4(n[c]), m[c], acc[r]);
#else
            acc[r] = fma(vec4(n[c]), vec4(m[0][c], m[1][c], m[2][c], m[3][c]), acc[r]);
#endif
    }
}

void multiply(uint count4)
{
    for (uint k = 0u; k < count4; k++) multiply4(k);
}

/* A whole step. */
void multiply_step()
{
    if (LOADS_MOST == 0u)
        [[unroll]] for (uint k = 0u; k < STEP4; k++) multiply4(k);
    else
        [[dont_unroll]] for (uint k = 0u; k < STEP4; k += LOADS_MOST)
            [[unroll]] for (uint e = 0u; e < LOADS_MOST; e++) multiply4(k + e);
}

/* Before and after each block of PRODUCT_BLOCK elements. */
void block_begin()
{
    [[unroll]] for (int i = 0; i < TU; i++) acc[i] = vec4(0.0);
}
void block_end()
{
    [[unroll]] for (int i = 0; i < TU; i++) total[i] += acc[i];
}

void sum_begin()
{
    [[unroll]] for (int i = 0; i < TU; i++) total[i] = vec4(0.0);
}
/* What follows is added element by element. */
void sum_end()
{
    [[unroll]] for (int i = 0; i < TU; i++) acc[i] = total[i];
}

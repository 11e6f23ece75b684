/* shaders/lib/tile_outer.glsl
 * acc[a][b] = sum over rows of pv[row][a] qv[row][b], for GPUs: STEP rows of TILE_N columns a
 * and TILE_M columns b at a time in shared memory, as they lie: four a of a row times four b
 * of it are 16 fma for two loads. Every element sums its rows in order, without blocks, as
 * in outer.comp. Gradients of an adapter have few workgroups, so a step is long: what it
 * waits for counts, not how many fit.
 * The including kernel declares local_size_x as WIDTH = TILE_M TILE_N / (4 TU), and buffers of
 * vec4 pv and qv. Of a row an invocation issues 4 TU fma and TU / 4 + 1 loads from shared
 * memory. */
const uint STEP = 32u, ACROSS = TILE_M / 4, UP = TILE_N / 4, DOWN = TILE_N / TU;
const uint P_ROWS = WIDTH / UP, Q_ROWS = WIDTH / ACROSS; /* staged at once */

shared vec4 tile_p[STEP * UP], tile_q[STEP * ACROSS]; /* [row][4 columns] */
vec4 acc[TU];

/* An invocation has columns 4 tile_b() .. + 3 of b, 4 (tile_a() + DOWN i) .. + 3 of a. */
uint tile_b() { return gl_LocalInvocationIndex % ACROSS; }
uint tile_a() { return gl_LocalInvocationIndex / ACROSS; }

/* Rows of one operand: its first vec4 that this invocation stages, vec4 per row. */
struct outer_rows {
    uint from, ld4;
};

/* Of columns 4 first .. of p; those beyond the last, 4 count4 - 1, are any. */
outer_rows rows_of_p(uint offset, uint ld, uint first, uint count4)
{
    const uint col = min(first + gl_LocalInvocationIndex % UP, count4 - 1u);
    return outer_rows(offset / 4u + gl_LocalInvocationIndex / UP * (ld / 4u) + col, ld / 4u);
}
outer_rows rows_of_q(uint offset, uint ld, uint first, uint count4)
{
    const uint col = min(first + tile_b(), count4 - 1u);
    return outer_rows(offset / 4u + gl_LocalInvocationIndex / ACROSS * (ld / 4u) + col, ld / 4u);
}

/* The rows from `row` on, STEP or as many as there are. */
void stage(outer_rows p_at, outer_rows q_at, uint row, uint count)
{
    const uint p_row = gl_LocalInvocationIndex / UP, q_row = gl_LocalInvocationIndex / ACROSS;
    [[unroll]] for (uint i = 0u; i < STEP; i += P_ROWS)
        if (count == STEP || p_row + i < count)
            tile_p[gl_LocalInvocationIndex + i * UP] = pv[p_at.from + (row + i) * p_at.ld4];
    [[unroll]] for (uint i = 0u; i < STEP; i += Q_ROWS)
        if (count == STEP || q_row + i < count)
            tile_q[gl_LocalInvocationIndex + i * ACROSS] = qv[q_at.from + (row + i) * q_at.ld4];
}

void multiply(uint row)
{
    const vec4 q = tile_q[row * ACROSS + tile_b()];
    [[unroll]] for (int i = 0; i < TU / 4; i++) {
        const vec4 v = tile_p[row * UP + tile_a() + DOWN * i];
        [[unroll]] for (int c = 0; c < 4; c++)
            acc[4 * i + c] = fma(vec4(v[c]), q, acc[4 * i + c]);
    }
}

void sum_rows(outer_rows p_at, outer_rows q_at, uint rows)
{
    const uint whole = rows / STEP * STEP;
    [[unroll]] for (int i = 0; i < TU; i++) acc[i] = vec4(0.0);
    for (uint row = 0u; row < whole; row += STEP) {
        barrier(); /* the last step has been read */
        stage(p_at, q_at, row, STEP);
        barrier();
        [[unroll]] for (uint r = 0u; r < STEP; r++) multiply(r);
    }
    barrier();
    stage(p_at, q_at, whole, rows - whole);
    barrier();
    for (uint r = 0u; r < rows - whole; r++) multiply(r);
}

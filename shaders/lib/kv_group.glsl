/* shaders/lib/kv_group.glsl
 * Attention for GPUs, forward and backward: the second half of a workgroup's work on a
 * chunk of rows. Weights of each row of the chunk stand in shared memory, one list per
 * sum; each sum is of weight times row, four columns or more an invocation. The
 * including kernel has WIDTH, shaders/lib/head.glsl, and defines OWN, rows of a chunk
 * per invocation; LISTS, lists of weights; QUADS, vec4 that an invocation loads at once
 * and sums; SPARE. */
const uint CHUNK = OWN * WIDTH;
const uint LOADS = uint(H4) / QUADS; /* of a row */
/* Invocations that share a part of the rows, a power of two. A part has four rows, then skips
 * those of the other parts. */
const uint LANES = LOADS <= 4u    ? 4u
                   : LOADS <= 8u  ? 8u
                   : LOADS <= 16u ? 16u
                   : LOADS <= 32u ? 32u
                                  : 64u;
const uint PARTS = WIDTH / LANES;

/* By turns the weights of a chunk with SPARE floats behind them, one value per invocation
 * and list, and sums of columns. */
const uint WEIGHTS = LISTS * CHUNK, SUMS = 4u * QUADS * WIDTH;
shared float pool[WEIGHTS + SPARE > SUMS ? WEIGHTS + SPARE : SUMS];

/* This invocation: its part, and its load of a row; those beyond the last are not kept. */
uint part() { return gl_LocalInvocationID.x / LANES; }
uint column() { return min(gl_LocalInvocationID.x % LANES, LOADS - 1u); }

/* The sum of `count` parts from `first` on, at vec4 c of a row. */
vec4 add_parts(uint first, uint count, uint c)
{
    vec4 v = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < count; i++) {
        const uint at = 4u * ((first + i) * LANES * QUADS + c);
        v += vec4(pool[at], pool[at + 1u], pool[at + 2u], pool[at + 3u]);
    }
    return v;
}

/* Vec4 c, below H4, of the sum over all parts, of which each invocation has its columns:
 * of eight parts at a time, then of those. */
vec4 gather(vec4 sum[QUADS], uint c)
{
    const uint lane = gl_LocalInvocationID.x, row = LANES * QUADS;
    barrier();
    [[unroll]] for (uint i = 0u; i < 4u * QUADS; i++)
        pool[4u * QUADS * lane + i] = sum[i / 4u][i % 4u];
    barrier();
    if (PARTS <= 8u)
        return add_parts(0u, PARTS, c);
    const vec4 v = add_parts(lane / row * 8u % PARTS, 8u, lane % row);
    barrier();
    if (lane < PARTS / 8u * row)
        [[unroll]] for (uint i = 0u; i < 4u; i++) pool[4u * lane + i] = v[i];
    barrier();
    return add_parts(0u, PARTS / 8u, c);
}

/* shaders/lib/attention_back.glsl
 * Attention backward for GPUs: an item (a head of a row) is the work of H4 invocations, one per
 * vec4 of the head, so that nothing as long as a head is kept in registers. Scores are
 * made H4 at a time, one an invocation, and pass through shared memory; every sum runs
 * in the order of the kernels without shared memory, so that the bits are the same.
 * The including kernel has Meta, p, WIDTH and shaders/lib/head.glsl. */
const int ITEMS = WIDTH / H4;

/* This invocation: item `item` of the workgroup, vec4 `part` of its head. Where H4 does not
 * divide WIDTH some are spare: they only meet the others at barriers. */
bool spare() { return int(gl_LocalInvocationIndex) >= ITEMS * H4; }
int item() { return spare() ? 0 : int(gl_LocalInvocationIndex) / H4; }
int part() { return int(gl_LocalInvocationIndex) % H4; }

/* Rows of the workgroup's items, of `heads` items each: all invocations must meet at a
 * barrier equally often, so loops run to the longest of them. */
int first_row(int heads) { return int(gl_WorkGroupID.x) * ITEMS / heads; }
int last_row(int heads)
{
    return min((int(gl_WorkGroupID.x) * ITEMS + ITEMS - 1) / heads, int(p.rows) - 1);
}

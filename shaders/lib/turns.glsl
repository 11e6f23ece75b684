/* shaders/lib/turns.glsl
 * Subgroups of eight in which each invocation loads one of eight rows, which then goes round
 * all of them: where loads are made lane by lane (llvmpipe), an eighth of the loads. What
 * the invocations read differs by a tag (a sequence, a head): those of one tag have a turn
 * together, and in the turns of others they add nothing. WIDTH is 8, the subgroup.
 * Needs GL_KHR_shader_subgroup_ballot. */

/* One after the other: the lane of a broadcast is a literal. */
#define OF_LANES(step) step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7)
#define OF_BLOCK(b) [[unroll]] for (int b = 0; b < WIDTH; b++)

const uint TURN_DONE = 0xffffffffu; /* the tag of an invocation that had its turn */

/* The least and the largest of the subgroup. */
uint turn_least(uint mine)
{
    uint v = mine;
#define LEAST(i) v = min(v, subgroupBroadcast(mine, i));
    OF_LANES(LEAST)
    return v;
}

int turn_largest(int mine)
{
    int v = mine;
#define LARGEST(i) v = max(v, subgroupBroadcast(mine, i));
    OF_LANES(LARGEST)
    return v;
}

float sum_of(vec4 v)
{
    precise const float sum = v.x + v.y + v.z + v.w;
    return sum;
}

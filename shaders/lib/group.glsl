/* shaders/lib/group.glsl
 * One item (a row, or a head of one) by one invocation, or with ROWGROUP by a workgroup
 * whose partial results meet in shared memory. Columns FIRST, FIRST + STRIDE, ... are an
 * invocation's own; what is combined is combined in one order, whatever the batch. */
#if ROWGROUP
#define ITEM int(gl_WorkGroupID.x)
#define FIRST int(gl_LocalInvocationID.x)
#define STRIDE WIDTH
#define LEADER (gl_LocalInvocationID.x == 0)
shared vec4 group_part[WIDTH];

/* Combines one vec4 an invocation: a binary tree over the workgroup, the same in all. */
#define GROUP_TREE(combine)                                  \
    const uint lane = gl_LocalInvocationID.x;                \
    group_part[lane] = v;                                    \
    barrier();                                               \
    for (uint width = WIDTH / 2; width > 0; width /= 2) {    \
        if (lane < width)                                    \
            group_part[lane] =                               \
                combine(group_part[lane], group_part[lane + width]); \
        barrier();                                           \
    }                                                        \
    const vec4 total = group_part[0];                        \
    barrier();                                               \
    return total;

vec4 plus(vec4 a, vec4 b)
{
    return a + b;
}

vec4 group_sum(vec4 v)
{
    GROUP_TREE(plus)
}

vec4 group_max(vec4 v)
{
    GROUP_TREE(max)
}

/* Whether (value, id) a comes before b: the greater value, of equal ones the lower id.
 * Ids are floats: exact below 2^24, and no bits that a device may flush. */
bool leads(vec2 a, vec2 b)
{
    return a.x > b.x || (a.x == b.x && a.y <= b.y);
}

vec4 better(vec4 a, vec4 b)
{
    return leads(a.xy, b.xy) ? a : b;
}

/* (best, its id, second, its id) of two such. */
vec4 better_two(vec4 a, vec4 b)
{
    const bool first = leads(a.xy, b.xy);
    const vec4 won = first ? a : b;
    const vec2 lost = first ? b.xy : a.xy;
    return vec4(won.xy, leads(won.zw, lost) ? won.zw : lost);
}

vec4 group_best(vec4 v)
{
    GROUP_TREE(better)
}

vec4 group_best_two(vec4 v)
{
    GROUP_TREE(better_two)
}
#else
#define ITEM int(gl_GlobalInvocationID.x)
#define FIRST 0
#define STRIDE 1
#define LEADER true
#define group_sum(v) (v)
#define group_max(v) (v)
#define group_best(v) (v)
#define group_best_two(v) (v)
#endif

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_KHR_shader_subgroup_vote : require
#include "shaders/push.h"

/* Causal attention, one workgroup per row and head of keys: see attention_push.
 *
 * HEADS of the heads that share a head of keys are one workgroup's, mostly all, so that
 * keys, values and their addresses are read once for all of them. Keys go by in chunks,
 * at absolute positions. An invocation first scores OWN keys of the chunk with all
 * heads. Then, with the weights of all keys in shared memory, it sums columns of the
 * values over a part of the chunk's keys, in order; parts are added up at the end. The
 * sum of the weights that an invocation made stays with it until the end, too. Nothing
 * of this depends on the batch, and keys after the row's own add exactly nothing.
 * Macros  WIDTH 256; HALF keys and values are halves; ROWGROUP and KVGROUP for the
 *         host.
 * Grid    rows * heads_k * (workgroups that share a head of keys).
 * Cost    4 HD FLOPs a key and head; 8 HD bytes a key and workgroup, 4 HD of halves. A
 *         chunk: 5 barriers, 4 of one or two heads. Of OWN keys an invocation issues
 *         2 OWN HD HEADS fma and OWN HD / 2 loads (of halves OWN HD / 4; 3 OWN HD / 8
 *         with more than four heads), HEADS HD / 4 loads of queries and
 *         HEADS OWN HD / 16 of weights (half as many of halves with up to four heads)
 *         from shared memory.
 * Twin    runtime/ref/ref_attention.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/head.glsl"
layout(constant_id = 11) const uint HEADS = 1u; /* of a workgroup, up to 8 */
layout(constant_id = 12) const uint PAGE = 0u;  /* p.page */
/* Loads of a key that are issued at once, half of more than four heads; 0: as many as pay.
 * The sums and their order are the same. */
layout(constant_id = 13) const uint LOADS_MOST = 0u;
layout(binding = 0) readonly buffer Q { vec4 q[]; };
#include "shaders/lib/keys.glsl"
KEYS_WIDE(1, keys)
KEYS_WIDE(2, values)
layout(binding = 3) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 4) readonly buffer Table { uint table[]; };
layout(binding = 5) writeonly buffer O { vec4 o[]; };
layout(binding = 6) writeonly buffer Lse { float lse[]; };
layout(push_constant) uniform Push { attention_push p; };

/* vec4 of a load of keys, and of values: more than four heads keep one each in registers. */
#if HALF
const uint K_QUADS = HD % 8 != 0 ? 1u : LOADS_MOST == 0u ? 2u : HEADS <= 4u ? 2u : 1u;
#else
const uint K_QUADS = 1u;
#endif
const uint QUADS = HEADS <= 4u ? K_QUADS : 1u;
const uint K_LOADS = uint(H4) / K_QUADS; /* of a row */
/* Bytes of a load. */
const uint K_BYTES = K_QUADS * QUAD_BYTES, V_BYTES = QUADS * QUAD_BYTES;
/* Loads of keys, and of values of four keys each, of a round: loops are unrolled as far as
 * there is work for few heads, and registers for what they load. */
const uint K_MOST = LOADS_MOST != 0u ? LOADS_MOST / (HEADS > 4u ? 2u : 1u)
                    : HEADS == 1u    ? 8u * K_QUADS
                    : HEADS == 2u    ? 8u
                                     : 2u;
const uint K_FIT = K_LOADS % 16u == 0u  ? 16u
                   : K_LOADS % 8u == 0u ? 8u
                   : K_LOADS % 4u == 0u ? 4u
                   : K_LOADS % 2u == 0u ? 2u
                                        : 1u;
const uint K_STEP = K_FIT < K_MOST ? K_FIT : K_MOST;
const uint V_STEP = HEADS == 1u && LOADS_MOST == 0u ? 4u : 1u;

const uint OWN = HEADS == 1u ? 4u : 2u;
#define LISTS HEADS
/* Of few heads, what the tree begins with stands beside the weights: that spares a barrier
 * per chunk. Of more it would cost workgroups, by the memory that it takes. */
const bool BESIDE = HEADS <= 2u;
const uint SPARE = BESIDE ? HEADS * WIDTH : 0u;
#include "shaders/lib/kv_group.glsl"
/* Of queries, so that a weight is a power of 2: exp2 is one instruction, exp two. */
const float LOG2_E = 1.4426950408889634;
shared vec4 query[HEADS * H4];
shared uint place[CHUNK]; /* first load of the values of each key of the chunk */
shared float best[HEADS * 32u], best_of[HEADS * 4u];

/* Row of K and V that holds key j. */
uint row_of_key(uint base, uint j)
{
    return PAGE == 0u ? base + j : table[base + j / PAGE] * PAGE + j % PAGE;
}

/* Adds K_STEP loads from load c on of the keys that begin at bytes `at` to their products
 * with all heads, of even and of odd columns. */
void add_products(uint c, uint at[OWN], inout vec2 t[OWN][HEADS])
{
    vec4 k[OWN][2];
    [[unroll]] for (uint e = 0u; e < K_STEP; e++) {
        [[unroll]] for (uint i = 0u; i < OWN; i++)
            keys(K_QUADS, at[i] + (c + e) * K_BYTES, k[i]);
        [[unroll]] for (uint u = 0u; u < K_QUADS; u++)
            [[unroll]] for (uint h = 0u; h < HEADS; h++) {
                const vec4 x = query[h * H4 + (c + e) * K_QUADS + u];
                [[unroll]] for (uint i = 0u; i < OWN; i++) {
                    t[i][h] = fma(x.xy, k[i][u].xy, t[i][h]);
                    t[i][h] = fma(x.zw, k[i][u].zw, t[i][h]);
                }
            }
    }
}

/* Scores of the keys that begin at bytes `at`, with all heads. */
void score_keys(uint at[OWN], out float score[OWN][HEADS])
{
    vec2 t[OWN][HEADS];
    [[unroll]] for (uint i = 0u; i < OWN; i++)
        [[unroll]] for (uint h = 0u; h < HEADS; h++) t[i][h] = vec2(0.0);
    if (K_STEP == K_LOADS)
        add_products(0u, at, t);
    else
        [[dont_unroll]] for (uint c = 0u; c < K_LOADS; c += K_STEP)
            add_products(c, at, t);
    [[unroll]] for (uint i = 0u; i < OWN; i++)
        [[unroll]] for (uint h = 0u; h < HEADS; h++) score[i][h] = t[i][h].x + t[i][h].y;
}

/* Makes of a value per invocation and head one per head, the same in all invocations: a
 * tree of 8, 8 and 4. */
float plus(float a, float b)
{
    return a + b;
}
#define OF_FOUR(f, a, i) f(f(a[i], a[i + 1u]), f(a[i + 2u], a[i + 3u]))
#define OF_EIGHT(f, a, i) f(OF_FOUR(f, a, i), OF_FOUR(f, a, i + 4u))
#define TREE(name, f)                                                             \
    void name(uint lane, inout float v[HEADS])                                    \
    {                                                                             \
        const uint own = BESIDE ? WEIGHTS : 0u;                                   \
        [[unroll]] for (uint h = 0u; h < HEADS; h++)                              \
            pool[own + h * WIDTH + lane] = v[h];                                  \
        barrier();                                                                \
        if (lane < HEADS * WIDTH / 8u)                                            \
            best[lane] = OF_EIGHT(f, pool, own + 8u * lane);                      \
        barrier();                                                                \
        if (lane < HEADS * WIDTH / 64u)                                           \
            best_of[lane] = OF_EIGHT(f, best, 8u * lane);                         \
        barrier();                                                                \
        [[unroll]] for (uint h = 0u; h < HEADS; h++) v[h] = OF_FOUR(f, best_of, 4u * h); \
    }
TREE(greatest, max)
TREE(total, plus)

void main()
{
    const uint sharing = p.heads / p.heads_k, lane = gl_LocalInvocationID.x;
    const uint groups = (sharing + HEADS - 1u) / HEADS; /* that share a head of keys */
    const uint kv = gl_WorkGroupID.x / groups % p.heads_k;
    const uint row = gl_WorkGroupID.x / (groups * p.heads_k);
    const uint h0 = kv * sharing + gl_WorkGroupID.x % groups * HEADS;
    const uint heads = min(HEADS, (kv + 1u) * sharing - h0); /* that are written */
    const uint position = meta[row].x, base = meta[row].y;
    const uint ldk = p.ldk / (4u * K_QUADS) * K_BYTES;
    const uint ldv = p.ldv / (4u * QUADS);
    const uint k0 = (p.offk / (4u * K_QUADS) + kv * K_LOADS) * K_BYTES;
    const uint v0 =
        (p.offv / (4u * QUADS) + column()) * V_BYTES + kv * (LOADS * V_BYTES);
    for (uint c = lane; c < HEADS * H4; c += WIDTH) {
        const uint h = h0 + min(c / H4, heads - 1u);
        query[c] = q[(row * p.ldq + p.offq) / 4u + h * H4 + c % H4] * (p.scale * LOG2_E);
    }
    vec4 acc[HEADS][QUADS];
    float most[HEADS], sum[HEADS];
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
        [[unroll]] for (uint u = 0u; u < QUADS; u++) acc[h][u] = vec4(0.0);
        most[h] = -1e30;
        sum[h] = 0.0;
    }
    barrier();
    for (uint first = 0u; first <= position; first += CHUNK) {
        const uint j = first + OWN * lane, seen = min(j, position);
        const uint left = position - seen; /* keys that follow it, 0 if it is not seen */
        const uint nearest = row_of_key(base, seen); /* pages are multiples of 8 */
        uint at[OWN];
        float score[OWN][HEADS], top[HEADS]; /* of keys out of reach undefined at first */
        [[unroll]] for (uint i = 0u; i < OWN; i++) {
            at[i] = nearest * ldk + k0 + min(i, left) * ldk;
            if (!BESIDE)
                place[OWN * lane + i] = (nearest + min(i, left)) * ldv;
        }
        if (subgroupAny(j <= position)) /* spares most of the work of short sequences */
            score_keys(at, score);
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            [[unroll]] for (uint i = 0u; i < OWN; i++) {
                const bool in_reach = i == 0u ? j <= position : i <= left;
                score[i][h] = in_reach ? score[i][h] : -1e30;
                top[h] = i == 0u ? score[i][h] : max(top[h], score[i][h]);
            }
        }
        greatest(lane, top);
        if (BESIDE) /* not before: the places of the last chunk were still read */
            [[unroll]] for (uint i = 0u; i < OWN; i++)
                place[OWN * lane + i] = (nearest + min(i, left)) * ldv;
        [[unroll]] for (uint h = 0u; h < HEADS; h++) {
            top[h] = max(most[h], top[h]);
            const float keep = exp2(most[h] - top[h]);
            most[h] = top[h];
            sum[h] *= keep;
            [[unroll]] for (uint i = 0u; i < OWN; i++) {
                const float w = exp2(score[i][h] - top[h]); /* exactly 0 for keys not seen */
                pool[h * CHUNK + OWN * lane + i] = w;
                sum[h] += w;
            }
            [[unroll]] for (uint u = 0u; u < QUADS; u++) acc[h][u] *= keep;
        }
        barrier();
        const uint last = min(position - first, CHUNK - 1u) / 4u;
        uint b = 0u; /* of 4 keys */
        [[dont_unroll]] do {
            [[unroll]] for (uint e = 0u; e < 4u * V_STEP; e++) {
                const uint n = 4u * (b + e / 4u * PARTS + part()) + e % 4u;
                vec4 v[2];
                values(QUADS, place[n] * V_BYTES + v0, v);
                [[unroll]] for (uint h = 0u; h < HEADS; h++)
                    [[unroll]] for (uint u = 0u; u < QUADS; u++)
                        acc[h][u] = fma(vec4(pool[h * CHUNK + n]), v[u], acc[h][u]);
            }
            b += V_STEP * PARTS;
        } while (b <= last);
        if (!BESIDE)
            barrier(); /* the weights have been read */
    }
    total(lane, sum);
    [[unroll]] for (uint h = 0u; h < HEADS; h++) {
        const vec4 v = gather(acc[h], min(lane, uint(H4) - 1u)) / sum[h];
        if (lane < uint(H4) && h < heads)
            o[(row * p.ldo + p.offo) / 4u + (h0 + h) * H4 + lane] = v;
        if (p.want_lse != 0u && lane == 0u && h < heads)
            lse[row * p.heads + h0 + h] = most[h] / LOG2_E + log(sum[h]);
    }
}

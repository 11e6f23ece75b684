/* shaders/lib/weight_fast.glsl
 * Weights for GPU kernels, 32 neighbouring codes of a row at a time, with loops that a
 * compiler unrolls. The values are those of run_take (lib/weight_read.glsl), bit for bit, in
 * fewer operations: what is the same for a row is computed once, indices are unsigned, so
 * that divisions are shifts, scales are read by the word, and a code becomes a float without
 * a conversion.
 *
 * For that, a code q is put into the mantissa of a power of two, 12 bits or more from its low
 * end, which makes the float M + q with M = 2048 at most. The difference to M is exact. With
 * a scale of a half even (M + q) s and (M + zero) s are exact (12 bits times 11), so that
 * one fma gives (q - zero) s, whether it rounds once or twice. Such a weight costs an and-or
 * and an fma, and a shift per 8 bits of codes; other forms one or two operations more.
 * Needs: constants GROUP, BITS, FORM; codes(), scales(); arrays scale_words and scale_pairs,
 * of scales() by words and by pairs of words; UNKNOWN_ZERO, a number that is 0 but not to
 * the compiler: masks then stay in registers, as NVIDIA takes one constant an instruction. */

const bool GRIDS = FORM >= FORM_TRITS && FORM <= FORM_IQ1_M;
/* Forms that are not read here, but by run_open. */
const bool FOREIGN = GRIDS || FORM > 255 || FORM == FORM_E4M3;
const int LOW_BITS = BITS == 3 ? 2 : BITS == 5 || BITS == 6 ? 4 : BITS;
const int HIGH_BITS = BITS - LOW_BITS;
const bool GROUP_ZERO =
    FORM == FORM_HALF_ZERO || FORM == FORM_FLOAT_ZERO || FORM == FORM_BFLOAT_ZERO;
/* value = (code - zero) * scale, the scale a half; zero a whole number; else = code * scale +
 * minimum, the product exact in a float. */
const bool HALF_SCALE = FORM == FORM_HALF || FORM == FORM_HALF_ZERO;
const bool WHOLE_ZERO = FORM != FORM_ZERO && FORM != FORM_OFFSET_;
const bool EXACT_MINIMUM = FORM == FORM_HALVES || FORM == FORM_K32 || FORM == FORM_K16_MIN;

/* A row: its first texels of codes, of high bits, of what groups have for themselves, and of
 * what lies behind that (zeros of groups, or halves of blocks). */
struct fast_row {
    uint m, k4, low, high, own, behind;
    uint texels, own_texels; /* from one block of 8 rows to the next */
};

/* Texels of a row that hold what groups have for themselves. */
uint own_texels(uint k4)
{
    const uint groups = GROUP == 0 ? 1u : (k4 + uint(GROUP) / 4u - 1u) / (uint(GROUP) / 4u);
    if (FORM < FORM_HALF)
        return (groups + 1u) / 2u;
    const uint per = 128u / uint(own_bits(FORM));
    return (groups + per - 1u) / per;
}

fast_row fast_row_of(uint m, uint k4)
{
    fast_row r;
    const uint blocks = (k4 + 63u) / 64u, own = own_texels(k4);
    const uint groups = GROUP == 0 ? 1u : (k4 + uint(GROUP) / 4u - 1u) / (uint(GROUP) / 4u);
    const uint texels = BITS >= 16 ? k4 * uint(BITS) / 32u
                        : BITS == 5 || BITS == 6
                            ? k4 / 8u + (k4 * uint(HIGH_BITS) + 31u) / 32u
                            : k4 * uint(BITS) / 32u;
    const uint behind = GROUP_ZERO ? (groups + 15u) / 16u
                        : FORM == FORM_K16 || FORM == FORM_S32 ? (blocks + 7u) / 8u
                        : FORM == FORM_K32 || FORM == FORM_K16_MIN ? (blocks + 3u) / 4u
                                                                   : 0u;
    r.m = m;
    r.k4 = k4;
    r.texels = texels * 8u;
    r.own_texels = (own + behind) * 8u;
    r.low = m / 8u * r.texels + m % 8u;
    r.high = r.low + (BITS == 3 ? 16u : k4 / 8u * 8u);
    r.own = m / 8u * r.own_texels + m % 8u;
    r.behind = r.own + own * 8u;
    return r;
}

/* The row 8 `blocks` further down. */
void fast_advance(inout fast_row r, uint blocks)
{
    r.m += 8u * blocks;
    r.low += blocks * r.texels;
    r.high += blocks * r.texels;
    r.own += blocks * r.own_texels;
    r.behind += blocks * r.own_texels;
}

/* ---- scales ---- */

/* Number i, of `each` bits, of an array in texels that begins with texel `first`. */
uint scale_number(uint first, uint i, uint each)
{
    const uint bit = i * each;
    return scale_words[4u * (first + bit / 128u * 8u) + bit / 32u % 4u] >> bit % 32u;
}

/* Scale and zero (or minimum) of group g. */
vec2 fast_scale(fast_row r, uint g)
{
    if (FORM < FORM_HALF)
        return uintBitsToFloat(scale_pairs[2u * (r.own + g / 2u * 8u) + g % 2u]);
    const uint word = scale_number(r.own, g, uint(own_bits(FORM)));
    float zero = float(1 << (BITS - 1));
    if (GROUP_ZERO)
        zero = float(scale_number(r.behind, g, 8u) & 255u);
    if (FORM == FORM_HALVES)
        return halves(word);
    if (FORM == FORM_E8M0)
        return vec2(e8m0_scale(word & 255u), zero);
    if (FORM == FORM_FLOAT || FORM == FORM_FLOAT_ZERO)
        return vec2(uintBitsToFloat(word), zero);
    if (FORM == FORM_BFLOAT || FORM == FORM_BFLOAT_ZERO)
        return vec2(uintBitsToFloat(word << 16), zero);
    if (FORM == FORM_K16 || FORM == FORM_S32) {
        const uint d = scale_number(r.behind, FORM == FORM_S32 ? g / 8u : g / 16u, 16u);
        return vec2(halves(d & 0xffffu).x * float(int(word << 24) >> 24), zero);
    }
    if (FORM == FORM_K32 || FORM == FORM_K16_MIN) {
        const vec2 dm = halves(scale_number(r.behind, FORM == FORM_K32 ? g / 8u : g / 16u, 32u));
        const uint bits = FORM == FORM_K32 ? 8u : 4u, mask = (1u << bits) - 1u;
        return vec2(dm.x * float(word & mask), -(dm.y * float(word >> bits & mask)));
    }
    return vec2(halves(word & 0xffffu).x, zero);
}

/* ---- codes ---- */

/* Codes 32 j .. 32 j + 31 of a row. */
weight_run fast_open(fast_row f, uint j)
{
    weight_run r;
    if (FOREIGN)
        return run_open(int(f.m), int(8u * j), int(f.k4), BITS, GROUP, FORM);
    const uint low = BITS == 8 ? 2u * j : BITS == 3 ? j / 4u * 3u + j / 2u % 2u : BITS == 2 ? j / 2u : j;
    r.low = codes(int(f.low + low * 8u));
    if (LOW_BITS == 2)
        r.low >>= j % 2u * 16u;
    r.next = BITS == 8 ? codes(int(f.low + low * 8u + 8u)) : r.low;
    r.high = r.low;
    if (HIGH_BITS != 0) {
        const uint high = BITS == 3 ? j / 4u * 3u : BITS == 5 ? j / 4u : j / 2u;
        r.high = codes(int(f.high + high * 8u)) >> (BITS == 6 ? j % 2u * 16u : j % 4u * 8u);
    }
    const uint groups = GROUP == 16 ? 2u : 1u;
    const uint g = GROUP == 0 ? 0u : GROUP == 16 ? 2u * j : j / (uint(GROUP) / 32u);
    r.scale.xy = fast_scale(f, g);
    r.scale.zw = GROUP == 16 ? fast_scale(f, g + 1u) : r.scale.xy;
    return r;
}

/* The run from its four of codes `t` on; t + i is then i. */
void fast_skip(inout weight_run r, uint t)
{
    if (BITS == 8 && t >= 4u)
        r.low = r.next;
    r.low >>= (BITS == 8 ? t % 4u : t) * uint(LOW_BITS);
    if (HIGH_BITS != 0)
        r.high >>= t * uint(HIGH_BITS);
    if (GROUP == 16 && t >= 4u)
        r.scale.xy = r.scale.zw;
}

/* Bits from..from + count - 1 of every word, moved to `at`. */
uvec4 field(uvec4 v, int from, int at, int count)
{
    const uint mask = ((1u << count) - 1u << at) + UNKNOWN_ZERO;
    return (at >= from ? v << at - from : v >> from - at) & mask;
}

float hidden(float v) { return uintBitsToFloat(floatBitsToUint(v) + UNKNOWN_ZERO); }

/* The t-th four of a run from which `skipped` were skipped; cheap where t is a constant. */
vec4 fast_take(weight_run r, int t, uint skipped)
{
    if (FORM == FORM_TRITS)
        return trits4(r.at.x, r.at.y + int(skipped) + t, r.at.z);
    if (GRIDS)
        return grid_take(r.grid, int(skipped) + t, FORM);
    const uvec4 low = BITS == 8 && t >= 4 ? r.next : r.low;
    const int from = (BITS == 8 ? t & 3 : t) * LOW_BITS;
    const vec2 scale = t < 4 ? r.scale.xy : r.scale.zw;
    if (FOREIGN) {
        uvec4 q = field(low, from, 0, LOW_BITS);
        if (HIGH_BITS != 0)
            q |= field(r.high, t * HIGH_BITS, LOW_BITS, HIGH_BITS);
        return decode_any(q, scale, FORM);
    }
    const int at = 12 + from % 8;
    const uint power = uint(150 - at) << 23;
    uvec4 bits = field(low, from, at, LOW_BITS) | power;
    if (HIGH_BITS != 0)
        bits |= field(r.high, t * HIGH_BITS, at + LOW_BITS, HIGH_BITS);
    const vec4 v = uintBitsToFloat(bits);
    const float M = uintBitsToFloat(power);
    if (HALF_SCALE) /* hidden, so that no compiler takes the difference first */
        return fma(v, vec4(scale.x), vec4(hidden(-(M + scale.y) * scale.x)));
    precise vec4 w;
    if (EXACT_MINIMUM)
        w = fma(v - M, vec4(scale.x), vec4(scale.y));
    else if (FORM == FORM_OFFSET_)
        w = (v - M) * scale.x + scale.y;
    else if (WHOLE_ZERO)
        w = (v - (M + scale.y)) * scale.x;
    else
        w = (v - M - scale.y) * scale.x;
    return w;
}

/* Elements 4 k .. 4 k + 3 of a row of floats or halves. */
vec4 fast_float4(fast_row f, uint k)
{
    if (BITS == 32)
        return uintBitsToFloat(codes(int(f.low + k * 8u)));
    const uvec4 h = codes(int(f.low + k / 2u * 8u)) >> k % 2u * 16u;
    return FORM == FORM_BF16 ? uintBitsToFloat(h << 16) : half4(h & 0xffffu);
}

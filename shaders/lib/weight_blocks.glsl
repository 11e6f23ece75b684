/* shaders/lib/weight_blocks.glsl
 * The block forms of runtime/op/weight_blocks.h: ternary numbers five a byte, and rows of
 * grids by index with signs. Part of lib/weight_read.glsl; k and k4 count vec4 of a row.
 *
 * Of 32 elements a texel each is read for indices, signs, `extra` and the half; of every 4
 * (IQ3) or 8 one texel of the grid, which lies in front of the scales: about 20 operations
 * on whole numbers and 3 FLOPs per 4 elements. */

const int FORM_TRITS = 16, FORM_IQ3_XXS = 17, FORM_IQ3_S = 18, FORM_IQ2_XXS = 19,
          FORM_IQ2_XS = 20, FORM_IQ2_S = 21, FORM_IQ1_S = 22, FORM_IQ1_M = 23;

bool is_blocks(int form) { return form >= FORM_TRITS && form <= FORM_IQ1_M; }

/* ---- trits ---- */

/* Elements (m, 4 k .. 4 k + 3): the same digit of four bytes of a word. */
vec4 trits4(int m, int k, int k4)
{
    const int blocks = k4 / 64, b = k / 64, i = k % 64, in_blk = m % 8;
    const int row = m / 8 * ((blocks * 27 + 7) / 8);
    const int digit = i < 40 ? i / 8 : i < 60 ? (i - 40) / 4 : i - 60;
    const int word = b * 13 + (i < 40 ? i % 8 : i < 60 ? 8 + i % 4 : 12);
    const uint bytes = codes((row + word / 4) * 8 + in_blk)[word & 3];
    const uint power = digit < 3 ? (digit == 0 ? 1u : digit == 1 ? 3u : 9u)
                                 : (digit == 3 ? 27u : 81u);
    const uvec4 q = (uvec4(bytes, bytes >> 8, bytes >> 16, bytes >> 24) & 255u) * power & 255u;
    const int half_ = blocks * 26 + b;
    const uint d = bits_at(codes((row + half_ / 8) * 8 + in_blk), half_ * 16) & 0xffffu;
    return vec4(ivec4(q * 3u >> 8) - 1) * halves(d).x;
}

/* ---- grids ---- */

/* Texels of the grid. */
int grid_texels(int form)
{
    if (form == FORM_IQ3_XXS || form == FORM_IQ2_XXS)
        return 32;
    return form == FORM_IQ3_S || form == FORM_IQ2_XS ? 64 : form == FORM_IQ2_S ? 128 : 256;
}

bool is_iq3(int form) { return form == FORM_IQ3_XXS || form == FORM_IQ3_S; }
bool is_xxs(int form) { return form == FORM_IQ3_XXS || form == FORM_IQ2_XXS; }
bool is_iq1(int form) { return form == FORM_IQ1_S || form == FORM_IQ1_M; }

/* 32 elements from 4 k on, k a multiple of 8. */
struct grid_run {
    uvec2 index;
    uint signs, extra;
    vec2 scale; /* of the first 16, of the others */
};

/* Numbers of the scales of both halves, and the half, of IQ1_M. */
uvec3 iq1_m_scales(uvec4 texel, int g)
{
    const uvec2 w = (g / 8 & 1) == 0 ? texel.xy : texel.zw;
    const uint d = (w.x >> 12 & 15u) | (w.x >> 28) << 4 | (w.y >> 12 & 15u) << 8 |
                   (w.y >> 28) << 12;
    const uint own = ((g & 4) == 0 ? w.x : w.y) >> (g & 2) * 8 >> (g & 1) * 6;
    return uvec3(own & 7u, own >> 3 & 7u, d);
}

/* The same of the others. */
uvec3 grid_scales(uvec4 texel, int g, uint signs, uint extra, int form)
{
    const uint d = bits_at(texel, g / 8 * 16) & 0xffffu;
    if (is_xxs(form))
        return uvec3(uvec2(signs >> 28), d);
    if (form == FORM_IQ1_S)
        return uvec3(uvec2(extra >> 12 & 7u), d);
    if (form == FORM_IQ3_S)
        return uvec3(uvec2(extra >> 8 & 15u), d);
    const uint own = form == FORM_IQ2_S ? extra >> 8 : extra;
    return uvec3(own & 15u, own >> 4 & 15u, d);
}

grid_run grid_open(int m, int k, int k4, int form)
{
    grid_run r;
    const int g = k / 8, groups = k4 / 8, in_blk = m % 8;
    const bool two = is_iq3(form) || form == FORM_IQ2_XS;
    const bool has_signs = is_xxs(form) || form == FORM_IQ3_S || form == FORM_IQ2_S;
    const int indices = two ? k4 / 16 : k4 / 32;
    const int row = m / 8 * (indices + (has_signs ? k4 / 32 : 0));
    if (two) {
        const uvec4 v = codes((row + g / 2) * 8 + in_blk);
        r.index = (g & 1) == 0 ? v.xy : v.zw;
    } else {
        r.index = uvec2(bits_at(codes((row + g / 4) * 8 + in_blk), g * 32), 0u);
    }
    r.signs = has_signs ? bits_at(codes((row + indices + g / 4) * 8 + in_blk), g * 32) : 0u;

    const int each = is_xxs(form) ? 0 : form == FORM_IQ2_XS ? 8 : 16;
    const int own = (groups * each + 127) / 128;
    const int blocks = form == FORM_IQ1_M ? (k4 / 64 + 1) / 2 : (k4 / 64 + 7) / 8;
    const int first = grid_texels(form) + (m / 8 * (own + blocks)) * 8 + in_blk;
    r.extra = each == 0 ? 0u
                        : bits_at(scales(first + g * each / 128 * 8), g * each) &
                              (1u << each) - 1u;
    const uvec4 block = scales(first + (own + (form == FORM_IQ1_M ? g / 16 : g / 64)) * 8);
    const uvec3 s = form == FORM_IQ1_M ? iq1_m_scales(block, g)
                                       : grid_scales(block, g, r.signs, r.extra, form);
    const float unit = form == FORM_IQ3_S ? 1.0 : form == FORM_IQ3_XXS ? 0.25 : 0.125;
    r.scale = vec2(ivec2(s.xy * 2u + 1u)) * (halves(s.z).x * unit);
    return r;
}

/* Row i of the grid, in 16 bits. */
uint grid_row(uint i)
{
    return scales(int(i / 8u))[i / 2u & 3u] >> (i & 1u) * 16u & 0xffffu;
}

/* Seven signs with the eighth, which makes their number even. */
uint eight_signs(uint seven)
{
    return seven | (uint(bitCount(seven)) & 1u) << 7;
}

/* Elements 4 t .. 4 t + 3 of a run. */
vec4 grid_take(grid_run r, int t, int form)
{
    const int i = is_iq3(form) ? t : t / 2, eight = t / 2;
    const float scale = t < 4 ? r.scale.x : r.scale.y;
    uint row, sign = form == FORM_IQ2_XS ? 0u : r.signs >> eight * (is_xxs(form) ? 7 : 8);
    if (form == FORM_IQ2_XS) {
        const uint v = (i < 2 ? r.index.x : r.index.y) >> (i & 1) * 16;
        row = v & 511u;
        sign = v >> 9;
    } else {
        row = (i < 4 ? r.index.x : r.index.y) >> (i & 3) * 8 & 255u;
    }
    if (form == FORM_IQ3_S)
        row |= (r.extra >> i & 1u) << 8;
    if (form == FORM_IQ2_S)
        row |= (r.extra >> 2 * i & 3u) << 8;
    if (is_iq1(form)) {
        const bool is_s = form == FORM_IQ1_S;
        row |= (r.extra >> (is_s ? 3 : 4) * i & 7u) << 8;
        const uint delta = r.extra >> (is_s ? 15 : 4 * i + 3) & 1u;
        const uint v = grid_row(row) >> (t & 1) * 8;
        const ivec4 n = ivec4(uvec4(v, v >> 2, v >> 4, v >> 6) & 3u);
        return vec4(8 * n - (delta != 0u ? 9 : 7)) * scale;
    }
    if (is_xxs(form) || form == FORM_IQ2_XS)
        sign = eight_signs(sign & 127u);
    sign >>= (t & 1) * 4;
    ivec4 level;
    if (is_iq3(form)) {
        const uint v = grid_row(row);
        const ivec4 n = ivec4(uvec4(v, v >> 4, v >> 8, v >> 12) & 15u);
        level = form == FORM_IQ3_S ? 2 * n + 1 : 8 * n + 4 + 2 * ivec4(equal(n, ivec4(7)));
    } else {
        const uint v = grid_row(row) >> (t & 1) * 8;
        const ivec4 n = ivec4(uvec4(v, v >> 2, v >> 4, v >> 6) & 3u);
        level = 8 + 17 * n + (n >> 1);
    }
    const bvec4 negative = notEqual(uvec4(sign) & uvec4(1u, 2u, 4u, 8u), uvec4(0u));
    return vec4(mix(level, -level, negative)) * scale;
}

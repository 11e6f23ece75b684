/* shaders/push.h
 * Parameters of every op, read unchanged by C and by GLSL, and what each
 * binding holds. Four-byte scalars only: then std430 and the C ABI agree
 * without padding. At most 128 bytes each (asserted in runtime/op/op.h).
 *
 * Words used below
 *   row      one token of the batch. Row buffers hold floats, row-major, `ld*`
 *            floats apart. Every ld is a multiple of 128 (RT_COL_PAD); columns
 *            beyond the real ones are 0. Buffers are allocated with rows rounded
 *            up to 64 (RT_ROW_PAD): kernels may read and write the padding rows,
 *            whose content is finite and means nothing.
 *   off*     first column (in floats) of the part of a row that is meant; a
 *            multiple of 16. `row0`-like offsets do not exist: bind a range instead.
 *   weight   a packed matrix [out][in], two bindings (codes, scales), in the one
 *            layout that runtime/op/weight.h defines.
 *   meta     uint words, uploaded each step, so that a recorded step can be
 *            submitted again with other tokens.
 * A binding that a flag switches off is bound to any small buffer. */
#ifndef SHADERS_PUSH_H
#define SHADERS_PUSH_H

#ifndef VULKAN /* the GLSL compiler defines it, so this part is for C */
#include <stdint.h>
typedef uint32_t uint;
#endif

/* y[row][k] = table[ids[row]][k] as float. A table that exceeds what a device binds comes
 * in parts: rows row0 .. row0 + part - 1 of it are bound, and rows of y whose id is in
 * another part stay as they are.
 * 0 ids (uint [rows]), 1 codes, 2 scales, 3 y. Ids >= vocab read row 0. */
struct embed_push {
    uint rows;
    uint cols;                      /* hidden size */
    uint vocab;                     /* rows of the whole table */
    uint in_pad, bits, group, form; /* of the weight, as in matmul_push */
    uint ldy;
    uint row0, part;
};

/* y[row][h*cols + c] = w[c] x[row][h*cols + c] / sqrt(mean_c x^2 + eps), h < heads.
 * heads 1 is the layer norm; heads > 1 is the per-head q/k norm of Qwen3.
 * 0 x, 1 w (float [cols]), 2 y. x and y may be the same range only if lds agree. */
struct rmsnorm_push {
    uint rows, cols, heads;
    uint ldx, offx, ldy, offy;
    float eps;
};

/* dx[row][c] (+)= d loss / d x of rmsnorm.  g = dy * w, r = 1/sqrt(mean x^2 + eps):
 * dx = r (g - x r^2 mean(g x)).   0 x, 1 w, 2 dy, 3 dx (added to if accumulate; without
 * it dx may be the range of dy if lds agree). */
struct rmsnorm_back_push {
    uint rows, cols, heads;
    uint ldx, offx, lddy, offdy, lddx, offdx;
    float eps;
    uint accumulate;
};

/* Rotary embedding, half-split form (HF rotate_half): with c, s of the row's
 * position, (a, b) = (v[i], v[i + hd/2]) becomes (a c - b s, b c + a s), on the
 * heads_q heads at offq and the heads_k heads at offk of each row of qkv, in place.
 * inverse 1 rotates back (gradients). With store, K (rotated) and V of the row are
 * also written to cache row meta.slot: [heads_k*hd K | heads_k*hd V], ldc elements apart;
 * a slot of 0xffffffff writes nothing. The cache holds floats or, with halves, two halves
 * in a word, the first column in the lower bits, rounded as shaders/lib/half.glsl says.
 * 0 table (float [positions][hd/2][2]: cos, sin), 1 meta (uint [rows][4]:
 * position, slot, -, -), 2 qkv, 3 cache. */
struct rope_push {
    uint rows, heads_q, heads_k, hd;
    uint ldx, offq, offk, offv;
    uint inverse, store, ldc;
    uint positions; /* rows of the table; larger positions are clamped */
    uint halves;    /* 1: the cache holds halves */
};

/* Elements of a block of a matrix product's sum: shaders/lib/sum.glsl. */
#define PRODUCT_BLOCK 256

/* Columns of the longest head that attention and its gradients have kernels for; all have
 * them for every multiple of 4 up to it. */
#define HEAD_MAX 256

/* Causal attention, one head at a time: o = softmax(scale q k^T) v over keys
 * 0..position of the row's own sequence; head h reads kv head h / (heads/heads_k).
 * Keys are summed in an order of positions with a running maximum, the same for every row,
 * batch and kernel of a plan: docs/numerics.md. Kernels of the lanes family: 0, 1, 2, ... in
 * blocks of 8. Of halves ld and off are multiples of 8 if hd is.
 * meta: uint [rows][4]: position, base, -, -.
 * page 0: key j lies in row base + j of K and V. page > 0: key j lies in row
 * table[base + j / page] * page + j % page.
 * halves 1: K and V hold halves, two in a word as rope stores them; their ld and off count
 * halves. They are read as floats: the arithmetic is the same.
 * 0 q, 1 k, 2 v, 3 meta, 4 table (uint), 5 o, 6 lse (float [rows][heads], the log
 * of the sum of exp(scale q k), written if want_lse). */
struct attention_push {
    uint rows, heads, heads_k, hd;
    uint ldq, offq, ldk, offk, ldv, offv, ldo, offo;
    uint page, want_lse;
    float scale;
    uint halves;
};

/* Backward, queries: with p_j = exp(scale q k_j - lse), delta = sum_c do o,
 * dp_j = do v_j:  dq = scale sum_j p_j (dp_j - delta) k_j.  Contiguous keys only
 * (page 0 of attention); meta as there.
 * 0 q, 1 k, 2 v, 3 meta, 4 o and do in one buffer (offo, offdo, ldo), 5 lse,
 * 6 dq (written), 7 delta (float [rows][heads], written). */
struct attention_back_q_push {
    uint rows, heads, heads_k, hd;
    uint ldq, offq, ldk, offk, ldv, offv;
    uint ldo, offo, offdo; /* o at offo, do at offdo of the same rows */
    uint lddq, offdq;
    float scale;
};

/* Backward, keys and values of each row: over the queries i of the same sequence
 * at or after it and the heads of its group, in order:
 * dk = scale sum p (dp - delta) q, dv = sum p do.  meta: uint [rows][4]:
 * position, base, end, - : the sequence fills rows base .. end-1.
 * 0 q, 1 k, 2 v, 3 meta, 4 do (ldo, offdo), 5 lse, 6 delta, 7 dkv (written: dk at
 * offdk, dv at offdv, lddk floats apart). */
struct attention_back_kv_push {
    uint rows, heads, heads_k, hd;
    uint ldq, offq, ldk, offk, ldv, offv;
    uint ldo, offdo;
    uint lddk, offdk, offdv;
    float scale;
};

/* h[row][c] = silu(gate) * up, gate = x[row][offg + c], up = x[row][offu + c].
 * 0 x, 1 h. */
struct swiglu_push {
    uint rows, cols;
    uint ldx, offg, offu, ldh;
};

/* With s = sigmoid(gate): dup = dh gate s, dgate = dh up s (1 + gate (1 - s)),
 * written where gate and up lie (offg, offu) in dx.   0 x, 1 dh, 2 dx. */
struct swiglu_back_push {
    uint rows, cols;
    uint ldx, offg, offu, lddh, lddx;
};

/* y[i] += scale * x[i], i < count (a multiple of 4).   0 x, 1 y. */
struct add_push {
    uint count;
    float scale;
};

/* y[row] = x[index[row]], or 0 where the index is 0xffffffff.
 * 0 index (uint [rows]), 1 x, 2 y. cols a multiple of 4. */
struct gather_push {
    uint rows, cols;
    uint ldx, ldy;
};

/* y[row][c] = x[row][index[c]], or 0 where the index is 0xffffffff; with accumulate added
 * to what is there. Columns of activations in the order a weight stores them (act-order),
 * and, with the inverse order, gradients back.
 * 0 index (uint [cols], the same for every row), 1 x, 2 y. cols a multiple of 4; indices
 * below ldx - offx. x and y are different buffers. */
struct columns_push {
    uint rows, cols;
    uint ldx, offx, ldy, offy;
    uint accumulate;
};

/* Flags of matmul. */
#define MATMUL_BIAS 1u     /* + bias[m] */
#define MATMUL_RESIDUAL 2u /* + residual[row][m], same ld and offset as y */
#define MATMUL_LORA 4u     /* + sum_k u[row][part*rank + k] b[m][k] */

/* y[row][m] = sum_k x[row][k] w[m][k] (+ LoRA) (+ bias) (+ residual), in this
 * order: k = 0 .. in_pad-1 in blocks of PRODUCT_BLOCK, each block in a float of its own
 * that is added to the float of the blocks before (shaders/lib/sum.glsl); then the LoRA
 * ranks 0 .. rank-1 into that float, then bias, then residual. This order is part of the
 * contract: it is what makes tile, kernel and batch size invisible in the bits.
 * 0 codes, 1 scales, 2 x, 3 u (float [rows][ldu]), 4 b (weight of 32 bits
 * [out][rank], LoRA up, layout of runtime/op/weight.h), 5 bias (float [out_pad]),
 * 6 residual, 7 y. residual may be the same range as y. */
struct matmul_push {
    uint rows;
    uint out_pad; /* rows of the weight, a multiple of 64 or, for adapters, 16 */
    uint in_pad;  /* contracted length; see rt_weight_in_pad() */
    uint bits;  /* 2 to 6, 8: codes; 16: rows of f16 or, by the form, bf16; 32: of f32 */
    uint group; /* codes that share a scale: a multiple of 32; with 8 bits also 16;
                     0: one per row */
    uint form;  /* RT_FORM_*: how a code becomes a value */
    uint ldx, offx, ldy, offy;
    uint flags;
    uint ldu, rank; /* rank a multiple of 4 */
    uint part1,
        part2; /* rows where LoRA part 1 and 2 begin (multiples of 64; out_pad if none) */
};

/* Rows of floats as whole numbers of 8 bits with one scale per row, for matmul_w8a8.
 * scale[row] = max_c |x[row][c]| / 127, rounded to the nearest float; with `given` it is
 * the float of binding 1. code = x / scale, the quotient itself (not a float near it)
 * rounded to the nearest whole number, half to even, and cut to -128 .. 127.
 * A row whose largest magnitude is below 2^-64 has scale 0 and codes 0 (given: its codes);
 * one that holds an infinity or NaN has scale NaN and codes 0. All of it is exact: every
 * device gives the same bits.
 * Of q, a row is ldq words, ldq a multiple of 4 and at least cols / 4 + 4: texel k / 16
 * holds codes 16 (k / 16) .. + 15 as a weight of 8 bits has them (code k in word k % 4,
 * byte k % 16 / 4), as two's complement bytes; the texel behind the codes is the scale (a
 * float) and three words 0. What lies behind it stays as it is.
 * 0 x, 1 given (float [1]), 2 q. cols a multiple of 16. */
struct quantize_push {
    uint rows, cols;
    uint ldx, offx, ldq;
    uint given;
};

/* Instead of y: the sums of whole numbers, as words. For tests. */
#define MATMUL_SUMS 8u

/* y[row][m] = float(sum_k q[row][k] c[m][k]) sx[row] sw[m] (+ LoRA) (+ bias) (+ residual), q
 * and sx of quantize, c the codes of a weight of 8 bits less 128, sw its scale. The sum is a
 * whole number, exact in 32 bits: in_pad at most W8A8_INPUTS_MAX. It becomes the nearest
 * float, is multiplied by sx, then by sw, each product rounded; what is added comes as in
 * matmul, u being the product of the adapter with the floats that q was made of.
 * 0 codes, 1 scales (one per row, no zero other than 128: forms ZERO, HALF, FLOAT, BFLOAT
 * of group 0), 2 q (uint [rows][ldq]), 3 u, 4 b, 5 bias, 6 residual, 7 y as in matmul. */
#define W8A8_INPUTS_MAX 131040u
struct matmul_w8a8_push {
    uint rows, out_pad, in_pad, form;
    uint ldq, ldy, offy;
    uint flags; /* MATMUL_* */
    uint ldu, rank;
    uint part1, part2;
};

/* dx[row][k] (+)= sum_m dy[row][m] w[m][k] (+ LoRA: sum_j du[row][j] a[j][k]),
 * m = 0 .. out_pad-1 in order and in blocks as in matmul, then j = 0 .. rank-1.
 * 0 codes, 1 scales, 2 dy, 3 du (float [rows][lddu]), 4 a (weight of 32 bits
 * [rank][in], LoRA down), 5 dx (added to if accumulate). */
struct matmul_back_push {
    uint rows, out_pad, in_pad;
    uint bits, group, form;
    uint lddy, offdy, lddx, offdx;
    uint accumulate;
    uint lddu, rank; /* rank 0: no LoRA; a multiple of 8: rows of a */
};

/* Decodes a weight into one of 32 bits of the same shape.
 * 0 codes, 1 scales, 2 out (codes of a 32-bit weight). */
struct unpack_push {
    uint out_pad, in_pad, bits, group, form;
};

/* d[a][b] (+)= scale * sum over rows of p[row][a] q[row][b], rows in order.
 * LoRA gradients and second moments.  0 p, 1 q, 2 d (float [na][ldd]).
 * na a multiple of 4, nb a multiple of 4. */
struct outer_push {
    uint rows, na, nb;
    uint ldp, offp, ldq, offq, ldd;
    float scale;
    uint accumulate;
};

/* Row-major floats src[rows][lds] into a 32-bit weight:
 * w[m0 + i][k0 + j] = scale * (transpose ? src[j][i] : src[i][j]) for i < n_out, j < n_in.
 * Only these elements are written.  0 src, 1 codes of the weight. */
struct pack_push {
    uint n_out, n_in, lds, transpose;
    uint m0, k0, in_pad;
    float scale;
};

/* One row of logits [rows][ldl], vocab real columns, to 8 words of stat[row]:
 *   0 best id (uint; lowest id on ties)  1 second best id
 *   2 logit of best   3 logit of second   4 log-sum-exp of all
 *   5 target id       6 logit of target   7 number of non-finite logits
 * Words 0 to 4 are of the finite logits only; with none, both ids are 0 and words 2, 3
 * and 4 are -inf.
 * 0 logits, 1 target (uint [rows]; 0xffffffff: the best), 2 stat. */
struct logits_stat_push {
    uint rows, vocab, ldl;
};

/* In place: logits become d loss / d logits = seed (onehot(target) - p), where
 * seed[row] = d loss / d log p(target).  Padding columns become 0.
 * 0 stat (of logits_stat), 1 seed (float [rows]), 2 unused meta, 3 logits. */
struct ce_back_push {
    uint rows, vocab, ldl;
};

/* KL(p || q) per row, p = softmax(zp inv_temp), q = softmax(zq inv_temp).
 * stat[row]: 0 KL (float), 1 best id of p, 2 best id of q, 3 1 if they agree.
 * With want_grad zq becomes weight[row] * inv_temp * (q - p), padding 0.
 * A logit of -inf is probability 0: a term with p = 0 is 0, one with only q = 0 makes the
 * KL +inf. NaN, +inf, or no finite logit in either row: the KL and the row's gradient
 * are NaN (the ids are those of the greatest logits still).
 * 0 zp, 1 weight (float [rows]), 2 zq, 3 stat (4 words a row). */
struct kl_push {
    uint rows, vocab, ldl;
    float inv_temp;
    uint want_grad;
};

#define DPO_SIGMOID 0u
#define DPO_HINGE 1u
#define DPO_IPO 2u

/* Preference loss of `pairs` pairs; one pair of token ranges each.
 * pair: uint [pairs][4]: first and count of the chosen tokens, first and count of
 * the rejected ones, indices into stat, ref and seed.
 * dc, dr: sums of (log p - ref) over each range (means for IPO);
 * sigmoid: -log sigmoid(h), hinge: max(0, 1 - h), h = beta (dc - dr);
 * IPO: (dc - dr - 1/(2 beta))^2.
 * Plus sft * (-log p) summed over the chosen tokens, divided by their count in the
 * pair (sft_norm 0) or by the batch's chosen tokens over `pairs` (sft_norm 1: the
 * token mean over the batch).  All is divided by `pairs`.
 * seed[token] = d loss / d log p(token), written for the tokens of the ranges.
 * out[pair]: 0 loss share of the pair (before / pairs) 1 dc 2 dr 3 h 4 log p sum of
 * chosen 5 of rejected 6 sft term 7 -.
 * 0 stat (8 words a token, of logits_stat), 1 ref (float log p a token), 2 pair,
 * 3 unused, 4 seed, 5 out. */
struct dpo_push {
    uint pairs, loss;
    float beta, sft;
    uint sft_norm;
};

/* partial[i] = sum of squares of block i of 1024 floats of x, in order.
 * 0 x, 1 partial (float [ceil(count / 1024)]). */
struct sumsq_push {
    uint count;
};

/* state[0] = norm = sqrt(sum of partial, in order); state[1] = factor =
 * min(1, max_norm / (norm + 1e-6)), 1 where max_norm is 0.
 * 0 partial, 1 state (float [4]). */
struct clip_push {
    uint count; /* of partials */
    float max_norm;
};

/* AdamW on count floats (a multiple of 4), decoupled decay, gradient scaled by
 * state[1] of clip:  g = factor grad; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
 * p -= lr decay p; p -= lr (m / c1) / (sqrt(v / c2) + eps), c = 1 - b^t.
 * 0 hyper (float [8]: lr, b1, b2, eps, decay, c1, c2, -), 1 clip state, 2 grad,
 * 3 p, 4 m, 5 v. */
struct adamw_push {
    uint count;
};

/* Draws one token a row: temperature, then nucleus top_p, then the Gumbel maximum
 * with a counter-based generator keyed by (seed, row key, position): its uniform numbers
 * are (k + 1/2) / 2^23, k the upper 23 bits of a word, so that none is 0 or 1.
 * out: uint [2][rows]: first the ids (so that it can be logits_stat's target), then
 * the number of ids in each nucleus.
 * 0 logits, 1 meta (uint [rows][4]: key low, key high, position, -), 2 out. */
struct sample_push {
    uint rows, vocab, ldl;
    float inv_temp, top_p;
    uint seed_low, seed_high;
};

/* What the limits of a device are measured with (bench suite `peak`). */

/* y[i] = x[i] after `steps` times v = a v + b, i < count (a multiple of 4). `chains`
 * (1, 2, 4 or 8) is how many vec4 an invocation carries at once; it changes no result.
 * 0 x, 1 y. */
struct peak_fma_push {
    uint count, steps;
    float a, b;
    uint chains;
};

/* y[i] = x[i], i < count (a multiple of 4). texel 1: x is read by texel buffer where the
 * device has one that long, else as with 0 by storage.
 * 0 x, 1 y. */
struct peak_copy_push {
    uint count, texel;
};

/* y[block][c] = sum over rows of x[block][row][c], rows in order; texel as above.
 * 0 x (float [blocks][rows][PEAK_COLUMNS]), 1 y (float [blocks][PEAK_COLUMNS]). */
#define PEAK_COLUMNS 32
struct peak_read_push {
    uint blocks, rows, texel;
};

/* ---- scales of a packed weight as parameters ----
 *
 * Scales belong to blocks of `per` groups of the device layout: one of a folder and of GGUF
 * types with one half per 32 codes, 8 or 16 of K types. The scale of a group is the block's
 * times s, a whole number that stays. Zeros and minima are trained as SCALE_ZERO_* says.
 * base, parameter and gradient of a weight: float [out_pad][blocks] of scales, and behind
 * them as many of zeros, if those are trained. `sub`: one word per group: s in its low 8
 * bits (signed), l in the next 8, then 1 if the file has the group, which is else padding;
 * not read if per is 1. */

/* Columns whose gradients scale_back sums: a group is some of these segments. */
#define SCALE_SEGMENT 16

/* How the parameter of a scale becomes the scale: base times parameter, rounded to what the
 * file of the weight holds, ties to even. */
#define SCALE_F32 0u
#define SCALE_F16 1u  /* subnormals included; 65504 at most */
#define SCALE_BF16 2u /* the upper half of a float */

/* What belongs to a scale: z. */
#define SCALE_ZERO_FIXED 0u /* (code - z) scale; z stays */
#define SCALE_ZERO_MINIMUM \
    1u /* code scale + z; z as a scale: base times parameter, rounded */
#define SCALE_ZERO_PRODUCT 2u /* the same with z = -(m l), m of the block as a scale */
/* (code - z) scale, z = base + SCALE_ZERO_STEP (parameter - 1), rounded to a whole number,
 * ties to even, within [low, high] of the weight or at base beyond them. */
#define SCALE_ZERO_WHOLE 3u
#define SCALE_ZERO_STEP 8.0f

/* Gradient of a weight, summed over segments. D[m][k] = sum over rows of dy[row][m]
 * x[row][k], rows in order;
 *   d[m][s] = sum over the SCALE_SEGMENT columns k of segment s, in order, of D[m][k] w[m][k],
 * and with `sums` behind all of them as many sums of D[m][k] alone.
 * D is not stored. 0 w (codes of a 32-bit weight), 1 x, 2 dy, 3 d (float
 * [out_pad][in_pad / SCALE_SEGMENT], once or twice). */
struct scale_back_push {
    uint rows, out_pad, in_pad; /* in_pad a multiple of SCALE_SEGMENT */
    uint ldx, offx, lddy, offdy;
    uint sums;
};

/* Gradient of the parameters of scales, rounding taken for the identity (straight through).
 * Sums over the segments of a block, in order, with e[m][s] the sums of D alone:
 *   FIXED, WHOLE: grad = base / scale * sum of d
 *   MINIMUM, PRODUCT: grad = base / scale * sum of (d - z e), of minima base / m * sum of z e
 *   WHOLE: of zeros -STEP scale * sum of e
 * 0 where the scale (m) is 0. A value is (code - z) scale, and d has it times its gradient.
 * 0 d of scale_back (with sums, if zeros are trained), 1 base, 2 parameter, 3 sub, 4 grad. */
struct scale_fold_push {
    uint out_pad, in_pad;
    uint group, groups; /* columns of a group, 0: all; groups of a row */
    uint rounding;      /* SCALE_F32 ... */
    uint per, zeros;    /* groups of a block; SCALE_ZERO_* */
};

/* Writes the scales of a packed weight, and the zeros that are trained; others that lie
 * among them stay. form: ZERO or OFFSET of any block; of those of one group HALF, FLOAT or
 * BFLOAT with or without zeros, and HALVES; of the others K32, K16, K16_MIN or S32, whose
 * s and l stay. Rounding is F16 for halves and BF16 for BFLOAT.
 * 0 base, 1 parameter, 2 sub, 3 scales. */
struct scale_pack_push {
    uint out_pad, groups;
    uint texels; /* of a row of scales, zeros behind them included */
    uint form, rounding;
    uint per, zeros;
    uint low, high; /* WHOLE */
};

/* ---- rounding of a weight, column after column ---- */

/* Columns that round_block takes at once. */
#define ROUND_BLOCK 128

/* One block of columns of GPTQ (runtime/quant/gptq_device.c): in the order of visit,
 *   t_j = w_j + g_j,  g_j = gained_j + sum over i < j of e_i f_ij, i in order
 *   q_j = t_j / scale as a float (nearest: w_j / scale), rounded to the nearest whole
 *         number, half to even, and cut to lowest - zero .. top - zero
 *   e_j = w_j - q_j scale, in place of w_j; the code of j is q_j + zero
 * Codes are those of the nearest float to the quotient, whatever a device's division gives:
 * a largest value lies on the middle of two codes. Sums of a row: [0] += (f_jj (g_j + e_j))^2, [1] += e_j^2, j in order.
 * A column whose group is 0xffffffff is padding: its code and error are 0.
 * 0 factor (float [ROUND_BLOCK][ROUND_BLOCK], f_ij at [i][j], of j >= i), 1 group (uint
 * [ROUND_BLOCK]), 2 scales (float [rows][groups], positive), 3 zeros (the same, whole
 * numbers), 4 gained (rows of ROUND_BLOCK floats), 5 w (rows of ldw floats, from offw on), 6
 * codes (four in a word, rows of ldc words, from offw / 4 on), 7 sums (float [rows][2]). */
struct round_block_push {
    uint rows, groups;
    uint ldw, offw, ldc;
    uint lowest, top; /* codes there are */
    uint nearest;     /* 1: what is gained counts in the sums only */
};

#endif

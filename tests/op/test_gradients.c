/* The gradient ops are derivatives of the forward ops: central differences of the double
 * twins, where an error of 1e-7 cannot hide behind rounding. */
#include "runtime/ref/ref.h"
#include "runtime/op/weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELLS = 4096 };

static uint32_t seed;

static double random_unit(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (double)(int32_t)seed * (1.0 / 2147483648.0);
}

static void randomize(double *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        v[i] = random_unit();
}

static double dot(const double *a, const double *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* A scalar of the variables under test. */
typedef double value_fn(void *user);

/* Checks d value / d x[i] against grad[i] for each of n variables. */
static void check(const char *what, value_fn *value, void *user, double *x,
                  const double *grad, uint32_t n)
{
    const double step = 1e-5;
    double worst = 0;
    for (uint32_t i = 0; i < n; i++) {
        const double kept = x[i];
        x[i] = kept + step;
        const double up = value(user);
        x[i] = kept - step;
        const double down = value(user);
        x[i] = kept;
        const double numeric = (up - down) / (2 * step);
        const double error = fabs(numeric - grad[i]) / (1 + fabs(numeric));
        if (!(error <= 1e-7))
            fail_msg("%s: variable %u: difference quotient %.10g, gradient %.10g", what,
                     i, numeric, grad[i]);
        worst = fmax(worst, error);
    }
    printf("    %-28s %4u variables, worst error %.1e\n", what, n, worst);
}

/* ---- RMSNorm ---- */

static struct {
    struct rmsnorm_push push;
    double x[CELLS], w[CELLS], y[CELLS], dy[CELLS];
} norm;

static double norm_value(void *user)
{
    (void)user;
    void *const b[] = { norm.x, norm.w, norm.y };
    refd_rmsnorm(&norm.push, b);
    return dot(norm.dy, norm.y, 2 * 128);
}

static void rmsnorm_back_is_its_derivative(void **state)
{
    (void)state;
    static double dx[CELLS];
    norm.push = (struct rmsnorm_push){ .rows = 2,
                                       .cols = 20,
                                       .heads = 3,
                                       .ldx = 128,
                                       .offx = 16,
                                       .ldy = 128,
                                       .offy = 32,
                                       .eps = 1e-3f };
    randomize(norm.x, 256);
    randomize(norm.w, 128);
    randomize(norm.dy, 256);
    const struct rmsnorm_back_push p = { .rows = 2,
                                         .cols = 20,
                                         .heads = 3,
                                         .ldx = 128,
                                         .offx = 16,
                                         .lddy = 128,
                                         .offdy = 32,
                                         .lddx = 128,
                                         .offdx = 16,
                                         .eps = 1e-3f };
    void *const b[] = { norm.x, norm.w, norm.dy, dx };
    refd_rmsnorm_back(&p, b);
    check("rmsnorm_back", norm_value, NULL, norm.x, dx, 256);
}

/* ---- SwiGLU ---- */

static struct {
    struct swiglu_push push;
    double x[CELLS], h[CELLS], dh[CELLS];
} glu;

static double glu_value(void *user)
{
    (void)user;
    void *const b[] = { glu.x, glu.h };
    refd_swiglu(&glu.push, b);
    return dot(glu.dh, glu.h, 3 * 128);
}

static void swiglu_back_is_its_derivative(void **state)
{
    (void)state;
    static double dx[CELLS];
    glu.push = (struct swiglu_push){
        .rows = 3, .cols = 36, .ldx = 128, .offg = 0, .offu = 64, .ldh = 128
    };
    randomize(glu.x, 384);
    randomize(glu.dh, 384);
    const struct swiglu_back_push p = {
        .rows = 3, .cols = 36, .ldx = 128, .offg = 0, .offu = 64, .lddh = 128, .lddx = 128
    };
    void *const b[] = { glu.x, glu.dh, dx };
    refd_swiglu_back(&p, b);
    check("swiglu_back", glu_value, NULL, glu.x, dx, 384);
}

/* ---- attention ---- */

enum { A_ROWS = 9, A_HEADS = 4, A_KV = 2, A_LD_MAX = A_HEADS * HEAD_MAX };

static struct {
    uint32_t hd, ld; /* of o and do, side by side: 2 ld */
    double q[A_ROWS * A_LD_MAX], kv[A_ROWS * A_LD_MAX], o_do[A_ROWS * 2 * A_LD_MAX];
    double lse[A_ROWS * A_HEADS], delta[A_ROWS * A_HEADS];
    uint32_t meta[4 * A_ROWS], table[4];
} att;

static double attention_value(void *user)
{
    (void)user;
    const struct attention_push p = { .rows = A_ROWS,
                                      .heads = A_HEADS,
                                      .heads_k = A_KV,
                                      .hd = att.hd,
                                      .ldq = att.ld,
                                      .ldk = att.ld,
                                      .ldv = att.ld,
                                      .offv = A_KV * att.hd,
                                      .ldo = 2 * att.ld,
                                      .want_lse = 1,
                                      .scale = 0.7f };
    void *const b[] = { att.q, att.kv, att.kv, att.meta, att.table, att.o_do, att.lse };
    refd_attention(&p, b);
    double sum = 0;
    for (uint32_t r = 0; r < A_ROWS; r++)
        sum += dot(att.o_do + r * 2 * att.ld, att.o_do + r * 2 * att.ld + att.ld,
                   A_HEADS * att.hd);
    return sum;
}

static void attention_back_is_its_derivative(uint32_t hd)
{
    static double dq[A_ROWS * A_LD_MAX], dkv[A_ROWS * A_LD_MAX];
    att.hd = hd;
    att.ld = A_HEADS * hd;
    /* Two sequences: rows 0 to 4 and 5 to 8. */
    for (uint32_t r = 0; r < A_ROWS; r++) {
        att.meta[4 * r] = r < 5 ? r : r - 5;
        att.meta[4 * r + 1] = r < 5 ? 0 : 5;
        att.meta[4 * r + 2] = r < 5 ? 5 : A_ROWS;
    }
    randomize(att.q, A_ROWS * att.ld);
    randomize(att.kv, A_ROWS * att.ld);
    randomize(att.o_do, A_ROWS * 2 * att.ld);
    attention_value(NULL);
    const struct attention_back_q_push pq = {
        .rows = A_ROWS,
        .heads = A_HEADS,
        .heads_k = A_KV,
        .hd = att.hd,
        .ldq = att.ld,
        .ldk = att.ld,
        .ldv = att.ld,
        .offv = A_KV * att.hd,
        .ldo = 2 * att.ld,
        .offdo = att.ld,
        .lddq = att.ld,
        .scale = 0.7f,
    };
    void *const bq[] = {
        att.q, att.kv, att.kv, att.meta, att.o_do, att.lse, dq, att.delta
    };
    refd_attention_back_q(&pq, bq);
    const struct attention_back_kv_push pkv = {
        .rows = A_ROWS,
        .heads = A_HEADS,
        .heads_k = A_KV,
        .hd = att.hd,
        .ldq = att.ld,
        .ldk = att.ld,
        .ldv = att.ld,
        .offv = A_KV * att.hd,
        .ldo = 2 * att.ld,
        .offdo = att.ld,
        .lddk = att.ld,
        .offdv = A_KV * att.hd,
        .scale = 0.7f,
    };
    void *const bkv[] = { att.q,    att.kv,  att.kv,    att.meta,
                          att.o_do, att.lse, att.delta, dkv };
    refd_attention_back_kv(&pkv, bkv);
    printf("    heads of %u\n", hd);
    check("attention_back_q", attention_value, NULL, att.q, dq, A_ROWS * att.ld);
    check("attention_back_kv", attention_value, NULL, att.kv, dkv, A_ROWS * att.ld);
}

static void attention_back_of_short_heads(void **state)
{
    (void)state;
    attention_back_is_its_derivative(8);
}

static void attention_back_of_heads_no_power_of_two(void **state)
{
    (void)state;
    attention_back_is_its_derivative(80);
}

static void attention_back_of_the_longest_heads(void **state)
{
    (void)state;
    attention_back_is_its_derivative(HEAD_MAX);
}

/* ---- rotary embedding: the inverse is the transpose ---- */

static void inverse_rope_is_the_transpose(void **state)
{
    (void)state;
    enum { ROWS = 5, HD = 16, POSITIONS = 7 };
    static float table[POSITIONS * HD];
    static double x[ROWS * 128], y[ROWS * 128], rx[ROWS * 128], ry[ROWS * 128];
    uint32_t meta[4 * ROWS] = { 0 };
    for (uint32_t i = 0; i < POSITIONS * HD / 2; i++) {
        table[2 * i] = (float)cos(i * 0.37);
        table[2 * i + 1] = (float)sin(i * 0.37);
    }
    for (uint32_t r = 0; r < ROWS; r++)
        meta[4 * r] = r;
    randomize(x, ROWS * 128);
    randomize(y, ROWS * 128);
    memcpy(rx, x, sizeof rx);
    memcpy(ry, y, sizeof ry);
    struct rope_push p = { .rows = ROWS,
                           .heads_q = 3,
                           .heads_k = 2,
                           .hd = HD,
                           .ldx = 128,
                           .offk = 48,
                           .offv = 80,
                           .positions = POSITIONS };
    void *const bx[] = { table, meta, rx, NULL }, *const by[] = { table, meta, ry, NULL };
    refd_rope(&p, bx);
    p.inverse = 1;
    refd_rope(&p, by);
    const double forward = dot(rx, y, ROWS * 128), back = dot(x, ry, ROWS * 128);
    if (!(fabs(forward - back) <= 1e-12 * (1 + fabs(forward))))
        fail_msg("<R x, y> = %.15g, <x, R' y> = %.15g", forward, back);
    refd_rope(&p, bx);
    for (uint32_t i = 0; i < ROWS * 128; i++) /* cos and sin are floats: not quite 1 */
        if (!(fabs(rx[i] - x[i]) <= 1e-6))
            fail_msg("value %u is %.9g after there and back, was %.9g", i, rx[i], x[i]);
}

/* ---- losses ---- */

enum { L_ROWS = 3, L_VOCAB = 13, L_LD = 128 };

static struct {
    double z[L_ROWS * L_LD], other[L_ROWS * L_LD], work[L_ROWS * L_LD];
    double stat[L_ROWS * 8], weight[L_ROWS];
    uint32_t target[L_ROWS];
} loss;

static double target_logp(void *user)
{
    (void)user;
    const struct logits_stat_push p = { .rows = L_ROWS, .vocab = L_VOCAB, .ldl = L_LD };
    void *const b[] = { loss.z, loss.target, loss.stat };
    refd_logits_stat(&p, b);
    double sum = 0;
    for (uint32_t r = 0; r < L_ROWS; r++)
        sum += loss.weight[r] * (loss.stat[8 * r + 6] - loss.stat[8 * r + 4]);
    return sum;
}

static void ce_back_is_the_derivative_of_the_target(void **state)
{
    (void)state;
    randomize(loss.z, L_ROWS * L_LD);
    randomize(loss.weight, L_ROWS);
    for (uint32_t r = 0; r < L_ROWS; r++)
        loss.target[r] = 5 * r % L_VOCAB;
    target_logp(NULL);
    memcpy(loss.work, loss.z, sizeof loss.work);
    const struct ce_back_push p = { .rows = L_ROWS, .vocab = L_VOCAB, .ldl = L_LD };
    void *const b[] = { loss.stat, loss.weight, NULL, loss.work };
    refd_ce_back(&p, b);
    check("ce_back", target_logp, NULL, loss.z, loss.work, L_ROWS * L_LD);
}

static double kl_value(void *user)
{
    const struct kl_push *p = user;
    static double stat[L_ROWS * 4];
    void *const b[] = { loss.other, loss.weight, loss.z, stat };
    refd_kl(p, b);
    double sum = 0;
    for (uint32_t r = 0; r < L_ROWS; r++)
        sum += loss.weight[r] * stat[4 * r];
    return sum;
}

static void kl_gradient_is_its_derivative(void **state)
{
    (void)state;
    static double stat[L_ROWS * 4];
    struct kl_push p = {
        .rows = L_ROWS, .vocab = L_VOCAB, .ldl = L_LD, .inv_temp = 0.5f, .want_grad = 1
    };
    randomize(loss.z, L_ROWS * L_LD);
    randomize(loss.other, L_ROWS * L_LD);
    randomize(loss.weight, L_ROWS);
    memcpy(loss.work, loss.z, sizeof loss.work);
    void *const b[] = { loss.other, loss.weight, loss.work, stat };
    refd_kl(&p, b);
    p.want_grad = 0;
    check("kl", kl_value, &p, loss.z, loss.work, L_ROWS * L_LD);
}

enum { PAIRS = 3, TOKENS = 18 };

static struct {
    double stat[TOKENS * 8], ref[TOKENS], seed[TOKENS], out[PAIRS * 8];
    double logp[TOKENS]; /* the variables: word 6, with word 4 zero */
} pref;

static const uint32_t pref_pairs[4 * PAIRS] = { 0, 2, 2, 5, 7, 1, 8, 3, 11, 4, 15, 3 };

static double dpo_value(void *user)
{
    const struct dpo_push *p = user;
    for (uint32_t t = 0; t < TOKENS; t++)
        pref.stat[8 * t + 6] = pref.logp[t];
    uint32_t pairs[4 * PAIRS];
    memcpy(pairs, pref_pairs, sizeof pairs);
    void *const b[] = { pref.stat, pref.ref, pairs, NULL, pref.seed, pref.out };
    refd_dpo(p, b);
    double sum = 0;
    for (uint32_t i = 0; i < PAIRS; i++)
        sum += (pref.out[8 * i] + p->sft * pref.out[8 * i + 6]) / PAIRS;
    return sum;
}

static void dpo_seeds_are_the_derivative_of_the_loss(void **state)
{
    (void)state;
    static const char *const names[] = { "dpo sigmoid", "dpo hinge", "dpo ipo" };
    for (uint32_t kind = DPO_SIGMOID; kind <= DPO_IPO; kind++)
        for (uint32_t norm_kind = 0; norm_kind < 2; norm_kind++) {
            struct dpo_push p = { .pairs = PAIRS,
                                  .loss = kind,
                                  .beta = kind == DPO_HINGE
                                              ? 4.0f
                                              : 0.4f, /* on both sides of the corner */
                                  .sft = 0.25f,
                                  .sft_norm = norm_kind };
            double grad[TOKENS];
            randomize(pref.logp, TOKENS);
            randomize(pref.ref, TOKENS);
            dpo_value(&p);
            memcpy(grad, pref.seed, sizeof grad);
            check(names[kind], dpo_value, &p, pref.logp, grad, TOKENS);
        }
}

static int start(void **state)
{
    (void)state;
    seed = 20;
    return 0;
}

/* ---- scales ---- */

enum {
    S_ROWS = 3,
    S_OUT = 16,
    S_IN = 64,
    S_GROUP = 32,
    S_GROUPS = S_IN / S_GROUP,
    S_SEGMENTS = S_OUT * (S_IN / SCALE_SEGMENT)
};

/* Of S_OUT rows of blocks of `per` groups: scales, and behind them minima. */
static struct {
    uint32_t per, zeros;
    double code[S_OUT * S_IN]; /* less the zero point */
    double base[2 * S_OUT * S_GROUPS], parameter[2 * S_OUT * S_GROUPS];
    uint32_t sub[S_OUT * S_GROUPS];
    double x[S_ROWS * 128], dy[S_ROWS * 128];
} scales;

/* Element k of row m. */
static double scaled(uint32_t m, uint32_t k)
{
    const uint32_t blocks = S_GROUPS / scales.per, g = k / S_GROUP;
    const uint32_t b = m * blocks + g / scales.per, z = b + S_OUT * blocks;
    const uint32_t word = scales.per > 1 ? scales.sub[m * S_GROUPS + g] : 0x101;
    const double s = (int8_t)(word & 255), l = word >> 8;
    double v = scales.code[m * S_IN + k];
    if (scales.zeros == SCALE_ZERO_WHOLE) /* rounding taken for the identity */
        v -= scales.base[z] + SCALE_ZERO_STEP * (scales.parameter[z] - 1);
    v *= scales.base[b] * scales.parameter[b] * s;
    if (scales.zeros == SCALE_ZERO_MINIMUM)
        v += scales.base[z] * scales.parameter[z];
    else if (scales.zeros == SCALE_ZERO_PRODUCT)
        v -= scales.base[z] * scales.parameter[z] * l;
    return v;
}

static double scale_value(void *user)
{
    double sum = 0;
    (void)user;
    for (uint32_t r = 0; r < S_ROWS; r++)
        for (uint32_t m = 0; m < S_OUT; m++)
            for (uint32_t k = 0; k < S_IN; k++)
                sum += scales.dy[r * 128 + m] * scales.x[r * 128 + k] * scaled(m, k);
    return sum;
}

/* The weight that the op reads is of floats: codes and scales are numbers of few bits, so
 * that it is exact. */
static void fill_scales(const struct rt_weight_shape *shape, uint32_t *w)
{
    memset(w, 0, S_OUT * S_IN * sizeof *w);
    randomize(scales.x, S_ROWS * 128);
    randomize(scales.dy, S_ROWS * 128);
    for (uint32_t i = 0; i < 2 * S_OUT * S_GROUPS; i++) {
        scales.base[i] = (1 + i % 7) / 64.0;
        scales.parameter[i] = 1 + (i % 5) / 8.0;
    }
    for (uint32_t g = 0; g < S_OUT * S_GROUPS; g++)
        scales.sub[g] = (uint8_t)(g % 9 - 4) | (g % 11) << 8;
    for (uint32_t i = 0; i < S_OUT * S_IN; i++) {
        scales.code[i] = floor(8 * random_unit());
        const float value = (float)scaled(i / S_IN, i % S_IN);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        rt_weight_put_code(shape, w, i / S_IN, i % S_IN, bits);
    }
}

static void scales_follow_their_parameters(void **state)
{
    (void)state;
    static const struct {
        uint32_t per, zeros;
    } kinds[] = { { 1, SCALE_ZERO_FIXED },
                  { 1, SCALE_ZERO_MINIMUM },
                  { 1, SCALE_ZERO_WHOLE },
                  { 2, SCALE_ZERO_FIXED },
                  { 2, SCALE_ZERO_PRODUCT } };
    static uint32_t w[S_OUT * S_IN];
    static double d[2 * S_SEGMENTS], grad[2 * S_OUT * S_GROUPS];
    const struct rt_weight_shape shape = { .out_pad = S_OUT, .in_pad = S_IN, .bits = 32 };
    for (size_t i = 0; i < RT_COUNT(kinds); i++) {
        const bool has_zeros = kinds[i].zeros != SCALE_ZERO_FIXED;
        scales.per = kinds[i].per;
        scales.zeros = kinds[i].zeros;
        fill_scales(&shape, w);
        const struct scale_back_push back = { .rows = S_ROWS,
                                              .out_pad = S_OUT,
                                              .in_pad = S_IN,
                                              .ldx = 128,
                                              .lddy = 128,
                                              .sums = has_zeros };
        void *const back_b[] = { w, scales.x, scales.dy, d };
        refd_scale_back(&back, back_b);
        const struct scale_fold_push fold = { .out_pad = S_OUT,
                                              .in_pad = S_IN,
                                              .group = S_GROUP,
                                              .groups = S_GROUPS,
                                              .per = scales.per,
                                              .zeros = scales.zeros };
        void *const fold_b[] = { d, scales.base, scales.parameter, scales.sub, grad };
        refd_scale_fold(&fold, fold_b);
        check("scale_back, scale_fold", scale_value, NULL, scales.parameter, grad,
              (has_zeros ? 2u : 1u) * S_OUT * S_GROUPS / scales.per);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rmsnorm_back_is_its_derivative, start),
        cmocka_unit_test_setup(swiglu_back_is_its_derivative, start),
        cmocka_unit_test_setup(attention_back_of_short_heads, start),
        cmocka_unit_test_setup(attention_back_of_heads_no_power_of_two, start),
        cmocka_unit_test_setup(attention_back_of_the_longest_heads, start),
        cmocka_unit_test_setup(inverse_rope_is_the_transpose, start),
        cmocka_unit_test_setup(ce_back_is_the_derivative_of_the_target, start),
        cmocka_unit_test_setup(kl_gradient_is_its_derivative, start),
        cmocka_unit_test_setup(dpo_seeds_are_the_derivative_of_the_loss, start),
        cmocka_unit_test_setup(scales_follow_their_parameters, start),
    };
    return cmocka_run_group_tests_name("gradients against differences", tests, NULL,
                                       NULL);
}

/* tests/support/calibrated.c
 * Matrices of uniform numbers, and inputs that are correlated, some of them large. */
#include "tests/support/calibrated.h"

#include <math.h>
#include <stdlib.h>

static double next_number(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return (double)(*x >> 40) / 16777216 - 0.5;
}

/* Token t, if it is one of those that are kept. */
static void keep_token(struct test_calibrated *c, uint32_t t, const double *x)
{
    const uint32_t n = c->seen.sampled,
                   i = (uint32_t)(((uint64_t)t * n + c->tokens - 1) / c->tokens);
    for (uint32_t k = 0; k < c->in; k++) {
        c->maxima[k] = fmaxf(c->maxima[k], fabsf((float)x[k]));
        if (i < n && (uint64_t)i * c->tokens / n == t)
            c->sample[(size_t)i * c->in + k] = (float)x[k];
    }
}

static void add_token(struct test_calibrated *c, uint64_t *seed, double *x, double *sums)
{
    double before = 0;
    for (uint32_t k = 0; k < c->in; k++) {
        before = next_number(seed) + 0.75 * before;
        x[k] = before * (k * 37 % 11 == 0 ? 4.0 : 1.0);
        c->means[k] += fabs(x[k]);
    }
    for (uint32_t i = 0; i < c->in; i++)
        for (uint32_t j = 0; j < c->in; j++)
            sums[(size_t)i * c->in + j] += x[i] * x[j];
}

static void make_inputs(struct test_calibrated *c, uint64_t seed)
{
    const size_t square = (size_t)c->in * c->in;
    double *sums = calloc(square, sizeof *sums), *x = calloc(c->in, sizeof *x);
    for (uint32_t t = 0; t < c->tokens; t++) {
        add_token(c, &seed, x, sums);
        keep_token(c, t, x);
    }
    for (uint32_t k = 0; k < c->in; k++)
        c->means[k] /= c->tokens;
    for (size_t i = 0; i < square; i++)
        c->h[i] = (float)sums[i];
    free(sums);
    free(x);
}

void test_calibrated_init(struct test_calibrated *c, const uint32_t *out, uint32_t parts,
                          uint32_t in, uint32_t tokens)
{
    size_t largest = 0;
    uint64_t seed = 0;
    *c = (struct test_calibrated){ .parts = parts, .in = in, .tokens = tokens };
    c->h = malloc((size_t)in * in * sizeof *c->h);
    c->means = calloc(in, sizeof *c->means);
    c->moment = (struct observe_moment){ .in = in,
                                         .rows = tokens,
                                         .weight = tokens,
                                         .height = in,
                                         .panels = 1,
                                         .panel = { c->h } };
    c->maxima = calloc(in, sizeof *c->maxima);
    c->sample = calloc((size_t)OBSERVE_SAMPLED * in, sizeof *c->sample);
    c->seen =
        (struct observe_group){ .in = in,
                                .rows = tokens,
                                .weight = tokens,
                                .maxima = c->maxima,
                                .sample = c->sample,
                                .sampled =
                                    tokens < OBSERVE_SAMPLED ? tokens : OBSERVE_SAMPLED };
    for (uint32_t p = 0; p < parts; p++)
        seed += out[p] * UINT64_C(1000003);
    seed += in;
    for (uint32_t p = 0; p < parts; p++) {
        const size_t count = (size_t)out[p] * in;
        largest = count > largest ? count : largest;
        c->out[p] = out[p];
        c->w[p] = malloc(count * sizeof *c->w[p]);
        for (size_t i = 0; i < count; i++)
            c->w[p][i] = (float)next_number(&seed);
        c->matrix[p] = (struct quant_matrix){ .name = "example",
                                              .w = c->w[p],
                                              .out = out[p],
                                              .in = in,
                                              .moment = &c->moment,
                                              .seen = &c->seen };
    }
    c->codes = (struct quant_codes){ malloc(largest), malloc(largest * sizeof(float)),
                                     malloc(largest), 0, 0 };
    make_inputs(c, seed);
}

void test_calibrated_deinit(struct test_calibrated *c)
{
    for (uint32_t p = 0; p < c->parts; p++)
        free(c->w[p]);
    free(c->h);
    free(c->means);
    free(c->maxima);
    free(c->sample);
    free(c->codes.codes);
    free(c->codes.scales);
    free(c->codes.zeros);
}

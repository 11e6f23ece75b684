/* runtime/format/rope_config.h
 * Rotary position embedding as a config.json describes it, and the frequencies that
 * follow from it. The kinds differ in the frequencies only, so no kernel knows them.
 *
 * With d the head size and f_i = theta^(-2 i / d), i < d / 2:
 *   default  f_i
 *   linear   f_i / factor
 *   llama3   f_i where the wavelength 2 pi / f_i is below original / high, f_i / factor
 *            where it is above original / low, and a blend of both, linear in
 *            original / wavelength, between
 *   yarn     f_i for dimensions that turn more than beta_fast times within `original`
 *            positions, f_i / factor for those below beta_slow turns, a blend linear in
 *            i between (arXiv 2309.00071); cos and sin are multiplied by `gain`
 * `original` is the context the model was trained with before it was stretched. */
#ifndef RUNTIME_FORMAT_ROPE_CONFIG_H
#define RUNTIME_FORMAT_ROPE_CONFIG_H

#include <jansson.h>

#include "runtime/base/rt.h"

enum fmt_rope_kind {
    FMT_ROPE_DEFAULT,
    FMT_ROPE_LINEAR,
    FMT_ROPE_LLAMA3,
    FMT_ROPE_YARN,
    FMT_ROPE_KIND_COUNT
};

struct fmt_rope {
    enum fmt_rope_kind kind;
    double theta;
    double factor;               /* how far the context is stretched; 1: default */
    double original;             /* positions */
    double low, high;            /* llama3: low_freq_factor, high_freq_factor */
    double beta_fast, beta_slow; /* yarn: turns within `original` */
    bool whole;                  /* yarn: the ends of the blend are whole dimensions */
    double gain;                 /* of cos and sin; 1 but for yarn */
};

const char *fmt_rope_name(enum fmt_rope_kind kind); /* "llama3" */

/* Reads rope_parameters (transformers 5, flat or one object per kind of layer), or
 * rope_theta and rope_scaling with rope_type or the older key type. Where both are there,
 * rope_scaling counts, as in transformers 5. max_positions: the model's, which stands for
 * `original` where none is given. RT_ERR_INPUT names path and key. */
RT_CHECKED rt_status fmt_rope_read(struct rt_ctx *ctx, const char *path,
                                   const json_t *root, uint32_t max_positions,
                                   struct fmt_rope *out);
/* Radians a position of each of the head_dim / 2 pairs. */
void fmt_rope_frequencies(const struct fmt_rope *rope, uint32_t head_dim,
                          double *frequency);

#endif

/* runtime/observe/moments.h
 * What the matrices of a model get as inputs: second moments X^T X, largest and mean magnitudes
 * of the inputs of every group of every layer, over given tokens (rows), streamed layer by
 * layer. Rows of X are tokens, columns are the input features of the group.
 *
 * How it runs. All tokens go through layer 0, then all through layer 1, and so on: the
 * hidden states between two layers are kept on the host, so each layer runs once. The
 * groups of one layer are summed on the device, then handed to the caller one at a time.
 * Where the device is software, that is the host's processor, the host sums with BLAS.
 *
 * Sums. X^T X is summed in float over blocks of OBSERVE_BLOCK rows, each in order, and the
 * blocks are added in float in order: an entry (i, j) is within
 * (OBSERVE_BLOCK + rows / OBSERVE_BLOCK) 2^-24 of sum |x_i x_j|, 3e-5 for 65,536 rows.
 * Measured over the demo's layers: 2.3e-6 (tests/golden/test_moments.c). Readers get doubles.
 *
 * Memory (N tokens, P of them per pass, h hidden size, f ffn size, W the widest group):
 *     host    4 N h + 2 W^2                 hidden states; half of one group's matrix
 *     device  2 (3 h^2 + f^2) + P (8 h + 3 f) 4, about: one layer's matrices, a pass;
 *             where tokens have weights and the device sums, P (W + 64) 4 more
 * 0.5B (h 896, f 4864), N 65,536: 0.3 GB and 0.15 GB; 7B (h 3584, f 18944): 1.7 GB and
 * 1.2 GB. Symmetric matrices are kept as panels of rows from the diagonal to the right,
 * so that they take little more than half.
 *
 * Weights. A token of weight w adds w x x^T (row_weights.h), w |x| and w x^2, and means are
 * divided by the sum of weights; one of weight 0 adds nothing, to maxima neither. A sequence
 * of weight 2 is that sequence twice, but for rounding: its rows times sqrt(2) are rounded,
 * and sums have fewer terms, so an entry is within another 2^-23 of sum w |x_i x_j|.
 *
 * FLOPs: the forward pass, and N (3 h^2 + f^2) 1.13 per layer for the moments (7 to 8
 * panels; a whole product would be 2). Maxima and means cost one read of
 * the inputs on the host. */
#ifndef RUNTIME_OBSERVE_MOMENTS_H
#define RUNTIME_OBSERVE_MOMENTS_H

#include "runtime/observe/sequence.h"

enum {
    OBSERVE_BLOCK = 256,
    OBSERVE_ROWS_DEFAULT = 1024,
    OBSERVE_PANELS_MAX = 128,
    OBSERVE_SAMPLED = 128
};

/* May be or-ed. */
enum observe_what {
    OBSERVE_MOMENTS = 1,
    OBSERVE_MAXIMA = 2,
    OBSERVE_MEANS = 4,
    OBSERVE_SQUARES = 8, /* the diagonal of the moments alone, at the cost of maxima */
    OBSERVE_SAMPLE = 16
};

/* X^T X of one group, symmetric [in][in]. Panel p holds rows p * height up to the next
 * panel, columns p * height up to in: value (i, j), i in panel p, j >= p * height, is
 * panel[p][(i - p * height) * ld + j - p * height], ld = in - p * height, rounded up to 4.
 * One panel is a whole matrix. */
struct observe_moment {
    uint32_t in;
    uint64_t rows; /* tokens that were summed */
    double weight; /* of all of them: what a mean is divided by; of weight 1, rows */
    uint32_t height, panels; /* rows of each panel but the last */
    const float *panel[OBSERVE_PANELS_MAX];
};

/* Rows [first, first + count) of the sum, both triangles, into out [count][in]. Columns
 * are the same, the matrix being symmetric. */
void observe_moment_rows(const struct observe_moment *moment, uint32_t first,
                         uint32_t count, double *out);
/* Values (i, i), (i, i + 1) ... (i, in - 1) of the sum, as they are kept. */
const float *observe_moment_right(const struct observe_moment *moment, uint32_t i);
/* Floats from there to value (i + 1, j) of the same panel. */
uint32_t observe_moment_stride(const struct observe_moment *moment, uint32_t i);
/* The mean of the sum's diagonal. */
double observe_moment_diagonal(const struct observe_moment *moment);

/* One group as it is handed over; valid until the callback returns. */
struct observe_group {
    uint32_t layer;
    enum model_group group;
    uint32_t in;
    uint64_t rows;                       /* tokens */
    double weight;                       /* of all of them */
    const struct observe_moment *moment; /* null: not asked for */
    const float *
        maxima; /* [in] largest |x| of each column, of rows that count; NULL if not asked for */
    const double *means;   /* [in] mean |x| of each column, NULL if not asked for */
    const double *squares; /* [in] mean x^2 of each column, NULL if not asked for */
    /* [sampled][in]: OBSERVE_SAMPLED rows, or as many as there are if these are fewer, evenly
     * from the first on: row i is the token within which i / sampled of all weight is
     * reached, of weights of 1 token i rows / sampled. NULL if not asked for. */
    const float *sample;
    uint32_t sampled;
};

/* Where the time of a task went, nanoseconds. */
struct observe_times {
    uint64_t forward_ns; /* layers, with the sums where the device makes them */
    uint64_t sums_ns;    /* sums on the host */
    uint64_t group_ns;   /* the callback `group` */
};

struct observe_task {
    struct rt_model *model;
    struct rt_adapter *adapter; /* of the model, may be NULL */
    /* Any length that the device's attention serves; every token but the last of each is
     * a row, and counts its weight, finite and not negative. Masks are not looked at, but
     * must be there. */
    const struct train_sequence *sequences;
    uint32_t count;
    uint32_t what;    /* enum observe_what */
    bool device_sums; /* moments are summed by a software device too: for comparison */
    /* Tokens of a pass, 0: OBSERVE_ROWS_DEFAULT. A longer sequence makes it longer. */
    uint32_t pass_rows;
    /* Called for every layer from the first, for every group in order. A status that is
     * not RT_OK ends the run and is returned. */
    rt_status (*group)(void *user, const struct observe_group *seen);
    /* Called after every pass of `total`: progress, or a status to stop. May be null. */
    rt_status (*pass)(void *user, uint64_t done, uint64_t total);
    /* Layers before this one are left out: `hidden` fills the inputs of this one, `floats`
     * of them, as `layer` was given them. 0: all layers, from the tokens. */
    uint32_t first_layer;
    rt_status (*hidden)(void *user, uint32_t layer, float *hidden, uint64_t floats);
    /* Called after all groups of a layer, with the inputs of the next one; NULL after the
     * last. May be null. */
    rt_status (*layer)(void *user, uint32_t layer, const float *hidden, uint64_t floats);
    /* Called after all groups of a layer of a streamed model: *from, borrowed, has the layer
     * as it is from now on, and the next layers see what that one makes of the tokens. NULL:
     * layers stay as they are. */
    rt_status (*replace)(void *user, uint32_t layer, struct fmt_model **from);
    void *user;                  /* borrowed */
    struct observe_times *times; /* set at the end; may be NULL */
};

/* RT_ERR_USAGE for a sequence of fewer than two tokens and where no token counts, RT_ERR_NO_DEVICE for one that is
 * too long for the device, memory statuses with the numbers. */
RT_CHECKED rt_status observe_layers(const struct observe_task *task);

/* What that takes beside the model, for a model of these sizes. */
struct observe_cost {
    uint64_t host_bytes, device_bytes;
    double flops; /* of the moments, the forward pass apart */
};
/* `rows` tokens in all, `pass_rows` of them per pass. Rounding of the device's allocator
 * and copies of packed weights in 32 bits (plan.decode_rows) are not counted. `software`:
 * as rt_device_info, the sums are the host's. */
void observe_cost_of(const struct fmt_config *config, uint64_t rows, uint32_t pass_rows,
                     uint32_t what, bool software, struct observe_cost *out);

#endif

/* runtime/quant/method.h
 * Quantizers as rows of one table (methods.def). A method gets one matrix, and what its
 * inputs were on calibration text if it needs that, and gives codes, scales and zeros of
 * the grid that the options name (grid.h). */
#ifndef RUNTIME_QUANT_METHOD_H
#define RUNTIME_QUANT_METHOD_H

#include "runtime/observe/moments.h"

struct quant_method;
struct quant_plan;

/* What a folder asks of the inputs of its matrices. */
enum quant_inputs {
    QUANT_INPUTS_FLOATS, /* nothing */
    QUANT_INPUTS_ROWS,   /* 8 bits, a scale for every token as it comes */
    QUANT_INPUTS_GIVEN,  /* 8 bits, one scale per matrix, of the calibration text */
};

struct quant_options {
    uint32_t bits;  /* 2, 3, 4, 8 */
    uint32_t group; /* codes that share a scale, 16 or a multiple of 32; 0: one per row */
    bool asymmetric;
    /* Of a whole model: what is not quantized and is stored in blocks of a GGUF file
     * becomes F32, which holds their values exactly, instead of F16. */
    bool keep_f32;
    const struct quant_method *method; /* NULL: the first of the table, rtn */
    bool search;                       /* the range of every group is searched (grid.h) */
    bool natural_order; /* gptq, smoothquant: columns as they are, not by activation */
    /* With calibration: each layer sees what the quantized layers before it make of the
     * text, not what the full model does. */
    bool true_sequential;
    enum quant_inputs inputs; /* not floats: 8 bits per row, symmetric (int8.h) */
    /* Not floats, with calibration: a group of matrices keeps float inputs if rounding them
     * costs more than this many times what rounding its weights does (quant_int8_costs); 0: none. */
    double float_inputs;
    bool nearest;   /* smoothquant: weights to nearest, else by gptq */
    double damping; /* gptq, smoothquant: share of the mean diagonal; 0: QUANT_DAMPING */
    /* gptq, smoothquant: rounds columns in float (gptq.h), borrowed; NULL: the host does, in
     * double. Of a whole model quant_folder sets it. */
    struct rt_device *device;
    /* Of a whole model: a software device rounds too. For comparison. */
    bool device_rounds;
    /* Of a whole model: widths of single matrices, in place of `bits`; NULL: none. */
    const struct quant_plan *plan;
    bool
        once; /* of a whole model: no later command continues what fails, nothing is kept */
};

#define QUANT_DAMPING 0.01
#define QUANT_FLOAT_INPUTS 2 /* smoothquant's, if nobody says another */

/* One matrix w [out][in], finite. */
struct quant_matrix {
    const char *name; /* for messages */
    const float *w;
    uint32_t out, in;
    const struct observe_moment *moment; /* of its inputs; NULL: no calibration */
    const struct observe_group *seen;    /* what else is known of them; the same */
    /* [in], NULL: 1. The inputs are those of the moment, each divided by this (awq.h). */
    const float *divisors;
};

/* Where its codes go: codes [out][in], scales and zeros [out][groups], unsigned, as they
 * are stored. All of the caller. A method that knows their objective (quant_objective)
 * anyhow sets that too; others leave it. */
struct quant_codes {
    uint8_t *codes;
    float *scales;
    uint8_t *zeros;
    double objective;
    double nearest; /* the same of values rounded to nearest; set where a device rounds */
};

struct quant_method {
    const char *name, *summary;
    uint32_t needs; /* enum observe_what; 0: no calibration */
    /* Factors of the columns of matrices that read the same input, chosen before they are
     * quantized; the matrices are multiplied by them and what makes the input is divided.
     * `means` is the mean magnitude of the input. NULL: the method has none. */
    rt_status (*scale)(struct rt_ctx *ctx, const struct quant_options *options,
                       const struct quant_matrix *matrices, uint32_t count,
                       const double *means, float *factors);
    rt_status (*quantize)(struct rt_ctx *ctx, const struct quant_options *options,
                          const struct quant_matrix *matrix, struct quant_codes *out);
};

/* Row i, NULL beyond the last; by name, NULL: there is none; of options. */
const struct quant_method *quant_method_at(uint32_t i);
const struct quant_method *quant_method_find(const char *name);
const struct quant_method *quant_method_of(const struct quant_options *options);

/* gptq, and smoothquant unless it rounds to nearest. */
bool quant_rounds_by_gptq(const struct quant_options *options);
/* Whether a device that rounds columns also measures rounding to nearest (quant_codes): it is
 * of the same grid, and of inputs as they are. */
bool quant_device_measures(const struct quant_options *options);
/* RT_ERR_USAGE where an option is impossible. */
RT_CHECKED rt_status quant_check(struct rt_ctx *ctx, const struct quant_options *options);
/* Codes that share a scale, and scales of a row, of a matrix of `in` columns. */
uint32_t quant_group(const struct quant_options *options, uint32_t in);
uint32_t quant_groups(const struct quant_options *options, uint32_t in);
/* Bits of a matrix with a float per group (0: per row) as its scale, and with its zeros. */
double quant_packed_bits(uint32_t out, uint32_t in, uint32_t bits, uint32_t group,
                         bool asymmetric);

/* trace(D H D^T) of a difference d [out][in] of the matrix, H = X^T X / rows, X as the
 * moment has it (divisors are the caller's). Products in float, sums of them in double.
 * 1.1 out in^2 FLOPs where H comes in panels. */
RT_CHECKED rt_status quant_output_error(struct rt_ctx *ctx,
                                        const struct quant_matrix *matrix, const float *d,
                                        double *out);
/* What quantizing did to the outputs of a matrix on the calibration text: the mean over
 * tokens of |(W - Q(W)) x|^2, summed over outputs, which is trace(D H D^T) with H = X^T X /
 * rows. As quant_output_error. */
RT_CHECKED rt_status quant_objective(struct rt_ctx *ctx,
                                     const struct quant_options *options,
                                     const struct quant_matrix *matrix,
                                     const struct quant_codes *codes, double *out);

#endif

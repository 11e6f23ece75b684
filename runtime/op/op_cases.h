/* runtime/op/op_cases.h
 * The one list of op cases: parameters, operand sizes and contents of every op at awkward
 * sizes, and at sizes worth timing. Tests prove an op with it and the bench times it, so
 * that a time without a passed check cannot be printed. */
#ifndef RUNTIME_OP_OP_CASES_H
#define RUNTIME_OP_OP_CASES_H

#include "runtime/op/op.h"

/* Parameters of any op. */
union rt_op_push {
#define OP(name, bindings) struct name##_push name;
#include "shaders/ops.def"
#undef OP
};

/* What an operand holds, drawn from a seed. */
enum rt_fill {
    RT_FILL_USUAL = 0, /* what the op usually gets; in cases only */
    RT_FILL_ZERO,
    RT_FILL_UNIT,      /* floats in (-1, 1) */
    RT_FILL_POSITIVE,  /* floats in (0.5, 1.5) */
    RT_FILL_LOGITS,    /* floats in (-8, 8) */
    RT_FILL_TIES,      /* whole numbers -4 .. 4 */
    RT_FILL_BROKEN,    /* logits with some -inf, +inf and NaN */
    RT_FILL_MASKED,    /* logits with some -inf */
    RT_FILL_LARGE,     /* floats in (-10000, 10000) */
    RT_FILL_TINY,      /* floats in (-1e-18, 1e-18) */
    RT_FILL_WORDS,     /* any words */
    RT_FILL_IDS,       /* words below `arg` + 1; some are 0xffffffff */
    RT_FILL_CODES,     /* a packed weight of `arg` & 255 bits and form `arg` >> 8 */
    RT_FILL_SCALES,    /* of a weight of `arg` & 255 bits and form `arg` >> 8 */
    RT_FILL_STAT,      /* rows of logits_stat with targets below `arg` */
    RT_FILL_HYPER,     /* the hyperparameters of adamw */
    RT_FILL_META,      /* the meta words of the op, made from its parameters */
    RT_FILL_TABLE,     /* page numbers, last page first */
    RT_FILL_EDGES,     /* floats of magnitudes from 2^-30 to 2^20 */
    RT_FILL_HALVES,    /* halves in (-1, 1), none subnormal, two in a word */
    RT_FILL_QUANTIZED, /* rows of quantize: `arg` words of codes, then a scale */
    RT_FILL_SMALL,     /* floats in (-1/16, 1/16) */
};

/* How the words of a written operand are compared. */
enum rt_content {
    RT_CONTENT_FLOATS = 0,
    RT_CONTENT_HALVES, /* two in a word */
    RT_CONTENT_WORDS,  /* exactly */
    RT_CONTENT_STAT,   /* logits_stat: words 0, 1, 5, 7 of 8 exactly, the rest floats */
    RT_CONTENT_KLSTAT, /* kl: words 1, 2, 3 of 4 exactly, the first a float */
};

struct rt_op_operand {
    uint64_t bytes;   /* of the binding; padding rows included */
    uint64_t checked; /* bytes from the start whose content has a meaning */
    uint32_t ld; /* elements per row, the unit of magnitude in comparisons; 0: one row */
    enum rt_fill fill;
    enum rt_content content;
    uint32_t arg; /* of fill */
};

/* What a case is timed for. */
enum rt_op_bench {
    RT_BENCH_NO = 0, /* awkward, not of a size worth timing */
    RT_BENCH_OPS,    /* the op's speed */
    RT_BENCH_PEAK,   /* a limit of the device */
};

struct rt_op_case {
    enum rt_op op;
    const char *what;  /* the point of the case, in words */
    enum rt_fill fill; /* of the op's first float operand */
    uint32_t length;   /* of the sequences of attention ops; of sample: not 0 where the
                               key of a row is its number, so that its words are known */
    enum rt_op_bench bench; /* whether it is timed; `what` is unique within the op then */
    union rt_op_push push;
    struct rt_op_operand operand[RT_OP_BINDINGS_MAX];
};

/* Case `index` of all; false past the last. */
bool rt_op_case_get(uint32_t index, struct rt_op_case *out);
/* Operands of a case that has its op, parameters and length; what else it has stays. */
void rt_op_case_make(struct rt_op_case *c);
/* Mean number of keys that a row of an attention case reads; 0 for other ops. */
double rt_op_case_keys(const struct rt_op_case *c);
/* Writes operand `binding` of a case, `operand[binding].bytes` long. */
void rt_op_case_fill(const struct rt_op_case *c, uint32_t binding, uint32_t seed,
                     void *data);

#endif

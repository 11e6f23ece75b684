/* runtime/observe/row_weights.h
 * Private to runtime/observe: what each row of a pass counts in the sums of its inputs. Row
 * t of a sequence is its token t, and counts train_sequence.weight[t].
 *
 * A moment of weighted rows is that of the rows times the roots of their weights, which
 * keeps it symmetric, and as definite as one without weights. The host multiplies its copy of the
 * inputs. On a device the op `outer` does: 64 rows times the diagonal of their roots, so that each
 * value is one product beside zeros, rounded once. That takes 64 more multiplications per
 * value of the inputs; their moments take as many as a row has columns, about. */
#ifndef RUNTIME_OBSERVE_ROW_WEIGHTS_H
#define RUNTIME_OBSERVE_ROW_WEIGHTS_H

#include "runtime/model/model_impl.h"
#include "runtime/observe/sequence.h"

struct observe_weights {
    bool any;     /* a sequence has weights; else only the sums below are used */
    double total; /* of the weights of all rows */
    float *row;   /* [rows of a pass] of the part under way; NULL: all 1 */
    struct rt_buffer *roots; /* UPLOAD [rows][64]: diagonals; NULL: the host sums */
    struct rt_buffer
        *scaled; /* DEVICE [rows][columns]: the inputs times them; the same */
};

/* `rows` of a pass, a multiple of RT_ROW_PAD; `columns` of the widest inputs, 0: the host
 * sums. RT_ERR_USAGE: no row counts. */
RT_CHECKED rt_status observe_weights_init(struct observe_weights *w,
                                          struct rt_device *dev,
                                          const struct train_sequence *sequences,
                                          uint32_t count, uint32_t rows,
                                          uint32_t columns);
void observe_weights_deinit(struct observe_weights *w);
/* Makes these sequences, end to end, the part under way. Their weights are added to *sum. */
void observe_weights_fill(struct observe_weights *w,
                          const struct train_sequence *sequences, uint32_t count,
                          double *sum);
/* What a row of the part counts. */
float observe_weight_of(const struct observe_weights *w, uint32_t row);
/* Inputs x times the roots: recorded, the result valid until the next call; on the host,
 * in place. Without weights x itself. */
struct rt_slice observe_weights_record(const struct observe_weights *w,
                                       struct rt_list *list, uint32_t rows, uint32_t in,
                                       struct rt_slice x, uint32_t ldx);
void observe_weights_scale(const struct observe_weights *w, uint32_t rows, uint32_t in,
                           float *x, uint32_t ldx);

#endif

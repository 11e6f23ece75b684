/* runtime/quant/cost.h
 * What quantizing a whole model will take and give, from the headers of its files alone. */
#ifndef RUNTIME_QUANT_COST_H
#define RUNTIME_QUANT_COST_H

#include "runtime/model/model_layout.h"
#include "runtime/quant/method.h"

struct quant_cost {
    uint64_t source_bytes; /* of the tensors in the files */
    uint64_t packed_bytes; /* codes, scales, zeros of the quantized matrices */
    uint64_t kept_bytes;   /* all other tensors, as they will be written */
    uint64_t weights;      /* elements quantized */
    uint32_t layers;
    uint64_t kept;   /* elements kept */
    double bits;     /* per quantized weight, with scales and zeros */
    double bits_all; /* per weight of the model, with all that is stored */
    /* Peak, beside the mapped files: hidden states, moments, what the method works in, one
     * layer's results; and on the device, without calibration 0. Estimates: allocators
     * round, drivers add their own. */
    uint64_t host_bytes, device_bytes;
    /* On the device with the whole model and what is made of it, as candidates are compared. */
    uint64_t compared_bytes;
    double forward_flops; /* layers over the calibration text */
    double sums_flops;    /* second moments */
    double method_flops;  /* on the host */
    /* Columns that the device rounds, not among the method's; 0: the host does. Bytes are
     * within the device's. */
    double columns_flops;
    uint64_t columns_bytes;
    /* Weights that a search rounds, each as often as it tries a range of its group. */
    double tried;
};

/* Of a folder or file, with `tokens` of calibration text (0: none) of which `pass_rows` go
 * through a layer at once. `software`: as rt_device_info. RT_ERR_INPUT: it
 * cannot be read, is quantized already, or a line of a plan fits none of its matrices. */
RT_CHECKED rt_status quant_cost_of(struct rt_ctx *ctx, const char *from,
                                   const struct quant_options *options, uint64_t tokens,
                                   uint32_t pass_rows, bool software,
                                   struct quant_cost *out);
/* What the device holds, about, while a candidate is compared: the whole model beside what a pass
 * takes with one layer of it, and the candidate, whose tables may be decoded there.
 * `sequential`: its inputs come from the layers of a second model. */
uint64_t quant_compared_bytes(const struct model_size *size, uint64_t pass_bytes,
                              uint64_t candidate_bytes, bool sequential);

#endif

/* pipeline/restore/plain.h
 * Private to the chain: quantized models that it makes itself, once, in the folder of its
 * work: the one that is repaired, and the plain alternatives to a repair. */
#ifndef PIPELINE_RESTORE_PLAIN_H
#define PIPELINE_RESTORE_PLAIN_H

#include "pipeline/restore/restore_impl.h"

/* Whether a quantizer of this name can make models here. */
bool restore_plain_method(const char *method);
/* Makes the model of a grid where it is not there yet; its folder (at most `size` bytes) out.
 * The name tells the grid, the calibration text and the full model. RT_ERR_USAGE: the
 * calibration text holds problems that are measured. */
RT_CHECKED rt_status restore_plain_make(struct restoring *r,
                                        const struct restore_grid *grid, char *folder,
                                        size_t size);

#endif

/* runtime/base/blas.h
 * The host's linear algebra library: how many threads it takes, and whether it knows this
 * processor. Products are those of cblas.h and lapacke.h. */
#ifndef RUNTIME_BASE_BLAS_H
#define RUNTIME_BASE_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* Sets the threads of the calls that follow, each of about so many FLOPs: as many as the
 * machine has cores, at most 16, or one for small products, which would wait longer for
 * each other than they compute, above all on a busy machine. Says nothing else about the
 * sums of a product, so two runs of a machine give equal bytes whatever the environment
 * says. Nothing where the library is not OpenBLAS. */
void rt_blas_threads(double flops);
/* OpenBLAS takes its oldest kernels, several times slower, on a processor that is newer
 * than the library. Returns the value of the environment's RT_BLAS_VARIABLE that fits
 * better, NULL: the library's choice is good. The library reads it before main. */
const char *rt_blas_better_core(void);
#define RT_BLAS_VARIABLE "OPENBLAS_CORETYPE"
/* "OpenBLAS, SkylakeX, 2 threads", cut to `size` bytes with its end. */
void rt_blas_describe(char *out, size_t size);

#endif

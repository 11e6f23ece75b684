/* runtime/base/blas.c
 * Threads and kernels of OpenBLAS; another BLAS is taken as it is. */
#include "runtime/base/blas.h"

#include "runtime/base/os.h"
#include "runtime/base/rt.h"

#include <stdio.h>
#include <string.h>

enum { THREADS_MAX = 16 };
#define SMALL 2e8 /* FLOPs that one thread takes alone: some milliseconds */

#ifdef FAULTLINE_OPENBLAS

/* Declared here, because cblas.h does so in some versions only. */
void openblas_set_num_threads(int threads);
int openblas_get_num_threads(void);
char *openblas_get_corename(void);

void rt_blas_threads(double flops)
{
    const int64_t cores = os_cpu_cores();
    const int most = cores > THREADS_MAX ? THREADS_MAX : cores < 1 ? 1 : (int)cores;
    const int wanted = flops < SMALL ? 1 : most;
    if (openblas_get_num_threads() != wanted)
        openblas_set_num_threads(wanted);
}

const char *rt_blas_better_core(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    static const char *const old[] = { "Prescott", "Core2",   "Penryn", "Dunnington",
                                       "Atom",     "Nehalem", "generic" };
    const char *core = openblas_get_corename();
    bool is_old = false;
    for (size_t i = 0; i < RT_COUNT(old); i++)
        is_old = is_old || strcmp(core, old[i]) == 0;
    if (!is_old)
        return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        return "SKYLAKEX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "HASWELL";
#endif
    return NULL;
}

void rt_blas_describe(char *out, size_t size)
{
    const int threads = openblas_get_num_threads();
    snprintf(out, size, "OpenBLAS, %s, %d thread%s", openblas_get_corename(), threads,
             threads == 1 ? "" : "s");
}

#else

void rt_blas_threads(double flops)
{
    (void)flops;
}

const char *rt_blas_better_core(void)
{
    return NULL;
}

void rt_blas_describe(char *out, size_t size)
{
    snprintf(out, size, "BLAS");
}

#endif

/* runtime/op/op_cases_bench.c
 * The cases of sizes worth timing, and those that measure the limits of a device.
 * Parameters in the order of push.h, as the comments of runtime/op/op_cases_list.c say. */
#include "runtime/op/op_cases_list.h"

#define TIMED(kind_, op_, what_, length_, ...) \
    { .op = RT_OP_##op_,                       \
      .what = what_,                           \
      .length = length_,                       \
      .bench = kind_,                          \
      .push.op_ = { __VA_ARGS__ } },
#define BENCH(op_, what_, length_, ...) \
    TIMED(RT_BENCH_OPS, op_, what_, length_, __VA_ARGS__)
#define PEAK(op_, what_, ...) TIMED(RT_BENCH_PEAK, op_, what_, 0, __VA_ARGS__)

/* clang-format off */
const struct rt_op_case rt_op_bench_list[] = {
    /* Enough work to drown what starting it costs on a GPU: 2.1 GFLOP. */
    PEAK(peak_fma, "1 chain", 1048576, 1024, 0.999f, 0.001f, 1)
    PEAK(peak_fma, "2 chains", 1048576, 1024, 0.999f, 0.001f, 2)
    PEAK(peak_fma, "4 chains", 1048576, 1024, 0.999f, 0.001f, 4)
    PEAK(peak_fma, "8 chains", 1048576, 1024, 0.999f, 0.001f, 8)
    /* More than the last-level caches of processors and GPUs hold: 128 and 122 MiB. */
    PEAK(peak_copy, "64 MiB, by storage", 16777216, 0)
    PEAK(peak_copy, "64 MiB, by texels", 16777216, 1)
    PEAK(peak_read, "120 MiB, by storage", 15360, 64, 0)
    PEAK(peak_read, "120 MiB, by texels", 15360, 64, 1)
    /* What an op costs that has nothing to do. */
    PEAK(add, "4 floats, a dispatch", 4, 0.5f)

    BENCH(matmul, "512x512 f32, 1 rows", 0,
         1, 512, 512, 32, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 f32, 8 rows", 0,
         8, 512, 512, 32, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 f32, 64 rows", 0,
         64, 512, 512, 32, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 f32, 512 rows", 0,
         512, 512, 512, 32, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 3 bits, 1 rows", 0,
         1, 512, 512, 3, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 3 bits, 8 rows", 0,
         8, 512, 512, 3, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 3 bits, 64 rows", 0,
         64, 512, 512, 3, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 3 bits, 512 rows", 0,
         512, 512, 512, 3, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 4 bits, 1 rows", 0,
         1, 512, 512, 4, 128, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 4 bits, 8 rows", 0,
         8, 512, 512, 4, 128, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 4 bits, 64 rows", 0,
         64, 512, 512, 4, 128, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 4 bits, 512 rows", 0,
         512, 512, 512, 4, 128, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 f16, 1 rows", 0,
         1, 512, 512, 16, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 f16, 64 rows", 0,
         64, 512, 512, 16, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 2 bits, 1 rows", 0,
         1, 512, 512, 2, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 2 bits, 64 rows", 0,
         64, 512, 512, 2, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 8 bits, 1 rows", 0,
         1, 512, 512, 8, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "512x512 8 bits, 64 rows", 0,
         64, 512, 512, 8, 0, 0, 512, 0, 512, 0, 0, 128, 0, 512, 512)
    BENCH(matmul, "demo qkv 256x128 3 bits, 64 rows", 0,
         64, 256, 128, 3, 0, 0, 128, 0, 256, 0, 0, 128, 0, 256, 256)
    BENCH(matmul, "demo gate and up 768x128 3 bits, 64 rows", 0,
         64, 768, 128, 3, 0, 0, 128, 0, 768, 0, 0, 128, 0, 768, 768)
    BENCH(matmul, "demo gate and up 768x128 3 bits, adapter, 256 rows", 0,
         256, 768, 128, 3, 0, 0, 128, 0, 768, 0, 4, 128, 16, 768, 768)
    BENCH(matmul, "demo down 128x384 3 bits, 64 rows", 0,
         64, 128, 384, 3, 0, 0, 384, 0, 128, 0, 0, 128, 0, 128, 128)
    BENCH(matmul, "demo head 576x128 f32, 64 rows", 0,
         64, 576, 128, 32, 0, 0, 128, 0, 640, 0, 0, 128, 0, 576, 576)

    BENCH(matmul_back, "512x512 f32, 512 rows", 0,
         512, 512, 512, 32, 0, 0, 512, 0, 512, 0, 0, 128, 0)
    BENCH(matmul_back, "512x512 3 bits, 64 rows", 0,
         64, 512, 512, 3, 0, 0, 512, 0, 512, 0, 0, 128, 0)
    BENCH(matmul_back, "512x512 3 bits, 512 rows", 0,
         512, 512, 512, 3, 0, 0, 512, 0, 512, 0, 0, 128, 0)
    BENCH(matmul_back, "512x512 4 bits, 512 rows", 0,
         512, 512, 512, 4, 128, 0, 512, 0, 512, 0, 0, 128, 0)
    BENCH(matmul_back, "demo gate and up 768x128 3 bits, adapter, 256 rows", 0,
         256, 768, 128, 3, 0, 0, 768, 0, 128, 0, 0, 128, 16)
    BENCH(unpack, "512x512 3 bits", 0, 512, 512, 3, 0, 0)
    BENCH(unpack, "512x512 4 bits", 0, 512, 512, 4, 128, 0)
    BENCH(outer, "16x384, 256 rows", 0, 256, 16, 384, 128, 0, 384, 0, 384, 1.0f, 0)
    BENCH(outer, "128x128, 512 rows", 0, 512, 128, 128, 128, 0, 128, 0, 128, 1.0f, 0)
    BENCH(embed, "128 columns f32, 256 rows", 0, 256, 128, 576, 128, 32, 0, 0, 128, 0, 576)

    BENCH(attention, "prefill of 256", 256,
         256, 4, 2, 32, 128, 0, 256, 0, 256, 64, 128, 0, 0, 0, 0.176777f, 0)
    BENCH(attention, "prefill of 256, heads of 64", 256,
         256, 8, 2, 64, 512, 0, 256, 0, 256, 128, 512, 0, 0, 0, 0.125000f, 0)
    BENCH(attention, "decode at 256 keys, 1 row", 256,
         1, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 16, 0, 0.176777f, 0)
    BENCH(attention, "decode at 1 to 256 keys, 64 rows", 256,
         64, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 16, 0, 0.176777f, 0)
    BENCH(attention, "decode at 1 to 256 keys, 64 rows, heads of 64", 256,
         64, 8, 2, 64, 512, 0, 256, 0, 256, 128, 512, 0, 16, 0, 0.125000f, 0)
    BENCH(attention, "halves: decode at 256 keys, 1 row", 256,
         1, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 16, 0, 0.176777f, 1)
    BENCH(attention, "halves: decode at 1 to 256 keys, 64 rows", 256,
         64, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 16, 0, 0.176777f, 1)
    BENCH(attention, "halves: decode at 1 to 256 keys, 64 rows, heads of 64", 256,
         64, 8, 2, 64, 512, 0, 256, 0, 256, 128, 512, 0, 16, 0, 0.125000f, 1)
    BENCH(attention_back_q, "256 rows", 256,
         256, 4, 2, 32, 128, 0, 256, 0, 256, 64, 256, 0, 128, 128, 0, 0.176777f)
    BENCH(attention_back_kv, "256 rows", 256,
         256, 4, 2, 32, 128, 0, 256, 0, 256, 64, 256, 128, 128, 0, 64, 0.176777f)
    BENCH(rmsnorm, "128 columns, 256 rows", 0, 256, 128, 1, 128, 0, 128, 0, 1e-6f)
    BENCH(rmsnorm, "2048 columns, 64 rows", 0, 64, 2048, 1, 2048, 0, 2048, 0, 1e-6f)
    BENCH(rmsnorm_back, "128 columns, 256 rows", 0,
         256, 128, 1, 128, 0, 128, 0, 128, 0, 1e-6f, 1)
    BENCH(rope, "256 rows", 0, 256, 4, 2, 32, 256, 0, 128, 192, 0, 1, 128, 256, 0)
    BENCH(swiglu, "384 columns, 256 rows", 0, 256, 384, 768, 0, 384, 384)
    BENCH(swiglu_back, "384 columns, 256 rows", 0, 256, 384, 768, 0, 384, 384, 768)
    BENCH(add, "98304 floats", 0, 98304, 0.5f)
    BENCH(logits_stat, "576 ids, 64 rows", 0, 64, 576, 640)
    BENCH(logits_stat, "8192 ids, 8 rows", 0, 8, 8192, 8192)
    BENCH(ce_back, "576 ids, 64 rows", 0, 64, 576, 640)
    BENCH(kl, "576 ids, 64 rows", 0, 64, 576, 640, 1.0f, 1)
    BENCH(sample, "576 ids, 64 rows", 0, 64, 576, 640, 1.0f, 0.9f, 7, 0)
    BENCH(sumsq, "98304 floats", 0, 98304)
    BENCH(adamw, "98304 floats", 0, 98304)
};
/* clang-format on */

const uint32_t rt_op_bench_count = RT_COUNT(rt_op_bench_list);

/* runtime/op/op_cases_bench.c
 * The cases of sizes worth timing, and those that measure the limits of a device. */
#include "runtime/op/op_cases_list.h"

#define PEAK(op_, what_, ...)                                                   \
    {                                                                           \
        .op = RT_OP_##op_, .what = what_, .bench = RT_BENCH_PEAK, .push.op_ = { \
            __VA_ARGS__                                                         \
        }                                                                       \
    }
#define BENCH(op_, what_, ...)                                                 \
    {                                                                          \
        .op = RT_OP_##op_, .what = what_, .bench = RT_BENCH_OPS, .push.op_ = { \
            __VA_ARGS__                                                        \
        }                                                                      \
    }
#define BENCH_SEQUENCES(op_, what_, length_, ...)                                   \
    {                                                                               \
        .op = RT_OP_##op_, .what = what_, .bench = RT_BENCH_OPS, .length = length_, \
        .push.op_ = {                                                               \
            __VA_ARGS__                                                             \
        }                                                                           \
    }

static const struct rt_op_case rows[] = {
    /* Enough work to drown what starting it costs on a GPU: 2.1 GFLOP. */
    PEAK(peak_fma, "1 chain", .count = 1048576, .steps = 1024, .a = 0.999f, .b = 0.001f,
         .chains = 1),
    PEAK(peak_fma, "2 chains", .count = 1048576, .steps = 1024, .a = 0.999f, .b = 0.001f,
         .chains = 2),
    PEAK(peak_fma, "4 chains", .count = 1048576, .steps = 1024, .a = 0.999f, .b = 0.001f,
         .chains = 4),
    PEAK(peak_fma, "8 chains", .count = 1048576, .steps = 1024, .a = 0.999f, .b = 0.001f,
         .chains = 8),
    /* More than the last-level caches of processors and GPUs hold: 128 and 122 MiB. */
    PEAK(peak_copy, "64 MiB, by storage", .count = 16777216),
    PEAK(peak_copy, "64 MiB, by texels", .count = 16777216, .texel = 1),
    PEAK(peak_read, "120 MiB, by storage", .rows = 64, .blocks = 15360),
    PEAK(peak_read, "120 MiB, by texels", .rows = 64, .blocks = 15360, .texel = 1),
    /* What an op costs that has nothing to do. */
    PEAK(add, "4 floats, a dispatch", .count = 4, .scale = 0.5f),
    BENCH(matmul, "512x512 f32, 1 rows", PLAIN_MATMUL(1, 512, 512, 32, 0)),
    BENCH(matmul, "512x512 f32, 8 rows", PLAIN_MATMUL(8, 512, 512, 32, 0)),
    BENCH(matmul, "512x512 f32, 64 rows", PLAIN_MATMUL(64, 512, 512, 32, 0)),
    BENCH(matmul, "512x512 f32, 512 rows", PLAIN_MATMUL(512, 512, 512, 32, 0)),
    BENCH(matmul, "512x512 3 bits, 1 rows", PLAIN_MATMUL(1, 512, 512, 3, 0)),
    BENCH(matmul, "512x512 3 bits, 8 rows", PLAIN_MATMUL(8, 512, 512, 3, 0)),
    BENCH(matmul, "512x512 3 bits, 64 rows", PLAIN_MATMUL(64, 512, 512, 3, 0)),
    BENCH(matmul, "512x512 3 bits, 512 rows", PLAIN_MATMUL(512, 512, 512, 3, 0)),
    BENCH(matmul, "512x512 4 bits, 1 rows", PLAIN_MATMUL(1, 512, 512, 4, 128)),
    BENCH(matmul, "512x512 4 bits, 8 rows", PLAIN_MATMUL(8, 512, 512, 4, 128)),
    BENCH(matmul, "512x512 4 bits, 64 rows", PLAIN_MATMUL(64, 512, 512, 4, 128)),
    BENCH(matmul, "512x512 4 bits, 512 rows", PLAIN_MATMUL(512, 512, 512, 4, 128)),
    BENCH(matmul, "512x512 f16, 1 rows", PLAIN_MATMUL(1, 512, 512, 16, 0)),
    BENCH(matmul, "512x512 f16, 64 rows", PLAIN_MATMUL(64, 512, 512, 16, 0)),
    BENCH(matmul, "512x512 2 bits, 1 rows", PLAIN_MATMUL(1, 512, 512, 2, 0)),
    BENCH(matmul, "512x512 2 bits, 64 rows", PLAIN_MATMUL(64, 512, 512, 2, 0)),
    BENCH(matmul, "512x512 8 bits, 1 rows", PLAIN_MATMUL(1, 512, 512, 8, 0)),
    BENCH(matmul, "512x512 8 bits, 64 rows", PLAIN_MATMUL(64, 512, 512, 8, 0)),
    BENCH(matmul, "demo qkv 256x128 3 bits, 64 rows", PLAIN_MATMUL(64, 256, 128, 3, 0)),
    BENCH(matmul, "demo gate and up 768x128 3 bits, 64 rows",
          PLAIN_MATMUL(64, 768, 128, 3, 0)),
    BENCH(matmul, "demo gate and up 768x128 3 bits, adapter, 256 rows",
          PLAIN_MATMUL(256, 768, 128, 3, 0), .flags = MATMUL_LORA, .rank = 16),
    BENCH(matmul, "demo down 128x384 3 bits, 64 rows", PLAIN_MATMUL(64, 128, 384, 3, 0)),
    BENCH(matmul, "demo head 576x128 f32, 64 rows", PLAIN_MATMUL(64, 576, 128, 32, 0)),
    BENCH(matmul_back, "512x512 f32, 512 rows", PLAIN_BACK(512, 512, 512, 32, 0)),
    BENCH(matmul_back, "512x512 3 bits, 64 rows", PLAIN_BACK(64, 512, 512, 3, 0)),
    BENCH(matmul_back, "512x512 3 bits, 512 rows", PLAIN_BACK(512, 512, 512, 3, 0)),
    BENCH(matmul_back, "512x512 4 bits, 512 rows", PLAIN_BACK(512, 512, 512, 4, 128)),
    BENCH(matmul_back, "demo gate and up 768x128 3 bits, adapter, 256 rows",
          PLAIN_BACK(256, 768, 128, 3, 0), .rank = 16),
    BENCH(unpack, "512x512 3 bits", .out_pad = 512, .in_pad = 512, .bits = 3),
    BENCH(unpack, "512x512 4 bits", .out_pad = 512, .in_pad = 512, .bits = 4,
          .group = 128),
    BENCH(outer, "16x384, 256 rows", .rows = 256, .na = 16, .nb = 384, .ldp = 128,
          .ldq = 384, .ldd = 384, .scale = 1.0f),
    BENCH(outer, "128x128, 512 rows", .rows = 512, .na = 128, .nb = 128, .ldp = 128,
          .ldq = 128, .ldd = 128, .scale = 1.0f),
    BENCH(scale_back, "512x512, 512 rows", .rows = 512, .out_pad = 512, .in_pad = 512,
          .ldx = 512, .lddy = 512),
    BENCH(scale_back, "demo gate and up 768x128, 1024 rows", .rows = 1024, .out_pad = 768,
          .in_pad = 128, .ldx = 128, .lddy = 768),
    BENCH(embed, "128 columns f32, 256 rows", .rows = 256, .cols = 128, .vocab = 576,
          .in_pad = 128, .bits = 32, .ldy = 128, .part = 576),
    BENCH_SEQUENCES(attention, "prefill of 256", 256, .rows = 256, .heads = 4,
                    .heads_k = 2, .hd = 32, .ldq = 128, .ldk = 256, .ldv = 256,
                    .offv = 64, .ldo = 128, .scale = 0.176777f),
    BENCH_SEQUENCES(attention, "prefill of 256, heads of 64", 256, .rows = 256,
                    HEADS(8, 2, 64), .scale = 0.125000f),
    BENCH_SEQUENCES(attention, "decode at 256 keys, 1 row", 256, .rows = 1,
                    HEADS(4, 2, 32), .page = 16, .scale = 0.176777f),
    BENCH_SEQUENCES(attention, "decode at 1 to 256 keys, 64 rows", 256, .rows = 64,
                    HEADS(4, 2, 32), .page = 16, .scale = 0.176777f),
    BENCH_SEQUENCES(attention, "decode at 1 to 256 keys, 64 rows, heads of 64", 256,
                    .rows = 64, HEADS(8, 2, 64), .page = 16, .scale = 0.125000f),
    BENCH_SEQUENCES(attention, "halves: decode at 256 keys, 1 row", 256, .rows = 1,
                    HEADS(4, 2, 32), .page = 16, .scale = 0.176777f, .halves = 1),
    BENCH_SEQUENCES(attention, "halves: decode at 1 to 256 keys, 64 rows", 256,
                    .rows = 64, HEADS(4, 2, 32), .page = 16, .scale = 0.176777f,
                    .halves = 1),
    BENCH_SEQUENCES(attention, "halves: decode at 1 to 256 keys, 64 rows, heads of 64",
                    256, .rows = 64, HEADS(8, 2, 64), .page = 16, .scale = 0.125000f,
                    .halves = 1),
    BENCH_SEQUENCES(attention_back_q, "256 rows", 256, .rows = 256, .heads = 4,
                    .heads_k = 2, .hd = 32, .ldq = 128, .ldk = 256, .ldv = 256,
                    .offv = 64, .ldo = 256, .offdo = 128, .lddq = 128,
                    .scale = 0.176777f),
    BENCH_SEQUENCES(attention_back_kv, "256 rows", 256, .rows = 256, .heads = 4,
                    .heads_k = 2, .hd = 32, .ldq = 128, .ldk = 256, .ldv = 256,
                    .offv = 64, .ldo = 256, .offdo = 128, .lddk = 128, .offdv = 64,
                    .scale = 0.176777f),
    BENCH(rmsnorm, "128 columns, 256 rows", .rows = 256, .cols = 128, .heads = 1,
          .ldx = 128, .ldy = 128, .eps = 1e-6f),
    BENCH(rmsnorm, "2048 columns, 64 rows", .rows = 64, .cols = 2048, .heads = 1,
          .ldx = 2048, .ldy = 2048, .eps = 1e-6f),
    BENCH(rmsnorm_back, "128 columns, 256 rows", .rows = 256, .cols = 128, .heads = 1,
          .ldx = 128, .lddy = 128, .lddx = 128, .eps = 1e-6f, .accumulate = 1),
    BENCH(rope, "256 rows", .rows = 256, .heads_q = 4, .heads_k = 2, .hd = 32, .ldx = 256,
          .offk = 128, .offv = 192, .store = 1, .ldc = 128, .positions = 256),
    BENCH(swiglu, "384 columns, 256 rows", .rows = 256, .cols = 384, .ldx = 768,
          .offu = 384, .ldh = 384),
    BENCH(swiglu_back, "384 columns, 256 rows", .rows = 256, .cols = 384, .ldx = 768,
          .offu = 384, .lddh = 384, .lddx = 768),
    BENCH(add, "98304 floats", .count = 98304, .scale = 0.5f),
    BENCH(logits_stat, "576 ids, 64 rows", .rows = 64, .vocab = 576, .ldl = 640),
    BENCH(logits_stat, "8192 ids, 8 rows", .rows = 8, .vocab = 8192, .ldl = 8192),
    BENCH(ce_back, "576 ids, 64 rows", .rows = 64, .vocab = 576, .ldl = 640),
    BENCH(kl, "576 ids, 64 rows", .rows = 64, .vocab = 576, .ldl = 640, .inv_temp = 1.0f,
          .want_grad = 1),
    BENCH(sample, "576 ids, 64 rows", .rows = 64, .vocab = 576, .ldl = 640,
          .inv_temp = 1.0f, .top_p = 0.9f, .seed_low = 7),
    BENCH(round_block, "896 rows, groups of 128", .rows = 896, .groups = 7, .ldw = 128,
          .ldc = 128, .top = 15),
    BENCH(sumsq, "98304 floats", .count = 98304),
    BENCH(adamw, "98304 floats", .count = 98304),
};

const struct rt_op_case_list rt_op_cases_bench = RT_CASE_LIST(rows);

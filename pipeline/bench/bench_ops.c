/* pipeline/bench/bench_ops.c
 * Suites `peak`, `ops` and `cases`: ops at the sizes of runtime/op/op_cases.h, held against
 * their twins and then timed by the device's clock. An op that takes microseconds is recorded
 * several times in one submission, so that the clock's grain and the submission do not
 * count; operations that work in place then read their own results, whose values do not
 * change the work. */
#include "pipeline/bench/bench_impl.h"

#include "runtime/ref/op_trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { REPEATS_MAX = 64, SEED = 1 };
#define SAMPLE_SECONDS 2e-3

struct ops_work {
    struct rt_device *dev; /* borrowed */
    struct rt_op_trial trial;
    struct rt_list *list;
    uint32_t repeats;          /* of the op in the list */
    struct rt_buffer *decoded; /* a weight in 32 bits, null: the product decodes */
};

/* Whether this device's plan has the weight decoded before the product, as a model's
 * forward pass then does. */
static bool decodes_before(const struct ops_work *w)
{
    const struct matmul_push *p = &w->trial.c.push.matmul;
    return w->trial.c.op == RT_OP_matmul && w->trial.c.bench &&
           rt_plan_decodes(rt_device_plan(w->dev), p->bits, p->rows);
}

/* The op as a model records it: both steps count in its time. */
static void record_op(const struct ops_work *w)
{
    if (!w->decoded) {
        rt_list_op(w->list, w->trial.c.op, &w->trial.c.push, w->trial.slices);
        return;
    }
    struct matmul_push push = w->trial.c.push.matmul;
    const struct unpack_push unpack = { .out_pad = push.out_pad,
                                        .in_pad = push.in_pad,
                                        .bits = push.bits,
                                        .group = push.group,
                                        .form = push.form };
    const struct rt_slice decoded = { .buffer = w->decoded };
    const struct rt_slice parts[] = { w->trial.slices[0], w->trial.slices[1], decoded };
    struct rt_slice slices[RT_OP_BINDINGS_MAX];
    memcpy(slices, w->trial.slices, w->trial.bindings * sizeof *slices);
    slices[0] = decoded;
    push.bits = 32;
    push.group = push.form = 0;
    rt_list_op(w->list, RT_OP_unpack, &unpack, parts);
    rt_list_op(w->list, RT_OP_matmul, &push, slices);
}

static rt_status record(struct ops_work *w, uint32_t repeats)
{
    rt_status st;
    rt_list_destroy(&w->list);
    TRY(rt_list_create(w->dev, "bench", &w->list));
    rt_list_context(w->list, rt_op_case_keys(&w->trial.c));
    for (uint32_t i = 0; i < repeats; i++)
        record_op(w);
    TRY(rt_list_end(w->list));
    w->repeats = repeats;

fail:
    return st;
}

static void close_ops(void *self)
{
    struct ops_work *w = self;
    rt_list_destroy(&w->list);
    rt_buffer_destroy(&w->decoded);
    rt_op_trial_deinit(&w->trial);
    rt_free(w);
}

/* Bytes that an op of suite `peak` reads by texels; 0: it does not. */
static uint64_t texel_bytes(const struct rt_op_case *op)
{
    if (op->op == RT_OP_peak_copy && op->push.peak_copy.texel)
        return 4ull * op->push.peak_copy.count;
    if (op->op == RT_OP_peak_read && op->push.peak_read.texel)
        return 4ull * PEAK_COLUMNS * op->push.peak_read.blocks * op->push.peak_read.rows;
    return 0;
}

/* By texels only where the plan reads so: else it would be the case by storage again. */
static rt_status check_texels(struct bench *b, const struct bench_case *c,
                              const struct rt_op_case *op)
{
    const struct rt_plan *plan = rt_device_plan(b->dev);
    const uint64_t bytes = texel_bytes(op);
    if (bytes && (plan->path == RT_PATH_STORAGE || bytes > plan->texel_bytes_max))
        return rt_fail(b->ctx, RT_ERR_USAGE,
                       "%s: this device reads by storage, see the case by storage",
                       c->name);
    return RT_OK;
}

static rt_status open_ops(struct bench *b, struct bench_case *c, void **self)
{
    rt_status st;
    struct rt_op_case op;
    struct ops_work *w = rt_alloc(b->ctx, 1, sizeof *w);
    *self = w;
    if (!w)
        return rt_fail(b->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", c->name);
    w->dev = b->dev;
    if (!rt_op_case_get(c->op_index, &op))
        return rt_fail(b->ctx, RT_ERR_INTERNAL, "%s: no such op case", c->name);
    if (op.bench == RT_BENCH_PEAK)
        TRY(check_texels(b, c, &op));
    TRY(rt_op_trial_init(&w->trial, b->dev, &op, SEED));
    if (decodes_before(w)) {
        const struct rt_buffer_info info = {
            .name = "decoded weight",
            .size = 4ull * op.push.matmul.out_pad * op.push.matmul.in_pad,
            .memory = RT_MEMORY_DEVICE,
        };
        TRY(rt_buffer_create(b->dev, &info, &w->decoded));
    }

fail:
    return st;
}

static rt_status compare(struct ops_work *w, struct pipe_bench_check *out)
{
    rt_status st = RT_OK;
    void *got = NULL;
    for (uint32_t i = 0; i < w->trial.bindings && out->good; i++) {
        if (!rt_op_trial_writes(&w->trial, i))
            continue;
        rt_free(got);
        TRY(rt_op_trial_read(&w->trial, i, &got));
        const struct rt_op_distance d = rt_op_trial_compare(&w->trial, i, got);
        out->error = fmax(out->error, d.relative);
        out->good = d.used <= 1 && rt_op_trial_guarded(&w->trial, i, got);
        if (!(d.used <= 1))
            snprintf(out->fault, sizeof out->fault,
                     "binding %u word %llu is %.9g, the twin says %.9g: %.3g of the "
                     "tolerance",
                     i, (unsigned long long)d.index, d.got, d.wanted, d.used);
        else if (!out->good)
            snprintf(out->fault, sizeof out->fault, "wrote past the end of binding %u",
                     i);
    }

fail:
    rt_free(got);
    return st;
}

/* Records as many repetitions as make a sample long enough for the clock. */
static rt_status calibrate(struct ops_work *w)
{
    rt_status st;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        const uint64_t start = rt_time_ns();
        TRY(rt_submit(w->dev, w->list));
        TRY(rt_wait(w->dev));
        const uint64_t time = rt_time_ns() - start;
        best = time < best ? time : best;
    }
    const double wanted = ceil(SAMPLE_SECONDS * 1e9 / ((double)best + 1));
    TRY(record(w, wanted > REPEATS_MAX ? REPEATS_MAX : (uint32_t)wanted));
    TRY(rt_op_trial_reset(&w->trial));

fail:
    return st;
}

static rt_status check_ops(void *self, struct bench_case *c, struct pipe_bench_check *out)
{
    rt_status st;
    struct ops_work *w = self;
    const uint64_t start = rt_time_ns();
    (void)c;
    out->good = true;
    TRY(record(w, 1));
    TRY(rt_op_trial_reset(&w->trial)); /* measuring kernels wrote into the operands */
    TRY(rt_submit(w->dev, w->list));
    TRY(rt_wait(w->dev));
    out->cold_ns = (double)(rt_time_ns() - start);
    TRY(compare(w, out));
    if (out->good)
        TRY(calibrate(w));

fail:
    return st;
}

static rt_status run_ops(void *user, struct pipe_bench_sample *out)
{
    rt_status st;
    struct ops_work *w = user;
    const double busy = bench_busy(w->dev);
    const uint64_t start = rt_time_ns();
    TRY(rt_submit(w->dev, w->list));
    TRY(rt_wait(w->dev));
    const double wall = (double)(rt_time_ns() - start);
    *out = (struct pipe_bench_sample){
        .device_ns = bench_device_ns(bench_busy(w->dev) - busy, w->repeats),
        .wall_ns = wall / w->repeats,
        .seconds = wall * 1e-9,
    };

fail:
    return st;
}

static const struct bench_kind ops_kind = { false, open_ops, check_ops, run_ops,
                                            close_ops };

/* Parameters in the order of push.h, all as words: floats too, by their bits. */
static void print_params(const struct rt_op_case *c, char *text, size_t size)
{
    uint32_t words[32];
    const uint32_t n = rt_op_table[c->op].push_bytes / 4;
    memcpy(words, &c->push, n * sizeof *words);
    size_t used = (size_t)snprintf(text, size, "{\"op\":\"%s\",\"length\":%u,\"push\":[",
                                   rt_op_table[c->op].name, c->length);
    for (uint32_t i = 0; i < n && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%u", i ? "," : "", words[i]);
    if (used < size)
        snprintf(text + used, size - used, "]}");
}

static bool is_quick(const struct rt_op_case *c)
{
    static const char *const names[] = { "512x512 f32, 512 rows",
                                         "512x512 3 bits, 64 rows",
                                         "512x512 3 bits, 1 rows", "prefill of 256",
                                         "128 columns, 256 rows" };
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (strcmp(names[i], c->what) == 0)
            return true;
    return false;
}

static bool is_attention(enum rt_op op)
{
    return op == RT_OP_attention || op == RT_OP_attention_back_q ||
           op == RT_OP_attention_back_kv;
}

/* What bounds an op on any device: 8 FLOPs a byte and more is arithmetic. Attention is
 * so too: its cost counts keys and values again for each row, but caches serve them. */
static bool is_arithmetic(enum rt_op op, const struct rt_op_cost *cost)
{
    return is_attention(op) || cost->flops >= 8 * cost->bytes;
}

/* Bytes that have to be moved: each operand once. The cost of attention counts keys again
 * for every row, which is right only where a row has pages of its own. */
static double bytes_of(const struct rt_op_case *c, const struct rt_op_cost *cost)
{
    const struct attention_push *p = &c->push.attention;
    double bytes = 0;
    if (!is_attention(c->op))
        return cost->bytes;
    if (c->op == RT_OP_attention && p->page)
        return (double)p->hd * p->rows *
               (4 * 2.0 * p->heads +
                (p->halves ? 2 : 4) * 2.0 * p->heads_k * rt_op_case_keys(c));
    for (uint32_t i = 0; i < rt_op_table[c->op].binding_count; i++)
        bytes += (double)c->operand[i].checked;
    return bytes;
}

/* What is timed of a case; false: nothing. */
static bool make_case(const struct rt_op_case *op, struct bench_case *c)
{
    static const char *const suites[] = { "cases", "ops", "peak" };
    const struct rt_op_cost cost = rt_op_cost_of(op->op, &op->push, rt_op_case_keys(op));
    if (op->push.rope.rows == 0)
        return false; /* the first parameter of every op is its size */
    *c = (struct bench_case){
        .kind = &ops_kind,
        .suite = suites[op->bench],
        .explain = op->bench == RT_BENCH_PEAK
                       ? "a limit of the device, checked like an op; device time"
                       : "one op, checked against its twin; device time",
        .quick = op->bench == RT_BENCH_OPS && is_quick(op),
        .flops = cost.flops,
        .bytes = bytes_of(op, &cost),
        .tokens = 1,
    };
    c->unit = op->op == RT_OP_add && op->bench == RT_BENCH_PEAK ? BENCH_UNIT_DISPATCH
              : is_arithmetic(op->op, &cost)                    ? "GFLOP/s"
                                                                : "GB/s";
    snprintf(c->name, sizeof c->name, "%s %s", rt_op_table[op->op].name, op->what);
    print_params(op, c->params, sizeof c->params);
    return true;
}

rt_status bench_ops_list(struct rt_ctx *ctx, struct bench_cases *out)
{
    static const enum rt_op_bench order[] = { RT_BENCH_PEAK, RT_BENCH_OPS, RT_BENCH_NO };
    rt_status st = RT_OK;
    struct rt_op_case op;
    struct bench_case c;
    for (size_t k = 0; k < RT_COUNT(order); k++)
        for (uint32_t i = 0; rt_op_case_get(i, &op); i++) {
            if (op.bench != order[k] || !make_case(&op, &c))
                continue;
            c.op_index = i;
            TRY(bench_cases_add(ctx, out, &c));
        }

fail:
    return st;
}

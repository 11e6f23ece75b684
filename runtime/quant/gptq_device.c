/* runtime/quant/gptq_device.c
 * Rounding on a device, in float: block after block of columns, all rows at once. What a
 * block gained from the errors of those before it are products (op matmul), in parts of
 * PART columns; the block itself is op round_block. Factors are divided by the diagonal in
 * double before they become floats. */
#include "runtime/quant/gptq_impl.h"

#include "runtime/model/model.h"

#include <string.h>

enum {
    BLOCK = ROUND_BLOCK,
    PART = QUANT_GPTQ_PART,
    BINDINGS = 8,
    NO_GROUP = -1,
};

enum buffer {
    WEIGHT,
    CODES,
    SCALES,
    ZEROS,
    GAINED,
    SUMS,
    PRODUCT,
    CORNER,
    GROUP,
    BUFFERS
};

struct rounder {
    struct rt_ctx *ctx;
    const struct quant_options *o;
    const struct quant_matrix *m;
    const struct gptq_factor *f;
    struct quant_codes *out;
    uint32_t ld, groups;
    uint32_t rows; /* of the matrix that go together */
    struct rt_buffer *buffer[BUFFERS];
    bool nearest;           /* columns gain nothing: for the error of that */
    struct rt_list *list;   /* of the block under way, NULL: none */
    float *staging;         /* [rows][ld]: values, codes, scales, sums */
    float *product;         /* as buffer PRODUCT */
    float *corner;          /* [BLOCK][BLOCK] */
    uint32_t group[BLOCK];  /* of the columns of a block */
    double damped, squares; /* sums over the rows so far */
};

static uint64_t rows_bytes(uint64_t rows, uint64_t floats)
{
    return rt_round_up(rows, RT_ROW_PAD) * floats * sizeof(float);
}

/* ---- memory ---- */

uint32_t quant_gptq_rows(uint32_t out, uint32_t in, uint64_t binding_bytes_max)
{
    const uint64_t row = rt_round_up(in, BLOCK) * sizeof(float);
    const uint64_t most = binding_bytes_max < QUANT_GPTQ_ROWS_BYTES
                              ? binding_bytes_max
                              : QUANT_GPTQ_ROWS_BYTES;
    const uint64_t rows = most / row / RT_ROW_PAD * RT_ROW_PAD;
    return rows < RT_ROW_PAD ? RT_ROW_PAD : rows < out ? (uint32_t)rows : out;
}

static void sizes_of(const struct rounder *g, uint64_t bytes[BUFFERS])
{
    bytes[WEIGHT] = rows_bytes(g->rows, g->ld);
    bytes[CODES] = bytes[WEIGHT] / 4;
    bytes[SCALES] = bytes[ZEROS] = rows_bytes(g->rows, g->groups);
    bytes[GAINED] = rows_bytes(g->rows, BLOCK);
    bytes[SUMS] = rows_bytes(g->rows, 2);
    bytes[PRODUCT] = (uint64_t)BLOCK * g->ld * sizeof(float);
    bytes[CORNER] = (uint64_t)BLOCK * BLOCK * sizeof(float);
    bytes[GROUP] = BLOCK * sizeof(uint32_t);
}

uint64_t quant_gptq_device_bytes(uint32_t out, uint32_t in, uint32_t groups)
{
    uint64_t bytes[BUFFERS], sum = 0;
    const struct rounder g = { .ld = rt_round_up32(in, BLOCK),
                               .groups = groups,
                               .rows = quant_gptq_rows(out, in, UINT64_MAX) };
    sizes_of(&g, bytes);
    for (int i = 0; i < BUFFERS; i++)
        sum += bytes[i];
    return sum;
}

uint64_t quant_gptq_host_bytes(uint32_t out, uint32_t in)
{
    const uint64_t ld = rt_round_up(in, BLOCK);
    return rows_bytes(quant_gptq_rows(out, in, UINT64_MAX), ld) +
           BLOCK * (ld + BLOCK) * sizeof(float);
}

static rt_status allocate(struct rounder *g)
{
    rt_status st = RT_OK;
    uint64_t bytes[BUFFERS];
    static const char *const name[BUFFERS] = {
        [WEIGHT] = "rounded weight", [CODES] = "codes",  [SCALES] = "scales",
        [ZEROS] = "zeros",           [GAINED] = "gains", [SUMS] = "sums of errors",
        [PRODUCT] = "factor",        [CORNER] = "block", [GROUP] = "groups",
    };
    sizes_of(g, bytes);
    for (int i = 0; i < BUFFERS; i++) {
        const struct rt_buffer_info info = { .name = name[i],
                                             .size = bytes[i],
                                             .memory = RT_MEMORY_DEVICE };
        TRY(rt_buffer_create(g->o->device, &info, &g->buffer[i]));
    }
    g->staging = rt_alloc(
        g->ctx, bytes[WEIGHT] > bytes[SCALES] ? bytes[WEIGHT] : bytes[SCALES], 1);
    g->product = rt_alloc(g->ctx, bytes[PRODUCT], 1);
    g->corner = rt_alloc(g->ctx, bytes[CORNER], 1);
    if (!g->staging || !g->product || !g->corner)
        st = quant_gptq_no_memory(g->ctx, g->m);

fail:
    return st;
}

static void deinit(struct rounder *g)
{
    rt_list_destroy(&g->list);
    for (int i = 0; i < BUFFERS; i++)
        rt_buffer_destroy(&g->buffer[i]);
    rt_free(g->staging);
    rt_free(g->product);
    rt_free(g->corner);
}

/* ---- rows ---- */

/* Values in the order of visit, scales and zeros of `count` rows from row0 on. */
static rt_status put_rows(struct rounder *g, uint32_t row0, uint32_t count)
{
    rt_status st;
    const uint32_t in = g->m->in;
    const size_t scales = (size_t)count * g->groups, at = (size_t)row0 * g->groups;
    memset(g->staging, 0, (size_t)count * g->ld * sizeof *g->staging);
    for (uint32_t row = 0; row < count; row++) {
        const float *from = g->m->w + (size_t)(row0 + row) * in;
        float *to = g->staging + (size_t)row * g->ld;
        for (uint32_t s = 0; s < in; s++)
            to[s] = from[g->f->column[in - 1 - s]];
    }
    TRY(rt_buffer_write(g->buffer[WEIGHT], 0, g->staging,
                        (uint64_t)count * g->ld * sizeof *g->staging));
    TRY(rt_buffer_write(g->buffer[SCALES], 0, g->out->scales + at,
                        scales * sizeof *g->staging));
    for (size_t i = 0; i < scales; i++)
        g->staging[i] = (float)g->out->zeros[at + i];
    TRY(rt_buffer_write(g->buffer[ZEROS], 0, g->staging, scales * sizeof *g->staging));
    memset(g->staging, 0, 2 * (size_t)count * sizeof *g->staging);
    TRY(rt_buffer_write(g->buffer[SUMS], 0, g->staging,
                        2 * (uint64_t)count * sizeof *g->staging));

fail:
    return st;
}

static rt_status get_rows(struct rounder *g, uint32_t row0, uint32_t count)
{
    rt_status st;
    const uint32_t in = g->m->in;
    const uint8_t *codes = (const uint8_t *)g->staging;
    TRY(rt_buffer_read(g->buffer[SUMS], 0, g->staging,
                       2 * (uint64_t)count * sizeof *g->staging));
    for (uint32_t row = 0; row < count; row++) {
        g->damped += (double)g->staging[2 * row];
        g->squares += (double)g->staging[2 * row + 1];
    }
    TRY(rt_buffer_read(g->buffer[CODES], 0, g->staging, (uint64_t)count * g->ld));
    for (uint32_t row = 0; row < count; row++) {
        uint8_t *to = g->out->codes + (size_t)(row0 + row) * in;
        for (uint32_t s = 0; s < in; s++)
            to[g->f->column[in - 1 - s]] = codes[(size_t)row * g->ld + s];
    }

fail:
    return st;
}

/* ---- blocks ---- */

/* Column j of the block at `first`: its factors of columns visited before the block, as a
 * row of weights of 32 bits (weight.h) of PART columns each. */
static void put_product(struct rounder *g, uint32_t first, uint32_t j)
{
    const uint32_t in = g->m->in, r = in - 1 - first - j;
    const double *l = g->f->l + (size_t)r * in;
    for (uint32_t at = 0; at < first; at += PART) {
        const uint32_t columns = first - at < PART ? first - at : PART;
        float *to =
            g->product + (size_t)at * BLOCK + (j / 8 * (columns / 4) * 8 + j % 8) * 4;
        for (uint32_t k = 0; k < columns; k++)
            to[k / 4 * 32 + k % 4] = (float)(l[in - 1 - at - k] / l[r]);
    }
}

/* What depends on the block alone. */
static void make_block(struct rounder *g, uint32_t first)
{
    const uint32_t in = g->m->in, group = quant_group(g->o, in);
    const uint32_t n = in - first < BLOCK ? in - first : BLOCK;
    memset(g->corner, 0, (size_t)BLOCK * BLOCK * sizeof *g->corner);
    memset(g->product, 0, (size_t)BLOCK * first * sizeof *g->product);
    for (uint32_t j = 0; j < BLOCK; j++) {
        g->group[j] = (uint32_t)NO_GROUP;
        if (j >= n)
            continue;
        const uint32_t r = in - 1 - first - j;
        const double *l = g->f->l + (size_t)r * in;
        g->group[j] = g->f->column[r] / group;
        g->corner[j * BLOCK + j] = (float)l[r];
        for (uint32_t i = 0; i < j; i++)
            g->corner[i * BLOCK + j] = (float)(l[in - 1 - first - i] / l[r]);
        put_product(g, first, j);
    }
}

static void record_products(struct rounder *g, uint32_t first, uint32_t count)
{
    const struct rt_slice none = { .buffer = g->buffer[GROUP] };
    const struct rt_slice gained = { .buffer = g->buffer[GAINED] };
    if (first == 0)
        rt_list_zero(g->list, gained);
    for (uint32_t at = 0; at < first; at += PART) {
        const uint32_t columns = first - at < PART ? first - at : PART;
        const struct matmul_push push = { .rows = count,
                                          .out_pad = BLOCK,
                                          .in_pad = columns,
                                          .bits = 32,
                                          .ldx = g->ld,
                                          .offx = at,
                                          .ldy = BLOCK,
                                          .flags = at > 0 ? MATMUL_RESIDUAL : 0,
                                          .part1 = BLOCK,
                                          .part2 = BLOCK };
        const struct rt_slice factor = { g->buffer[PRODUCT],
                                         (uint64_t)at * BLOCK * sizeof(float),
                                         (uint64_t)columns * BLOCK * sizeof(float) };
        const struct rt_slice slices[BINDINGS] = {
            factor, none, { .buffer = g->buffer[WEIGHT] }, none,
            none,   none, at > 0 ? gained : none,          gained
        };
        rt_list_op(g->list, RT_OP_matmul, &push, slices);
    }
}

static void record_block(struct rounder *g, uint32_t first, uint32_t count)
{
    const struct quant_options *o = g->o;
    const struct round_block_push push = {
        .rows = count,
        .groups = g->groups,
        .ldw = g->ld,
        .offw = first,
        .ldc = g->ld / 4,
        .lowest = o->bits == 8 && !o->asymmetric, /* its ends are alike: grid.h */
        .top = (1u << o->bits) - 1,
        .nearest = g->nearest,
    };
    const enum buffer order[BINDINGS] = { CORNER, GROUP,  SCALES, ZEROS,
                                          GAINED, WEIGHT, CODES,  SUMS };
    struct rt_slice slices[BINDINGS];
    for (int i = 0; i < BINDINGS; i++)
        slices[i] = (struct rt_slice){ .buffer = g->buffer[order[i]] };
    rt_list_op(g->list, RT_OP_round_block, &push, slices);
}

/* The host makes the factors of a block while the device has the one before it. */
static rt_status run_block(struct rounder *g, uint32_t first, uint32_t count)
{
    rt_status st;
    struct rt_device *dev = g->o->device;
    make_block(g, first);
    TRY(rt_wait(dev));
    rt_list_destroy(&g->list);
    if (first > 0)
        TRY(rt_buffer_write(g->buffer[PRODUCT], 0, g->product,
                            (uint64_t)BLOCK * first * sizeof *g->product));
    TRY(rt_buffer_write(g->buffer[CORNER], 0, g->corner,
                        (uint64_t)BLOCK * BLOCK * sizeof *g->corner));
    TRY(rt_buffer_write(g->buffer[GROUP], 0, g->group, sizeof g->group));
    TRY(rt_list_create(dev, "rounding", &g->list));
    record_products(g, first, count);
    record_block(g, first, count);
    TRY(rt_list_end(g->list));
    TRY(rt_submit(dev, g->list));

fail:
    return st;
}

/* All rows; *objective as quant_objective. */
static rt_status round_all(struct rounder *g, bool nearest, double *objective)
{
    rt_status st = RT_OK;
    g->nearest = nearest;
    g->damped = g->squares = 0;
    for (uint32_t row = 0; row < g->m->out; row += g->rows) {
        const uint32_t left = g->m->out - row, count = left < g->rows ? left : g->rows;
        TRY(put_rows(g, row, count));
        for (uint32_t first = 0; first < g->m->in; first += BLOCK)
            TRY(run_block(g, first, count));
        TRY(rt_wait(g->o->device));
        TRY(get_rows(g, row, count));
    }
    *objective = g->damped - g->f->added * g->squares;

fail:
    return st;
}

rt_status quant_gptq_on_device(struct rt_ctx *ctx, const struct quant_options *o,
                               const struct quant_matrix *m, const struct gptq_factor *f,
                               struct quant_codes *out)
{
    rt_status st;
    struct rounder g = { .ctx = ctx, .o = o, .m = m, .f = f, .out = out };
    g.ld = rt_round_up32(m->in, BLOCK);
    g.groups = quant_groups(o, m->in);
    g.rows = quant_gptq_rows(m->out, m->in, rt_device_plan(o->device)->binding_bytes_max);
    TRY(allocate(&g));
    TRY(round_all(&g, true, &out->nearest));
    TRY(round_all(&g, false, &out->objective));

fail:
    deinit(&g);
    return st;
}

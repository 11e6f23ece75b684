/* runtime/quant/rescale_gguf.c
 * Copies a GGUF file byte for byte, with other halves in the blocks of its projections. */
#include "runtime/quant/rescale.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 8 << 20 };

/* A tensor whose scales are other ones. */
struct replaced {
    uint64_t at; /* of its first row, from the start of the file on */
    uint32_t layer;
    enum fmt_module module;
};

struct copying {
    struct rt_ctx *ctx;
    const char *to;
    struct fmt_model *model;
    struct fmt_map map;      /* of the file that is read */
    FILE *file;              /* that is written */
    uint64_t done;           /* bytes of it */
    struct replaced *tensor; /* in the order of the file */
    uint32_t count;
    quant_scales_fn *scales;
    void *user;
};

static rt_status write_bytes(struct copying *c, const uint8_t *bytes, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += PIECE_BYTES) {
        const uint64_t left = size - at;
        const size_t n = (size_t)(left < PIECE_BYTES ? left : PIECE_BYTES);
        if (fwrite(bytes + at, 1, n, c->file) != n)
            return rt_fail(c->ctx, RT_ERR_IO, "'%s': cannot write; is the disk full?",
                           c->to);
    }
    c->done += size;
    return RT_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct replaced *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void module_name(const struct replaced *t, char name[128])
{
    snprintf(name, 128, "model.layers.%u.%s", t->layer, fmt_module_path[t->module]);
}

/* All tensors with scales, in the order of the file. */
static rt_status list(struct copying *c)
{
    rt_status st;
    char name[128];
    struct fmt_scales s;
    struct fmt_block_row row;
    const uint32_t layers = fmt_model_config(c->model)->layers;
    c->tensor = rt_alloc(c->ctx, (uint64_t)layers * FMT_MODULE_COUNT, sizeof *c->tensor);
    if (!c->tensor)
        return rt_fail(c->ctx, RT_ERR_HOST_MEMORY, "refine: no host memory");
    for (uint32_t i = 0; i < layers * FMT_MODULE_COUNT; i++) {
        struct replaced t = { .layer = i / FMT_MODULE_COUNT,
                              .module = (enum fmt_module)(i % FMT_MODULE_COUNT) };
        module_name(&t, name);
        TRY(fmt_weight_scales(c->model, name, &s));
        if (!s.name[0])
            continue;
        TRY(fmt_weight_block_row(c->model, name, 0, &row));
        t.at = row.at;
        c->tensor[c->count++] = t;
    }
    qsort(c->tensor, c->count, sizeof *c->tensor, by_place);
    return RT_OK;

fail:
    return st;
}

/* Puts a half; false: it does not hold the value. */
static bool put_half(uint8_t *to, float value)
{
    const uint16_t half = rt_half_nearest(value);
    to[0] = (uint8_t)half;
    to[1] = (uint8_t)(half >> 8);
    return rt_half_to_float(half) == value;
}

/* The new numbers of one projection, in a copy of its tensor. */
struct patch {
    uint32_t out, groups;
    float *values, *zeros; /* zeros NULL: they stay */
    uint8_t *bytes;
    uint64_t size;
};

static rt_status fill(struct copying *c, const struct replaced *t, const char *name,
                      struct patch *p)
{
    rt_status st;
    struct fmt_block_row row;
    memcpy(p->bytes, c->map.data + t->at, p->size);
    for (uint32_t r = 0; r < p->out; r++) {
        TRY(fmt_weight_block_row(c->model, name, r, &row));
        assert(row.at >= t->at && row.blocks == p->groups);
        for (uint32_t b = 0; b < row.blocks; b++) {
            const size_t i = (size_t)r * row.blocks + b;
            uint8_t *block = p->bytes + (row.at - t->at) + (size_t)b * row.bytes;
            if (!put_half(block + row.scale, p->values[i]) ||
                (p->zeros && !put_half(block + row.minima, p->zeros[i])))
                return rt_fail(c->ctx, RT_ERR_INTERNAL, "'%s': a scale is no half", name);
        }
    }
    return RT_OK;

fail:
    return st;
}

static rt_status write_tensor(struct copying *c, const struct replaced *t)
{
    rt_status st;
    char name[128];
    uint32_t in;
    struct fmt_scales s;
    struct fmt_block_row row;
    struct patch p = { 0 };
    module_name(t, name);
    TRY(fmt_weight_scales(c->model, name, &s));
    TRY(fmt_weight_size(c->model, name, &p.out, &in));
    TRY(fmt_weight_block_row(c->model, name, 0, &row));
    p.groups = s.groups;
    p.size = (uint64_t)p.out * row.blocks * row.bytes;
    p.values = rt_alloc(c->ctx, (uint64_t)p.out * s.groups, sizeof *p.values);
    if (s.zeros != FMT_ZEROS_FIXED)
        p.zeros = rt_alloc(c->ctx, (uint64_t)p.out * s.groups, sizeof *p.zeros);
    p.bytes = rt_alloc(c->ctx, p.size, 1);
    if (!p.values || !p.bytes || (s.zeros != FMT_ZEROS_FIXED && !p.zeros)) {
        st = rt_fail(c->ctx, RT_ERR_HOST_MEMORY, "refine: no host memory");
        goto fail;
    }
    TRY(c->scales(c->user, t->layer, t->module, s.groups, p.values, p.zeros));
    TRY(fill(c, t, name, &p));
    TRY(write_bytes(c, p.bytes, p.size));

fail:
    rt_free(p.values);
    rt_free(p.zeros);
    rt_free(p.bytes);
    return st;
}

/* The whole file, as it is but for the tensors of the list. */
static rt_status write_file(struct copying *c)
{
    rt_status st;
    TRY(list(c));
    for (uint32_t i = 0; i < c->count; i++) {
        TRY(write_bytes(c, c->map.data + c->done, c->tensor[i].at - c->done));
        TRY(write_tensor(c, &c->tensor[i]));
    }
    TRY(write_bytes(c, c->map.data + c->done, c->map.size - c->done));

fail:
    return st;
}

/* Ends the file `part` and puts it in place. */
static rt_status place(struct copying *c, const char *part)
{
    const bool is_whole = fflush(c->file) == 0 && os_sync_stream(c->file);
    const bool is_closed = fclose(c->file) == 0;
    c->file = NULL;
    if (!is_whole || !is_closed || rename(part, c->to) != 0)
        return rt_fail(c->ctx, RT_ERR_IO, "'%s': cannot write; is the disk full?", c->to);
    return fmt_sync_parent(c->ctx, c->to);
}

rt_status quant_rescale_gguf(struct rt_ctx *ctx, const char *from, const char *to,
                             quant_scales_fn *scales, void *user)
{
    rt_status st;
    char part[QUANT_PATH_MAX + 40];
    struct copying c = { .ctx = ctx, .to = to, .scales = scales, .user = user };
    snprintf(part, sizeof part, "%s.part-%lld", to, (long long)os_process_id());
    TRY(fmt_model_open(ctx, from, &c.model));
    TRY(fmt_map_open(ctx, from, &c.map));
    c.file = fopen(part, "wb");
    if (!c.file) {
        st = rt_fail(ctx, RT_ERR_IO, "'%s': cannot be made", part);
        goto fail;
    }
    TRY(write_file(&c));
    TRY(place(&c, part));

fail:
    if (c.file)
        fclose(c.file);
    if (st != RT_OK)
        remove(part);
    rt_free(c.tensor);
    fmt_map_close(&c.map);
    fmt_model_close(&c.model);
    return st;
}

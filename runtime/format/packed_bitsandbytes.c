/* runtime/format/packed_bitsandbytes.c
 * Opens matrices of bitsandbytes: NF4 and FP4, whose scales may be packed once more. */
#include "runtime/base/json.h"
#include "runtime/format/packed_impl.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STATE_BYTES_MAX = 1 << 16, BLOCK_MAX = 1 << 20, MAP = 256 };

/* ---- the JSON of a matrix ---- */

struct state {
    json_int_t out, in, block, nested_block;
    double nested_offset;
};

static rt_status bad_state(const struct fmt_opener *o, const struct fmt_tensor *t,
                           const char *what)
{
    return rt_fail(o->ctx, RT_ERR_INPUT,
                   "'%s': tensor '%s' %s; it must be JSON with shape, blocksize and, if "
                   "scales are nested, nested_blocksize and nested_offset",
                   o->where, t->name, what);
}

static rt_status read_state(const struct fmt_opener *o, const struct fmt_tensor *t,
                            struct state *s)
{
    json_error_t error;
    if (t->dtype != FMT_U8 || t->size > STATE_BYTES_MAX)
        return bad_state(o, t, "is no text");
    json_t *root = fmt_json_parse(o->ctx, (const char *)t->data, t->size, 0, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return bad_state(o, t, "is not JSON");
    }
    const json_t *shape = json_object_get(root, "shape");
    s->out = json_integer_value(json_array_get(shape, 0));
    s->in = json_integer_value(json_array_get(shape, 1));
    s->block = json_integer_value(json_object_get(root, "blocksize"));
    s->nested_block = json_integer_value(json_object_get(root, "nested_blocksize"));
    s->nested_offset = json_number_value(json_object_get(root, "nested_offset"));
    const bool is_matrix = json_array_size(shape) == 2 && s->out > 0 && s->in > 0;
    json_decref(root);
    if (!is_matrix)
        return bad_state(o, t, "gives no matrix");
    if (s->block <= 0 || s->block > BLOCK_MAX || s->nested_block < 0 ||
        s->nested_block > BLOCK_MAX)
        return bad_state(o, t, "gives no block size");
    return RT_OK;
}

/* ---- tensors ---- */

/* The levels are the type's own; a file that has others cannot be read by them. */
static rt_status check_levels(const struct fmt_opener *o, const struct fmt_packed *p)
{
    rt_status st;
    float levels[16];
    const struct fmt_tensor *t = fmt_part_of(o->file, o->name, ".weight.quant_map");
    if (!t)
        return RT_OK;
    TRY(fmt_part_check(o, t, RT_COUNT(levels), 1, t->dtype == FMT_F32, "F32"));
    fmt_tensor_floats(t, 0, RT_COUNT(levels), levels);
    for (uint32_t i = 0; i < RT_COUNT(levels); i++)
        if (!(levels[i] == rt_weight_level(p->levels, i)))
            return rt_fail(o->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' has the level %.9g at %u, bitsandbytes has "
                           "%.9g; other levels are not supported",
                           o->where, t->name, (double)levels[i], i,
                           (double)rt_weight_level(p->levels, i));

fail:
    return st;
}

static rt_status open_scales(const struct fmt_opener *o, const struct fmt_tensor *state,
                             const struct state *s, struct fmt_packed *p)
{
    rt_status st;
    const uint64_t blocks =
        ((uint64_t)p->out * p->in + p->block_rows - 1) / p->block_rows;
    TRY(fmt_part_find(o, ".weight.absmax", &p->scales));
    const struct fmt_tensor *t = p->scales;
    const bool nested = t->dtype == FMT_U8;
    TRY(fmt_part_check(o, t, blocks, 1, nested || t->dtype == FMT_F32, "F32 or U8"));
    if (!nested)
        return RT_OK;
    if (s->nested_block == 0)
        return bad_state(o, state, "gives no nested_blocksize");
    p->nested_block = (uint32_t)s->nested_block;
    p->nested_offset = (float)s->nested_offset;
    TRY(fmt_part_find(o, ".weight.nested_absmax", &p->nested_scales));
    t = p->nested_scales;
    TRY(fmt_part_check(o, t, (blocks + p->nested_block - 1) / p->nested_block, 1,
                       t->dtype == FMT_F32, "F32"));
    TRY(fmt_part_find(o, ".weight.nested_quant_map", &p->nested_map));
    t = p->nested_map;
    TRY(fmt_part_check(o, t, MAP, 1, t->dtype == FMT_F32, "F32"));

fail:
    return st;
}

/* Blocks that are parts of a row are groups, blocks of whole rows are scales of rows. */
static void take_blocks(struct fmt_packed *p)
{
    const uint32_t block = p->block_rows;
    const bool in_rows = p->in % block == 0, over_rows = block % p->in == 0;
    p->group = in_rows ? block : p->in;
    p->groups = p->in / p->group;
    p->split = (!in_rows && !over_rows) || (p->groups > 1 && p->group % 32 != 0);
}

rt_status fmt_bitsandbytes_open(const struct fmt_opener *o, struct fmt_packed *p)
{
    rt_status st;
    struct state s = { 0 };
    static const char nf4[] = ".weight.quant_state.bitsandbytes__nf4",
                      fp4[] = ".weight.quant_state.bitsandbytes__fp4";
    const bool is_nf4 = fmt_part_of(o->file, o->name, nf4) != NULL;
    const struct fmt_tensor *state;
    TRY(fmt_part_find(o, is_nf4 ? nf4 : fp4, &state));
    TRY(fmt_part_find(o, ".weight", &p->codes));
    TRY(read_state(o, state, &s));
    p->levels = is_nf4 ? RT_LEVELS_NF4 : RT_LEVELS_FP4;
    p->bits = p->stored = 4;
    p->scale_dtype = FMT_F32;
    p->place = FMT_SCALE_LINE;
    p->block_rows = (uint32_t)s.block;
    TRY(fmt_part_size(o, (uint64_t)s.out, (uint64_t)s.in, p));
    /* whatever type the bytes go by: bnb_4bit_quant_storage may be another */
    if (p->codes->size != ((uint64_t)p->out * p->in + 1) / 2)
        return rt_fail(
            o->ctx, RT_ERR_INPUT,
            "'%s': tensor '%s' has %llu bytes, a matrix of %u by %u needs %llu", o->where,
            p->codes->name, (unsigned long long)p->codes->size, p->out, p->in,
            (unsigned long long)(((uint64_t)p->out * p->in + 1) / 2));
    TRY(check_levels(o, p));
    TRY(open_scales(o, state, &s, p));
    take_blocks(p);

fail:
    return st;
}

float fmt_bitsandbytes_scale(const struct fmt_packed *p, uint64_t i)
{
    float scale, factor;
    assert(i < p->scales->count);
    if (!p->nested_map) {
        fmt_tensor_floats(p->scales, i, 1, &scale);
        return scale;
    }
    fmt_tensor_floats(p->nested_map, p->scales->data[i], 1, &scale);
    fmt_tensor_floats(p->nested_scales, i / p->nested_block, 1, &factor);
    const float product = scale * factor;
    return product + p->nested_offset;
}

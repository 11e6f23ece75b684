/* runtime/model/model_layout.c
 * Plans where each weight of a model lies on a device and what it takes, before
 * anything is allocated. */
#include "runtime/model/model_impl.h"
#include "runtime/op/weight_blocks.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Which modules make up each group. */
static const struct {
    uint32_t parts;
    enum fmt_module module[MODEL_PARTS_MAX];
} groups[MODEL_GROUP_COUNT] = {
    [MODEL_QKV] = { 3, { FMT_Q_PROJ, FMT_K_PROJ, FMT_V_PROJ } },
    [MODEL_O] = { 1, { FMT_O_PROJ } },
    [MODEL_GATE_UP] = { 2, { FMT_GATE_PROJ, FMT_UP_PROJ } },
    [MODEL_DOWN] = { 1, { FMT_DOWN_PROJ } },
};

void model_group_shapes(const struct fmt_config *config,
                        struct model_group_shape shape[MODEL_GROUP_COUNT])
{
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        struct model_group_shape *s = &shape[g];
        *s = (struct model_group_shape){ .parts = groups[g].parts };
        for (uint32_t p = 0; p < s->parts; p++) {
            s->module[p] = groups[g].module[p];
            fmt_module_size(config, s->module[p], &s->out[p], &s->in);
            s->row0[p] = s->out_pad;
            s->out_pad += (uint32_t)rt_round_up(s->out[p], RT_WEIGHT_OUT_PAD);
        }
        s->ld_in = rt_round_up32(s->in, RT_COL_PAD);
        s->ld_out = rt_round_up32(s->out_pad, RT_COL_PAD);
    }
}

uint32_t model_order_stride(const struct model_group_shape shape[MODEL_GROUP_COUNT])
{
    uint32_t stride = 0;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        stride = shape[g].ld_in > stride ? shape[g].ld_in : stride;
    return stride;
}

void model_file_forms(struct fmt_model *file, struct rt_device *dev)
{
    fmt_model_widen(file, rt_device_plan(dev)->wide_weights);
    fmt_model_float_inputs(file, rt_device_plan(dev)->float_inputs);
}

rt_status rt_model_file_open(struct rt_device *dev, const char *path,
                             struct fmt_model **out)
{
    const rt_status st = fmt_model_open(rt_device_ctx(dev), path, out);
    if (st == RT_OK)
        model_file_forms(*out, dev);
    return st;
}

enum model_group model_group_of(const struct model_group_shape shape[MODEL_GROUP_COUNT],
                                enum fmt_module module, uint32_t *part)
{
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        for (*part = 0; *part < shape[g].parts; ++*part)
            if (shape[g].module[*part] == module)
                return (enum model_group)g;
    assert(false); /* each module is in one */
    return MODEL_QKV;
}

static bool stored_alike(const struct model_part *a, const struct model_part *b)
{
    const struct rt_weight_shape *s = &a->shape, *t = &b->shape;
    return s->bits == t->bits && s->group == t->group && s->form == t->form &&
           a->moved == b->moved && a->inputs == b->inputs &&
           !(a->input_scale != b->input_scale) &&
           memcmp(a->order, b->order, s->in * sizeof *a->order) == 0;
}

/* Rows of a weight that the device binds at once, in 32 bits too if its plan decodes
 * weights; 0: none. Where it can be, in whole blocks of a product's sum, so that sums over
 * outputs (gradients) begin anew where they would have anyway. */
static uint32_t rows_bound(const struct rt_plan *plan, const struct rt_weight_shape *s)
{
    struct rt_weight_shape piece = *s;
    piece.out = piece.out_pad = RT_WEIGHT_OUT_PAD;
    const uint64_t grid = 16ull * rt_weight_grid_texels(s->form);
    const uint64_t codes = rt_weight_code_bytes(&piece);
    const uint64_t scales = s->bits < 16 ? rt_weight_scale_bytes(&piece) - grid : 0;
    const uint64_t floats =
        plan->decode_rows ? sizeof(float) * s->in_pad * (uint64_t)RT_WEIGHT_OUT_PAD : 0;
    uint64_t bytes = codes > scales ? codes : scales;
    bytes = floats > bytes ? floats : bytes;
    assert(bytes > 0); /* a weight has inputs */
    const uint64_t most =
        plan->binding_bytes_max > grid ? (plan->binding_bytes_max - grid) / bytes : 0;
    const uint64_t rows = most * RT_WEIGHT_OUT_PAD;
    if (rows >= UINT32_MAX - PRODUCT_BLOCK)
        return UINT32_MAX;
    return (uint32_t)(rows < PRODUCT_BLOCK ? rows : rows / PRODUCT_BLOCK * PRODUCT_BLOCK);
}

uint32_t model_rows_in_run(const struct model_group_shape *s, const struct model_run *run,
                           uint32_t part, uint32_t *of_part, uint32_t *of_run)
{
    const uint32_t first = s->row0[part], last = first + s->out[part];
    const uint32_t from = first > run->row0 ? first : run->row0;
    const uint32_t end = run->row0 + run->weight.shape.out_pad;
    const uint32_t to = last < end ? last : end;
    *of_part = from - first;
    *of_run = from - run->row0;
    return from < to ? to - from : 0;
}

rt_status model_add_runs(struct rt_device *dev, const struct model_group_shape *s,
                         const struct model_part *parts, uint32_t part0, uint32_t part1,
                         struct model_runs *runs)
{
    const uint32_t end = part1 < s->parts ? s->row0[part1] : s->out_pad;
    const uint32_t most =
        dev ? rows_bound(rt_device_plan(dev), &parts[part0].shape) : UINT32_MAX;
    for (uint32_t row = s->row0[part0]; row < end;) {
        if (runs->count == MODEL_RUNS_MAX || most == 0)
            return rt_fail(rt_device_ctx(dev), RT_ERR_NO_DEVICE,
                           "'%s': device '%s' binds at most %u of its %u rows at once; "
                           "use another device (faultline devices)",
                           parts[part0].name, rt_device_info_of(dev)->name, most,
                           end - s->row0[part0]);
        const uint32_t rows = end - row < most ? end - row : most;
        struct model_run *run = &runs->run[runs->count++];
        *run = (struct model_run){ .part0 = part0, .row0 = row };
        while (run->part0 + 1 < part1 && s->row0[run->part0 + 1] <= row)
            run->part0++;
        for (uint32_t p = run->part0; p < part1 && s->row0[p] < row + rows; p++)
            run->parts++;
        run->weight.shape = parts[part0].shape;
        run->weight.int8 = parts[part0].inputs != FMT_INPUTS_FLOATS;
        run->weight.shape.out = run->weight.shape.out_pad = rows;
        row += rows;
    }
    return RT_OK;
}

rt_status model_plan_group(struct fmt_model *file, struct rt_device *dev,
                           const struct model_group_shape *s, uint32_t layer,
                           uint32_t *order, uint32_t stride,
                           struct model_part parts[MODEL_PARTS_MAX],
                           struct model_runs *runs)
{
    rt_status st;
    runs->count = 0;
    for (uint32_t p = 0; p < s->parts; p++) {
        struct model_part *part = &parts[p];
        snprintf(part->name, sizeof part->name, "model.layers.%u.%s", layer,
                 fmt_module_path[s->module[p]]);
        part->order = order + (uint64_t)p * stride;
        TRY(fmt_weight_shape(file, part->name, s->out[p], s->in, &part->shape));
        TRY(fmt_weight_order(file, part->name, s->in, part->order, &part->moved));
        TRY(fmt_weight_inputs(file, part->name, &part->inputs, &part->input_scale));
    }
    for (uint32_t p = 0, end; p < s->parts; p = end) {
        for (end = p + 1; end < s->parts && stored_alike(&parts[p], &parts[end]);)
            end++;
        TRY(model_add_runs(dev, s, parts, p, end, runs));
    }
    return RT_OK;

fail:
    return st;
}

uint32_t model_int8_words(const struct rt_weight_shape *s)
{
    return s->in_pad / 4 + 4;
}

void model_expect_int8(struct rt_model *m)
{
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const struct rt_weight_shape shape = { .in_pad =
                                                   rt_weight_in_pad(8, m->shape[g].in) };
        const uint32_t words = model_int8_words(&shape);
        m->ld_int8 = words > m->ld_int8 ? words : m->ld_int8;
    }
}

bool model_has_bias(const struct fmt_config *c, enum model_group g)
{
    return g == MODEL_QKV ? c->bias_qkv : g == MODEL_O ? c->bias_o : c->bias_mlp;
}

/* ---- bytes ---- */

/* Where no weight is packed a binding is still wanted. */
enum { DECODED_BYTES_MIN = 256 };

/* A vector is padded to a texel row. */
static uint64_t vector_bytes(uint32_t count)
{
    return rt_round_up(count, RT_COL_PAD) * sizeof(float);
}

/* Takes a weight into the size of the buffer for decoded ones. */
static void add_decoded(const struct rt_weight_shape *s, uint64_t *most)
{
    const uint64_t size = (uint64_t)s->out_pad * s->in_pad * sizeof(float);
    if (s->bits != 32 && size > *most)
        *most = size;
}

uint64_t model_decoded_bytes(const struct rt_model *m)
{
    uint64_t most = DECODED_BYTES_MIN;
    if (m->stream)
        return m->stream_decoded;
    for (uint32_t l = 0; l < m->config.layers; l++)
        for (int g = 0; g < MODEL_GROUP_COUNT; g++)
            for (uint32_t r = 0; r < m->layers[l].group[g].count; r++)
                add_decoded(&m->layers[l].group[g].run[r].weight.shape, &most);
    return most;
}

static rt_status add_stored(struct fmt_model *file, const struct model_group_shape *s,
                            const struct model_part *parts, struct model_size *size)
{
    rt_status st = RT_OK;
    struct fmt_stored stored;
    for (uint32_t p = 0; p < s->parts; p++) {
        TRY(fmt_weight_stored(file, parts[p].name, &stored));
        size->linear_weights += (double)s->out[p] * s->in;
        size->stored_bits += stored.bits;
    }

fail:
    return st;
}

static rt_status add_layer(struct fmt_model *file, uint32_t layer, uint32_t *order,
                           struct model_size *size)
{
    rt_status st;
    const struct fmt_config *c = &size->config;
    const uint32_t stride = model_order_stride(size->shape);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const struct model_group_shape *s = &size->shape[g];
        struct model_part parts[MODEL_PARTS_MAX];
        struct model_runs runs;
        TRY(model_plan_group(file, NULL, s, layer, order, stride, parts, &runs));
        assert(runs.count > 0);
        TRY(add_stored(file, s, parts, size));
        for (uint32_t r = 0; r < runs.count; r++) {
            size->projections += rt_weight_bytes(&runs.run[r].weight.shape);
            add_decoded(&runs.run[r].weight.shape, &size->decoded);
            const uint32_t int8 = model_int8_words(&runs.run[r].weight.shape);
            if (runs.run[r].weight.int8 && int8 > size->ld_int8)
                size->ld_int8 = int8;
            if (!parts[runs.run[r].part0].moved)
                continue;
            size->rest += 2ull * s->ld_in * sizeof(uint32_t);
            size->ld_columns = s->ld_in > size->ld_columns ? s->ld_in : size->ld_columns;
        }
        size->in_pads[g] += runs.run[0].weight.shape.in_pad;
        if (model_has_bias(c, (enum model_group)g))
            size->rest += s->out_pad * sizeof(float);
    }
    size->rest += 2 * vector_bytes(c->hidden);
    if (c->family->qk_norm)
        size->rest += 2 * vector_bytes(c->head_dim);
    return RT_OK;

fail:
    return st;
}

uint32_t model_table_rows(const struct rt_plan *plan, const struct rt_weight_shape *table)
{
    const uint64_t row_bytes = (uint64_t)table->in_pad * sizeof(float);
    const uint64_t most = plan->binding_bytes_max / row_bytes;
    const uint32_t rows = (uint32_t)(most < table->out_pad ? most : table->out_pad);
    return rows / RT_WEIGHT_OUT_PAD * RT_WEIGHT_OUT_PAD;
}

rt_status rt_model_size(struct rt_ctx *ctx, struct fmt_model *file,
                        struct model_size *out)
{
    rt_status st;
    struct rt_weight_shape table;
    *out = (struct model_size){ .config = *fmt_model_config(file),
                                .decoded = DECODED_BYTES_MIN };
    const struct fmt_config *c = &out->config;
    model_group_shapes(c, out->shape);
    uint32_t *order =
        rt_alloc(ctx, model_order_stride(out->shape), MODEL_PARTS_MAX * sizeof *order);
    if (!order)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no host memory to look at a model");
    TRY(fmt_weight_shape(file, "model.embed_tokens", c->vocab, c->hidden, &table));
    out->tables = rt_weight_bytes(&table);
    out->head = table;
    if (fmt_has_head(file)) {
        TRY(fmt_weight_shape(file, "lm_head", c->vocab, c->hidden, &table));
        out->tables += rt_weight_bytes(&table);
        out->head = table;
    }
    for (uint32_t l = 0; l < c->layers; l++)
        TRY(add_layer(file, l, order, out));
    out->rest += vector_bytes(c->hidden);
    out->file = fmt_model_bytes(file);

fail:
    rt_free(order);
    return st;
}

uint64_t model_size_bytes(const struct model_size *size, uint32_t positions)
{
    return size->projections + size->tables + size->rest +
           (uint64_t)positions * size->config.head_dim * sizeof(float);
}

uint64_t model_size_streamed(const struct model_size *size)
{
    return size->tables + size->rest + size->decoded +
           size->projections / size->config.layers +
           (uint64_t)RT_POSITIONS_DEFAULT * size->config.head_dim * sizeof(float);
}

uint64_t model_pass_bytes(const struct fmt_config *c,
                          const struct model_group_shape shape[MODEL_GROUP_COUNT],
                          uint32_t ld_columns, uint32_t rows)
{
    const uint64_t meta = 1 + 4 + 4; /* words: id, rope, attention */
    const uint64_t hidden = 2ull * rt_round_up(c->hidden, RT_COL_PAD);
    const uint64_t stages = (uint64_t)shape[MODEL_QKV].ld_out + shape[MODEL_O].ld_in +
                            shape[MODEL_GATE_UP].ld_out + shape[MODEL_DOWN].ld_in;
    return rt_round_up(rows, RT_ROW_PAD) * sizeof(float) *
           (meta + hidden + stages + c->heads + ld_columns);
}

/* runtime/model/model_product.c
 * The product of a group's matrices with its input: columns in the order of the weight,
 * decoding, adapter, bias and residual. */
#include "runtime/model/model_impl.h"

#include <assert.h>

/* u = x A'^T of one group. */
static void record_lora_down(struct model_pass *pass, struct rt_list *list,
                             const struct model_lora *lora, enum model_group g,
                             uint32_t rows, struct rt_slice x, uint32_t ldx)
{
    const struct rt_model *m = pass->model;
    const struct matmul_push push = {
        .rows = rows,
        .out_pad = lora->a_shape.out_pad,
        .in_pad = lora->a_shape.in_pad,
        .bits = 32,
        .ldx = ldx,
        .ldy = lora->ld_u,
        .part1 = lora->a_shape.out_pad,
        .part2 = lora->a_shape.out_pad,
    };
    const struct rt_slice none = model_slice(m->none);
    const struct rt_slice slices[] = {
        model_slice(lora->a_k4), none, x, none, none, none, none, model_slice(pass->u[g])
    };
    rt_list_op(list, RT_OP_matmul, &push, slices);
}

bool model_group_is_plain(const struct model_runs *group)
{
    return group->count == 1 && !group->run[0].weight.order;
}

void model_record_columns(struct rt_list *list, uint32_t rows, uint32_t cols,
                          struct rt_buffer *index, struct rt_slice x, uint32_t ldx,
                          struct rt_slice y, uint32_t ldy, uint32_t offy, bool accumulate)
{
    assert(x.buffer != y.buffer);
    const struct columns_push push = { .rows = rows,
                                       .cols = cols,
                                       .ldx = ldx,
                                       .ldy = ldy,
                                       .offy = offy,
                                       .accumulate = accumulate };
    const struct rt_slice slices[] = { model_slice(index), x, y };
    rt_list_op(list, RT_OP_columns, &push, slices);
}

void model_record_decode(const struct rt_model *m, struct rt_list *list,
                         const struct model_weight *w, struct rt_buffer *decoded)
{
    const struct unpack_push push = { .out_pad = w->shape.out_pad,
                                      .in_pad = w->shape.in_pad,
                                      .bits = w->shape.bits,
                                      .group = w->shape.group,
                                      .form = w->shape.form };
    const struct rt_slice slices[] = { model_slice(w->codes),
                                       model_slice(w->scales ? w->scales : m->none),
                                       model_slice(decoded) };
    rt_list_op(list, RT_OP_unpack, &push, slices);
}

/* Row in a run where part `part` of its group begins: 0 for those before the run, its
 * end for those behind. */
static uint32_t part_row(const struct model_group_shape *s, const struct model_run *run,
                         uint32_t part)
{
    const uint32_t end = run->weight.shape.out_pad;
    if (part >= s->parts)
        return end;
    if (s->row0[part] <= run->row0)
        return 0;
    return s->row0[part] - run->row0 < end ? s->row0[part] - run->row0 : end;
}

/* A group's product: where its input and output lie, and what belongs to it. */
struct product {
    enum model_group group;
    const struct model_lora *lora;     /* null: none */
    struct rt_buffer *bias, *residual; /* null: none */
    struct rt_slice x;
    uint32_t ldx;
    struct rt_buffer *y;
};

static uint32_t flags_of(const struct product *p)
{
    return (p->bias ? MATMUL_BIAS : 0) | (p->residual ? MATMUL_RESIDUAL : 0) |
           (p->lora ? MATMUL_LORA : 0);
}

/* What a product adds, and where it goes: the last five operands of both ops. */
static void put_added(const struct model_pass *pass, const struct product *p,
                      uint64_t row0, struct rt_slice out[5])
{
    const struct rt_slice none = model_slice(pass->model->none);
    const struct model_lora *lora = p->lora;
    out[0] = lora ? model_slice(pass->u[p->group]) : none;
    out[1] = lora ? model_slice_at(lora->b_k4, row0 * lora->rank * sizeof(float)) : none;
    out[2] = p->bias ? model_slice_at(p->bias, row0 * sizeof(float)) : none;
    out[3] = p->residual ? model_slice(p->residual) : none;
    out[4] = model_slice(p->y);
}

/* The input of a run: as it lies, or with its columns in the order of the weight. */
static struct rt_slice input_of(struct model_pass *pass, struct rt_list *list,
                                uint32_t rows, const struct product *product,
                                const struct model_run *run, uint32_t *ldx)
{
    const struct rt_model *m = pass->model;
    const uint32_t cols = m->shape[product->group].ld_in;
    *ldx = product->ldx;
    if (!run->weight.order)
        return product->x;
    assert(pass->columns && cols <= m->ld_columns);
    const struct rt_slice columns = model_slice(pass->columns);
    model_record_columns(list, rows, cols, run->weight.order, product->x, product->ldx,
                         columns, m->ld_columns, 0, false);
    *ldx = m->ld_columns;
    return columns;
}

/* y = x W^T for the parts of one run, x rounded to 8 bits first. */
static void record_int8_run(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                            const struct product *product, const struct model_run *run)
{
    const struct rt_model *m = pass->model;
    const struct model_group_shape *s = &m->shape[product->group];
    const struct model_weight *w = &run->weight;
    const struct model_lora *lora = product->lora;
    const uint64_t row0 = run->row0;
    const struct rt_slice none = model_slice(m->none);
    uint32_t ldx;
    const struct rt_slice x = input_of(pass, list, rows, product, run, &ldx);
    assert(pass->int8 && model_int8_words(&w->shape) <= m->ld_int8);
    const struct quantize_push rounding = { .rows = rows,
                                            .cols = w->shape.in_pad,
                                            .ldx = ldx,
                                            .ldq = m->ld_int8,
                                            .given = w->given != NULL };
    const struct rt_slice rounded[] = { x, w->given ? model_slice(w->given) : none,
                                        model_slice(pass->int8) };
    rt_list_op(list, RT_OP_quantize, &rounding, rounded);
    const struct matmul_w8a8_push push = {
        .rows = rows,
        .out_pad = w->shape.out_pad,
        .in_pad = w->shape.in_pad,
        .form = w->shape.form,
        .ldq = m->ld_int8,
        .ldy = s->ld_out,
        .offy = (uint32_t)row0,
        .flags = flags_of(product),
        .ldu = lora ? lora->ld_u : 0,
        .rank = lora ? lora->rank : 0,
        .part1 = part_row(s, run, 1),
        .part2 = part_row(s, run, 2),
    };
    struct rt_slice slices[8] = {
        model_slice(w->codes),
        model_slice(w->scales),
        model_slice(pass->int8),
    };
    put_added(pass, product, row0, slices + 3);
    rt_list_op(list, RT_OP_matmul_w8a8, &push, slices);
}

/* y = x W^T for the parts of one run. */
static void record_run(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                       const struct product *product, const struct model_run *run)
{
    const struct rt_model *m = pass->model;
    const struct model_group_shape *s = &m->shape[product->group];
    const struct rt_weight_shape *w = &run->weight.shape;
    const struct model_lora *lora = product->lora;
    const uint64_t row0 = run->row0;
    const bool decode = rt_plan_decodes(rt_device_plan(m->dev), w->bits, rows);
    assert(!decode || pass->decoded);
    assert(!lora || pass->u[product->group]);
    uint32_t ldx;
    const struct rt_slice x = input_of(pass, list, rows, product, run, &ldx);
    if (decode)
        model_record_decode(m, list, &run->weight, pass->decoded);
    const struct matmul_push push = {
        .rows = rows,
        .out_pad = w->out_pad,
        .in_pad = w->in_pad,
        .bits = decode ? 32 : w->bits,
        .group = decode ? 0 : w->group,
        .form = decode ? 0 : w->form,
        .ldx = ldx,
        .ldy = s->ld_out,
        .offy = (uint32_t)row0,
        .flags = flags_of(product) | (pass->may_round ? RT_MATMUL_MAY_ROUND : 0),
        .ldu = lora ? lora->ld_u : 0,
        .rank = lora ? lora->rank : 0,
        .part1 = part_row(s, run, 1),
        .part2 = part_row(s, run, 2),
    };
    struct rt_slice slices[8] = {
        model_slice(decode ? pass->decoded : run->weight.codes),
        model_slice(run->weight.scales && !decode ? run->weight.scales : m->none),
        x,
    };
    put_added(pass, product, row0, slices + 3);
    rt_list_op(list, RT_OP_matmul, &push, slices);
}

void model_record_group(struct model_pass *pass, struct rt_list *list, uint32_t l,
                        enum model_group g, uint32_t rows, struct rt_slice x,
                        uint32_t ldx, struct rt_buffer *residual, struct rt_buffer *y)
{
    const struct model_layer *layer = &pass->model->layers[l];
    const struct product product = {
        .group = g,
        .lora = model_lora_of(pass->adapter, l, g),
        .bias = layer->bias[g],
        .residual = residual,
        .x = x,
        .ldx = ldx,
        .y = y,
    };
    if (pass->tap.input)
        pass->tap.input(pass->tap.user, list, g, rows, x, ldx);
    if (product.lora)
        record_lora_down(pass, list, product.lora, g, rows, x, ldx);
    for (uint32_t r = 0; r < layer->group[g].count; r++)
        if (layer->group[g].run[r].weight.int8)
            record_int8_run(pass, list, rows, &product, &layer->group[g].run[r]);
        else
            record_run(pass, list, rows, &product, &layer->group[g].run[r]);
}

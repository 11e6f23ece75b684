/* runtime/op/op_operand.c
 * Sizes of operands: padding as shaders/push.h says. */
#include "runtime/op/op_operand.h"

struct rt_op_operand rt_operand_plain(uint64_t words, enum rt_fill fill)
{
    return (struct rt_op_operand){ .bytes = 4 * rt_round_up(words ? words : 1, 64),
                                   .checked = 4 * words,
                                   .fill = fill };
}

struct rt_op_operand rt_operand_rows(uint64_t rows, uint32_t ld, enum rt_fill fill)
{
    return (struct rt_op_operand){
        .bytes = 4 * rt_round_up(rows ? rows : 1, RT_ROW_PAD) * ld,
        .checked = 4 * rows * ld,
        .ld = ld,
        .fill = fill,
    };
}

struct rt_op_operand rt_operand_keys(uint64_t rows, uint32_t ld, bool halves)
{
    struct rt_op_operand o =
        rt_operand_rows(rows, ld, halves ? RT_FILL_HALVES : RT_FILL_UNIT);
    if (halves) {
        o.bytes /= 2;
        o.checked /= 2;
        o.content = RT_CONTENT_HALVES;
    }
    return o;
}

void rt_operand_weight(struct rt_op_operand *o, const struct rt_weight_shape *shape)
{
    o[0] = rt_operand_plain(rt_weight_code_bytes(shape) / 4, RT_FILL_CODES);
    o[1] = rt_operand_plain(rt_weight_scale_bytes(shape) / 4, RT_FILL_SCALES);
    o[0].arg = shape->form << 8 | shape->bits;
    o[1].arg = shape->form << 8 | shape->bits;
}

struct rt_op_operand rt_operand_adapter(uint32_t out_pad, uint32_t in_pad)
{
    const struct rt_weight_shape shape = {
        .out_pad = out_pad, .in_pad = in_pad ? in_pad : 4, .bits = 32, .group = 0
    };
    struct rt_op_operand o[2];
    rt_operand_weight(o, &shape);
    return o[0];
}

/* runtime/vk/vk_matmul.c
 * Which matmul kernels fit an op, how they rank before anything was measured, and the
 * constants and grid of each. All that fit give the same bits; those of rounded products,
 * in a plan that has them, among themselves. */
#include "runtime/op/op_row.h"
#include "runtime/vk/vk.h"
#include "runtime/op/weight.h"

#include <assert.h>
#include <string.h>

/* Above all others. */
enum { PRODUCTS_RANK = 1 << 24 };

bool vk_is_matmul(enum rt_op op)
{
    return rt_op_rows[op]->shape != NULL;
}

enum rt_products vk_matmul_products(const struct rt_plan *plan, const void *push)
{
    const struct matmul_push *p = push;
    return p->flags & RT_MATMUL_MAY_ROUND ? plan->rounded : plan->products;
}

bool vk_matmul_serves_role(const struct rt_plan *plan, uint32_t kernel, const void *push)
{
    const enum rt_products products = vk_kernel_table[kernel].products;
    return products == RT_PRODUCTS_F32 || products == vk_matmul_products(plan, push);
}

static struct rt_op_shape shape_of(enum rt_op op, const void *push)
{
    return rt_op_rows[op]->shape(push);
}

/* What one workgroup covers: rows, and lane steps. */
static void tile_of(uint32_t kernel, const struct rt_op_shape *s, uint32_t *rows,
                    uint32_t *lanes)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (k->tile_m) { /* shared memory; TU and TL are what an invocation holds of it */
        *rows = k->tile_n;
        *lanes = k->tile_m / s->columns;
        return;
    }
    *rows = k->tile_u;
    *lanes = k->width * k->tile_l;
}

/* Kernels without BITS serve every weight; the others are compiled for one form. */
static bool serves_form(uint32_t kernel, const struct rt_op_shape *s)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const uint32_t form = k->form_offset ? RT_FORM_OFFSET : RT_FORM_ZERO;
    if (k->converts && (s->bits != 16 || s->form == RT_FORM_BF16))
        return false;
    if (k->bits == 0)
        return true;
    if (k->bits != s->bits || (k->bits != 32 && form != s->form))
        return false;
    /* matmul.comp reads scales once for 32 codes, unless it is told of smaller groups. */
    return k->group16 == s->groups;
}

bool vk_matmul_fits(enum rt_op op, const void *push, uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const struct rt_op_shape s = shape_of(op, push);
    uint32_t tile_rows, step;
    tile_of(kernel, &s, &tile_rows, &step);
    if (k->products != RT_PRODUCTS_F32)
        return s.lanes % step == 0 && s.group != 16 && s.bits <= k->bits_max &&
               (k->products != RT_PRODUCTS_INT8 || rt_weight_form_is_whole(s.form));
    return serves_form(kernel, &s) && (!s.exact || s.lanes % step == 0);
}

int vk_matmul_rank(const struct vk_device *dev, enum rt_op op, const void *push,
                   uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (!vk_matmul_fits(op, push, kernel))
        return 0;
    /* Each family has a kernel for every shape; the other's tiles would spill (lanes
     * tiles on a GPU) or crawl (barriers on a software device). */
    if (!vk_kernel_in_plan(&dev->base.plan, kernel) ||
        !vk_matmul_serves_role(&dev->base.plan, kernel, push))
        return 0;
    const struct rt_op_shape s = shape_of(op, push);
    uint32_t tile_rows, step;
    tile_of(kernel, &s, &tile_rows, &step);
    /* Work wasted on padding counts most, then reuse in registers, then the path. */
    const uint32_t rows = (s.rows + tile_rows - 1) / tile_rows * tile_rows;
    const double used = rows ? (double)s.rows / rows : 1;
    const double reuse = (double)k->tile_u * k->tile_l / (k->tile_u + k->tile_l);
    double rank = 100 * used * reuse;
    /* Rounded products at every number of rows, or rows would differ; dots before all that
     * emulates them. */
    if (k->products != RT_PRODUCTS_F32 || k->dots)
        return PRODUCTS_RANK + (int)rank;
    if (strchr(k->paths, 't'))
        rank *= 2;
    /* Rows that go round a subgroup, or one that all of it reads from a storage buffer. */
    if (dev->base.plan.path == RT_PATH_TEXEL_BROADCAST && op == RT_OP_matmul &&
        (k->broadcast || k->paths[2] == 's'))
        rank *= 1.5;
    if (k->converts) /* just behind its like that is right everywhere: only the tune takes it */
        return (int)rank;
    if (k->family == dev->base.plan.family)
        rank *= 4;
    return 1 + (int)rank;
}

uint32_t vk_matmul_unrolled(const struct rt_plan *plan, uint32_t kernel)
{
    const uint32_t most =
        vk_kernel_table[kernel].tile_m ? plan->loads_most : plan->takes_most;
    assert(most == 0 || most == 2 || most == 4);
    return most;
}

/* Constants of shaders/lib/products.glsl, matmul_f16.comp and matmul_w8a8_dots.comp. */
static void fill_products(const struct vk_device *dev, struct vk_choice *choice)
{
    const struct rt_plan *plan = &dev->base.plan;
    choice->spec[4] = vk_kernel_table[choice->kernel].tile_n;
    if (vk_kernel_table[choice->kernel].products != RT_PRODUCTS_F16)
        return;
    choice->spec[5] = plan->fragment.rows;
    choice->spec[6] = plan->fragment.outputs;
    choice->spec[7] = plan->fragment.inputs;
    choice->spec[8] = 128 / plan->subgroup_size;
}

void vk_matmul_fill(const struct vk_device *dev, enum rt_op op, const void *push,
                    struct vk_choice *choice)
{
    const struct vk_kernel_info *k = &vk_kernel_table[choice->kernel];
    const struct rt_op_shape s = shape_of(op, push);
    uint32_t rows, lanes;
    tile_of(choice->kernel, &s, &rows, &lanes);
    choice->grid[0] = (s.lanes + lanes - 1) / lanes;
    choice->grid[1] = (s.rows + rows - 1) / rows;
    choice->grid[2] = 1;
    choice->spec[0] = s.group;
    choice->spec[1] = s.flags & ~RT_MATMUL_MAY_ROUND;
    if (k->bits == 0) {
        choice->spec[2] = s.bits;
        choice->spec[3] = s.form;
        choice->spec[4] = vk_matmul_unrolled(&dev->base.plan, choice->kernel);
    }
    if (k->products != RT_PRODUCTS_F32 || k->dots)
        fill_products(dev, choice);
}

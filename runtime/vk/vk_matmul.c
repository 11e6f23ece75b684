/* runtime/vk/vk_matmul.c
 * Which matmul kernels fit an op, how they rank before anything was measured, and the
 * constants and grid of each. All that fit give the same bits; those of rounded products,
 * in a plan that has them, among themselves. */
#include "runtime/vk/vk.h"
#include "runtime/weight.h"

#include <string.h>

/* Above all others. */
enum { PRODUCTS_RANK = 1 << 24 };

/* What the three ops have in common for choosing. */
struct shape {
    uint32_t rows;  /* along TU (outer: na) */
    uint32_t lanes; /* along WIDTH x TL, in units of one lane step */
    uint32_t bits;
    uint32_t form, group;
    bool exact; /* lanes must be a multiple of WIDTH x TL */
};

bool vk_is_matmul(enum rt_op op)
{
    return op == RT_OP_matmul || op == RT_OP_matmul_back || op == RT_OP_outer;
}

static struct shape shape_of(enum rt_op op, const void *push)
{
    if (op == RT_OP_matmul) {
        const struct matmul_push *p = push;
        return (struct shape){ p->rows, p->out_pad, p->bits, p->form, p->group, true };
    }
    if (op == RT_OP_matmul_back) {
        const struct matmul_back_push *p = push;
        return (
            struct shape){ p->rows, p->in_pad / 4, p->bits, p->form, p->group, false };
    }
    const struct outer_push *p = push;
    return (struct shape){ p->na, p->nb / 4, 0, 0, 0, false };
}

/* What one workgroup covers: rows, and lane steps (vec4 columns but for matmul). */
static void tile_of(enum rt_op op, uint32_t kernel, uint32_t *rows, uint32_t *lanes)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (k->tile_m) { /* shared memory; TU and TL are what an invocation holds of it */
        *rows = k->tile_n;
        *lanes = op == RT_OP_matmul ? k->tile_m : k->tile_m / 4;
        return;
    }
    *rows = k->tile_u;
    *lanes = k->width * k->tile_l;
}

/* Kernels without BITS serve every weight; the others are compiled for one form. */
static bool serves_form(enum rt_op op, uint32_t kernel, const struct shape *s)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const uint32_t form = k->form_offset ? RT_FORM_OFFSET : RT_FORM_ZERO;
    if (k->bits == 0)
        return true;
    if (k->bits != s->bits || (k->bits != 32 && form != s->form))
        return false;
    /* matmul.comp reads scales once for 32 codes, unless it is told of smaller groups. */
    return op != RT_OP_matmul || k->group16 == (s->group == 16);
}

bool vk_matmul_fits(enum rt_op op, const void *push, uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    const struct shape s = shape_of(op, push);
    uint32_t tile_rows, step;
    tile_of(op, kernel, &tile_rows, &step);
    if (k->products != RT_PRODUCTS_F32)
        return s.lanes % step == 0 && s.group != 16 && s.bits <= k->bits_max;
    return serves_form(op, kernel, &s) && (!s.exact || s.lanes % step == 0);
}

int vk_matmul_rank(const struct vk_device *dev, enum rt_op op, const void *push,
                   uint32_t kernel)
{
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    if (!vk_matmul_fits(op, push, kernel))
        return 0;
    /* Each family has a kernel for every shape; the other's tiles would spill (lanes
     * tiles on a GPU) or crawl (barriers on a software device). */
    if (!vk_kernel_in_plan(&dev->base.plan, kernel))
        return 0;
    const struct shape s = shape_of(op, push);
    uint32_t tile_rows, step;
    tile_of(op, kernel, &tile_rows, &step);
    /* Work wasted on padding counts most, then reuse in registers, then the path. */
    const uint32_t rows = (s.rows + tile_rows - 1) / tile_rows * tile_rows;
    const double used = rows ? (double)s.rows / rows : 1;
    const double reuse = (double)k->tile_u * k->tile_l / (k->tile_u + k->tile_l);
    double rank = 100 * used * reuse;
    if (k->products != RT_PRODUCTS_F32)
        return PRODUCTS_RANK +
               (int)rank; /* at every number of rows, or rows would differ */
    if (strchr(k->paths, 't'))
        rank *= 2;
    if (k->family == dev->base.plan.family)
        rank *= 4;
    return 1 + (int)rank;
}

/* Constants of shaders/lib/products.glsl and of matmul_f16.comp. */
static void fill_products(const struct vk_device *dev, struct vk_choice *choice)
{
    const struct rt_facts *f = &dev->base.info.facts;
    choice->spec[4] = vk_kernel_table[choice->kernel].tile_n;
    if (dev->base.plan.products != RT_PRODUCTS_F16)
        return;
    choice->spec[5] = f->coop_rows;
    choice->spec[6] = f->coop_outputs;
    choice->spec[7] = f->coop_inputs;
    choice->spec[8] = 128 / f->subgroup_size;
}

void vk_matmul_fill(const struct vk_device *dev, enum rt_op op, const void *push,
                    struct vk_choice *choice)
{
    const struct shape s = shape_of(op, push);
    uint32_t rows, lanes;
    tile_of(op, choice->kernel, &rows, &lanes);
    choice->grid[0] = (s.lanes + lanes - 1) / lanes;
    choice->grid[1] = (s.rows + rows - 1) / rows;
    choice->grid[2] = 1;
    if (vk_kernel_table[choice->kernel].bits == 0) {
        choice->spec[2] = s.bits;
        choice->spec[3] = s.form;
    }
    if (op == RT_OP_matmul) {
        const struct matmul_push *p = push;
        choice->spec[0] = p->group;
        choice->spec[1] = p->flags;
        if (vk_kernel_table[choice->kernel].products)
            fill_products(dev, choice);
    } else if (op == RT_OP_matmul_back) {
        const struct matmul_back_push *p = push;
        choice->spec[0] = p->group;
    }
}

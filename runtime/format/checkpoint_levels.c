/* runtime/format/checkpoint_levels.c
 * Packed matrices of a folder whose codes stand for floats: into the device layout, and as
 * floats. */
#include "runtime/format/checkpoint_impl.h"

#include <assert.h>
#include <math.h>

/* Memory for one row. */
struct row {
    uint8_t *codes; /* [in], as the file has them, then [in_pad] as the device has them */
    float *values;  /* [in] */
};

static void row_close(struct row *row)
{
    rt_free(row->codes);
    rt_free(row->values);
}

static rt_status row_open(struct fmt_model *m, const struct fmt_packed *p,
                          uint32_t in_pad, struct row *row)
{
    row->codes = rt_alloc(m->ctx, (size_t)p->in + in_pad, 1);
    row->values = rt_alloc(m->ctx, p->in, sizeof *row->values);
    if (!row->codes || !row->values)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->path);
    return RT_OK;
}

/* Codes and values of a row, all of them finite. */
static rt_status take_row(struct fmt_model *m, const struct fmt_packed *p, uint32_t r,
                          struct row *row)
{
    fmt_packed_codes(p, r, 1, row->codes);
    fmt_packed_values(p, r, row->codes, row->values);
    for (uint32_t k = 0; k < p->in; k++) {
        if (isfinite(row->values[k]))
            continue;
        const bool is_code = !isfinite(rt_weight_level(p->levels, row->codes[k]));
        return rt_fail(
            m->ctx, RT_ERR_INPUT,
            "'%s': tensor '%s' %s not finite at [%u, %u]; the file is damaged, "
            "get it again",
            m->path, is_code || !p->scales ? p->codes->name : p->scales->name,
            is_code ? "holds a value that is" : "makes a value that is", r, k);
    }
    return RT_OK;
}

/* Wide: levels are whole numbers, which are stored plus 128. */
static void put_row(const struct fmt_packed *p, const struct rt_weight_shape *dest,
                    uint32_t to, uint32_t from, struct row *row, uint32_t *codes,
                    void *scales)
{
    const uint8_t zero = fmt_packed_level_zero(p);
    uint8_t *stored = row->codes + p->in;
    for (uint32_t k = 0; k < dest->in_pad; k++) {
        const uint8_t code = k < p->in ? row->codes[k] : zero;
        stored[k] = dest->form == RT_FORM_ZERO
                        ? (uint8_t)(128 + (int)rt_weight_level(p->levels, code))
                        : code;
    }
    rt_weight_put_row(dest, codes, to, stored, dest->in_pad);
    for (uint32_t g = 0; g < p->groups; g++)
        fmt_packed_put_scale(p, dest, scales, to, from, g);
}

rt_status fmt_levels_load(struct fmt_model *m, const struct fmt_packed *p,
                          const struct rt_weight_shape *dest, uint32_t row0,
                          uint32_t first, uint32_t rows, uint32_t *codes, void *scales)
{
    rt_status st;
    struct row row = { 0 };
    assert(dest->in == p->in && first + rows <= p->out);
    TRY(row_open(m, p, dest->in_pad, &row));
    for (uint32_t r = 0; r < rows; r++) {
        TRY(take_row(m, p, first + r, &row));
        if (dest->bits == 32)
            fmt_put_float_row(dest, codes, row0 + r, row.values, NULL);
        else
            put_row(p, dest, row0 + r, first + r, &row, codes, scales);
    }

fail:
    row_close(&row);
    return st;
}

rt_status fmt_levels_floats(struct fmt_model *m, const struct fmt_packed *p,
                            float *values)
{
    rt_status st;
    struct row row = { 0 };
    TRY(row_open(m, p, 0, &row));
    for (uint32_t r = 0; r < p->out; r++) {
        TRY(take_row(m, p, r, &row));
        for (uint32_t k = 0; k < p->in; k++)
            values[(uint64_t)r * p->in + k] = row.values[k];
    }

fail:
    row_close(&row);
    return st;
}

/* pipeline/run/check_stats.c
 * Computes records one after another and keeps the largest deviation. */
#include "pipeline/run/check_stats.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "pipeline/stats/stats_record.h"

#include <math.h>
#include <stdio.h>

struct checking {
    struct rt_ctx *ctx;
    pipe_stats_fn *fn;
    void *user;
    struct pipe_stats_check *out;
};

/* 1e-12 absolute is as good as equal, as in the vectors' own rule. */
static double deviation(double got, double expected)
{
    const double gap = fabs(got - expected);
    return gap <= 1e-12 ? 0.0 : gap / fmax(fabs(got), fabs(expected));
}

static void compare(struct pipe_stats_check *c, const char *where, const char *key,
                    const json_t *got, const json_t *expected)
{
    double worst = 0.0;
    if (json_is_number(got) && json_is_number(expected))
        worst = deviation(json_number_value(got), json_number_value(expected));
    else if (json_is_array(got) && json_array_size(got) == json_array_size(expected))
        for (size_t i = 0; i < json_array_size(got); i++)
            compare(c, where, key, json_array_get(got, i), json_array_get(expected, i));
    else if (!json_equal(got, expected))
        worst = INFINITY;
    if (!(worst <= c->worst)) { /* so that NaN is worst */
        c->worst = worst;
        snprintf(c->worst_at, sizeof c->worst_at, "%.100s, %.40s", where, key);
    }
}

static rt_status on_record(void *user, const struct pipe_row *row)
{
    struct checking *c = user;
    char where[600];
    snprintf(where, sizeof where, "'%.500s' %s %u", row->file, row->unit, row->at);
    json_t *record = json_deep_copy(row->fields);
    rt_status st = record ? pipe_stats_record(c->ctx, where, record)
                          : rt_fail(c->ctx, RT_ERR_HOST_MEMORY, "no memory");
    if (st == RT_OK) {
        for (void *at = json_object_iter(row->fields); at;
             at = json_object_iter_next(row->fields, at)) {
            const char *key = json_object_iter_key(at);
            compare(c->out, where, key, json_object_get(record, key),
                    json_object_iter_value(at));
        }
        c->fn(c->user, record);
        c->out->records++;
    }
    json_decref(record);
    return st;
}

rt_status pipe_stats_check(struct rt_ctx *ctx, const char *path, pipe_stats_fn *fn,
                           void *user, struct pipe_stats_check *out)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    struct checking c = { ctx, fn, user, out };
    *out = (struct pipe_stats_check){ 0 };
    TRY(pipe_data_file_read(ctx, path, &file));
    const struct pipe_rows_text text = { path, file.text, file.size };
    TRY(pipe_rows_json(ctx, &text, on_record, &c));

fail:
    pipe_data_file_deinit(&file);
    return st;
}

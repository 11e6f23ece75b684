/* store/queries_made.c
 * How a quantized model was made: the run that `quantize` saved of it. */
#include "store/queries.h"
#include "store/store_impl.h"

#include <stdio.h>

static rt_status take_made(void *user, const struct store_row *row)
{
    struct store_made *out = user;
    snprintf(out->run_id, STORE_ID, "%s", store_row_text(row, 0));
    out->wall_seconds = store_row_number(row, 1);
    out->peak_bytes = store_row_number(row, 2);
    out->layers = (uint32_t)store_row_integer(row, 3);
    out->layer_error = store_row_number(row, 4);
    out->layer_error_rtn = store_row_number(row, 5);
    return RT_OK;
}

rt_status store_find_made(struct store *s, const char *weights_id, struct store_made *out)
{
    *out = (struct store_made){ 0 };
    return store_query(
        s,
        "SELECT r.run_id, max(CASE m.name WHEN 'wall_seconds' THEN m.value END), "
        "max(CASE m.name WHEN 'peak_bytes' THEN m.value END), sum(m.name='layer_error'), "
        "sum(CASE m.name WHEN 'layer_error' THEN m.value END), "
        "sum(CASE m.name WHEN 'layer_error_rtn' THEN m.value END) FROM run r JOIN metric "
        "m USING(run_id) WHERE r.run_id=(SELECT t.run_id FROM run t JOIN variant v "
        "USING(variant_id) WHERE v.weights_id=?1 AND t.kind='train' AND "
        "json_extract(t.config,'$.made') IS NOT NULL ORDER BY t.started_ms DESC, "
        "t.run_id "
        "LIMIT 1) GROUP BY r.run_id",
        (const char *const[]){ weights_id, NULL }, take_made, out);
}

rt_status store_layer_error_rows(struct store *s, const char *run_id, store_row_fn *fn,
                                 void *user)
{
    return store_query(
        s,
        "SELECT a.value AS error, b.value AS rtn FROM metric a JOIN metric "
        "b ON b.run_id=a.run_id AND b.step=a.step AND "
        "b.name='layer_error_rtn' WHERE a.run_id=?1 AND "
        "a.name='layer_error' ORDER BY a.step",
        (const char *const[]){ run_id, NULL }, fn, user);
}

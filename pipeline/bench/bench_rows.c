/* pipeline/bench/bench_rows.c
 * Stored results read back, and held against those of another run. */
#include "pipeline/bench/bench.h"

#include "store/queries.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double number(const struct store_row *row, int column)
{
    return store_row_null(row, column) ? NAN : store_row_number(row, column);
}

/* Device time over wall time of the measured samples. */
static double device_share(const struct store_row *row, int column)
{
    int size = 0;
    const void *data = store_row_blob(row, column, &size);
    double device = 0, wall = 0;
    for (size_t i = 0; data && i + 16 <= (size_t)size; i += 16) {
        int64_t pair[2];
        memcpy(pair, (const char *)data + i, sizeof pair);
        if (pair[0] < 0)
            return NAN;
        device += (double)pair[0];
        wall += (double)pair[1];
    }
    return wall > 0 ? device / wall : NAN;
}

static void take_case(struct bench_row *r, const struct store_row *row)
{
    *r = (struct bench_row){
        .higher_better = store_row_integer(row, STORE_BENCH_HIGHER_BETTER) != 0,
        .flops = number(row, STORE_BENCH_FLOPS),
        .bytes = number(row, STORE_BENCH_BYTES),
    };
    snprintf(r->run_id, sizeof r->run_id, "%s", store_row_text(row, STORE_BENCH_RUN));
    snprintf(r->case_id, sizeof r->case_id, "%s", store_row_text(row, STORE_BENCH_CASE));
    snprintf(r->suite, sizeof r->suite, "%s", store_row_text(row, STORE_BENCH_SUITE));
    snprintf(r->name, sizeof r->name, "%s", store_row_text(row, STORE_BENCH_NAME));
    snprintf(r->unit, sizeof r->unit, "%s", store_row_text(row, STORE_BENCH_UNIT));
}

static void take_result(struct bench_row *r, const struct store_row *row)
{
    if (r->count == PIPE_BENCH_PASSES_MAX)
        return;
    struct bench_result *p = &r->passes[r->count++];
    *p = (struct bench_result){
        .n = (uint32_t)store_row_integer(row, STORE_BENCH_N),
        .value = number(row, STORE_BENCH_VALUE),
        .low = number(row, STORE_BENCH_LOW),
        .high = number(row, STORE_BENCH_HIGH),
        .median_ns = number(row, STORE_BENCH_MEDIAN_NS),
        .clock_mhz = number(row, STORE_BENCH_CLOCK_MHZ),
        .error = number(row, STORE_BENCH_ERROR),
        .steady = store_row_integer(row, STORE_BENCH_STEADY) != 0,
        .device_share = device_share(row, STORE_BENCH_SAMPLES),
    };
    snprintf(p->status, sizeof p->status, "%s", store_row_text(row, STORE_BENCH_STATUS));
    snprintf(p->reason, sizeof p->reason, "%s", store_row_text(row, STORE_BENCH_REASON));
}

struct loading {
    struct rt_ctx *ctx;
    struct bench_rows *rows;
};

static rt_status take_row(void *user, const struct store_row *row)
{
    const struct loading *l = user;
    struct bench_rows *rows = l->rows;
    const char *id = store_row_text(row, STORE_BENCH_CASE);
    struct bench_row *r = NULL;
    for (uint32_t i = 0; i < rows->count && !r; i++)
        if (strcmp(rows->items[i].case_id, id) == 0)
            r = &rows->items[i];
    if (!r && rows->count == rows->capacity) {
        const uint32_t capacity = rows->capacity ? 2 * rows->capacity : 64;
        struct bench_row *items =
            rt_resize(l->ctx, rows->items, rows->capacity, capacity, sizeof *items);
        if (!items)
            return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no memory for bench results");
        rows->items = items;
        rows->capacity = capacity;
    }
    if (!r) {
        r = &rows->items[rows->count++];
        take_case(r, row);
    }
    take_result(r, row);
    return RT_OK;
}

static rt_status take_device(void *user, const struct store_row *row)
{
    struct bench_rows *rows = user;
    snprintf(rows->device, sizeof rows->device, "%s", store_row_text(row, 0));
    snprintf(rows->driver, sizeof rows->driver, "%s", store_row_text(row, 1));
    return RT_OK;
}

rt_status bench_rows_load(struct store *store, struct rt_ctx *ctx, const char *run_id,
                          struct bench_rows *out)
{
    rt_status st;
    *out = (struct bench_rows){ 0 };
    struct loading loading = { ctx, out };
    TRY(store_bench_rows(store, run_id, NULL, take_row, &loading));
    TRY(store_bench_device_row(store, run_id, take_device, out));
    return RT_OK;

fail:
    bench_rows_deinit(out);
    return st;
}

void bench_rows_deinit(struct bench_rows *rows)
{
    for (uint32_t i = 0; i < rows->count; i++)
        rt_free(rows->items[i].base);
    rt_free(rows->items);
    *rows = (struct bench_rows){ 0 };
}

/* ---- finding runs ---- */

struct found {
    char run_id[STORE_ID];
    uint32_t count;
};

static rt_status take_run(void *user, const struct store_row *row)
{
    struct found *f = user;
    if (f->count++ == 0)
        snprintf(f->run_id, sizeof f->run_id, "%s", store_row_text(row, 0));
    return RT_OK;
}

rt_status bench_run_find(struct store *store, struct rt_ctx *ctx, const char *wanted,
                         char run_id[STORE_ID])
{
    const bool latest = strcmp(wanted, "latest") == 0;
    struct found found = { .count = 0 };
    const rt_status st =
        store_bench_run_rows(store, latest ? "" : wanted, take_run, &found);
    if (st != RT_OK)
        return st;
    if (found.count == 0 || (!latest && found.count > 1))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "%s bench run '%.80s' in the results file; see: faultline sql "
                       "\"SELECT run_id, device, " /* lint: a hint, not a query */
                       "case_name, value FROM v_bench\"",
                       found.count ? "there is more than one" : "there is no", wanted);
    snprintf(run_id, STORE_ID, "%s", found.run_id);
    return RT_OK;
}

/* ---- comparing ---- */

static rt_status load_base(struct bench_row *r, const char *device, struct store *base,
                           struct rt_ctx *ctx, const char *base_run)
{
    rt_status st;
    struct found found = { .count = 0 };
    struct bench_rows rows = { 0 };
    struct loading loading = { ctx, &rows };
    TRY(store_bench_base_rows(base, r->case_id, r->run_id, device,
                              base_run ? base_run : "", take_run, &found));
    if (found.count == 0)
        return RT_OK;
    TRY(store_bench_rows(base, found.run_id, r->case_id, take_row, &loading));
    r->base = rt_alloc(ctx, 1, sizeof *r->base);
    if (!r->base)
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for bench results");
    else if (rows.count)
        *r->base = rows.items[0];

fail:
    bench_rows_deinit(&rows);
    return st;
}

/* What a run was measured with; the order of the columns below. */
enum { FACTS = 11, SETTINGS = 9 };
static const char *const fact_names[FACTS] = {
    "machine", "kernel", "processor", "cores",    "device",  "driver",
    "Vulkan",  "plan",   "layers",    "settings", "version",
};

struct facts {
    char text[FACTS][512];
};

static rt_status take_facts(void *user, const struct store_row *row)
{
    struct facts *f = user;
    for (int i = 0; i < FACTS; i++)
        snprintf(f->text[i], sizeof f->text[i], "%s", store_row_text(row, i));
    return RT_OK;
}

static rt_status load_facts(struct store *store, const char *run_id, struct facts *out)
{
    *out = (struct facts){ { "" } };
    return store_bench_facts_row(store, run_id, take_facts, out);
}

/* Adds "driver (A -> B)" for what differs and is not there yet. */
static void add_difference(const struct facts *base, const struct facts *now, char *text,
                           size_t size)
{
    for (int i = 0; i < FACTS; i++) {
        char start[32];
        const size_t used = strlen(text);
        snprintf(start, sizeof start, "%s (", fact_names[i]);
        if (strcmp(base->text[i], now->text[i]) == 0 || strstr(text, start))
            continue;
        snprintf(text + used, size - used, "%s%s%.120s -> %.120s)", used ? ", " : "",
                 start, base->text[i], now->text[i]);
    }
}

/* Passes that have a time. */
static uint32_t timed_passes(const struct bench_row *r, struct pipe_bench_pass *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct bench_result *p = &r->passes[i];
        if (strcmp(p->status, "ok") == 0)
            out[n++] = (struct pipe_bench_pass){
                p->value, p->low, p->high, p->clock_mhz, pipe_bench_rank(p->n) > 0,
                p->steady
            };
    }
    return n;
}

static void judge(struct bench_row *r, const struct facts *base, const struct facts *now)
{
    struct pipe_bench_pass a[PIPE_BENCH_PASSES_MAX], b[PIPE_BENCH_PASSES_MAX];
    const uint32_t n_now = timed_passes(r, b);
    const uint32_t n_base = r->base ? timed_passes(r->base, a) : 0;
    r->comparison = (struct pipe_bench_comparison){ .verdict = PIPE_BENCH_NEW };
    /* A pass without a time spoils the rest: the case did not do its work once. */
    if (n_now < r->count || (r->base && n_base < r->base->count))
        r->comparison.verdict = PIPE_BENCH_INVALID;
    if (!r->base || r->comparison.verdict == PIPE_BENCH_INVALID)
        return;
    const struct pipe_bench_conditions conditions = {
        .higher_better = r->higher_better,
        .settings_differ = strcmp(base->text[SETTINGS], now->text[SETTINGS]) != 0,
        .env_differs = memcmp(base, now, sizeof *base) != 0,
    };
    pipe_bench_compare(a, n_base, b, n_now, &conditions, &r->comparison);
}

rt_status bench_rows_compare(struct bench_rows *rows, struct store *store,
                             struct store *base, struct rt_ctx *ctx, const char *base_run)
{
    rt_status st = RT_OK;
    struct facts of_now, of_base = { { "" } };
    rows->compared = true;
    rows->differs[0] = '\0';
    for (uint32_t i = 0; i < rows->count; i++) {
        struct bench_row *r = &rows->items[i];
        TRY(load_base(r, rows->device, base, ctx, base_run));
        TRY(load_facts(store, r->run_id, &of_now));
        if (r->base) {
            TRY(load_facts(base, r->base->run_id, &of_base));
            add_difference(&of_base, &of_now, rows->differs, sizeof rows->differs);
        }
        judge(r, &of_base, &of_now);
    }

fail:
    return st;
}

bool bench_row_value(const struct bench_row *r, double *value, double *half, char *why,
                     size_t size)
{
    struct pipe_bench_pass p[PIPE_BENCH_PASSES_MAX];
    const uint32_t n = timed_passes(r, p);
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->passes[i].status, "ok") != 0) {
            snprintf(why, size, "%s: %s", r->passes[i].status, r->passes[i].reason);
            return false;
        }
    double low = INFINITY, high = -INFINITY, values[PIPE_BENCH_PASSES_MAX];
    if (n == 0)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        low = fmin(low, p[i].low);
        high = fmax(high, p[i].high);
        values[i] = p[i].value;
    }
    *value = pipe_bench_median(values, n);
    *half = (high - low) / 2;
    return true;
}

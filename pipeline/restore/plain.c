/* pipeline/restore/plain.c
 * Plain quantization by round-to-nearest, GPTQ or AWQ, of the full model of a chain. */
#include "pipeline/restore/plain.h"

#include "pipeline/run/problem_source.h"
#include "pipeline/run/select.h"
#include "runtime/base/file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

bool restore_plain_method(const char *method)
{
    bool calibrated;
    return pipe_quantize_method(method, &calibrated) &&
           strcmp(method, "smoothquant") != 0;
}

static rt_status check_measured(struct restoring *r, const struct pipe_problem_set *set,
                                const struct pipe_bench *bench)
{
    struct pipe_leak leak;
    const rt_status st = pipe_problems_leak(r->session->ctx, set, &bench->set, &leak);
    return st != RT_OK || leak.count == 0
               ? st
               : rt_fail(r->session->ctx, RT_ERR_USAGE,
                         "%u questions of the calibration text are measured too (the "
                         "first: '%s'); results would be in-sample, choose another "
                         "--calib",
                         leak.count, set->items[leak.a].id);
}

/* Calibration shapes the model, so no measured problem may be in its text. */
static rt_status check_leak(struct restoring *r)
{
    rt_status st;
    struct pipe_problem_set set = { 0 };
    struct pipe_session *s = r->session;
    const char *from = r->calibrating.from, *self = pipe_calibration_self(from);
    const enum pipe_calibration_kind kind = pipe_calibration_kind_of(from);
    if (kind == PIPE_CALIBRATION_TEXT || kind == PIPE_CALIBRATION_TEXTS ||
        kind == PIPE_CALIBRATION_RUN)
        return RT_OK;
    TRY(pipe_problems_open(s->ctx, s->host, s->store, self ? self : from,
                           PIPE_FOR_TRAINING, &set));
    TRY(check_measured(r, &set, &r->measure));
    for (uint32_t i = 0; i < r->retained.count; i++)
        if (r->retained.items[i].kind == RESTORE_RETAINED_PROBLEMS)
            TRY(check_measured(r, &set, &r->retained.items[i].bench));

fail:
    pipe_problems_deinit(&set);
    return st;
}

static rt_status read_calibration(struct restoring *r)
{
    rt_status st = RT_OK;
    if (r->calibration.sequences.count)
        return RT_OK;
    r->calibrating = (struct pipe_calibration_options){
        .from = r->options.calib ? r->options.calib : r->options.mine,
        .model = r->options.full,
        .length = PIPE_CALIBRATION_LENGTH,
        .items = r->options.calib_items,
    };
    TRY(check_leak(r));
    TRY(pipe_calibration_read(r->session, &r->calibrating, r->full, &r->calibration));

fail:
    return st;
}

static void name_model(const struct restoring *r, const struct restore_grid *g,
                       bool calibrated, char *folder, size_t size)
{
    char groups[24] = "row", how[64] = "";
    const char *text = strchr(r->calibration.id, ':');
    /* "e": symmetric, of even steps over all codes; folders of the grid before have none. */
    const char *zeros = g->asymmetric ? "-asym" : g->bits < 8 ? "-e" : "";
    if (g->group)
        snprintf(groups, sizeof groups, "g%u", g->group);
    if (calibrated)
        snprintf(how, sizeof how, "-%s%s-%.8s", g->method,
                 r->options.select ? "-select" : "", text ? text + 1 : "");
    snprintf(folder, size, "%.400s/q%u-%s%s%s-%.8s", r->session->work, g->bits, groups,
             zeros, how, rt_model_hash(r->full));
}

static rt_status make_calibrated(struct restoring *r, const char *folder,
                                 const struct pipe_quantize_options *o,
                                 struct pipe_quantized *result)
{
    const struct pipe_calibration *c = &r->calibration;
    const bool gptq = strcmp(o->method, "gptq") == 0;
    const struct pipe_select_options open = { .search = true,
                                              .order = gptq,
                                              .damping = gptq };
    const struct pipe_select_from from = { .full = r->full,
                                           .model = r->options.full,
                                           .calibration = c,
                                           .read = &r->calibrating };
    const struct pipe_quantize_text text = { .full = r->full,
                                             .sequences = c->sequences.list,
                                             .count = c->sequences.count };
    struct pipe_selected selected;
    if (!r->options.select || c->sequences.count < 2)
        return pipe_quantize_on(r->session, &text, r->options.full, folder, o, result);
    return pipe_quantize_select(r->session, &from, folder, o, &open, &selected, result);
}

rt_status restore_plain_make(struct restoring *r, const struct restore_grid *g,
                             char *folder, size_t size)
{
    rt_status st;
    bool calibrated;
    char text[96];
    struct pipe_quantized result = { 0 };
    const uint64_t started = rt_time_ns();
    const struct pipe_quantize_options o = { .method = g->method,
                                             .bits = g->bits,
                                             .group = g->group,
                                             .asymmetric = g->asymmetric };
    pipe_quantize_method(g->method, &calibrated);
    assert(g->bits);
    if (calibrated)
        TRY(read_calibration(r));
    name_model(r, g, calibrated, folder, size);
    if (fmt_exists(folder))
        return RT_OK;
    TRY(calibrated
            ? make_calibrated(r, folder, &o, &result)
            : pipe_quantize(r->session->ctx, r->options.full, folder, &o, &result));
    restore_grid_text(g, text, sizeof text);
    pipe_say(r->session->host, "quantize %s: %.2f bits per weight, %.1f s", text,
             result.bits_per_weight, (double)(rt_time_ns() - started) * 1e-9);

fail:
    pipe_quantized_deinit(&result);
    return st;
}

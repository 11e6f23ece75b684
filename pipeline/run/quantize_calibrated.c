/* pipeline/run/quantize_calibrated.c
 * From calibration text to a folder or file and the row that says how it was made. */
#include "pipeline/run/quantize_calibrated.h"

#include "pipeline/run/made.h"
#include "pipeline/run/quantize_cost.h"
#include "runtime/base/file.h"
#include "runtime/model/model.h"
#include "runtime/quant/seen_inputs.h"

#include <stdio.h>
#include <string.h>

uint32_t pipe_calibrated_candidates(const struct pipe_calibrated_options *o)
{
    const struct pipe_select_options *open = &o->open;
    return o->choose ? 1u + open->search + open->order + open->damping + open->nearest
                     : 1;
}

/* Whether the device holds the model and a candidate: *choose becomes false if not, and that is
 * said, or refused if the choice was asked for. */
static rt_status check_room(struct pipe_session *session,
                            const struct pipe_calibrated_options *o,
                            const struct pipe_quantize_options *folder,
                            const struct pipe_gguf_options *gguf, bool *choose)
{
    static const double MIB = 1048576;
    uint64_t need = 0;
    const uint64_t has = rt_device_memory_left(session->dev);
    const char *device = rt_device_info_of(session->dev)->name;
    *choose = o->choose;
    if (!o->choose)
        return RT_OK;
    const rt_status st =
        pipe_quantize_compared_bytes(session, o->model, folder, gguf, &need);
    if (st != RT_OK || need <= has)
        return st;
    if (o->choice_asked || o->open.text)
        return rt_fail(
            session->ctx, RT_ERR_NO_DEVICE,
            "--select kl compares a candidate with the whole model: about %.0f "
            "MiB on '%s', which has %.0f free; --select none makes one and "
            "holds one layer at a time",
            (double)need / MIB, device, (double)has / MIB);
    *choose = false;
    pipe_say(session->host,
             "one candidate is made, as the options say: to compare several with the "
             "model takes about %.0f MiB on '%s', which has %.0f free",
             (double)need / MIB, device, (double)has / MIB);
    return RT_OK;
}

/* Makes the plan of the budget, if there is one, and writes it beside the folder. */
static rt_status plan_widths(struct pipe_session *session,
                             const struct pipe_calibrated_options *o,
                             const struct pipe_select_from *from,
                             const struct pipe_calibrated_calls *calls,
                             struct pipe_quantize_options *quantize,
                             struct pipe_budget *budget)
{
    rt_status st;
    char comment[200], path[4200];
    if (!(o->budget > 0))
        return RT_OK;
    TRY(pipe_budget_make(session, from, o->out, quantize, o->budget, o->budget_is_all,
                         budget));
    snprintf(path, sizeof path, "%.*s.plan", (int)fmt_path_length(o->out), o->out);
    snprintf(comment, sizeof comment,
             "%.3f bits per weight of a budget of %g, scales included\nsum of KL of "
             "groups quantized alone: %.6f on %llu tokens",
             budget->bits, o->budget, budget->kl, (unsigned long long)budget->tokens);
    TRY(quant_plan_write(session->ctx, path, &budget->plan, comment));
    quantize->plan = &budget->plan;
    if (calls->budget)
        calls->budget(calls->user, budget, path);

fail:
    return st;
}

static bool is_whole(const struct pipe_calibrated_options *o)
{
    return o->choose || o->budget > 0 ||
           pipe_calibration_kind_of(o->read.from) == PIPE_CALIBRATION_SELF;
}

/* What --true-sequential cannot have beside it. */
static rt_status check_sequential(struct pipe_session *session,
                                  const struct pipe_calibrated_options *o)
{
    if (o->budget > 0 || (is_whole(o) && !o->choose))
        return rt_fail(session->ctx, RT_ERR_USAGE,
                       "--true-sequential holds one layer at a time: it needs no "
                       "--budget, and text or stored answers as --calib, or --select kl");
    if (o->seen)
        return rt_fail(session->ctx, RT_ERR_USAGE,
                       "--true-sequential sees other inputs each time: nothing is kept "
                       "in --seen");
    return RT_OK;
}

static rt_status load_full(struct pipe_session *session,
                           const struct pipe_calibrated_options *o,
                           struct rt_model **full)
{
    return is_whole(o) ? pipe_model_load(session, o->model, full)
                       : pipe_model_load_streamed(session, o->model, full);
}

/* What is seen of all the text, if a folder keeps it. */
static rt_status open_seen(const struct pipe_calibrated_options *o, struct rt_model *full,
                           const struct pipe_calibration *c, struct quant_seen **seen)
{
    const struct quant_seen_source source = { .model = full,
                                              .sequences = c->sequences.list,
                                              .count = c->sequences.count,
                                              .what = QUANT_SEEN_ALL };
    return o->seen ? quant_seen_open(&source, o->seen, seen) : RT_OK;
}

/* Whether candidates are made: where that was not asked for, text must allow it. */
static bool may_choose(struct pipe_session *session,
                       const struct pipe_calibrated_options *o,
                       const struct pipe_calibration *c)
{
    if (!o->choose || o->open.text || c->sequences.count >= 2 || o->choice_asked)
        return o->choose;
    pipe_say(session->host,
             "the calibration text is one sequence, nothing is held out: one "
             "candidate is made, as the options say");
    return false;
}

rt_status pipe_quantize_calibrated(struct pipe_session *session,
                                   const struct pipe_calibrated_options *asked,
                                   const struct pipe_calibrated_calls *calls,
                                   struct pipe_quantize_options *quantize,
                                   struct pipe_selected *selected,
                                   struct pipe_quantized *result)
{
    rt_status st;
    char hash[65];
    struct rt_model *full = NULL;
    struct quant_seen *seen = NULL;
    struct pipe_calibration c = { 0 };
    struct pipe_budget budget = { .count = 0 };
    const struct quant_plan *plan = quantize->plan;
    const uint64_t started = rt_time_ns();
    struct pipe_calibrated_options own = *asked, *o = &own;
    *selected = (struct pipe_selected){ 0 };
    if (quantize->true_sequential)
        TRY(check_sequential(session, asked));
    TRY(check_room(session, asked, quantize, NULL, &own.choose));
    if (asked->says_one)
        pipe_say(session->host, "one candidate is made: --true-sequential; --select kl "
                                "compares several");
    TRY(load_full(session, o, &full));
    TRY(pipe_calibration_read(session, &o->read, full, &c));
    const struct pipe_select_from from = { full, o->model, &c, &o->read, o->seen };
    TRY(plan_widths(session, o, &from, calls, quantize, &budget));
    if (may_choose(session, o, &c)) {
        TRY(pipe_quantize_select(session, &from, o->out, quantize, &o->open, selected,
                                 result));
        *quantize = selected->list[selected->chosen].options;
        if (calls->selected)
            calls->selected(calls->user, selected);
    } else {
        TRY(open_seen(o, full, &c, &seen));
        const struct pipe_quantize_text text = { .full = full,
                                                 .sequences = c.sequences.list,
                                                 .count = c.sequences.count,
                                                 .shared = seen };
        TRY(pipe_quantize_on(session, &text, o->model, o->out, quantize, result));
    }
    pipe_budget_end(session->ctx, o->out, RT_OK, &budget); /* the folder is there */
    quant_seen_close(&seen);
    snprintf(hash, sizeof hash, "%s", rt_model_hash(full));
    rt_model_destroy(&full); /* makes room for the folder */
    const struct pipe_made made = { .full_hash = hash,
                                    .out = o->out,
                                    .options = quantize,
                                    .calibration = &c,
                                    .selected = selected,
                                    .quantized = result,
                                    .seconds = (double)(rt_time_ns() - started) / 1e9 };
    TRY(pipe_made_save(session, &made));

fail:
    quantize->plan = plan;
    for (uint32_t i = 0; i < selected->count; i++) /* the budget's ends here */
        selected->list[i].options.plan = plan;
    pipe_budget_end(session->ctx, asked->out, st, &budget);
    pipe_budget_deinit(&budget);
    quant_seen_close(&seen);
    pipe_calibration_deinit(&c);
    rt_model_destroy(&full);
    return st;
}

/* ---- a GGUF file ---- */

static rt_status make_file(struct pipe_session *session,
                           const struct pipe_calibrated_options *o,
                           const struct pipe_calibrated_calls *calls,
                           const struct pipe_select_from *from,
                           struct pipe_gguf_options *quantize, struct rt_model **full,
                           struct pipe_selected *selected, struct pipe_gguf_made *made)
{
    rt_status st;
    struct quant_seen *seen = NULL;
    const struct pipe_sequences *all = &from->calibration->sequences;
    if (!may_choose(session, o, from->calibration)) {
        TRY(open_seen(o, *full, from->calibration, &seen));
        const struct pipe_gguf_text text = { .full = full,
                                             .is_last = true,
                                             .sequences = all->list,
                                             .count = all->count,
                                             .shared = seen,
                                             .read = &o->read };
        TRY(pipe_quantize_gguf_on(session, &text, o->model, o->out, quantize, made));
        goto fail;
    }
    TRY(pipe_quantize_gguf_select(session, from, o->out, quantize, &o->open, selected,
                                  made));
    *quantize = selected->list[selected->chosen].gguf;
    if (calls->selected)
        calls->selected(calls->user, selected);

fail:
    quant_seen_close(&seen);
    return st;
}

rt_status pipe_quantize_gguf_calibrated(struct pipe_session *session,
                                        const struct pipe_calibrated_options *asked,
                                        const struct pipe_calibrated_calls *calls,
                                        struct pipe_gguf_options *quantize,
                                        struct pipe_selected *selected,
                                        struct pipe_gguf_made *made)
{
    rt_status st;
    char hash[65];
    struct rt_model *full = NULL;
    struct pipe_calibration c = { 0 };
    const uint64_t started = rt_time_ns();
    struct pipe_calibrated_options own = *asked, *o = &own;
    *selected = (struct pipe_selected){ 0 };
    *made = (struct pipe_gguf_made){ 0 };
    TRY(pipe_gguf_check_file(session->ctx, o->model,
                             quantize->write_plan ? quantize->write_plan : o->out,
                             quantize));
    TRY(check_room(session, asked, NULL, quantize, &own.choose));
    TRY(load_full(session, o, &full));
    snprintf(hash, sizeof hash, "%s", rt_model_hash(full));
    TRY(pipe_calibration_read(session, &o->read, full, &c));
    const struct pipe_select_from from = { full, o->model, &c, &o->read, o->seen };
    TRY(make_file(session, o, calls, &from, quantize, &full, selected, made));
    rt_model_destroy(&full); /* makes room for the file */
    const struct pipe_made row = { .full_hash = hash,
                                   .out = o->out,
                                   .calibration = &c,
                                   .selected = selected,
                                   .seconds = (double)(rt_time_ns() - started) / 1e9,
                                   .gguf = quantize,
                                   .gguf_made = made };
    if (!quantize->write_plan)
        TRY(pipe_made_save(session, &row));

fail:
    pipe_calibration_deinit(&c);
    rt_model_destroy(&full);
    return st;
}

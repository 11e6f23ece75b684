/* pipeline/restore/retain.c
 * Texts by KL and perplexity, multiple choice by letters, problems by answers: each a run of
 * the variant on a benchmark that is not the measured one. */
#include "pipeline/restore/retain.h"

#include "pipeline/run/answers.h"
#include "pipeline/run/choice.h"
#include "pipeline/run/problem_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW = 512 };

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static rt_status open_text(struct pipe_session *session, struct rt_model *full,
                           struct restore_retained_item *item)
{
    const uint32_t most = rt_model_positions(full);
    item->length = most < WINDOW ? most : WINDOW;
    const bool bundled = strcmp(item->from, "bundled") == 0;
    const struct pipe_calibration_options o = { .from = item->from,
                                                .text =
                                                    bundled ? restore_retain_text : NULL,
                                                .length = item->length,
                                                .stride = item->length / 2,
                                                .items = UINT32_MAX,
                                                .measuring = true };
    item->base = (struct pipe_kl_base){ session, full, &item->text.sequences, { 0 } };
    return pipe_calibration_read(session, &o, full, &item->text);
}

static rt_status open_item(struct pipe_session *session, struct rt_model *full,
                           struct restore_retained_item *item)
{
    if (strcmp(item->from, "bundled") == 0 || pipe_calibration_is_text(item->from)) {
        item->kind = RESTORE_RETAINED_TEXT;
        return open_text(session, full, item);
    }
    if (ends_with(item->from, ".csv") || ends_with(item->from, ".csv.gz")) {
        item->kind = RESTORE_RETAINED_CHOICE;
        return pipe_choice_read(session->ctx, item->from, &item->questions);
    }
    item->kind = RESTORE_RETAINED_PROBLEMS;
    return pipe_bench_open(session, item->from, "retain", &item->bench);
}

rt_status restore_retain_open(struct pipe_session *session, const char *list,
                              struct rt_model *full, struct restore_retained *out)
{
    rt_status st = RT_OK;
    *out = (struct restore_retained){ 0 };
    if (!list || strcmp(list, "none") == 0)
        return RT_OK;
    out->names = rt_strdup(session->ctx, list);
    if (!out->names)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory");
    for (char *at = out->names; at;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        if (!*at || out->count == RESTORE_RETAINED_MAX)
            return rt_fail(session->ctx, RT_ERR_USAGE,
                           "--retain takes 1 to %d texts, multiple-choice files or lists "
                           "of problems, with commas between them",
                           RESTORE_RETAINED_MAX);
        struct restore_retained_item *item = &out->items[out->count++];
        item->from = at;
        TRY(open_item(session, full, item));
        at = comma ? comma + 1 : NULL;
    }
    for (uint32_t i = 0; i < out->count; i++) /* all texts share what one may take */
        out->items[i].base.kept.limit = OBSERVE_KEPT_BYTES / out->count;

fail:
    return st;
}

void restore_retain_close(struct restore_retained *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        pipe_kl_base_deinit(&r->items[i].base);
        pipe_calibration_deinit(&r->items[i].text);
        pipe_problems_deinit(&r->items[i].questions);
        pipe_bench_close(&r->items[i].bench);
    }
    rt_free(r->names);
    *r = (struct restore_retained){ 0 };
}

/* ---- measuring ---- */

static rt_status measure_text(struct pipe_session *session,
                              struct restore_retained_item *item,
                              const struct pipe_variant *v)
{
    rt_status st;
    const char *name = pipe_list_name(item->from);
    const struct pipe_kl_text text = { .name = name,
                                       .id = item->text.id,
                                       .context = item->length,
                                       .stride = item->length / 2,
                                       .base = rt_model_hash(item->base.full) };
    bool done;
    if (rt_model_positions(v->model) < item->length) {
        pipe_say(
            session->host,
            "retain %-24s %s: not measured, its context of %u tokens is shorter than "
            "the windows of %u",
            name, v->row.label, rt_model_positions(v->model), item->length);
        return RT_OK;
    }
    struct pipe_kl *kl = rt_alloc(session->ctx, 1, sizeof *kl);
    if (!kl)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory to read a text");
    TRY(pipe_kl_is_saved(session, v, &text, &done));
    if (done) {
        pipe_say(session->host, "retain %-24s %s  [from before]", name, v->row.label);
        goto fail;
    }
    TRY(pipe_kl_measure(&item->base, v->model, v->adapter, "retain", NULL, kl));
    TRY(pipe_kl_save(session, v, &text, kl));
    pipe_say(session->host,
             "retain %-24s %s: perplexity %.5g (full %.5g), KL to full %.5f", name,
             v->row.label, exp(kl->nll), exp(kl->nll_full), kl->mean);

fail:
    rt_free(kl);
    return st;
}

static rt_status measure_choice(struct pipe_session *session,
                                const struct restore_retained_item *item,
                                const struct pipe_variant *v)
{
    struct pipe_choice_result result;
    const struct pipe_choice_options o = {
        .variant = v, .set = &item->questions, .split = "retain", .limit = UINT32_MAX
    };
    const rt_status st = pipe_choice_run(session, &o, &result);
    if (st == RT_OK)
        pipe_say(session->host, "retain %-24s %s: %u/%u right (%.2f %%)%s",
                 item->questions.name, v->row.label, result.right, result.n,
                 100.0 * result.right / result.n, result.fresh ? "" : "  [from before]");
    return st;
}

static rt_status measure_problems(struct pipe_session *session,
                                  const struct restore_retained_item *item,
                                  const struct pipe_variant *v)
{
    struct pipe_answers answers = { 0 };
    const rt_status st = pipe_measure(session, v, &item->bench, &answers);
    pipe_answers_deinit(&answers);
    return st;
}

rt_status restore_retain_measure(struct pipe_session *session, struct restore_retained *r,
                                 struct rt_model *full, const struct pipe_variant *v)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < r->count; i++) {
        struct restore_retained_item *item = &r->items[i];
        switch (item->kind) {
        case RESTORE_RETAINED_TEXT:
            if (v->model != full || v->adapter)
                TRY(measure_text(session, item, v));
            break;
        case RESTORE_RETAINED_CHOICE:
            TRY(measure_choice(session, item, v));
            break;
        case RESTORE_RETAINED_PROBLEMS:
            TRY(measure_problems(session, item, v));
            break;
        }
    }

fail:
    return st;
}

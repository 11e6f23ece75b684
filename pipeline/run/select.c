/* pipeline/run/select.c
 * Candidates are whole models beside the wanted one: each is measured as it would be
 * read, and the chosen one is put in place by its name alone. */
#include "pipeline/run/select.h"

#include "pipeline/run/select_state.h"
#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/seen_inputs.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct selecting {
    struct pipe_select_job job; /* its sequences are of the calibration's memory */
    const char *out;
    struct pipe_selected *selected;
    struct pipe_select_result *result; /* of the best so far */
    struct train_sequence *used;       /* [used_count] of the job */
    struct pipe_sequences held;        /* the same, or of `other` */
    struct pipe_calibration other;     /* --select-text */
    struct pipe_kl_base base;          /* on what is held out */
    double *sums[PIPE_CANDIDATES_MAX]; /* KL of each held-out sequence */
};

bool pipe_select_of_method(const char *method, struct pipe_select_options *open)
{
    const bool gguf = strcmp(method, "gguf") == 0;
    const bool int8 = strcmp(method, "smoothquant") == 0;
    const bool gptq = gguf || int8 || strcmp(method, "gptq") == 0;
    const bool grid =
        (gptq && !int8) || strcmp(method, "rtn") == 0 || strcmp(method, "awq") == 0;
    open->search = open->search && grid;
    open->order = open->order && gptq;
    open->damping = open->damping && gptq;
    open->nearest = open->nearest && gguf;
    return open->search || open->order || open->damping || open->nearest;
}

/* ---- what is held out ---- */

static rt_status split(struct selecting *s, const struct pipe_select_options *o)
{
    rt_status st;
    const struct pipe_calibration *c = s->job.from->calibration;
    const uint32_t n = c->sequences.count;
    struct rt_ctx *ctx = s->job.session->ctx;
    if (!o->text && n < 2)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "the calibration text is one sequence, nothing can be held out to "
                       "choose by; give more text, --select-text T or --select none");
    s->used = rt_alloc(ctx, n, sizeof *s->used);
    s->held.list = rt_alloc(ctx, n, sizeof *s->held.list);
    if (!s->used || !s->held.list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    s->job.used = s->used;
    for (uint32_t i = 0; i < n; i++) {
        const bool last = i % PIPE_HELD_OUT_EVERY == PIPE_HELD_OUT_EVERY - 1 ||
                          (n < PIPE_HELD_OUT_EVERY && i + 1 == n);
        if (last && !o->text)
            s->held.list[s->held.count++] = c->sequences.list[i];
        else
            s->used[s->job.used_count++] = c->sequences.list[i];
    }
    if (!o->text)
        return RT_OK;
    struct pipe_calibration_options read = *s->job.from->read;
    read.from = o->text;
    TRY(pipe_calibration_read(s->job.session, &read, s->job.from->full, &s->other));
    if (strcmp(s->other.id, c->id) == 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "--select-text is the calibration text; candidates are chosen on "
                       "text that none was calibrated on");
    s->held.count = 0;

fail:
    return st;
}

static const struct pipe_sequences *held_out(const struct selecting *s)
{
    return s->other.sequences.count ? &s->other.sequences : &s->held;
}

/* ---- a candidate ---- */

static void path_of(const struct selecting *s, uint32_t i, char *out, size_t size)
{
    snprintf(out, size, "%.*s.try-%u", (int)fmt_path_length(s->out), s->out, i + 1);
}

static rt_status measure(struct selecting *s, const char *path,
                         struct pipe_select_state *state)
{
    rt_status st;
    struct rt_model *model = NULL;
    struct pipe_kl *kl = rt_alloc(s->job.session->ctx, 1, sizeof *kl);
    if (!kl)
        return rt_fail(s->job.session->ctx, RT_ERR_HOST_MEMORY,
                       "quantize: no host memory");
    TRY(pipe_model_load(s->job.session, path, &model));
    TRY(pipe_kl_measure(&s->base, model, NULL, "select", state->sums, kl));
    state->measured = true;
    state->kl = kl->mean;
    state->kl_error = kl->error;
    state->same_top = kl->same_top;
    state->tokens = kl->tokens;

fail:
    rt_model_destroy(&model);
    rt_free(kl);
    return st;
}

/* How much higher the mean KL of candidate i is than that of j, and the standard error of
 * that over the sequences that both have seen; infinite where there is one. */
static double behind(const struct selecting *s, uint32_t i, uint32_t j, double *error)
{
    const struct pipe_selected *all = s->selected;
    const double n = held_out(s)->count, tokens = (double)all->tokens;
    const double difference = all->list[i].kl - all->list[j].kl;
    double squares = 0;
    for (uint32_t k = 0; k < held_out(s)->count; k++) {
        const double d = s->sums[i][k] - s->sums[j][k] - difference * tokens / n;
        squares += d * d;
    }
    *error = n < 2 ? INFINITY : sqrt(squares * n / (n - 1)) / tokens;
    return difference;
}

/* Whether the newest candidate takes the place of the chosen one: it is nearer by more than
 * the standard error, so that chance does not move what was asked for. NaN is never nearer;
 * the first one stands where all are NaN. */
static bool is_nearer(const struct selecting *s)
{
    const struct pipe_selected *all = s->selected;
    const uint32_t newest = all->count - 1;
    double error;
    if (newest == 0 || isnan(all->list[all->chosen].kl))
        return newest == 0 || !isnan(all->list[newest].kl);
    const double difference = behind(s, newest, all->chosen, &error);
    return difference < 0 && (isinf(error) || -difference > error);
}

/* Makes and measures what is not there yet; *taken: it all was. Each step is written down
 * when it is done. */
static rt_status make(struct selecting *s, const struct pipe_candidate *c,
                      const char *path, struct pipe_select_state *state,
                      struct pipe_select_result *result, bool *taken)
{
    rt_status st;
    bool found;
    uint64_t started = rt_time_ns();
    struct rt_ctx *ctx = s->job.session->ctx;
    TRY(pipe_select_state_read(ctx, path, state, result, &found));
    *taken = found && state->measured;
    if (*taken)
        return RT_OK;
    if (!found) {
        state->kind->deinit(result);
        state->seconds = 0;
        pipe_select_state_remove(state->kind, path);
        TRY(state->kind->make(&s->job, c, path, result));
        state->measured = false;
        state->kl = state->kl_error = state->same_top = NAN;
        state->seconds = (double)(rt_time_ns() - started) / 1e9;
        TRY(pipe_select_state_write(ctx, path, state, result));
    }
    started = rt_time_ns();
    TRY(measure(s, path, state));
    state->seconds += (double)(rt_time_ns() - started) / 1e9;
    TRY(pipe_select_state_write(ctx, path, state, result));

fail:
    return st;
}

static void say(const struct selecting *s, const struct pipe_candidate *c, bool taken)
{
    char error[64] = "";
    if (!isnan(c->objective))
        snprintf(error, sizeof error, ", error of layers %.6g", c->objective);
    pipe_say(s->job.session->host, "candidate %u, %s: KL %.6g%s, %.1f s%s",
             s->selected->count, c->name, c->kl, error, c->seconds,
             taken ? ", made before this command was stopped" : "");
}

static rt_status try_one(struct selecting *s, const struct pipe_candidate *options)
{
    rt_status st;
    bool taken;
    char path[4200];
    const struct pipe_select_kind *kind = s->job.kind;
    struct rt_ctx *ctx = s->job.session->ctx;
    struct pipe_selected *all = s->selected;
    struct pipe_select_result result = { 0 };
    struct pipe_select_state state = { .kind = kind, .count = held_out(s)->count };
    assert(all->count < PIPE_CANDIDATES_MAX);
    struct pipe_candidate *c = &all->list[all->count];
    *c = *options;
    path_of(s, all->count, path, sizeof path);
    kind->name(c);
    TRY(pipe_select_key(&s->job, held_out(s), c, state.key));
    state.sums = rt_alloc(ctx, state.count, sizeof *state.sums);
    s->sums[all->count] = state.sums;
    if (!state.sums)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    TRY(make(s, c, path, &state, &result, &taken));
    c->kl = state.kl;
    c->kl_error = state.kl_error;
    c->same_top = state.same_top;
    c->objective = kind->objective(&result);
    c->seconds = state.seconds;
    all->tokens = state.tokens;
    all->count++;
    say(s, c, taken);
    if (is_nearer(s)) {
        all->chosen = all->count - 1;
        kind->deinit(s->result);
        *s->result = result;
        result = (struct pipe_select_result){ 0 };
    }

fail:
    kind->deinit(&result);
    return st;
}

static rt_status try_all(struct selecting *s, const struct pipe_candidate *first,
                         const struct pipe_select_options *o)
{
    rt_status st;
    const bool open[PIPE_SELECT_CHANGES] = { [PIPE_SELECT_SEARCH] = o->search,
                                             [PIPE_SELECT_ORDER] = o->order,
                                             [PIPE_SELECT_DAMPING] = o->damping,
                                             [PIPE_SELECT_NEAREST] = o->nearest };
    TRY(try_one(s, first));
    for (int i = 0; i < PIPE_SELECT_CHANGES; i++) {
        if (!open[i])
            continue;
        struct pipe_candidate next = s->selected->list[s->selected->chosen];
        s->job.kind->vary(&next, (enum pipe_select_change)i);
        TRY(try_one(s, &next));
    }

fail:
    return st;
}

static void compare(const struct selecting *s)
{
    struct pipe_selected *all = s->selected;
    for (uint32_t i = 0; i < all->count; i++) {
        struct pipe_candidate *c = &all->list[i];
        c->behind = behind(s, i, all->chosen, &c->behind_error);
    }
}

/* ---- what all are made of ---- */

static void path_of_shared(const struct selecting *s, char *out, size_t size)
{
    snprintf(out, size, "%.*s.seen", (int)fmt_path_length(s->out), s->out);
}

/* One pass over the text serves all candidates that see the full model's inputs. */
static rt_status open_shared(struct selecting *s, const struct pipe_candidate *first)
{
    char path[4200];
    const struct quant_seen_source source = { .model = s->job.from->full,
                                              .sequences = s->job.used,
                                              .count = s->job.used_count,
                                              .what = s->job.from->seen
                                                          ? QUANT_SEEN_ALL
                                                          : s->job.kind->needs(first) };
    if (!source.what)
        return RT_OK;
    path_of_shared(s, path, sizeof path);
    return quant_seen_open(&source, s->job.from->seen ? s->job.from->seen : path,
                           &s->job.shared);
}

/* That of another process, and what the user named, stays. */
static void remove_shared(const struct selecting *s)
{
    char path[4200];
    path_of_shared(s, path, sizeof path);
    if (s->job.shared && !s->job.from->seen)
        quant_seen_remove(path);
}

static void remove_candidates(const struct selecting *s)
{
    char path[4200];
    for (uint32_t i = 0; i < PIPE_CANDIDATES_MAX; i++) {
        path_of(s, i, path, sizeof path);
        pipe_select_state_remove(s->job.kind, path);
    }
}

static rt_status choose(struct selecting *s, const struct pipe_candidate *first,
                        const struct pipe_select_options *select)
{
    rt_status st;
    char path[4200], to[4200];
    const struct pipe_select_job *job = &s->job;
    struct rt_ctx *ctx = job->session->ctx;
    struct pipe_selected *selected = s->selected;
    TRY(split(s, select));
    s->base = (struct pipe_kl_base){ job->session, job->from->full, held_out(s), { 0 } };
    selected->held_out = held_out(s)->count;
    selected->used = job->used_count;
    TRY(open_shared(s, first));
    TRY(try_all(s, first, select));
    compare(s);
    path_of(s, selected->chosen, path, sizeof path);
    snprintf(to, sizeof to, "%.*s", (int)fmt_path_length(s->out), s->out);
    TRY(job->kind->place(ctx, path, to));

fail:
    /* Where nothing began, those of an earlier command stay; where another process works on
     * them, its. */
    if (selected->used && quant_is_resumable(st))
        rt_log(ctx, RT_LOG_WARNING,
               "%u candidates are kept beside '%s'%s: the same command continues there",
               selected->count, s->out,
               s->job.shared && !job->from->seen
                   ? ", with what the model saw in a folder .seen"
                   : "");
    else if (selected->used && st != RT_ERR_USAGE)
        remove_candidates(s);
    for (uint32_t i = 0; i < PIPE_CANDIDATES_MAX; i++)
        rt_free(s->sums[i]);
    if (!quant_is_resumable(st))
        remove_shared(s);
    quant_seen_close(&s->job.shared);
    pipe_kl_base_deinit(&s->base);
    rt_free(s->used);
    rt_free(s->held.list);
    pipe_calibration_deinit(&s->other);
    return st;
}

rt_status pipe_quantize_select(struct pipe_session *session,
                               const struct pipe_select_from *from, const char *out,
                               const struct pipe_quantize_options *options,
                               const struct pipe_select_options *select,
                               struct pipe_selected *selected,
                               struct pipe_quantized *result)
{
    struct pipe_select_result best = { 0 };
    struct pipe_candidate first = { .options = *options };
    struct selecting s = {
        .job = { .session = session, .from = from, .kind = &pipe_select_folder },
        .out = out,
        .selected = selected,
        .result = &best
    };
    *selected = (struct pipe_selected){ 0 };
    *result = (struct pipe_quantized){ 0 };
    if (fmt_exists(out) && !options->force) /* before the work */
        return rt_fail(session->ctx, RT_ERR_USAGE,
                       "'%s' exists already; use --force or another name", out);
    if (os_same(from->model, out))
        return rt_fail(session->ctx, RT_ERR_USAGE,
                       "'%s' is the model that is read; write to another folder", out);
    first.options.force = false;
    const rt_status st = choose(&s, &first, select);
    *result = best.folder;
    return st;
}

rt_status pipe_quantize_gguf_select(struct pipe_session *session,
                                    const struct pipe_select_from *from, const char *out,
                                    const struct pipe_gguf_options *options,
                                    const struct pipe_select_options *select,
                                    struct pipe_selected *selected,
                                    struct pipe_gguf_made *made)
{
    char path[4200];
    struct pipe_select_result best = { 0 };
    struct pipe_candidate first = { .gguf = *options };
    struct selecting s = {
        .job = { .session = session, .from = from, .kind = &pipe_select_gguf },
        .out = out,
        .selected = selected,
        .result = &best
    };
    *selected = (struct pipe_selected){ 0 };
    *made = (struct pipe_gguf_made){ 0 };
    rt_status st = pipe_gguf_check_file(session->ctx, from->model, out, options);
    if (st != RT_OK)
        return st;
    first.gguf.force = false;
    path_of(&s, 0, path, sizeof path);
    if (options->imatrix_out && !fmt_exists(options->imatrix_out))
        pipe_select_state_remove(&pipe_select_gguf, path); /* it is written with that */
    st = choose(&s, &first, select);
    *made = best.file;
    return st;
}

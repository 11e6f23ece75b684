/* pipeline/locate/judge_store.c
 * Readings of a model as notes of its run: a JSON object with the tokens that were read and
 * an array per series, in 17 digits, so that a double comes back as it was. */
#include "pipeline/locate/judge_store.h"

#include "pipeline/run/work.h"
#include "runtime/base/json.h"
#include "runtime/base/sha256.h"
#include "store/store_note.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 17 };

rt_status pipe_judge_store_open(struct pipe_session *session, const char *model,
                                const struct pipe_judge_use *use,
                                struct pipe_judge_store *out)
{
    rt_status st;
    struct pipe_variant judge;
    *out = (struct pipe_judge_store){ .session = session,
                                      .use = *use,
                                      .since_ns = rt_time_ns() };
    char *config = rt_format(session->ctx,
                             "{\"locator\":\"%s\",\"question\":\"%s\","
                             "\"prompt\":\"%s\"}",
                             use->locator, use->question, session->format_hash);
    if (!config)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", use->locator);
    TRY(pipe_variant_note(session, model, use->locator, "control", &judge));
    struct store_run run = { .kind = "locate",
                             .variant_id = judge.row.id,
                             .env_id = session->env_id,
                             .seed = use->seed,
                             .config = config };
    TRY(store_begin(session->store));
    TRY(store_run_open(session->store, &run));
    TRY(store_commit(session->store));
    TRY(pipe_work_begin(session, run.id));
    snprintf(out->run_id, STORE_ID, "%s", run.id);

fail:
    store_rollback(session->store);
    rt_free(config);
    return st;
}

/* Of what the model sees: the problem, and the steps as they are cut. */
void pipe_judge_store_id(const struct pipe_judge_store *s,
                         const struct pipe_labelled *item, char id[STORE_ID])
{
    struct sha256 hash;
    char hex[65];
    sha256_init(&hash);
    sha256_add_text(&hash, item->question);
    for (uint32_t k = 0; k < item->step_count; k++) {
        const struct pipe_step *step = &item->steps[k];
        sha256_add(&hash, item->text + step->char_start,
                   step->char_end - step->char_start);
        sha256_add(&hash, "", 1);
    }
    if (s->use.graded)
        sha256_add_text(&hash, item->answer);
    sha256_end_hex(&hash, hex);
    snprintf(id, STORE_ID, "sha256:%s", hex);
}

static struct store_note_key key_of(const struct pipe_judge_store *s,
                                    const char solution[STORE_ID])
{
    return (struct store_note_key){
        .author = s->run_id,
        .target = "solution",
        .target_id = solution,
        .tag = s->use.locator,
    };
}

/* ---- reading back ---- */

/* A series of a note; null: it is not there, or there is no memory. */
static double *values_of(struct rt_ctx *ctx, const json_t *note, const char *name,
                         uint32_t steps)
{
    const json_t *list = json_object_get(note, name), *one;
    size_t k;
    if (!json_is_array(list) || json_array_size(list) != steps)
        return NULL;
    double *values = rt_alloc(ctx, steps, sizeof *values);
    if (!values)
        return NULL;
    json_array_foreach(list, k, one)
    {
        values[k] = json_is_number(one) ? json_number_value(one) : NAN;
    }
    return values;
}

rt_status pipe_judge_store_get(struct pipe_judge_store *s,
                               const struct pipe_labelled *item,
                               struct pipe_judge_series *series, uint32_t count,
                               uint64_t *tokens, bool *found)
{
    char solution[STORE_ID], *text = NULL;
    json_error_t error;
    struct rt_ctx *ctx = s->session->ctx;
    *found = false;
    for (uint32_t i = 0; i < count; i++)
        series[i].values = NULL;
    pipe_judge_store_id(s, item, solution);
    const struct store_note_key key = key_of(s, solution);
    const rt_status st = store_find_note(s->session->store, &key, &text);
    if (st != RT_OK || !text)
        return st;
    json_t *note = fmt_json_parse(ctx, text, strlen(text), 0, &error);
    rt_free(text);
    bool whole = note != NULL;
    for (uint32_t i = 0; whole && i < count; i++) {
        series[i].values = values_of(ctx, note, series[i].name, item->step_count);
        whole = series[i].values != NULL;
        for (uint32_t k = 0; whole && k < item->step_count; k++)
            whole = isfinite(series[i].values[k]);
    }
    for (uint32_t i = 0; !whole && i < count; i++) {
        rt_free(series[i].values);
        series[i].values = NULL;
    }
    *found = whole;
    *tokens = (uint64_t)json_integer_value(json_object_get(note, "tokens"));
    json_decref(note);
    return RT_OK;
}

/* ---- keeping ---- */

/* The note in fresh memory (rt_free); null: no memory, or a value is not finite. */
static char *note_of(const struct pipe_labelled *item,
                     const struct pipe_judge_series *series, uint32_t count,
                     uint64_t tokens)
{
    json_t *note = json_object();
    bool whole = note && json_object_set_new(note, "tokens",
                                             json_integer((json_int_t)tokens)) == 0;
    for (uint32_t i = 0; whole && i < count; i++) {
        json_t *list = json_array();
        for (uint32_t k = 0; k < item->step_count; k++)
            whole &= json_array_append_new(list, json_real(series[i].values[k])) == 0;
        whole &= json_object_set_new(note, series[i].name, list) == 0;
    }
    char *text =
        whole ? fmt_json_dumps(note, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) : NULL;
    json_decref(note);
    return text;
}

/* What the run took since the last time. */
static rt_status add_costs(struct pipe_judge_store *s, uint64_t tokens)
{
    rt_status st;
    struct store *store = s->session->store;
    const uint64_t now = rt_time_ns();
    TRY(store_add_metric(store, s->run_id, "tokens", (double)tokens));
    TRY(store_add_metric(store, s->run_id, "wall_seconds",
                         (double)(now - s->since_ns) * 1e-9));
    s->since_ns = now;

fail:
    return st;
}

rt_status pipe_judge_store_put(struct pipe_judge_store *s,
                               const struct pipe_labelled *item,
                               const struct pipe_judge_series *series, uint32_t count,
                               uint64_t tokens, uint64_t more)
{
    rt_status st;
    char solution[STORE_ID];
    struct pipe_session *session = s->session;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < item->step_count; k++)
            if (!isfinite(series[i].values[k]))
                return RT_OK;
    pipe_judge_store_id(s, item, solution);
    const struct store_note_key key = key_of(s, solution);
    char *note = note_of(item, series, count, tokens);
    if (!note)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", s->use.locator);
    TRY(store_begin(session->store));
    TRY(store_put_note(session->store, &key, note));
    TRY(add_costs(s, more));
    TRY(store_commit(session->store));
    TRY(pipe_work_beat(session));

fail:
    store_rollback(session->store);
    rt_free(note);
    return st;
}

rt_status pipe_judge_store_done(struct pipe_judge_store *s)
{
    rt_status st;
    TRY(store_begin(s->session->store));
    TRY(pipe_work_commit(s->session));

fail:
    return st;
}

/* pipeline/run/select_state.c
 * Candidates as files: what is written of one, and read again. */
#include "pipeline/run/select_state.h"

#include "runtime/base/file.h"
#include "runtime/base/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the key ---- */

static void add_sequences(struct sha256 *hash, const struct train_sequence *list,
                          uint32_t count)
{
    sha256_add(hash, &count, sizeof count);
    for (uint32_t i = 0; i < count; i++) {
        sha256_add(hash, &list[i].n, sizeof list[i].n);
        sha256_add(hash, list[i].ids, list[i].n * sizeof *list[i].ids);
        sha256_add(hash, list[i].mask, list[i].n);
        if (list[i].weight)
            sha256_add(hash, list[i].weight, list[i].n * sizeof *list[i].weight);
    }
}

rt_status pipe_select_key(const struct pipe_select_job *job,
                          const struct pipe_sequences *held,
                          const struct pipe_candidate *c, char key[65])
{
    char text[320];
    struct sha256 hash;
    snprintf(text, sizeof text, "candidate 2 %s %s %s", rt_version, job->session->env_id,
             rt_model_hash(job->from->full));
    sha256_init(&hash);
    sha256_add_text(&hash, text);
    const rt_status st = job->kind->hash(job, c, &hash);
    add_sequences(&hash, job->used, job->used_count);
    add_sequences(&hash, held->list, held->count);
    sha256_end_hex(&hash, key);
    return st;
}

/* ---- numbers, which NaN and infinities are among ---- */

json_t *pipe_select_number(double value)
{
    char text[48];
    snprintf(text, sizeof text, "%a", value);
    return json_string(text);
}

double pipe_select_number_of(const json_t *value, bool *good)
{
    char *end = NULL;
    const char *text = json_string_value(value);
    const double number = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end)
        *good = false;
    return number;
}

uint64_t pipe_select_count_of(const json_t *object, const char *name, bool *good)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        *good = false;
    return (uint64_t)json_integer_value(value);
}

/* ---- the file ---- */

static void file_of(const char *candidate, char path[PIPE_SELECT_PATH])
{
    snprintf(path, PIPE_SELECT_PATH, "%.4200s.json", candidate);
}

rt_status pipe_select_state_write(struct rt_ctx *ctx, const char *candidate,
                                  const struct pipe_select_state *s,
                                  const struct pipe_select_result *result)
{
    char path[PIPE_SELECT_PATH];
    json_t *sums = json_array();
    for (uint32_t i = 0; s->measured && i < s->count; i++)
        json_array_append_new(sums, pipe_select_number(s->sums[i]));
    json_t *state = json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "key", s->key, "measured",
        s->measured, "kl", pipe_select_number(s->kl), "kl_error",
        pipe_select_number(s->kl_error), "same_top", pipe_select_number(s->same_top),
        "seconds", pipe_select_number(s->seconds), "tokens", (json_int_t)s->tokens,
        "sums", sums, "result", s->kind->write(result));
    file_of(candidate, path);
    const rt_status st =
        state ? fmt_json_write(ctx, path, state)
              : rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    json_decref(state);
    return st;
}

static rt_status read_state(struct rt_ctx *ctx, const json_t *json,
                            struct pipe_select_state *s,
                            struct pipe_select_result *result, bool *good)
{
    const json_t *sums = json_object_get(json, "sums");
    s->measured = json_is_true(json_object_get(json, "measured"));
    s->kl = pipe_select_number_of(json_object_get(json, "kl"), good);
    s->kl_error = pipe_select_number_of(json_object_get(json, "kl_error"), good);
    s->same_top = pipe_select_number_of(json_object_get(json, "same_top"), good);
    s->seconds = pipe_select_number_of(json_object_get(json, "seconds"), good);
    s->tokens = pipe_select_count_of(json, "tokens", good);
    *good = *good && json_array_size(sums) == (s->measured ? s->count : 0);
    for (uint32_t i = 0; *good && s->measured && i < s->count; i++)
        s->sums[i] = pipe_select_number_of(json_array_get(sums, i), good);
    return s->kind->read(ctx, json_object_get(json, "result"), result, good);
}

rt_status pipe_select_state_read(struct rt_ctx *ctx, const char *candidate,
                                 struct pipe_select_state *s,
                                 struct pipe_select_result *result, bool *found)
{
    rt_status st = RT_OK;
    json_t *json = NULL;
    char path[PIPE_SELECT_PATH];
    file_of(candidate, path);
    *found = false;
    if (!fmt_exists(path) || !fmt_exists(candidate))
        return RT_OK;
    if (fmt_json_read(ctx, path, &json) != RT_OK)
        return RT_OK; /* not ours to read: made anew */
    const char *key = json_string_value(json_object_get(json, "key"));
    if (key && strcmp(key, s->key) == 0) {
        *found = true;
        st = read_state(ctx, json, s, result, found);
    }
    json_decref(json);
    return st;
}

void pipe_select_state_remove(const struct pipe_select_kind *kind, const char *candidate)
{
    char path[PIPE_SELECT_PATH];
    file_of(candidate, path);
    remove(path); /* first: a candidate without it is none */
    kind->remove(candidate);
}

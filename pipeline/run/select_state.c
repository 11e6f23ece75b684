/* pipeline/run/select_state.c
 * Candidates as files: what is written of one, and read again. */
#include "pipeline/run/select_state.h"

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/sha256.h"
#include "runtime/base/version.h"
#include "runtime/quant/quant_files.h"

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

void pipe_select_key(const struct pipe_session *session,
                     const struct pipe_select_from *from,
                     const struct train_sequence *used, uint32_t used_count,
                     const struct pipe_sequences *held,
                     const struct pipe_quantize_options *o, char key[65])
{
    char text[640];
    struct sha256 hash;
    snprintf(text, sizeof text,
             "candidate 1 %s %s %s %s bits %u group %u asym %d search %d natural %d "
             "damping %a int8 %d given %d floats %a nearest %d f32 %d",
             rt_version, session->env_id, rt_model_hash(from->full),
             o->method ? o->method : "", o->bits, o->group, o->asymmetric, o->search,
             o->natural_order, o->damping, o->int8, o->given, o->float_inputs, o->nearest,
             o->keep_f32);
    sha256_init(&hash);
    sha256_add_text(&hash, text);
    for (uint32_t i = 0; o->plan && i < o->plan->count; i++) {
        sha256_add_text(&hash, o->plan->rows[i].pattern);
        sha256_add(&hash, &o->plan->rows[i].bits, sizeof o->plan->rows[i].bits);
    }
    add_sequences(&hash, used, used_count);
    add_sequences(&hash, held->list, held->count);
    sha256_end_hex(&hash, key);
}

/* ---- numbers, which NaN and infinities are among ---- */

static json_t *json_of(double value)
{
    char text[48];
    snprintf(text, sizeof text, "%a", value);
    return json_string(text);
}

/* NaN where there is none; *good tells. */
static double number_of(const json_t *value, bool *good)
{
    char *end = NULL;
    const char *text = json_string_value(value);
    const double number = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end)
        *good = false;
    return number;
}

static uint64_t count_of(const json_t *object, const char *name, bool *good)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        *good = false;
    return (uint64_t)json_integer_value(value);
}

/* ---- what was made ---- */

/* The members of both directions. */
static const struct {
    const char *name;
    size_t at;
} numbers[] = {
    { "bits", offsetof(struct pipe_quantized, bits_per_weight) },
    { "change", offsetof(struct pipe_quantized, change) },
    { "changed_value", offsetof(struct pipe_quantized, changed_value) },
    { "objective", offsetof(struct pipe_quantized, objective) },
    { "objective_rtn", offsetof(struct pipe_quantized, objective_rtn) },
    { "forward", offsetof(struct pipe_quantized, forward) },
    { "sums", offsetof(struct pipe_quantized, sums) },
    { "method", offsetof(struct pipe_quantized, method) },
};

static json_t *json_of_result(const struct pipe_quantized *q)
{
    json_t *list = json_array();
    json_t *changed =
        json_string(q->changed); /* a name of a file: NULL if it is no text */
    for (uint32_t i = 0; i < q->list_count; i++)
        json_array_append_new(list, json_pack("[s, o, o]", q->list[i].name,
                                              json_of(q->list[i].objective),
                                              json_of(q->list[i].rtn)));
    json_t *object = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:o}", "matrices",
        (json_int_t)q->matrices, "weights", (json_int_t)q->weights, "float_matrices",
        (json_int_t)q->float_matrices, "float_weights", (json_int_t)q->float_weights,
        "halved", (json_int_t)q->halved, "changed", changed ? q->changed : "", "tokens",
        (json_int_t)q->tokens, "not_better", (json_int_t)q->not_better, "list", list);
    json_decref(changed);
    for (size_t i = 0; object && i < RT_COUNT(numbers); i++) {
        double value;
        memcpy(&value, (const char *)q + numbers[i].at, sizeof value);
        json_object_set_new(object, numbers[i].name, json_of(value));
    }
    return object;
}

static rt_status read_list(struct rt_ctx *ctx, const json_t *list,
                           struct pipe_quantized *q, bool *good)
{
    const size_t count = json_array_size(list);
    q->list = rt_alloc(ctx, count + 1, sizeof *q->list);
    if (!q->list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(list, i);
        const char *name = json_string_value(json_array_get(row, 0));
        struct pipe_quantized_matrix *m = &q->list[q->list_count++];
        snprintf(m->name, sizeof m->name, "%.95s", name ? name : "");
        m->objective = number_of(json_array_get(row, 1), good);
        m->rtn = number_of(json_array_get(row, 2), good);
    }
    return RT_OK;
}

static rt_status read_result(struct rt_ctx *ctx, const json_t *object,
                             struct pipe_quantized *q, bool *good)
{
    const char *changed = json_string_value(json_object_get(object, "changed"));
    q->matrices = (uint32_t)count_of(object, "matrices", good);
    q->weights = count_of(object, "weights", good);
    q->float_matrices = (uint32_t)count_of(object, "float_matrices", good);
    q->float_weights = count_of(object, "float_weights", good);
    q->halved = (uint32_t)count_of(object, "halved", good);
    q->tokens = count_of(object, "tokens", good);
    q->not_better = (uint32_t)count_of(object, "not_better", good);
    snprintf(q->changed, sizeof q->changed, "%.159s", changed ? changed : "");
    for (size_t i = 0; i < RT_COUNT(numbers); i++) {
        const double value = number_of(json_object_get(object, numbers[i].name), good);
        memcpy((char *)q + numbers[i].at, &value, sizeof value);
    }
    return read_list(ctx, json_object_get(object, "list"), q, good);
}

/* ---- the file ---- */

static void file_of(const char *folder, char path[PIPE_SELECT_PATH])
{
    snprintf(path, PIPE_SELECT_PATH, "%.4200s.json", folder);
}

rt_status pipe_select_state_write(struct rt_ctx *ctx, const char *folder,
                                  const struct pipe_select_state *s,
                                  const struct pipe_quantized *result)
{
    char path[PIPE_SELECT_PATH];
    json_t *sums = json_array();
    for (uint32_t i = 0; s->measured && i < s->count; i++)
        json_array_append_new(sums, json_of(s->sums[i]));
    json_t *state = json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "key", s->key, "measured",
        s->measured, "kl", json_of(s->kl), "kl_error", json_of(s->kl_error), "same_top",
        json_of(s->same_top), "seconds", json_of(s->seconds), "tokens",
        (json_int_t)s->tokens, "sums", sums, "result", json_of_result(result));
    file_of(folder, path);
    const rt_status st =
        state ? fmt_json_write(ctx, path, state)
              : rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    json_decref(state);
    return st;
}

static rt_status read_state(struct rt_ctx *ctx, const json_t *json,
                            struct pipe_select_state *s, struct pipe_quantized *result,
                            bool *good)
{
    const json_t *sums = json_object_get(json, "sums");
    s->measured = json_is_true(json_object_get(json, "measured"));
    s->kl = number_of(json_object_get(json, "kl"), good);
    s->kl_error = number_of(json_object_get(json, "kl_error"), good);
    s->same_top = number_of(json_object_get(json, "same_top"), good);
    s->seconds = number_of(json_object_get(json, "seconds"), good);
    s->tokens = count_of(json, "tokens", good);
    *good = *good && json_array_size(sums) == (s->measured ? s->count : 0);
    for (uint32_t i = 0; *good && s->measured && i < s->count; i++)
        s->sums[i] = number_of(json_array_get(sums, i), good);
    return read_result(ctx, json_object_get(json, "result"), result, good);
}

rt_status pipe_select_state_read(struct rt_ctx *ctx, const char *folder,
                                 struct pipe_select_state *s,
                                 struct pipe_quantized *result, bool *found)
{
    rt_status st = RT_OK;
    json_t *json = NULL;
    char path[PIPE_SELECT_PATH];
    file_of(folder, path);
    *found = false;
    if (!fmt_exists(path) || !fmt_exists(folder))
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

void pipe_select_state_remove(const char *folder)
{
    char path[PIPE_SELECT_PATH];
    file_of(folder, path);
    remove(path); /* first: a folder without it is none */
    quant_files_remove(folder);
}

/* pipeline/exchange/import_inspect.c
 * Logs of Inspect as JSON. */
#include "pipeline/exchange/import_impl.h"

#include "pipeline/data/data_rows.h"

#include <assert.h>
#include <string.h>

/* The fields without which an answer cannot be used. */
static const char *const ids[] = { "id", "input", NULL };
static const char *const completions[] = { "completion", NULL };

/* Long contents stand in `attachments` under their hash. */
static const char *attached(const json_t *sample, const char *text)
{
    static const char mark[] = "attachment://";
    const char *key =
        text && strncmp(text, mark, sizeof mark - 1) == 0 ? text + sizeof mark - 1 : NULL;
    const char *found =
        key ? pipe_json_text(json_object_get(json_object_get(sample, "attachments"), key))
            : NULL;
    return found ? found : text;
}

/* A part of a message that is text: not reasoning, an image or the use of a tool. */
static const char *part_of(const json_t *sample, const json_t *part)
{
    const char *type = pipe_json_text(json_object_get(part, "type"));
    return !type || strcmp(type, "text") == 0
               ? attached(sample, pipe_json_text(json_object_get(part, "text")))
               : NULL;
}

/* The text parts of a list with line ends between, as Inspect itself joins them. */
static const char *joined(struct importing *in, const json_t *sample, const json_t *parts)
{
    size_t size = 1, used = 0;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const char *part = part_of(sample, json_array_get(parts, i));
        size += part ? strlen(part) + 1 : 0;
    }
    char *out = pipe_pool_take(in->ctx, &in->scratch, size, 1);
    for (size_t i = 0; out && i < json_array_size(parts); i++) {
        const char *part = part_of(sample, json_array_get(parts, i));
        const size_t length = part ? strlen(part) : 0;
        if (part && used)
            out[used++] = '\n';
        if (part)
            memcpy(out + used, part, length);
        used += length;
        assert(used < size);
    }
    return out;
}

/* The text of a message, NULL: there is no message. */
static rt_status content_of(struct importing *in, const json_t *sample,
                            const json_t *message, const char **out)
{
    const json_t *content = json_object_get(message, "content");
    *out = json_is_array(content) ? joined(in, sample, content)
                                  : attached(sample, pipe_json_text(content));
    return json_is_array(content) && !*out
               ? rt_fail(in->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name)
               : RT_OK;
}

/* The input: a string, or the last user message of a list. */
static rt_status question_of(struct importing *in, const json_t *sample, const char **out)
{
    rt_status st = RT_OK;
    const json_t *input = json_object_get(sample, "input");
    *out = attached(sample, pipe_json_text(input));
    for (size_t i = json_array_size(input); st == RT_OK && !*out && i-- > 0;) {
        const json_t *message = json_array_get(input, i);
        const char *role = pipe_json_text(json_object_get(message, "role"));
        if (role && strcmp(role, "user") == 0)
            st = content_of(in, sample, message, out);
    }
    return st;
}

/* `completion`; where that is missing or empty, the text of the first choice's message. */
static rt_status output_of(struct importing *in, const json_t *sample, const char **out)
{
    const json_t *output = json_object_get(sample, "output");
    const json_t *choice = json_array_get(json_object_get(output, "choices"), 0);
    const char *message = NULL;
    *out = attached(sample, pipe_json_text(json_object_get(output, "completion")));
    if (*out && **out)
        return RT_OK;
    const rt_status st =
        content_of(in, sample, json_object_get(choice, "message"), &message);
    *out = message ? message : *out;
    return st;
}

static enum pipe_finish finish_of(const json_t *sample)
{
    const json_t *choices = json_object_get(json_object_get(sample, "output"), "choices");
    const char *reason =
        pipe_json_text(json_object_get(json_array_get(choices, 0), "stop_reason"));
    if (json_is_object(json_object_get(sample, "error")))
        return PIPE_FINISH_ERROR;
    return reason && (strcmp(reason, "max_tokens") == 0 ||
                      strcmp(reason, "model_length") == 0)
               ? PIPE_FINISH_LENGTH
               : PIPE_FINISH_STOP;
}

static uint32_t count_of(const json_t *sample, const char *which)
{
    uint32_t total = 0;
    const char *model;
    json_t *usage;
    json_object_foreach(json_object_get(sample, "model_usage"), model, usage)
    {
        const json_int_t n = json_integer_value(json_object_get(usage, which));
        total += n > 0 && n < 1 << 28 ? (uint32_t)n : 0;
    }
    return total;
}

rt_status import_inspect_sample(struct importing *in, const json_t *sample, uint32_t at)
{
    rt_status st;
    char id[IMPORT_TEXT];
    const json_t *epoch = json_object_get(sample, "epoch");
    const json_int_t number = epoch ? json_integer_value(epoch) : 1;
    struct pipe_import_answer a = {
        .id = import_text(json_object_get(sample, "id"), id),
        .finish = finish_of(sample),
        .sample = (uint32_t)(number - 1),
        .n_prompt = count_of(sample, "input_tokens"),
        .n_gen = count_of(sample, "output_tokens"),
        .at = at,
    };
    pipe_pool_deinit(&in->scratch);
    TRY(question_of(in, sample, &a.question));
    TRY(output_of(in, sample, &a.output));
    if (number < 1 || number > 100000)
        return import_fail(in, "sample", at, "'epoch' is no whole number from 1");
    if (!a.id && !a.question)
        return import_missing(in, "sample", at, sample, ids, "neither 'id' nor 'input'");
    if (a.finish == PIPE_FINISH_ERROR) {
        a.error =
            pipe_json_text(json_object_get(json_object_get(sample, "error"), "message"));
        a.error = a.error ? a.error : "an error elsewhere";
        a.output = a.output ? a.output : "";
    }
    if (!a.output)
        return import_missing(in, "sample", at, json_object_get(sample, "output"),
                              completions, "no answer: 'output' holds no completion");
    st = import_add(in, &a);

fail:
    return st;
}

rt_status import_inspect_head(struct importing *in, const json_t *log)
{
    rt_status st;
    struct pipe_import *out = in->out;
    const json_t *eval = json_object_get(log, "eval"), *packages;
    if (!json_is_object(eval))
        return rt_fail(in->ctx, RT_ERR_INPUT,
                       "'%s' is no Inspect log: it has no object 'eval'", in->name);
    packages = json_object_get(eval, "packages");
    const char *version = pipe_json_text(json_object_get(packages, "inspect_ai"));
    out->tool = pipe_pool_format(in->ctx, &out->pool, "inspect_ai %.40s",
                                 version ? version : "of unknown version");
    TRY(out->tool ? RT_OK
                  : rt_fail(in->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name));
    TRY(import_keep(in, pipe_json_text(json_object_get(eval, "model")), &out->model));
    TRY(import_keep(in, pipe_json_text(json_object_get(eval, "task")), &out->task));
    TRY(import_keep(in, pipe_json_text(json_object_get(eval, "created")),
                    &out->produced));

fail:
    return st;
}

rt_status import_inspect(struct importing *in, const json_t *log)
{
    rt_status st;
    const json_t *samples = json_object_get(log, "samples");
    TRY(import_inspect_head(in, log));
    if (!json_is_array(samples))
        return rt_fail(in->ctx, RT_ERR_INPUT,
                       "'%s' has no list 'samples': it was logged without them",
                       in->name);
    for (size_t i = 0; i < json_array_size(samples); i++)
        TRY(import_inspect_sample(in, json_array_get(samples, i), (uint32_t)i + 1));

fail:
    return st;
}

/* pipeline/exchange/import_lines.c
 * Lines of lm-evaluation-harness and lines of one's own. */
#include "pipeline/exchange/import_impl.h"

#include <string.h>

/* The first of these fields that is a text (or a whole number). */
static const char *first_of(const json_t *object, const char *const *names,
                            char buffer[32])
{
    const char *text = NULL;
    for (; *names && !text; names++)
        text = import_text(json_object_get(object, *names), buffer);
    return text;
}

/* How the tasks of the harness call a question. */
static const char *const questions[] = { "question", "problem", "Problem",   "Question",
                                         "query",    "input",   "sQuestion", NULL };

static rt_status check_filter(struct importing *in, const json_t *line, bool *wanted)
{
    const char *name = json_string_value(json_object_get(line, "filter"));
    *wanted = true;
    if (!name)
        return RT_OK;
    if (!in->filter) {
        const rt_status st = import_keep(in, name, &in->filter);
        if (st != RT_OK)
            return st;
    }
    *wanted = strcmp(in->filter, name) == 0;
    return RT_OK;
}

/* The whole prompt: {"gen_args_0": {"arg_0": TEXT}}, [[TEXT, ...]] in older versions. */
static const char *prompt_of(const json_t *line)
{
    const json_t *arguments = json_object_get(line, "arguments");
    const char *now = json_string_value(
        json_object_get(json_object_get(arguments, "gen_args_0"), "arg_0"));
    return now ? now : json_string_value(json_array_get(json_array_get(arguments, 0), 0));
}

rt_status import_lm_eval(struct importing *in, const json_t *line, uint32_t at)
{
    rt_status st;
    char place[32], own[32], text[32];
    bool wanted;
    const json_t *doc = json_object_get(line, "doc");
    const json_t *resps = json_object_get(line, "resps");
    TRY(check_filter(in, line, &wanted));
    if (!wanted)
        return RT_OK;
    const json_t *answers = json_array_get(resps, 0);
    if (!json_is_array(answers) || json_array_size(answers) == 0)
        return import_fail(in, "line", at,
                           "'resps' is no list of lists of texts; only samples of "
                           "generating tasks can be read");
    const char *doc_id = import_text(json_object_get(line, "doc_id"), place);
    struct pipe_import_answer a = {
        .id = import_text(json_object_get(doc, "id"), own),
        .question = first_of(doc, questions, text),
        .prompt_hash = json_string_value(json_object_get(line, "prompt_hash")),
        .at = at,
    };
    /* A place in a list is no id: which list it was, only the words tell. */
    if (!a.id && !a.question)
        a.question = prompt_of(line);
    if (!a.id && !a.question)
        return import_fail(in, "line", at,
                           "neither 'id' nor a question in 'doc', nor a prompt in "
                           "'arguments'");
    if (!a.id)
        a.id = doc_id;
    for (size_t k = 0; k < json_array_size(answers); k++) {
        a.output = json_string_value(json_array_get(answers, k));
        a.sample = (uint32_t)k;
        if (!a.output)
            return import_fail(in, "line", at, "an answer in 'resps' is no text");
        TRY(import_add(in, &a));
    }
    in->out->tool = "lm-evaluation-harness";

fail:
    return st;
}

static rt_status take_model(struct importing *in, const json_t *line)
{
    const char *model = json_string_value(json_object_get(line, "model"));
    return in->out->model || !model ? RT_OK : import_keep(in, model, &in->out->model);
}

rt_status import_own(struct importing *in, const json_t *line, uint32_t at)
{
    static const char *const outputs[] = { "output", "text", "response", NULL };
    rt_status st;
    char id[32], question[32], output[32];
    const json_t *sample = json_object_get(line, "sample");
    const json_t *tokens = json_object_get(line, "n_gen");
    const char *finish = json_string_value(json_object_get(line, "finish"));
    const struct pipe_import_answer a = {
        .id = import_text(json_object_get(line, "id"), id),
        .question = first_of(line, questions, question),
        .output = first_of(line, outputs, output),
        .finish = finish && strcmp(finish, "length") == 0  ? PIPE_FINISH_LENGTH
                  : finish && strcmp(finish, "error") == 0 ? PIPE_FINISH_ERROR
                                                           : PIPE_FINISH_STOP,
        .error = finish && strcmp(finish, "error") == 0 ? "an error elsewhere" : NULL,
        .sample = (uint32_t)json_integer_value(sample),
        .n_gen = (uint32_t)json_integer_value(tokens),
        .at = at,
    };
    if (!a.output)
        return import_fail(in, "line", at, "no answer: 'output' is missing or no text");
    if (!a.id && !a.question)
        return import_fail(in, "line", at, "neither 'id' nor 'question'");
    if (sample && (!json_is_integer(sample) || json_integer_value(sample) < 0 ||
                   json_integer_value(sample) > 100000))
        return import_fail(in, "line", at, "'sample' is no whole number from 0");
    if (tokens && !json_is_null(tokens) &&
        (!json_is_integer(tokens) || json_integer_value(tokens) < 0 ||
         json_integer_value(tokens) > 1 << 28))
        return import_fail(in, "line", at, "'n_gen' is no number of tokens");
    TRY(take_model(in, line));
    TRY(import_add(in, &a));

fail:
    return st;
}

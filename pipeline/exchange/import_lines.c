/* pipeline/exchange/import_lines.c
 * Records of lm-evaluation-harness and records of one's own. */
#include "pipeline/exchange/import_impl.h"

#include "runtime/base/json.h"

#include <string.h>

/* The first of these fields that is a text (or a whole number). */
static const char *first_of(const json_t *object, const char *const *names,
                            char buffer[IMPORT_TEXT])
{
    const char *text = NULL;
    for (; *names && !text; names++)
        text = import_text(json_object_get(object, *names), buffer);
    return text;
}

/* How the tasks of the harness call a question, and an id before it for messages. */
static const char *const names[] = { "id",      "question",  "problem",
                                     "Problem", "Question",  "query",
                                     "input",   "sQuestion", NULL };
static const char *const *const questions = names + 1;

static rt_status add_filter(struct importing *in, const char *name)
{
    struct pipe_import *out = in->out;
    for (uint32_t i = 0; i < out->filter_count; i++)
        if (strcmp(out->filters[i], name) == 0)
            return RT_OK;
    return out->filter_count < PIPE_IMPORT_FILTERS_MAX
               ? import_keep(in, name, &out->filters[out->filter_count++])
               : RT_OK;
}

static rt_status check_filter(struct importing *in, const json_t *line, bool *wanted)
{
    rt_status st;
    const char *name = pipe_json_text(json_object_get(line, "filter"));
    *wanted = true;
    if (!name)
        return RT_OK;
    TRY(add_filter(in, name));
    if (!in->filter)
        in->filter = in->out->filters[0];
    *wanted = strcmp(in->filter, name) == 0;
    if (*wanted && !in->out->filter)
        TRY(import_keep(in, name, &in->out->filter));

fail:
    return st;
}

/* The whole prompt: {"gen_args_0": {"arg_0": TEXT}}, [[TEXT, ...]] in older versions. */
static const char *prompt_of(const json_t *line)
{
    const json_t *arguments = json_object_get(line, "arguments");
    const char *now = pipe_json_text(
        json_object_get(json_object_get(arguments, "gen_args_0"), "arg_0"));
    return now ? now : pipe_json_text(json_array_get(json_array_get(arguments, 0), 0));
}

static rt_status add_responses(struct importing *in, const struct pipe_row *row,
                               const json_t *answers, struct pipe_import_answer *a)
{
    rt_status st = RT_OK;
    for (size_t k = 0; st == RT_OK && k < json_array_size(answers); k++) {
        const json_t *answer = json_array_get(answers, k);
        a->output = pipe_json_text(answer);
        a->sample = (uint32_t)k;
        if (fmt_json_odd(answer))
            return import_fail(in, row->unit, row->at,
                               "an answer in 'resps' is a number, not a text");
        if (!a->output)
            return import_fail(in, row->unit, row->at, "an answer in 'resps' is no text");
        st = import_add(in, a);
    }
    return st;
}

rt_status import_lm_eval(struct importing *in, const struct pipe_row *row)
{
    rt_status st;
    char place[IMPORT_TEXT], own[IMPORT_TEXT], text[IMPORT_TEXT];
    bool wanted;
    const json_t *line = row->fields, *doc = json_object_get(line, "doc");
    const json_t *resps = json_object_get(line, "resps");
    TRY(check_filter(in, line, &wanted));
    const json_t *answers = json_array_get(resps, 0);
    const bool usable = json_is_array(answers) && json_array_size(answers) > 0;
    const char *doc_id = import_text(json_object_get(line, "doc_id"), place);
    struct pipe_import_answer a = {
        .id = import_text(json_object_get(doc, "id"), own),
        .question = first_of(doc, questions, text),
        .prompt_hash = pipe_json_text(json_object_get(line, "prompt_hash")),
        .at = row->at,
    };
    /* A place in a list is no id: which list it was, only the words tell. */
    if (!a.id && !a.question)
        a.question = prompt_of(line);
    const char *document = a.id ? a.id : a.question;
    const char *filter = pipe_json_text(json_object_get(line, "filter"));
    if (filter && usable && document)
        TRY(import_note_line(in, filter, wanted, document, answers, row->at));
    if (!wanted)
        return RT_OK;
    if (!usable)
        return import_fail(in, row->unit, row->at,
                           "'resps' is no list of lists of texts; only samples of "
                           "generating tasks can be read");
    if (!a.id && !a.question)
        return import_missing(in, row->unit, row->at, doc, names,
                              "neither 'id' nor a question in 'doc', nor a prompt in "
                              "'arguments'");
    if (!a.id)
        a.id = doc_id;
    TRY(add_responses(in, row, answers, &a));
    in->out->tool = "lm-evaluation-harness";

fail:
    return st;
}

static rt_status take_model(struct importing *in, const json_t *line)
{
    const char *model = pipe_json_text(json_object_get(line, "model"));
    return in->out->model || !model ? RT_OK : import_keep(in, model, &in->out->model);
}

static enum pipe_finish finish_of(const json_t *line)
{
    const char *finish = pipe_json_text(json_object_get(line, "finish"));
    return finish && strcmp(finish, "length") == 0  ? PIPE_FINISH_LENGTH
           : finish && strcmp(finish, "error") == 0 ? PIPE_FINISH_ERROR
                                                    : PIPE_FINISH_STOP;
}

rt_status import_own(struct importing *in, const struct pipe_row *row)
{
    static const char *const outputs[] = { "output", "text", "response", NULL };
    rt_status st;
    char id[IMPORT_TEXT], question[IMPORT_TEXT], output[IMPORT_TEXT];
    const json_t *line = row->fields, *sample = json_object_get(line, "sample");
    const json_t *tokens = json_object_get(line, "n_gen");
    struct pipe_import_answer a = {
        .id = import_text(json_object_get(line, "id"), id),
        .question = first_of(line, questions, question),
        .output = first_of(line, outputs, output),
        .finish = finish_of(line),
        .sample = (uint32_t)json_integer_value(sample),
        .n_gen = (uint32_t)json_integer_value(tokens),
        .at = row->at,
    };
    a.error = a.finish == PIPE_FINISH_ERROR ? "an error elsewhere" : NULL;
    if (!a.output)
        return import_missing(in, row->unit, row->at, line, outputs,
                              "no answer: 'output' is missing or no text");
    if (!a.id && !a.question)
        return import_missing(in, row->unit, row->at, line, names,
                              "neither 'id' nor 'question'");
    if (sample && (!json_is_integer(sample) || json_integer_value(sample) < 0 ||
                   json_integer_value(sample) > 100000))
        return import_fail(in, row->unit, row->at, "'sample' is no whole number from 0");
    if (tokens && !json_is_null(tokens) &&
        (!json_is_integer(tokens) || json_integer_value(tokens) < 0 ||
         json_integer_value(tokens) > 1 << 28))
        return import_fail(in, row->unit, row->at, "'n_gen' is no number of tokens");
    TRY(take_model(in, line));
    TRY(import_add(in, &a));

fail:
    return st;
}

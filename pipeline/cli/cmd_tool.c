#include "pipeline/cli/cli.h"

#include "runtime/format/file.h"
#include "runtime/format/checkpoint.h"
#include "runtime/text/tokenizer.h"
#include "runtime/train/score.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "ids", "1,2,3", "token ids (logits)" },
    { "tensor", "NAME", "module or tensor, as model.layers.0.mlp.up_proj (dequant)" },
    { "out", "FILE",
      "or -o: raw little-endian f32 [T, V] (logits), [out, in] (dequant)" },
    { "decode", NULL, "JSON arrays of ids to text (tokenize)" },
    { "json", NULL, "a text is a JSON string (tokenize)" },
    { "plain", NULL, "special tokens in a text are ordinary text (tokenize)" },
    { NULL, NULL, NULL },
};

static rt_status parse_ids(struct cli *cli, const char *text, uint32_t **out, uint32_t *n)
{
    uint32_t *ids = rt_alloc(&cli->ctx, strlen(text) / 2 + 1, sizeof *ids);
    *n = 0;
    *out = ids;
    if (!ids)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for the ids");
    for (const char *c = text; *c;) {
        char *end;
        const unsigned long id = strtoul(c, &end, 10);
        if (end == c || (*end && *end != ',') || id > UINT32_MAX)
            return rt_fail(
                &cli->ctx, RT_ERR_USAGE,
                "--ids %.60s: whole numbers with commas are needed, as in 1,2,3", text);
        ids[(*n)++] = (uint32_t)id;
        c = *end ? end + 1 : end;
    }
    return *n ? RT_OK : rt_fail(&cli->ctx, RT_ERR_USAGE, "--ids is empty");
}

static rt_status write_floats(struct cli *cli, const char *path, const float *values,
                              size_t n)
{
    return fmt_write_atomic(&cli->ctx, path, values, n * sizeof *values);
}

static rt_status logits(struct cli *cli)
{
    rt_status st;
    struct rt_device *dev = NULL;
    struct rt_model *model = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_scorer *scorer = NULL;
    uint32_t *ids = NULL, n = 0;
    float *values = NULL;
    const char *folder = cli_value(cli, "model", NULL),
               *out = cli_value(cli, "out", NULL);
    const char *text = cli_value(cli, "ids", NULL),
               *extra = cli_value(cli, "adapter", NULL);
    if (!folder || !out || !text)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "tool logits needs --model, --ids and --out");
    TRY(parse_ids(cli, text, &ids, &n));
    TRY(cli_device_open(cli, &dev));
    TRY(rt_model_load(dev, folder, 0, &model));
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] >= model->config.vocab) {
            st =
                rt_fail(&cli->ctx, RT_ERR_USAGE, "--ids: '%s' has no id %u, only 0 to %u",
                        folder, ids[i], model->config.vocab - 1);
            goto fail;
        }
    if (n > model->positions) {
        st = rt_fail(&cli->ctx, RT_ERR_USAGE,
                     "--ids: %u ids do not fit the context of '%s', %u", n, folder,
                     model->positions);
        goto fail;
    }
    if (extra) {
        struct fmt_adapter *source = NULL;
        TRY(fmt_adapter_read(&cli->ctx, extra, &model->config, &source));
        TRY(rt_adapter_create(model, source, false, &adapter));
    }
    TRY(rt_scorer_create(model, adapter, NULL, n, &scorer));
    values = rt_alloc(&cli->ctx, (size_t)n * model->config.vocab, sizeof *values);
    if (!values) {
        st = rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for %u rows of logits", n);
        goto fail;
    }
    TRY(rt_scorer_logits(scorer, ids, n, values));
    TRY(write_floats(cli, out, values, (size_t)n * model->config.vocab));
    cli_print_profile(cli, dev);

fail:
    rt_scorer_destroy(&scorer);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
    rt_free(values);
    rt_free(ids);
    return st;
}

/* NAME without the ending of the tensor that holds its codes. */
static void module_of(const char *name, char *module, size_t size)
{
    static const char *const endings[] = { ".weight_packed", ".qweight", ".weight" };
    snprintf(module, size, "%s", name);
    for (size_t i = 0; i < RT_COUNT(endings); i++) {
        const size_t n = strlen(module), m = strlen(endings[i]);
        if (n > m && strcmp(module + n - m, endings[i]) == 0) {
            module[n - m] = '\0';
            return;
        }
    }
}

/* The values of one tensor: a packed or float matrix, or a float tensor of any shape. */
static rt_status dequant(struct cli *cli)
{
    rt_status st;
    struct fmt_model *model = NULL;
    float *values = NULL;
    char module[512];
    const char *folder = cli_value(cli, "model", NULL),
               *out = cli_value(cli, "out", NULL);
    const char *name = cli_value(cli, "tensor", NULL);
    if (!folder || !out || !name)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "tool dequant needs --model, --tensor and --out");
    TRY(fmt_model_open_tensors(&cli->ctx, folder, &model));
    uint32_t rows = 1, cols = 0;
    uint64_t count = fmt_tensor_count(model, name);
    if (count == 0) {
        module_of(name, module, sizeof module);
        TRY(fmt_weight_size(model, module, &rows, &cols));
        count = (uint64_t)rows * cols;
    }
    values = rt_alloc(&cli->ctx, count, sizeof *values);
    if (!values) {
        st = rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for %llu values",
                     (unsigned long long)count);
        goto fail;
    }
    if (cols)
        TRY(fmt_weight_floats(model, module, rows, cols, values));
    else
        TRY(fmt_tensor_f32(model, name, count, values));
    TRY(write_floats(cli, out, values, count));

fail:
    fmt_model_close(&model);
    rt_free(values);
    return st;
}

/* A text on stdout, as it is or as a JSON string. */
static rt_status print_text(struct cli *cli, const char *text, size_t size)
{
    if (!cli_flag(cli, "json")) {
        fwrite(text, 1, size, stdout);
        putchar('\n');
        return RT_OK;
    }
    json_t *string = json_stringn(text, size); /* null: not UTF-8 */
    if (!string || json_dumpf(string, stdout, JSON_ENCODE_ANY) != 0) {
        json_decref(string);
        return rt_fail(&cli->ctx, RT_ERR_INPUT,
                       "the ids end inside a character; without --json their bytes are "
                       "printed as they are");
    }
    json_decref(string);
    putchar('\n');
    return RT_OK;
}

static rt_status decode_line(struct cli *cli, struct text_tokenizer *tok,
                             const char *line, unsigned number)
{
    json_t *array = json_loads(line, 0, NULL);
    const size_t n = json_array_size(array);
    uint32_t *ids = rt_alloc(&cli->ctx, n, sizeof *ids);
    char *text = NULL;
    size_t size;
    rt_status st = RT_OK;
    if (!json_is_array(array) || !ids)
        st = rt_fail(&cli->ctx, RT_ERR_INPUT,
                     "standard input, line %u is not a JSON array of ids; write [1,2,3]",
                     number);
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        const json_t *value = json_array_get(array, i);
        const json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > UINT32_MAX)
            st = rt_fail(
                &cli->ctx, RT_ERR_INPUT,
                "standard input, line %u: element %zu of the array is no id; write "
                "[1,2,3]",
                number, i + 1);
        else if (id >= text_vocab_size(tok))
            st = rt_fail(&cli->ctx, RT_ERR_INPUT,
                         "standard input, line %u: the tokenizer has no id %lld, only 0 "
                         "to %u",
                         number, (long long)id, text_vocab_size(tok) - 1);
        ids[i] = (uint32_t)id;
    }
    if (st == RT_OK)
        st = text_decode(tok, ids, (uint32_t)n, false, &text, &size);
    if (st == RT_OK)
        st = print_text(cli, text, size);
    json_decref(array);
    rt_free(ids);
    rt_free(text);
    return st;
}

static rt_status encode_line(struct cli *cli, struct text_tokenizer *tok,
                             const char *line, size_t size, unsigned number)
{
    uint32_t *ids, n;
    const bool json = cli_flag(cli, "json");
    json_t *string =
        json ? json_loadb(line, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (json && !json_is_string(string)) {
        json_decref(string);
        return rt_fail(&cli->ctx, RT_ERR_INPUT, "line %u is not a JSON string", number);
    }
    const rt_status st = text_encode(tok, json ? json_string_value(string) : line,
                                     json ? json_string_length(string) : size,
                                     !cli_flag(cli, "plain"), &ids, &n);
    json_decref(string);
    if (st != RT_OK)
        return st;
    putchar('[');
    for (uint32_t i = 0; i < n; i++)
        printf(i ? ",%u" : "%u", ids[i]);
    puts("]");
    rt_free(ids);
    return RT_OK;
}

static rt_status tokenize(struct cli *cli)
{
    struct text_tokenizer *tok = NULL;
    const char *folder = cli_value(cli, "model", NULL);
    if (!folder)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "tool tokenize needs --model");
    rt_status st = text_tokenizer_load(&cli->ctx, folder, &tok);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    for (unsigned number = 1; st == RT_OK && (n = getline(&line, &capacity, stdin)) >= 0;
         number++) {
        if (n > 0 && line[n - 1] == '\n')
            line[--n] = '\0';
        st = cli_flag(cli, "decode") ? decode_line(cli, tok, line, number)
                                     : encode_line(cli, tok, line, (size_t)n, number);
    }
    free(line); /* lint: getline's own */
    text_tokenizer_destroy(&tok);
    return st;
}

static rt_status run(struct cli *cli)
{
    const char *what = cli->positional_count ? cli->positional[0] : "";
    if (cli->positional_count != 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "tool needs the name of one tool: logits, tokenize or dequant");
    if (strcmp(what, "logits") == 0)
        return logits(cli);
    if (strcmp(what, "tokenize") == 0)
        return tokenize(cli);
    if (strcmp(what, "dequant") == 0)
        return dequant(cli);
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "there is no tool '%.40s'; there are logits, tokenize and dequant",
                   what);
}

const struct cli_command cli_tool = { "tool",
                                      "logits, tokens and weights, for checks by others",
                                      "logits|tokenize|dequant --model DIR ...", options,
                                      run };

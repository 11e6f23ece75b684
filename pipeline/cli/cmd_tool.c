#include "pipeline/cli/cli.h"

#include "runtime/format/file.h"
#include "runtime/format/checkpoint.h"
#include "runtime/text/tokenizer.h"
#include "runtime/train/score.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "ids", "1,2,3", "token ids (logits)" },
    { "top", "K",
      "JSON arrays of ids from standard input to the K likeliest tokens after each "
      "and their log-probabilities (logits)" },
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

/* A line of standard input: a JSON array of ids below `vocab`, in fresh memory. */
static rt_status json_ids(struct cli *cli, const char *line, unsigned number,
                          uint32_t vocab, uint32_t **out, uint32_t *count)
{
    json_t *array = json_loads(line, 0, NULL);
    const size_t n = json_array_size(array);
    uint32_t *ids = rt_alloc(&cli->ctx, n, sizeof *ids);
    rt_status st = RT_OK;
    *out = ids;
    *count = (uint32_t)n;
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
        else if (id >= vocab)
            st = rt_fail(&cli->ctx, RT_ERR_INPUT,
                         "standard input, line %u: the tokenizer has no id %lld, only 0 "
                         "to %u",
                         number, (long long)id, vocab - 1);
        ids[i] = (uint32_t)id;
    }
    json_decref(array);
    return st;
}

static rt_status write_floats(struct cli *cli, const char *path, const float *values,
                              size_t n)
{
    return fmt_write_atomic(&cli->ctx, path, values, n * sizeof *values);
}

/* A model, the adapter that was asked for, and a scorer that grows with what it scores. */
struct scoring {
    struct cli *cli;
    const char *path;
    struct rt_device *dev;
    struct rt_model *model;
    struct rt_adapter *adapter;
    struct rt_scorer *scorer;
    float *values; /* [rows][vocab] */
    uint32_t rows;
};

static void scoring_deinit(struct scoring *s)
{
    rt_scorer_destroy(&s->scorer);
    rt_adapter_destroy(&s->adapter);
    rt_model_destroy(&s->model);
    rt_device_destroy(&s->dev);
    rt_free(s->values);
}

/* For sequences of up to `longest` ids, RT_POSITIONS_DEFAULT at least. */
static rt_status scoring_init(struct scoring *s, uint32_t longest)
{
    rt_status st;
    const char *extra = cli_value(s->cli, "adapter", NULL);
    TRY(cli_device_open(s->cli, &s->dev));
    TRY(rt_model_load(s->dev, s->path, longest > RT_POSITIONS_DEFAULT ? longest : 0,
                      &s->model));
    if (extra)
        TRY(rt_adapter_load(s->model, extra, &s->adapter));

fail:
    return st;
}

static rt_status scoring_reserve(struct scoring *s, uint32_t rows)
{
    if (rows <= s->rows)
        return RT_OK;
    rt_scorer_destroy(&s->scorer);
    rt_free(s->values);
    s->rows = 0;
    s->values =
        rt_alloc(&s->cli->ctx, (size_t)rows * s->model->config.vocab, sizeof *s->values);
    if (!s->values)
        return rt_fail(&s->cli->ctx, RT_ERR_HOST_MEMORY,
                       "no memory for %u rows of logits", rows);
    const rt_status st = rt_scorer_create(s->model, s->adapter, NULL, rows, &s->scorer);
    s->rows = st == RT_OK ? rows : 0;
    return st;
}

/* Logits of n ids into s->values. `from` says where they stand. */
static rt_status score(struct scoring *s, const char *from, const uint32_t *ids,
                       uint32_t n)
{
    const struct rt_model *m = s->model;
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] >= m->config.vocab)
            return rt_fail(&s->cli->ctx, RT_ERR_USAGE,
                           "%s: '%s' has no id %u, only 0 to %u", from, s->path, ids[i],
                           m->config.vocab - 1);
    if (n > m->positions)
        return rt_fail(&s->cli->ctx, RT_ERR_USAGE,
                       "%s: %u ids are more than the %u positions '%s' is loaded with",
                       from, n, m->positions, s->path);
    const rt_status st = scoring_reserve(s, n);
    return st == RT_OK ? rt_scorer_logits(s->scorer, ids, n, s->values) : st;
}

/* ---- the likeliest tokens ---- */

enum { TOP_MAX = 256 };

/* [[id, log-probability], ...] of the k likeliest, best first. */
static void print_top(const float *logits, uint32_t vocab, uint32_t k)
{
    uint32_t best[TOP_MAX] = { 0 }, n = 0;
    double sum = 0;
    for (uint32_t v = 0; v < vocab; v++) {
        if (n == k && !(logits[v] > logits[best[n - 1]]))
            continue;
        uint32_t at = n < k ? n++ : k - 1;
        for (; at > 0 && logits[v] > logits[best[at - 1]]; at--)
            best[at] = best[at - 1];
        best[at] = v;
    }
    for (uint32_t v = 0; v < vocab; v++)
        sum += exp((double)logits[v] - logits[best[0]]);
    putchar('[');
    for (uint32_t i = 0; i < n; i++)
        printf("%s[%u,%.7f]", i ? "," : "", best[i],
               (double)logits[best[i]] - logits[best[0]] - log(sum));
    putchar(']');
}

/* One line of JSON for a line of ids: of each position the likeliest next tokens. */
static rt_status top_line(struct scoring *s, const char *line, unsigned number,
                          uint32_t k)
{
    uint32_t *ids = NULL, n = 0;
    const uint32_t vocab = s->model->config.vocab;
    rt_status st = json_ids(s->cli, line, number, vocab, &ids, &n);
    if (st == RT_OK && n)
        st = score(s, "standard input", ids, n);
    for (uint32_t t = 0; st == RT_OK && t < n; t++) {
        putchar(t ? ',' : '[');
        print_top(s->values + (size_t)t * vocab, vocab, k);
    }
    if (st == RT_OK)
        puts(n ? "]" : "[]");
    rt_free(ids);
    return st;
}

static rt_status top(struct cli *cli)
{
    struct scoring s = { .cli = cli, .path = cli_value(cli, "model", NULL) };
    char *line = NULL;
    size_t capacity = 0;
    int64_t k;
    if (!s.path)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "tool logits needs --model");
    rt_status st = cli_number(cli, "top", 1, 1, TOP_MAX, &k);
    if (st == RT_OK)
        st = scoring_init(&s, 0);
    for (unsigned number = 1; st == RT_OK && getline(&line, &capacity, stdin) >= 0;
         number++)
        st = top_line(&s, line, number, (uint32_t)k);
    free(line); /* lint: getline's own */
    scoring_deinit(&s);
    return st;
}

static rt_status logits(struct cli *cli)
{
    rt_status st;
    struct scoring s = { .cli = cli, .path = cli_value(cli, "model", NULL) };
    uint32_t *ids = NULL, n = 0;
    const char *out = cli_value(cli, "out", NULL), *text = cli_value(cli, "ids", NULL);
    if (cli_flag(cli, "top"))
        return top(cli);
    if (!s.path || !out || !text)
        return rt_fail(
            &cli->ctx, RT_ERR_USAGE,
            "tool logits needs --model, --ids and --out, or --model and --top");
    TRY(parse_ids(cli, text, &ids, &n));
    TRY(scoring_init(&s, n));
    TRY(score(&s, "--ids", ids, n));
    TRY(write_floats(cli, out, s.values, (size_t)n * s.model->config.vocab));
    cli_print_profile(cli, s.dev);

fail:
    scoring_deinit(&s);
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

/* Whether a name is that of a module or tensor; else an example of one, "" for none. */
static bool has_tensor(const struct fmt_model *model, const char *module,
                       struct fmt_tensor_info *example)
{
    struct fmt_tensor_info info;
    const size_t n = strlen(module);
    *example = (struct fmt_tensor_info){ .dtype = FMT_F32 };
    for (uint32_t i = 0; fmt_tensor_at(model, i, &info); i++) {
        if (strncmp(info.name, module, n) == 0 && info.name[n] == '.')
            return true;
        if (!example->name[0])
            *example = info;
    }
    return fmt_tensor_exists(model, module); /* a file's own name */
}

/* Whether the weight of a module, whose tensor's name goes to `full`, is a norm's. */
static bool is_vector(const struct fmt_model *model, const char *module, char *full,
                      size_t size)
{
    struct fmt_tensor_info info;
    snprintf(full, size, "%s.weight", module);
    for (uint32_t i = 0; fmt_tensor_at(model, i, &info); i++)
        if (strcmp(info.name, full) == 0)
            return info.dims == 1;
    return false;
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
    if (count == 0 && is_vector(model, name, module, sizeof module)) {
        name = module;
        count = fmt_tensor_count(model, name);
    }
    if (count == 0) {
        struct fmt_tensor_info example;
        module_of(name, module, sizeof module);
        if (!has_tensor(model, module, &example)) {
            st = rt_fail(&cli->ctx, RT_ERR_INPUT,
                         "'%s' has no tensor '%.120s'; they are named as in '%.120s'",
                         folder, name, example.name);
            goto fail;
        }
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
    uint32_t *ids = NULL, n = 0;
    char *text = NULL;
    size_t size;
    rt_status st = json_ids(cli, line, number, text_vocab_size(tok), &ids, &n);
    if (st == RT_OK)
        st = text_decode(tok, ids, n, false, &text, &size);
    if (st == RT_OK)
        st = print_text(cli, text, size);
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

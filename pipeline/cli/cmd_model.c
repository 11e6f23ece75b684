/* pipeline/cli/cmd_model.c
 * What a model folder or file holds, and what of it fits where, from its headers alone. */
#include "pipeline/cli/cli.h"

#include "runtime/engine/engine.h"
#include "runtime/format/file.h"
#include "runtime/format/gguf.h"
#include "runtime/format/packed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file (or as an argument)" },
    { "context", "N", "tokens of prompt and answer, instead of a choice of them" },
    { NULL, NULL, NULL },
};

enum { KINDS = FMT_MODULE_COUNT + 2, FORMS_MAX = 4, CONTEXTS_MAX = 4, SLOTS_MAX = 64 };

static const double GIB = 1073741824.0;

/* One way in which matrices of a kind are stored. */
struct form {
    char text[64];
    uint32_t count;      /* matrices */
    double file, packed; /* bytes in files; on devices that keep that form */
};

/* The matrices of one kind over all layers; more forms than fit are counted in the last. */
struct kind {
    const char *name;
    struct form forms[FORMS_MAX];
    uint32_t form_count;
    uint64_t weights;
};

struct showing {
    struct cli *cli;
    const char *folder;
    struct fmt_model *file;
    struct model_size size, wide; /* packed weights as they are; widened (rt_plan) */
    struct kind kinds[KINDS];
    uint32_t contexts[CONTEXTS_MAX], context_count;
    struct rt_plan_options asked;
    char licence[64]; /* empty: the model does not say */
};

/* ---- gathering ---- */

static rt_status add_matrix(struct showing *s, struct kind *kind, const char *name,
                            uint32_t out, uint32_t in)
{
    rt_status st;
    struct rt_weight_shape shape;
    struct fmt_stored stored;
    TRY(fmt_weight_shape(s->file, name, out, in, &shape));
    TRY(fmt_weight_stored(s->file, name, &stored));
    kind->weights += (uint64_t)out * in;
    uint32_t i = 0;
    while (i < kind->form_count && strcmp(kind->forms[i].text, stored.text) != 0)
        i++;
    if (i == FORMS_MAX) {
        snprintf(kind->forms[FORMS_MAX - 1].text, sizeof stored.text, "other forms");
        i--;
    } else if (i == kind->form_count) {
        memcpy(kind->forms[kind->form_count++].text, stored.text, sizeof stored.text);
    }
    kind->forms[i].count++;
    kind->forms[i].file += stored.bits / 8;
    kind->forms[i].packed += (double)rt_weight_bytes(&shape);
    return RT_OK;

fail:
    return st;
}

static rt_status gather_kinds(struct showing *s)
{
    rt_status st;
    const struct fmt_config *c = &s->size.config;
    for (uint32_t i = 0; i < c->layers * FMT_MODULE_COUNT; i++) {
        const uint32_t module = i % FMT_MODULE_COUNT;
        uint32_t out, in;
        char name[128];
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[module]);
        fmt_module_size(c, (enum fmt_module)module, &out, &in);
        s->kinds[module].name = strchr(fmt_module_path[module], '.') + 1;
        TRY(add_matrix(s, &s->kinds[module], name, out, in));
    }
    struct kind *table = &s->kinds[FMT_MODULE_COUNT];
    table[0].name = "embedding";
    table[1].name = "head";
    TRY(add_matrix(s, &table[0], "model.embed_tokens", c->vocab, c->hidden));
    if (fmt_has_head(s->file))
        TRY(add_matrix(s, &table[1], "lm_head", c->vocab, c->hidden));
    return RT_OK;

fail:
    return st;
}

/* general.license of a GGUF file. */
static void find_licence_key(struct showing *s)
{
    struct fmt_gguf file;
    char *text = NULL;
    if (fmt_gguf_open(&s->cli->ctx, s->folder, &file) == RT_OK &&
        fmt_gguf_text(&file, "general.license", &text) == RT_OK && text)
        snprintf(s->licence, sizeof s->licence, "%.63s", text);
    rt_free(text);
    fmt_gguf_close(&file);
}

/* The line "license: NAME" between the two "---" that a model card begins with. */
static void find_licence(struct showing *s)
{
    if (fmt_gguf_is(s->folder)) {
        find_licence_key(s);
        return;
    }
    char *path = fmt_path(&s->cli->ctx, s->folder, "README.md");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    bool inside = false;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(line, "---") == 0) {
            if (inside)
                break;
            inside = true;
        } else if (!inside) {
            break;
        } else if (strncmp(line, "license:", 8) == 0) {
            snprintf(s->licence, sizeof s->licence, "%.63s",
                     line + 8 + strspn(line + 8, " \"'"));
            s->licence[strcspn(s->licence, "\"'")] = '\0';
        }
    }
    if (file)
        fclose(file);
    rt_free(path);
}

static rt_status choose_contexts(struct showing *s)
{
    static const uint32_t usual[] = { 256, 1024, 4096, 32768 };
    const uint32_t most = s->size.config.max_positions;
    int64_t asked;
    const rt_status st = cli_number(s->cli, "context", 0, 1, most, &asked);
    if (st != RT_OK)
        return st;
    for (size_t i = 0; i < RT_COUNT(usual) && asked == 0; i++)
        if (usual[i] <= most)
            s->contexts[s->context_count++] = usual[i];
    if (s->context_count == 0)
        s->contexts[s->context_count++] = asked ? (uint32_t)asked : most;
    return RT_OK;
}

/* ---- what fits ---- */

/* The largest engine for requests of this context beside the model, up to 64 at once, whose
 * cache holds all of them in full. */
static struct rt_engine_pages what_fits(const struct model_size *size,
                                        const struct rt_plan *plan,
                                        const struct rt_device_info *device,
                                        uint32_t context)
{
    const uint64_t memory = rt_device_memory_bytes(device);
    const uint64_t model = model_size_bytes(size, context);
    if (context > rt_plan_keys_max(plan)) /* the engine refuses it */
        return (struct rt_engine_pages){ 0 };
    for (uint32_t slots = model <= memory ? SLOTS_MAX : 0; slots > 0; slots--) {
        const struct rt_engine_options o = { .slots = slots, .context = context };
        const struct rt_engine_pages fit =
            rt_engine_pages(size, plan, &o, memory - model);
        if (fit.requests == slots)
            return fit;
    }
    return (struct rt_engine_pages){ 0 };
}

static struct rt_plan plan_on(const struct showing *s,
                              const struct rt_device_info *device)
{
    struct rt_plan plan;
    rt_device_plan_make(device, &s->asked, &plan);
    return plan;
}

/* The model as the plan of a device holds it. */
static const struct model_size *size_on(const struct showing *s,
                                        const struct rt_plan *plan)
{
    return plan->wide_weights ? &s->wide : &s->size;
}

static uint64_t weight_bytes(const struct model_size *size)
{
    return size->projections + size->tables + size->rest;
}

static json_t *device_json(const struct showing *s, const struct rt_device_info *device)
{
    const struct rt_plan plan = plan_on(s, device);
    const struct model_size *size = size_on(s, &plan);
    const bool served = rt_device_serves_head(device, size->config.head_dim);
    json_t *fits = json_array();
    for (uint32_t i = 0; served && i < s->context_count; i++) {
        const struct rt_engine_pages fit = what_fits(size, &plan, device, s->contexts[i]);
        json_array_append_new(fits, json_pack("{s:I, s:I, s:I}", "context",
                                              (json_int_t)s->contexts[i], "requests",
                                              (json_int_t)fit.requests, "pages",
                                              (json_int_t)fit.pages));
    }
    return json_pack("{s:s, s:s, s:b, s:I, s:I, s:o}", "device", device->name, "kv",
                     rt_kv_names[plan.kv], "head_size_served", served, "memory_bytes",
                     (json_int_t)rt_device_memory_bytes(device), "weight_bytes",
                     (json_int_t)weight_bytes(size), "fits", fits);
}

static void print_device(const struct showing *s, const struct rt_device_info *device)
{
    const struct rt_plan plan = plan_on(s, device);
    const struct model_size *size = size_on(s, &plan);
    const uint64_t memory = rt_device_memory_bytes(device);
    printf("  %-28s %8.2f GiB %s", device->name, (double)memory / GIB,
           rt_kv_names[plan.kv]);
    if (!rt_device_serves_head(device, size->config.head_dim)) {
        printf(" no kernels for heads of %u\n", size->config.head_dim);
        return;
    }
    for (uint32_t i = 0; i < s->context_count; i++) {
        const uint32_t slots = what_fits(size, &plan, device, s->contexts[i]).requests;
        if (slots)
            printf(" %4u x %-6u", slots, s->contexts[i]);
        else
            printf(" %13s", "does not fit");
    }
    putchar('\n');
}

/* Calls print or appends to `json` for the device that was asked for, or all. */
static rt_status show_devices(const struct showing *s, json_t *json)
{
    struct rt_device_info *list = NULL;
    uint32_t count = 0, shown = 0;
    const char *note = NULL, *wanted = cli_value(s->cli, "device", "auto");
    const bool all = strcmp(wanted, "auto") == 0;
    const rt_status st = rt_devices_list(&s->cli->ctx, &list, &count, &note);
    if (st != RT_OK)
        return st;
    for (uint32_t i = 0; i < count; i++) {
        if (!list[i].usable || (!all && !strstr(list[i].name, wanted)))
            continue;
        if (json)
            json_array_append_new(json, device_json(s, &list[i]));
        else
            print_device(s, &list[i]);
        shown++;
    }
    rt_free(list);
    if (shown == 0)
        return rt_fail(&s->cli->ctx, RT_ERR_NO_DEVICE,
                       "no usable device has '%s' in its name; see: faultline devices",
                       wanted);
    return RT_OK;
}

/* ---- printing ---- */

static void print_form(const char *kind, const struct form *f)
{
    printf("  %-10s %3u x %-28s %8.1f MiB, %.2f of its file bytes\n", kind, f->count,
           f->text, f->packed / 1048576, f->packed / f->file);
}

static void print_kinds(const struct showing *s)
{
    for (int k = 0; k < KINDS; k++) {
        const struct kind *kind = &s->kinds[k];
        if (kind->form_count == 0) {
            printf("  %-10s       the embedding\n", kind->name);
            continue;
        }
        for (uint32_t i = 0; i < kind->form_count; i++)
            print_form(i ? "" : kind->name, &kind->forms[i]);
    }
}

static rt_status print_text(const struct showing *s)
{
    const struct fmt_config *c = &s->size.config;
    const struct model_size *z = &s->size;
    const uint64_t bytes = weight_bytes(z), wide = weight_bytes(&s->wide);
    printf("%s\n", s->folder);
    printf(
        "  family     %s: %u layers, hidden %u, ffn %u, %u heads of %u on %u of keys\n",
        c->family->model_type, c->layers, c->hidden, c->ffn, c->heads, c->head_dim,
        c->kv_heads);
    printf("  tokens     %u in the vocabulary, contexts to %u; rope %s, theta %g\n",
           c->vocab, c->max_positions, fmt_rope_name(c->rope.kind), c->rope.theta);
    printf("  ends at   ");
    for (uint32_t i = 0; i < c->eos_count; i++)
        printf(" %u", c->eos[i]);
    printf(c->eos_count ? "\n" : " no token it names\n");
    printf("  licence    %s\n", s->licence[0] ? s->licence : "the model does not say");
    print_kinds(s);
    printf("  bytes      %.1f MiB in files, %.1f on a device (%.2f of it): projections "
           "%.1f, embedding and head %.1f, rest %.1f\n",
           (double)z->file / 1048576, (double)bytes / 1048576,
           (double)bytes / (double)z->file, (double)z->projections / 1048576,
           (double)z->tables / 1048576, (double)z->rest / 1048576);
    if (wide != bytes)
        printf("             %.1f on CPUs (%.2f of it), which read codes of 8 bits and "
               "float "
               "scales faster\n",
               (double)wide / 1048576, (double)wide / (double)z->file);
    printf(
        "\nrequests at once x tokens of each, beside the model, at most 64, by what the "
        "KV cache holds (--kv):\n");
    return show_devices(s, NULL);
}

static rt_status print_json(const struct showing *s)
{
    const struct fmt_config *c = &s->size.config;
    json_t *devices = json_array(), *kinds = json_object(), *eos = json_array();
    const rt_status st = show_devices(s, devices);
    for (int k = 0; k < KINDS; k++) {
        json_t *forms = json_object();
        for (uint32_t i = 0; i < s->kinds[k].form_count; i++)
            json_object_set_new(forms, s->kinds[k].forms[i].text,
                                json_integer(s->kinds[k].forms[i].count));
        json_object_set_new(kinds, s->kinds[k].name,
                            json_pack("{s:I, s:o}", "weights",
                                      (json_int_t)s->kinds[k].weights, "stored", forms));
    }
    for (uint32_t i = 0; i < c->eos_count; i++)
        json_array_append_new(eos, json_integer(c->eos[i]));
    json_t *root = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:o, s:s?, s:o, s:I, "
        "s:I, s:I, s:I, s:o}",
        "family", c->family->model_type, "layers", (int)c->layers, "hidden",
        (int)c->hidden, "ffn", (int)c->ffn, "heads", (int)c->heads, "kv_heads",
        (int)c->kv_heads, "head_dim", (int)c->head_dim, "vocab", (int)c->vocab,
        "max_positions", (int)c->max_positions, "rope", fmt_rope_name(c->rope.kind),
        "rope_theta", c->rope.theta, "eos", eos, "licence",
        s->licence[0] ? s->licence : NULL, "matrices", kinds, "file_bytes",
        (json_int_t)s->size.file, "projection_bytes", (json_int_t)s->size.projections,
        "table_bytes", (json_int_t)s->size.tables, "rest_bytes", (json_int_t)s->size.rest,
        "devices", devices);
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct showing *s = NULL;
    const bool show =
        cli->positional_count > 0 && strcmp(cli->positional[0], "show") == 0;
    const char *folder =
        cli_value(cli, "model", cli->positional_count > 1 ? cli->positional[1] : NULL);
    if (!show || !folder || cli->positional_count > 2)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "model show needs one model folder or GGUF file");
    s = rt_alloc(&cli->ctx, 1, sizeof *s);
    if (!s)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory to look at a model");
    s->cli = cli;
    s->folder = folder;
    TRY(fmt_model_open(&cli->ctx, folder, &s->file));
    fmt_model_widen(s->file, true);
    TRY(rt_model_size(&cli->ctx, s->file, &s->wide));
    fmt_model_widen(s->file, false);
    TRY(rt_model_size(&cli->ctx, s->file, &s->size));
    TRY(choose_contexts(s));
    TRY(cli_plan(cli, &s->asked));
    TRY(gather_kinds(s));
    find_licence(s);
    TRY(cli_flag(cli, "json") ? print_json(s) : print_text(s));

fail:
    fmt_model_close(&s->file);
    rt_free(s);
    return st;
}

const struct cli_command cli_model = { "model", "what a model holds and where it fits",
                                       "show DIR|FILE.gguf", options, run };

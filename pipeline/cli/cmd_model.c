/* pipeline/cli/cmd_model.c
 * model show: what a model holds and where it fits, in words or as JSON. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/model_info.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file (or as an argument)" },
    { "context", "N", "tokens of prompt and answer, instead of a choice of them" },
    { NULL, NULL, NULL },
};

static const double GIB = 1073741824.0, MIB = 1048576.0;

struct showing {
    struct cli *cli;
    const char *folder;
    struct pipe_model_info info;
    uint32_t contexts[PIPE_MODEL_CONTEXTS_MAX];
    struct pipe_model_fits_options asked;
    struct pipe_model_on_device *devices; /* owned; null: not looked at yet, or failed */
    uint32_t device_count;
};

static rt_status read_asked(struct showing *s)
{
    rt_status st;
    int64_t context;
    const char *device = cli_value(s->cli, "device", "auto");
    s->asked.device = strcmp(device, "auto") == 0 ? NULL : device;
    s->asked.contexts = s->contexts;
    TRY(cli_number(s->cli, "context", 0, 1, s->info.max_positions, &context));
    s->contexts[0] = (uint32_t)context;
    s->asked.context_count = context ? 1 : pipe_model_contexts(&s->info, s->contexts);
    TRY(cli_plan(s->cli, &s->asked.plan));

fail:
    return st;
}

static rt_status look_at_devices(struct showing *s)
{
    return pipe_model_fits(&s->cli->ctx, &s->info, &s->asked, &s->devices,
                           &s->device_count);
}

/* ---- words ---- */

static void print_device(const struct showing *s, const struct pipe_model_on_device *d)
{
    printf("  %-28s %8.2f GiB %s", d->name, (double)d->memory_bytes / GIB, d->kv);
    if (!d->serves_head) {
        printf(" no kernels for heads of %u\n", s->info.head_dim);
        return;
    }
    for (uint32_t i = 0; i < d->fit_count; i++) {
        if (d->fits[i].requests)
            printf(" %4u x %-6u", d->fits[i].requests, d->fits[i].context);
        else
            printf(" %13s", "does not fit");
    }
    putchar('\n');
}

static void print_form(const char *kind, const struct pipe_model_form *f)
{
    printf("  %-10s %3u x %-28s %8.1f MiB, %.2f of its file bytes\n", kind, f->count,
           f->text, f->packed / MIB, f->packed / f->file);
}

static void print_kinds(const struct pipe_model_info *info)
{
    for (int k = 0; k < PIPE_MODEL_KINDS; k++) {
        const struct pipe_model_kind *kind = &info->kinds[k];
        if (kind->form_count == 0) {
            printf("  %-10s       the embedding\n", kind->name);
            continue;
        }
        for (uint32_t i = 0; i < kind->form_count; i++)
            print_form(i ? "" : kind->name, &kind->forms[i]);
    }
}

static void print_bytes(const struct pipe_model_info *info)
{
    const struct pipe_model_bytes *b = &info->packed;
    const double file = (double)info->file_bytes;
    printf("  bytes      %.1f MiB in files, %.1f on a device (%.2f of it): projections "
           "%.1f, embedding and head %.1f, rest %.1f\n",
           file / MIB, (double)b->all / MIB, (double)b->all / file,
           (double)b->projections / MIB, (double)b->tables / MIB, (double)b->rest / MIB);
    if (info->wide.all != b->all)
        printf("             %.1f on CPUs (%.2f of it), which read codes of 8 bits and "
               "float scales faster\n",
               (double)info->wide.all / MIB, (double)info->wide.all / file);
}

static rt_status print_text(struct showing *s)
{
    const struct pipe_model_info *m = &s->info;
    printf("%s\n", s->folder);
    printf(
        "  family     %s: %u layers, hidden %u, ffn %u, %u heads of %u on %u of keys\n",
        m->family, m->layers, m->hidden, m->ffn, m->heads, m->head_dim, m->kv_heads);
    printf("  tokens     %u in the vocabulary, contexts to %u; rope %s, theta %g\n",
           m->vocab, m->max_positions, m->rope, m->rope_theta);
    printf("  ends at   ");
    for (uint32_t i = 0; i < m->eos_count; i++)
        printf(" %u", m->eos[i]);
    printf(m->eos_count ? "\n" : " no token it names\n");
    printf("  licence    %s\n", m->licence[0] ? m->licence : "the model does not say");
    print_kinds(m);
    print_bytes(m);
    printf(
        "\nrequests at once x tokens of each, beside the model, at most %d, by what the "
        "KV cache holds (--kv):\n",
        PIPE_MODEL_SLOTS_MAX);
    const rt_status st = look_at_devices(s);
    for (uint32_t i = 0; i < s->device_count; i++)
        print_device(s, &s->devices[i]);
    return st;
}

/* ---- JSON ---- */

static json_t *device_json(const struct pipe_model_on_device *d)
{
    json_t *fits = json_array();
    for (uint32_t i = 0; i < d->fit_count; i++)
        json_array_append_new(fits, json_pack("{s:I, s:I, s:I}", "context",
                                              (json_int_t)d->fits[i].context, "requests",
                                              (json_int_t)d->fits[i].requests, "pages",
                                              (json_int_t)d->fits[i].pages));
    return json_pack("{s:s, s:s, s:b, s:I, s:I, s:o}", "device", d->name, "kv", d->kv,
                     "head_size_served", d->serves_head, "memory_bytes",
                     (json_int_t)d->memory_bytes, "weight_bytes",
                     (json_int_t)d->weight_bytes, "fits", fits);
}

static json_t *kinds_json(const struct pipe_model_info *m)
{
    json_t *kinds = json_object();
    for (int k = 0; k < PIPE_MODEL_KINDS; k++) {
        const struct pipe_model_kind *kind = &m->kinds[k];
        json_t *forms = json_object();
        for (uint32_t i = 0; i < kind->form_count; i++)
            json_object_set_new(forms, kind->forms[i].text,
                                json_integer(kind->forms[i].count));
        json_object_set_new(kinds, kind->name,
                            json_pack("{s:I, s:o}", "weights", (json_int_t)kind->weights,
                                      "stored", forms));
    }
    return kinds;
}

static rt_status print_json(struct showing *s)
{
    const struct pipe_model_info *m = &s->info;
    json_t *devices = json_array(), *eos = json_array();
    const rt_status st = look_at_devices(s);
    for (uint32_t i = 0; i < s->device_count; i++)
        json_array_append_new(devices, device_json(&s->devices[i]));
    for (uint32_t i = 0; i < m->eos_count; i++)
        json_array_append_new(eos, json_integer(m->eos[i]));
    json_t *root = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:o, s:s?, s:o, s:I, "
        "s:I, s:I, s:I, s:o}",
        "family", m->family, "layers", (int)m->layers, "hidden", (int)m->hidden, "ffn",
        (int)m->ffn, "heads", (int)m->heads, "kv_heads", (int)m->kv_heads, "head_dim",
        (int)m->head_dim, "vocab", (int)m->vocab, "max_positions", (int)m->max_positions,
        "rope", m->rope, "rope_theta", m->rope_theta, "eos", eos, "licence",
        m->licence[0] ? m->licence : NULL, "matrices", kinds_json(m), "file_bytes",
        (json_int_t)m->file_bytes, "projection_bytes", (json_int_t)m->packed.projections,
        "table_bytes", (json_int_t)m->packed.tables, "rest_bytes",
        (json_int_t)m->packed.rest, "devices", devices);
    cli_print_json(root, JSON_INDENT(2));
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct showing s = { .cli = cli };
    const bool show =
        cli->positional_count > 0 && strcmp(cli->positional[0], "show") == 0;
    s.folder =
        cli_value(cli, "model", cli->positional_count > 1 ? cli->positional[1] : NULL);
    if (!show || !s.folder || cli->positional_count > 2)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "model show needs one model folder or GGUF file");
    TRY(pipe_model_info_read(&cli->ctx, s.folder, &s.info));
    TRY(read_asked(&s));
    TRY(cli_flag(cli, "json") ? print_json(&s) : print_text(&s));

fail:
    rt_free(s.devices);
    pipe_model_info_deinit(&s.info);
    return st;
}

const struct cli_command cli_model = { "model", "what a model holds and where it fits",
                                       "show DIR|FILE.gguf", options, run };

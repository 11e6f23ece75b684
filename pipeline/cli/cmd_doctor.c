/* pipeline/cli/cmd_doctor.c
 * What works here and what does not: each finding has a code, and says what to type. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/doctor.h"
#include "runtime/base/version.h"

#include <jansson.h>
#include <stdio.h>

static void print_plain(const struct pipe_doctor *d)
{
    static const char *const marks[] = { "ok", "note", "BAD" };
    for (uint32_t i = 0; i < d->count; i++) {
        const struct pipe_doctor_finding *f = &d->list[i];
        printf("%-4s %s  %s\n", marks[f->kind], f->code, f->text);
        if (f->next && f->kind != PIPE_DOCTOR_GOOD)
            printf("          try:  %s\n", f->next);
    }
}

/* dev null: none was opened */
static void print_json(const struct pipe_doctor *d, const struct rt_device *dev)
{
    static const char *const kinds[] = { "good", "note", "bad" };
    json_t *findings = json_array(), *devices = json_array();
    char plan[512] = "";
    if (dev)
        rt_plan_print(rt_device_plan(dev), plan, sizeof plan);
    for (uint32_t i = 0; i < d->device_count; i++)
        json_array_append_new(devices, cli_device_json(&d->devices[i]));
    for (uint32_t i = 0; i < d->count; i++)
        json_array_append_new(findings,
                              json_pack("{s:s, s:s, s:s, s:s?}", "code", d->list[i].code,
                                        "kind", kinds[d->list[i].kind], "text",
                                        d->list[i].text, "try", d->list[i].next));
    json_t *plan_json = plan[0] ? json_loads(plan, 0, NULL) : NULL;
    cli_print_json(json_pack("{s:s, s:s?, s:o, s:o, s:o}", "version", rt_version,
                             "chosen", dev ? rt_device_info_of(dev)->name : NULL,
                             "devices", devices, "plan",
                             plan_json ? plan_json : json_null(), "findings", findings),
                   JSON_INDENT(2));
}

static rt_status run(struct cli *cli)
{
    struct pipe_doctor d = { 0 };
    struct rt_device *dev = NULL;
    pipe_doctor_devices(&cli->ctx, &d);
    rt_status st = cli_device_open(cli, &dev);
    st = pipe_doctor_device(&cli->ctx, &d, dev, st, cli_flag(cli, "validation"));
    pipe_doctor_store(&d, cli_store_path(cli));
    if (cli_flag(cli, "json"))
        print_json(&d, dev);
    else
        print_plain(&d);
    pipe_doctor_deinit(&d);
    rt_device_destroy(&dev);
    return st;
}

const struct cli_command cli_doctor = {
    "doctor", "check loader, devices, results folder; self-test", "", NULL, run
};

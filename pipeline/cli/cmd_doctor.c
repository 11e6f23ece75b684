/* pipeline/cli/cmd_doctor.c
 * What works here and what does not: each finding has a code, and says what to type. */
#include "pipeline/cli/cli.h"

#include "runtime/base/os.h"
#include "runtime/base/version.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { FINDINGS_MAX = 16, DISK_MIB_MIN = 200 };

enum finding_kind { FINDING_GOOD, FINDING_NOTE, FINDING_BAD };

struct finding {
    const char *code; /* stable, "D01" */
    enum finding_kind kind;
    char text[320];
    const char *next; /* what to do; null: nothing */
};

struct report {
    struct finding list[FINDINGS_MAX];
    uint32_t count;
};

static void add(struct report *r, const char *code, enum finding_kind kind,
                const char *next, const char *fmt, ...) RT_PRINTF(5, 6);
static void add(struct report *r, const char *code, enum finding_kind kind,
                const char *next, const char *fmt, ...)
{
    if (r->count == FINDINGS_MAX)
        return;
    struct finding *f = &r->list[r->count++];
    *f = (struct finding){ .code = code, .kind = kind, .next = next };
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
}

/* One op end to end: memory, pipeline, submission, reading back. */
static rt_status self_test(struct rt_device *dev)
{
    rt_status st;
    struct rt_buffer *x = NULL, *y = NULL;
    struct rt_list *list = NULL;
    const struct rt_buffer_info info = { .name = "doctor", .size = 4096 };
    const float ones[4] = { 1, 2, 3, 4 };
    float back[4] = { 0 };
    const struct add_push push = { .count = 4, .scale = 2 };
    TRY(rt_buffer_create(dev, &info, &x));
    TRY(rt_buffer_create(dev, &info, &y));
    TRY(rt_buffer_write(x, 0, ones, sizeof ones));
    TRY(rt_list_create(dev, "doctor", &list));
    const struct rt_slice slices[] = { { .buffer = x }, { .buffer = y } };
    rt_list_op(list, RT_OP_add, &push, slices);
    TRY(rt_list_end(list));
    TRY(rt_submit(dev, list));
    TRY(rt_wait(dev));
    TRY(rt_buffer_read(y, 0, back, sizeof back));
    if (!(back[0] == 2 && back[3] == 8))
        st = rt_fail(rt_device_ctx(dev), RT_ERR_INTERNAL,
                     "device '%s' computes wrong sums", rt_device_info_of(dev)->name);

fail:
    rt_list_destroy(&list);
    rt_buffer_destroy(&x);
    rt_buffer_destroy(&y);
    return st;
}

static void check_device(struct cli *cli, struct report *r, const struct rt_device *dev)
{
    const struct rt_device_info *info = rt_device_info_of(dev);
    add(r, "D10", FINDING_GOOD, NULL, "%s: %s, %s", info->name, info->description,
        info->driver);
    if (info->software)
        add(r, "D11", FINDING_NOTE, "faultline devices",
            "a software device: right, but slow");
    if (info->facts.timestamp_ns > 0)
        add(r, "D12", FINDING_GOOD, NULL, "device timestamps, %.0f ns apart",
            (double)info->facts.timestamp_ns);
    else
        add(r, "D12", FINDING_NOTE, NULL, "no device timestamps: profiles stay empty");
    if (cli_flag(cli, "validation"))
        add(r, "D13", rt_device_validation_count(dev) ? FINDING_BAD : FINDING_GOOD, NULL,
            "%llu messages of the validation layer",
            (unsigned long long)rt_device_validation_count(dev));
}

static void check_store(struct cli *cli, struct report *r)
{
    char folder[512];
    uint64_t bytes;
    snprintf(folder, sizeof folder, "%s", cli_store_path(cli));
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    else
        snprintf(folder, sizeof folder, ".");
    if (!os_writable(folder) || !os_disk_available(folder, &bytes)) {
        add(r, "D20", FINDING_BAD, "--store FILE, in a folder that can be written",
            "results folder '%s' cannot be written", folder);
        return;
    }
    const unsigned long long mib = bytes / 1048576;
    add(r, "D21", mib < DISK_MIB_MIN ? FINDING_NOTE : FINDING_GOOD,
        mib < DISK_MIB_MIN ? "make room: a demo store takes about 100 MiB" : NULL,
        "results go to %s, %llu MiB free", cli_store_path(cli), mib);
}

static void print_plain(const struct report *r)
{
    static const char *const marks[] = { "ok", "note", "BAD" };
    for (uint32_t i = 0; i < r->count; i++) {
        const struct finding *f = &r->list[i];
        printf("%-4s %s  %s\n", marks[f->kind], f->code, f->text);
        if (f->next && f->kind != FINDING_GOOD)
            printf("          try:  %s\n", f->next);
    }
}

static void print_json(const struct report *r, json_t *devices, const char *chosen,
                       const char *plan)
{
    static const char *const kinds[] = { "good", "note", "bad" };
    json_t *findings = json_array();
    for (uint32_t i = 0; i < r->count; i++)
        json_array_append_new(findings,
                              json_pack("{s:s, s:s, s:s, s:s?}", "code", r->list[i].code,
                                        "kind", kinds[r->list[i].kind], "text",
                                        r->list[i].text, "try", r->list[i].next));
    json_t *plan_json = plan[0] ? json_loads(plan, 0, NULL) : NULL;
    json_t *all = json_pack("{s:s, s:s?, s:O, s:o, s:o}", "version", rt_version, "chosen",
                            chosen, "devices", devices, "plan",
                            plan_json ? plan_json : json_null(), "findings", findings);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static json_t *list_devices(struct cli *cli, struct report *r)
{
    struct rt_device_info *list = NULL;
    uint32_t count = 0, usable = 0;
    const char *note = NULL;
    json_t *devices = json_array();
    if (rt_devices_list(&cli->ctx, &list, &count, &note) != RT_OK)
        add(r, "D01", FINDING_BAD, NULL, "devices cannot be listed: %.200s",
            cli->ctx.message);
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(devices, cli_device_json(&list[i]));
        usable += list[i].usable;
        if (!list[i].usable)
            add(r, "D02", FINDING_NOTE, NULL, "%s cannot be used: %.200s", list[i].name,
                list[i].why);
    }
    if (note)
        add(r, "D03", FINDING_BAD,
            "install a Vulkan driver (Debian: mesa-vulkan-drivers)", "%s", note);
    else
        add(r, "D01", FINDING_GOOD, NULL, "Vulkan loader, %u usable devices with ref",
            usable);
    rt_free(list);
    return devices;
}

static rt_status run(struct cli *cli)
{
    struct report r = { 0 };
    struct rt_device *dev = NULL;
    char plan[512] = "", name[64] = "";
    json_t *devices = list_devices(cli, &r);
    rt_status st = cli_device_open(cli, &dev);
    if (st == RT_OK)
        st = self_test(dev);
    if (dev) {
        check_device(cli, &r, dev);
        rt_plan_print(rt_device_plan(dev), plan, sizeof plan);
        snprintf(name, sizeof name, "%s", rt_device_info_of(dev)->name);
        add(&r, "D14", FINDING_GOOD, NULL, "plan %s", plan);
    }
    if (st == RT_OK)
        add(&r, "D15", FINDING_GOOD, NULL, "self-test passed");
    else
        add(&r, "D15", FINDING_BAD, "--device NAME with another of `faultline devices`",
            "no device to work with: %.250s", cli->ctx.message);
    check_store(cli, &r);
    if (cli_flag(cli, "json"))
        print_json(&r, devices, name[0] ? name : NULL, plan);
    else
        print_plain(&r);
    json_decref(devices);
    rt_device_destroy(&dev);
    return st;
}

const struct cli_command cli_doctor = {
    "doctor", "check loader, devices, results folder; self-test", "", NULL, run
};

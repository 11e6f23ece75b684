#include "pipeline/cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *device_json(const struct rt_device_info *d)
{
    const struct rt_facts *f = &d->facts;
    return json_pack(
        "{s:s, s:s, s:s, s:b, s:b, s:s, s:i, s:i, s:I, s:I, s:b, s:b}", "name", d->name,
        "description", d->description, "driver", d->driver, "software", (int)d->software,
        "usable", (int)d->usable, "why", d->why, "subgroup", (int)f->subgroup_size,
        "shared_bytes", (int)f->shared_bytes, "storage_range",
        (json_int_t)f->storage_range_max, "heap_bytes", (json_int_t)f->device_heap_bytes,
        "fp16", (int)f->fp16, "coopmat", (int)f->coopmat);
}

static rt_status run(struct cli *cli)
{
    struct rt_device_info *list = NULL;
    uint32_t count = 0;
    const char *note = NULL;
    const rt_status st = rt_devices_list(&cli->ctx, &list, &count, &note);
    if (st != RT_OK)
        return st;
    if (cli_flag(cli, "json")) {
        json_t *all = json_array();
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(all, device_json(&list[i]));
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(all);
    } else {
        for (uint32_t i = 0; i < count; i++)
            printf("%c %-28s %s, %s%s%s\n", list[i].usable ? ' ' : '!', list[i].name,
                   list[i].description, list[i].driver,
                   list[i].software ? " [software]" : "",
                   list[i].usable ? "" : list[i].why);
        if (note)
            printf("note: %s\n", note);
    }
    rt_free(list);
    return RT_OK;
}

const struct cli_command cli_devices = { "devices", "list the devices and their names",
                                         "", NULL, run };

static rt_status doctor(struct cli *cli)
{
    rt_status st;
    struct rt_device *dev = NULL;
    struct store *store = NULL;
    TRY(run(cli));
    TRY(cli_device_open(cli, &dev));
    char plan[512];
    rt_plan_print(rt_device_plan(dev), plan, sizeof plan);
    printf("chosen    %s\nplan      %s\n", rt_device_info_of(dev)->name, plan);
    printf("timing    %s\n", rt_device_info_of(dev)->facts.timestamp_ns > 0
                                 ? "device timestamps are there"
                                 : "no device timestamps: profiles stay empty");
    /* One op end to end: memory, pipeline, submission, reading back. */
    struct rt_buffer *x = NULL, *y = NULL;
    struct rt_list *list = NULL;
    const struct rt_buffer_info info = { .name = "doctor", .size = 4096 };
    const float one[4] = { 1, 2, 3, 4 };
    float back[4] = { 0 };
    const struct add_push push = { .count = 4, .scale = 2 };
    st = rt_buffer_create(dev, &info, &x);
    if (st == RT_OK)
        st = rt_buffer_create(dev, &info, &y);
    if (st == RT_OK)
        st = rt_buffer_write(x, 0, one, sizeof one);
    if (st == RT_OK)
        st = rt_list_create(dev, "doctor", &list);
    if (st == RT_OK) {
        const struct rt_slice slices[] = { { .buffer = x }, { .buffer = y } };
        rt_list_op(list, RT_OP_add, &push, slices);
        st = rt_list_end(list);
    }
    if (st == RT_OK)
        st = rt_submit(dev, list);
    if (st == RT_OK)
        st = rt_wait(dev);
    if (st == RT_OK)
        st = rt_buffer_read(y, 0, back, sizeof back);
    if (st == RT_OK && back[3] != 8)
        st = rt_fail(&cli->ctx, RT_ERR_INTERNAL, "device '%s' computes wrong sums",
                     rt_device_info_of(dev)->name);
    rt_list_destroy(&list);
    rt_buffer_destroy(&x);
    rt_buffer_destroy(&y);
    if (st != RT_OK)
        goto fail;
    printf("self-test passed\n");

fail:
    store_close(&store);
    rt_device_destroy(&dev);
    return st;
}

const struct cli_command cli_doctor = { "doctor",
                                        "check loader, devices and a first dispatch", "",
                                        NULL, doctor };

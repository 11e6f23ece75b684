/* pipeline/cli/cmd_devices.c
 * Lists devices under the names that --device takes. */
#include "pipeline/cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

json_t *cli_device_json(const struct rt_device_info *d)
{
    const struct rt_facts *f = &d->facts;
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:s, s:i, s:i, s:I, s:I, s:b, s:b, s:b}",
                     "name", d->name, "description", d->description, "driver", d->driver,
                     "software", (int)d->software, "usable", (int)d->usable, "why",
                     d->why, "subgroup", (int)f->subgroup_size, "shared_bytes",
                     (int)f->shared_bytes, "storage_range",
                     (json_int_t)f->storage_range_max, "heap_bytes",
                     (json_int_t)f->device_heap_bytes, "fp16", (int)f->fp16, "coopmat",
                     (int)(f->fragments != 0), "int_dot", (int)f->int_dot_signed);
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
            json_array_append_new(all, cli_device_json(&list[i]));
        cli_print_json(all, JSON_INDENT(2));
    } else {
        for (uint32_t i = 0; i < count; i++)
            printf("%c %-28s %s, %s%s%s%s\n", list[i].usable ? ' ' : '!', list[i].name,
                   list[i].description, list[i].driver,
                   list[i].software ? " [software]" : "",
                   list[i].usable ? "" : "; cannot be used: ",
                   list[i].usable ? "" : list[i].why);
        if (note)
            printf("note: %s\n", note);
    }
    rt_free(list);
    return RT_OK;
}

const struct cli_command cli_devices = { "devices", "list the devices and their names",
                                         "", NULL, run };

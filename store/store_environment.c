/* store/store_environment.c
 * Where something ran: machine, device, driver, environment; and its numerics, the part of
 * it that may change a bit of an answer. */
#include "store/store_impl.h"

#include "runtime/base/os.h"

#include <stdio.h>

static rt_status put_machine(struct store *s, char id[STORE_ID])
{
    struct os_system system;
    char cpu[224], host[STORE_HOST];
    os_system_read(&system);
    store_host_name(host);
    os_cpu_name(cpu, sizeof cpu);
    store_hash(id, "machine", host, system.name, cpu, NULL);
    return store_run_sql(s,
                         "INSERT INTO machine(machine_id,label,os,kernel,cpu,cpu_cores,"
                         "ram_bytes) VALUES(?,?,?,?,?,?,?) ON CONFLICT(machine_id) DO "
                         "NOTHING",
                         "tttttii", id, host, system.name, system.release, cpu,
                         os_cpu_cores(), (int64_t)os_memory_bytes());
}

static const char *device_type(const struct rt_device_info *info)
{
    return info->software ? "cpu" : info->facts.discrete ? "discrete" : "integrated";
}

static rt_status put_device(struct store *s, const struct rt_device_info *info,
                            char id[STORE_ID])
{
    const struct rt_facts *f = &info->facts;
    char uuid[33] = "", pci[24];
    for (int i = 0; i < 16; i++)
        snprintf(uuid + 2 * i, 3, "%02x", f->device_uuid[i]);
    snprintf(pci, sizeof pci, "%08x:%08x", f->vendor_id, f->device_id);
    store_hash(id, "device", pci, info->description, uuid, NULL);
    return store_run_sql(s,
                         "INSERT INTO device(device_id,name,vendor_id,pci_device_id,"
                         "device_type,device_uuid,vram_bytes,uma) VALUES(?,?,?,?,?,?,?,?)"
                         " ON CONFLICT(device_id) DO NOTHING",
                         "ttiittii", id, info->description, (int64_t)f->vendor_id,
                         (int64_t)f->device_id, device_type(info), uuid,
                         (int64_t)f->device_heap_bytes, (int64_t)f->unified_memory);
}

static rt_status put_driver(struct store *s, const struct rt_device_info *info,
                            char id[STORE_ID])
{
    const struct rt_facts *f = &info->facts;
    char api[32], version[16];
    snprintf(api, sizeof api, "%u.%u.%u", f->api_version >> 22,
             f->api_version >> 12 & 1023, f->api_version & 4095);
    snprintf(version, sizeof version, "%08x", f->driver_version);
    store_hash(id, "driver", info->driver, f->driver_info, version, api, NULL);
    return store_run_sql(s,
                         "INSERT INTO driver(driver_id,vk_driver_id,name,info,"
                         "version_raw,api_version) VALUES(?,?,?,?,?,?) "
                         "ON CONFLICT(driver_id) DO NOTHING",
                         "tittit", id, (int64_t)f->driver_id, info->driver,
                         f->driver_info, (int64_t)f->driver_version, api);
}

/* What may change a bit of an answer: the kind of device, its driver, the kernels, and the
 * plan, which holds products and cache type; of a software device, which compiles for the
 * processor, that too. Not the machine, and not which of several equal devices it is. */
static void hash_numerics(const struct rt_device_info *info, const char *driver_id,
                          const char *plan, char numerics[STORE_ID])
{
    char pci[24], kernels[16], cpu[160] = "";
    if (info->software)
        os_cpu_name(cpu, sizeof cpu);
    snprintf(pci, sizeof pci, "%08x:%08x", info->facts.vendor_id, info->facts.device_id);
    snprintf(kernels, sizeof kernels, "%08x", info->kernels);
    store_hash(numerics, "numerics", device_type(info), pci, info->description, driver_id,
               kernels, plan, cpu, NULL);
}

rt_status store_put_environment(struct store *s, const struct rt_device *dev,
                                char env_id[STORE_ID])
{
    rt_status st;
    char machine[STORE_ID], device[STORE_ID], driver[STORE_ID], numerics[STORE_ID];
    char plan[640];
    const struct rt_device_info *info = rt_device_info_of(dev);
    TRY(put_machine(s, machine));
    TRY(put_device(s, info, device));
    TRY(put_driver(s, info, driver));
    rt_plan_print(rt_device_plan(dev), plan, sizeof plan);
    hash_numerics(info, driver, plan, numerics);
    store_hash(env_id, "environment", machine, device, numerics, NULL);
    TRY(store_run_sql(s,
                      "INSERT INTO environment(env_id,machine_id,device_id,driver_id,"
                      "caps,numerics) VALUES(?,?,?,?,?,?) ON CONFLICT(env_id) DO NOTHING",
                      "tttttt", env_id, machine, device, driver, plan, numerics));
    return RT_OK;

fail:
    return st;
}

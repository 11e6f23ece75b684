/* store/store_origin.c
 * Rows about answers that another program produced. */
#include "store/store_origin.h"

#include "store/store_impl.h"

#include <stdio.h>

/* Where it ran is not known: a machine, a device and a driver that say so. */
static rt_status put_elsewhere(struct store *s, const char *tool, char env_id[STORE_ID])
{
    rt_status st;
    TRY(store_run_sql(s,
                      "INSERT INTO machine(machine_id,label,os,cpu) "
                      "VALUES('elsewhere','elsewhere','unknown','unknown') "
                      "ON CONFLICT(machine_id) DO NOTHING",
                      ""));
    TRY(store_run_sql(s,
                      "INSERT INTO device(device_id,name,vendor_id,"
                      "pci_device_id,device_type) VALUES('elsewhere','unknown',0,0,"
                      "'other') ON CONFLICT(device_id) DO NOTHING",
                      ""));
    TRY(store_run_sql(s,
                      "INSERT INTO driver(driver_id,vk_driver_id,name,info,"
                      "version_raw,api_version) VALUES(?1,0,?1,'imported',0,'') "
                      "ON CONFLICT(driver_id) DO NOTHING",
                      "t", tool));
    store_hash(env_id, "elsewhere", tool, NULL);
    TRY(store_run_sql(s,
                      "INSERT INTO environment(env_id,machine_id,device_id,driver_id,"
                      "numerics) VALUES(?1,'elsewhere','elsewhere',?2,?1) "
                      "ON CONFLICT(env_id) DO UPDATE SET numerics=excluded.numerics",
                      "tt", env_id, tool));

fail:
    return st;
}

rt_status store_put_origin(struct store *s, struct store_origin *o)
{
    rt_status st;
    const char *tool = o->tool ? o->tool : "another program";
    const char *model = o->model ? o->model : o->hash;
    snprintf(o->file_id, STORE_ID, "sha256:%s", o->hash);
    store_hash(o->model_id, "model elsewhere", model, NULL);
    TRY(store_run_sql(s,
                      "INSERT INTO artifact(artifact_id,kind,bytes,path_hint,origin,"
                      "meta) VALUES(?1,'log',?2,?3,?4,json_object('format',?5,"
                      "'model',?6,'task',?7,'produced',?8)) ON CONFLICT(artifact_id) "
                      "DO NOTHING",
                      "titttttt", o->file_id, o->bytes, o->path, tool, o->kind, o->model,
                      o->task, o->produced));
    TRY(store_run_sql(s,
                      "INSERT INTO artifact(artifact_id,kind,bytes,path_hint,origin) "
                      "VALUES(?1,'weights',0,?2,'not here: only its name is "
                      "known') ON CONFLICT(artifact_id) DO NOTHING",
                      "tt", o->model_id, model));
    TRY(put_elsewhere(s, tool, o->env_id));

fail:
    return st;
}

rt_status store_put_run_artifact(struct store *s, const char *run_id,
                                 const char *artifact_id, const char *direction,
                                 const char *role)
{
    return store_run_sql(s,
                         "INSERT INTO run_artifact(run_id,artifact_id,direction,role) "
                         "VALUES(?,?,?,?) ON CONFLICT(run_id,direction,role,artifact_id) "
                         "DO NOTHING",
                         "tttt", run_id, artifact_id, direction, role);
}

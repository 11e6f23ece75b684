/* store/report/report_costs.c
 * What it took, on what, and how to do it again. */
#include "store/report/report_impl.h"

#include <string.h>

/* One row of pairs name, value: a list of definitions. */
static rt_status put_pairs(void *user, const struct store_row *row)
{
    struct html *h = &((struct report *)user)->h;
    html_raw_text(h, "<dl>");
    for (int i = 0; i < store_row_count(row); i++) {
        if (!store_row_text(row, i)[0])
            continue;
        html_raw(h, "<dt>%s</dt><dd>", store_row_name(row, i));
        html_text(h, store_row_text(row, i));
        html_raw_text(h, "</dd>");
    }
    html_raw_text(h, "</dl>\n");
    return RT_OK;
}

rt_status report_cost(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    const char *const args[] = { r->campaign, NULL };
    html_raw_text(h, "<h2 id=\"cost\">Cost</h2>\n");
    report_table_open(h, "Cost by stage");
    html_raw_text(h, "<tr><th>stage</th><th class=\"n\">state</th><th class=\"n\">answers"
                     "</th><th class=\"n\">wall, s</th><th class=\"n\">device, s</th><th "
                     "class=\"n\">device share</th><th class=\"n\">tokens</th><th "
                     "class=\"n\">tokens/s</th><th class=\"n\">TFLOP</th><th "
                     "class=\"n\">GFLOP/s</th><th class=\"n\">ms a right answer</th></tr>"
                     "\n");
    static const char stages[] =
        "WITH c AS (SELECT r.started_ms s, r.run_id id, r.kind||' '||CASE r.kind WHEN "
        "'train' THEN coalesce(json_extract(r.config,'$.recipe'),'') ELSE "
        "coalesce(b.split,'')||' '||coalesce(v.label,'') END name, r.status state, "
        "(SELECT count(*) FROM generation g WHERE g.run_id=r.run_id) answers, (SELECT "
        "count(*) FROM generation g WHERE g.run_id=r.run_id AND (SELECT correct FROM "
        "v_verdict x WHERE x.gen_id=g.gen_id)) correct, (SELECT "
        "value FROM metric WHERE run_id=r.run_id AND "
        "name='wall_seconds' AND step=0) w, (SELECT value FROM metric WHERE "
        "run_id=r.run_id AND name='device_seconds' AND step=0) d, (SELECT value FROM "
        "metric WHERE run_id=r.run_id AND name='tokens' AND step=0) t, (SELECT value "
        "FROM "
        "metric WHERE run_id=r.run_id AND name='tflop' AND step=0) f FROM run r LEFT "
        "JOIN variant v USING(variant_id) LEFT JOIN benchmark b USING(benchmark_id) "
        "WHERE " OF_CAMPAIGN
        "), a AS (SELECT * FROM c UNION ALL SELECT 9e15, '', 'all', '', "
        "sum(answers), NULL, sum(w), sum(d), sum(t), sum(f) FROM c) SELECT name, state, "
        "nullif(answers,0), iif(w IS NULL,'',format('%.2f',w)), "
        "iif(d IS NULL,'',format('%.2f',d)), "
        "iif(d/w IS NULL,'',format('%.0f %%',100*d/w)), CAST(t AS INTEGER), "
        "iif(t/w IS NULL OR name='all','',format('%.0f',t/w)), "
        "iif(f IS NULL,'',format('%.3f',f)), iif(f/w IS NULL,'',format('%.1f',1000*f/w)),"
        " iif(w/nullif(correct,0) IS NULL,'',format('%.1f',1000*w/correct)) FROM a ORDER "
        "BY s, id";
    TRY(store_query(r->store, stages, args, report_table_row, r));
    report_table_close(h);
    html_raw_text(h, "<p class=\"sub\">Wall and device seconds over all attempts at a "
                     "stage. Energy is not measured.</p>\n");
    return RT_OK;

fail:
    return st;
}

rt_status report_device(struct report *r)
{
    rt_status st;
    const char *const args[] = { r->campaign, NULL };
    html_raw_text(&r->h, "<h2 id=\"device\">Device and driver</h2>\n");
    TRY(store_query(
        r->store,
        "SELECT DISTINCT d.name AS \"device\", d.device_type AS \"type\", "
        "CAST(d.vram_bytes/1048576 AS TEXT)||' MiB' AS \"device memory\", dr.name AS "
        "\"driver\", dr.info AS \"driver version\", dr.api_version AS \"Vulkan\", "
        "m.label||': '||m.cpu||', '||m.cpu_cores||' cores, '||(m.ram_bytes/1073741824)||"
        "' GiB' AS \"machine\", m.os||' '||coalesce(m.kernel,'') AS \"system\", e.caps "
        "AS "
        "\"plan\" FROM v_run_environment r JOIN environment e USING(env_id) JOIN device "
        "d "
        "USING(device_id) JOIN driver dr USING(driver_id) JOIN machine m "
        "USING(machine_id) WHERE " OF_CAMPAIGN " ORDER BY 1,4,7,9",
        args, put_pairs, r));
    return RT_OK;

fail:
    return st;
}

/* ---- how to do it again ---- */

/* A word of a shell command; quoted where a shell would take it apart. */
static void put_word(struct html *h, const char *option, const char *text)
{
    const bool plain =
        text[0] &&
        text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789_./:=+,@%-")] == '\0';
    html_raw(h, " \\\n    --%s ", option);
    if (plain) {
        html_text(h, text);
        return;
    }
    html_raw_text(h, "&#39;");
    while (*text) {
        const size_t run = strcspn(text, "'");
        html_text_n(h, text, run);
        text += run;
        if (*text) {
            html_raw_text(h, "&#39;\\&#39;&#39;");
            text++;
        }
    }
    html_raw_text(h, "&#39;");
}

/* Recipes and controls by the labels of the arms. */
static void put_recipes(struct report *r)
{
    char list[REPORT_ARMS_MAX * sizeof r->arms[0].label];
    size_t n = 0;
    for (uint32_t a = 2; r->paired && a < r->arm_count; a++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? "," : "",
                              r->arms[a].label);
    if (n)
        put_word(&r->h, "recipes", list);
}

enum { PLAN_COLUMN = 17 };

/* Name of the campaign, a column per option, whether there are zero points, the whole
 * plan. */
static rt_status put_command(void *user, const struct store_row *row)
{
    static const char *const options[] = {
        NULL,      "full",        "quant",        "bits", "group",      "method",
        "calib",   "calib-items", "select",       "mine", "mine-until", "validate",
        "measure", "items",       "adapter-bits", "seed"
    };
    struct html *h = &((struct report *)user)->h;
    if (strcmp(store_row_text(row, 0), "restore") == 0) {
        html_raw_text(h, "<pre>faultline restore");
        for (int i = 1; i < (int)RT_COUNT(options); i++)
            if (store_row_text(row, i)[0])
                put_word(h, options[i], store_row_text(row, i));
        if (store_row_integer(row, PLAN_COLUMN - 1))
            html_raw_text(h, " \\\n    --asym");
        put_recipes(user);
        html_raw_text(h, "</pre>\n");
    }
    html_raw_text(h, "<p class=\"sub\">The plan as stored:</p><pre>");
    html_text(h, store_row_text(row, PLAN_COLUMN));
    html_raw_text(h, "</pre>\n");
    return RT_OK;
}

rt_status report_reproduce(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    const char *const args[] = { r->campaign, NULL };
    html_raw_text(h, "<h2 id=\"reproduce\">Reproduce</h2>\n");
    TRY(store_query(
        r->store,
        "SELECT name, json_extract(plan,'$.full'), json_extract(plan,'$.quant'), "
        "json_extract(plan,'$.bits'), CASE json_extract(plan,'$.group') WHEN 0 THEN "
        "'row' ELSE json_extract(plan,'$.group') END, json_extract(plan,'$.method'), "
        "json_extract(plan,'$.calib'), json_extract(plan,'$.calib_items'), CASE "
        "json_extract(plan,'$.select') WHEN 1 THEN "
        "'kl' WHEN 0 THEN 'none' END, json_extract(plan,'$.mine'), "
        "nullif(json_extract(plan,'$.mine_until'),0), "
        "json_extract(plan,'$.validate'), json_extract(plan,'$.measure'), "
        "json_extract(plan,'$.items'), json_extract(plan,'$.adapter_bits'), "
        "json_extract(plan,'$.seed'), "
        "json_extract(plan,'$.asym'), plan FROM campaign "
        "WHERE campaign_id=?1",
        args, put_command, r));
    TRY(store_query(
        r->store,
        "SELECT c.campaign_id AS \"campaign\", strftime('%Y-%m-%d %H:%M:%S',"
        "c.created_ms/1000,'unixepoch')||' UTC' AS \"begun\", (SELECT "
        "group_concat(v,', ') FROM (SELECT DISTINCT r.tool_version||coalesce(' '||"
        "r.tool_commit,'')||CASE r.tool_dirty WHEN 1 THEN ' (changed)' ELSE '' END v "
        "FROM "
        "run r WHERE r.run_id IN (SELECT run_id FROM campaign_run WHERE "
        "campaign_id=c.campaign_id) ORDER BY 1)) AS \"faultline\", (SELECT "
        "group_concat(v,', ') FROM (SELECT DISTINCT r.seed v FROM run r WHERE "
        "r.run_id IN (SELECT run_id FROM campaign_run WHERE "
        "campaign_id=c.campaign_id) ORDER BY 1)) AS \"seeds\", (SELECT "
        "group_concat(v,' ') FROM (SELECT DISTINCT r.config v FROM run r WHERE "
        "r.run_id IN (SELECT run_id FROM campaign_run WHERE "
        "campaign_id=c.campaign_id) AND r.kind='eval' ORDER BY 1)) AS \"decoding\" FROM "
        "campaign c WHERE c.campaign_id=?1",
        args, put_pairs, r));
    report_table_open(h, "Problem sets");
    html_raw_text(h, "<tr><th>problem set</th><th class=\"n\">split</th><th "
                     "class=\"n\">problems</th><th>hash</th></tr>\n");
    TRY(store_query(r->store,
                    "SELECT DISTINCT b.name, b.split, b.n_problems, b.benchmark_id FROM "
                    "run r JOIN benchmark b USING(benchmark_id) WHERE " OF_CAMPAIGN " "
                    "ORDER BY 2,4",
                    args, report_table_row, r));
    report_table_close(h);
    report_table_open(h, "Variants");
    html_raw_text(h, "<tr><th>variant</th><th class=\"n\">quantization</th><th>weights"
                     "</th><th>adapter</th></tr>\n");
    TRY(store_query(r->store,
                    "SELECT DISTINCT v.label, coalesce(v.quant,''), v.weights_id, "
                    "coalesce(v.adapter_id,'') FROM run r JOIN variant v "
                    "USING(variant_id) WHERE " OF_CAMPAIGN " ORDER BY v.role='control', "
                    "v.role='restored', 1,3,4",
                    args, report_table_row, r));
    report_table_close(h);
    html_raw_text(h,
                  "<p class=\"sub\">Greedy decoding with kernels that do not depend on "
                  "the batch: the same command on the same device and driver gives the "
                  "same rows, and the same rows give this file byte for byte.</p>\n");
    return RT_OK;

fail:
    return st;
}

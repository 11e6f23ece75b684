/* store/report/report_made.c
 * How the quantized models of the campaign were made: at what cost, and which matrices
 * have no lower error than rounded to nearest. Left out if the file does not know. */
#include "store/queries.h"
#include "store/report/report_impl.h"

#include <string.h>

struct counting {
    uint32_t all, no_better;
};

static rt_status count_layer(void *user, const struct store_row *row)
{
    struct counting *c = user;
    c->all++;
    c->no_better += !(store_row_number(row, 0) < store_row_number(row, 1));
    return RT_OK;
}

/* What the run's configuration says of how, in words. */
static rt_status put_how(void *user, const struct store_row *row)
{
    html_text(user, store_row_text(row, 0));
    return RT_OK;
}

static void put_number(struct html *h, double value, int decimals)
{
    if (value > 0)
        html_raw(h, "<td class=\"n\">%.*f</td>", decimals, value);
    else
        html_raw_text(h, "<td class=\"n\">\xe2\x80\x93</td>");
}

/* The names of those that are no better, in a row under the numbers. */
static rt_status put_names(struct report *r, const struct store_made *made)
{
    struct report_names n = { .h = &r->h, .tag = "code" };
    html_raw_text(&r->h, "<tr><td colspan=\"7\">No better: ");
    const rt_status st = store_query(
        r->store,
        "SELECT j.value FROM run r, json_each(r.config,'$.not_better') j WHERE "
        "r.run_id=?1 ORDER BY j.key",
        (const char *const[]){ made->run_id, NULL }, report_put_name, &n);
    html_raw_text(&r->h, n.count ? "</td></tr>\n" : "names are not stored</td></tr>\n");
    return st;
}

static rt_status put_made(struct report *r, const char *label,
                          const struct store_made *made)
{
    rt_status st;
    struct html *h = &r->h;
    struct counting c = { 0 };
    TRY(store_layer_error_rows(r->store, made->run_id, count_layer, &c));
    html_raw_text(h, "<tr><th scope=\"row\" class=\"nw\">");
    html_text(h, label);
    html_raw_text(h, "</th><td>");
    TRY(store_query(
        r->store,
        "SELECT json_extract(config,'$.method')||coalesce(' '||json_extract(config,"
        "'$.type'),' '||json_extract(config,'$.bits')||' bits'||CASE json_extract("
        "config,'$.group') WHEN 0 THEN ' per row' ELSE ', groups of '||json_extract("
        "config,'$.group') END,'')||iif(json_extract(config,'$.search'),', search','') "
        "FROM run WHERE run_id=?1",
        (const char *const[]){ made->run_id, NULL }, put_how, h));
    html_raw_text(h, "</td>");
    put_number(h, made->wall_seconds, 1);
    put_number(h, made->peak_bytes / 1048576, 0);
    if (c.all == 0) {
        html_raw_text(h, "<td class=\"n\">\xe2\x80\x93</td><td class=\"n\">\xe2\x80\x93"
                         "</td><td class=\"n\">not measured</td></tr>\n");
        return RT_OK;
    }
    html_raw(h,
             "<td class=\"n\">%.4g</td><td class=\"n\">%.4g</td><td class=\"n\">%u of "
             "%u</td></tr>\n",
             made->layer_error, made->layer_error_rtn, c.no_better, c.all);
    if (c.no_better > 0 && c.no_better < c.all)
        TRY(put_names(r, made));

fail:
    return st;
}

struct listing {
    struct report *r;
    bool open;
};

static rt_status put_variant(void *user, const struct store_row *row)
{
    struct listing *l = user;
    struct store_made made;
    struct html *h = &l->r->h;
    const rt_status st = store_find_made(l->r->store, store_row_text(row, 0), &made);
    if (st != RT_OK || !made.run_id[0])
        return st;
    if (!l->open) {
        html_raw_text(h, "<h3 id=\"made\">How quantized models were made</h3>");
        report_table_open(h, "How quantized models were made");
        html_raw_text(
            h, "<tr><th>variant</th><th>how</th><th class=\"n\">wall, s</th><th "
               "class=\"n\">peak of host memory, MiB</th><th class=\"n\">output error"
               "</th><th class=\"n\">rounded to nearest</th><th class=\"n\">matrices no "
               "better than that</th></tr>\n");
    }
    l->open = true;
    return put_made(l->r, store_row_text(row, 1), &made);
}

rt_status report_made(struct report *r)
{
    rt_status st;
    struct listing l = { .r = r };
    /* An adapter's variant has the weights of the model below it: that one is named. */
    TRY(store_query(
        r->store,
        "SELECT weights_id, label FROM (SELECT v.weights_id, v.label, row_number() OVER "
        "(PARTITION BY v.weights_id ORDER BY v.adapter_id IS NOT NULL, r.started_ms, "
        "v.label) k, min(r.started_ms) OVER (PARTITION BY v.weights_id) s FROM run r "
        "JOIN variant v USING(variant_id) WHERE " OF_CAMPAIGN ") WHERE k=1 ORDER BY s, 1",
        (const char *const[]){ r->campaign, NULL }, put_variant, &l));
    if (!l.open)
        return RT_OK;
    report_table_close(&r->h);
    html_raw_text(&r->h,
                  "<p class=\"sub\">Output error: mean squares per token on the "
                  "calibration text, summed over matrices. Rounded to nearest: on the "
                  "same grid, without a search. A lower error of a matrix is not a "
                  "better model: candidates are chosen by KL.</p>\n");
    return RT_OK;

fail:
    return st;
}

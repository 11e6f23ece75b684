/* store/report/report_parts.c
 * Right answers by data set, where the measured list comes from several, and differences
 * that count every data set alike. */
#include "store/report/report_impl.h"

static void put_row(struct report *r, uint32_t a, bool *base, bool *own)
{
    struct html *h = &r->h;
    const struct pipe_parts *parts = &r->parts;
    struct pipe_pooled mean;
    const uint32_t other = a == 1 ? 0 : 1;
    for (uint32_t i = 0; i < r->n; i++) {
        base[i] = r->outcomes[(size_t)other * r->n + i];
        own[i] = r->outcomes[(size_t)a * r->n + i];
    }
    html_raw(h, "<tr%s><th scope=\"row\" class=\"nw\">",
             (int)a == r->main_arm ? " class=\"main\"" : "");
    html_text(h, r->arms[a].label);
    html_raw_text(h, "</th>");
    for (uint32_t k = 0; k < parts->count; k++)
        html_raw(h, "<td class=\"n\">%.1f</td>",
                 report_percent(pipe_parts_right(parts, k, own), parts->items[k].n));
    if (a == 0) {
        html_raw_text(h, "<td></td><td></td></tr>\n");
        return;
    }
    pipe_parts_pool(parts, base, own, PIPE_PARTS_DRAWS, PIPE_STATS_SEED, &mean);
    html_raw_text(h, "<td class=\"n\">");
    html_signed(h, 100 * mean.difference, 1);
    html_raw_text(h, "</td><td class=\"n\">");
    html_p_value(h, mean.p);
    html_raw_text(h, "</td></tr>\n");
}

rt_status report_parts(struct report *r)
{
    struct html *h = &r->h;
    if (r->parts.count == 0)
        return RT_OK;
    bool *base = rt_alloc(r->ctx, r->n, sizeof *base);
    bool *own = rt_alloc(r->ctx, r->n, sizeof *own);
    if (!base || !own) {
        rt_free(base);
        rt_free(own);
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    }
    html_raw_text(h, "<h3 id=\"parts\">By data set</h3>");
    report_table_open(h, "Right answers by data set");
    html_raw_text(h, "<tr><th>model</th>");
    for (uint32_t k = 0; k < r->parts.count; k++) {
        html_raw_text(h, "<th class=\"n\">");
        html_text(h, r->parts.items[k].name);
        html_raw(h, ", %u</th>", r->parts.items[k].n);
    }
    html_raw_text(h, "<th class=\"n\">mean over data sets</th><th class=\"n\">p</th>"
                     "</tr>\n");
    for (uint32_t a = 0; a < r->arm_count; a++)
        put_row(r, a, base, own);
    report_table_close(h);
    html_raw_text(h,
                  "<p>Per cent right. The mean counts every data set alike, in points: "
                  "quantized against full precision, the others against quantized; p by "
                  "permuting the two answers to each problem. All other numbers of this "
                  "page count every problem alike.</p>\n");
    rt_free(base);
    rt_free(own);
    return RT_OK;
}

/* store/report/report_places.c
 * Is early really early? What full precision rescues when it takes over before, at or after
 * the step of the verdict, the same wrong step given to both models, and random steps of the
 * same answers beside them. */
#include "store/report/report_impl.h"

/* One more column: a metric of run r that has no steps; NULL where it was not measured. */
#define NUMBER(name)                                                            \
    ", (SELECT m.value FROM metric m WHERE m.run_id=r.run_id AND m.step=0 AND " \
    "m.name='" name "')"

enum { FIRST = 2, SHARES = 6, RANDOM = FIRST + 2 * SHARES };

static void put_none(struct html *h)
{
    html_raw_text(h, "<td class=\"n\">\xe2\x80\x93</td>");
}

/* campaign list, variant; six pairs of right and asked; two shares of random steps */
static rt_status put_row(void *user, const struct store_row *row)
{
    struct html *h = &((struct report *)user)->h;
    html_raw_text(h, "<tr><td>");
    html_text(h, store_row_text(row, 0));
    html_raw_text(h, " \xc2\xb7 ");
    html_text(h, store_row_text(row, 1));
    html_raw_text(h, "</td>");
    for (int i = 0; i < SHARES; i++) {
        const uint32_t k = (uint32_t)store_row_integer(row, FIRST + 2 * i);
        const uint32_t n = (uint32_t)store_row_integer(row, FIRST + 2 * i + 1);
        if (store_row_null(row, FIRST + 2 * i) || n == 0) {
            put_none(h);
            continue;
        }
        html_raw(h, "<td class=\"n\">%u of %u: ", k, n);
        report_share(h, k, n);
        html_raw_text(h, "</td>");
    }
    for (int i = 0; i < 2; i++)
        if (store_row_null(row, RANDOM + i))
            put_none(h);
        else
            html_raw(h, "<td class=\"n\">%.1f\xc2\xa0%%</td>",
                     100 * store_row_number(row, RANDOM + i));
    html_raw_text(h, "</tr>\n");
    return RT_OK;
}

static const char places[] =
    "SELECT coalesce(b.split,''), coalesce(v.label,'')" NUMBER("takeover_earlier")
        NUMBER("takeover_earlier_asked") NUMBER("takeover_at") NUMBER("takeover_at_asked")
            NUMBER("takeover_later") NUMBER("takeover_later_asked") NUMBER("forced_full")
                NUMBER("forced_asked") NUMBER("forced_quant") NUMBER("forced_asked")
                    NUMBER("early") NUMBER("placed") NUMBER("takeover_chance")
                        NUMBER("early_chance") " FROM run r LEFT JOIN variant v "
                                               "USING(variant_id) LEFT JOIN benchmark b "
                                               "USING(benchmark_id) WHERE " OF_CAMPAIGN
                                               " AND r.kind='locate' AND EXISTS(SELECT 1 "
                                               "FROM metric m WHERE m.run_id=r.run_id "
                                               "AND m.name='takeover_later_asked') "
                                               "ORDER BY r.started_ms, r.run_id";

rt_status report_places(struct report *r)
{
    struct html *h = &r->h;
    const char *const args[] = { r->campaign, NULL };
    html_raw_text(h, "<h3>Is early really early?</h3>");
    report_table_open(h, "Recovery by place of the take-over");
    html_raw_text(
        h, "<tr><th>answers of</th><th class=\"n\">full takes over one step "
           "before the faulty one</th><th class=\"n\">at it</th><th class=\"n\">after "
           "it</th><th class=\"n\">that wrong step, given to full</th><th "
           "class=\"n\">given to quant</th><th class=\"n\">fault in the first half</th>"
           "<th class=\"n\">take-over before a random step</th><th class=\"n\">random "
           "step in the first half</th></tr>\n");
    const rt_status st = store_query(r->store, places, args, put_row, r);
    report_table_close(h);
    html_raw_text(
        h, "<p class=\"sub\">If the fault is where it is said to be, full rescues the "
           "answer before and at the step and not after it, more often than before a "
           "random step of the same answers (known from the same roll-outs; what lies "
           "between them is taken as the shorter one). Both models "
           "continue after the same wrong step; full also has its greedy continuation, "
           "which is one try more. Intervals: Wilson, "
           "95\xc2\xa0%.</p>\n");
    return st;
}

/* store/report/report_mined.c
 * What there was to learn from: whether quantizing lost any mined problem, and which
 * recipes found nothing to train on. */
#include "store/report/report_impl.h"

struct mined {
    int64_t problems, right, lost;
};

static rt_status take_mined(void *user, const struct store_row *row)
{
    struct mined *m = user;
    m->problems = store_row_integer(row, 0);
    m->right = store_row_integer(row, 1);
    m->lost = store_row_integer(row, 2);
    return RT_OK;
}

static void put_nothing(struct report *r, const struct mined *m)
{
    struct html *h = &r->h;
    const uint32_t lost = r->arms[1].paired.lost;
    html_raw(h,
             "<p id=\"nothing\"><strong>There is nothing to restore:</strong> of %lld "
             "mined problems full precision solves %lld",
             (long long)m->problems, (long long)m->right);
    html_raw_text(h, m->right ? ", and the quantized model solves all of these." : ".");
    if (lost)
        html_raw(h, " Of the measured problems it loses %u: mine more to repair it.",
                 lost);
    html_raw_text(h, "</p>\n");
}

/* By problem, since a shorter list of mined problems is a part of the next one. */
rt_status report_nothing_lost(struct report *r)
{
    rt_status st;
    struct mined m = { 0 };
    const char *const args[] = { r->campaign, NULL };
    TRY(store_query(
        r->store,
        "SELECT count(*), coalesce(sum(f),0), coalesce(sum(f AND NOT q),0) FROM (SELECT "
        "max(CASE v.role WHEN 'full' THEN coalesce(s.correct,0) END) f, max(CASE v.role "
        "WHEN 'quant' THEN coalesce(s.correct,0) END) q FROM run r JOIN benchmark b "
        "USING(benchmark_id) JOIN variant v USING(variant_id) JOIN generation g "
        "USING(run_id) LEFT JOIN v_verdict s ON s.gen_id=g.gen_id WHERE " OF_CAMPAIGN
        " AND r.kind='eval' AND b.split='mine' AND g.sample=0 GROUP BY g.problem_id) "
        "WHERE f IS NOT NULL AND q IS NOT NULL",
        args, take_mined, &m));
    if (m.problems && !m.lost)
        put_nothing(r, &m);
    r->nothing_lost = m.problems && !m.lost;

fail:
    return st;
}

rt_status report_left_out(struct report *r)
{
    struct report_names n = { .h = &r->h,
                              .tag = "em",
                              .before = "<p class=\"note\">Left out, since no mined "
                                        "problem serves as a training item: " };
    const char *const args[] = { r->campaign, NULL };
    const rt_status st = store_query(
        r->store,
        "SELECT json_extract(r.config,'$.recipe') FROM run r JOIN bullet_set b "
        "ON b.run_id=r.run_id WHERE " OF_CAMPAIGN " AND r.kind='train' AND "
        "r.status='done' AND NOT EXISTS(SELECT 1 FROM bullet_item i WHERE "
        "i.dataset_id=b.dataset_id AND i.excluded IS NULL) GROUP BY 1 ORDER BY "
        "min(r.started_ms), 1",
        args, report_put_name, &n);
    if (n.count)
        html_raw_text(&r->h, ".</p>\n");
    return st;
}

/* store/report/report_detail.c
 * Below the first screen: faults, problems side by side, training, cost, reproduction. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

enum { STEPS_SHOWN = 12, PROBLEMS_SHOWN = 120 };

/* ---- faults ---- */

static rt_status put_table_row(void *user, const struct store_row *row)
{
    struct report *r = user;
    html_raw(&r->h, "<tr>");
    for (int i = 0; i < store_row_count(row); i++) {
        html_raw(&r->h, i ? "<td class=\"n\">" : "<td>");
        html_text(&r->h, store_row_text(row, i));
        html_raw(&r->h, "</td>");
    }
    html_raw(&r->h, "</tr>");
    return RT_OK;
}

struct histogram {
    int64_t count[STEPS_SHOWN], most;
};

static rt_status take_step(void *user, const struct store_row *row)
{
    struct histogram *g = user;
    int64_t k = store_row_integer(row, 0);
    k = k < STEPS_SHOWN ? k : STEPS_SHOWN - 1;
    g->count[k] += store_row_integer(row, 1);
    g->most = g->count[k] > g->most ? g->count[k] : g->most;
    return RT_OK;
}

static void put_histogram(struct html *h, const struct histogram *g)
{
    html_raw(
        h,
        "<svg viewBox=\"0 0 860 180\" role=\"img\" aria-label=\"first faulty step by its "
        "number\">");
    for (int k = 0; k < STEPS_SHOWN; k++) {
        const double height = g->most ? 120.0 * (double)g->count[k] / (double)g->most : 0;
        html_raw(h,
                 "<rect x=\"%d\" y=\"%.1f\" width=\"46\" height=\"%.1f\" "
                 "fill=\"var(--quant)\"/>"
                 "<text x=\"%d\" y=\"%.1f\" text-anchor=\"middle\">%lld</text><text "
                 "class=\"dim\" "
                 "x=\"%d\" y=\"168\" text-anchor=\"middle\">%d%s</text>",
                 20 + 66 * k, 150 - height, height, 43 + 66 * k, 144 - height,
                 (long long)g->count[k], 43 + 66 * k, k + 1,
                 k == STEPS_SHOWN - 1 ? "+" : "");
    }
    html_raw(h, "</svg>");
}

rt_status report_faults(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    struct histogram g = { .most = 0 };
    const char *const args[] = { r->campaign, NULL };
    html_raw(h, "<h2 id=\"faults\">Where the first fault lies</h2><p "
                "class=\"sub\">Problems of the "
                "mined split that full precision solves and the quantized model does "
                "not; the step "
                "that the verdict names.</p>");
    TRY(store_query(
        r->store,
        "SELECT f.step_idx, count(*) FROM fault f JOIN run r ON r.run_id=f.run_id "
        "WHERE r.campaign_id=?1 AND f.locator='verdict' AND f.step_idx IS NOT NULL "
        "GROUP BY 1 ORDER BY 1",
        args, take_step, &g));
    put_histogram(h, &g);
    html_raw(h, "<div class=\"scroll\"><table><tr><th>category of the fault</th><th "
                "class=\"n\">faults</th></tr>");
    TRY(store_query(
        r->store,
        "SELECT c.label, count(*) FROM fault f JOIN run r ON r.run_id=f.run_id JOIN "
        "fault_category c ON c.code=f.category WHERE r.campaign_id=?1 AND "
        "f.locator='verdict' GROUP BY 1 ORDER BY 2 DESC, 1",
        args, put_table_row, r));
    html_raw(
        h,
        "</table></div><h3>How far the locators can be trusted</h3><div class=\"scroll\">"
        "<table><tr><th>locator</th><th class=\"n\">names a step</th><th "
        "class=\"n\">names the "
        "gold step</th><th class=\"n\">precision</th><th class=\"n\">of "
        "judged</th></tr>");
    TRY(store_query(
        r->store,
        "SELECT replace(s.name,'_said',''), CAST(s.value AS INTEGER), CAST(x.value AS "
        "INTEGER), format('%.3f',x.value/max(s.value,1)), CAST(j.value AS INTEGER) "
        "FROM run r JOIN metric s ON s.run_id=r.run_id AND s.name LIKE '%\\_said' "
        "ESCAPE '\\' JOIN metric x ON x.run_id=r.run_id AND x.name=replace(s.name,"
        "'_said','_right') JOIN metric j ON j.run_id=r.run_id AND j.name='judged' "
        "WHERE r.campaign_id=?1 AND r.kind='locate' ORDER BY 1",
        args, put_table_row, r));
    html_raw(
        h,
        "</table></div><p class=\"sub\">Judged by the generator's own program, which no "
        "verdict ever sees.</p>");
    return RT_OK;

fail:
    return st;
}

/* ---- problems ---- */

static size_t common_prefix(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

/* An answer against full's: what is the same is dim, the first difference is marked, the
 * step [from, to) is boxed. */
static void put_answer(struct html *h, const char *text, const char *full, int64_t from,
                       int64_t to)
{
    const size_t size = strlen(text), same = full ? common_prefix(text, full) : 0;
    const size_t mark = full && (text[same] || full[same]) ? same : size;
    const size_t begin = from >= 0 && (size_t)from <= size ? (size_t)from : size + 1;
    const size_t end = to >= 0 && (size_t)to <= size ? (size_t)to : size;
    html_raw(h, "<span class=\"same\">");
    for (size_t i = 0; i < size; i++) {
        if (i == begin)
            html_raw(h, "</span><span class=\"fault\">");
        if (i == end && end > begin && begin <= size)
            html_raw(h, "</span><span>");
        if (i == mark)
            html_raw(h, "<mark>");
        html_text_n(h, text + i, 1);
        if (i == mark)
            html_raw(h, "</mark>");
    }
    html_raw(h, "</span>");
}

struct listing {
    struct report *r;
    uint32_t shown, all;
};

static rt_status put_problem(void *user, const struct store_row *row)
{
    struct listing *l = user;
    struct html *h = &l->r->h;
    l->all++;
    if (l->shown == PROBLEMS_SHOWN)
        return RT_OK;
    l->shown++;
    const bool back = store_row_integer(row, 5) != 0, has = !store_row_null(row, 4);
    html_raw(h, "<details id=\"p=%s\"><summary><code>", store_row_text(row, 0));
    html_text(h, store_row_text(row, 0));
    html_raw(h, "</code> %s ",
             !has   ? ""
             : back ? "<span class=\"ok\">\xe2\x9c\x93 recovered</span>"
                    : "<span class=\"no\">\xe2\x9c\x97 still wrong</span>");
    html_text(h, store_row_text(row, 1));
    html_raw(h, "</summary><p class=\"sub\">right answer: ");
    html_text(h, store_row_text(row, 6));
    html_raw(h, "</p><div class=\"three\"><div><strong>full \xe2\x9c\x93</strong>\n");
    html_text(h, store_row_text(row, 2));
    html_raw(h, "</div><div><strong>quantized \xe2\x9c\x97</strong>\n");
    int64_t from = store_row_null(row, 7) ? -1 : store_row_integer(row, 7);
    int64_t to = store_row_null(row, 8) ? -1 : store_row_integer(row, 8);
    put_answer(h, store_row_text(row, 3), store_row_text(row, 2), from, to);
    html_raw(h, "</div><div><strong>restored %s</strong>\n",
             !has   ? ""
             : back ? "\xe2\x9c\x93"
                    : "\xe2\x9c\x97");
    put_answer(h, store_row_text(row, 4), store_row_text(row, 2), -1, -1);
    html_raw(h, "</div></div></details>");
    return RT_OK;
}

/* Lost problems of the measured split; the boxed step is the one in which the quantized
 * answer first differs from full's (the verdicts above are of the mined split). */
rt_status report_problems(struct report *r)
{
    struct listing l = { .r = r };
    const char *const args[] = { r->arms[0].run, r->arms[1].run,
                                 r->main_arm >= 0 ? r->arms[r->main_arm].run : "", NULL };
    html_raw(&r->h, "<h2 id=\"problems\">Lost problems, side by side</h2>");
    const rt_status st = store_query(
        r->store,
        "WITH d AS (SELECT f.problem_id pid, f.output fo, q.output qo, q.gen_id qg, "
        "p.question "
        "question, p.answer answer FROM generation f JOIN score fs ON fs.gen_id=f.gen_id "
        "AND "
        "fs.correct=1 JOIN generation q ON q.run_id=?2 AND q.problem_id=f.problem_id "
        "JOIN score "
        "qs ON qs.gen_id=q.gen_id AND qs.correct=0 JOIN problem p ON "
        "p.problem_id=f.problem_id "
        "WHERE f.run_id=?1), s AS (SELECT d.pid, min(st.idx) idx FROM d JOIN step st ON "
        "st.gen_id=d.qg AND substr(d.qo,1,st.char_end)<>substr(d.fo,1,st.char_end) GROUP "
        "BY 1) "
        "SELECT d.pid, d.question, d.fo, d.qo, r.output, rs.correct, d.answer, "
        "st.char_start, "
        "st.char_end FROM d LEFT JOIN generation r ON r.run_id=?3 AND r.problem_id=d.pid "
        "LEFT "
        "JOIN score rs ON rs.gen_id=r.gen_id LEFT JOIN s ON s.pid=d.pid LEFT JOIN step "
        "st ON "
        "st.gen_id=d.qg AND st.idx=s.idx ORDER BY d.pid",
        args, put_problem, &l);
    html_raw(
        &r->h,
        "<p class=\"sub\">%u of %u lost problems are shown. Boxed: the first step in "
        "which the quantized answer differs; double underline: the first differing "
        "character.</p>",
        l.shown, l.all);
    return st;
}

/* ---- training ---- */

struct curve {
    double x[4096], y[4096];
    uint32_t n;
};

static rt_status take_point(void *user, const struct store_row *row)
{
    struct curve *c = user;
    if (c->n < RT_COUNT(c->x)) {
        c->x[c->n] = store_row_number(row, 0);
        c->y[c->n++] = store_row_number(row, 1);
    }
    return RT_OK;
}

static void put_curve(struct html *h, const struct curve *c, const char *name)
{
    double low = INFINITY, high = -INFINITY;
    for (uint32_t i = 0; i < c->n; i++) {
        low = fmin(low, c->y[i]);
        high = fmax(high, c->y[i]);
    }
    const double span = high > low ? high - low : 1,
                 last = c->x[c->n - 1] > 0 ? c->x[c->n - 1] : 1;
    html_raw(
        h,
        "<svg viewBox=\"0 0 280 110\" role=\"img\" aria-label=\"%s from %.4g to %.4g "
        "over "
        "%.0f steps\" style=\"flex:1 1 220px\"><text x=\"4\" y=\"12\">%s</text><text "
        "class=\"dim\" x=\"276\" y=\"12\" text-anchor=\"end\">%.4g \xe2\x86\x92 "
        "%.4g</text><polyline "
        "fill=\"none\" stroke=\"var(--full)\" stroke-width=\"1.5\" points=\"",
        name, c->y[0], c->y[c->n - 1], last, name, c->y[0], c->y[c->n - 1]);
    for (uint32_t i = 0; i < c->n; i++)
        html_raw(h, "%.1f,%.1f ", 6 + 268 * c->x[i] / last,
                 100 - 78 * (c->y[i] - low) / span);
    html_raw(h, "\"/></svg>");
}

static rt_status put_run_curves(void *user, const struct store_row *row)
{
    static const char *const names[] = { "loss", "grad_norm", "val_accuracy", "margin" };
    rt_status st = RT_OK;
    struct report *r = user;
    struct curve *c = rt_alloc(r->ctx, 1, sizeof *c);
    if (!c)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    html_raw(&r->h, "<h3>");
    html_text(&r->h, store_row_text(row, 1));
    html_raw(&r->h, "</h3><div style=\"display:flex;flex-wrap:wrap;gap:.5rem\">");
    for (size_t i = 0; i < RT_COUNT(names) && st == RT_OK; i++) {
        const char *const args[] = { store_row_text(row, 0), names[i], NULL };
        c->n = 0;
        st = store_query(
            r->store,
            "SELECT step,value FROM metric WHERE run_id=?1 AND name=?2 ORDER BY step",
            args, take_point, c);
        if (c->n > 1)
            put_curve(&r->h, c, names[i]);
    }
    html_raw(&r->h, "</div>");
    rt_free(c);
    return st;
}

rt_status report_training(struct report *r)
{
    const char *const args[] = { r->campaign, NULL };
    html_raw(&r->h, "<h2 id=\"training\">Training</h2>");
    return store_query(
        r->store,
        "SELECT run_id, json_extract(config,'$.recipe')||' \xc2\xb7 '||coalesce("
        "(SELECT CAST(value AS INTEGER) FROM metric m WHERE m.run_id=r.run_id AND "
        "name='items'),0)||' items \xc2\xb7 lr '||json_extract(config,'$.lr') FROM "
        "run r WHERE campaign_id=?1 AND kind='train' AND EXISTS(SELECT 1 FROM "
        "metric m WHERE m.run_id=r.run_id AND name='loss') ORDER BY started_ms,"
        "run_id",
        args, put_run_curves, r);
}

/* ---- cost, device, how to do it again ---- */

rt_status report_costs(struct report *r)
{
    rt_status st;
    const char *const args[] = { r->campaign, NULL };
    html_raw(
        &r->h,
        "<h2 id=\"cost\">Cost</h2><div class=\"scroll\"><table><tr><th>stage</th><th "
        "class=\"n\">wall s</th><th class=\"n\">device s</th><th class=\"n\">device "
        "share</th>"
        "<th class=\"n\">tokens</th><th class=\"n\">TFLOP</th><th "
        "class=\"n\">GFLOP/s</th></tr>");
    TRY(store_query(
        r->store,
        "SELECT r.kind||' '||CASE r.kind WHEN 'train' THEN json_extract(r.config,"
        "'$.recipe') ELSE coalesce(b.split,'')||' '||coalesce(v.label,'') END, "
        "format('%.2f',w.value), format('%.2f',d.value), format('%.0f %%',100*d.value/"
        "w.value), coalesce(CAST(t.value AS INTEGER),''), format('%.3f',f.value), "
        "format('%.1f',1000*f.value/w.value) FROM run r LEFT JOIN variant v "
        "USING(variant_id) LEFT JOIN benchmark b USING(benchmark_id) JOIN metric w ON "
        "w.run_id=r.run_id AND w.name='wall_seconds' JOIN metric d ON d.run_id="
        "r.run_id AND d.name='device_seconds' LEFT JOIN metric t ON t.run_id=r.run_id "
        "AND t.name='tokens' LEFT JOIN metric f ON f.run_id=r.run_id AND f.name="
        "'tflop' WHERE r.campaign_id=?1 ORDER BY r.started_ms, r.run_id",
        args, put_table_row, r));
    html_raw(
        &r->h,
        "</table></div><h2 id=\"device\">Device and driver</h2><div class=\"scroll\">"
        "<table><tr><th>device</th><th>driver</th><th>machine</th><th>plan</th></tr>");
    TRY(store_query(
        r->store,
        "SELECT DISTINCT d.name, dr.name, m.cpu||', '||m.cpu_cores||' cores, '||m.os||"
        "' '||m.kernel, e.caps FROM run r JOIN environment e USING(env_id) JOIN device "
        "d USING(device_id) JOIN driver dr USING(driver_id) JOIN machine m "
        "USING(machine_id) WHERE r.campaign_id=?1 ORDER BY 1",
        args, put_table_row, r));
    html_raw(&r->h, "</table></div>");
    return RT_OK;

fail:
    return st;
}

rt_status report_reproduce(struct report *r)
{
    rt_status st;
    const char *const args[] = { r->campaign, NULL };
    html_raw(&r->h,
             "<h2 id=\"reproduce\">Reproduce</h2><div class=\"scroll\"><table><tr><th>"
             "campaign</th><th>plan</th></tr>");
    TRY(store_query(r->store, "SELECT name, plan FROM campaign WHERE campaign_id=?1",
                    args, put_table_row, r));
    html_raw(
        &r->h,
        "</table></div><div class=\"scroll\"><table><tr><th>variant</th><th>weights</th>"
        "<th>adapter</th><th>quantization</th></tr>");
    TRY(store_query(
        r->store,
        "SELECT DISTINCT v.label, v.weights_id, coalesce(v.adapter_id,''), coalesce("
        "v.quant,'') FROM run r JOIN variant v USING(variant_id) WHERE r.campaign_id=?1"
        " ORDER BY 1",
        args, put_table_row, r));
    html_raw(
        &r->h,
        "</table></div><p class=\"sub\">Greedy decoding, batch-invariant kernels: the "
        "same command on the same device and driver gives the same rows.</p>");
    return RT_OK;

fail:
    return st;
}

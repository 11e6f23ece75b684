/* store/report/report_training.c
 * What the adapters were trained on, and how the training went: curves with axes, the
 * table of some of their points. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

enum { POINTS_MAX = 4096, DRAWN_MAX = 400, TABLE_ROWS = 12, CURVES = 6 };

static const struct {
    const char *name, *title, *unit;
} curves[CURVES] = {
    { "loss", "training loss", "nats" },
    { "val_accuracy", "right on the validation slice", "share" },
    { "grad_norm", "gradient norm", "" },
    { "lr", "learning rate", "" },
    { "margin", "reward margin", "nats" },
    { "pair_accuracy", "pairs preferred rightly", "share" },
};

struct curve {
    double x[POINTS_MAX], y[POINTS_MAX];
    uint32_t n, all;
};

static rt_status take_point(void *user, const struct store_row *row)
{
    struct curve *c = user;
    c->all++;
    if (c->n < POINTS_MAX && !store_row_null(row, 1) &&
        isfinite(store_row_number(row, 1))) {
        c->x[c->n] = store_row_number(row, 0);
        c->y[c->n++] = store_row_number(row, 1);
    }
    return RT_OK;
}

static void put_curve(struct html *h, const struct curve *c, int which)
{
    double low = INFINITY, high = -INFINITY;
    for (uint32_t i = 0; i < c->n; i++) {
        low = fmin(low, c->y[i]);
        high = fmax(high, c->y[i]);
    }
    const double span = high > low ? high - low : 1;
    const double first = c->x[0],
                 last = c->x[c->n - 1] > first ? c->x[c->n - 1] : first + 1;
    const uint32_t stride = c->n / DRAWN_MAX + 1;
    html_raw(h,
             "<figure><svg viewBox=\"0 0 300 150\" role=\"img\" aria-label=\"%s: %.4g at "
             "step %.0f, %.4g at step %.0f, between %.4g and %.4g\"><text class=\"b\" "
             "x=\"62\" y=\"12\">%s%s%s</text><path class=\"g\" d=\"M62 22V122H294M62 "
             "22h-4M62 122h-4\"/><text class=\"d e\" x=\"56\" y=\"28\">%.3g</text><text "
             "class=\"d e\" x=\"56\" y=\"124\">%.3g</text><text class=\"d\" x=\"62\" "
             "y=\"138\">%.0f</text><text class=\"d m\" x=\"178\" y=\"138\">step</text>"
             "<text class=\"d e\" x=\"294\" y=\"138\">%.0f</text><path class=\"l\" d=\"",
             curves[which].title, c->y[0], c->x[0], c->y[c->n - 1], c->x[c->n - 1], low,
             high, curves[which].title, curves[which].unit[0] ? ", " : "",
             curves[which].unit, high, low, first, last);
    for (uint32_t i = 0; i < c->n; i += stride)
        html_raw(h, "%c%.1f %.1f", i ? 'L' : 'M',
                 62 + 232 * (c->x[i] - first) / (last - first),
                 122 - 100 * (c->y[i] - low) / span);
    html_raw_text(h, "\"/>");
    for (uint32_t i = 0; i < c->n && c->n <= 12; i++) /* few points: show each */
        html_raw(h, "<circle class=\"cf\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>",
                 62 + 232 * (c->x[i] - first) / (last - first),
                 122 - 100 * (c->y[i] - low) / span);
    html_raw_text(h, "</svg></figure>");
}

static const double *value_at(const struct curve *c, double step)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->x[i] == step)
            return &c->y[i];
    return NULL;
}

static void put_points(struct html *h, const struct curve *c)
{
    html_raw_text(h, "<details class=\"twin\"><summary>Curves as a table</summary>");
    report_table_open(h, "Points of the curves");
    html_raw_text(h, "<tr><th class=\"n\">step</th>");
    for (int k = 0; k < CURVES; k++)
        if (c[k].n)
            html_raw(h, "<th class=\"n\">%s</th>", curves[k].title);
    html_raw_text(h, "</tr>\n");
    const uint32_t rows = c[0].n < TABLE_ROWS ? c[0].n : TABLE_ROWS;
    for (uint32_t i = 0; i < rows; i++) {
        const double step = c[0].x[rows > 1 ? (size_t)i * (c[0].n - 1) / (rows - 1) : 0];
        html_raw(h, "<tr><td class=\"n\">%.0f</td>", step);
        for (int k = 0; k < CURVES; k++) {
            const double *y = c[k].n ? value_at(&c[k], step) : NULL;
            if (y)
                html_raw(h, "<td class=\"n\">%.4g</td>", *y);
            else if (c[k].n)
                html_raw_text(h, "<td class=\"n\">\xe2\x80\x93</td>");
        }
        html_raw_text(h, "</tr>\n");
    }
    report_table_close(h);
    if (c[1].n) {
        html_raw_text(h, "<p class=\"sub\">Validation:");
        for (uint32_t i = 0; i < c[1].n && i < 40; i++)
            html_raw(h, "%s step %.0f: %.3f", i ? "," : "", c[1].x[i], c[1].y[i]);
        html_raw_text(h, ".</p>");
    }
    html_raw_text(h, "</details>");
}

static rt_status put_run(void *user, const struct store_row *row)
{
    rt_status st = RT_OK;
    struct report *r = user;
    struct html *h = &r->h;
    struct curve *c = rt_alloc(r->ctx, CURVES, sizeof *c);
    if (!c)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    for (int k = 0; k < CURVES; k++) {
        const char *const args[] = { store_row_text(row, 0), curves[k].name, NULL };
        TRY(store_query(
            r->store,
            "SELECT step,value FROM metric WHERE run_id=?1 AND name=?2 ORDER BY step",
            args, take_point, &c[k]));
    }
    html_raw_text(h, "<h3>");
    html_text(h, store_row_text(row, 1));
    html_raw_text(h, "</h3><p class=\"sub\">");
    html_text(h, store_row_text(row, 2));
    if (c[0].n < 2)
        html_raw_text(h, " \xc2\xb7 no training steps: computed in closed form, or not "
                         "begun");
    else if (c[0].n < c[0].all)
        html_raw(h, " \xc2\xb7 %u of %u steps drawn (finite, and the first %d)", c[0].n,
                 c[0].all, POINTS_MAX);
    html_raw_text(h, "</p><div class=\"curves\">");
    for (int k = 0; k < CURVES; k++)
        if (c[k].n > 1)
            put_curve(h, &c[k], k);
    html_raw_text(h, "</div>\n");
    if (c[0].n > 1)
        put_points(h, c);

fail:
    rt_free(c);
    return st;
}

static rt_status count_row(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

static rt_status put_items(struct report *r)
{
    rt_status st;
    int64_t items = 0;
    struct html *h = &r->h;
    const char *const args[] = { r->campaign, NULL };
    TRY(store_query(
        r->store,
        "SELECT count(*) FROM bullet_item i JOIN bullet_set b "
        "USING(dataset_id) JOIN run r ON r.run_id=b.run_id WHERE " OF_CAMPAIGN,
        args, count_row, &items));
    if (items == 0)
        return RT_OK;
    report_table_open(h, "Training items");
    html_raw_text(
        h, "<caption>Silver Bullet items by recipe</caption><tr><th>recipe</th>"
           "<th class=\"n\">kind</th><th class=\"n\">items used</th><th "
           "class=\"n\">problems</th><th class=\"n\">dropped</th><th class=\"n\">most "
           "frequent reason</th></tr>\n");
    TRY(store_query(
        r->store,
        "WITH x AS (SELECT b.dataset_id, i.excluded, count(*) n, row_number() OVER "
        "(PARTITION BY b.dataset_id ORDER BY count(*) DESC, i.excluded) k FROM "
        "bullet_item i JOIN bullet_set b USING(dataset_id) WHERE i.excluded IS NOT NULL "
        "GROUP BY 1,2) SELECT coalesce(json_extract(r.config,'$.recipe'),r.kind), "
        "b.kind, "
        "sum(i.excluded IS NULL), count(DISTINCT CASE WHEN i.excluded IS NULL THEN "
        "i.problem_id END), sum(i.excluded IS NOT NULL), coalesce((SELECT x.excluded||' "
        "('||x.n||')' FROM x WHERE x.dataset_id=b.dataset_id AND x.k=1),'') FROM run r "
        "JOIN bullet_set b ON b.run_id=r.run_id JOIN bullet_item i "
        "ON i.dataset_id=b.dataset_id WHERE " OF_CAMPAIGN " GROUP BY b.dataset_id ORDER "
        "BY r.started_ms, b.dataset_id",
        args, report_table_row, r));
    report_table_close(h);
    return RT_OK;

fail:
    return st;
}

rt_status report_training(struct report *r)
{
    rt_status st;
    int64_t runs = 0;
    const char *const args[] = { r->campaign, NULL };
    html_raw_text(&r->h, "<h2 id=\"training\">Silver Bullet data and training</h2>\n");
    TRY(store_query(r->store,
                    "SELECT count(*) FROM run r WHERE " OF_CAMPAIGN " AND kind='train'",
                    args, count_row, &runs));
    if (runs == 0) {
        html_raw_text(&r->h, "<p class=\"note\">Nothing has been trained.</p>\n");
        return RT_OK;
    }
    TRY(put_items(r));
    TRY(store_query(
        r->store,
        "SELECT run_id, coalesce(json_extract(config,'$.recipe'),'training'), r.status||"
        "' \xc2\xb7 '||coalesce((SELECT CAST(value AS INTEGER)||' items' FROM metric m "
        "WHERE m.run_id=r.run_id AND name='items'),'items not counted')||' \xc2\xb7 rank "
        "'||coalesce(json_extract(config,'$.rank'),'?')||coalesce(' of '||json_extract("
        "config,'$.adapter_bits')||' bits','')||', batch '||coalesce("
        "json_extract(config,'$.batch'),'?')||', epochs '||coalesce(json_extract(config,"
        "'$.epochs'),'?')||', learning rate '||coalesce(json_extract(config,'$.lr'),'?') "
        "FROM run r WHERE " OF_CAMPAIGN " AND kind='train' ORDER BY started_ms, run_id",
        args, put_run, r));
    return RT_OK;

fail:
    return st;
}

/* store/report/report_faults.c
 * Where the first fault lies and of what kind, in the quantized model's wrong answers and
 * in those that are still wrong after the repair; and how far the locators can be trusted.
 * Always: wrong answers to problems that full precision solves. */
#include "store/report/report_impl.h"

#include "runtime/base/os.h"

#include <math.h>
#include <string.h>

enum { STEPS_SHOWN = 10, CATEGORIES_MAX = 16, SIDES = 3, TENTHS = 5 };
enum { MINED, QUANT, MAIN }; /* sides: split and model */

struct category {
    char code[48], label[64];
    uint32_t count[SIDES];
};

struct faults {
    struct category categories[CATEGORIES_MAX];
    uint32_t category_count;
    uint32_t steps[SIDES][STEPS_SHOWN], place[SIDES][TENTHS];
    uint32_t back[STEPS_SHOWN]; /* of QUANT: right again in the main arm */
    uint32_t found[SIDES], none[SIDES], unread[SIDES]; /* none: no fault found */
    int side;
};

static void count_category(struct faults *f, const char *code, const char *label)
{
    uint32_t k = 0;
    while (k < f->category_count && strcmp(f->categories[k].code, code) != 0)
        k++;
    if (k == CATEGORIES_MAX)
        k--; /* the last takes the rest */
    if (k == f->category_count) {
        f->category_count++;
        snprintf(f->categories[k].code, sizeof f->categories[k].code, "%.47s", code);
        snprintf(f->categories[k].label, sizeof f->categories[k].label, "%.63s", label);
    }
    f->categories[k].count[f->side]++;
}

static rt_status take_fault(void *user, const struct store_row *row)
{
    struct faults *f = user;
    if (store_row_integer(row, 5)) {
        f->unread[f->side]++;
        return RT_OK;
    }
    if (store_row_null(row, 0)) {
        f->none[f->side]++;
        return RT_OK;
    }
    const int64_t step = store_row_integer(row, 0), steps = store_row_integer(row, 3);
    const int64_t k = step < 0 ? 0 : step < STEPS_SHOWN ? step : STEPS_SHOWN - 1;
    f->found[f->side]++;
    f->steps[f->side][k]++;
    if (f->side == QUANT)
        f->back[k] += store_row_integer(row, 4) != 0;
    if (step >= 0 && step < steps)
        f->place[f->side][steps > 1 ? (TENTHS * step) / steps : 0]++;
    count_category(f, store_row_text(row, 1), store_row_text(row, 2));
    return RT_OK;
}

/* ?1 full's run, ?2 the run whose wrong answers count, ?3 the main arm's run. */
static rt_status load_side(struct report *r, struct faults *f, int side, const char *full,
                           const char *run)
{
    const char *main_run = r->main_arm < 0 ? "" : r->arms[r->main_arm].run;
    const char *const args[] = { full, run, main_run, r->campaign, NULL };
    f->side = side;
    return store_query(
        r->store,
        "SELECT x.step_idx, coalesce(x.category,'unclassified'), coalesce(c.label,"
        "'unclassified'), (SELECT max(idx)+1 FROM step WHERE gen_id=g.gen_id), (SELECT "
        "s.correct FROM generation m JOIN v_verdict s ON s.gen_id=m.gen_id WHERE "
        "m.run_id=?3 AND m.problem_id=g.problem_id AND m.sample=0), x.fault_id IS NULL "
        "FROM generation f JOIN generation g ON g.run_id=?2 AND "
        "g.problem_id=f.problem_id AND g.sample=0 LEFT JOIN fault x ON "
        "x.run_id=" LOCATE_RUN(
            "?4", "?2") " AND x.gen_id=g.gen_id AND x.locator='verdict' "
                        "AND x.review<>'rejected' LEFT JOIN fault_category c ON "
                        "c.code=x.category WHERE f.run_id=?1 AND f.sample=0 AND "
                        "(SELECT correct FROM v_verdict s WHERE s.gen_id=f.gen_id)=1 "
                        "AND NOT coalesce((SELECT correct FROM v_verdict s WHERE "
                        "s.gen_id=g.gen_id),0) ORDER BY g.problem_id",
        args, take_fault, f);
}

struct mined {
    char full[STORE_ID], quant[STORE_ID];
};

static rt_status take_mined(void *user, const struct store_row *row)
{
    struct mined *m = user;
    char *to = strcmp(store_row_text(row, 1), "full") == 0 ? m->full : m->quant;
    if (!to[0])
        snprintf(to, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

static rt_status load(struct report *r, struct faults *f)
{
    rt_status st;
    struct mined m = { 0 };
    const char *const args[] = { r->campaign, NULL };
    TRY(store_query(
        r->store,
        "SELECT r.run_id, v.role FROM run r JOIN variant v USING(variant_id) "
        "JOIN benchmark b USING(benchmark_id) WHERE " OF_CAMPAIGN " AND "
        "r.kind='eval' AND b.split='mine' AND v.role IN ('full','quant') ORDER "
        "BY b.n_problems DESC, r.started_ms, r.run_id",
        args, take_mined, &m));
    if (m.full[0] && m.quant[0])
        TRY(load_side(r, f, MINED, m.full, m.quant));
    TRY(load_side(r, f, QUANT, r->arms[0].run, r->arms[1].run));
    if (r->main_arm >= 0)
        TRY(load_side(r, f, MAIN, r->arms[0].run, r->arms[r->main_arm].run));
    return RT_OK;

fail:
    return st;
}

/* ---- charts ---- */

/* Bars of `count` with the part `part` of each filled otherwise; labels by number. */
static void put_columns(struct html *h, const uint32_t *count, const uint32_t *part,
                        int n, const char *const *names, const char *axis)
{
    uint32_t most = 1;
    const double wide = 420.0 / n;
    for (int k = 0; k < n; k++)
        most = count[k] > most ? count[k] : most;
    for (int k = 0; k < n; k++) {
        const double x = 30 + k * wide, tall = 120.0 * count[k] / most;
        const double lower = part ? 120.0 * part[k] / most : 0;
        html_raw(h,
                 "<rect class=\"cq\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                 "height=\"%.1f\"/>",
                 x, 140 - tall, wide - 8, tall - lower);
        if (lower > 0)
            html_raw(h,
                     "<rect class=\"hg\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                     "height=\"%.1f\"/>",
                     x, 140 - lower, wide - 8, lower);
        html_raw(h,
                 "<text class=\"m\" x=\"%.1f\" y=\"%.1f\">%u</text><text class=\"d m\" "
                 "x=\"%.1f\" y=\"156\">%s</text>",
                 x + wide / 2 - 4, 135 - tall, count[k], x + wide / 2 - 4, names[k]);
    }
    html_raw(h,
             "<path class=\"g\" d=\"M26 140H446\"/><text class=\"d m\" x=\"236\" "
             "y=\"174\">%s</text></svg>",
             axis);
}

static const char *const step_names[STEPS_SHOWN] = { "1", "2", "3", "4", "5",
                                                     "6", "7", "8", "9", "10+" };
static const char *const place_names[TENTHS] = { "0\xe2\x80\x93"
                                                 "20\xc2\xa0%",
                                                 "20\xe2\x80\x93"
                                                 "40\xc2\xa0%",
                                                 "40\xe2\x80\x93"
                                                 "60\xc2\xa0%",
                                                 "60\xe2\x80\x93"
                                                 "80\xc2\xa0%",
                                                 "80\xe2\x80\x93"
                                                 "100\xc2\xa0%" };

static void put_step_table(struct report *r, const struct faults *f)
{
    struct html *h = &r->h;
    html_raw_text(h, "<details class=\"twin\"><summary>Steps as a table</summary>");
    report_table_open(h, "First faulty step");
    html_raw_text(h, "<tr><th>step</th><th class=\"n\">mined</th><th "
                     "class=\"n\">measured</th><th class=\"n\">of these right again</th>"
                     "</tr>");
    for (int k = 0; k < STEPS_SHOWN; k++) {
        html_raw(h, "<tr><td>%s</td><td class=\"n\">%u</td><td class=\"n\">",
                 step_names[k], f->steps[MINED][k]);
        if (f->steps[QUANT][k] && k + 1 < STEPS_SHOWN)
            html_raw(h, "<a href=\"#step=%d\">%u</a>", k + 1, f->steps[QUANT][k]);
        else
            html_raw(h, "%u", f->steps[QUANT][k]);
        html_raw(h, "</td><td class=\"n\">%u</td></tr>\n", f->back[k]);
    }
    report_table_close(h);
    html_raw_text(h, "</details>");
}

static void put_histogram(struct report *r, const struct faults *f)
{
    struct html *h = &r->h;
    html_raw_text(h, "<div class=\"pair\"><figure><svg viewBox=\"0 0 460 182\" "
                     "role=\"img\" aria-label=\"Measured problems by first faulty "
                     "step:");
    for (int k = 0; k < STEPS_SHOWN; k++)
        html_raw(h, " step %s: %u;", step_names[k], f->steps[QUANT][k]);
    html_raw_text(h, "\">");
    put_columns(h, f->steps[QUANT], f->back, STEPS_SHOWN, step_names,
                "first faulty step of the quantized answer");
    html_raw(h,
             "<figcaption>%u lost measured problems with a located fault%s.</figcaption>",
             f->found[QUANT],
             r->main_arm < 0 ? "" : "; hatched: right again in the restored model");
    put_step_table(r, f);
    html_raw_text(h, "</figure><figure><svg viewBox=\"0 0 460 182\" role=\"img\" "
                     "aria-label=\"All located faults by place in the solution:");
    uint32_t place[TENTHS];
    for (int k = 0; k < TENTHS; k++) {
        place[k] = f->place[MINED][k] + f->place[QUANT][k];
        html_raw(h, " %s: %u;", place_names[k], place[k]);
    }
    html_raw_text(h, "\">");
    put_columns(h, place, NULL, TENTHS, place_names,
                "steps before the fault, of all steps of the answer");
    html_raw_text(h, "<figcaption>Quantized model, mined and measured problems "
                     "together.</figcaption></figure></div>\n");
}

static void put_category_chart(struct report *r, const struct faults *f)
{
    struct html *h = &r->h;
    const bool both = r->main_arm >= 0;
    const int row = both ? 40 : 26;
    uint32_t most = 1;
    for (uint32_t k = 0; k < f->category_count; k++)
        for (int s = QUANT; s <= MAIN; s++)
            most = f->categories[k].count[s] > most ? f->categories[k].count[s] : most;
    html_raw(h,
             "<figure><svg viewBox=\"0 0 460 %d\" role=\"img\" aria-label=\"Measured "
             "faults by category, before and after; the numbers are in the table\">",
             (int)f->category_count * row + 6);
    for (uint32_t k = 0; k < f->category_count; k++) {
        const uint32_t *count = f->categories[k].count;
        const int y = 4 + (int)k * row;
        html_raw(h, "<text class=\"e\" x=\"190\" y=\"%d\">", y + (both ? 20 : 13));
        html_text_n(h, f->categories[k].label, os_length(f->categories[k].label, 28));
        html_raw(h,
                 "</text><rect class=\"cq\" x=\"198\" y=\"%d\" width=\"%.1f\" "
                 "height=\"14\"/><text x=\"%.1f\" y=\"%d\">%u</text>",
                 y, 220.0 * count[QUANT] / most, 204 + 220.0 * count[QUANT] / most,
                 y + 12, count[QUANT]);
        if (both)
            html_raw(h,
                     "<rect class=\"cr\" x=\"198\" y=\"%d\" width=\"%.1f\" "
                     "height=\"14\" fill-opacity=\"0.35\"/><text x=\"%.1f\" "
                     "y=\"%d\">%u</text>",
                     y + 16, 220.0 * count[MAIN] / most, 204 + 220.0 * count[MAIN] / most,
                     y + 28, count[MAIN]);
    }
    html_raw(h,
             "</svg><figcaption>Measured problems. Filled: quantized%s.</figcaption>"
             "</figure>\n",
             both ? "; pale: still wrong, or newly wrong, in the restored model" : "");
}

static void put_categories(struct report *r, const struct faults *f)
{
    struct html *h = &r->h;
    html_raw_text(h, "<h3>Categories before and after</h3><div class=\"pair\">");
    put_category_chart(r, f);
    html_raw_text(h, "<div>");
    report_table_open(h, "Categories of faults");
    html_raw(h,
             "<tr><th>category of the first fault</th><th class=\"n\">mined</th><th "
             "class=\"n\">quantized</th>%s</tr>\n",
             r->main_arm < 0 ? "" : "<th class=\"n\">restored</th>");
    for (uint32_t k = 0; k < f->category_count; k++) {
        const struct category *c = &f->categories[k];
        html_raw_text(h, "<tr><td>");
        html_text(h, c->label);
        html_raw(h, "</td><td class=\"n\">%u</td><td class=\"n\"><a href=\"#category=",
                 c->count[MINED]);
        html_url(h, c->code);
        html_raw(h, "\">%u</a></td>", c->count[QUANT]);
        if (r->main_arm >= 0)
            html_raw(h, "<td class=\"n\">%u</td>", c->count[MAIN]);
        html_raw_text(h, "</tr>\n");
    }
    html_raw(h,
             "<tr><td>wrong, but no fault found</td><td class=\"n\">%u</td><td "
             "class=\"n\">%u</td>",
             f->none[MINED], f->none[QUANT]);
    if (r->main_arm >= 0)
        html_raw(h, "<td class=\"n\">%u</td>", f->none[MAIN]);
    html_raw(h,
             "</tr><tr><td>wrong, not looked at yet</td><td class=\"n\">%u</td><td "
             "class=\"n\">%u</td>",
             f->unread[MINED], f->unread[QUANT]);
    if (r->main_arm >= 0)
        html_raw(h, "<td class=\"n\">%u</td>", f->unread[MAIN]);
    html_raw_text(h, "</tr>");
    report_table_close(h);
    html_raw_text(h, "</div></div>\n");
}

/* ---- trust ---- */

static const char no_cell[] = "<td class=\"n\">\xe2\x80\x93</td>";

/* What a locator said where the judge knows the step. */
static void put_judged(struct html *h, const struct store_row *row)
{
    const uint32_t said = (uint32_t)store_row_integer(row, 3);
    const uint32_t right = (uint32_t)store_row_integer(row, 4);
    const uint32_t judged = (uint32_t)store_row_integer(row, 5);
    html_raw(h,
             "<td class=\"n\">%u of %u</td><td class=\"n\">%u</td><td "
             "class=\"n\">",
             said, judged, right);
    report_share(h, right, said);
    html_raw_text(h, "</td><td class=\"n\">");
    report_share(h, right, judged);
    html_raw_text(h, "</td>");
}

static rt_status put_locator(void *user, const struct store_row *row)
{
    struct html *h = &((struct report *)user)->h;
    html_raw_text(h, "<tr><td>");
    html_text(h, store_row_text(row, 0));
    html_raw_text(h, " \xc2\xb7 ");
    html_text(h, store_row_text(row, 1));
    html_raw_text(h, "</td><td>");
    html_text(h, store_row_text(row, 2));
    html_raw_text(h, "</td>");
    if (store_row_null(row, 3) || store_row_null(row, 5))
        html_raw(h, "%s%s%s%s", no_cell, no_cell, no_cell, no_cell);
    else
        put_judged(h, row);
    if (store_row_null(row, 6))
        html_raw_text(h, no_cell);
    else
        html_raw(h, "<td class=\"n\">%.0f\xc2\xa0%%</td>",
                 100 * store_row_number(row, 6));
    if (store_row_null(row, 7))
        html_raw_text(h, no_cell);
    else
        html_raw(h, "<td class=\"n\">%lld</td>", (long long)store_row_integer(row, 7));
    html_raw_text(h, "</tr>\n");
    return RT_OK;
}

static rt_status put_trust(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    const char *const args[] = { r->campaign, NULL };
    html_raw_text(h, "<h3>How far the locators can be trusted</h3>");
    report_table_open(h, "Locators");
    html_raw_text(h, "<tr><th>answers of</th><th>locator</th><th class=\"n\">names a "
                     "step</th><th class=\"n\">the right one</th><th "
                     "class=\"n\">precision</th><th class=\"n\">recall</th><th "
                     "class=\"n\">by chance</th><th class=\"n\">tokens</th></tr>\n");
    /* What is known of each locator: said where a judge knew the step, tokens always. */
    TRY(store_query(
        r->store,
        "WITH l AS (SELECT DISTINCT run_id, "
        "replace(replace(name,'_said',''),'_tokens','') "
        "name FROM metric WHERE step=0 AND (name LIKE '%\\_said' ESCAPE '\\' AND name "
        "NOT "
        "LIKE '%verdict\\_surest\\_%' ESCAPE '\\' OR name LIKE '%\\_tokens' ESCAPE '\\' "
        "AND name NOT LIKE '%forced\\_tokens' ESCAPE '\\' AND name NOT IN ('kl_tokens',"
        "'text_tokens','thrown_tokens'))) SELECT coalesce(b.split,''), "
        "coalesce(v.label,''), l.name, s.value, coalesce(x.value,0), j.value, CASE WHEN "
        "s.value IS NOT NULL THEN c.value END, CAST(t.value AS INTEGER) FROM run r JOIN "
        "l "
        "USING(run_id) LEFT JOIN metric s ON s.run_id=r.run_id AND s.step=0 AND "
        "s.name=l.name||'_said' LEFT JOIN metric x ON x.run_id=r.run_id AND x.step=0 AND "
        "x.name=l.name||'_right' LEFT JOIN metric j ON j.run_id=r.run_id AND j.step=0 "
        "AND j.name='judged' LEFT JOIN metric c ON c.run_id=r.run_id AND c.step=0 AND "
        "c.name='chance' LEFT JOIN metric t ON t.run_id=r.run_id AND t.step=0 AND "
        "t.name=l.name||'_tokens' LEFT JOIN variant v USING(variant_id) LEFT JOIN "
        "benchmark b USING(benchmark_id) WHERE " OF_CAMPAIGN
        " AND r.kind='locate' ORDER BY r.started_ms, r.run_id, l.name",
        args, put_locator, r));
    report_table_close(h);
    html_raw_text(h,
                  "<p class=\"sub\">Judged by the problem's own program, which no "
                  "verdict ever sees. Tokens: what models read of answers or wrote for "
                  "a locator, over all answers located; prompts and kept steps come "
                  "from the cache and are not counted.</p>");
    TRY(report_places(r));
    return RT_OK;

fail:
    return st;
}

rt_status report_faults(struct report *r)
{
    struct html *h = &r->h;
    rt_status st;
    struct faults *f = rt_alloc(r->ctx, 1, sizeof *f);
    if (!f)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    TRY(load(r, f));
    html_raw(h,
             "<h2 id=\"faults\">Where the first fault lies</h2><p class=\"sub\">Wrong "
             "answers to problems that full precision solves: %u mined, %u measured; the "
             "step that the verdict of all locators names.</p>\n",
             f->found[MINED] + f->none[MINED] + f->unread[MINED],
             f->found[QUANT] + f->none[QUANT] + f->unread[QUANT]);
    if (f->found[MINED] + f->found[QUANT] == 0) {
        html_raw(h,
                 "<p class=\"note\">No fault has been located. Wrong, but no fault "
                 "found: %u; not looked at yet: %u.</p>\n",
                 f->none[MINED] + f->none[QUANT], f->unread[MINED] + f->unread[QUANT]);
    } else {
        put_histogram(r, f);
        put_categories(r, f);
        TRY(put_trust(r));
    }

fail:
    rt_free(f);
    return st;
}

/* store/report/report_blame.c
 * Where the damage arises: what faultline blame measured of this quantized model, by kind and
 * by layer as charts, all parts as a table. Without such rows there is no section. */
#include "store/report/report_impl.h"

#include "pipeline/blame_part.h"

#include <math.h>

enum { BAR_HEIGHT = 14, BAR_PITCH = 18, BAR_LEFT = 198, BAR_WIDTH = 180 };

struct part {
    struct pipe_blame_place place;
    double kl, error; /* error: of the gain; NaN: not known */
    bool asked;
    uint32_t mended, broken;
};

struct blame {
    struct rt_ctx *ctx;
    char run[STORE_ID], text[128];
    double kl, error, tokens;
    bool asked;
    uint32_t lost, kept;
    struct part *parts; /* owned; by level, then by gain, the largest first */
    uint32_t count;
};

/* ---- rows ---- */

static rt_status take_run(void *user, const struct store_row *row)
{
    struct blame *b = user;
    snprintf(b->run, sizeof b->run, "%s", store_row_text(row, 0));
    snprintf(b->text, sizeof b->text, "%.127s", store_row_text(row, 1));
    b->kl = store_row_number(row, 2);
    b->error = store_row_null(row, 3) ? NAN : store_row_number(row, 3);
    b->tokens = store_row_number(row, 4);
    b->asked = !store_row_null(row, 5);
    b->lost = (uint32_t)store_row_integer(row, 5);
    b->kept = (uint32_t)store_row_integer(row, 6);
    return RT_OK;
}

/* The newest finished run, else the newest, that held parts of the weights of full (?1) against
 * those of the quantized model (?2), in whatever campaign. */
static rt_status find_run(const struct report *r, struct blame *b)
{
    const char *const args[] = { r->arms[0].variant, r->arms[1].variant, NULL };
    return store_query(
        r->store,
        "WITH x AS (SELECT * FROM metric WHERE step=0) SELECT r.run_id, b.name, (SELECT "
        "value FROM x WHERE x.run_id=r.run_id AND name='text_kl') kl, (SELECT value FROM "
        "x WHERE x.run_id=r.run_id AND name='text_kl_error'), (SELECT value FROM x WHERE "
        "x.run_id=r.run_id AND name='text_tokens'), (SELECT value FROM x WHERE "
        "x.run_id=r.run_id AND name='blame_lost'), (SELECT value FROM x WHERE "
        "x.run_id=r.run_id AND name='blame_kept') FROM run r JOIN variant v "
        "USING(variant_id) JOIN benchmark b USING(benchmark_id) WHERE r.kind='eval' AND "
        "json_extract(r.config,'$.blame') AND v.adapter_id IS NULL AND v.weights_id="
        "(SELECT weights_id FROM variant WHERE variant_id=?2) AND 'sha256:'||"
        "json_extract(r.config,'$.base')=(SELECT weights_id FROM variant WHERE "
        "variant_id=?1) AND kl IS NOT NULL AND EXISTS(SELECT 1 FROM metric m WHERE "
        "m.run_id=r.run_id AND m.name='blame_kl' AND m.step>0) ORDER BY "
        "r.status<>'done', r.started_ms DESC, r.run_id LIMIT 1",
        args, take_run, b);
}

static rt_status take_part(void *user, const struct store_row *row)
{
    struct blame *b = user;
    struct part part = { .kl = store_row_number(row, 1) };
    if (!pipe_blame_place_of(store_row_integer(row, 0), &part.place))
        return RT_OK;
    part.error = store_row_null(row, 2) ? NAN : store_row_number(row, 2);
    part.asked = !store_row_null(row, 3);
    part.mended = (uint32_t)store_row_integer(row, 3);
    part.broken = (uint32_t)store_row_integer(row, 4);
    struct part *more =
        rt_resize(b->ctx, b->parts, b->count, b->count + 1u, sizeof *more);
    if (!more)
        return rt_fail(b->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    b->parts = more;
    more[b->count++] = part;
    return RT_OK;
}

static rt_status load_parts(const struct report *r, struct blame *b)
{
    const char *const args[] = { b->run, NULL };
    return store_query(
        r->store,
        "SELECT k.step, k.value, e.value, m.value, w.value FROM metric k LEFT JOIN "
        "metric "
        "e ON e.run_id=k.run_id AND e.step=k.step AND e.name='blame_error' LEFT JOIN "
        "metric m ON m.run_id=k.run_id AND m.step=k.step AND m.name='blame_mended' LEFT "
        "JOIN metric w ON w.run_id=k.run_id AND w.step=k.step AND w.name='blame_broken' "
        "WHERE k.run_id=?1 AND k.name='blame_kl' AND k.value IS NOT NULL ORDER BY CASE "
        "WHEN k.step=0 THEN 0 WHEN k.step<32 THEN 1 WHEN k.step%32=0 THEN 2 ELSE 3 END, "
        "k.value, k.step",
        args, take_part, b);
}

/* ---- charts ---- */

static double share_of(const struct blame *b, const struct part *p)
{
    return b->kl > 0 ? 100 * (b->kl - p->kl) / b->kl : NAN;
}

/* The part of a level that is k-th in the model; NULL: it was not measured. */
static const struct part *part_at(const struct blame *b, enum pipe_blame_level level,
                                  uint32_t k)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct pipe_blame_place *place = &b->parts[i].place;
        if (place->level == level &&
            (level == PIPE_BLAME_LAYER ? place->layer : place->index) == k)
            return &b->parts[i];
    }
    return NULL;
}

static uint32_t size_of(const struct blame *b, enum pipe_blame_level level)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct pipe_blame_place *place = &b->parts[i].place;
        const uint32_t k = level == PIPE_BLAME_LAYER ? place->layer : place->index;
        if (place->level == level && k + 1 > size)
            size = k + 1;
    }
    return size;
}

static void put_bar(struct html *h, const struct blame *b, const struct part *p, int y,
                    double most)
{
    char name[PIPE_BLAME_NAME];
    const double share = share_of(b, p);
    const double wide = share > 0 ? BAR_WIDTH * share / most : 0;
    const double error = 100 * 1.96 * p->error / b->kl;
    double end = wide;
    pipe_blame_name(&p->place, name);
    html_raw(h, "<text class=\"e\" x=\"190\" y=\"%d\">", y + 12);
    html_text(h, name);
    html_raw(h,
             "</text><rect class=\"cq\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>",
             BAR_LEFT, y, wide, BAR_HEIGHT);
    if (isfinite(error)) { /* 95 %, as far as the chart goes */
        const double low = BAR_WIDTH * (share - error) / most;
        const double high = BAR_WIDTH * (share + error) / most;
        end = high > BAR_WIDTH ? BAR_WIDTH : high > wide ? high : wide;
        if (end > 0)
            html_raw(h, "<path class=\"g\" d=\"M%.1f %dH%.1f\"/>",
                     BAR_LEFT + (low > 0 ? low : 0), y + BAR_HEIGHT / 2, BAR_LEFT + end);
    }
    html_raw(h, "<text x=\"%.1f\" y=\"%d\">", BAR_LEFT + end + 6, y + 12);
    html_signed(h, share, 1);
    html_raw_text(h, "\xc2\xa0%</text>");
}

static void put_chart(struct html *h, const struct blame *b, enum pipe_blame_level level,
                      const char *caption)
{
    const uint32_t size = size_of(b, level);
    double most = 1;
    int y = 4;
    uint32_t rows = 0;
    for (uint32_t k = 0; k < size; k++) {
        const struct part *p = part_at(b, level, k);
        rows += p != NULL;
        if (p && share_of(b, p) > most)
            most = share_of(b, p);
    }
    if (rows == 0 || !(b->kl > 0))
        return;
    html_raw(h,
             "<figure><svg viewBox=\"0 0 460 %d\" role=\"img\" aria-label=\"Share of the "
             "KL that goes, by %s; the numbers are in the table\">",
             (int)rows * BAR_PITCH + 8, pipe_blame_level_name(level));
    for (uint32_t k = 0; k < size; k++) {
        const struct part *p = part_at(b, level, k);
        if (!p)
            continue;
        put_bar(h, b, p, y, most);
        y += BAR_PITCH;
    }
    html_raw(h, "</svg><figcaption>%s</figcaption></figure>", caption);
}

/* ---- table ---- */

static void put_row(struct html *h, const struct blame *b, const struct part *p)
{
    char name[PIPE_BLAME_NAME];
    pipe_blame_name(&p->place, name);
    html_raw(h, "<tr><td>%s</td><th scope=\"row\" class=\"nw\">",
             pipe_blame_level_name(p->place.level));
    html_text(h, name);
    html_raw(h, "</th><td class=\"n\">%.6f</td><td class=\"n\">", p->kl);
    html_signed(h, b->kl - p->kl, 6);
    if (isfinite(p->error))
        html_raw(h, " \xc2\xb1 %.6f", 1.96 * p->error);
    html_raw_text(h, "</td><td class=\"n\">");
    if (b->kl > 0) {
        html_signed(h, share_of(b, p), 1);
        html_raw_text(h, "\xc2\xa0%");
    } else {
        html_raw_text(h, "\xe2\x80\x93");
    }
    html_raw_text(h, "</td>");
    if (p->asked)
        html_raw(h, "<td class=\"n\">%u of %u</td><td class=\"n\">%u of %u</td></tr>\n",
                 p->mended, b->lost, p->broken, b->kept);
    else if (b->asked)
        html_raw_text(h, "<td class=\"n\">\xe2\x80\x93</td><td "
                         "class=\"n\">\xe2\x80\x93</td></tr>\n");
    else
        html_raw_text(h, "</tr>\n");
}

static void put_table(struct html *h, const struct blame *b)
{
    report_table_open(h, "Where the damage arises");
    html_raw(
        h,
        "<tr><th>level</th><th>back in full precision</th><th class=\"n\">KL that is "
        "left</th><th class=\"n\">less</th><th class=\"n\">share</th>%s</tr>\n",
        b->asked ? "<th class=\"n\">lost problems right again</th><th class=\"n\">"
                   "right ones lost</th>"
                 : "");
    for (uint32_t i = 0; i < b->count; i++)
        put_row(h, b, &b->parts[i]);
    report_table_close(h);
}

static void put_words(struct html *h, const struct blame *b)
{
    html_raw_text(h, "<h3 id=\"blame\">Where the damage arises</h3><p>One part of the "
                     "quantized model at a time in full precision, on <em>");
    html_text(h, b->text);
    html_raw(h, "</em> (%.0f tokens): KL of full precision and the quantized model %.6f",
             b->tokens, b->kl);
    if (isfinite(b->error))
        html_raw(h, " \xc2\xb1 %.6f", 1.96 * b->error);
    html_raw_text(h, " nats per token.</p>\n");
}

rt_status report_blame(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    struct blame b = { .ctx = r->ctx };
    TRY(find_run(r, &b));
    if (!b.run[0])
        return RT_OK;
    TRY(load_parts(r, &b));
    put_words(h, &b);
    html_raw_text(h, "<div class=\"pair\">");
    put_chart(h, &b, PIPE_BLAME_KIND,
              "Share of that KL that goes with matrices of one kind in all layers back.");
    put_chart(h, &b, PIPE_BLAME_LAYER,
              "The same with all matrices of one layer back. Lines: 95\xc2\xa0%.");
    html_raw_text(h, "</div>\n");
    put_table(h, &b);
    html_raw_text(h, "<p class=\"sub\">Shares need not add up to 100\xc2\xa0%: two parts "
                     "may damage the same token. \xc2\xb1: 1.96 standard errors over "
                     "sequences, which both models have seen.");
    if (b.asked)
        html_raw(h,
                 " The parts with the largest gain also answered the %u lost problems "
                 "and the %u that the quantized model has right.",
                 b.lost, b.kept);
    html_raw_text(h, "</p>\n");

fail:
    rt_free(b.parts);
    return st;
}

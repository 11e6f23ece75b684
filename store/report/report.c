/* store/report/report.c
 * Puts the sections of the report together and writes the file. */
#include "store/report/report.h"

#include "runtime/base/file.h"
#include "store/report/report_impl.h"
#include "store/report/report_style.h"

#include <string.h>

/* ---- what the sections share ---- */

void report_pattern(const struct report *r, unsigned cell, char out[4])
{
    out[0] = cell & 4 ? '1' : '0';
    out[1] = cell & 2 ? '1' : '0';
    out[2] = r->main_arm < 0 ? '\0' : cell & 1 ? '1' : '0';
    out[3] = '\0';
}

const char *report_pattern_words(const struct report *r, unsigned cell)
{
    static const char *const three[8] = {
        "wrong everywhere",
        "only the restored model is right: new skill or luck",
        "gained by quantizing, broken again",
        "gained by quantizing, kept",
        "lost and not recovered",
        "lost and recovered",
        "kept by quantizing, broken by the restored model",
        "right everywhere",
    };
    static const char *const two[4] = { "wrong in both", "gained by quantizing",
                                        "lost by quantizing", "right in both" };
    return r->main_arm < 0 ? two[cell >> 1] : three[cell];
}

bool report_stands_in(const struct report *r)
{
    return r->arm_count > 0 && strcmp(r->arms[0].role, "full") == 0 &&
           r->arms[0].quant[0];
}

rt_status report_table_row(void *report, const struct store_row *row)
{
    struct html *h = &((struct report *)report)->h;
    html_raw_text(h, "<tr>");
    for (int i = 0; i < store_row_count(row); i++) {
        html_raw_text(h, i ? "<td class=\"n\">" : "<td>");
        html_text(h, store_row_text(row, i));
        html_raw_text(h, "</td>");
    }
    html_raw_text(h, "</tr>\n");
    return RT_OK;
}

rt_status report_put_name(void *names, const struct store_row *row)
{
    struct report_names *n = names;
    const char *before = n->count++ ? ", " : n->before;
    html_raw(n->h, "%s<%s>", before ? before : "", n->tag);
    html_text(n->h, store_row_text(row, 0));
    html_raw(n->h, "</%s>", n->tag);
    return RT_OK;
}

void report_table_open(struct html *h, const char *name)
{
    html_raw(h,
             "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"%s\">"
             "<table>",
             name);
}

void report_table_close(struct html *h)
{
    html_raw_text(h, "</table></div>\n");
}

double report_percent(uint32_t k, uint32_t n)
{
    return n ? 100.0 * k / n : 0;
}

void report_share(struct html *h, uint32_t k, uint32_t n)
{
    const struct pipe_interval w = pipe_wilson(k, n);
    html_raw(h, "%.1f\xc2\xa0%% (95\xc2\xa0%%: %.1f to %.1f)", report_percent(k, n),
             100 * w.low, 100 * w.high);
}

/* ---- the page ---- */

static const struct section {
    rt_status (*write)(struct report *r);
    const char *id, *title;
    bool paired;
} sections[] = {
#define SECTION(name, id, title, paired) { report_##name, id, title, paired },
#include "store/report/sections.def"
#undef SECTION
};

static rt_status take_text(void *user, const struct store_row *row)
{
    struct report *r = user;
    snprintf(r->campaign, sizeof r->campaign, "%s", store_row_text(row, 0));
    return RT_OK;
}

/* Patterns of bars, so that colour is never alone. */
static const char patterns[] =
    "<svg class=\"defs\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs><pattern "
    "id=\"hb\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path "
    "class=\"sb\" "
    "d=\"M0 6L6 0\"/></pattern><pattern id=\"hg\" width=\"5\" height=\"5\" "
    "patternUnits=\"userSpaceOnUse\"><path class=\"sg\" d=\"M2.5 0V5\"/></pattern></defs>"
    "</svg>\n";

void report_head(struct report *r)
{
    struct html *h = &r->h;
    char style[HTML_CSP], script[HTML_CSP];
    html_csp_hash(report_style, style);
    html_csp_hash(report_script, script);
    html_raw(h,
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta "
             "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "style-src %s; script-src %s; base-uri 'none'; form-action 'none'\">\n"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<title>Faultline report</title>\n<style>",
             style, script);
    html_pieces(h, report_style);
    html_raw_text(h, "</style></head>\n<body><main>\n");
    html_raw_text(h, patterns);
    html_raw(
        h,
        "<p class=\"sub\">Faultline report \xc2\xb7 campaign <code>%.19s</code></p>\n"
        "<h1>What quantizing cost, and what came back</h1>\n<nav "
        "aria-label=\"Sections\">",
        r->campaign);
    for (size_t i = 0; i < RT_COUNT(sections); i++)
        if (sections[i].id[0] && (r->paired || !sections[i].paired))
            html_raw(h, "<a href=\"#%s\">%s</a> ", sections[i].id, sections[i].title);
    html_raw_text(h, "</nav>\n");
}

static rt_status write_sections(struct report *r)
{
    rt_status st;
    report_head(r);
    for (size_t i = 0; i < RT_COUNT(sections); i++)
        if (r->paired || !sections[i].paired)
            TRY(sections[i].write(r));
    html_raw_text(&r->h, "</main><script>");
    html_pieces(&r->h, report_script);
    html_raw_text(&r->h, "</script></body></html>\n");
    return RT_OK;

fail:
    return st;
}

rt_status report_write(struct store *store, struct rt_ctx *ctx, const char *campaign_id,
                       const char *path)
{
    rt_status st;
    struct report *r = rt_alloc(ctx, 1, sizeof *r);
    if (!r)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    r->store = store;
    r->ctx = ctx;
    html_init(&r->h, ctx);
    const char *const args[] = { campaign_id ? campaign_id : "", NULL };
    TRY(store_query(
        store,
        "SELECT campaign_id FROM campaign c WHERE ?1 IN ('',campaign_id) "
        "ORDER BY EXISTS(SELECT 1 FROM campaign_run u JOIN run r USING(run_id) "
        "JOIN benchmark b USING(benchmark_id) WHERE "
        "u.campaign_id=c.campaign_id AND b.split='measure') DESC, created_ms "
        "DESC, campaign_id LIMIT 1",
        args, take_text, r));
    if (!r->campaign[0]) {
        st =
            campaign_id
                ? rt_fail(ctx, RT_ERR_USAGE,
                          "the results file has no campaign '%s'; faultline sql \"SELECT "
                          "campaign_id FROM campaign\" lists them",
                          campaign_id)
                : rt_fail(ctx, RT_ERR_USAGE,
                          "the results file holds no campaign yet; run restore or demo "
                          "first");
        goto fail;
    }
    TRY(report_load(r));
    TRY(write_sections(r));
    if (r->h.failed) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
        goto fail;
    }
    TRY(fmt_write_atomic(ctx, path, r->h.text, r->h.size));

fail:
    html_deinit(&r->h);
    pipe_parts_deinit(&r->parts);
    rt_free(r->outcomes);
    rt_free(r);
    return st;
}

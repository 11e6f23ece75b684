/* store/report/report_summary.c
 * The first screen: sentences with numbers, the waterfall, all arms and controls. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

static const char style[] =
    ":root{--bg:#fff;--fg:#1b1f24;--dim:#68707a;--line:#d8dde3;--soft:#f4f6f8;--good:#"
    "1a7f4b;"
    "--bad:#b3261e;--full:#4a6fa5;--quant:#b3261e;--rest:#1a7f4b;--ctl:#8a6d1a}"
    "@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e6e9ec;--dim:#98a1ab;"
    "--line:#343b43;--soft:#1e2328;--good:#5fd19a;--bad:#ff8a80;--full:#8fb3e6;--quant:#"
    "ff8a80;"
    "--rest:#5fd19a;--ctl:#e0bd5a}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:"
    "16px/1.5 "
    "system-ui,sans-serif}main{max-width:1080px;margin:0 "
    "auto;padding:1.2rem}h1{font-size:1.5rem;"
    "margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .6rem;border-bottom:1px solid "
    "var(--line);"
    "padding-bottom:.25rem}.sub{color:var(--dim);font-size:.9rem}.lead{font-size:1.08rem}"
    ".lead "
    "p{margin:.35rem 0}.big{display:flex;gap:1.5rem;flex-wrap:wrap;margin:1rem 0}.big "
    "div{flex:1 "
    "1 8rem;background:var(--soft);border-radius:8px;padding:.7rem .9rem}.big "
    "b{display:block;"
    "font-size:1.6rem}.big "
    "span{color:var(--dim);font-size:.85rem}table{border-collapse:collapse;"
    "width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem "
    ".5rem;border-bottom:1px solid "
    "var(--line);vertical-align:top}th{color:var(--dim);font-weight:600}td.n,th.n{text-"
    "align:right;"
    "font-variant-numeric:tabular-nums}.scroll{overflow-x:auto}svg{max-width:100%;height:"
    "auto;"
    "display:block}svg text{fill:var(--fg);font:12px system-ui,sans-serif}svg "
    ".dim{fill:var(--dim)}"
    "details{border-bottom:1px solid var(--line)}summary{cursor:pointer;padding:.4rem 0}"
    ".three{display:grid;grid-template-columns:repeat(3,1fr);gap:.7rem}@media(max-width:"
    "700px){"
    ".three{grid-template-columns:1fr}}.three>div{background:var(--soft);border-radius:"
    "6px;"
    "padding:.5rem .6rem;font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;"
    "overflow-wrap:anywhere}.fault{outline:2px solid "
    "var(--bad);border-radius:3px;display:block}"
    "mark{background:none;color:inherit;border-bottom:3px double "
    "var(--bad);font-weight:700}"
    ".same{color:var(--dim)}.ok{color:var(--good)}.no{color:var(--bad)}code{font:13px "
    "ui-monospace,monospace;overflow-wrap:anywhere}@media "
    "print{details{break-inside:avoid}}";

void report_head(struct report *r)
{
    html_raw(
        &r->h,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
        "name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta "
        "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
        "'unsafe-inline'\"><title>Faultline report</title><style>%s</style></head><body>"
        "<main>",
        style);
}

static double percent(uint32_t k, uint32_t n)
{
    return n ? 100.0 * k / n : 0;
}

/* "p < 1e-6" or "p = 0.012". */
static void put_p(struct html *h, double p)
{
    if (p < 1e-4)
        html_raw(h, "p = %.0e", p);
    else
        html_raw(h, "p = %.3f", p);
}

static void put_card(struct html *h, const char *name, const struct report_arm *a,
                     uint32_t n)
{
    const struct pipe_interval w = pipe_wilson(a->right, n);
    html_raw(h, "<div><span>");
    html_text(h, name);
    html_raw(h, "</span><b>%.1f %%</b><span>%u of %u, 95 %% %.1f to %.1f</span></div>",
             percent(a->right, n), a->right, n, 100 * w.low, 100 * w.high);
}

static void put_loss(struct report *r)
{
    struct html *h = &r->h;
    const struct pipe_paired *q = &r->arms[1].paired;
    html_raw(
        h,
        "<p><strong>Lost by quantizing:</strong> %.1f points (95 %% %.1f to %.1f): %u "
        "problems lost, %u gained, McNemar exact ",
        -100 * q->difference, -100 * q->interval.high, -100 * q->interval.low, q->lost,
        q->gained);
    put_p(h, q->p_exact);
    html_raw(h, ".%s</p>",
             q->interval.low <= 0 && q->interval.high >= 0
                 ? " There is no evidence of a change."
                 : "");
}

static void put_recovery(struct report *r)
{
    struct html *h = &r->h;
    if (r->main_arm < 0)
        return;
    const struct report_arm *a = &r->arms[r->main_arm];
    uint32_t lost = 0, recovered = 0;
    for (uint32_t i = 0; i < r->n; i++)
        if (r->outcomes[i] && !r->outcomes[r->n + i]) {
            lost++;
            recovered += r->outcomes[(size_t)r->main_arm * r->n + i];
        }
    html_raw(h, "<p><strong>Came back</strong> with <em>");
    html_text(h, a->label);
    html_raw(
        h,
        "</em>: %+.1f points (95 %% %.1f to %.1f), %u fixed, %u broken, McNemar exact ",
        100 * a->paired.difference, 100 * a->paired.interval.low,
        100 * a->paired.interval.high, a->paired.gained, a->paired.lost);
    put_p(h, a->paired.p_exact);
    html_raw(
        h,
        "; %u of %u lost problems are right again; recovered share of the lost points "
        "%.2f (95 %% %.2f to %.2f).</p>",
        recovered, lost, a->recovered.share, a->recovered.share_interval.low,
        a->recovered.share_interval.high);
    html_raw(h,
             "<p><strong>What it costs:</strong> %.2f bits a weight instead of %.2f "
             "(adapter counted in 16 bits). The plain alternatives are in the table "
             "below.</p>",
             a->bits, r->arms[1].bits);
}

static void put_bar(struct html *h, int y, const char *label, double from, double to,
                    double scale, const char *colour, bool hatched, const char *value)
{
    html_raw(h, "<text x=\"0\" y=\"%d\">", y + 14);
    html_text(h, label);
    html_raw(h,
             "</text><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"18\" fill=\"%s\" "
             "fill-opacity=\"%s\" stroke=\"%s\"/><text x=\"%.1f\" y=\"%d\">%s</text>",
             150 + from * scale, y, fmax(1, (to - from) * scale), colour,
             hatched ? "0.35" : "0.85", colour, 156 + to * scale, y + 14, value);
}

/* full -> lost, gained -> quant -> fixed, broken -> restored. */
static void put_waterfall(struct report *r)
{
    struct html *h = &r->h;
    char value[32];
    if (r->main_arm < 0 || r->n == 0)
        return;
    const struct report_arm *f = &r->arms[0], *q = &r->arms[1],
                            *a = &r->arms[r->main_arm];
    const double scale = 640.0 / r->n;
    html_raw(
        h,
        "<h2 id=\"waterfall\">Recovery</h2><svg viewBox=\"0 0 860 190\" role=\"img\" "
        "aria-label=\"full %u, lost %u, gained %u, quantized %u, fixed %u, broken %u, "
        "restored %u of %u\">",
        f->right, q->paired.lost, q->paired.gained, q->right, a->paired.gained,
        a->paired.lost, a->right, r->n);
    snprintf(value, sizeof value, "%u", f->right);
    put_bar(h, 2, "full", 0, f->right, scale, "var(--full)", false, value);
    snprintf(value, sizeof value, "\xe2\x88\x92%u", q->paired.lost);
    put_bar(h, 28, "lost", f->right - (double)q->paired.lost, f->right, scale,
            "var(--bad)", true, value);
    snprintf(value, sizeof value, "+%u", q->paired.gained);
    put_bar(h, 54, "gained", f->right - (double)q->paired.lost, q->right, scale,
            "var(--good)", true, value);
    snprintf(value, sizeof value, "%u", q->right);
    put_bar(h, 80, "quantized", 0, q->right, scale, "var(--quant)", false, value);
    snprintf(value, sizeof value, "+%u", a->paired.gained);
    put_bar(h, 106, "fixed", q->right, q->right + (double)a->paired.gained, scale,
            "var(--good)", true, value);
    snprintf(value, sizeof value, "\xe2\x88\x92%u", a->paired.lost);
    put_bar(h, 132, "broken", a->right, q->right + (double)a->paired.gained, scale,
            "var(--bad)", true, value);
    snprintf(value, sizeof value, "%u", a->right);
    put_bar(h, 158, "restored", 0, a->right, scale, "var(--rest)", false, value);
    html_raw(h, "</svg>");
}

static void put_flips(struct report *r)
{
    struct html *h = &r->h;
    uint32_t cell[8] = { 0 };
    if (r->main_arm < 0)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        cell[r->outcomes[i] * 4 + r->outcomes[r->n + i] * 2 +
             r->outcomes[(size_t)r->main_arm * r->n + i]]++;
    static const char *const words[8] = {
        "wrong everywhere",
        "only the restored model is right: new skill or luck",
        "gained by quantizing, broken again",
        "gained by quantizing, kept",
        "lost and not recovered",
        "lost and recovered",
        "kept, then broken",
        "right everywhere",
    };
    html_raw(
        h,
        "<h2 id=\"flips\">Flips</h2><div class=\"scroll\"><table><tr><th>full</th>"
        "<th>quantized</th><th>restored</th><th class=\"n\">problems</th><th></th></tr>");
    for (int c = 7; c >= 0; c--)
        html_raw(h,
                 "<tr><td>%s</td><td>%s</td><td>%s</td><td "
                 "class=\"n\">%u</td><td>%s</td></tr>",
                 c & 4 ? "\xe2\x9c\x93" : "\xe2\x9c\x97",
                 c & 2 ? "\xe2\x9c\x93" : "\xe2\x9c\x97",
                 c & 1 ? "\xe2\x9c\x93" : "\xe2\x9c\x97", cell[c], words[c]);
    html_raw(h, "</table></div>");
}

rt_status report_headline(struct report *r)
{
    struct html *h = &r->h;
    html_raw(h,
             "<p class=\"sub\">Faultline report \xc2\xb7 campaign <code>%.19s</code></p>"
             "<h1>What quantizing cost, and what came back</h1>",
             r->campaign);
    html_raw(h, "<div class=\"big\">");
    put_card(h, "full precision", &r->arms[0], r->n);
    put_card(h, "quantized", &r->arms[1], r->n);
    if (r->main_arm >= 0)
        put_card(h, "restored", &r->arms[r->main_arm], r->n);
    html_raw(h, "</div><div class=\"lead\">");
    put_loss(r);
    put_recovery(r);
    html_raw(
        h,
        "</div><p class=\"sub\">%u answers of the quantized model could not be parsed, "
        "%u were cut at the length limit; they count as wrong. No mined question is "
        "measured: checked by text before training.</p>",
        r->arms[1].unparsed, r->arms[1].truncated);
    put_waterfall(r);
    put_flips(r);
    return RT_OK;
}

/* ---- all arms ---- */

static const char *colour_of(const struct report_arm *a)
{
    return strcmp(a->role, "full") == 0       ? "var(--full)"
           : strcmp(a->role, "quant") == 0    ? "var(--quant)"
           : strcmp(a->role, "restored") == 0 ? "var(--rest)"
                                              : "var(--ctl)";
}

/* Accuracy against effective bits a weight. */
static void put_chart(struct report *r)
{
    struct html *h = &r->h;
    double most = 0, low = 100, high = 0;
    for (uint32_t a = 0; a < r->arm_count; a++) {
        const double acc = percent(r->arms[a].right, r->n);
        if (a > 0)
            most = fmax(most, r->arms[a].bits);
        low = fmin(low, acc);
        high = fmax(high, acc);
    }
    low = floor(low / 5) * 5 - 1;
    high = ceil(high / 5) * 5;
    most = ceil(most + 0.5);
    html_raw(h,
             "<svg viewBox=\"0 0 860 380\" role=\"img\" aria-label=\"accuracy against "
             "effective bits a weight; the table below has the numbers\"><line x1=\"60\" "
             "y1=\"330\" x2=\"840\" y2=\"330\" stroke=\"var(--line)\"/><line x1=\"60\" "
             "y1=\"10\" "
             "x2=\"60\" y2=\"330\" stroke=\"var(--line)\"/>");
    for (double b = 0; b <= most; b += most > 8 ? 2 : 1)
        html_raw(
            h,
            "<text class=\"dim\" x=\"%.0f\" y=\"348\" text-anchor=\"middle\">%.0f</text>",
            60 + 780 * b / most, b);
    for (double y = ceil(low / 5) * 5; y <= high; y += 5)
        html_raw(h,
                 "<text class=\"dim\" x=\"52\" y=\"%.0f\" text-anchor=\"end\">%.0f "
                 "%%</text><line "
                 "x1=\"60\" x2=\"840\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--line)\" "
                 "stroke-dasharray=\"2 4\"/>",
                 334 - 320 * (y - low) / (high - low), y,
                 330 - 320 * (y - low) / (high - low),
                 330 - 320 * (y - low) / (high - low));
    const double full =
        330 - 320 * (percent(r->arms[0].right, r->n) - low) / (high - low);
    html_raw(h,
             "<line x1=\"60\" x2=\"840\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--full)\" "
             "stroke-dasharray=\"6 4\"/><text x=\"66\" y=\"%.1f\">full precision (%.0f "
             "bits)</text>",
             full, full, full - 5, r->arms[0].bits);
    for (uint32_t a = 1; a < r->arm_count; a++) {
        const struct report_arm *arm = &r->arms[a];
        const struct pipe_interval w = pipe_wilson(arm->right, r->n);
        const double x = 60 + 780 * arm->bits / most;
        const double y = 330 - 320 * (percent(arm->right, r->n) - low) / (high - low);
        const double top = fmax(10, 330 - 320 * (100 * w.high - low) / (high - low));
        const double bottom = fmin(330, 330 - 320 * (100 * w.low - low) / (high - low));
        html_raw(
            h,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" "
            "stroke=\"%s\"/><circle "
            "cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/><text x=\"%.1f\" y=\"%.1f\">",
            x, x, top, bottom, colour_of(arm), x, y, colour_of(arm), x + 9,
            y + 4 + (a % 2 ? -9 : 9));
        html_text(h, arm->label);
        html_raw(h, "</text>");
    }
    html_raw(
        h,
        "<text class=\"dim\" x=\"450\" y=\"372\" text-anchor=\"middle\">effective bits a "
        "weight (codes, scales, zeros, adapter in 16 bits)</text></svg>");
}

static void put_verdicts(struct report *r)
{
    struct html *h = &r->h;
    if (r->main_arm < 0)
        return;
    html_raw(h, "<ul>");
    for (uint32_t a = 2; a < r->arm_count; a++) {
        const struct report_arm *arm = &r->arms[a];
        if ((int)a == r->main_arm)
            continue;
        const double d =
            percent(r->arms[r->main_arm].right, r->n) - percent(arm->right, r->n);
        const bool sure = arm->p_default_holm < 0.05;
        html_raw(h, "<li><em>");
        html_text(h, r->arms[r->main_arm].label);
        html_raw(h, "</em> %s <em>",
                 sure && d > 0 ? "beats"
                 : sure        ? "is beaten by"
                               : "is not shown to differ from");
        html_text(h, arm->label);
        html_raw(h, "</em>: %+.1f points, ", d);
        put_p(h, arm->p_default);
        html_raw(h, ", %.3f after Holm.</li>", arm->p_default_holm);
    }
    html_raw(h, "</ul>");
}

rt_status report_arms(struct report *r)
{
    struct html *h = &r->h;
    html_raw(h, "<h2 id=\"arms\">Recipes, controls and plain alternatives</h2>");
    put_chart(r);
    put_verdicts(r);
    html_raw(h, "<div class=\"scroll\"><table><tr><th>arm</th><th>role</th><th "
                "class=\"n\">right</th><th class=\"n\">95 %%</th><th class=\"n\">fixed / "
                "broken</th>"
                "<th class=\"n\">McNemar p</th><th class=\"n\">recovered [95 %%]</th><th "
                "class=\"n\">bits a weight</th></tr>");
    for (uint32_t a = 0; a < r->arm_count; a++) {
        const struct report_arm *arm = &r->arms[a];
        const struct pipe_interval w = pipe_wilson(arm->right, r->n);
        html_raw(h, "<tr><td>");
        html_text(h, arm->label);
        html_raw(h,
                 "</td><td>%s</td><td class=\"n\">%.2f %%</td><td class=\"n\">%.1f to "
                 "%.1f</td>",
                 arm->role, percent(arm->right, r->n), 100 * w.low, 100 * w.high);
        if (a >= 2)
            html_raw(h,
                     "<td class=\"n\">%u / %u</td><td class=\"n\">%.1e</td><td "
                     "class=\"n\">%.2f "
                     "[%.2f, %.2f]</td>",
                     arm->paired.gained, arm->paired.lost, arm->paired.p_exact,
                     arm->recovered.share, arm->recovered.share_interval.low,
                     arm->recovered.share_interval.high);
        else
            html_raw(
                h,
                "<td class=\"n\">\xe2\x80\x93</td><td class=\"n\">\xe2\x80\x93</td><td "
                "class=\"n\">\xe2\x80\x93</td>");
        html_raw(h, "<td class=\"n\">%.2f</td></tr>", arm->bits);
    }
    html_raw(
        h,
        "</table></div><p class=\"sub\">n = %u, paired by problem, greedy. fixed: "
        "quantized "
        "wrong and arm right; broken: the reverse. recovered: (arm \xe2\x88\x92 "
        "quantized) / "
        "(full \xe2\x88\x92 quantized), paired bootstrap over problems, 2,000 draws.</p>",
        r->n);
    return RT_OK;
}

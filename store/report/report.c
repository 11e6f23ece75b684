#include "store/report/report.h"

#include "runtime/format/file.h"
#include "store/report/report_impl.h"

#include <string.h>

static rt_status take_text(void *user, const struct store_row *row)
{
    struct report *r = user;
    snprintf(r->campaign, sizeof r->campaign, "%s", store_row_text(row, 0));
    return RT_OK;
}

rt_status report_write(struct store *store, struct rt_ctx *ctx, const char *campaign_id,
                       const char *path)
{
    rt_status st;
    struct report r = { .store = store, .ctx = ctx };
    html_init(&r.h, ctx);
    if (campaign_id)
        snprintf(r.campaign, sizeof r.campaign, "%s", campaign_id);
    else
        TRY(store_query(
            store, "SELECT campaign_id FROM campaign ORDER BY created_ms DESC LIMIT 1",
            NULL, take_text, &r));
    if (!r.campaign[0]) {
        st = rt_fail(ctx, RT_ERR_USAGE,
                     "the results file holds no campaign yet; run restore "
                     "or demo first");
        goto fail;
    }
    TRY(report_load(&r));
    report_head(&r);
    TRY(report_headline(&r));
    TRY(report_arms(&r));
    TRY(report_faults(&r));
    TRY(report_problems(&r));
    TRY(report_training(&r));
    TRY(report_costs(&r));
    TRY(report_reproduce(&r));
    html_raw(&r.h, "</main></body></html>\n");
    if (r.h.failed) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
        goto fail;
    }
    TRY(fmt_write_atomic(ctx, path, r.h.text, r.h.size));

fail:
    html_deinit(&r.h);
    rt_free(r.outcomes);
    return st;
}

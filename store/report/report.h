/* store/report/report.h
 * Rows of a campaign to one self-contained HTML file: no network, nothing outside the
 * file, charts as SVG, the same bytes for the same rows. */
#ifndef STORE_REPORT_REPORT_H
#define STORE_REPORT_REPORT_H

#include "store/store.h"

/* Writes the page of a campaign (null: the newest) to `path`, atomically. */
RT_CHECKED rt_status report_write(struct store *store, struct rt_ctx *ctx,
                                  const char *campaign_id, const char *path);

#endif

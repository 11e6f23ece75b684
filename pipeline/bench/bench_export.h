/* pipeline/bench/bench_export.h
 * The rows of a benchmark run as other programs read them. Rates are in the unit of their
 * case, times in nanoseconds; a number that is not known is null in JSON, empty in CSV. */
#ifndef PIPELINE_BENCH_BENCH_EXPORT_H
#define PIPELINE_BENCH_BENCH_EXPORT_H

#include "pipeline/bench/bench.h"

#include <jansson.h>
#include <stdio.h>

enum { BENCH_WORST = 3 }; /* ops named as furthest from their limit */

/* An object of the run: device, driver, limits, cases with their passes, and verdicts where
 * the rows were compared. The caller owns it; NULL: no memory. */
json_t *bench_rows_json(const struct bench_rows *rows);
/* A head, then a line per case and pass. Errors of `out` are the caller's to look for. */
void bench_rows_csv(const struct bench_rows *rows, FILE *out);

#endif

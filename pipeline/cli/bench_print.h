/* pipeline/cli/bench_print.h
 * Stored results of `faultline bench` on stdout. */
#ifndef PIPELINE_CLI_BENCH_PRINT_H
#define PIPELINE_CLI_BENCH_PRINT_H

#include "pipeline/bench/bench.h"

enum bench_format { BENCH_TABLE, BENCH_MD, BENCH_CSV, BENCH_JSON };
/* JSON: an object a run. */
void bench_rows_print(const struct bench_rows *rows, enum bench_format format);

#endif

/* pipeline/bench/bench_gate.c
 * Which rows a gate looks for, and whether there are enough of them. */
#include "pipeline/bench/bench.h"

#include <stdio.h>
#include <string.h>

static bool is_invalid(const struct bench_row *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->passes[i].status, "invalid") == 0 ||
            strcmp(r->passes[i].status, "error") == 0)
            return true;
    return false;
}

void bench_gate_count(const struct pipe_bench_gate *gate, const struct bench_rows *rows,
                      struct bench_gate_hits *hits)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        struct pipe_bench_comparison c = rows->items[i].comparison;
        if (is_invalid(&rows->items[i]))
            c.verdict = PIPE_BENCH_INVALID;
        else if (c.verdict == PIPE_BENCH_INVALID)
            c.verdict = PIPE_BENCH_NEW; /* it is the base that has no time */
        if (pipe_bench_gate_hits(gate, &c) && hits->count++ == 0)
            snprintf(hits->first, sizeof hits->first, "%s", rows->items[i].name);
    }
}

bool bench_gate_fires(const struct pipe_bench_gate *gate,
                      const struct bench_gate_hits *hits)
{
    const bool counts = gate->kind != PIPE_BENCH_GATE_SLOWER;
    return hits->count > (counts ? gate->limit : 0);
}

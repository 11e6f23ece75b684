/* store/report/report_impl.h
 * Private to store/report: what the sections share. */
#ifndef STORE_REPORT_REPORT_IMPL_H
#define STORE_REPORT_REPORT_IMPL_H

#include <stdio.h>

#include "pipeline/statistics.h"
#include "store/report/html.h"
#include "store/store.h"

enum { REPORT_ARMS_MAX = 24 };

/* One variant measured on the measured split; the first two are full and quant. */
struct report_arm {
    char run[STORE_ID], variant[STORE_ID], label[64], role[16];
    double bits;
    uint32_t right, truncated, unparsed;
    struct pipe_paired paired; /* quant against this arm (full: full against quant) */
    struct pipe_recovery recovered;   /* arms only */
    double p_default, p_default_holm; /* against the first restored arm */
};

struct report {
    struct store *store; /* borrowed */
    struct rt_ctx *ctx;  /* borrowed */
    struct html h;
    char campaign[STORE_ID];
    struct report_arm arms[REPORT_ARMS_MAX];
    uint32_t arm_count, n; /* problems that all arms answered */
    uint8_t *outcomes;     /* [arm][n]: 1 right */
    int main_arm;          /* index of the first restored arm, -1: none */
};

RT_CHECKED rt_status report_load(struct report *r);
void report_head(struct report *r);
RT_CHECKED rt_status report_headline(struct report *r);
RT_CHECKED rt_status report_arms(struct report *r);
RT_CHECKED rt_status report_faults(struct report *r);
RT_CHECKED rt_status report_problems(struct report *r);
RT_CHECKED rt_status report_training(struct report *r);
RT_CHECKED rt_status report_costs(struct report *r);
RT_CHECKED rt_status report_reproduce(struct report *r);

#endif

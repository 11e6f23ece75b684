/* store/report/report_impl.h
 * Private to store/report: what the sections share. A section reads rows and writes its
 * part of the page; none changes anything. Charts are SVG of at most 460 units width (so
 * that their text can be read on a telephone), each with a summary in words and a table
 * twin. The page's own style and script are the only ones that its policy admits, so
 * nothing here may use a style attribute. */
#ifndef STORE_REPORT_REPORT_IMPL_H
#define STORE_REPORT_REPORT_IMPL_H

#include <stdio.h>

#include "pipeline/stats/line.h"
#include "pipeline/stats/parts.h"
#include "store/report/html.h"
#include "store/store.h"

enum {
    REPORT_ARMS_MAX = 48,
    REPORT_BYTES_MAX = 8 << 20,  /* of the page */
    REPORT_BYTES_TAIL = 1 << 20, /* of these kept for what follows the problems */
    REPORT_TEXT_MAX = 20000,     /* bytes of one answer */
};

/* One variant measured on the measured split; the first two are full and quant. */
struct report_arm {
    char run[STORE_ID], variant[STORE_ID], label[64], role[16], quant[64];
    double bits;
    double kl, same_top; /* against full's answers; NaN: not measured */
    uint32_t answered;   /* problems in all, first sample */
    uint32_t right, truncated, unparsed, errors;
    uint32_t items;            /* training items used; 0: not trained on any */
    bool plain;                /* quantized, and neither trained nor with an adapter */
    uint32_t back;             /* problems that quant lost and this arm has right */
    struct pipe_paired paired; /* quant against this arm (quant: full against quant) */
    struct pipe_recovery recovered; /* arms only */
    struct pipe_line
        line; /* restored arms only; models are indices in `plain` of the report */
    struct pipe_paired against; /* this arm against the main arm */
    double p_holm;              /* of `against`, corrected over all arms */
};

/* Of the runs (r) those that the campaign ?1 refers to. */
#define OF_CAMPAIGN "r.run_id IN (SELECT run_id FROM campaign_run WHERE campaign_id=?1)"
/* The locate run that speaks for the answers of run `answers` in the campaign. */
#define LOCATE_RUN(campaign, answers)                                    \
    "(SELECT l.run_id FROM v_locate_run l WHERE l.campaign_id=" campaign \
    " AND l.answers_run=" answers ")"

struct report {
    struct store *store; /* borrowed */
    struct rt_ctx *ctx;  /* borrowed */
    struct html h;
    char campaign[STORE_ID], benchmark[STORE_ID];
    struct report_arm arms[REPORT_ARMS_MAX];       /* that answered all n problems */
    struct report_arm unfinished[REPORT_ARMS_MAX]; /* that did not: only named */
    uint32_t arm_count, unfinished_count;
    uint32_t plain[REPORT_ARMS_MAX], plain_count; /* indices of the plain arms */
    uint32_t left_out;                            /* runs beyond REPORT_ARMS_MAX */
    uint32_t n;              /* problems that full and quant answered */
    uint32_t samples;        /* most samples of a problem; only the first is read */
    uint8_t *outcomes;       /* [arm][n]: 1 right */
    struct pipe_parts parts; /* data sets of these problems */
    bool paired;             /* full and quant are there and share problems */
    bool nothing_lost;       /* of the mined problems; of report_nothing_lost */
    int main_arm;            /* index of the first restored arm, -1: none */
    uint32_t cells[8];       /* problems by pattern: 4 full + 2 quant + 1 main arm */
};

/* "101": right (1) or wrong (0) for full, quant, main arm; "10" without a main arm. */
void report_pattern(const struct report *r, unsigned cell, char out[4]);
/* What a pattern means, in words. */
const char *report_pattern_words(const struct report *r, unsigned cell);

RT_CHECKED rt_status report_load(struct report *r);
void report_head(struct report *r);
#define SECTION(name, id, title, paired) \
    RT_CHECKED rt_status report_##name(struct report *r);
#include "store/report/sections.def"
#undef SECTION

/* Parts of report_headline. The first sentence where no mined problem is lost, which sets
 * nothing_lost; and the recipes that found nothing to train on. */
RT_CHECKED rt_status report_nothing_lost(struct report *r);
RT_CHECKED rt_status report_left_out(struct report *r);
/* Part of report_faults: is early really early? */
RT_CHECKED rt_status report_places(struct report *r);
/* Parts of report_arms: what the arms are, and their tables. */
void report_arms_words(struct report *r);
void report_arms_tables(struct report *r);

/* The model called full precision is itself a quantized file: it stands in. */
bool report_stands_in(const struct report *r);
/* A table row of cells; the first is text, the others numbers. For store_query. */
RT_CHECKED rt_status report_table_row(void *report, const struct store_row *row);
/* A list of names with commas between, each within `tag`; `before` (may be null) in front of
 * the first. */
struct report_names {
    struct html *h;
    const char *tag, *before;
    uint32_t count;
};
/* Adds the name of column 0. For store_query. */
RT_CHECKED rt_status report_put_name(void *names, const struct store_row *row);
/* Opens <div><table> that scrolls if it is too wide; `name` for readers. */
void report_table_open(struct html *h, const char *name);
void report_table_close(struct html *h);
double report_percent(uint32_t k, uint32_t n); /* 0 for n = 0 */
/* "12.3 % (95 % 1.0 to 2.0)". */
void report_share(struct html *h, uint32_t k, uint32_t n);

#endif

/* pipeline/cli/cmd_compare.c
 * compare: the measured answers of full, quantized and restored, paired by problem; frozen
 * as rows, printed, and held against conditions for a gate in CI. */
#include "pipeline/cli/cli.h"

#include "pipeline/stats/statistics.h"
#include "store/queries.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 2000, ROLES = 3, BENCHES_MAX = 32 };

struct side {
    char run[STORE_ID], label[64];
    double bits;
};

/* What is compared and what came out. */
struct comparing {
    struct cli *cli;
    struct store *store;
    char campaign[STORE_ID], benchmark[STORE_ID], name[64], grader[64], id[STORE_ID];
    struct side sides[ROLES]; /* full, quant, restored */
    int found;                /* sides that have a run: 2 or 3 */
    bool *right[ROLES];       /* [n], owned */
    double *share[ROLES];     /* [problems], owned: right answers of a problem / all */
    uint32_t n, capacity;     /* pairs of answers */
    uint32_t problems, recovered_problems;
    uint32_t of_problem;           /* pairs of the problem being read */
    char problem[160];             /* that is */
    struct pipe_paired loss, gain; /* full to quant, quant to restored */
    double loss_holm, gain_holm;   /* p-values adjusted over the benchmarks compared */
    struct pipe_recovery recovery;
};

/* Several answers a problem: errors are over problems, and McNemar does not apply. */
static bool several(const struct comparing *c)
{
    return c->n > c->problems;
}

static rt_status take_side(void *user, const struct store_row *row)
{
    struct comparing *c = user;
    struct side *s = &c->sides[c->found];
    snprintf(s->run, sizeof s->run, "%s", store_row_text(row, 0));
    snprintf(s->label, sizeof s->label, "%.63s", store_row_text(row, 1));
    s->bits = store_row_number(row, 2);
    snprintf(c->benchmark, sizeof c->benchmark, "%s", store_row_text(row, 3));
    snprintf(c->name, sizeof c->name, "%.63s", store_row_text(row, 4));
    snprintf(c->grader, sizeof c->grader, "%.63s", store_row_text(row, 5));
    return RT_OK;
}

/* The finished run of a variant: by label, arm or id, else the first of the role. */
static rt_status find_side(struct comparing *c, const char *role)
{
    const char *wanted = cli_value(c->cli, role, "");
    const char *split = cli_value(c->cli, "split", "measure");
    c->sides[c->found].run[0] = '\0';
    const rt_status st = store_side_run_rows(c->store, c->campaign, split, wanted, role,
                                             c->benchmark, take_side, c);
    if (st != RT_OK)
        return st;
    if (c->sides[c->found].run[0]) {
        c->found++;
        return RT_OK;
    }
    if (!wanted[0] && strcmp(role, "restored") == 0)
        return RT_OK;
    return rt_fail(&c->cli->ctx, RT_ERR_USAGE,
                   "no finished run of %s '%.60s' on the split '%.40s'; see: faultline "
                   "status",
                   wanted[0] ? "variant" : "role", wanted[0] ? wanted : role, split);
}

/* Rows come by problem: a share is a mean over its pairs. */
static rt_status take_pair(void *user, const struct store_row *row)
{
    struct comparing *c = user;
    if (c->n == c->capacity)
        return RT_OK;
    if (c->n == 0 || strcmp(c->problem, store_row_text(row, ROLES)) != 0) {
        snprintf(c->problem, sizeof c->problem, "%s", store_row_text(row, ROLES));
        c->problems++;
        c->of_problem = 0;
    }
    c->of_problem++;
    for (int i = 0; i < c->found; i++) {
        const bool right = store_row_integer(row, i) != 0;
        double *share = &c->share[i][c->problems - 1];
        c->right[i][c->n] = right;
        *share += (right - *share) / c->of_problem;
    }
    c->n++;
    return RT_OK;
}

/* Freezes the comparison and reads its pairs. */
static rt_status freeze(struct comparing *c)
{
    rt_status st;
    int64_t pairs = 0;
    const char *restored = c->found == ROLES ? c->sides[2].run : NULL;
    TRY(store_begin(c->store));
    TRY(store_put_comparison(c->store, c->campaign, c->benchmark, c->grader,
                             c->sides[0].run, c->sides[1].run, restored, c->id));
    TRY(store_commit(c->store));
    TRY(store_count_pairs(c->store, c->id, &pairs));
    c->capacity = (uint32_t)pairs;
    if (c->capacity == 0)
        return rt_fail(&c->cli->ctx, RT_ERR_USAGE,
                       "the runs have no graded problem in common");
    for (int i = 0; i < ROLES; i++) {
        c->right[i] = rt_alloc(&c->cli->ctx, c->capacity, sizeof **c->right);
        c->share[i] = rt_alloc(&c->cli->ctx, c->capacity, sizeof **c->share);
        if (!c->right[i] || !c->share[i])
            return rt_fail(&c->cli->ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
    }
    TRY(store_pair_rows(c->store, c->id, take_pair, c));
    return RT_OK;

fail:
    store_rollback(c->store);
    return st;
}

/* From pairs; where a problem has several, the difference and its interval are a bootstrap
 * over problems, and there is no p-value. */
static rt_status compare_sides(struct comparing *c, int base, struct pipe_paired *out)
{
    pipe_paired_compare(c->right[base], c->right[base + 1], c->n, out);
    if (!several(c))
        return RT_OK;
    out->p_exact = out->p_mid = NAN;
    return pipe_bootstrap_difference(&c->cli->ctx, c->share[base], c->share[base + 1],
                                     c->problems, DRAWS, 1, &out->difference,
                                     &out->interval);
}

static rt_status compute(struct comparing *c)
{
    rt_status st;
    c->loss_holm = c->gain_holm = NAN;
    TRY(compare_sides(c, 0, &c->loss));
    if (c->found < ROLES)
        return RT_OK;
    TRY(compare_sides(c, 1, &c->gain));
    for (uint32_t i = 0; i < c->n; i++)
        c->recovered_problems += c->right[0][i] && !c->right[1][i] && c->right[2][i];
    TRY(pipe_bootstrap_recovery(&c->cli->ctx, c->share[0], c->share[1], c->share[2],
                                c->problems, DRAWS, 1, &c->recovery));

fail:
    return st;
}

/* Over the benchmarks of one command. */
static rt_status adjust(struct rt_ctx *ctx, struct comparing *list, uint32_t count,
                        bool gain)
{
    double p[BENCHES_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!several(&list[i]) && (!gain || list[i].found == ROLES))
            p[n++] = gain ? list[i].gain.p_exact : list[i].loss.p_exact;
    if (n < 2)
        return RT_OK;
    const rt_status st = pipe_holm(ctx, p, n, p);
    n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!several(&list[i]) && (!gain || list[i].found == ROLES))
            *(gain ? &list[i].gain_holm : &list[i].loss_holm) = p[n++];
    return st;
}

/* ---- numbers by name: for --json and for --fail-if ---- */

struct number {
    const char *name;
    double value;
};
enum { NUMBERS_MAX = 32 };

static int list_numbers(const struct comparing *c, struct number out[NUMBERS_MAX])
{
    const bool all = c->found == ROLES;
    const double n = c->n, lost = c->loss.lost;
    int k = 0;
    out[k++] = (struct number){ "n", n };
    out[k++] = (struct number){ "full", c->loss.right_base / n };
    out[k++] = (struct number){ "quant", c->loss.right_other / n };
    out[k++] = (struct number){ "lost", lost };
    out[k++] = (struct number){ "gained", c->loss.gained };
    out[k++] = (struct number){ "loss", -c->loss.difference };
    out[k++] = (struct number){ "loss_low", -c->loss.interval.high };
    out[k++] = (struct number){ "loss_high", -c->loss.interval.low };
    out[k++] = (struct number){ "loss_p", c->loss.p_exact };
    out[k++] = (struct number){ "loss_mid_p", c->loss.p_mid };
    out[k++] = (struct number){ "loss_holm_p", c->loss_holm };
    out[k++] = (struct number){ "problems", c->problems };
    if (!all)
        return k;
    out[k++] = (struct number){ "restored", c->gain.right_other / n };
    out[k++] = (struct number){ "fixed", c->gain.gained };
    out[k++] = (struct number){ "broken", c->gain.lost };
    out[k++] = (struct number){ "gain", c->gain.difference };
    out[k++] = (struct number){ "gain_low", c->gain.interval.low };
    out[k++] = (struct number){ "gain_high", c->gain.interval.high };
    out[k++] = (struct number){ "gain_p", c->gain.p_exact };
    out[k++] = (struct number){ "gain_mid_p", c->gain.p_mid };
    out[k++] = (struct number){ "gain_holm_p", c->gain_holm };
    out[k++] = (struct number){ "recovered", c->recovery.share };
    out[k++] = (struct number){ "recovered_low", c->recovery.share_interval.low };
    out[k++] = (struct number){ "recovered_high", c->recovery.share_interval.high };
    out[k++] = (struct number){ "recovered_problems",
                                lost > 0 ? c->recovered_problems / lost : NAN };
    out[k++] = (struct number){ "bits", c->sides[2].bits };
    return k;
}

/* "recovered<0.5": a name, an operator, a number. An undefined value fails the gate. */
static rt_status check_gate(const struct comparing *c, const char *text)
{
    struct rt_ctx *ctx = &c->cli->ctx;
    struct number numbers[NUMBERS_MAX];
    const int count = list_numbers(c, numbers);
    const size_t length = strcspn(text, "<> =");
    const char *op = text + length + strspn(text + length, " ");
    const bool less = *op == '<', equal = (*op == '<' || *op == '>') && op[1] == '=';
    const char *from = op + 1 + equal;
    char *end = NULL;
    const double limit = *op == '<' || *op == '>' ? strtod(from, &end) : 0;
    if (!end || end == from || *end || isnan(limit))
        return rt_fail(
            ctx, RT_ERR_USAGE,
            "--fail-if \"%.60s\": write a name, one of < <= > >= and a number, "
            "as in \"recovered<0.5\"",
            text);
    for (int i = 0; i < count; i++) {
        const double v = numbers[i].value;
        if (strlen(numbers[i].name) != length ||
            strncmp(numbers[i].name, text, length) != 0)
            continue;
        const bool fires = isnan(v) || (less ? v < limit : v > limit) ||
                           (equal && !(v < limit) && !(v > limit));
        return fires ? rt_fail(ctx, RT_ERR_GATE, "gate: %s is %.6g, and %.60s fails it",
                               numbers[i].name, v, text)
                     : RT_OK;
    }
    return rt_fail(ctx, RT_ERR_USAGE,
                   "--fail-if \"%.60s\": no such number here; compare --json lists them",
                   text);
}

/* ---- printing ---- */

static void print_json(const struct comparing *c)
{
    static const char *const roles[ROLES] = { "full", "quant", "restored" };
    struct number numbers[NUMBERS_MAX];
    const int found = c->found;
    assert(found <= ROLES);
    const int count = list_numbers(c, numbers);
    printf("{\"comparison\":\"%s\",\"benchmark\":", c->id);
    cli_print_json_text(c->name);
    for (int i = 0; i < found; i++) {
        printf(",\"%s_label\":", roles[i]);
        cli_print_json_text(c->sides[i].label);
    }
    for (int i = 0; i < count; i++) {
        if (isfinite(numbers[i].value))
            printf(",\"%s\":%.10g", numbers[i].name, numbers[i].value);
        else
            printf(",\"%s\":null", numbers[i].name);
    }
    puts("}");
}

static void print_side(const struct comparing *c, int i, uint32_t right, bool md)
{
    const struct pipe_interval w = pipe_wilson(right, c->n);
    double mean, error;
    char bits[32] = "?"; /* of answers that were imported nobody knows them */
    if (c->sides[i].bits > 0)
        snprintf(bits, sizeof bits, "%.2f", c->sides[i].bits);
    if (several(c)) {
        pipe_mean_error(c->share[i], c->problems, &mean, &error);
        printf(md ? "| %s | %u / %u | %.1f %% | standard error %.1f | %s |\n"
                  : "  %-22s %6u of %u  %6.1f %%   (standard error over problems %.1f)   "
                    "%5s bits per weight\n",
               c->sides[i].label, right, c->n, 100 * mean, 100 * error, bits);
        return;
    }
    printf(md ? "| %s | %u / %u | %.1f %% | %.1f to %.1f | %s |\n"
              : "  %-22s %6u of %u  %6.1f %%   (95 %% %.1f to %.1f)   %5s bits per "
                "weight\n",
           c->sides[i].label, right, c->n, 100.0 * right / c->n, 100 * w.low,
           100 * w.high, bits);
}

/* The other sign of a difference, in points; zero has none. */
static double points_lost(double difference)
{
    return 0.0 - 100 * difference;
}

/* ", McNemar p = 0.01, 0.02 after Holm" */
static void print_p(const struct pipe_paired *p, double holm)
{
    if (isfinite(p->p_exact))
        printf(", McNemar p = %.2g", p->p_exact);
    else
        fputs(", interval by bootstrap over problems", stdout);
    if (isfinite(holm))
        printf(", %.2g after Holm", holm);
}

static void print_gain(const struct comparing *c, const char *lead)
{
    printf("%srestored - quantized: %+.1f points (95 %% %.1f to %.1f), %u fixed, %u "
           "broken",
           lead, 100 * c->gain.difference, 100 * c->gain.interval.low,
           100 * c->gain.interval.high, c->gain.gained, c->gain.lost);
    print_p(&c->gain, c->gain_holm);
    puts(c->gain.interval.low <= 0 && c->gain.interval.high >= 0
             ? ": no evidence of a change"
             : "");
    printf("%s%u of %u lost %s recovered", lead, c->recovered_problems, c->loss.lost,
           several(c) ? "answers" : "problems");
    const struct pipe_interval *of_share = &c->recovery.share_interval;
    if (isfinite(c->recovery.share))
        printf("; %.0f %% of the lost points", 100 * c->recovery.share);
    if (isfinite(c->recovery.share) && isfinite(of_share->low) &&
        isfinite(of_share->high))
        printf(" (95 %% %.0f to %.0f)", 100 * of_share->low, 100 * of_share->high);
    else if (isfinite(c->recovery.share))
        printf(" (too few problems for an interval)");
    putchar('\n');
}

static void print_words(const struct comparing *c, bool md)
{
    const char *lead = md ? "\n- " : "  ";
    printf(md ? "**%s**\n\n| variant | right | accuracy | 95 %% | bits per weight |\n"
                "|---|---:|---:|---:|---:|\n"
              : "%s\n",
           c->name);
    print_side(c, 0, c->loss.right_base, md);
    print_side(c, 1, c->loss.right_other, md);
    if (c->found == ROLES)
        print_side(c, 2, c->gain.right_other, md);
    printf("%slost by quantizing: %.1f points (95 %% %.1f to %.1f), %u lost, %u gained",
           lead, points_lost(c->loss.difference), points_lost(c->loss.interval.high),
           points_lost(c->loss.interval.low), c->loss.lost, c->loss.gained);
    print_p(&c->loss, c->loss_holm);
    putchar('\n');
    if (c->found == ROLES)
        print_gain(c, md ? "- " : lead);
}

/* ---- flips ---- */

static rt_status print_flip(void *user, const struct store_row *row)
{
    const struct comparing *c = user;
    const bool f = store_row_integer(row, 2), q = store_row_integer(row, 3),
               r = store_row_integer(row, 4);
    char words[48];
    snprintf(words, sizeof words, "%s%s%s",
             f && !q   ? "lost"
             : !f && q ? "gained"
                       : "",
             c->found == ROLES && f != q && q != r ? " " : "",
             c->found < ROLES || q == r ? ""
             : r                        ? "fixed"
                                        : "broken");
    if (cli_flag(c->cli, "md"))
        printf("- %s: `%s`%s%s\n", words, store_row_text(row, 0),
               several(c) ? " sample " : "", several(c) ? store_row_text(row, 1) : "");
    else
        printf("    %-14s %s%s%s\n", words, store_row_text(row, 0),
               several(c) ? " sample " : "", several(c) ? store_row_text(row, 1) : "");
    return RT_OK;
}

static rt_status print_flips(struct comparing *c)
{
    return store_flip_rows(c->store, c->id, print_flip, c);
}

static rt_status find_campaign(struct comparing *c)
{
    const char *given = cli_value(c->cli, "campaign", NULL);
    if (given) {
        snprintf(c->campaign, sizeof c->campaign, "%.79s", given);
        return RT_OK;
    }
    const rt_status st = store_newest_campaign(c->store, c->campaign);
    if (st == RT_OK && !c->campaign[0])
        return rt_fail(
            &c->cli->ctx, RT_ERR_USAGE,
            "the results file holds no campaign yet; run restore or demo first");
    return st;
}

/* ---- one or several benchmarks ---- */

struct benches {
    struct comparing *list;
    uint32_t count;
};

static rt_status take_bench(void *user, const struct store_row *row)
{
    struct benches *b = user;
    if (b->count < BENCHES_MAX)
        snprintf(b->list[b->count++].benchmark, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

/* Lists that at least two variants have answered. */
static rt_status find_benches(struct comparing *model, struct benches *out)
{
    struct cli *cli = model->cli;
    const char *name = cli_value(cli, "bench", "");
    const char *split = cli_value(cli, "split", "measure");
    const rt_status st =
        store_compared_rows(model->store, model->campaign, split, name, take_bench, out);
    if (st == RT_OK && out->count == 0 && name[0])
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "no two variants have finished '%.60s' on the split '%.40s'; see: "
                       "faultline status",
                       name, split);
    if (out->count == 0)
        out->count = 1; /* finding the sides says what is missing */
    return st;
}

/* A list on which full or quant is missing is left out where there are others. */
static rt_status find_sides(struct benches *b)
{
    rt_status st = RT_OK;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        struct comparing *c = &b->list[i];
        st = find_side(c, "full");
        if (st == RT_OK)
            st = find_side(c, "quant");
        if (st == RT_OK)
            st = find_side(c, "restored");
        if (st == RT_OK)
            b->list[kept++] = *c;
        else if (st != RT_ERR_USAGE)
            return st;
    }
    if (kept == 0)
        return st;
    b->count = kept;
    return RT_OK;
}

static rt_status print_all(const struct benches *b)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < b->count; i++) {
        struct comparing *c = &b->list[i];
        if (cli_flag(c->cli, "json")) {
            print_json(c);
            continue;
        }
        print_words(c, cli_flag(c->cli, "md"));
        if (cli_flag(c->cli, "flips"))
            TRY(print_flips(c));
    }

fail:
    return st;
}

static void deinit(struct benches *b)
{
    for (uint32_t i = 0; b->list && i < BENCHES_MAX; i++)
        for (int k = 0; k < ROLES; k++) {
            rt_free(b->list[i].right[k]);
            rt_free(b->list[i].share[k]);
        }
    rt_free(b->list);
}

static rt_status compare(struct cli *cli)
{
    rt_status st;
    struct comparing model = { .cli = cli };
    struct benches b = { rt_alloc(&cli->ctx, BENCHES_MAX, sizeof *b.list), 0 };
    const char *gate = cli_value(cli, "fail-if", NULL);
    if (!b.list)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
    TRY(cli_store_open(cli, STORE_READ, &model.store));
    TRY(find_campaign(&model));
    TRY(find_benches(&model, &b));
    for (uint32_t i = 0; i < b.count; i++) {
        b.list[i].cli = cli;
        b.list[i].store = model.store;
        snprintf(b.list[i].campaign, STORE_ID, "%s", model.campaign);
    }
    TRY(find_sides(&b));
    store_close(&model.store);
    TRY(cli_store_open(cli, STORE_WRITE, &model.store));
    for (uint32_t i = 0; i < b.count; i++) {
        b.list[i].store = model.store;
        TRY(freeze(&b.list[i]));
        TRY(compute(&b.list[i]));
    }
    TRY(adjust(&cli->ctx, b.list, b.count, false));
    TRY(adjust(&cli->ctx, b.list, b.count, true));
    TRY(print_all(&b));
    for (uint32_t i = 0; gate && i < b.count; i++)
        TRY(check_gate(&b.list[i], gate));

fail:
    store_close(&model.store);
    deinit(&b);
    return st;
}

static const struct cli_option options[] = {
    { "campaign", "ID", "default: the newest" },
    { "full", "LABEL", "label, arm or id of the full-precision variant" },
    { "quant", "LABEL", "of the quantized variant" },
    { "restored", "LABEL", "of the restored variant or a control" },
    { "split", "NAME", "split that is compared (default measure)" },
    { "bench", "NAME", "only this list (default: all that two variants answered)" },
    { "flips", NULL, "also the problems whose verdict changed" },
    { "md", NULL, "print Markdown" },
    { "fail-if", "CONDITION", "exit 6 where it holds, as in \"recovered<0.5\"" },
    { NULL, NULL, NULL },
};

const struct cli_command cli_compare = {
    "compare", "paired statistics of full, quantized and restored", "", options, compare
};

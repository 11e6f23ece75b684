/* pipeline/cli/eval_damage.c
 * What evaluated variants lost against full, as two tables or as JSON. */
#include "pipeline/cli/eval_damage.h"

#include <math.h>
#include <stdio.h>

static bool is_full(const struct pipe_damage_row *row)
{
    return row->paired.n == 0;
}

/* ---- JSON ---- */

static void put_paired(const struct pipe_damage_row *row)
{
    const struct pipe_paired *p = &row->paired;
    rt_json_count(stdout, "lost", p->lost);
    rt_json_count(stdout, "gained", p->gained);
    rt_json_number(stdout, "difference", p->difference);
    rt_json_number(stdout, "difference_low", p->interval.low);
    rt_json_number(stdout, "difference_high", p->interval.high);
    rt_json_number(stdout, "p", p->p_exact);
    rt_json_number(stdout, "holm_p", row->p_holm);
    rt_json_number(stdout, "kl", row->diverged.kl);
    rt_json_number(stdout, "same_top", row->diverged.same_top);
    rt_json_count(stdout, "kl_tokens", row->diverged.tokens);
}

static void put_row(const char *bench, const struct pipe_damage_row *row)
{
    const struct pipe_damage *d = &row->damage;
    fputs("{\"damage\":", stdout);
    rt_json_text(stdout, row->label);
    rt_json_member(stdout, "bench", bench);
    rt_json_member(stdout, "run", row->run);
    rt_json_number(stdout, "bits", row->bits);
    rt_json_count(stdout, "n", row->problems);
    rt_json_count(stdout, "right", row->right);
    rt_json_number(stdout, "low", row->interval.low);
    rt_json_number(stdout, "high", row->interval.high);
    rt_json_number(stdout, "length_ratio", d->length_ratio);
    rt_json_number(stdout, "tokens_each", d->tokens_each);
    rt_json_count(stdout, "loops", d->loops);
    rt_json_count(stdout, "no_answer", d->no_answer);
    rt_json_count(stdout, "went_on", d->went_on);
    rt_json_count(stdout, "early_end", d->early_end);
    rt_json_count(stdout, "in_form", d->in_form);
    rt_json_count(stdout, "differing", d->differing);
    rt_json_number(stdout, "differing_token", d->first_token);
    rt_json_number(stdout, "differing_margin", d->margin);
    rt_json_number(stdout, "differing_margin_full", d->margin_full);
    if (!is_full(row))
        put_paired(row);
    puts("}");
}

/* ---- words ---- */

/* A number, or as many blanks and a dash where there is none. */
static void put_cell(double value, int width, int decimals)
{
    if (isfinite(value))
        printf(" %*.*f", width, decimals, value);
    else
        printf(" %*s", width, "-");
}

static void print_accuracy(const struct pipe_damage_row *row)
{
    const struct pipe_paired *p = &row->paired;
    printf("  %-20s", row->label);
    put_cell(row->bits, 6, 2);
    printf("  %5u  %6.2f %% (%.2f to %.2f)", row->right,
           100.0 * row->right / row->problems, 100 * row->interval.low,
           100 * row->interval.high);
    if (!is_full(row))
        printf(
            "  %+.2f points (%.2f to %.2f), %u lost, %u gained, McNemar p = %.2g, %.2g "
            "after Holm",
            100 * p->difference, 100 * p->interval.low, 100 * p->interval.high, p->lost,
            p->gained, p->p_exact, row->p_holm);
    putchar('\n');
}

static void print_measures(const struct pipe_damage_row *row)
{
    const struct pipe_damage *d = &row->damage;
    const uint32_t counts[] = { d->loops, d->no_answer, d->went_on, d->early_end,
                                d->in_form };
    printf("  %-20s", row->label);
    put_cell(d->length_ratio, 6, 2);
    for (size_t i = 0; i < RT_COUNT(counts); i++)
        put_cell(100.0 * counts[i] / row->problems, 9, 1);
    put_cell(is_full(row) ? (double)NAN : row->diverged.kl, 8, 4);
    put_cell(is_full(row) ? (double)NAN : 100 * row->diverged.same_top, 8, 2);
    put_cell(d->first_token, 6, 0);
    put_cell(d->margin, 7, 2);
    put_cell(d->margin_full, 7, 2);
    putchar('\n');
}

static void print_words(const char *bench, const struct pipe_damage_row *rows,
                        uint32_t count)
{
    printf("\ndamage against full on %s, %u problems (95 %% intervals, Holm over the "
           "variants)\n  %-20s %6s  %5s  accuracy\n",
           bench, rows[0].problems, "variant", "bits", "right");
    for (uint32_t i = 0; i < count; i++)
        print_accuracy(&rows[i]);
    printf(
        "\n  length over full's; per cent of the answers that loop, lack an answer, went "
        "on after one, ended\n  before one, have the form asked for; KL to full (nats) "
        "and per cent of equal first choices on\n  full's answers; median first "
        "differing token, margin there, full's margin there (nats)\n");
    printf("  %-20s %6s %9s %9s %9s %9s %9s %8s %8s %6s %7s %7s\n", "variant", "length",
           "loops", "no answer", "went on", "early end", "in form", "KL", "same top",
           "token", "margin", "full's");
    for (uint32_t i = 0; i < count; i++)
        print_measures(&rows[i]);
}

void cli_print_damage(const struct cli *cli, const char *bench,
                      const struct pipe_damage_row *rows, uint32_t count)
{
    if (count == 0 || rows[0].problems == 0)
        return;
    if (!cli_flag(cli, "json")) {
        print_words(bench, rows, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        put_row(bench, &rows[i]);
}

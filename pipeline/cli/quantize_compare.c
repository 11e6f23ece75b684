/* pipeline/cli/quantize_compare.c
 * quantize --compare: reads its options, prints its rows. */
#include "pipeline/cli/quantize_parts.h"

#include "pipeline/cli/cli_session.h"
#include "pipeline/run/compare_json.h"
#include "runtime/base/os.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VARIANTS_MAX = 64 };

struct printing {
    struct cli *cli;
    struct pipe_session *session;
    uint32_t rows;
};

/* ---- the table ---- */

static void print_head(const struct pipe_compared *row)
{
    const struct pipe_calibration *c = row->text;
    printf("%llu tokens counted in %u %s\n", (unsigned long long)c->targets,
           c->sequences.count, c->problems ? "solutions" : "windows");
    printf("%-28s %6s %6s  %-28s %8s %8s %8s %8s %7s %10s %7s %7s %8s %6s\n", "variant",
           "bits", "all", "KL(full || variant) (95 %)", "median", "90 %", "99 %", "max",
           "same", "perplexity", "ratio", "of rtn", "seconds", "MiB");
}

static void print_row(const struct pipe_compared *row)
{
    const struct pipe_kl *k = row->kl;
    const size_t length = strlen(row->path);
    printf("%-28s %6.2f %6.2f", row->path + (length > 28 ? length - 28 : 0), row->bits,
           row->bits_all);
    if (k->tokens)
        printf("  %8.5f (%8.5f to %8.5f) %8.5f %8.5f %8.4f %8.3f %5.1f %% %10.4f %7.4f",
               k->mean, k->interval.low, k->interval.high, k->median, k->p90, k->p99,
               k->most, 100 * k->same_top, exp(k->nll), exp(k->nll - k->nll_full));
    else
        fputs("  the full model", stdout);
    if (row->made.layer_error_rtn > 0)
        printf(" %5.1f %%", 100 * row->made.layer_error / row->made.layer_error_rtn);
    else if (row->made.run_id[0])
        printf(" %7s", "-");
    if (row->made.run_id[0])
        printf(" %8.1f %6.0f", row->made.wall_seconds, row->made.peak_bytes / 1048576);
    putchar('\n');
    fflush(stdout);
}

static rt_status take_row(void *user, const struct pipe_compared *row)
{
    rt_status st = RT_OK;
    struct printing *p = user;
    if (cli_flag(p->cli, "json")) {
        fputs(p->rows ? "," : "{\"variants\":[", stdout);
        st = pipe_compared_json(p->session, row, stdout);
    } else {
        if (p->rows == 0)
            print_head(row);
        print_row(row);
    }
    p->rows++;
    return st;
}

/* ---- options ---- */

/* Splits "A,B" at its commas; what they point to stays with `text`. */
static rt_status split(struct cli *cli, char *text, const char **out, uint32_t *count)
{
    *count = 0;
    for (char *at = text; at;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        if (!*at || *count == VARIANTS_MAX)
            return rt_fail(&cli->ctx, RT_ERR_USAGE,
                           "--compare takes 1 to %d folders, GGUF files or plans, with "
                           "commas between them",
                           VARIANTS_MAX);
        out[(*count)++] = at;
        at = comma ? comma + 1 : NULL;
    }
    return RT_OK;
}

bool cli_quantize_compares_plans(const struct cli *cli)
{
    const char *at = cli_value(cli, "compare", "");
    while (at && !pipe_compare_plan(at))
        at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL;
    return at != NULL;
}

rt_status cli_quantize_compare(struct cli *cli)
{
    rt_status st;
    char scratch[1024];
    const char *variants[VARIANTS_MAX], *model = cli_value(cli, "model", NULL);
    const struct pipe_prompt_format *format = NULL;
    struct pipe_session session = { 0 };
    struct pipe_compare_options o = { .full = model,
                                      .variants = variants,
                                      .scratch = scratch,
                                      .text.from = cli_value(cli, "text", NULL) };
    struct printing p = { .cli = cli, .session = &session };
    const struct pipe_compare_calls calls = { take_row, &p };
    char *list = rt_strdup(&cli->ctx, cli_value(cli, "compare", ""));
    if (!list)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
    if (!model || !o.text.from) {
        st = rt_fail(&cli->ctx, RT_ERR_USAGE,
                     "quantize --compare needs --model FULL and --text T");
        goto fail;
    }
    TRY(split(cli, list, variants, &o.count));
    snprintf(scratch, sizeof scratch, "%.900s.plan-%lld", cli_store_path(cli),
             (long long)os_process_id());
    TRY(cli_quantize_options(cli, &o.make));
    TRY(cli_text_options(cli, model, &o.text));
    TRY(cli_calibration_format(cli, o.text.from, &format));
    TRY(cli_session_open(cli, model, format, "eval", "{}", &session));
    if (!format)
        session.positions = o.text.length;
    TRY(pipe_compare_models(&session, &o, &calls));
    if (cli_flag(cli, "json"))
        puts("]}");

fail:
    cli_session_close(cli, &session);
    rt_free(list);
    return st;
}

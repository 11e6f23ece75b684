/* pipeline/cli/quantize_compare.c
 * quantize --compare: reads its options, prints its rows. */
#include "pipeline/cli/quantize_compare.h"

#include "pipeline/cli/cli_session.h"
#include "pipeline/cli/quantize_select.h"
#include "pipeline/run/compare_models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VARIANTS_MAX = 64, BEFORE = 24 /* tokens shown before a worst one */ };

struct printing {
    struct cli *cli;
    const struct pipe_session *session;
    uint32_t rows;
};

/* ---- JSON ---- */

static void print_tokens(const char *name, const struct pipe_session *session,
                         const uint32_t *ids, uint32_t n)
{
    char *text = NULL;
    uint32_t size;
    printf(",\"%s\":", name);
    if (pipe_decode((struct pipe_session *)(uintptr_t)session, ids, n, &text, &size) ==
        RT_OK)
        cli_print_json_bytes(text, size);
    else
        fputs("null", stdout);
    rt_free(text);
}

static void print_worst(const struct printing *p, const struct pipe_compared *row,
                        uint32_t i)
{
    const struct observe_pair_token *t = &row->kl->worst[i];
    const struct train_sequence *s = &row->text->sequences.list[t->sequence];
    const uint32_t n = t->at < BEFORE ? t->at : BEFORE;
    printf("%s{\"sequence\":%u,\"at\":%u", i ? "," : "", t->sequence, t->at);
    cli_print_json_number("kl", (double)t->kl);
    cli_print_json_number("logprob", (double)t->logprob);
    cli_print_json_number("logprob_full", (double)t->logprob_full);
    print_tokens("before", p->session, s->ids + t->at - n, n);
    print_tokens("token", p->session, &t->id, 1);
    print_tokens("full", p->session, &t->best_full, 1);
    print_tokens("variant", p->session, &t->best, 1);
    putchar('}');
}

static void print_json_kl(const struct printing *p, const struct pipe_compared *row)
{
    const struct pipe_kl *k = row->kl;
    printf(",\"tokens\":%llu", (unsigned long long)k->tokens);
    cli_print_json_number("kl", k->mean);
    cli_print_json_number("kl_error", k->error);
    cli_print_json_number("kl_low", k->interval.low);
    cli_print_json_number("kl_high", k->interval.high);
    cli_print_json_number("kl_median", k->median);
    cli_print_json_number("kl_p90", k->p90);
    cli_print_json_number("kl_p99", k->p99);
    cli_print_json_number("kl_max", k->most);
    cli_print_json_number("same_top", k->same_top);
    cli_print_json_number("perplexity", exp(k->nll));
    cli_print_json_number("perplexity_full", exp(k->nll_full));
    cli_print_json_number("perplexity_ratio", exp(k->nll - k->nll_full));
    cli_print_json_number("seconds", k->seconds);
    fputs(",\"worst\":[", stdout);
    for (uint32_t i = 0; i < k->worst_count; i++)
        print_worst(p, row, i);
    putchar(']');
}

struct layers {
    uint32_t count;
};

static rt_status print_layer(void *user, const struct store_row *row)
{
    struct layers *l = user;
    printf("%s{\"error\":%.9g,\"rtn\":%.9g}", l->count++ ? "," : "",
           store_row_number(row, 0), store_row_number(row, 1));
    return RT_OK;
}

static rt_status print_json_made(const struct printing *p, const struct store_made *made)
{
    struct layers l = { 0 };
    cli_print_json_number("made_seconds", made->wall_seconds);
    cli_print_json_number("made_peak_bytes", made->peak_bytes);
    cli_print_json_number("layer_error", made->layer_error);
    cli_print_json_number("layer_error_rtn", made->layer_error_rtn);
    fputs(",\"layers\":[", stdout);
    const rt_status st =
        store_layer_error_rows(p->session->store, made->run_id, print_layer, &l);
    putchar(']');
    return st;
}

static rt_status print_json_row(const struct printing *p, const struct pipe_compared *row)
{
    fputs(p->rows ? ",{\"variant\":" : "{\"variants\":[{\"variant\":", stdout);
    cli_print_json_text(row->path);
    fputs(",\"stored\":", stdout);
    cli_print_json_text(row->stored);
    cli_print_json_number("bits", row->bits);
    cli_print_json_number("bits_all", row->bits_all);
    if (row->kl->tokens)
        print_json_kl(p, row);
    const rt_status st = row->made.run_id[0] ? print_json_made(p, &row->made) : RT_OK;
    putchar('}');
    return st;
}

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
        printf(" %5.1f %% %8.1f %6.0f",
               100 * row->made.layer_error / row->made.layer_error_rtn,
               row->made.wall_seconds, row->made.peak_bytes / 1048576);
    putchar('\n');
    fflush(stdout);
}

static rt_status take_row(void *user, const struct pipe_compared *row)
{
    rt_status st = RT_OK;
    struct printing *p = user;
    if (cli_flag(p->cli, "json")) {
        st = print_json_row(p, row);
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
                           "--compare takes 1 to %d folders or GGUF files, with commas "
                           "between them",
                           VARIANTS_MAX);
        out[(*count)++] = at;
        at = comma ? comma + 1 : NULL;
    }
    return RT_OK;
}

rt_status cli_text_options(struct cli *cli, const char *model,
                           struct pipe_calibration_options *out)
{
    rt_status st;
    int64_t context, stride;
    uint32_t most;
    TRY(pipe_compare_context(&cli->ctx, model, &most));
    TRY(cli_number(cli, "context", most < 512 ? most : 512, 8, most, &context));
    TRY(cli_number(cli, "stride", context / 2, 1, context - 1, &stride));
    *out = (struct pipe_calibration_options){ .from = cli_value(cli, "text", NULL),
                                              .model = model,
                                              .length = (uint32_t)context,
                                              .stride = (uint32_t)stride,
                                              .items = UINT32_MAX,
                                              .measuring = true };

fail:
    return st;
}

rt_status cli_quantize_compare(struct cli *cli)
{
    rt_status st;
    const char *variants[VARIANTS_MAX], *model = cli_value(cli, "model", NULL);
    const struct pipe_prompt_format *format = NULL;
    struct pipe_session session = { 0 };
    struct pipe_compare_options o = { .full = model,
                                      .variants = variants,
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
    TRY(cli_text_options(cli, model, &o.text));
    TRY(cli_calibration_format(cli, o.text.from, &format));
    TRY(cli_session_open(cli, model, format, "eval", "{}", &session));
    if (!format)
        session.positions = o.text.length;
    TRY(pipe_compare_models(&session, &o, &calls));
    if (cli_flag(cli, "json"))
        puts("]}");

fail:
    pipe_session_close(&session);
    rt_free(list);
    return st;
}

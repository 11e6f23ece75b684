/* pipeline/run/compare_json.c
 * Compared variants as JSON. */
#include "pipeline/run/compare_json.h"

#include "runtime/base/json_put.h"

#include <math.h>

enum { BEFORE = 24 /* tokens shown before a worst one */ };

struct putting {
    struct pipe_session *session;
    FILE *out;
};

static void put_tokens(const struct putting *p, const char *name, const uint32_t *ids,
                       uint32_t n)
{
    char *text = NULL;
    uint32_t size;
    fprintf(p->out, ",\"%s\":", name);
    if (pipe_decode(p->session, ids, n, &text, &size) == RT_OK)
        rt_json_bytes(p->out, text, size);
    else
        fputs("null", p->out);
    rt_free(text);
}

static void put_worst(const struct putting *p, const struct pipe_compared *row,
                      uint32_t i)
{
    const struct observe_pair_token *t = &row->kl->worst[i];
    const struct train_sequence *s = &row->text->sequences.list[t->sequence];
    const uint32_t n = t->at < BEFORE ? t->at : BEFORE;
    fprintf(p->out, "%s{\"sequence\":%u,\"at\":%u", i ? "," : "", t->sequence, t->at);
    rt_json_number(p->out, "kl", (double)t->kl);
    rt_json_number(p->out, "logprob", (double)t->logprob);
    rt_json_number(p->out, "logprob_full", (double)t->logprob_full);
    put_tokens(p, "before", s->ids + t->at - n, n);
    put_tokens(p, "token", &t->id, 1);
    put_tokens(p, "full", &t->best_full, 1);
    put_tokens(p, "variant", &t->best, 1);
    fputc('}', p->out);
}

static void put_kl(const struct putting *p, const struct pipe_compared *row)
{
    const struct pipe_kl *k = row->kl;
    rt_json_count(p->out, "tokens", k->tokens);
    rt_json_number(p->out, "kl", k->mean);
    rt_json_number(p->out, "kl_error", k->error);
    rt_json_number(p->out, "kl_low", k->interval.low);
    rt_json_number(p->out, "kl_high", k->interval.high);
    rt_json_number(p->out, "kl_median", k->median);
    rt_json_number(p->out, "kl_p90", k->p90);
    rt_json_number(p->out, "kl_p99", k->p99);
    rt_json_number(p->out, "kl_max", k->most);
    rt_json_number(p->out, "same_top", k->same_top);
    rt_json_number(p->out, "perplexity", exp(k->nll));
    rt_json_number(p->out, "perplexity_full", exp(k->nll_full));
    rt_json_number(p->out, "perplexity_ratio", exp(k->nll - k->nll_full));
    rt_json_number(p->out, "seconds", k->seconds);
    fputs(",\"worst\":[", p->out);
    for (uint32_t i = 0; i < k->worst_count; i++)
        put_worst(p, row, i);
    fputc(']', p->out);
}

struct layers {
    FILE *out;
    uint32_t count;
};

static rt_status put_layer(void *user, const struct store_row *row)
{
    struct layers *l = user;
    fprintf(l->out, "%s{\"error\":%.9g,\"rtn\":%.9g}", l->count++ ? "," : "",
            store_row_number(row, 0), store_row_number(row, 1));
    return RT_OK;
}

static rt_status put_made(const struct putting *p, const struct store_made *made)
{
    struct layers l = { .out = p->out };
    rt_json_number(p->out, "made_seconds", made->wall_seconds);
    rt_json_number(p->out, "made_peak_bytes", made->peak_bytes);
    rt_json_number(p->out, "layer_error", made->layer_error);
    rt_json_number(p->out, "layer_error_rtn", made->layer_error_rtn);
    fputs(",\"layers\":[", p->out);
    const rt_status st =
        store_layer_error_rows(p->session->store, made->run_id, put_layer, &l);
    fputc(']', p->out);
    return st;
}

rt_status pipe_compared_json(struct pipe_session *session,
                             const struct pipe_compared *row, FILE *out)
{
    const struct putting p = { session, out };
    fputs("{\"variant\":", out);
    rt_json_text(out, row->path);
    rt_json_member(out, "stored", row->stored);
    rt_json_number(out, "bits", row->bits);
    rt_json_number(out, "bits_all", row->bits_all);
    if (row->kl->tokens)
        put_kl(&p, row);
    const rt_status st = row->made.run_id[0] ? put_made(&p, &row->made) : RT_OK;
    fputc('}', out);
    return st;
}

/* pipeline/run/quantize_json.c
 * Results of quantizing for other programs. */
#include "pipeline/run/quantize_json.h"

#include "runtime/base/json_put.h"

static void put_selected(FILE *out, const struct pipe_selected *s)
{
    if (s->count == 0)
        return;
    fprintf(out, ",\"select\":{\"held_out\":%u,\"calibrate\":%u", s->held_out, s->used);
    rt_json_count(out, "tokens", s->tokens);
    rt_json_count(out, "chosen", s->chosen);
    fputs(",\"candidates\":[", out);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct pipe_candidate *c = &s->list[i];
        fputs(i ? ",{\"name\":" : "{\"name\":", out);
        rt_json_text(out, c->name);
        rt_json_number(out, "kl", c->kl);
        rt_json_number(out, "kl_error", c->kl_error);
        rt_json_number(out, "behind", c->behind);
        rt_json_number(out, "behind_error", c->behind_error);
        rt_json_number(out, "same_top", c->same_top);
        rt_json_number(out, "objective", c->objective);
        rt_json_number(out, "seconds", c->seconds);
        fputc('}', out);
    }
    fputs("]}", out);
}

/* The last member of a matrix. */
static void put_no_better(FILE *out, bool no_better)
{
    fprintf(out, ",\"not_better\":%s}", no_better ? "true" : "false");
}

static void put_fared(FILE *out, const struct pipe_quantized *q)
{
    if (q->list_count == 0)
        return;
    rt_json_count(out, "tokens", q->tokens);
    rt_json_number(out, "objective", q->objective);
    rt_json_number(out, "objective_rtn", q->objective_rtn);
    fprintf(out,
            ",\"not_better\":%u,\"seconds\":{\"forward\":%.3f,\"sums\":%.3f,"
            "\"method\":%.3f},\"list\":[",
            q->not_better, q->forward, q->sums, q->method);
    for (uint32_t i = 0; i < q->list_count; i++) {
        fputs(i ? ",{\"name\":" : "{\"name\":", out);
        rt_json_text(out, q->list[i].name);
        rt_json_number(out, "objective", q->list[i].objective);
        rt_json_number(out, "rtn", q->list[i].rtn);
        put_no_better(out, pipe_quantized_is_no_better(&q->list[i]));
    }
    fputc(']', out);
}

void pipe_quantized_json(FILE *out, const char *path, const struct pipe_quantized *q,
                         const struct pipe_selected *selected)
{
    fputs("{\"out\":", out);
    rt_json_text(out, path);
    rt_json_count(out, "matrices", q->matrices);
    rt_json_count(out, "weights", q->weights);
    fprintf(out,
            ",\"bits_per_weight\":%.6g,\"halved\":%u,"
            "\"float_inputs\":{\"matrices\":%u,\"weights\":%llu}",
            q->bits_per_weight, q->halved, q->float_matrices,
            (unsigned long long)q->float_weights);
    put_fared(out, q);
    put_selected(out, selected);
    fputs("}\n", out);
}

void pipe_gguf_made_json(FILE *out, const char *path, const struct pipe_gguf_made *m,
                         const struct pipe_selected *selected)
{
    fputs("{\"out\":", out);
    rt_json_text(out, path);
    rt_json_count(out, "bytes", m->bytes);
    rt_json_count(out, "matrices", m->count);
    rt_json_count(out, "weights", m->weights);
    fprintf(out, ",\"bits_per_weight\":%.6g", m->bits_per_weight);
    rt_json_count(out, "tokens", m->tokens);
    fprintf(out, ",\"fallbacks\":%u,\"not_better\":%u,\"list\":[", m->fallbacks,
            m->not_better);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct pipe_gguf_tensor *t = &m->list[i];
        fputs(i ? ",{\"name\":" : "{\"name\":", out);
        rt_json_text(out, t->name);
        rt_json_member(out, "type", t->type);
        rt_json_member(out, "wanted", t->wanted);
        rt_json_count(out, "rows", t->rows);
        rt_json_count(out, "columns", t->columns);
        fprintf(out, ",\"weighted\":%s", t->is_weighted ? "true" : "false");
        rt_json_member(out, "error_of", t->is_rounded ? "outputs" : "weights");
        rt_json_number(out, "error", t->error);
        rt_json_number(out, "rtn", t->rtn);
        put_no_better(out, t->is_no_better);
    }
    fputc(']', out);
    put_selected(out, selected);
    fputs("}\n", out);
}

void pipe_quantize_cost_json(FILE *out, const struct pipe_quantize_cost *c,
                             uint32_t candidates)
{
    fprintf(out, "{\"source_bytes\":%llu", (unsigned long long)c->source_bytes);
    rt_json_count(out, "bytes", c->out_bytes);
    fprintf(out, ",\"bits_per_weight\":%.6g,\"bits_of_all\":%.6g", c->bits, c->bits_all);
    rt_json_count(out, "host_bytes", c->host_bytes);
    rt_json_count(out, "device_bytes", c->device_bytes);
    rt_json_count(out, "device_free", c->device_has);
    rt_json_count(out, "tokens", c->tokens);
    fprintf(
        out,
        ",\"seconds\":{\"forward\":%.1f,\"sums\":%.1f,\"method\":%.1f,\"widths\":%.1f,"
        "\"choice\":%.1f}",
        c->forward, c->sums, c->method, c->widths, c->choice);
    rt_json_count(out, "candidates", candidates);
    rt_json_count(out, "seen_bytes", candidates > 1 || c->widths > 0 ? c->seen_bytes : 0);
    rt_json_count(out, "compared_bytes", candidates > 1 ? c->compared_bytes : 0);
    fputs("}\n", out);
}

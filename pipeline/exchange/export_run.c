/* pipeline/exchange/export_run.c
 * Rows of answers into a file of export.h. */
#include "pipeline/exchange/export_run.h"

#include "runtime/base/version.h"

struct exporting {
    struct pipe_export *export;
    uint32_t answers;
};

static rt_status put_answer(void *user, const struct store_row *row)
{
    struct exporting *e = user;
    e->answers++;
    return pipe_export_put(e->export, &(struct pipe_export_answer){
                                          .problem_id = store_row_text(row, 0),
                                          .question = store_row_text(row, 1),
                                          .gold = store_row_text(row, 2),
                                          .sample = (uint32_t)store_row_integer(row, 3),
                                          .output = store_row_text(row, 4),
                                          .finish = store_row_text(row, 5),
                                          .n_prompt = (uint32_t)store_row_integer(row, 6),
                                          .n_gen = (uint32_t)store_row_integer(row, 7),
                                          .error = store_row_text_or_null(row, 8),
                                          .extracted = store_row_text_or_null(row, 9),
                                          .correct = store_row_integer(row, 10) != 0,
                                          .rule = store_row_text_or_null(row, 11),
                                      });
}

static rt_status find_run(struct rt_ctx *ctx, struct store *store, const char *wanted,
                          struct store_eval_run *out)
{
    const rt_status st = store_find_eval_run(store, wanted, out);
    if (st == RT_OK && !out->run_id[0])
        return rt_fail(ctx, RT_ERR_USAGE,
                       "no eval run%s%.80s is in the results file; see: faultline status",
                       wanted[0] ? " of " : "", wanted);
    return st;
}

rt_status pipe_export_run(struct rt_ctx *ctx, struct store *store,
                          const char *id_or_label, const char *path,
                          enum pipe_export_kind kind, struct store_eval_run *of,
                          uint32_t *answers)
{
    rt_status st;
    struct exporting e = { 0 };
    TRY(find_run(ctx, store, id_or_label, of));
    const struct pipe_export_head head = { of->label,      of->bench,    of->run_id,
                                           of->started_ms, of->ended_ms, rt_version };
    TRY(pipe_export_open(ctx, path, kind, &head, &e.export));
    TRY(store_export_rows(store, of->run_id, put_answer, &e));
    TRY(pipe_export_end(e.export));
    *answers = e.answers;

fail:
    pipe_export_destroy(&e.export);
    return st;
}

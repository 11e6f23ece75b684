/* pipeline/locate/judge_lost.c
 * The judge among the locators of wrong answers: full reads the problem and quant's answer in
 * the judge's own prompt, whatever the prompt of the run is. Readings are kept beside the run
 * (judge_store.h), so a search that was stopped, or another run, reads no answer twice. */
#include "pipeline/locate/locate_impl.h"

#include "pipeline/locate/judge_model.h"
#include "runtime/base/json.h"

#include <assert.h>
#include <string.h>

static rt_status no_memory(const struct locating *l)
{
    return rt_fail(l->session->ctx, RT_ERR_HOST_MEMORY, "judge: no memory");
}

uint32_t pipe_judge_positions(const struct pipe_session *session)
{
    const uint32_t twice = 2 * session->context, most = pipe_format_judge.context;
    const uint32_t wanted = twice < most ? twice : most;
    return wanted > session->context ? wanted : session->context;
}

/* Keeps what the judge says of an answer, which stays null where it was not read. */
static void take(struct locate_search *s, struct pipe_judgement *said)
{
    s->judge = said->first;
    s->judge_tokens = said->tokens;
    said->first = NULL;
    if (s->judge)
        s->judge_step = (int32_t)pipe_largest(s->judge, s->step_count);
}

/* The wrong answers as solutions whose final answer is known to be wrong; borrows. */
static void list_solutions(const struct locating *l, struct pipe_labelled *items)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct locate_search *s = &l->list[i];
        items[i] = (struct pipe_labelled){
            .id = "",
            .question = l->bench->set.items[s->problem].question,
            .text = s->text,
            .kind = "",
            .answer = "",
            .steps = s->steps,
            .step_count = s->step_count,
            .problem = s->problem,
            .label = -1,
            .final = PIPE_FINAL_WRONG,
        };
    }
}

static rt_status read_all(struct locating *l)
{
    rt_status st;
    uint64_t tokens;
    uint32_t unread = 0;
    struct pipe_session *session = l->session;
    const struct pipe_judge_by by = { .folder = session->model,
                                      .model = l->reader->model };
    struct pipe_labelled_set set = { .count = l->count };
    struct pipe_judgement *said = rt_alloc(session->ctx, l->count, sizeof *said);
    set.items = rt_alloc(session->ctx, l->count, sizeof *set.items);
    if (!said || !set.items) {
        st = no_memory(l);
        goto fail;
    }
    list_solutions(l, set.items);
    TRY(pipe_judge_set(session, &by, &set, false, said, &tokens));
    for (uint32_t i = 0; i < l->count; i++) {
        take(&l->list[i], &said[i]);
        unread += !l->list[i].judge;
    }
    if (unread)
        pipe_say(session->host,
                 "  judge abstains in %u of %u answers: they do not fit into the model's "
                 "context, or its chat or tokenizer does not give their text back",
                 unread, l->count);

fail:
    if (said)
        pipe_judgements_free(said, l->count);
    rt_free(said);
    rt_free(set.items);
    return st;
}

rt_status locate_judgements(struct locating *l)
{
    struct pipe_session *session = l->session;
    const struct pipe_prompt_format *format = session->format;
    assert(!l->mirror && !l->reader->adapter);
    if (l->count == 0)
        return RT_OK;
    rt_status st = pipe_session_use(session, session->model, &pipe_format_judge);
    if (st == RT_OK)
        st = read_all(l);
    else if (st == RT_ERR_INPUT) { /* no chat, or none that takes these texts */
        pipe_say(session->host, "  judge abstains: %s", session->ctx->message);
        st = RT_OK;
    }
    const rt_status back = pipe_session_use(session, session->model, format);
    return st == RT_OK ? back : st;
}

rt_status locate_put_judge(struct locating *l, const struct locate_search *s)
{
    const struct pipe_testimony alone = { .step_count = s->step_count,
                                          .twin = -1,
                                          .judge = s->judge };
    json_t *first = json_array();
    for (uint32_t k = 0; first && k < s->step_count; k++)
        json_array_append_new(first, json_real(s->judge[k]));
    json_t *all =
        json_pack("{s:I, s:o}", "tokens", (json_int_t)s->judge_tokens, "first", first);
    char *evidence =
        all ? fmt_json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    if (!evidence)
        return no_memory(l);
    const struct pipe_fault f = { .locator = "judge",
                                  .step = s->judge_step,
                                  .token = -1,
                                  .category = PIPE_CAT_UNCLASSIFIED,
                                  .confidence = pipe_probability(&alone, s->judge_step),
                                  .evidence = evidence };
    const rt_status st = store_put_fault(l->session->store, l->run_id, s->gen, &f);
    rt_free(evidence);
    return st;
}
